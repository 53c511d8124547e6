import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { checkSpool } from '../../../src/spool/level/check.js';
import type { LevelSpool } from '../../../src/spool/level/level-spool.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import type { LevelSpoolOptions } from '../../../src/spool/level/options.js';
import { type OpenStore, openLevelStore, type Store } from '../../../src/spool/level/store.js';
import type { Lease } from '../../../src/spool/spool.js';
import { until } from '../../contract/spool.js';
import { acceptance, deferred, delivered, idOf } from '../../support/mail.js';
import { createVirtualClock, type VirtualClock } from '../../support/virtual-clock.js';
import { faultyStore, levelOptions, temporaryFolder } from './support.js';

describe('more than fits into memory', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let clock: VirtualClock;
  let spool: LevelSpool;
  let ready: Set<string>;
  /** Keys read from the store since it was opened, by first letter. */
  let read: Map<string, number>;

  const counting: OpenStore = async (place) => {
    const store = await openLevelStore(place);
    const seen = (keys: readonly string[]) => {
      for (const key of keys) read.set(key[0]!, (read.get(key[0]!) ?? 0) + 1);
    };
    const entries: Store['entries'] = async (range) => {
      const page = await store.entries(range);
      seen(page.map(([key]) => key));
      return page;
    };
    return { ...store, entries, getMany: (keys) => (seen(keys), store.getMany(keys)) };
  };
  const open = async (more: Partial<LevelSpoolOptions> = {}) => {
    read = new Map();
    spool = await openLevelSpool(levelOptions(folder.path, clock, { openStore: counting, ...more }));
    ready = new Set();
    spool.listen({ onReady: (lane) => ready.add(lane), onWaiting: () => {}, onFault: (fault) => assert.fail(fault.text) });
  };
  const reopen = async (more: Partial<LevelSpoolOptions> = {}) => {
    await spool.close();
    await open(more);
  };
  const take = async (lane: string): Promise<Lease> => {
    let lease: Lease | undefined;
    await until(() => (lease = spool.pull(lane)) !== undefined);
    return lease!;
  };
  const acceptMany = async (count: number, make: (i: number) => ReturnType<typeof acceptance>) => {
    const mails = Array.from({ length: count }, (_, i) => make(i));
    await Promise.all(mails.map((mail) => spool.accept(mail)));
    return mails.map((mail) => mail.message.id);
  };
  const now = () => clock.now();

  beforeEach(async () => {
    folder = await temporaryFolder();
    clock = createVirtualClock();
    await open();
  });
  afterEach(async () => {
    await spool.close();
    const { problems } = await checkSpool(folder.path);
    await folder.remove();
    assert.deepEqual(problems, []);
  });

  test('5,000 in one lane come in order, with a window of 1,000 in memory and no key read twice', async () => {
    const ids = await acceptMany(5000, () => acceptance({ acceptedAt: now() }));
    assert.equal(spool.readyNow('mx:one.test'), 1000);
    const got: (string | undefined)[] = [];
    const settled: Promise<boolean>[] = [];
    for (let i = 0; i < 5000; i++) {
      const lease = await take('mx:one.test');
      assert.ok(spool.readyNow('mx:one.test') <= 1000);
      got.push(idOf(lease));
      settled.push(spool.settle(lease, delivered(lease.delivery, now())));
    }
    assert.deepEqual(got, ids);
    assert.ok((await Promise.all(settled)).every((done) => done));
    assert.equal(read.get('r'), 4000);
    assert.equal(spool.counts().messages, 0);
  });

  test('what is accepted while a lane is over its window comes after what is on disk', async () => {
    await reopen({ windowSize: 10 });
    const ids = await acceptMany(30, () => acceptance({ acceptedAt: now() }));
    const got: (string | undefined)[] = [];
    for (let i = 0; i < 60; i++) {
      got.push(idOf(await take('mx:one.test')));
      if (i < 30) {
        const late = acceptance({ acceptedAt: now() });
        ids.push(late.message.id);
        await spool.accept(late);
      }
    }
    assert.deepEqual(got, ids);
  });

  test('an urgent message passes a window full of others', async () => {
    await reopen({ windowSize: 10, windowTotal: 20 });
    await acceptMany(100, () => acceptance({ acceptedAt: now(), priority: 'low' }));
    const [high] = await acceptMany(1, () => acceptance({ acceptedAt: now(), priority: 'high' }));
    assert.equal(idOf(spool.pull('mx:one.test')), high);
    const [medium] = await acceptMany(1, () => acceptance({ acceptedAt: now() }));
    assert.equal(idOf(spool.pull('mx:one.test')), medium);
    // Urgent ones that only the disk has are waited for, not passed over.
    const highs = await acceptMany(50, () => acceptance({ acceptedAt: now(), priority: 'high' }));
    const got: (string | undefined)[] = [];
    for (let i = 0; i < 50; i++) got.push(idOf(await take('mx:one.test')));
    assert.deepEqual(got, highs);
  });

  test('full lanes leave a few places for every other lane', async () => {
    await reopen({ windowSize: 100, windowTotal: 150 });
    await acceptMany(100, () => acceptance({ acceptedAt: now() }, ['mx:big.test']));
    await acceptMany(100, () => acceptance({ acceptedAt: now() }, ['mx:large.test']));
    for (let lane = 0; lane < 20; lane++) {
      await acceptMany(6, () => acceptance({ acceptedAt: now() }, [`mx:small${lane}.test`]));
      assert.ok(spool.readyNow(`mx:small${lane}.test`) >= 4);
    }
    await reopen({ windowSize: 100, windowTotal: 150 });
    for (const lane of spool.lanes()) spool.head(lane);
    await until(() => [...spool.lanes()].every((lane) => spool.readyNow(lane) >= 4));
    let total = 0;
    for (const lane of spool.lanes()) total += spool.readyNow(lane);
    assert.ok(total <= 150 + 22 * 4, `${total} in memory`);
    for (let i = 0; i < 6; i++) await take('mx:small7.test');
  });

  test('paused lanes leave their places to the others, and give all they have in order when they are resumed (G8)', async () => {
    await reopen({ windowSize: 100, windowTotal: 150 });
    const LANE = 'mx:one.test';
    const pause = { at: now(), reason: '' };
    const first = await acceptMany(60, () => acceptance({ acceptedAt: now() }));
    await acceptMany(100, () => acceptance({ acceptedAt: now() }, ['mx:large.test']));
    const later = await acceptMany(60, (i) => acceptance({ acceptedAt: now(), notBefore: now() + 1000 + i }));
    await clock.advance(1030);
    await spool.promote();
    const sending = spool.pull(LANE)!;
    await spool.pauseLane(LANE, pause);
    await spool.pauseLane('mx:large.test', pause);
    await acceptMany(100, () => acceptance({ acceptedAt: now() }, ['mx:other.test']));
    assert.equal(spool.readyNow('mx:other.test'), 100);

    // What comes while it is paused stays on disk as well.
    await clock.advance(1000);
    await spool.promote();
    const last = await acceptMany(10, () => acceptance({ acceptedAt: now() }));
    assert.equal(spool.place(`${last[0]}.0`), undefined);
    const counts = () => [...spool.laneCounts()].find(({ lane }) => lane === LANE);
    assert.deepEqual(counts(), { lane: LANE, ready: 130, waiting: 0, held: 0, paused: pause });
    spool.giveBack(sending);
    await spool.resumeLane(LANE);
    await until(() => ready.has(LANE));
    const got: (string | undefined)[] = [];
    for (let i = 0; i < 130; i++) got.push(idOf(await take(LANE)));
    assert.deepEqual([got.slice(0, 60), new Set(got.slice(60, 120)), got.slice(120)], [first, new Set(later), last]);
    assert.equal(spool.pull(LANE), undefined);
  });

  test('a lane is told of when what it has on disk has been read', async () => {
    await acceptMany(3, () => acceptance({ acceptedAt: now() }));
    await reopen();
    assert.equal(spool.head('mx:one.test'), undefined);
    await until(() => ready.has('mx:one.test'));
    assert.equal(spool.readyNow('mx:one.test'), 3);
  });

  test('a start does not read the queue, whatever its depth', async () => {
    const COUNT = 6000;
    for (let at = 0; at < COUNT; at += 2000) {
      await acceptMany(2000, (i) =>
        acceptance({ acceptedAt: now(), notBefore: i % 2 ? now() + 1_000_000 : 0 }, [`mx:lane${(at + i) % 500}.test`]),
      );
    }
    await spool.close();
    await open();
    assert.equal((read.get('d') ?? 0) + (read.get('r') ?? 0) + (read.get('t') ?? 0) + (read.get('m') ?? 0), 0);
    assert.equal(spool.counts().waiting, COUNT / 2);
    assert.equal([...spool.lanes()].length, 250);
    assert.equal(await spool.promote(), now() + 1_000_000);
    assert.ok((read.get('t') ?? 0) <= 1);
  });

  test('many that come due at once are promoted in slices: windows first, the rest to the ready index, each once', async () => {
    await reopen({ windowSize: 100, windowTotal: 1000 });
    const COUNT = 6000;
    const ids = new Set(
      await acceptMany(COUNT, (i) => acceptance({ acceptedAt: now(), notBefore: now() + 1000 + (i % 7) }, [`mx:lane${i % 12}.test`])),
    );
    await clock.advance(2000);
    // How many in one turn of the event loop: nobody else gets theirs before it ends.
    let most = 0;
    let last = 0;
    let watching = true;
    const watch = () => {
      const { ready } = spool.counts();
      most = Math.max(most, ready - last);
      last = ready;
      if (watching) setImmediate(watch);
    };
    watch();
    assert.equal(await spool.promote(), undefined);
    watching = false;
    watch();
    // Two slices are under way at a time, and on a busy machine both may end in one turn.
    assert.ok(most <= 1000, `${most} of ${COUNT} in one turn`);
    let inMemory = 0;
    for (let lane = 0; lane < 12; lane++) inMemory += spool.readyNow(`mx:lane${lane}.test`);
    assert.ok(inMemory <= 1000 + 12 * 4, `${inMemory} in memory`);
    assert.equal(spool.counts().ready, COUNT);
    const settled: Promise<boolean>[] = [];
    for (let lane = 0; lane < 12; lane++) {
      for (let i = 0; i < COUNT / 12; i++) {
        const lease = await take(`mx:lane${lane}.test`);
        assert.ok(ids.delete(lease.delivery.message.id), 'handed out twice');
        settled.push(spool.settle(lease, delivered(lease.delivery, now())));
      }
    }
    await Promise.all(settled);
    assert.equal(ids.size, 0);
    assert.equal(spool.counts().messages, 0);
    await reopen();
    assert.deepEqual([...spool.lanes()], []);
  });

  test('what was moved to the ready index can be changed, and what it leaves there is dropped without a word', async () => {
    await reopen({ windowSize: 4, windowTotal: 4 });
    const ids = await acceptMany(40, () => acceptance({ acceptedAt: now(), notBefore: now() + 10 }));
    await clock.advance(10);
    await spool.promote();
    assert.equal(await spool.change(`${ids[30]}.0`, { kind: 'remove' }), 'done');
    assert.equal(await spool.change(`${ids[31]}.0`, { kind: 'hold' }), 'done');
    assert.equal(await spool.change(`${ids[32]}.0`, { kind: 'reschedule', due: now() + 1000 }), 'done');
    assert.equal(await spool.change(`${ids[33]}.0`, { kind: 'retryNow' }), 'done');
    assert.deepEqual([...spool.laneCounts()], [{ lane: 'mx:one.test', ready: 37, waiting: 1, held: 1 }]);
    const got = new Set<string | undefined>();
    for (let i = 0; i < 37; i++) got.add(idOf(await take('mx:one.test')));
    assert.deepEqual(
      [...got].sort(),
      ids.filter((_, i) => i < 30 || i > 32),
    );
    await until(() => ![...spool.lanes()].includes('mx:one.test'));
    await clock.advance(1000);
    await spool.promote();
    assert.equal(idOf(await take('mx:one.test')), ids[32]);
  });

  test('what was moved to the ready index waits again when the clock is set back', async () => {
    await reopen({ windowSize: 4, windowTotal: 4 });
    const due = now() + 1000;
    const ids = await acceptMany(20, () => acceptance({ acceptedAt: now(), notBefore: due }));
    await clock.advance(1000);
    await spool.promote();
    for (let i = 0; i < 4; i++) await spool.change(`${ids[i]}.0`, { kind: 'remove' });
    spool.head('mx:one.test');
    await until(() => spool.readyNow('mx:one.test') === 4);
    clock.step(-500);
    await until(() => {
      assert.equal(spool.pull('mx:one.test'), undefined);
      return spool.counts().waiting === 16;
    });
    assert.equal(await spool.change(`${ids[10]}.0`, { kind: 'remove' }), 'done');
    assert.equal(await spool.promote(), due);
    await clock.advance(500);
    await spool.promote();
    const got = new Set<string | undefined>();
    for (let i = 0; i < 15; i++) got.add(idOf(await take('mx:one.test')));
    assert.deepEqual(
      [...got].sort(),
      ids.filter((_, i) => i >= 4 && i !== 10),
    );
  });

  test('retries, changes and accepts between promotions and refills lose nothing and double nothing', async () => {
    await reopen({ windowSize: 5, windowTotal: 10 });
    const open = new Set(
      await acceptMany(200, (i) => acceptance({ acceptedAt: now(), notBefore: now() + (i % 20) }, [`mx:lane${i % 3}.test`])),
    );
    const leased = new Set<string>();
    let random = 7;
    const next = (below: number) => (random = (random * 1_103_515_245 + 12_345) % 2_147_483_648) % below;
    for (let step = 0; step < 4000 && open.size > 0; step++) {
      if (step % 7 === 0) await clock.advance(1);
      if (step % 5 === 0) void spool.promote();
      if (step % 11 === 0) await new Promise((resolve) => setImmediate(resolve));
      const lease = spool.pull(`mx:lane${next(3)}.test`);
      if (lease === undefined) {
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      const id = lease.delivery.message.id;
      assert.ok(open.has(id) && !leased.has(id), 'handed out twice');
      leased.add(id);
      const what = next(4);
      if (what === 0) {
        leased.delete(id);
        spool.giveBack(lease);
      } else if (what === 1) {
        open.delete(id);
        void spool.settle(lease, delivered(lease.delivery, now()));
      } else {
        void spool.settle(lease, deferred(lease.delivery, now(), what === 2 ? now() + next(5) : undefined)).then(() => leased.delete(id));
        // Its next version may be pulled from the moment it is durable, which is before we are told.
        leased.delete(id);
      }
    }
    // Nothing was lost: what is still open comes, each once.
    await clock.advance(100);
    await until(() => spool.counts().sending === 0);
    await spool.promote();
    for (const lane of ['mx:lane0.test', 'mx:lane1.test', 'mx:lane2.test']) {
      while ([...spool.lanes()].includes(lane)) {
        const lease = spool.pull(lane);
        if (lease) assert.ok(open.delete(lease.delivery.message.id), 'handed out twice');
        if (lease) await spool.settle(lease, delivered(lease.delivery, now()));
        else await new Promise((resolve) => setImmediate(resolve));
      }
    }
    assert.deepEqual([...open], []);
    assert.equal(spool.counts().messages, 0);
  });

  test('what is moved to disk while its lane is being read is not left lying when nobody asks again', async () => {
    await acceptMany(1, () => acceptance({ acceptedAt: now(), priority: 'low' }));
    const low = spool.pull('mx:one.test')!;
    const due = now() + 10;
    const [late] = await acceptMany(1, () => acceptance({ acceptedAt: now(), notBefore: due }));
    await spool.close();
    // Reading waits for `read`, writing for `written`.
    const gates: (() => void)[] = [];
    const { faults, openStore } = faultyStore();
    let gated = false;
    await open({
      openStore: async (place) => {
        const store = await openStore(place);
        const entries: Store['entries'] = async (range) => {
          if (gated && range.gte.startsWith('r/')) await new Promise<void>((resolve) => gates.push(resolve));
          return store.entries(range);
        };
        return { ...store, entries };
      },
    });
    await clock.advance(10);
    await spool.change(low.delivery.key, { kind: 'remove' });
    gated = true;
    assert.equal(spool.head('mx:one.test'), undefined);
    // The lane is being read from the top; what comes due must go to disk, behind it.
    let release: () => void = () => {};
    faults.hold = new Promise((resolve) => {
      release = resolve;
    });
    const promoted = spool.promote();
    for (const _ of ['high', 'medium']) {
      await until(() => gates.length === 1);
      gates.shift()!();
    }
    await until(() => gates.length === 1);
    release();
    await promoted;
    gated = false;
    ready.clear();
    gates.shift()!();
    await until(() => ready.has('mx:one.test'));
    assert.equal(idOf(spool.pull('mx:one.test')), late);
  });

  test('tidying forgets history beyond its size, oldest first', async () => {
    await reopen({ historyMaxBytes: 150_000 });
    let last = '';
    for (let hour = 0; hour < 6; hour++) {
      const ids = await acceptMany(150, () => acceptance({ acceptedAt: now(), sender: `${'x'.repeat(200)}@${hour}.test` }));
      for (const _ of ids) {
        const lease = await take('mx:one.test');
        last = lease.delivery.message.id;
        void spool.settle(lease, delivered(lease.delivery, now()));
      }
      await until(() => spool.counts().messages === 0);
      await clock.advance(3_600_000);
    }
    // Sizes are of what is in tables: what is in the log goes there when the store is opened again.
    await reopen({ historyMaxBytes: 50_000 });
    await spool.tidy();
    const { items } = await spool.history({ since: 0, limit: 1000 });
    assert.ok(items.length < 900, `${items.length} left`);
    assert.ok(items.length === 0 || items.at(-1)!.message.id === last);
  });
});
