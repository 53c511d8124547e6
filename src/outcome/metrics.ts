/**
 * Counts of what happened since the start, and how fast it happens now. Fed by events, read by statistics.
 *
 * Promises: constant memory, constant time per event, no clock of its own: events carry their time. Rates are over
 * whole steps of the window, so they lag by at most one step.
 * Must not be relied on by anything but people: a restart begins at zero.
 */
import type { MailEvent, MailEventType } from '../core/event.js';
import { Histogram, type HistogramView } from '../platform/histogram.js';

export interface Metrics {
  /** To be called with every event. */
  observe(event: MailEvent): void;
  /** Flat and plain: counters since the start (`delivered`, `deferred.4.7` …), and `…PerMinute` over the last minute and hour. */
  snapshot(now: number): Readonly<Record<string, number>>;
  /** To be called with every transaction, and how long it took. */
  attempted(ms: number): void;
  measures(): Measures;
}

/** In milliseconds. */
export interface Measures {
  /** From when a message was accepted, or became due, to its delivery to a recipient. */
  readonly delivery: HistogramView;
  /** Of a transaction. */
  readonly attempt: HistogramView;
}

const DELIVERY_MS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 15_000, 60_000, 300_000, 1_800_000, 14_400_000, 86_400_000];
const ATTEMPT_MS = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 15_000, 60_000, 300_000];

const STEP_MS = 5_000;
const STEPS_IN_MINUTE = 60_000 / STEP_MS;
const STEPS_IN_HOUR = 60 * STEPS_IN_MINUTE;

/** Those of which a rate is kept. */
const RATED = ['accepted', 'delivered', 'deferred'] as const satisfies readonly MailEventType[];
const COUNTED = ['accepted', 'delivered', 'deferred', 'bounced', 'expired', 'removed', 'fault'] as const satisfies readonly MailEventType[];

export function createMetrics(): Metrics {
  const counts = new Map<string, number>(COUNTED.map((type) => [type, 0]));
  const rates = new Map<MailEventType, RateWindow>(RATED.map((type) => [type, new RateWindow()]));
  const delivery = new Histogram(DELIVERY_MS);
  const attempt = new Histogram(ATTEMPT_MS);
  const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);

  return {
    observe(event) {
      count(event.type);
      if (event.type === 'delivered') delivery.observe(event.delayMs);
      rates.get(event.type)?.count(event.at);
      // By class and subject only: there are at most nine of each, whatever remotes make up.
      if (event.type === 'deferred' || event.type === 'bounced' || event.type === 'expired') {
        const subject = /^[45]\.[0-7](?=\.)/.exec(event.status);
        count(`${event.type}.${subject ? subject[0] : 'other'}`);
      }
    },
    snapshot(now) {
      const all: Record<string, number> = Object.fromEntries(counts);
      for (const [type, window] of rates) {
        all[`${type}PerMinute`] = window.sum(now, STEPS_IN_MINUTE);
        all[`${type}PerMinuteOverHour`] = window.sum(now, STEPS_IN_HOUR) / 60;
      }
      return all;
    },
    attempted: (ms) => attempt.observe(ms),
    measures: () => ({ delivery: delivery.view(), attempt: attempt.view() }),
  };
}

/** Counts by step of time in a ring: one turn of it is an hour, and one step more for the one under way. */
class RateWindow {
  readonly #counts = new Uint32Array(STEPS_IN_HOUR + 1);
  /** The step that each place of the ring stands for. */
  readonly #steps = new Float64Array(STEPS_IN_HOUR + 1);

  count(at: number): void {
    const step = Math.floor(at / STEP_MS);
    const place = step % this.#counts.length;
    if (this.#steps[place] !== step) {
      this.#steps[place] = step;
      this.#counts[place] = 0;
    }
    this.#counts[place]!++;
  }

  /** Of the last `steps` whole steps before now. */
  sum(now: number, steps: number): number {
    const current = Math.floor(now / STEP_MS);
    let total = 0;
    for (let step = current - steps; step < current; step++) {
      const place = step % this.#counts.length;
      if (this.#steps[place] === step) total += this.#counts[place]!;
    }
    return total;
  }
}
