/** A release reads what the one before it wrote, and says before it writes what that one could not read. */
import assert from 'node:assert/strict';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Log, silentLog } from '../../../src/platform/log.js';
import { FORMAT } from '../../../src/spool/level/books.js';
import { checkSpool } from '../../../src/spool/level/check.js';
import { sealNumbers } from '../../../src/spool/level/codec.js';
import { FORMAT_KEY } from '../../../src/spool/level/keys.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import { repairSpool } from '../../../src/spool/level/repair.js';
import { openLevelStore } from '../../../src/spool/level/store.js';
import { acceptance } from '../../support/mail.js';
import { createVirtualClock } from '../../support/virtual-clock.js';
import { levelOptions, temporaryFolder } from './support.js';

const FIXTURES = fileURLToPath(new URL('fixtures', import.meta.url));
const HOUR = 3_600_000;

describe('formats of the store', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let told: { event: string; text: string | undefined }[];
  const clock = createVirtualClock();

  beforeEach(async () => {
    folder = await temporaryFolder();
    told = [];
  });
  afterEach(() => folder.remove());

  const format = async () => (await checkSpool(folder.path)).format;
  const log: Log = { ...silentLog, warn: (event, _fields, text) => void told.push({ event, text }) };
  const open = () => openLevelSpool(levelOptions(folder.path, clock, { log }));

  test('the format before this one is kept here', async () => {
    const there = (await fsp.readdir(FIXTURES)).filter((name) => name.startsWith('format-'));
    assert.ok(there.includes(`format-${FORMAT - 1}`), `no fixture of format ${FORMAT - 1} in ${FIXTURES}`);
  });

  test('format 1 is read whole, and stays format 1 as long as nothing needs more', async () => {
    await fsp.cp(path.join(FIXTURES, 'format-1'), folder.path, { recursive: true });
    assert.deepEqual((await checkSpool(folder.path)).problems, []);
    const spool = await open();
    const { items } = await spool.list({}, { limit: 100 });
    assert.deepEqual(
      items.map(({ delivery: { lane, state, attempts } }) => [lane, state, attempts]),
      [
        ['mx:ready.test', 'ready', 0],
        ['mx:later.test', 'waiting', 0],
        ['mx:retry.test', 'waiting', 1],
        ['mx:held.test', 'held', 0],
        ['host:relay.test:587:abc', 'ready', 0],
        ['mx:[192.0.2.1]', 'ready', 0],
        ['mx:large.test', 'ready', 0],
      ],
    );
    const past = await spool.history({ since: 0, limit: 100 });
    assert.deepEqual(past.items.map(({ delivery }) => delivery.lane).sort(), ['mx:half-done.test', 'mx:journal.test', 'mx:past.test']);
    const large = await spool.readBody(items[6]!.message.id);
    assert.ok(large?.kind === 'stream');
    let octets = 0;
    for await (const chunk of large.open()) octets += chunk.length;
    assert.equal(octets, 5400);
    await spool.accept(acceptance({ acceptedAt: clock.now() }));
    await spool.close();
    assert.equal(await format(), 1);
    assert.deepEqual(told, []);
  });

  test('what format 1 does not know raises the format, once, and that is told before it is written', async () => {
    await fsp.cp(path.join(FIXTURES, 'format-1'), folder.path, { recursive: true });
    const spool = await open();
    await spool.pauseLane('mx:a.test', { at: clock.now(), reason: '' });
    await spool.accept({ ...acceptance({ acceptedAt: clock.now() }), once: { key: 'k', digest: 'd', until: clock.now() + HOUR } });
    await spool.close();
    assert.equal(await format(), 2);
    assert.deepEqual(
      told.map(({ event, text }) => [event, /pauses of lanes.*format 2.*only format 1/.test(text ?? '')]),
      [['spool.format', true]],
    );
    await (await open()).close();
    assert.equal(await format(), 2);
    assert.equal(told.length, 1);
  });

  test('a format that is newer than this release is refused, whatever is to be done with it', async () => {
    await (await open()).close();
    const store = await openLevelStore(path.join(folder.path, 'store'));
    const batch = store.batch();
    batch.put(FORMAT_KEY, sealNumbers(FORMAT_KEY, [FORMAT + 1]));
    await batch.write();
    await store.close();
    const refused = { code: 'SPOOL_VERSION', message: new RegExp(`format ${FORMAT + 1}.*up to ${FORMAT}`) };
    await assert.rejects(open(), refused);
    await assert.rejects(checkSpool(folder.path), refused);
    await assert.rejects(repairSpool(folder.path, { clock, lost: () => {}, progress: () => {} }), refused);
  });
});
