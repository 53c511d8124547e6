import assert from 'node:assert/strict';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { checkSpool } from '../../../src/spool/level/check.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import { compactAtRest, snapshotAtRest } from '../../../src/spool/level/upkeep.js';
import type { Lease, Spool } from '../../../src/spool/spool.js';
import { acceptance, delivered } from '../../support/mail.js';
import { createVirtualClock, type VirtualClock } from '../../support/virtual-clock.js';
import { fillSpool } from './filled.js';
import { levelOptions, temporaryFolder } from './support.js';

describe('a copy of a spool', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let clock: VirtualClock;
  let spool: Spool;
  let copy: string;

  beforeEach(async () => {
    folder = await temporaryFolder();
    clock = createVirtualClock();
    copy = path.join(folder.path, 'copy');
    spool = await openLevelSpool(levelOptions(path.join(folder.path, 'spool'), clock));
  });
  afterEach(async () => {
    await spool.close();
    await folder.remove();
  });

  const take = async (lane: string): Promise<Lease> => {
    for (;;) {
      const lease = spool.pull(lane);
      if (lease) return lease;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const large = async (lane: string): Promise<string> => {
    const mail = acceptance({ acceptedAt: clock.now() }, [lane]);
    const { id } = mail.message;
    const text = Buffer.alloc(100_000, 'text of a large message\r\n');
    const writer = spool.writeBody({ id, sender: 'sender@example.com', recipients: ['user@large.test'] });
    const taken = writer.write(text);
    if (taken !== true) await taken;
    await spool.accept({ ...mail, message: { ...mail.message, sizeBytes: text.length }, body: await writer.finish() });
    return id;
  };
  const idsIn = async (where: string): Promise<string[]> => {
    const opened = await openLevelSpool(levelOptions(where, clock));
    const { items } = await opened.list({}, { limit: 10_000 });
    await opened.close();
    return items.map(({ message }) => message.id);
  };

  test('is what the spool was at the moment it was asked for, while mail comes and goes', async () => {
    const before: string[] = [];
    for (let i = 0; i < 200; i++) {
      const mail = acceptance({ acceptedAt: clock.now() }, ['mx:a.test']);
      before.push(mail.message.id);
      await spool.accept(mail);
    }
    before.push(await large('mx:large.test'));
    const copied = spool.upkeep!.snapshot(copy);
    const going: Promise<unknown>[] = [];
    for (let i = 0; i < 100; i++) going.push(spool.accept(acceptance({ acceptedAt: clock.now() }, ['mx:b.test'])));
    for (let i = 0; i < 50; i++) {
      const lease = await take('mx:a.test');
      going.push(spool.settle(lease, delivered(lease.delivery, clock.now())));
    }
    const lease = await take('mx:large.test');
    going.push(spool.settle(lease, delivered(lease.delivery, clock.now())));
    await Promise.all(going);
    const report = await copied;
    assert.deepEqual([report.folder, report.bodyFiles], [copy, 1]);
    assert.deepEqual((await checkSpool(copy)).problems, []);
    assert.deepEqual(await idsIn(copy), before);
    assert.equal(((await fsp.stat(copy)).mode & 0o777).toString(8), '700');
  });

  test('keeps the content of what ends while it is made, and that goes afterwards', async () => {
    const id = await large('mx:large.test');
    const lease = await take('mx:large.test');
    const copied = spool.upkeep!.snapshot(copy);
    await spool.settle(lease, delivered(lease.delivery, clock.now()));
    await copied;
    assert.deepEqual(await idsIn(copy), [id]);
    const bodies = path.join(folder.path, 'spool', 'bodies');
    const left = async () => (await fsp.readdir(bodies, { recursive: true })).filter((name) => name.endsWith(id));
    while ((await left()).length > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test('knows what the journal knew: what a server has taken is not sent from the copy', async () => {
    await spool.accept(acceptance({ acceptedAt: clock.now() }, ['mx:a.test']));
    const lease = await take('mx:a.test');
    const server = { host: 'mx.a.test', address: '192.0.2.1', port: 25 };
    spool.note(lease, [{ kind: 'delivered', status: '2.0.0', text: 'Ok', server }]);
    await spool.upkeep!.snapshot(copy);
    assert.deepEqual(await idsIn(copy), []);
  });

  test('has the key that seals logins, where the spool keeps it, for nobody else to read', async () => {
    await fsp.writeFile(path.join(folder.path, 'spool', 'key'), 'secret');
    await spool.upkeep!.snapshot(copy);
    assert.equal(await fsp.readFile(path.join(copy, 'key'), 'utf8'), 'secret');
    assert.equal(((await fsp.stat(path.join(copy, 'key'))).mode & 0o777).toString(8), '600');
  });

  test('is not made where something is, and leaves nothing of an attempt', async () => {
    await fsp.mkdir(copy);
    await fsp.writeFile(path.join(copy, 'precious'), '');
    await assert.rejects(spool.upkeep!.snapshot(copy), { code: 'INVALID_OPTIONS', message: /not empty/ });
    const file = path.join(folder.path, 'file');
    await fsp.writeFile(file, '');
    await assert.rejects(spool.upkeep!.snapshot(path.join(file, 'below')), { code: 'INVALID_OPTIONS' });
    assert.deepEqual((await fsp.readdir(folder.path)).sort(), ['copy', 'file', 'spool']);
  });

  test('is given up when the spool is closed meanwhile, and nothing of it is left', async () => {
    for (let i = 0; i < 50; i++) {
      const body = Buffer.alloc(16_000, `${i} ${Math.random()}`);
      await spool.accept(acceptance({ acceptedAt: clock.now(), sizeBytes: body.length }, ['mx:a.test'], body));
    }
    const copied = spool.upkeep!.snapshot(copy);
    const refused = assert.rejects(copied);
    await Promise.all([refused, spool.close()]);
    assert.deepEqual((await fsp.readdir(folder.path)).sort(), ['spool']);
    assert.deepEqual((await checkSpool(path.join(folder.path, 'spool'))).problems, []);
  });

  test('can be made at rest, and of a copy', async () => {
    const rest = path.join(folder.path, 'rest');
    await fillSpool(rest, clock);
    await snapshotAtRest(rest, copy, clock);
    await snapshotAtRest(copy, path.join(folder.path, 'second'), clock);
    assert.deepEqual((await checkSpool(path.join(folder.path, 'second'))).problems, []);
    assert.deepEqual(await idsIn(path.join(folder.path, 'second')), await idsIn(rest));
  });

  test('compacting gives back the space of what was deleted, and changes nothing else', async () => {
    for (let i = 0; i < 300; i++) {
      const body = Buffer.alloc(10_000, `${i} ${Math.random()}`);
      await spool.accept(acceptance({ acceptedAt: clock.now(), sizeBytes: body.length }, ['mx:a.test'], body));
    }
    for (let i = 0; i < 290; i++) {
      const lease = await take('mx:a.test');
      await spool.change(lease.delivery.key, { kind: 'remove' });
      await spool.settle(lease, delivered(lease.delivery, clock.now()));
    }
    const left = await spool.list({}, { limit: 100 });
    await spool.upkeep!.compact();
    assert.deepEqual(await spool.list({}, { limit: 100 }), left);
    await spool.close();
    const rest = path.join(folder.path, 'spool');
    const { before, after } = await compactAtRest(rest, clock);
    assert.ok(after <= before && after < 2_000_000, `${before} to ${after}`);
    assert.deepEqual((await checkSpool(rest)).problems, []);
  });
});
