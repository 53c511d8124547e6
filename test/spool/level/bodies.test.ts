import assert from 'node:assert/strict';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { SpoolFs } from '../../../src/spool/level/body-file.js';
import type { LevelSpool } from '../../../src/spool/level/level-spool.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import type { LevelSpoolOptions } from '../../../src/spool/level/options.js';
import { type OpenStore, openLevelStore } from '../../../src/spool/level/store.js';
import type { StoredBody } from '../../../src/spool/spool.js';
import { bytesOf, pattern, until } from '../../contract/spool.js';
import { acceptance, delivered, message, nextId, recipient } from '../../support/mail.js';
import { createVirtualClock, type VirtualClock } from '../../support/virtual-clock.js';
import { faultyStore, levelOptions, temporaryFolder } from './support.js';

describe('bodies in files', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let clock: VirtualClock;
  let spool: LevelSpool;
  let faults: string[];

  const open = async (more: Partial<LevelSpoolOptions> = {}) => {
    spool = await openLevelSpool(levelOptions(folder.path, clock, more));
    faults = [];
    spool.listen({ onReady: () => {}, onWaiting: () => {}, onFault: (fault) => faults.push(fault.text) });
  };
  const reopen = async (more: Partial<LevelSpoolOptions> = {}) => {
    await spool.close();
    await open(more);
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

  const store = async (body: Buffer, id = nextId()): Promise<StoredBody> => {
    const writer = spool.writeBody({ id, sender: 'sender@example.com', recipients: ['user@one.test'] });
    await writer.write(body);
    const stored = await writer.finish();
    assert.ok(!Buffer.isBuffer(stored));
    return stored;
  };
  const accept = async (body: Buffer): Promise<{ id: string; place: string }> => {
    const about = message({ acceptedAt: clock.now(), sizeBytes: body.length });
    const stored = await store(body, about.id);
    await spool.accept({ message: about, deliveries: [{ lane: 'mx:one.test', recipients: [recipient('user@one.test')] }], body: stored });
    return { id: about.id, place: stored.place };
  };
  const files = async (): Promise<string[]> => {
    const root = path.join(folder.path, 'bodies');
    const all = await fsp.readdir(root, { recursive: true, withFileTypes: true });
    return all.filter((one) => one.isFile()).map((one) => one.name);
  };

  test('the file goes when its message has ended', async () => {
    const { id } = await accept(pattern(50_000));
    assert.deepEqual(await files(), [id]);
    const lease = spool.pull('mx:one.test')!;
    await spool.settle(lease, delivered(lease.delivery, clock.now()));
    while ((await files()).length > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await spool.readBody(id), undefined);
  });

  test('a file that could not be deleted is deleted at the next start, and nobody is alarmed', async () => {
    const { id, place } = await accept(pattern(50_000));
    const file = path.join(folder.path, 'bodies', place);
    const copy = await fsp.readFile(file);
    const lease = spool.pull('mx:one.test')!;
    await spool.settle(lease, delivered(lease.delivery, clock.now()));
    await spool.close();
    await fsp.writeFile(file, copy);
    await open();
    while ((await files()).includes(id)) await new Promise((resolve) => setImmediate(resolve));
    await spool.tidy();
    assert.deepEqual(faults, []);
  });

  test('tidying moves files without a record to lost/, tells whose they are, and deletes unfinished ones', async () => {
    const kept = await accept(pattern(50_000));
    const lost = await store(pattern(60_000));
    await fsp.writeFile(path.join(folder.path, 'bodies', `${lost.place}2.tmp`), 'half');
    await spool.tidy();
    assert.equal((await files()).length, 3, 'files of this start are left alone');
    await reopen();
    await spool.tidy();
    assert.deepEqual(await files(), [kept.id]);
    assert.equal(faults.length, 1);
    assert.match(faults[0]!, /from <sender@example\.com> to 1 recipients/);
    assert.deepEqual(await fsp.readdir(path.join(folder.path, 'lost')), [path.basename(lost.place)]);
    assert.ok((await bytesOf((await spool.readBody(kept.id))!)).equals(pattern(50_000)));
    await spool.tidy();
    assert.equal(faults.length, 1);
  });

  test('a body that is given up halfway leaves no file', async () => {
    const writer = spool.writeBody({ id: nextId(), sender: '', recipients: [] });
    await writer.write(pattern(500_000));
    writer.abort();
    while ((await files()).length > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test('the writer asks for a pause when the disk is slow, and memory stays bounded', async () => {
    let release: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const slow: SpoolFs = { ...fsp, open: (...args) => gate.then(() => fsp.open(...args)) };
    await reopen({ fs: slow });
    const writer = spool.writeBody({ id: nextId(), sender: '', recipients: [] });
    let accepted = 0;
    let pause: true | Promise<void> = true;
    while (pause === true && accepted < 100) {
      pause = writer.write(pattern(65_536));
      accepted++;
    }
    assert.ok(accepted < 10, `${accepted} blocks taken without a pause`);
    release();
    await pause;
    writer.abort();
  });

  test('a disk that fails is told by the writer, leaves nothing, and harms nobody else', async () => {
    let failing = true;
    const broken: SpoolFs = {
      ...fsp,
      open: async (...args) => {
        const handle = await fsp.open(...args);
        if (failing && String(args[0]).endsWith('.tmp')) {
          handle.writev = () => Promise.reject(Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }));
        }
        return handle;
      },
    };
    await reopen({ fs: broken });
    const writer = spool.writeBody({ id: nextId(), sender: '', recipients: [] });
    const write = async () => {
      for (let i = 0; i < 20; i++) await writer.write(pattern(65_536));
      await writer.finish();
    };
    await assert.rejects(write(), { code: 'SPOOL_FAILED' });
    while ((await files()).length > 0) await new Promise((resolve) => setImmediate(resolve));
    failing = false;
    const { id } = await accept(pattern(70_000));
    assert.ok((await bytesOf((await spool.readBody(id))!)).equals(pattern(70_000)));
  });

  test('one sync of the folder serves all whose names were there when it began, and nobody else', async () => {
    const told: string[] = [];
    let syncs = 0;
    const listening: SpoolFs = {
      ...fsp,
      rename: async (from, to) => {
        await fsp.rename(from, to);
        told.push(`named ${path.basename(String(to))}`);
      },
      open: async (...args) => {
        const handle = await fsp.open(...args);
        if (!/bodies.\d+$/.test(String(args[0]))) return handle;
        const sync = handle.sync.bind(handle);
        handle.sync = async () => {
          const number = ++syncs;
          told.push(`begun ${number}`);
          // The first one takes until all have their names.
          if (number === 1) await until(() => told.filter((one) => one.startsWith('named')).length === 30);
          await sync();
          told.push(`synced ${number}`);
        };
        return handle;
      },
    };
    await reopen({ fs: listening });
    const ids = Array.from({ length: 30 }, () => nextId());
    await Promise.all(
      ids.map(async (id) => {
        await store(pattern(100_000), id);
        told.push(`kept ${id}`);
      }),
    );
    for (const id of ids) {
      const named = told.indexOf(`named ${id}`);
      const kept = told.indexOf(`kept ${id}`);
      const between = told.slice(named + 1, kept);
      const whole = between.some((one) => one.startsWith('begun ') && between.includes(one.replace('begun', 'synced')));
      assert.ok(named >= 0 && whole, `${id} was said to be kept before its name was\n${told.join('\n')}`);
    }
    assert.equal(syncs, 2);
  });

  test('a body of any size is read back octet for octet, keeping its blocks or using their memory again', async () => {
    for (const size of [20_000, 65_536, 65_537, 4 * 65_536, 4 * 65_536 + 1, 8 * 65_536 - 1, 8 * 65_536, 9 * 65_536, 3_000_000]) {
      const body = pattern(size);
      const { id } = await accept(body);
      const stream = await spool.readBody(id);
      assert.ok(stream?.kind === 'stream');
      const kept: Buffer[] = [];
      for await (const block of stream.open()) kept.push(block);
      assert.ok(Buffer.concat(kept).equals(body), `${size}, kept`);
      const lease = spool.pull('mx:one.test')!;
      await reopen();
      await until(() => spool.head('mx:one.test') !== undefined);
      const again = spool.pull('mx:one.test')!;
      assert.equal(again.delivery.key, lease.delivery.key);
      const read = await spool.body(again);
      assert.ok(read.kind === 'stream');
      let at = 0;
      for await (const block of read.open({ reuse: true })) {
        assert.ok(block.equals(body.subarray(at, at + block.length)), `${size}, at ${at}`);
        at += block.length;
      }
      assert.equal(at, size);
      await spool.settle(again, delivered(again.delivery, clock.now()));
    }
  });

  test('bodies in memory have a cap; beyond it they are read back', async () => {
    await reopen({ hotBodyBytes: 25_000 });
    const bodies = [pattern(10_000), pattern(10_001), pattern(10_002)];
    for (const body of bodies) {
      const about = message({ acceptedAt: clock.now(), sizeBytes: body.length });
      await spool.accept({ message: about, deliveries: [{ lane: 'mx:one.test', recipients: [recipient('user@one.test')] }], body });
    }
    const leases = bodies.map(() => spool.pull('mx:one.test')!);
    assert.deepEqual(
      leases.map((lease) => lease.bytes?.length),
      [10_000, 10_001, undefined],
    );
    for (const [i, lease] of leases.entries()) assert.ok((await bytesOf(await spool.body(lease))).equals(bodies[i]!));
    for (const lease of leases) await spool.settle(lease, delivered(lease.delivery, clock.now()));
    const about = message({ acceptedAt: clock.now(), sizeBytes: 25_000 - 20_000 });
    await spool.accept({
      message: about,
      deliveries: [{ lane: 'mx:one.test', recipients: [recipient('user@one.test')] }],
      body: pattern(16_000),
    });
    assert.equal(spool.pull('mx:one.test')?.bytes?.length, 16_000, 'what ended gave its place back');
  });

  test('a body in a file is sent from memory where it was kept, and else read back; both are the same octets', async () => {
    let opened = 0;
    const counting: SpoolFs = {
      ...fsp,
      open: (...args) => {
        if (args[1] === 'r' && path.basename(String(args[0])).length === 26) opened++;
        return fsp.open(...args);
      },
    };
    await reopen({ hotBodyBytes: 500_000, fs: counting });
    const sent = async (body: Buffer): Promise<number> => {
      await accept(body);
      const before = opened;
      const lease = spool.pull('mx:one.test')!;
      assert.equal(lease.bytes, undefined);
      assert.ok((await bytesOf(await spool.body(lease))).equals(body));
      const reads = opened - before;
      await spool.settle(lease, delivered(lease.delivery, clock.now()));
      return reads;
    };
    // More than there is room for; then, since what ended gave its place back, as much as there is, again and again.
    assert.deepEqual([await sent(pattern(600_000)), await sent(pattern(400_000)), await sent(pattern(400_001))], [1, 0, 0]);
    const writer = spool.writeBody({ id: nextId(), sender: '', recipients: [] });
    await writer.write(pattern(450_000));
    assert.equal(await sent(pattern(200_000)), 1, 'what comes in beside it is in its place');
    writer.abort();
    assert.equal(await sent(pattern(200_000)), 0);
    const { id } = await accept(pattern(300_000));
    await reopen({ hotBodyBytes: 500_000, fs: counting });
    await until(() => spool.head('mx:one.test') !== undefined);
    const lease = spool.pull('mx:one.test')!;
    assert.equal(lease.delivery.message.id, id);
    assert.ok((await bytesOf(await spool.body(lease))).equals(pattern(300_000)));
  });

  test('blocks are cut by size, however the octets come', async () => {
    const body = pattern(3 * 65_536 + 17);
    for (const step of [977, 64_000, 65_535, 65_536, 65_537, 200_000]) {
      const about = message({ acceptedAt: clock.now(), sizeBytes: body.length });
      const writer = spool.writeBody({ id: about.id, sender: '', recipients: ['user@one.test'] });
      for (let at = 0; at < body.length; at += step) await writer.write(body.subarray(at, at + step));
      const stored = (await writer.finish()) as StoredBody;
      await spool.accept({ message: about, deliveries: [{ lane: 'mx:one.test', recipients: [recipient('user@one.test')] }], body: stored });
      assert.ok((await bytesOf((await spool.readBody(about.id))!)).equals(body), `in steps of ${step}`);
    }
  });

  test('intake closes below the mark of free space, and opens again above it', async () => {
    let free = 10_000_000;
    const files: SpoolFs = { ...fsp, statfs: (async () => ({ bavail: free, bsize: 1 })) as unknown as SpoolFs['statfs'] };
    await reopen({ fs: files, minFreeBytes: 4_000_000 });
    assert.equal(spool.closedFor(5_000_000), undefined);
    assert.equal(spool.closedFor(7_000_000), 'SPOOL_FULL');
    assert.deepEqual(faults, [], 'there is room for other mail');
    assert.equal(spool.counts().freeBytes, 6_000_000);
    free = 4_000_000;
    await clock.advance(20_000);
    await spool.accept(acceptance({ acceptedAt: clock.now() }));
    await until(() => spool.closedFor(1) === 'SPOOL_FULL');
    spool.closedFor(1);
    assert.equal(faults.length, 1, 'told once');
    assert.match(faults[0]!, /spool\.minFreeSpace/);
    free = 50_000_000;
    await clock.advance(1000);
    assert.equal(spool.closedFor(1), 'SPOOL_FULL', 'asking starts a measurement');
    await until(() => spool.closedFor(1) === undefined);
    free = 4_000_000;
    await clock.advance(20_000);
    await spool.accept(acceptance({ acceptedAt: clock.now() }));
    await until(() => spool.closedFor(1) === 'SPOOL_FULL');
    assert.equal(faults.length, 2, 'told anew');
  });

  test('on a full disk the space of what was delivered is given back, and intake opens by itself', async () => {
    let free = 10_000_000;
    const files: SpoolFs = { ...fsp, statfs: (async () => ({ bavail: free, bsize: 1 })) as unknown as SpoolFs['statfs'] };
    const openStore: OpenStore = async (place) => {
      const store = await openLevelStore(place);
      return {
        ...store,
        async compact(gte, lt) {
          free = 9_000_000;
          await store.compact(gte, lt);
        },
      };
    };
    await reopen({ fs: files, minFreeBytes: 4_000_000, openStore });
    await spool.accept(acceptance({ acceptedAt: clock.now() }));
    await clock.advance(20_000);
    free = 4_000_000;
    await spool.accept(acceptance({ acceptedAt: clock.now() }));
    await until(() => spool.closedFor(1) === 'SPOOL_FULL');
    for (let lease = spool.pull('mx:one.test'); lease; lease = spool.pull('mx:one.test')) {
      await spool.settle(lease, delivered(lease.delivery, clock.now()));
    }
    await clock.advance(2000);
    await until(() => spool.closedFor(1) === undefined);
    assert.equal(free, 9_000_000);
  });

  test('the ballast lies there where there is room, and is given up where there is need', async () => {
    const ballast = path.join(folder.path, 'ballast');
    const { faults: store, openStore } = faultyStore();
    await reopen({ minFreeBytes: 4_000_000, openStore });
    await spool.tidy();
    assert.equal((await fsp.stat(ballast)).size, 1_000_000);
    store.writes.push('lost');
    await assert.rejects(spool.accept(acceptance({ acceptedAt: clock.now() })));
    await until(() => spool.closedFor(0) === undefined);
    await assert.rejects(fsp.stat(ballast));
    await spool.tidy();
    assert.equal((await fsp.stat(ballast)).size, 1_000_000);
  });
});
