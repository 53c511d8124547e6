/**
 * The memory driver: the whole contract without a disk, for tests and simulation. What would survive is in its `MemoryDisk`:
 * hand the same one to the next spool, and it goes on from there, as after a restart.
 *
 * It keeps the promises of `spool.ts` but for the bound on memory, and durability beyond its disk. Writes take a microtask,
 * so nothing is told before the caller has gone on.
 */
import { type Delivery, type DeliveryKey, deliveryKey, type NewDelivery, splitDeliveryKey } from '../core/delivery.js';
import { MtaError } from '../core/errors.js';
import type { LaneKey } from '../core/lane.js';
import { type Body, type MergeCopy, type MessageId, PRIORITIES, withoutDefaults } from '../core/message.js';
import type { RecipientOutcome } from '../core/outcome.js';
import type { Clock } from '../platform/clock.js';
import { Histogram } from '../platform/histogram.js';
import { type Item, MemoryDisk, type Stored } from './memory-disk.js';
import {
  type Acceptance,
  type AcceptedOnce,
  type BodyWriter,
  type Change,
  type ChangeResult,
  COMMIT_MS,
  COMMIT_OPERATIONS,
  type CommitMeasures,
  type DeliveryView,
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
  type StoredBody,
  SWEPT_AT_ONCE,
} from './spool.js';
import {
  asideVersion,
  changedVersion,
  isConsistent,
  type NextVersion,
  notedOutcome,
  notedVersion,
  type Part,
  reroutedParts,
} from './versions.js';

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

/** One page of memory: bodies that are streamed come in pieces of this. */
const PIECE = 64 * 1024;

export async function createMemorySpool(options: MemorySpoolOptions): Promise<Spool> {
  const disk = options.disk ?? new MemoryDisk();
  if (disk.owned) throw new MtaError('SPOOL_LOCKED', 'another spool has this disk');
  disk.owned = true;
  const spool = new MemorySpool(options, disk);
  spool.recover();
  return spool;
}

class MemorySpool implements Spool {
  readonly driver = 'memory';
  readonly #options: MemorySpoolOptions;
  readonly #clock: Clock;
  readonly #disk: MemoryDisk;
  readonly #lanes = new Map<LaneKey, Set<Item>>();
  #token = 0;
  #leased = 0;
  #places = 0;
  #events: SpoolEvents | undefined;
  #closed = false;

  constructor(options: MemorySpoolOptions, disk: MemoryDisk) {
    this.#options = options;
    this.#clock = options.clock;
    this.#disk = disk;
  }

  /** Leases ended with the spool before; the journal comes first (G3). */
  recover(): void {
    for (const item of this.#disk.items.values()) {
      item.token = 0;
      item.settling = false;
      // What had come due waits again until it is promoted.
      if (item.gate > 0 && item.state === 'ready') item.state = 'waiting';
      this.#lane(item.delivery.lane).add(item);
    }
    for (const [key, note] of this.#disk.notes) {
      const item = this.#disk.items.get(key);
      const to = item?.version === note.version ? notedVersion(item.delivery, note) : undefined;
      if (item && to) this.#become(item, to);
    }
    this.#disk.notes.clear();
  }

  // — intake —

  closedFor(): 'SPOOL_FAILED' | undefined {
    return this.#closed ? 'SPOOL_FAILED' : undefined;
  }

  writeBody(message: { readonly id: MessageId }): BodyWriter {
    const chunks: Buffer[] = [];
    return {
      write(chunk) {
        chunks.push(chunk);
        return true;
      },
      finish: async (): Promise<Buffer | StoredBody> => {
        const bytes = Buffer.concat(chunks);
        if (bytes.length <= this.#options.inlineLimitBytes) return bytes;
        const place = `${++this.#places}/${message.id}`;
        this.#disk.bodies.set(place, bytes);
        return { sizeBytes: bytes.length, place };
      },
      abort: () => void (chunks.length = 0),
    };
  }

  lastId(): MessageId | undefined {
    return this.#disk.lastId || undefined;
  }

  async accept(entry: Acceptance): Promise<void> {
    if (this.#closed) throw closedError();
    if (entry.deliveries.length === 0) throw new RangeError('a message has at least one delivery');
    await Promise.resolve();
    this.#store(entry);
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

  #store({ message, deliveries, body, once, server }: Acceptance): void {
    if (server !== undefined) this.#disk.servers.set(server.lane, server.about);
    const bytes = Buffer.isBuffer(body) ? body : this.#disk.bodies.get(body.place)!;
    if (!Buffer.isBuffer(body)) this.#disk.bodies.delete(body.place);
    this.#disk.messages.set(message.id, { message, body: bytes, open: deliveries.length });
    if (once !== undefined) {
      const recipients = deliveries.reduce((sum, delivery) => sum + delivery.recipients.length, 0);
      const { id, messageId, sizeBytes: size } = message;
      const { key, until, ...told } = once;
      this.#disk.once.set(key, { until, accepted: { id, messageId, recipients, size, ...told } });
    }
    if (message.id > this.#disk.lastId) this.#disk.lastId = message.id;
    const waits = message.notBefore > this.#clock.now();
    const due = waits ? message.notBefore : Math.max(message.acceptedAt, message.notBefore);
    const fresh = { priority: message.priority, attempts: 0, log: [], delayNoticed: false, held: false, due };
    for (const [n, { lane, recipients, copy }] of deliveries.entries()) {
      const key = deliveryKey(message.id, n);
      const state = waits ? 'waiting' : 'ready';
      const item: Item = {
        delivery: { ...fresh, key, message, lane, recipients },
        version: 1,
        sequence: ++this.#disk.sequence,
        state,
        gate: message.notBefore,
        token: 0,
        settling: false,
      };
      this.#disk.items.set(key, item);
      if (copy !== undefined) this.#disk.copies.set(key, copy);
      this.#lane(lane).add(item);
      this.#tell(item);
    }
  }

  #lane(key: LaneKey): Set<Item> {
    let lane = this.#lanes.get(key);
    if (lane === undefined) this.#lanes.set(key, (lane = new Set()));
    return lane;
  }

  #tell(item: Item): void {
    if (item.state === 'ready' && !this.#disk.pauses.has(item.delivery.lane)) this.#events?.onReady(item.delivery.lane);
    if (item.state === 'waiting') this.#events?.onWaiting(item.delivery.due);
  }

  // — scheduling —

  listen(events: SpoolEvents): void {
    this.#events = events;
  }

  *lanes(): Iterable<LaneKey> {
    for (const lane of [...this.#lanes.keys()]) if (this.#first(lane)) yield lane;
  }

  head(lane: LaneKey): Head | undefined {
    const first = this.#first(lane);
    return first && { level: PRIORITIES[first.level]!, since: first.item.delivery.due };
  }

  readyNow(lane: LaneKey): number {
    let count = 0;
    if (this.#disk.pauses.has(lane)) return count;
    for (const item of this.#lanes.get(lane) ?? []) if (this.#isFree(item)) count++;
    return count;
  }

  pull(lane: LaneKey): Lease | undefined {
    const first = this.#closed ? undefined : this.#first(lane);
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

  #isFree(item: Item): boolean {
    return item.state === 'ready' && item.token === 0 && item.gate <= this.#clock.now();
  }

  #first(lane: LaneKey): { item: Item; level: number } | undefined {
    let best: Item | undefined;
    let bestLevel = 0;
    if (this.#disk.pauses.has(lane)) return undefined;
    for (const item of this.#lanes.get(lane) ?? []) {
      if (!this.#isFree(item)) continue;
      const level = this.#level(item);
      if (best === undefined || level < bestLevel || (level === bestLevel && item.sequence < best.sequence)) {
        best = item;
        bestLevel = level;
      }
    }
    return best && { item: best, level: bestLevel };
  }

  place(key: DeliveryKey): Place | undefined {
    const item = this.#disk.items.get(key);
    if (item === undefined || !this.#isFree(item)) return undefined;
    const level = this.#level(item);
    let before = 0;
    for (const other of this.#lanes.get(item.delivery.lane)!) {
      if (other === item || !this.#isFree(other)) continue;
      const theirs = this.#level(other);
      if (theirs < level || (theirs === level && other.sequence < item.sequence)) before++;
    }
    return { level: PRIORITIES[level]!, before, exactly: true };
  }

  /** Raised by its age (G4). */
  #level({ delivery }: Item): number {
    const raised = Math.floor((this.#clock.now() - delivery.due) / this.#options.promoteAfterMs);
    return Math.max(0, PRIORITIES.indexOf(delivery.priority) - Math.max(0, raised));
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
    return this.#bodyOf(stored);
  }

  #bodyOf({ body }: Stored): Body {
    if (body.length <= this.#options.inlineLimitBytes) return { kind: 'bytes', bytes: body };
    return {
      kind: 'stream',
      sizeBytes: body.length,
      open: async function* () {
        for (let at = 0; at < body.length; at += PIECE) yield body.subarray(at, at + PIECE);
      },
    };
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
    this.#become(item, to);
    // One write (G2): nothing comes between.
    for (const report of reports) this.#store(report);
  }

  async sweepReady(...[wants, take]: Parameters<Spool['sweepReady']>): Promise<void> {
    await Promise.resolve();
    let taken: (void | Promise<void>)[] = [];
    for (const item of [...this.#disk.items.values()]) {
      if (this.#closed) return;
      const { message, delayNoticed } = item.delivery;
      if (!this.#isFree(item) || this.#disk.items.get(item.delivery.key) !== item) continue;
      if (!wants({ expiresAt: message.expiresAt, acceptedAt: message.acceptedAt, delayNoticed })) continue;
      taken.push(take(this.#lease(item)));
      if (taken.length < SWEPT_AT_ONCE) continue;
      await Promise.all(taken);
      taken = [];
    }
    await Promise.all(taken);
  }

  /** The one place where a delivery changes. */
  #become(item: Item, to: NextVersion, move?: Pick<Delivery, 'lane' | 'key'>): void {
    const delivery = move ? { ...item.delivery, ...move } : item.delivery;
    this.#disk.notes.delete(delivery.key);
    this.#disk.items.delete(delivery.key);
    this.#leave(item);
    const lane = this.#lane(delivery.lane);
    const { next, recipients, attempts, log, delayNoticed } = to;
    if (next.kind === 'done') {
      if (lane.size === 0) this.#lanes.delete(delivery.lane);
      this.#finish({ ...delivery, recipients, attempts, log, delayNoticed });
      return;
    }
    const now = this.#clock.now();
    const due = next.kind === 'ready' ? Math.min(delivery.due, now) : next.due;
    const state = next.kind === 'ready' ? 'ready' : next.kind === 'retry' ? 'waiting' : 'held';
    const changed: Item = {
      delivery: { ...delivery, recipients, attempts, log, delayNoticed, held: state === 'held', due },
      version: item.version + 1,
      sequence: ++this.#disk.sequence,
      state,
      gate: next.kind === 'retry' ? due : 0,
      token: 0,
      settling: false,
    };
    this.#disk.items.set(delivery.key, changed);
    lane.add(changed);
    this.#tell(changed);
  }

  #leave(item: Item): void {
    const { lane } = item.delivery;
    const left = this.#lanes.get(lane);
    if (left?.delete(item) && left.size === 0) this.#lanes.delete(lane);
  }

  #finish(delivery: Delivery): void {
    const { message } = delivery;
    this.#disk.copies.delete(delivery.key);
    const stored = this.#disk.messages.get(message.id)!;
    if (--stored.open === 0) this.#disk.messages.delete(message.id);
    if (this.#options.historyRetentionMs <= 0) return;
    const sequence = ++this.#disk.sequence;
    const { key, lane, priority, recipients, attempts, log } = delivery;
    const view: DeliveryView = { key, lane, priority, state: 'done', recipients, attempts, log, due: 0, settledAt: this.#clock.now() };
    this.#disk.past.push({ message: withoutDefaults(message), delivery: view, sequence });
  }

  // — looking and operating —

  async inspect(id: MessageId, page?: Parameters<Spool['inspect']>[1]): Promise<MessageView | undefined> {
    return this.#disk.inspect(id, page);
  }

  async readBody(id: MessageId): Promise<Body | undefined> {
    const stored = this.#disk.messages.get(id);
    return stored && this.#bodyOf(stored);
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
      if (parts) this.#split(item, parts);
      return 'done';
    }
    const to = changedVersion(item.delivery, item.state, change, this.#clock.now());
    if (to) this.#become(item, to);
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
    if (this.#first(lane)) this.#events?.onReady(lane);
    return true;
  }

  pauses(): ReadonlyMap<LaneKey, Pause> {
    return this.#disk.pauses;
  }

  #split(item: Item, parts: readonly Part[]): void {
    const { message, key } = item.delivery;
    const taken = (n: number) => {
      const other = deliveryKey(message.id, n);
      return this.#disk.items.has(other) || this.#disk.past.some((one) => one.delivery.key === other);
    };
    let { n } = splitDeliveryKey(key);
    this.#disk.messages.get(message.id)!.open += parts.length - 1;
    for (const [part, { lane, to }] of parts.entries()) {
      if (part > 0)
        do n++;
        while (taken(n));
      this.#become(item, to, { lane, key: deliveryKey(message.id, n) });
    }
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

  *laneCounts(): Iterable<LaneCounts> {
    for (const [lane, items] of this.#lanes) {
      const counts = { ready: 0, waiting: 0, held: 0 };
      for (const item of items) counts[item.state]++;
      const paused = this.#disk.pauses.get(lane);
      yield { lane, ...counts, ...(paused === undefined ? {} : { paused }) };
    }
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
