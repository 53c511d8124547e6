/**
 * The memory driver: the whole contract without a disk, for tests and simulation. What would survive is in its `MemoryDisk`:
 * hand the same one to the next spool, and it goes on from there, as after a restart.
 *
 * It keeps the promises of `spool.ts` but for the bound on memory, and durability beyond its disk. Writes take a microtask,
 * so nothing is told before the caller has gone on.
 */
import type { DeliveryKey, NewDelivery } from '../core/delivery.js';
import { MtaError } from '../core/errors.js';
import type { LaneKey } from '../core/lane.js';
import { type Body, type MergeCopy, type MessageId, PRIORITIES } from '../core/message.js';
import type { RecipientOutcome } from '../core/outcome.js';
import type { Clock } from '../platform/clock.js';
import { Histogram } from '../platform/histogram.js';
import { MemoryBooks } from './memory-books.js';
import { bodyOf, type Item, MemoryDisk } from './memory-disk.js';
import { MemoryLanes } from './memory-lanes.js';
import {
  type Acceptance,
  type AcceptedOnce,
  type BodyWriter,
  type Change,
  type ChangeResult,
  COMMIT_MS,
  COMMIT_OPERATIONS,
  type CommitMeasures,
  type Head,
  type LaneCounts,
  type Lease,
  type MergeAcceptance,
  type MessageQuery,
  type MessageSummary,
  type MessageView,
  type Page,
  type Pause,
  type Place,
  type Query,
  type Settlement,
  type Spool,
  type SpoolCounts,
  type SpoolEvents,
  SWEPT_AT_ONCE,
} from './spool.js';
import { asideVersion, changedVersion, isConsistent, type NextVersion, notedOutcome, reroutedParts } from './versions.js';

export { MemoryDisk };

export interface MemorySpoolOptions {
  readonly clock: Clock;
  /** G4: waiting this long raises a delivery one level. */
  readonly promoteAfterMs: number;
  /** 0: no history. */
  readonly historyRetentionMs: number;
  /** Bodies above this are read as streams. */
  readonly inlineLimitBytes: number;
  /** What survives; default: nothing of before. */
  readonly disk?: MemoryDisk;
}

export async function createMemorySpool(options: MemorySpoolOptions): Promise<Spool> {
  const disk = options.disk ?? new MemoryDisk();
  if (disk.owned) throw new MtaError('SPOOL_LOCKED', 'another spool has this disk');
  disk.owned = true;
  return new MemorySpool(options, disk);
}

class MemorySpool implements Spool {
  readonly driver = 'memory';
  readonly #options: MemorySpoolOptions;
  readonly #clock: Clock;
  readonly #disk: MemoryDisk;
  readonly #lanes: MemoryLanes;
  readonly #books: MemoryBooks;
  #token = 0;
  #leased = 0;
  #places = 0;
  #events: SpoolEvents | undefined;
  #closed = false;

  constructor(options: MemorySpoolOptions, disk: MemoryDisk) {
    this.#options = options;
    this.#clock = options.clock;
    this.#disk = disk;
    this.#lanes = new MemoryLanes(disk, options.clock, options.promoteAfterMs);
    this.#books = new MemoryBooks({
      disk,
      lanes: this.#lanes,
      clock: options.clock,
      keepHistory: options.historyRetentionMs > 0,
      changed: (item) => this.#tell(item),
    });
    this.#books.recover();
  }

  // — intake —

  closedFor(): 'SPOOL_FAILED' | undefined {
    return this.#closed ? 'SPOOL_FAILED' : undefined;
  }

  writeBody({ id }: { readonly id: MessageId }): BodyWriter {
    return this.#disk.writer(`${++this.#places}/${id}`, this.#options.inlineLimitBytes);
  }

  lastId(): MessageId | undefined {
    return this.#disk.lastId || undefined;
  }

  async accept(entry: Acceptance): Promise<void> {
    if (this.#closed) throw closedError();
    if (entry.deliveries.length === 0) throw new RangeError('a message has at least one delivery');
    await Promise.resolve();
    this.#books.accept(entry);
  }

  async acceptMerge({ deliveries, once, ...entry }: MergeAcceptance): Promise<number> {
    const all: NewDelivery[] = [];
    for await (const delivery of deliveries) all.push(delivery);
    await this.accept({ ...entry, deliveries: all, ...(once === undefined ? {} : { once: once() }) });
    return all.length;
  }

  async once(key: string): Promise<AcceptedOnce | undefined> {
    if (this.#closed) throw closedError();
    await Promise.resolve();
    const kept = this.#disk.once.get(key);
    return kept === undefined || kept.until <= this.#clock.now() ? undefined : kept.accepted;
  }

  server(lane: LaneKey): string | undefined {
    return this.#disk.servers.get(lane);
  }

  #tell(item: Item): void {
    if (item.state === 'ready' && !this.#disk.pauses.has(item.delivery.lane)) this.#events?.onReady(item.delivery.lane);
    if (item.state === 'waiting') this.#events?.onWaiting(item.delivery.due);
  }

  // — scheduling —

  listen(events: SpoolEvents): void {
    this.#events = events;
  }

  lanes(): Iterable<LaneKey> {
    return this.#lanes.ready();
  }

  head(lane: LaneKey): Head | undefined {
    const first = this.#lanes.first(lane);
    return first && { level: PRIORITIES[first.level]!, since: first.item.delivery.due };
  }

  readyNow(lane: LaneKey): number {
    return this.#lanes.readyNow(lane);
  }

  pull(lane: LaneKey): Lease | undefined {
    const first = this.#closed ? undefined : this.#lanes.first(lane);
    return first && this.#lease(first.item);
  }

  #lease(item: Item): Lease {
    item.token = ++this.#token;
    this.#leased++;
    const { delivery, token } = item;
    const { body } = this.#disk.messages.get(delivery.message.id)!;
    const inMemory = body.length <= this.#options.inlineLimitBytes && delivery.message.merge === undefined;
    return { token, delivery, bytes: inMemory ? body : undefined };
  }

  place(key: DeliveryKey): Place | undefined {
    return this.#lanes.place(key);
  }

  #leaseOf(lease: Lease): Item | undefined {
    const item = this.#disk.items.get(lease.delivery.key);
    return !this.#closed && item !== undefined && item.token === lease.token && !item.settling ? item : undefined;
  }

  giveBack(lease: Lease): void {
    const item = this.#leaseOf(lease);
    if (item === undefined) return;
    item.token = 0;
    this.#leased--;
    this.#tell(item);
  }

  async promote(): Promise<number | undefined> {
    await Promise.resolve();
    const now = this.#clock.now();
    let next: number | undefined;
    for (const item of this.#disk.items.values()) {
      // The clock may have been set back since it came due (G6).
      if (item.state === 'ready' && item.token === 0 && item.gate > now) item.state = 'waiting';
      if (item.state !== 'waiting') continue;
      if (item.delivery.due > now) {
        next = Math.min(next ?? item.delivery.due, item.delivery.due);
      } else {
        item.state = 'ready';
        item.sequence = ++this.#disk.sequence;
        this.#tell(item);
      }
    }
    return next;
  }

  // — delivery —

  async body(lease: Lease): Promise<Body> {
    const stored = this.#disk.messages.get(lease.delivery.message.id);
    if (stored === undefined) throw new MtaError('SPOOL_DAMAGED', `the body of ${lease.delivery.message.id} is missing`);
    return bodyOf(stored, this.#options.inlineLimitBytes);
  }

  async copy(key: DeliveryKey): Promise<MergeCopy | undefined> {
    return this.#disk.copies.get(key);
  }

  note(lease: Lease, outcomes: readonly RecipientOutcome[]): void {
    const item = this.#leaseOf(lease);
    if (item)
      this.#disk.notes.set(item.delivery.key, { version: item.version, at: this.#clock.now(), outcomes: outcomes.map(notedOutcome) });
  }

  mayFinish(): true | Promise<void> {
    return this.#closed ? Promise.reject(closedError()) : true;
  }

  async settle(lease: Lease, settlement: Settlement): Promise<boolean> {
    if (this.#closed) throw closedError();
    const item = this.#leaseOf(lease);
    if (item === undefined) return false;
    if (!isConsistent(settlement, item.delivery)) throw new RangeError(`the settlement of ${item.delivery.key} contradicts itself`);
    await this.#end(item, settlement, settlement.reports);
    return true;
  }

  async setAside(lease: Lease, reason: string): Promise<void> {
    const item = this.#leaseOf(lease);
    if (item) await this.#end(item, asideVersion(item.delivery, reason, this.#clock.now()));
  }

  async #end(item: Item, to: NextVersion, reports: readonly Acceptance[] = []): Promise<void> {
    item.settling = true;
    await Promise.resolve();
    item.settling = false;
    item.token = 0;
    this.#leased--;
    this.#books.become(item, to);
    // One write (G2): nothing comes between.
    for (const report of reports) this.#books.accept(report);
  }

  async sweepReady(...[wants, take]: Parameters<Spool['sweepReady']>): Promise<void> {
    await Promise.resolve();
    let taken: (void | Promise<void>)[] = [];
    for (const item of [...this.#disk.items.values()]) {
      if (this.#closed) return;
      const { message, delayNoticed } = item.delivery;
      if (!this.#lanes.isFree(item) || this.#disk.items.get(item.delivery.key) !== item) continue;
      if (!wants({ expiresAt: message.expiresAt, acceptedAt: message.acceptedAt, delayNoticed })) continue;
      taken.push(take(this.#lease(item)));
      if (taken.length < SWEPT_AT_ONCE) continue;
      await Promise.all(taken);
      taken = [];
    }
    await Promise.all(taken);
  }

  // — looking and operating —

  async inspect(id: MessageId, page?: Parameters<Spool['inspect']>[1]): Promise<MessageView | undefined> {
    return this.#disk.inspect(id, page);
  }

  async readBody(id: MessageId): Promise<Body | undefined> {
    const stored = this.#disk.messages.get(id);
    return stored && bodyOf(stored, this.#options.inlineLimitBytes);
  }

  async list(query: Query, page: { readonly limit: number; readonly after?: string }): ReturnType<Spool['list']> {
    return this.#disk.list(query, page);
  }

  async messages(query: MessageQuery, page: { readonly limit: number; readonly after?: string }): Promise<Page<MessageSummary>> {
    return this.#disk.listMessages(query, page);
  }

  async change(key: DeliveryKey, change: Change): Promise<ChangeResult> {
    if (this.#closed) throw closedError();
    await Promise.resolve();
    const item = this.#disk.items.get(key);
    if (item === undefined) return 'gone';
    if (item.token !== 0) return 'inFlight';
    if (change.kind === 'reroute') {
      const parts = reroutedParts(item.delivery, item.state, change.laneOf);
      if (parts) this.#books.split(item, parts);
      return 'done';
    }
    const to = changedVersion(item.delivery, item.state, change, this.#clock.now());
    if (to) this.#books.become(item, to);
    return 'done';
  }

  async take(key: DeliveryKey): Promise<Lease | 'inFlight' | 'gone'> {
    if (this.#closed) throw closedError();
    await Promise.resolve();
    const item = this.#disk.items.get(key);
    if (item === undefined) return 'gone';
    return item.token === 0 ? this.#lease(item) : 'inFlight';
  }

  async pauseLane(lane: LaneKey, pause: Pause): Promise<void> {
    if (this.#closed) throw closedError();
    await Promise.resolve();
    this.#disk.pauses.set(lane, pause);
  }

  async resumeLane(lane: LaneKey): Promise<boolean> {
    if (this.#closed) throw closedError();
    await Promise.resolve();
    if (!this.#disk.pauses.delete(lane)) return false;
    if (this.#lanes.first(lane)) this.#events?.onReady(lane);
    return true;
  }

  pauses(): ReadonlyMap<LaneKey, Pause> {
    return this.#disk.pauses;
  }

  counts(): SpoolCounts {
    const counts = { ready: 0, waiting: 0, held: 0 };
    for (const item of this.#disk.items.values()) counts[item.state]++;
    return { messages: this.#disk.messages.size, ...counts, sending: this.#leased, lanes: this.#lanes.size };
  }

  commits(): CommitMeasures {
    return { commitMs: new Histogram(COMMIT_MS).view(), commitOperations: new Histogram(COMMIT_OPERATIONS).view() };
  }

  async oldest(): ReturnType<Spool['oldest']> {
    const oldest: { ready?: number; waiting?: number; held?: number } = {};
    const now = this.#clock.now();
    for (const { delivery, state } of this.#disk.items.values()) {
      const seen = state === 'waiting' && delivery.due <= now ? 'ready' : state;
      oldest[seen] = Math.min(oldest[seen] ?? delivery.message.acceptedAt, delivery.message.acceptedAt);
    }
    return oldest;
  }

  failingFor(): number {
    return 0;
  }

  laneCounts(): Iterable<LaneCounts> {
    return this.#lanes.counts();
  }

  async history(page: Parameters<Spool['history']>[0]): ReturnType<Spool['history']> {
    return this.#disk.history(page);
  }

  async tidy(): Promise<void> {
    const before = this.#clock.now() - this.#options.historyRetentionMs;
    this.#disk.past = this.#disk.past.filter((one) => one.delivery.settledAt >= before);
    for (const [key, { until }] of this.#disk.once) if (until <= this.#clock.now()) this.#disk.once.delete(key);
    for (const lane of this.#disk.servers.keys()) if (!this.#lanes.has(lane)) this.#disk.servers.delete(lane);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    // Commits under way are a microtask away.
    await Promise.resolve();
    await Promise.resolve();
    if (this.#closed) return;
    this.#closed = true;
    this.#disk.owned = false;
  }
}

function closedError(): MtaError {
  return new MtaError('SPOOL_CLOSED', 'the spool is closed');
}
