/**
 * The disk of the simulation: a memory spool whose writes take their time and go in groups, as a real one's do. What was not written when the
 * machine died is lost; what was written survives. For a while it may fail: nothing is taken, settlements wait, no dot may go out (G10).
 */
import type { NewDelivery } from '../../src/core/delivery.js';
import { MtaError } from '../../src/core/errors.js';
import type { Clock } from '../../src/platform/clock.js';
import { createMemorySpool, type MemoryDisk } from '../../src/spool/memory.js';
import type { Acceptance, Lease, Settlement, Spool, SpoolEvents } from '../../src/spool/spool.js';

export const INLINE_LIMIT = 2_000;
export const PROMOTE_AFTER_MS = 15 * 60_000;

/** Who watches what becomes durable. */
export interface DiskWatch {
  /** A group is about to be written; then it is. */
  writing(): void;
  written(): void;
  settled(lease: Lease, settlement: Settlement): void;
}

export interface DiskOptions {
  /** The agent's. */
  readonly clock: Clock;
  readonly disk: MemoryDisk;
  readonly watch: DiskWatch;
  /** How long the write that begins now will take. */
  readonly latencyMs: () => number;
}

export interface SimulatedSpool {
  readonly spool: Spool;
  readonly failing: boolean;
  /** True from now on, or no longer. */
  fail(failing: boolean): void;
  /** What is being written, or waits for it. */
  readonly unwritten: number;
}

export async function openSpool({ clock, disk, watch, latencyMs }: DiskOptions): Promise<SimulatedSpool> {
  const inner = await createMemorySpool({
    clock,
    disk,
    promoteAfterMs: PROMOTE_AFTER_MS,
    historyRetentionMs: 10 ** 12,
    inlineLimitBytes: INLINE_LIMIT,
  });
  let failing = false;
  let waiting: { readonly accept: boolean; readonly write: () => Promise<void>; readonly refuse: (error: Error) => void }[] = [];
  let gates: (() => void)[] = [];
  let armed = false;
  let events: SpoolEvents | undefined;

  const commit = async (): Promise<void> => {
    watch.writing();
    const group = waiting;
    waiting = [];
    await Promise.all(group.map(({ write }) => write()));
    armed = false;
    watch.written();
    arm();
  };
  const arm = () => {
    if (armed || failing || waiting.length === 0) return;
    armed = true;
    clock.after(latencyMs(), () => {
      if (failing) armed = false;
      else void commit();
    });
  };
  const durable = <T>(accept: boolean, write: () => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      waiting.push({ accept, write: () => write().then(resolve, reject), refuse: reject });
      arm();
    });
  const refusal = () => new MtaError('SPOOL_FAILED', 'the simulated disk fails');

  const own: Partial<Spool> = {
    closedFor: (sizeBytes) => (failing ? 'SPOOL_FAILED' : inner.closedFor(sizeBytes)),
    accept: (entry: Acceptance) => (failing ? Promise.reject(refusal()) : durable(true, () => inner.accept(entry))),
    // What a driver writes while the list comes in cannot be seen: here it is written when all is there.
    async acceptMerge({ deliveries, ...entry }) {
      const all: NewDelivery[] = [];
      for await (const delivery of deliveries) all.push(delivery);
      if (failing) throw refusal();
      return durable(true, () => inner.acceptMerge({ ...entry, deliveries: listed(all) }));
    },
    settle: (lease, settlement) =>
      durable(false, async () => {
        const held = await inner.settle(lease, settlement);
        if (held) watch.settled(lease, settlement);
        return held;
      }),
    setAside: (lease, reason) => durable(false, () => inner.setAside(lease, reason)),
    listen(given) {
      events = given;
      inner.listen(given);
    },
    // Nothing is handed out, nor shown to be there.
    lanes: () => (failing ? [] : inner.lanes()),
    head: (lane) => (failing ? undefined : inner.head(lane)),
    readyNow: (lane) => (failing ? 0 : inner.readyNow(lane)),
    pull: (lane) => (failing ? undefined : inner.pull(lane)),
    promote: () => (failing ? Promise.resolve(undefined) : inner.promote()),
    sweepReady: (...sweep) => (failing ? Promise.resolve() : inner.sweepReady(...sweep)),
    mayFinish: () => (failing ? new Promise<void>((resolve) => gates.push(resolve)) : inner.mayFinish()),
    async close() {
      while (armed || waiting.length > 0) await new Promise<void>((resolve) => void clock.after(1, resolve));
      await inner.close();
    },
  };
  const spool = new Proxy(inner, {
    get(target, name: keyof Spool) {
      const value: unknown = own[name] ?? target[name];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return {
    spool,
    get failing() {
      return failing;
    },
    get unwritten() {
      return waiting.length;
    },
    fail(now) {
      failing = now;
      if (failing) {
        const refused = waiting.filter(({ accept }) => accept);
        waiting = waiting.filter(({ accept }) => !accept);
        for (const { refuse } of refused) refuse(refusal());
      } else {
        arm();
        const open = gates;
        gates = [];
        for (const resolve of open) resolve();
        for (const lane of inner.lanes()) events?.onReady(lane);
        events?.onWaiting(clock.now());
      }
    },
  };
}

async function* listed(deliveries: readonly NewDelivery[]): AsyncGenerator<NewDelivery> {
  yield* deliveries;
}
