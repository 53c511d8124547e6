/**
 * Refilling windows: what of a lane is ready on disk comes into memory when its window runs low, from the cursor on. A few lanes
 * at a time; a lane that finds something is woken.
 */

import { unsealReady } from './codec.js';
import { deliveryKeyOf, sequence32, sequenceOf } from './keys.js';
import type { Lane } from './lanes.js';
import type { Ledger } from './ledger.js';
import { type Found, loadEntries, type Within } from './load.js';
import type { Window } from './window.js';

/** Lanes read at the same time. */
const AT_ONCE = 4;
/** Records read in one go. */
const PAGE = 200;
const AFTER_FAILURE_MS = 5000;

export class Refill {
  readonly #ledger: Ledger;
  readonly #waiting = new Set<Lane>();
  #running = 0;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Cheap; may be asked as often as one likes. False: it was in vain lately, or is not wanted while the lane is paused. */
  want(lane: Lane): boolean {
    if (lane.refilling) return true;
    if (lane.paused !== undefined) return false;
    if (lane.refillAfter > this.#ledger.clock.monotonic()) return false;
    lane.refilling = true;
    this.#waiting.add(lane);
    this.#start();
    return true;
  }

  /** The store was closed: what was asked for is asked again. */
  reset(): void {
    this.#waiting.clear();
  }

  #start(): void {
    for (const lane of this.#waiting) {
      if (this.#running >= AT_ONCE) return;
      this.#waiting.delete(lane);
      this.#running++;
      void this.#refill(lane);
    }
  }

  async #refill(lane: Lane): Promise<void> {
    const ledger = this.#ledger;
    const { generation } = ledger;
    try {
      for (let priority = 0; priority < 3; priority++) {
        const window = lane.windows?.[priority];
        while (window?.overflow && ledger.lanes.room(lane, priority) > 0 && generation === ledger.generation) {
          const limit = Math.min(ledger.lanes.room(lane, priority), PAGE);
          ledger.lanes.reserved += limit;
          await ledger
            .reading((reading) => this.#page(lane, priority, window, limit, { generation, reading }))
            .finally(() => {
              if (generation === ledger.generation) ledger.lanes.reserved -= limit;
            });
        }
      }
    } catch (error) {
      if (generation === ledger.generation) {
        lane.refillAfter = ledger.clock.monotonic() + AFTER_FAILURE_MS;
        ledger.fault({ code: 'SPOOL_FAILED', text: `cannot read what is ready: ${(error as Error).message}`, lane: lane.key });
      }
    } finally {
      this.#running--;
      if (generation === ledger.generation) {
        lane.refilling = false;
        // Also where nothing came: more urgent ones were waited for.
        if (lane.size > 0) ledger.wake(lane.key);
        // Something was left to the disk after its priority had been read; whoever asked for it meanwhile was told to wait.
        else if (lane.overflow) this.want(lane);
        ledger.lanes.release(lane);
      }
      this.#start();
    }
  }

  async #page(lane: Lane, priority: number, window: Window, limit: number, within: Within): Promise<void> {
    const ledger = this.#ledger;
    const { until } = window;
    const { generation, reading } = within;
    const page = await ledger.store.entries({
      gte: lane.readyPrefix(priority) + sequence32(window.from),
      lt: lane.readyEnd(priority),
      limit,
    });
    if (generation !== ledger.generation) return;
    const found: Found[] = [];
    let from = page.length === 0 ? window.from : sequenceOf(page[page.length - 1]![0]) + 1;
    let doubtful = false;
    for (const [indexKey, value] of page) {
      const entry = unsealReady(indexKey, value);
      if (entry === undefined) {
        ledger.fault({
          code: 'SPOOL_DAMAGED',
          text: `an entry of the ready index (${indexKey}) does not match its checksum: see \`riata spool check\``,
          lane: lane.key,
        });
        continue;
      }
      const key = deliveryKeyOf(entry.ordinal);
      const sequence = sequenceOf(indexKey);
      if (ledger.unknown(key, reading)) {
        found.push({ key, ordinal: entry.ordinal, lane, indexKey, version: entry.version, sequence, gate: 0 });
      } else if (!ledger.live.has(key)) {
        // Changed in this moment, and on disk only: it is read again.
        from = Math.min(from, sequence);
        doubtful = true;
      }
    }
    if (found.length > 0) await loadEntries(ledger, found, within, (entry) => ledger.lanes.insert(entry));
    if (generation !== ledger.generation) return;
    window.from = from;
    // Nothing was left behind, and nothing was added meanwhile: it is all in memory.
    if (page.length < limit && window.until === until && !doubtful) window.overflow = false;
  }
}
