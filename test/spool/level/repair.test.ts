import assert from 'node:assert/strict';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { checkSpool } from '../../../src/spool/level/check.js';
import { sealNumbers } from '../../../src/spool/level/codec.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import { type RepairReport, repairSpool } from '../../../src/spool/level/repair.js';
import type { Loss } from '../../../src/spool/moving.js';
import { acceptance } from '../../support/mail.js';
import { createVirtualClock, type VirtualClock } from '../../support/virtual-clock.js';
import { fillSpool } from './filled.js';
import { levelOptions, temporaryFolder } from './support.js';

describe('repairing a spool', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let clock: VirtualClock;
  let losses: Loss[];

  beforeEach(async () => {
    folder = await temporaryFolder();
    clock = createVirtualClock();
    losses = [];
    await fillSpool(folder.path, clock);
  });
  afterEach(() => folder.remove());

  /** Ends with a spool that the check has nothing against, and that an agent starts on without a word. */
  const repaired = async (): Promise<RepairReport> => {
    const report = await repairSpool(folder.path, { clock, lost: (loss) => void losses.push(loss), progress: () => {} });
    assert.deepEqual((await checkSpool(folder.path)).problems, []);
    const spool = await openLevelSpool(levelOptions(folder.path, clock));
    const faults: string[] = [];
    spool.listen({ onReady: () => {}, onWaiting: () => {}, onFault: ({ text }) => faults.push(text) });
    await spool.tidy();
    await spool.close();
    assert.deepEqual(faults, []);
    return report;
  };
  const tamper = async (change: (db: ClassicLevel<string, string>) => Promise<void>) => {
    const db = new ClassicLevel<string, string>(path.join(folder.path, 'store'));
    await db.open();
    await change(db);
    await db.close();
  };
  const flip = async (db: ClassicLevel<string, string>, key: string) => {
    const value = await db.get<string, Buffer>(key, { valueEncoding: 'buffer' });
    assert.ok(value, `no ${key}`);
    value[value.length - 1]! ^= 1;
    await db.put<string, Buffer>(key, value, { valueEncoding: 'buffer' });
  };
  /** Key of the first delivery in a lane. */
  const keyOf = async (db: ClassicLevel<string, string>, lane: string): Promise<string> => {
    for await (const [key, value] of db.iterator({ gte: 'd/', lt: 'd0' })) if (value.includes(`"l":"${lane}"`)) return key;
    throw new Error(`nothing for ${lane}`);
  };
  const names = () => fsp.readdir(folder.path);
  const lanes = async (): Promise<string[]> => {
    const spool = await openLevelSpool(levelOptions(folder.path, clock));
    const { items } = await spool.list({}, { limit: 100 });
    await spool.close();
    return items.map(({ delivery }) => delivery.lane).sort();
  };
  const ALL = [
    'host:own.test:465:o1',
    'host:relay.test:587:abc',
    'mx:[192.0.2.1]',
    'mx:held.test',
    'mx:large.test',
    'mx:later.test',
    'mx:merge.test',
    'mx:paused.test',
    'mx:ready.test',
    'mx:retry.test',
  ];

  test('a sound one is left as it is', async () => {
    const before = await names();
    assert.deepEqual((await repaired()).sound, true);
    assert.deepEqual((await names()).filter((name) => name !== 'ballast').sort(), before.sort());
  });

  test('wrong counters and lost index entries cost nothing', async () => {
    await tamper(async (db) => {
      for (const index of ['r', 't']) for await (const key of db.keys({ gte: `${index}/`, lt: `${index}0` })) await db.del(key);
      await db.put('l/mx:ready.test', sealNumbers('l/mx:ready.test', [7, 7, 7]));
    });
    const report = await repaired();
    assert.deepEqual([report.saved.messages, report.saved.deliveries, report.saved.history], [9, 10, 4]);
    assert.deepEqual(losses, []);
    assert.deepEqual(await lanes(), ALL);
  });

  test('the damaged store is kept', async () => {
    await tamper((db) => db.del('l/mx:ready.test'));
    const { kept } = await repaired();
    assert.equal(path.dirname(kept!), await fsp.realpath(folder.path));
    assert.deepEqual((await fsp.readdir(kept!)).sort(), ['high-water', 'journal-0', 'journal-1', 'store']);
    assert.ok((await fsp.readdir(path.join(kept!, 'store'))).includes('CURRENT'));
  });

  test('a damaged record costs its message, whose content is kept for a look', async () => {
    let id = '';
    await tamper(async (db) => {
      const key = await keyOf(db, 'mx:ready.test');
      id = key.split('/')[1]!;
      await flip(db, key);
    });
    const report = await repaired();
    assert.deepEqual(
      await lanes(),
      ALL.filter((lane) => lane !== 'mx:ready.test'),
    );
    assert.equal(report.contentsKept, 1);
    assert.equal(await fsp.readFile(path.join(folder.path, 'lost', `${id}.eml`), 'utf8'), 'hello');
    assert.deepEqual(
      losses.map((loss) => loss.id),
      [id, id],
    );
  });

  test('a large content without its record is kept, and its file says whose it was', async () => {
    let id = '';
    await tamper(async (db) => {
      const key = await keyOf(db, 'mx:large.test');
      id = key.split('/')[1]!;
      await flip(db, key);
    });
    await repaired();
    assert.ok((await fsp.readdir(path.join(folder.path, 'lost'))).includes(id));
    const told = losses.find(({ text }) => text.includes('lost/'));
    assert.deepEqual([told?.sender, told?.recipients], ['sender@example.com', ['user@large.test']]);
  });

  test('one of several deliveries costs that one', async () => {
    await tamper(async (db) => flip(db, await keyOf(db, 'mx:[192.0.2.1]')));
    await repaired();
    assert.deepEqual(
      await lanes(),
      ALL.filter((lane) => lane !== 'mx:[192.0.2.1]'),
    );
  });

  test('a message whose content is damaged is not sent, and those who do not get it are named', async () => {
    await tamper(async (db) => {
      const key = await keyOf(db, 'mx:retry.test');
      await flip(db, `b/${key.split('/')[1]}`);
    });
    await repaired();
    assert.deepEqual(
      await lanes(),
      ALL.filter((lane) => lane !== 'mx:retry.test'),
    );
    assert.deepEqual(
      losses.map(({ sender, recipients }) => [sender, recipients]),
      [['jürgen@exämple.com', ['user@retry.test']]],
    );
  });

  test('a pause that cannot be read stays, and a damaged key is forgotten', async () => {
    await tamper(async (db) => {
      await flip(db, 'q/mx:paused.test');
      for await (const key of db.keys({ gte: 'k/', lt: 'k0' })) await flip(db, key);
    });
    const { saved } = await repaired();
    assert.deepEqual([saved.pauses, saved.keys, losses.length], [1, 0, 2]);
    const spool = await openLevelSpool(levelOptions(folder.path, clock));
    assert.deepEqual([...spool.pauses().keys()], ['mx:paused.test']);
    await spool.close();
  });

  test('a recipient of a template whose values are damaged gets no copy, and is named', async () => {
    await tamper(async (db) => {
      for await (const key of db.keys({ gte: 'v/', lt: 'v0' })) await flip(db, key);
    });
    await repaired();
    assert.deepEqual(
      await lanes(),
      ALL.filter((lane) => lane !== 'mx:merge.test'),
    );
    assert.deepEqual(losses[0]?.recipients, ['user@merge.test']);
  });

  test('a store whose table of contents is gone is put in order, and nothing is lost', async () => {
    // Into a table, so that there is something which LevelDB would delete.
    await tamper((db) => db.compactRange('', '~'));
    await tamper((db) => db.del('nothing'));
    await fsp.rm(path.join(folder.path, 'store', 'CURRENT'));
    await assert.rejects(openLevelSpool(levelOptions(folder.path, clock)), { code: 'SPOOL_DAMAGED', message: /spool repair/ });
    await repaired();
    assert.deepEqual(await lanes(), ALL);
  });

  test('a table with a hole in it gives what is left', async () => {
    const spool = await openLevelSpool(levelOptions(folder.path, clock));
    for (let i = 0; i < 400; i++) {
      const body = Buffer.from(Array.from({ length: 2000 }, (_, at) => (i * 7919 + at * 104_729) & 255));
      await spool.accept(acceptance({ acceptedAt: clock.now(), sizeBytes: body.length }, ['mx:many.test'], body));
    }
    await spool.close();
    await tamper((db) => db.compactRange('', '~'));
    const store = path.join(folder.path, 'store');
    const tables = await Promise.all(
      (await fsp.readdir(store))
        .filter((name) => name.endsWith('.ldb'))
        .map(async (name) => ({ name, size: (await fsp.stat(path.join(store, name))).size })),
    );
    const [largest] = tables.sort((a, b) => b.size - a.size);
    const file = path.join(store, largest!.name);
    const bytes = await fsp.readFile(file);
    bytes.fill(0xaa, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 4096);
    await fsp.writeFile(file, bytes);
    await assert.rejects(checkSpool(folder.path), { code: 'SPOOL_DAMAGED', message: /spool repair/ });
    const { saved } = await repaired();
    assert.ok(saved.messages > 200 && saved.messages < 410, `${saved.messages} are saved`);
    assert.ok(losses.length > 0);
  });

  test('ids go on above those that were given out, also where the newest is lost', async () => {
    const spool = await openLevelSpool(levelOptions(folder.path, clock));
    const last = spool.lastId();
    await spool.close();
    await tamper(async (db) => {
      await flip(db, `d/${last}/0000`).catch(() => {});
      await db.put('l/mx:wrong.test', sealNumbers('l/mx:wrong.test', [1, 0, 0]));
    });
    await repaired();
    const again = await openLevelSpool(levelOptions(folder.path, clock));
    assert.equal(again.lastId(), last);
    await again.close();
  });

  test('one that is in use, or none at all, is not repaired', async () => {
    const options = { clock, lost: () => {}, progress: () => {} };
    await assert.rejects(repairSpool(path.join(folder.path, 'none'), options), { code: 'NOT_FOUND' });
    await tamper((db) => db.del('l/mx:ready.test'));
    const spool = await openLevelSpool(levelOptions(folder.path, clock));
    await assert.rejects(repairSpool(folder.path, options), { code: 'SPOOL_LOCKED' });
    await spool.close();
  });
});
