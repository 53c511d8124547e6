/**
 * The front of lanes: what comes first and is due, handed out against a lease, and taken back. From what is in memory; where that runs low
 * it has more read.
 *
 * Promises: nothing is handed out before its time by the clock as it is now (G6), of a lane that is paused, or while the store fails.
 */
import type { DeliveryKey } from '../../core/delivery.js';
import type { LaneKey } from '../../core/lane.js';
import { PRIORITIES } from '../../core/message.js';
import type { Head, Lease, Place } from '../spool.js';
import type { Entry } from './entry.js';
import type { Health } from './health.js';
import type { Lane } from './lanes.js';
import type { Ledger } from './ledger.js';
import type { Refill } from './refill.js';
import { giveBackTaken } from './take.js';
import type { Timers } from './timers.js';

export class Front {
  readonly #ledger: Ledger;
  readonly #health: Health;
  readonly #refill: Refill;
  readonly #timers: Timers;

  constructor(ledger: Ledger, health: Health, refill: Refill, timers: Timers) {
    this.#ledger = ledger;
    this.#health = health;
    this.#refill = refill;
    this.#timers = timers;
  }

  head(key: LaneKey): Head | undefined {
    const lane = this.#ledger.lanes.get(key);
    if (lane === undefined) return undefined;
    const first = this.#first(lane);
    return first && { level: PRIORITIES[first.level]!, since: first.entry.delivery.due };
  }

  readyNow(key: LaneKey): number {
    const lane = this.#ledger.lanes.get(key);
    return lane === undefined || lane.paused !== undefined ? 0 : lane.size;
  }

  pull(key: LaneKey): Lease | undefined {
    const { lanes } = this.#ledger;
    const lane = lanes.get(key);
    if (lane === undefined) return undefined;
    const entry = this.#first(lane)?.entry;
    if (entry === undefined) return undefined;
    lanes.take(entry);
    if (lanes.runsLow(lane)) this.#refill.want(lane);
    return this.#ledger.lease(entry);
  }

  place(key: DeliveryKey): Place | undefined {
    const { live, lanes, clock } = this.#ledger;
    const entry = live.get(key);
    if (entry?.state !== 'window') return undefined;
    const { level, before } = lanes.before(entry, clock.now());
    return { level: PRIORITIES[level]!, before, exactly: !entry.lane.overflow };
  }

  giveBack(lease: Lease): void {
    const ledger = this.#ledger;
    const entry = ledger.leased(lease);
    if (entry === undefined) return;
    ledger.unlease(entry);
    if (entry.taken) {
      giveBackTaken(ledger, entry);
      return;
    }
    ledger.lanes.giveBack(entry);
    ledger.wake(entry.lane.key);
  }

  /** What comes first and is due by the clock as it is now. */
  #first(lane: Lane): { readonly entry: Entry; readonly level: number } | undefined {
    const { lanes, clock } = this.#ledger;
    if (!this.#health.open || lane.paused !== undefined) return undefined;
    const now = clock.now();
    for (;;) {
      const first = lanes.first(lane, now);
      if (first === undefined) {
        if (lane.overflow) this.#refill.want(lane);
        return undefined;
      }
      if (first.unread && this.#refill.want(lane)) return undefined;
      if (first.entry.gate <= now) return first;
      // The clock was set back since it came due (G6).
      this.#timers.notYet(first.entry);
    }
  }
}
