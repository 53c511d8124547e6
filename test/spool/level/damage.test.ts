import assert from 'node:assert/strict';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { checkSpool } from '../../../src/spool/level/check.js';
import { sealNumbers } from '../../../src/spool/level/codec.js';
import type { LevelSpool } from '../../../src/spool/level/level-spool.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import type { LevelSpoolOptions } from '../../../src/spool/level/options.js';
import type { Lease } from '../../../src/spool/spool.js';
import { bytesOf, pattern, until } from '../../contract/spool.js';
import { acceptance, delivered, idOf, message, recipient } from '../../support/mail.js';
import { createVirtualClock, type VirtualClock } from '../../support/virtual-clock.js';
import { levelOptions, temporaryFolder } from './support.js';

describe('a spool whose data is damaged', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let clock: VirtualClock;
  let spool: LevelSpool;
  let faults: { code: string; text: string }[];

  const open = async (more: Partial<LevelSpoolOptions> = {}) => {
    spool = await openLevelSpool(levelOptions(folder.path, clock, more));
    faults = [];
    spool.listen({ onReady: () => {}, onWaiting: () => {}, onFault: (fault) => faults.push(fault) });
  };
  const now = () => clock.now();
  const take = async (lane: string): Promise<Lease> => {
    let lease: Lease | undefined;
    await until(() => (lease = spool.pull(lane)) !== undefined);
    return lease!;
  };
  /** Changes the store behind the closed spool's back. */
  const tamper = async (change: (db: ClassicLevel<string, string>) => Promise<void>) => {
    await spool.close();
    const db = new ClassicLevel<string, string>(path.join(folder.path, 'store'));
    await db.open();
    await change(db);
    await db.close();
  };
  const flip = async (file: string, at: number) => {
    const bytes = await fsp.readFile(file);
    bytes[at]! ^= 1;
    await fsp.writeFile(file, bytes);
  };

  beforeEach(async () => {
    folder = await temporaryFolder();
    clock = createVirtualClock();
    await open();
  });
  afterEach(async () => {
    await spool.close();
    await folder.remove();
  });

  /** One bit of the value under a key. */
  const flipValue = (db: ClassicLevel<string, string>, key: string, at: number) =>
    db.get<string, Buffer>(key, { valueEncoding: 'buffer' }).then((value) => {
      assert.ok(value, `no ${key}`);
      value[at < 0 ? value.length + at : at]! ^= 1;
      return db.put<string, Buffer>(key, value, { valueEncoding: 'buffer' });
    });

  test('a flipped bit in a body is found before it is sent', async () => {
    const mail = acceptance({ acceptedAt: now() });
    await spool.accept(mail);
    await tamper((db) => flipValue(db, `b/${mail.message.id}`, -1));
    await open();
    const lease = await take('mx:one.test');
    await assert.rejects(spool.body(lease), { code: 'SPOOL_DAMAGED' });
    await assert.rejects(spool.readBody(mail.message.id), { code: 'SPOOL_DAMAGED' });
    await spool.setAside(lease, 'damaged');
    await spool.close();
    const report = await checkSpool(folder.path);
    assert.deepEqual(
      report.problems.map((one) => [one.code, one.id]),
      [['body', mail.message.id]],
    );
  });

  test('a body under another key than its own is damage', async () => {
    const one = acceptance({ acceptedAt: now() });
    const two = acceptance({ acceptedAt: now() }, ['mx:two.test'], Buffer.from('other'));
    await spool.accept(one);
    await spool.accept(two);
    await tamper(async (db) => {
      const value = await db.get<string, Buffer>(`b/${one.message.id}`, { valueEncoding: 'buffer' });
      await db.put<string, Buffer>(`b/${two.message.id}`, value!, { valueEncoding: 'buffer' });
    });
    await open();
    await assert.rejects(spool.body(await take('mx:two.test')), { code: 'SPOOL_DAMAGED' });
  });

  test('a damaged record is reported, held, and the others go on', async () => {
    const mails = [acceptance({ acceptedAt: now() }), acceptance({ acceptedAt: now() }), acceptance({ acceptedAt: now() })];
    for (const mail of mails) await spool.accept(mail);
    await tamper((db) => flipValue(db, `d/${mails[1]!.message.id}/0000`, 40));
    await open();
    const pulled = [await take('mx:one.test'), await take('mx:one.test')];
    assert.deepEqual(pulled.map(idOf), [mails[0]!.message.id, mails[2]!.message.id]);
    await until(() => spool.counts().held === 1);
    assert.equal(spool.pull('mx:one.test'), undefined);
    assert.deepEqual(
      faults.map((fault) => fault.code),
      ['SPOOL_DAMAGED'],
    );
    assert.match(faults[0]!.text, new RegExp(mails[1]!.message.id));
    const { items } = await spool.list({}, { limit: 10 });
    assert.deepEqual(
      items.map((item) => item.message.id),
      [mails[0]!.message.id, mails[2]!.message.id],
    );
    await assert.rejects(spool.change(`${mails[1]!.message.id}.0`, { kind: 'remove' }), { code: 'SPOOL_DAMAGED' });
    // Not found again and again.
    await spool.close();
    await open();
    await take('mx:one.test');
    await take('mx:one.test');
    await until(() => ![...spool.lanes()].includes('mx:one.test'));
    assert.deepEqual(faults, []);
  });

  test('a damaged record that comes due is reported, and the others go on', async () => {
    const mails = [0, 1, 2].map(() => acceptance({ acceptedAt: now(), notBefore: now() + 100 }));
    for (const mail of mails) await spool.accept(mail);
    await tamper((db) => flipValue(db, `d/${mails[0]!.message.id}/0000`, -5));
    await open();
    await clock.advance(100);
    await spool.promote();
    assert.deepEqual([idOf(await take('mx:one.test')), idOf(await take('mx:one.test'))], [mails[1]!.message.id, mails[2]!.message.id]);
    assert.equal(faults.length, 1);
  });

  test('the damaged record of a message takes none of its deliveries into a lane', async () => {
    const mail = acceptance({ acceptedAt: now() }, ['mx:one.test', 'mx:two.test']);
    const other = acceptance({ acceptedAt: now() });
    await spool.accept(mail);
    await spool.accept(other);
    await tamper((db) => flipValue(db, `m/${mail.message.id}`, 30));
    await open();
    assert.equal(idOf(await take('mx:one.test')), other.message.id);
    assert.equal(spool.pull('mx:one.test'), undefined);
    assert.equal(faults.length, 1);
    assert.equal(await spool.inspect(mail.message.id), undefined);
  });

  test('a lost count of open deliveries keeps the body for the others', async () => {
    const mail = acceptance({ acceptedAt: now() }, ['mx:one.test', 'mx:two.test']);
    await spool.accept(mail);
    await tamper((db) => flipValue(db, `o/${mail.message.id}`, -1));
    await open();
    const lease = await take('mx:one.test');
    await spool.settle(lease, delivered(lease.delivery, now()));
    assert.equal(faults.length, 1);
    assert.equal((await bytesOf(await spool.body(await take('mx:two.test')))).toString(), 'hello');
  });

  test('damaged counters are counted anew at the start', async () => {
    const held = acceptance({ acceptedAt: now() });
    await spool.accept(held);
    await spool.change(`${held.message.id}.0`, { kind: 'hold' });
    await spool.accept(acceptance({ acceptedAt: now() }));
    await spool.accept(acceptance({ acceptedAt: now(), notBefore: now() + 10 }));
    await spool.accept(acceptance({ acceptedAt: now() }, ['mx:two.test']));
    await tamper((db) => flipValue(db, 'l/mx:one.test', -1));
    await open();
    assert.deepEqual(
      [...spool.laneCounts()].sort((a, b) => (a.lane < b.lane ? -1 : 1)),
      [
        { lane: 'mx:one.test', ready: 1, waiting: 1, held: 1 },
        { lane: 'mx:two.test', ready: 1, waiting: 0, held: 0 },
      ],
    );
    assert.equal(spool.counts().messages, 4);
    await take('mx:one.test');
    await spool.close();
    assert.deepEqual((await checkSpool(folder.path)).problems, []);
  });

  test('a batch that is missing is told, once', async () => {
    for (let i = 0; i < 5; i++) await spool.accept(acceptance({ acceptedAt: now() }));
    await tamper(async (db) => {
      const [second] = await db
        .keys({ gte: 'x/ring/', lt: 'x/ring0' })
        .nextv(5)
        .then((keys) => keys.slice(2));
      await db.del(second!);
    });
    assert.deepEqual(
      (await checkSpool(folder.path)).problems.map((one) => one.code),
      ['batches'],
    );
    await open();
    assert.equal(faults.length, 1);
    assert.match(faults[0]!.text, /1 batches before number \d+ are missing/);
    await spool.close();
    await open();
    assert.deepEqual(faults, []);
  });

  test('a log that lost its end is told, though LevelDB does not notice', async () => {
    for (let i = 0; i < 20; i++) await spool.accept(acceptance({ acceptedAt: now() }, ['mx:one.test'], pattern(4000)));
    await spool.close();
    const store = path.join(folder.path, 'store');
    const logs = (await fsp.readdir(store)).filter((name) => name.endsWith('.log')).sort();
    const log = path.join(store, logs.at(-1)!);
    // What a disk does that takes back what it promised.
    await fsp.truncate(log, Math.floor((await fsp.stat(log)).size / 2));
    await open();
    assert.equal(faults.length, 1);
    assert.match(faults[0]!.text, /the last \d+ batches, which were durable, are missing/);
    const { items } = await spool.list({}, { limit: 100 });
    assert.ok(items.length > 5 && items.length < 20, `${items.length}`);
    for (const _ of items) assert.deepEqual(await bytesOf(await spool.body(await take('mx:one.test'))), pattern(4000));
  });

  test('a flipped bit in the middle of the log is told', async () => {
    for (let i = 0; i < 20; i++) await spool.accept(acceptance({ acceptedAt: now() }, ['mx:one.test'], pattern(4000)));
    await spool.close();
    const store = path.join(folder.path, 'store');
    const [log] = (await fsp.readdir(store))
      .filter((name) => name.endsWith('.log'))
      .sort()
      .reverse();
    await flip(path.join(store, log!), 40_000);
    await open();
    assert.ok(faults.length > 0);
    const seen: Buffer[] = [];
    for (const { message: about } of (await spool.list({}, { limit: 100 })).items)
      seen.push(await bytesOf((await spool.readBody(about.id))!));
    for (const body of seen) assert.ok(body.equals(pattern(4000)));
  });

  test('a flipped bit in a table never comes out as good', async () => {
    const mails = Array.from({ length: 50 }, () =>
      acceptance({ acceptedAt: now() }, ['mx:one.test'], Buffer.from(pattern(3000).toString('base64'))),
    );
    for (const mail of mails) await spool.accept(mail);
    await tamper((db) => db.compactRange('a', 'z'));
    const store = path.join(folder.path, 'store');
    const tables = (await fsp.readdir(store)).filter((name) => name.endsWith('.ldb'));
    for (const table of tables) {
      const size = (await fsp.stat(path.join(store, table))).size;
      for (let at = 1000; at < size - 2000; at += 7919) await flip(path.join(store, table), at);
    }
    await open().catch((error: { code: string }) => assert.match(error.code, /^SPOOL_/));
    if (spool.closedFor(0) === 'SPOOL_FAILED') return;
    const byId = new Map(mails.map((mail) => [mail.message.id, mail]));
    const { items } = await spool.list({}, { limit: 100 }).catch(() => ({ items: [] }));
    let bad = 0;
    for (const item of items) {
      const mail = byId.get(item.message.id)!;
      assert.deepEqual(item.message, mail.message);
      try {
        assert.ok((await bytesOf((await spool.readBody(item.message.id))!)).equals(mail.body as Buffer));
      } catch (error) {
        bad++;
        assert.match((error as { code: string }).code, /^SPOOL_/);
      }
    }
    assert.ok(bad > 0 || items.length < 50 || faults.length > 0);
  });

  test('each block of a body file is verified before it is handed out', async () => {
    const body = pattern(300_000);
    const about = message({ acceptedAt: now(), sizeBytes: body.length });
    const writer = spool.writeBody({ id: about.id, sender: about.sender, recipients: ['user@one.test'] });
    await writer.write(body);
    const stored = await writer.finish();
    assert.ok(!Buffer.isBuffer(stored));
    await spool.accept({ message: about, deliveries: [{ lane: 'mx:one.test', recipients: [recipient('user@one.test')] }], body: stored });
    const file = path.join(folder.path, 'bodies', stored.place);
    const read = async () => {
      let octets = 0;
      const got = await spool.readBody(about.id);
      assert.equal(got?.kind, 'stream');
      try {
        for await (const chunk of got.open()) {
          assert.ok(chunk.equals(body.subarray(octets, octets + chunk.length)));
          octets += chunk.length;
        }
      } catch (error) {
        assert.equal((error as { code: string }).code, 'SPOOL_DAMAGED');
        return octets;
      }
      return assert.fail('it came out as good');
    };
    const whole = await fsp.readFile(file);
    await flip(file, 150_000);
    assert.ok((await read()) <= 131_072);
    assert.deepEqual(
      (await (async () => (await spool.close(), await checkSpool(folder.path)))()).problems.map((one) => one.code),
      ['body'],
    );
    await open();
    await fsp.writeFile(file, whole.subarray(0, whole.length - 8));
    assert.ok((await read()) < body.length);
    // Two blocks that changed places.
    const head = whole.length - 300_000 - 8 * 6;
    const block = (n: number) => whole.subarray(head + n * 65_544, head + (n + 1) * 65_544);
    await fsp.writeFile(file, Buffer.concat([whole.subarray(0, head), block(1), block(0), whole.subarray(head + 2 * 65_544)]));
    assert.equal(await read(), 0);
    await fsp.rm(file);
    assert.equal(await read(), 0);
    await fsp.writeFile(file, whole);
    assert.ok((await bytesOf((await spool.readBody(about.id))!)).equals(body));
  });

  test('a store of a newer release is left alone, with a plain word', async () => {
    await spool.accept(acceptance({ acceptedAt: now() }));
    await tamper((db) => db.put('x/format', sealNumbers('x/format', [3])));
    await assert.rejects(open(), { code: 'SPOOL_VERSION', message: /has format 3, and this release reads up to 2/ });
    await assert.rejects(checkSpool(folder.path), { code: 'SPOOL_VERSION' });
    await tamper((db) => db.put('x/format', sealNumbers('x/format', [1])));
    await open();
    await take('mx:one.test');
  });

  test('a journal that was torn or altered says only what is whole', async () => {
    const mails = [0, 1, 2].map(() => acceptance({ acceptedAt: now() }));
    for (const mail of mails) await spool.accept(mail);
    const server = { host: 'mx.test', address: '192.0.2.1', port: 25 };
    for (const _ of mails) spool.note(await take('mx:one.test'), [{ kind: 'delivered', status: '2.0.0', text: 'Ok', server }]);
    assert.equal(spool.mayFinish(), true);
    await spool.close();
    const file = path.join(folder.path, 'journal-0');
    const lines = (await fsp.readFile(file, 'utf8')).split('\n');
    assert.equal(lines.length, 4);
    await fsp.writeFile(file, [lines[0], lines[1]!.replace('Ok', 'No'), lines[2]!.slice(0, -3)].join('\n'));
    await open();
    const left = [await take('mx:one.test'), await take('mx:one.test')];
    assert.deepEqual(left.map(idOf), [mails[1]!.message.id, mails[2]!.message.id]);
    assert.equal((await spool.inspect(mails[0]!.message.id))?.deliveries[0]?.state, 'done');
  });
});
