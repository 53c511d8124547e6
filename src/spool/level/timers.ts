/**
 * Timers: what waits for its time. `promote` walks the timer index from where it stopped last, puts what is due into
 * its lanes' windows (its timer key stays its index entry until it is settled), and moves what does not fit to the ready
 * index, a slice at a time.
 *
 * Promises: never early; a timer committed behind the cursor (latency, a clock set back) pulls the cursor back, so none is lost;
 * what is in memory already is left alone. A million that come due at once never hold the event loop for long.
 */
import type { DeliveryKey } from '../../core/delivery.js';
import { RECORD_WEIGHT } from './accept.js';
import type { Batch, Operation } from './batch.js';
import { sealMoved, type TimerEntry, unsealTimer } from './codec.js';
import type { Entry } from './entry.js';
import { AFTER_SLASH, deliveryKeyOf, LAST_TIME, sequence32, splitTimed, time32, unescapeLane } from './keys.js';
import type { Lane } from './lanes.js';
import type { Ledger } from './ledger.js';
import { type Found, loadEntries, type Within } from './load.js';
import { buildNext, unindex } from './settle.js';
import type { Window } from './window.js';

/** Timer entries looked at between two turns of the event loop. */
const SLICE = 500;

interface DueEntry {
  readonly key: DeliveryKey;
  readonly indexKey: string;
  readonly ordinal: string;
  readonly lane: Lane;
  readonly timer: TimerEntry;
}

export class Timers {
  readonly #ledger: Ledger;
  /** Nothing due before this is unexamined. */
  #cursor = 0;
  /** The next due time, as far as is known; LAST_TIME: none. */
  #next = 0;
  #running: Promise<number | undefined> | undefined;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** A timer was committed. */
  added(due: number): void {
    if (due < this.#cursor) this.#cursor = due;
    if (due < this.#next) this.#next = due;
    this.#ledger.waiting(due);
  }

  /** In a window, but the clock was set back: it waits again. One that was moved to the ready index goes back to the timers. */
  notYet(entry: Entry): void {
    const ledger = this.#ledger;
    ledger.lanes.take(entry);
    if (entry.byTimer) {
      ledger.lanes.demoted(entry);
      ledger.forget(entry);
      this.added(entry.gate);
    } else {
      entry.state = 'settling';
      ledger.submit(new WaitOperation(ledger, entry));
    }
  }

  /** The store was reopened: everything is examined again. */
  reset(): void {
    this.#cursor = 0;
    this.#next = 0;
  }

  promote(): Promise<number | undefined> {
    if (this.#running) return this.#running;
    if (this.#ledger.clock.now() < this.#next) return Promise.resolve(this.#nextDue());
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  #nextDue(): number | undefined {
    return this.#next >= LAST_TIME ? undefined : this.#next;
  }

  async #run(): Promise<number | undefined> {
    const ledger = this.#ledger;
    const { generation } = ledger;
    const upTo = Math.floor(ledger.clock.now());
    const from = this.#cursor;
    // From here on, commits lower both where they add something that this walk may have passed.
    this.#cursor = upTo + 1;
    this.#next = LAST_TIME;
    try {
      await this.#walk(from, upTo, generation);
      const [first] = await ledger.store.keys({ gte: `t/${time32(upTo + 1)}`, lt: `t${AFTER_SLASH}`, limit: 1 });
      if (generation === ledger.generation && first !== undefined) this.#next = Math.min(this.#next, splitTimed(first).at);
    } catch (error) {
      this.#cursor = Math.min(this.#cursor, from);
      this.#next = Math.min(this.#next, from);
      // The store went away under it: whoever reopens it asks again.
      if (generation === ledger.generation) throw error;
    }
    return this.#nextDue();
  }

  async #walk(from: number, upTo: number, generation: number): Promise<void> {
    const ledger = this.#ledger;
    let gte = `t/${time32(from)}`;
    const lt = `t/${time32(upTo + 1)}`;
    // While one slice is being written, the next one is read: two at a time.
    let before: Promise<void> = Promise.resolve();
    for (let done = false; !done; ) {
      const { page, taken } = await this.#slice(gte, lt, generation);
      done = page.length < SLICE || generation !== ledger.generation;
      gte = `${page.at(-1)?.[0]}\0`;
      // Told when it is awaited.
      taken.catch(() => {});
      await before;
      before = taken;
    }
    await before;
  }

  /** Reads a slice and begins to take it; what is touched from the reading to the end of that is remembered. */
  async #slice(gte: string, lt: string, generation: number): Promise<{ page: readonly [string, string][]; taken: Promise<void> }> {
    const ledger = this.#ledger;
    const within = { generation, reading: ledger.startReading() };
    try {
      const page = await ledger.store.entries({ gte, lt, limit: SLICE });
      const taken = generation === ledger.generation ? this.#take(page, within) : Promise.resolve();
      return { page, taken: taken.finally(() => ledger.endReading()) };
    } catch (error) {
      ledger.endReading();
      throw error;
    }
  }

  async #take(page: readonly [string, string][], within: Within): Promise<void> {
    const ledger = this.#ledger;
    ledger.promoted += page.length;
    const load: Found[] = [];
    const move: DueEntry[] = [];
    const taken = new Map<Window, number>();
    for (const [indexKey, value] of page) {
      const { at, ordinal } = splitTimed(indexKey);
      const key = deliveryKeyOf(ordinal);
      if (!ledger.unknown(key, within.reading)) continue;
      const timer = unsealTimer(indexKey, value);
      if (timer === undefined) {
        ledger.fault({
          code: 'SPOOL_DAMAGED',
          text: `the timer of delivery ${key} does not match its checksum: see \`riata spool check\``,
        });
        continue;
      }
      const lane = ledger.lanes.make(unescapeLane(timer.lane));
      const window = lane.window(timer.priority);
      const mine = taken.get(window) ?? 0;
      if (!window.overflow && ledger.lanes.room(lane, timer.priority) > mine) {
        taken.set(window, mine + 1);
        load.push({ key, ordinal, lane, indexKey, version: timer.version, sequence: 0, gate: at });
      } else {
        move.push({ key, indexKey, ordinal, lane, timer });
      }
    }
    const moved =
      move.length === 0
        ? undefined
        : new Promise<void>((resolve) => ledger.submit(new MoveOperation(ledger, move, within.reading, resolve)));
    if (load.length > 0) await this.#load(load, within);
    await moved;
  }

  async #load(load: readonly Found[], within: Within): Promise<void> {
    const ledger = this.#ledger;
    ledger.lanes.reserved += load.length;
    await loadEntries(ledger, load, within, (entry) => {
      ledger.lanes.insert(entry);
      ledger.woken.add(entry.lane.key);
    }).finally(() => {
      if (within.generation === ledger.generation) ledger.lanes.reserved -= load.length;
    });
    ledger.tellWoken();
  }
}

/** From the timer index to the ready index. The record is not rewritten: its key is found through the index. */
class MoveOperation implements Operation {
  readonly weight: number;
  readonly #ledger: Ledger;
  readonly #entries: readonly DueEntry[];
  readonly #reading: number;
  readonly #resolve: () => void;
  #moved: { lane: Lane; priority: number; sequence: number }[] = [];

  constructor(ledger: Ledger, entries: readonly DueEntry[], reading: number, resolve: () => void) {
    this.#ledger = ledger;
    this.#entries = entries;
    this.#reading = reading;
    this.#resolve = resolve;
    this.weight = entries.length * 200;
  }

  build(batch: Batch): void {
    const ledger = this.#ledger;
    this.#moved = [];
    batch.claimAll((about) => this.#entries.some((entry) => entry.ordinal === about));
    for (const { key, indexKey, ordinal, lane, timer } of this.#entries) {
      if (!ledger.unknown(key, this.#reading) || batch.isClaimed(ordinal)) continue;
      // Not touched: nobody else reads timers, and no reader of the ready index can have seen it there.
      const sequence = ledger.nextSequence();
      const { priority } = timer;
      const readyKey = lane.readyPrefix(priority) + sequence32(sequence);
      batch.del(indexKey);
      batch.put(readyKey, sealMoved(readyKey, ordinal, timer));
      lane.waiting--;
      lane.ready++;
      batch.count(lane);
      this.#moved.push({ lane, priority, sequence });
    }
  }

  committed(): void {
    const ledger = this.#ledger;
    for (const { lane, priority, sequence } of this.#moved) {
      ledger.lanes.spill(lane, priority, sequence);
      ledger.woken.add(lane.key);
    }
    this.#resolve();
  }

  /** The reopened store is walked again from the start. */
  failed(): 'drop' {
    this.#resolve();
    return 'drop';
  }
}

/** From the ready index back to the timers: its record says where it is, so it is a new version. */
class WaitOperation implements Operation {
  readonly weight = RECORD_WEIGHT;
  readonly #ledger: Ledger;
  readonly #entry: Entry;

  constructor(ledger: Ledger, entry: Entry) {
    this.#ledger = ledger;
    this.#entry = entry;
  }

  build(batch: Batch): void {
    const entry = this.#entry;
    const { recipients, attempts, log, delayNoticed, key } = entry.delivery;
    this.#ledger.touch(key);
    unindex(this.#ledger, batch, entry);
    buildNext(this.#ledger, batch, entry, { recipients, attempts, log, delayNoticed, next: { kind: 'retry', due: entry.gate } });
  }

  committed(): void {
    this.#ledger.forget(this.#entry);
    this.#ledger.timerAdded(this.#entry.gate);
  }

  failed(): 'drop' {
    this.#ledger.forget(this.#entry);
    return 'drop';
  }
}
