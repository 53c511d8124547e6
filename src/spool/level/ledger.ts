/**
 * The books of an open spool: what is in memory, the numbers that go on, and what has to be told. Shared by the operations,
 * the readers and the spool itself; holds no policy of its own.
 *
 * The rule of readers: whoever reads the store across a turn of the event loop (refill, promotion, sweep) does so inside
 * `reading`, and believes nothing that it read about a delivery which is `live`, or which was touched by an operation that
 * was not told to be durable yet when the reading began: made or changed by it. What is written can be read before that is told, and
 * would come into memory twice. A reading that began later sees what came of it, and may believe that: else what an operation left on
 * disk for it would be nobody's.
 */
import type { DeliveryKey } from '../../core/delivery.js';
import type { LaneKey } from '../../core/lane.js';
import type { MessageId } from '../../core/message.js';
import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import type { Lease, SpoolEvents } from '../spool.js';
import type { Batch, Operation } from './batch.js';
import { sealNumbers } from './codec.js';
import type { Entry, HotBody } from './entry.js';
import { FORMAT_KEY } from './keys.js';
import type { LaneTable } from './lanes.js';
import type { Store } from './store.js';

export type Fault = Parameters<SpoolEvents['onFault']>[0];

export interface LedgerOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly hotBodyBytes: number;
  readonly keepHistory: boolean;
}

/** Later than any reading. */
const IN_FLIGHT = Number.POSITIVE_INFINITY;
/** Faults remembered as told. */
const MAX_TOLD = 10_000;

export class Ledger {
  readonly clock: Clock;
  readonly log: Log;
  readonly keepHistory: boolean;
  readonly lanes: LaneTable;
  /** Everything in memory: in windows, leased, being settled. */
  readonly live = new Map<DeliveryKey, Entry>();
  /** Raised by every reopening: what was read of an older one is void. */
  generation = 0;
  /** That the store has (`books.ts`). */
  format = 1;
  sequence = 0;
  messages = 0;
  /** What is stored about servers that messages brought along, by lane. */
  readonly servers = new Map<LaneKey, string>();
  /** The greatest message id accepted, '' for none. */
  lastId: MessageId = '';
  batches = 0;
  token = 0;
  /** Time of the newest history key: they never go back. */
  historyTime = 0;
  /** Deliveries that ended since ranges were last compacted. */
  consumed = 0;
  /** Timers that came due since theirs was. */
  promoted = 0;
  /** Keys that mean nothing any more (stale index entries, body files deleted): they ride along with the next batch. */
  rubbish: string[] = [];
  /** Messages whose deliveries are being put into their indexes: from this number on they are not (`large.ts`). */
  readonly indexing = new Map<MessageId, number>();
  /** Lanes to be told of after this commit. */
  readonly woken = new Set<LaneKey>();
  store: Store;
  submit: (operation: Operation) => void = () => {};
  timerAdded: (due: number) => void = () => {};
  dropBody: (place: string) => void = () => {};
  readonly #hotLimit: number;
  #hotBytes = 0;
  #readers = 0;
  /** Readings begun so far. */
  #begun = 0;
  /** Changed by the batch on its way (`IN_FLIGHT`), or since somebody reads: by how many readings had begun when that was durable. */
  readonly #touched = new Map<DeliveryKey, number>();
  #inFlight: DeliveryKey[] = [];
  #events: SpoolEvents | undefined;
  #untold: Fault[] = [];
  readonly #told = new Set<string>();

  constructor(store: Store, lanes: LaneTable, options: LedgerOptions) {
    this.store = store;
    this.lanes = lanes;
    this.clock = options.clock;
    this.log = options.log;
    this.keepHistory = options.keepHistory;
    this.#hotLimit = options.hotBodyBytes;
  }

  nextSequence(): number {
    return ++this.sequence;
  }

  /** History keys: the time of commit, never going back, so that a reader at the end misses nothing. */
  nextHistoryTime(now: number): number {
    if (now > this.historyTime) this.historyTime = now;
    return this.historyTime;
  }

  /** Something that a release of the format before would not heed is about to be written. */
  raiseFormat(batch: Batch, format: number, what: string): void {
    const from = this.format;
    const text = `for ${what} the spool is written in format ${format} from now on: a release that reads only format ${from} will refuse it`;
    this.log.warn('spool.format', { from, to: format }, text);
    this.format = format;
    batch.put(FORMAT_KEY, sealNumbers(FORMAT_KEY, [format]));
  }

  // — bodies in memory —

  heat(entry: Entry, hot: HotBody): void {
    if (hot.holders === 0) {
      if (this.#hotBytes + hot.sizeBytes > this.#hotLimit) return;
      this.#hotBytes += hot.sizeBytes;
    }
    hot.holders++;
    entry.hot = hot;
  }

  cool(entry: Entry): void {
    const { hot } = entry;
    if (hot === undefined) return;
    entry.hot = undefined;
    if (--hot.holders === 0) this.#hotBytes -= hot.sizeBytes;
  }

  // — entries —

  /** A committed entry of the ready index: into its window if it may. */
  offer(entry: Entry, hot: HotBody | undefined): void {
    if (this.lanes.offer(entry)) {
      this.live.set(entry.delivery.key, entry);
      if (hot !== undefined) this.heat(entry, hot);
    }
    this.woken.add(entry.lane.key);
  }

  /** It is no longer what it stood for. */
  forget(entry: Entry): void {
    entry.state = 'gone';
    entry.token = 0;
    this.cool(entry);
    if (entry.noted !== undefined) {
      for (const file of entry.noted) file.open--;
      entry.noted = undefined;
    }
    if (this.live.get(entry.delivery.key) === entry) this.live.delete(entry.delivery.key);
  }

  lease(entry: Entry): Lease {
    entry.state = 'leased';
    entry.token = ++this.token;
    entry.lane.leased++;
    this.lanes.leased++;
    return { token: entry.token, delivery: entry.delivery, bytes: entry.hot?.bytes };
  }

  /** The entry of a lease that is still held. */
  leased(lease: Lease): Entry | undefined {
    const entry = this.live.get(lease.delivery.key);
    return entry !== undefined && entry.state === 'leased' && entry.token === lease.token ? entry : undefined;
  }

  /** The lease ends; what becomes of the entry is the caller's. */
  unlease(entry: Entry): void {
    entry.token = 0;
    entry.lane.leased--;
    this.lanes.leased--;
  }

  // — readers —

  /** Returns the number of the reading. */
  startReading(): number {
    this.#readers++;
    return ++this.#begun;
  }

  endReading(): void {
    if (--this.#readers > 0) return;
    this.#touched.clear();
    for (const key of this.#inFlight) this.#touched.set(key, IN_FLIGHT);
  }

  async reading<T>(read: (reading: number) => Promise<T>): Promise<T> {
    const reading = this.startReading();
    try {
      return await read(reading);
    } finally {
      this.endReading();
    }
  }

  /** It is made or changed by the batch that is being built. */
  touch(key: DeliveryKey): void {
    this.#touched.set(key, IN_FLIGHT);
    this.#inFlight.push(key);
  }

  /** That batch is durable, or has failed. */
  landed(): void {
    const keys = this.#inFlight;
    this.#inFlight = [];
    for (const key of keys) {
      if (this.#readers > 0) this.#touched.set(key, this.#begun);
      else this.#touched.delete(key);
    }
  }

  /** What this reading found about it may be believed. */
  unknown(key: DeliveryKey, reading: number): boolean {
    return !this.live.has(key) && (this.#touched.get(key) ?? 0) < reading;
  }

  // — telling —

  listen(events: SpoolEvents): void {
    this.#events = events;
    const untold = this.#untold;
    this.#untold = [];
    for (const fault of untold) events.onFault(fault);
  }

  waiting(due: number): void {
    this.#events?.onWaiting(due);
  }

  wake(lane: LaneKey): void {
    if (!this.lanes.pauses.has(lane)) this.#events?.onReady(lane);
  }

  tellWoken(): void {
    if (this.woken.size === 0) return;
    const lanes = [...this.woken];
    this.woken.clear();
    for (const lane of lanes) this.wake(lane);
  }

  /** Told the first time only: what is looked at again and again. */
  faultOnce(fault: Fault): void {
    if (this.#told.has(fault.text)) return;
    if (this.#told.size < MAX_TOLD) this.#told.add(fault.text);
    this.fault(fault);
  }

  /** An event, and logged as one. */
  fault(fault: Fault): void {
    if (this.#events) this.#events.onFault(fault);
    else this.#untold.push(fault);
  }
}
