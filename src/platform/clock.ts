/** Time, as the agent sees it. The system's here; a virtual one stands in under simulation. */

export interface Timer {
  /** Does nothing if it has fired or was cancelled. */
  cancel(): void;
}

export interface Clock {
  /** Wall clock, epoch milliseconds: for what is written and compared with dates. */
  now(): number;
  /** Milliseconds from some start, never backwards: for durations and timeouts. */
  monotonic(): number;
  /** Calls once after `ms`. Long waits (over 2^31 ms) are clipped: the caller looks at the clock again. Does not keep the process alive. */
  after(ms: number, call: () => void): Timer;
}

const LONGEST_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, call) {
    const handle = setTimeout(call, Math.min(Math.max(ms, 0), LONGEST_MS));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};
