/**
 * The spool against a model: random histories of accepts, pulls, settlements, changes, promotions, failed writes and restarts, on the
 * LevelDB driver with tiny windows and beside it on plain maps. After every step what can be seen must be the same.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PRIORITIES } from '../../../src/core/message.js';
import { checkSpool } from '../../../src/spool/level/check.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import type { Lease, Spool } from '../../../src/spool/spool.js';
import { until } from '../../contract/spool.js';
import { acceptance, deferred, delivered } from '../../support/mail.js';
import fc from '../../support/properties.js';
import { createVirtualClock, type VirtualClock } from '../../support/virtual-clock.js';
import { type Faults, faultyStore, levelOptions, temporaryFolder } from './support.js';

const LANES = ['mx:one.test', 'mx:two.test'] as const;
const RUNS = Number(process.env['RIATA_MODEL_RUNS'] ?? 40);

type Step =
  | { readonly do: 'accept'; readonly lanes: 0 | 1 | 2; readonly priority: 0 | 1 | 2; readonly wait: number }
  | { readonly do: 'pull'; readonly lane: 0 | 1 }
  | {
      readonly do: 'settle';
      readonly which: number;
      readonly as: 'done' | 'ready' | 'retry';
      readonly wait: number;
      readonly fate: 'lost' | 'landed' | 'good';
    }
  | { readonly do: 'take'; readonly which: number }
  | { readonly do: 'giveBack'; readonly which: number }
  | { readonly do: 'setAside'; readonly which: number }
  | {
      readonly do: 'change';
      readonly which: number;
      readonly kind: 'remove' | 'retryNow' | 'reschedule' | 'hold' | 'release';
      readonly wait: number;
    }
  | { readonly do: 'failedAccept'; readonly fate: 'lost' | 'landed' }
  | { readonly do: 'pause'; readonly lane: 0 | 1; readonly on: boolean }
  | { readonly do: 'sweep' }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'restart' };

const small = fc.nat({ max: 20 });
const priority = fc.constantFrom<0 | 1 | 2>(0, 1, 2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('accept' as const),
      lanes: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
      priority,
      wait: fc.constantFrom(0, 0, 5, 12),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('pull' as const), lane: fc.constantFrom<0 | 1>(0, 1) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      which: small,
      as: fc.constantFrom('done' as const, 'ready' as const, 'retry' as const),
      wait: small,
      fate: fc.constantFrom('good' as const, 'good' as const, 'good' as const, 'lost' as const, 'landed' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('take' as const), which: small }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('giveBack' as const), which: small }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('setAside' as const), which: small }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('change' as const),
      which: small,
      kind: fc.constantFrom('remove' as const, 'retryNow' as const, 'reschedule' as const, 'hold' as const, 'release' as const),
      wait: small,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('failedAccept' as const), fate: fc.constantFrom('lost' as const, 'landed' as const) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('pause' as const), lane: fc.constantFrom<0 | 1>(0, 1), on: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('sweep' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: small }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
);

interface Known {
  lane: string;
  state: 'ready' | 'waiting' | 'held' | 'sending';
  /** What it was before it was leased for itself. */
  from?: 'ready' | 'waiting' | 'held' | undefined;
  due: number;
  attempts: number;
}

/** What must be seen. */
class Model {
  readonly queued = new Map<string, Known>();
  readonly done = new Set<string>();
  readonly leases: Lease[] = [];
  readonly paused = new Set<string>();

  promote(now: number): void {
    for (const one of this.queued.values()) if (one.state === 'waiting' && one.due <= now) one.state = 'ready';
  }

  endLeases(): void {
    this.leases.length = 0;
    for (const one of this.queued.values()) if (one.state === 'sending') this.unlease(one);
  }

  unlease(one: Known): void {
    one.state = one.from ?? 'ready';
    one.from = undefined;
  }

  end(key: string): void {
    this.queued.delete(key);
    this.done.add(key);
  }
}

async function take(spool: Spool, lane: string): Promise<Lease | undefined> {
  let lease: Lease | undefined;
  await until(() => (lease = spool.pull(lane)) !== undefined || ![...spool.lanes()].includes(lane));
  return lease;
}

class World {
  readonly clock: VirtualClock = createVirtualClock();
  readonly model = new Model();
  readonly #folder: string;
  readonly #faults: Faults;
  readonly #openStore: ReturnType<typeof faultyStore>['openStore'];
  spool!: Spool;

  constructor(folder: string) {
    this.#folder = folder;
    const { faults, openStore } = faultyStore();
    this.#faults = faults;
    this.#openStore = openStore;
  }

  async open(): Promise<void> {
    this.spool = await openLevelSpool(
      levelOptions(this.#folder, this.clock, { windowSize: 2, windowTotal: 5, openStore: this.#openStore }),
    );
    this.spool.listen({ onReady: () => {}, onWaiting: () => {}, onFault: (fault) => assert.equal(fault.code, 'SPOOL_FAILED') });
  }

  async #promote(): Promise<void> {
    await this.spool.promote();
    this.model.promote(this.clock.now());
  }

  #pick(which: number): string | undefined {
    const keys = [...this.model.queued.keys(), ...this.model.done];
    return keys[which % Math.max(keys.length, 1)];
  }

  #lease(which: number): Lease | undefined {
    const { leases } = this.model;
    return leases.length === 0 ? undefined : leases.splice(which % leases.length, 1)[0];
  }

  async run(one: Step): Promise<void> {
    const { spool, model, clock } = this;
    const now = clock.now();
    switch (one.do) {
      case 'accept': {
        const lanes = one.lanes === 2 ? [...LANES] : [LANES[one.lanes]!];
        const notBefore = one.wait === 0 ? 0 : now + one.wait;
        const mail = acceptance({ acceptedAt: now, priority: PRIORITIES[one.priority], notBefore }, lanes);
        await spool.accept(mail);
        for (const [n, lane] of lanes.entries())
          model.queued.set(`${mail.message.id}.${n}`, { lane, state: notBefore ? 'waiting' : 'ready', due: notBefore || now, attempts: 0 });
        return;
      }
      case 'failedAccept': {
        this.#faults.writes.push(one.fate);
        await assert.rejects(spool.accept(acceptance({ acceptedAt: now }, [...LANES])), { code: 'SPOOL_FAILED' });
        return this.#recovered();
      }
      case 'pull': {
        const lane = LANES[one.lane];
        const lease = await take(spool, lane);
        const expected =
          !model.paused.has(lane) && [...model.queued.values()].some((known) => known.lane === lane && known.state === 'ready');
        assert.equal(lease !== undefined, expected, `something is ready in ${lane}: ${expected}`);
        if (lease) this.#leased(lease);
        return;
      }
      case 'settle': {
        const lease = this.#lease(one.which);
        if (!lease) return;
        if (one.fate !== 'good') this.#faults.writes.push(one.fate);
        const { delivery } = lease;
        const due = one.as === 'retry' ? now + one.wait : undefined;
        assert.equal(await spool.settle(lease, one.as === 'done' ? delivered(delivery, now) : deferred(delivery, now, due)), true);
        const known = model.queued.get(delivery.key)!;
        if (one.as === 'done') model.end(delivery.key);
        else
          Object.assign(known, {
            state: due === undefined ? 'ready' : 'waiting',
            from: undefined,
            due: due ?? Math.min(known.due, now),
            attempts: known.attempts + 1,
          });
        return one.fate === 'good' ? undefined : this.#recovered();
      }
      case 'giveBack': {
        const lease = this.#lease(one.which);
        if (!lease) return;
        spool.giveBack(lease);
        model.unlease(model.queued.get(lease.delivery.key)!);
        // What was taken while it waited may have come due meanwhile.
        return this.#promote();
      }
      case 'take': {
        const key = this.#pick(one.which);
        if (key === undefined) return;
        const found = await spool.take(key);
        const known = model.queued.get(key);
        if (known === undefined || known.state === 'sending') assert.equal(found, known === undefined ? 'gone' : 'inFlight');
        else this.#leased(found as Lease, known.state);
        return;
      }
      case 'pause': {
        const lane = LANES[one.lane];
        if (one.on) await spool.pauseLane(lane, { at: now, reason: 'model' });
        else assert.equal(await spool.resumeLane(lane), model.paused.has(lane));
        if (one.on) model.paused.add(lane);
        else model.paused.delete(lane);
        // What had come due and is left to the disk comes due there.
        return this.#promote();
      }
      case 'setAside': {
        const lease = this.#lease(one.which);
        if (!lease) return;
        await spool.setAside(lease, 'unreadable');
        Object.assign(model.queued.get(lease.delivery.key)!, { state: 'held', from: undefined });
        return;
      }
      case 'change':
        return this.#change(one);
      case 'sweep': {
        await spool.sweepReady(
          () => true,
          (lease) => this.#leased(lease),
        );
        for (const known of model.queued.values()) assert.notEqual(known.state, 'ready', 'the sweep left something');
        return;
      }
      case 'pass': {
        await clock.advance(one.ms);
        return this.#promote();
      }
      case 'restart': {
        await spool.close();
        const report = await checkSpool(this.#folder);
        assert.deepEqual(report.problems, []);
        await this.open();
        model.endLeases();
        return this.#promote();
      }
    }
  }

  #leased(lease: Lease, from: 'ready' | 'waiting' | 'held' = 'ready'): void {
    const known = this.model.queued.get(lease.delivery.key);
    assert.equal(known?.state, from, `${lease.delivery.key} was handed out, and is ${known?.state ?? 'not there'}`);
    known.from = from;
    assert.equal(lease.delivery.attempts, known.attempts);
    known.state = 'sending';
    this.model.leases.push(lease);
  }

  async #recovered(): Promise<void> {
    await until(() => this.spool.closedFor(0) === undefined);
    await this.#promote();
  }

  async #change({ which, kind, wait }: Step & { do: 'change' }): Promise<void> {
    const { model, clock } = this;
    const key = this.#pick(which);
    if (key === undefined) return;
    const now = clock.now();
    const due = now + wait;
    const result = await this.spool.change(key, kind === 'reschedule' ? { kind, due } : { kind });
    const known = model.queued.get(key);
    assert.equal(result, known === undefined ? 'gone' : known.state === 'sending' ? 'inFlight' : 'done');
    if (known === undefined || known.state === 'sending') return;
    if (kind === 'remove') model.end(key);
    if (kind === 'hold') known.state = 'held';
    if (kind === 'release' && known.state === 'held') known.state = known.due > now ? 'waiting' : 'ready';
    if (kind === 'retryNow' && known.state !== 'ready') Object.assign(known, { state: 'ready', due: Math.min(known.due, now) });
    if (kind === 'reschedule') Object.assign(known, { state: known.state === 'held' ? 'held' : 'waiting', due });
    // What is rescheduled to now is due.
    await this.#promote();
  }

  /** What can be seen is what must be. */
  async compare(): Promise<void> {
    const { spool, model } = this;
    const counts = { ready: 0, waiting: 0, held: 0, sending: 0 };
    for (const known of model.queued.values()) {
      counts[known.state === 'sending' ? known.from! : known.state]++;
      if (known.state === 'sending') counts.sending++;
    }
    const seen = spool.counts();
    assert.deepEqual([...spool.pauses().keys()].sort(), [...model.paused].sort());
    assert.deepEqual({ ready: seen.ready, waiting: seen.waiting, held: seen.held, sending: seen.sending }, counts);
    assert.equal(seen.messages, new Set([...model.queued.keys()].map((key) => key.slice(0, -2))).size);
    const { items } = await spool.list({}, { limit: 1000 });
    const listed = items.map(({ delivery }) => [delivery.key, delivery.state, delivery.due, delivery.attempts]);
    // What is due is shown as ready, whether or not it was promoted yet.
    const shown = (known: Known) => (known.state === 'waiting' && known.due <= this.clock.now() ? 'ready' : known.state);
    const expected = [...model.queued].map(([key, known]) => [key, shown(known), known.due, known.attempts]);
    assert.deepEqual(
      listed,
      expected.sort((a, b) => (a[0]! < b[0]! ? -1 : 1)),
    );
    const history = await spool.history({ since: 0, limit: 1000 });
    assert.deepEqual(history.items.map((item) => item.delivery.key).sort(), [...model.done].sort());
  }
}

test('random histories look the same on the LevelDB driver and in a plain model', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const folder = await temporaryFolder();
      const world = new World(folder.path);
      try {
        await world.open();
        for (const one of steps) {
          await world.run(one);
          await world.compare();
        }
        await world.spool.close();
        assert.deepEqual((await checkSpool(folder.path)).problems, []);
      } finally {
        await world.spool.close();
        await folder.remove();
      }
    }),
    { numRuns: RUNS },
  );
});
