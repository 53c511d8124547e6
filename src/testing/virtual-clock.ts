/**
 * Time that passes only when a test says so. Timers fire one by one, in the order of their due times (those of one
 * moment in the order in which they were set), and between two of them everything that can run without the passing of
 * time has run: microtasks, `setImmediate`, local sockets a few turns of the loop away.
 */
import type { Clock } from '../platform/clock.js';

export interface VirtualClock extends Clock {
  /** Lets `ms` pass. Resolves when what that set going has settled. */
  advance(ms: number): Promise<void>;
  /** Goes from timer to timer until `done`. Throws when nothing is left to wait for, or after `maxMs` of virtual time (a day). */
  runUntil(done: () => boolean, maxMs?: number): Promise<void>;
  /** Somebody sets the wall clock, by so much: `monotonic` and timers do not notice. */
  step(ms: number): void;
  /** Timers that wait. */
  readonly pending: number;
}

interface Waiting {
  readonly due: number;
  readonly call: () => void;
  cancelled: boolean;
}

const TURNS = 4;
const FEW = 64;

/** Some turns of the event loop: what was ready to run has run, and what that made ready as well. */
export async function settle(turns: number = TURNS): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** `settled` decides what has to happen between two timers; a simulation with real disks waits for these, too. */
export function createVirtualClock(startMs: number = Date.UTC(2026, 0, 1), settled: () => Promise<void> = settle): VirtualClock {
  let elapsed = 0;
  let offset = startMs;
  /** Sorted by due time, the next one last. */
  let waiting: Waiting[] = [];
  /** Of those, how many wait for nothing any more. */
  let cancelled = 0;

  const next = () => {
    while (waiting.at(-1)?.cancelled) {
      waiting.pop();
      cancelled--;
    }
    return waiting.at(-1);
  };
  const fire = (timer: Waiting): Promise<void> => {
    waiting.pop();
    elapsed = Math.max(elapsed, timer.due);
    timer.cancelled = true;
    timer.call();
    return settled();
  };

  const cancel = (timer: Waiting) => {
    if (timer.cancelled) return;
    timer.cancelled = true;
    // Timers that are put off again and again would else be sorted among for as long as they were meant to wait.
    if (++cancelled <= FEW || cancelled * 2 <= waiting.length) return;
    waiting = waiting.filter((one) => !one.cancelled);
    cancelled = 0;
  };

  return {
    now: () => offset + elapsed,
    monotonic: () => elapsed,
    step: (ms) => void (offset += ms),
    get pending() {
      return waiting.filter((timer) => !timer.cancelled).length;
    },
    after(ms, call) {
      const timer: Waiting = { due: elapsed + Math.max(0, ms), call, cancelled: false };
      let low = 0;
      for (let high = waiting.length; low < high; ) {
        const middle = (low + high) >>> 1;
        if (waiting[middle]!.due > timer.due) low = middle + 1;
        else high = middle;
      }
      waiting.splice(low, 0, timer);
      return { cancel: () => cancel(timer) };
    },
    async advance(ms) {
      const end = elapsed + ms;
      await settled();
      for (let timer = next(); timer && timer.due <= end; timer = next()) await fire(timer);
      elapsed = Math.max(elapsed, end);
    },
    async runUntil(done, maxMs = 86_400_000) {
      const end = elapsed + maxMs;
      await settled();
      while (!done()) {
        const timer = next();
        if (!timer) throw new Error('nothing is left that could happen');
        if (timer.due > end) throw new Error(`not within ${maxMs} ms`);
        await fire(timer);
      }
    },
  };
}
