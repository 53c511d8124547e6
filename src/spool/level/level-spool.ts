/**
 * The LevelDB driver of the spool: the embedded default. This file holds the life of an open spool and the hot path; what is
 * read back, moved, changed and swept is in the files beside it.
 *
 *   opening → open ⇄ failing (a write failed: reopening) → closing → closed
 *
 * While failing nothing is acknowledged: accepts are rejected, settlements and `mayFinish` wait. After reopening, the accepts of the
 * failed batch are removed and the waiting settlements written before any lane comes back (G10).
 */
import type { DeliveryKey } from '../../core/delivery.js';
import { MtaError } from '../../core/errors.js';
import type { LaneKey } from '../../core/lane.js';
import { type Body, type MergeCopy, type MessageId, PRIORITIES } from '../../core/message.js';
import type { RecipientOutcome } from '../../core/outcome.js';
import type {
  Acceptance,
  AcceptedOnce,
  BodyWriter,
  Change,
  ChangeResult,
  CommitMeasures,
  Head,
  LaneCounts,
  Lease,
  MergeAcceptance,
  MessageView,
  Pause,
  Place,
  Query,
  Settlement,
  Spool,
  SpoolCounts,
  SpoolEvents,
  Upkeep,
} from '../spool.js';
import { asideVersion, isConsistent, type NextVersion } from '../versions.js';
import { AcceptOperation } from './accept.js';
import type { Bodies } from './bodies.js';
import type { BodyEnvelope } from './body-file.js';
import type { HighWater } from './books.js';
import { ChangeOperation } from './change.js';
import { Commits } from './commits.js';
import type { Entry } from './entry.js';
import { FinalDots } from './final-dots.js';
import { Front } from './front.js';
import { Garbage } from './garbage.js';
import { Health } from './health.js';
import type { Journal } from './journal.js';
import { MAX_DELIVERIES } from './keys.js';
import { type Large, type LargeAcceptances, PART } from './large.js';
import type { Ledger } from './ledger.js';
import { Looking } from './looking.js';
import { recipientsOf } from './once.js';
import { PauseOperation } from './pause.js';
import { Refill } from './refill.js';
import { Reopener } from './reopen.js';
import { SettleOperation } from './settle.js';
import { snapshotSpool } from './snapshot.js';
import type { Space } from './space.js';
import type { Store } from './store.js';
import { sweepReady } from './sweep.js';
import { TakeOperation } from './take.js';
import type { Tidy } from './tidy.js';
import { Timers } from './timers.js';
import { compactStore } from './upkeep.js';

export interface LevelParts {
  readonly folder: string;
  readonly ledger: Ledger;
  readonly bodies: Bodies;
  readonly large: LargeAcceptances;
  readonly space: Space;
  readonly journal: Journal;
  readonly highWater: HighWater;
  readonly reopen: () => Promise<Store>;
  readonly tidy: Tidy;
  /** Lets the folder go. */
  readonly release: () => Promise<void>;
}

export class LevelSpool implements Spool {
  readonly driver = 'level';
  readonly #ledger: Ledger;
  readonly #bodies: Bodies;
  readonly #space: Space;
  readonly #garbage: Garbage;
  readonly #dots: FinalDots;
  readonly #parts: LevelParts;
  readonly #refill: Refill;
  readonly #timers: Timers;
  readonly #commits: Commits;
  readonly #front: Front;
  readonly #health: Health;
  readonly #reopener: Reopener;
  readonly #looking: Looking;
  #closing: Promise<void> | undefined;
  readonly upkeep: Upkeep = {
    snapshot: (folder) =>
      this.#asked(() => snapshotSpool({ store: this.#ledger.store, folder: this.#parts.folder, bodies: this.#bodies }, folder)),
    compact: () => this.#asked(() => compactStore(this.#ledger.store, this.#parts.folder)),
  };

  constructor(parts: LevelParts) {
    this.#parts = parts;
    this.#ledger = parts.ledger;
    this.#bodies = parts.bodies;
    this.#space = parts.space;
    this.#garbage = new Garbage(parts.ledger, parts.bodies);
    this.#looking = new Looking(parts.ledger, parts.bodies);
    this.#refill = new Refill(parts.ledger);
    this.#timers = new Timers(parts.ledger);
    this.#health = new Health(parts.ledger.clock);
    this.#dots = new FinalDots(parts.ledger, parts.journal, this.#health, parts.space);
    this.#reopener = new Reopener({
      ...parts,
      health: this.#health,
      timers: this.#timers,
      refill: this.#refill,
      resume: (first) => this.#commits.resume(first),
      recovered: () => this.#recovered(),
    });
    this.#commits = new Commits({
      ...parts,
      health: this.#health,
      failed: (error, group, waiting) => this.#reopener.failed(error, group, waiting),
    });
    this.#front = new Front(parts.ledger, this.#health, this.#refill, this.#timers);
    this.#ledger.submit = (operation) => this.#commits.submit(operation);
    this.#ledger.timerAdded = (due) => this.#timers.added(due);
    this.#ledger.dropBody = (place) => this.#garbage.drop(place);
  }

  /** Goes on with what was left unfinished. */
  start(): void {
    void this.#garbage.collect();
    this.#parts.large.resume().catch((error: Error) => {
      if (this.#health.open) this.#ledger.fault({ code: 'SPOOL_FAILED', text: `cannot finish a large message: ${error.message}` });
    });
  }

  /** Intake has closed for want of space. */
  makeRoom(): void {
    const room = this.#parts.tidy.makeRoom(
      (ms) => this.#health.pause(ms),
      () => !this.#health.open,
    );
    room.catch((error: Error) => this.#ledger.log.warn('spool.room', {}, `cannot make room: ${error.message}`));
  }

  #recovered(): void {
    const ledger = this.#ledger;
    ledger.log.info('spool.reopened', {}, 'the spool was reopened and is in order');
    ledger.lanes.reveal();
    this.#health.recover();
    for (const lane of ledger.lanes.ready()) ledger.woken.add(lane);
    ledger.waiting(ledger.clock.now());
    this.start();
  }

  // — intake —

  closedFor(sizeBytes: number): 'SPOOL_FULL' | 'SPOOL_FAILED' | undefined {
    if (!this.#health.open) return 'SPOOL_FAILED';
    return this.#space.tooLittleFor(sizeBytes) ? 'SPOOL_FULL' : undefined;
  }

  writeBody(message: BodyEnvelope): BodyWriter {
    return this.#bodies.writer(message);
  }

  server(lane: LaneKey): string | undefined {
    return this.#ledger.servers.get(lane);
  }

  lastId(): MessageId | undefined {
    return this.#ledger.lastId || undefined;
  }

  accept(entry: Acceptance): Promise<void> {
    const refusal = this.#health.open ? malformed(entry) : this.#health.refusal();
    if (refusal) {
      if (!Buffer.isBuffer(entry.body)) this.#garbage.drop(entry.body.place);
      return Promise.reject(refusal);
    }
    if (entry.deliveries.length > PART)
      return this.#large({ ...entry, once: () => entry.once, recipients: recipientsOf(entry) }).then(() => {});
    return new Promise((resolve, reject) => {
      this.#commits.add(new AcceptOperation(this.#ledger, entry, { resolve, reject, doubtful: (one) => this.#reopener.doubt(one) }));
    });
  }

  once(key: string): Promise<AcceptedOnce | undefined> {
    return this.#asked(() => this.#looking.once(key));
  }

  acceptMerge(entry: MergeAcceptance): Promise<number> {
    const refusal = this.#health.open ? malformed(entry) : this.#health.refusal();
    if (refusal === undefined) return this.#large({ once: () => undefined, ...entry });
    if (!Buffer.isBuffer(entry.body)) this.#garbage.drop(entry.body.place);
    return Promise.reject(refusal);
  }

  #large(entry: Large): Promise<number> {
    const { message, body, server } = entry;
    return this.#parts.large.accept(entry, (deliveries) => {
      const once = entry.once();
      return this.accept({ message, body, deliveries, ...(once === undefined ? {} : { once }), ...(server && { server }) });
    });
  }

  // — scheduling —

  listen(events: SpoolEvents): void {
    this.#ledger.listen(events);
  }

  lanes(): Iterable<LaneKey> {
    return this.#ledger.lanes.ready();
  }

  head(lane: LaneKey): Head | undefined {
    return this.#front.head(lane);
  }

  readyNow(lane: LaneKey): number {
    return this.#front.readyNow(lane);
  }

  pull(lane: LaneKey): Lease | undefined {
    return this.#front.pull(lane);
  }

  place(key: DeliveryKey): Place | undefined {
    return this.#front.place(key);
  }

  giveBack(lease: Lease): void {
    this.#front.giveBack(lease);
  }

  promote(): Promise<number | undefined> {
    // Once it is well again, `onWaiting` asks for it.
    return this.#health.open ? this.#timers.promote() : Promise.resolve(undefined);
  }

  // — delivery —

  async body(lease: Lease): Promise<Body> {
    if (lease.bytes !== undefined) return { kind: 'bytes', bytes: lease.bytes };
    const { message } = lease.delivery;
    const entry = this.#ledger.leased(lease);
    if (entry === undefined) throw new MtaError('SPOOL_FAILED', `the lease of ${lease.delivery.key} is no longer held`);
    const { place, hot } = entry;
    if (hot?.pieces !== undefined) return { kind: 'stream', sizeBytes: message.sizeBytes, open: () => each(hot.pieces!) };
    if (place !== undefined)
      return {
        kind: 'stream',
        sizeBytes: message.sizeBytes,
        open: (how) => this.#bodies.read(place, message.sizeBytes, how?.reuse === true),
      };
    return { kind: 'bytes', bytes: await this.#looking.inlineBody(message.id) };
  }

  copy(key: DeliveryKey): Promise<MergeCopy | undefined> {
    return this.#asked(() => this.#looking.copy(key));
  }

  note(lease: Lease, outcomes: readonly RecipientOutcome[]): void {
    const entry = this.#ledger.leased(lease);
    if (entry !== undefined) this.#dots.note(entry, outcomes);
  }

  mayFinish(): true | Promise<void> {
    return this.#dots.mayFinish();
  }

  settle(lease: Lease, settlement: Settlement): Promise<boolean> {
    const ledger = this.#ledger;
    const entry = ledger.leased(lease);
    if (entry === undefined) return Promise.resolve(false);
    if (!isConsistent(settlement, entry.delivery))
      return Promise.reject(new RangeError(`the settlement of ${entry.delivery.key} contradicts itself`));
    return this.#settle(entry, settlement, settlement.reports);
  }

  #settle(entry: Entry, to: NextVersion, reports: readonly Acceptance[]): Promise<boolean> {
    if (this.#health.ended) return Promise.reject(this.#health.refusal());
    entry.state = 'settling';
    return new Promise((resolve, reject) => this.#commits.add(new SettleOperation(this.#ledger, entry, to, reports, { resolve, reject })));
  }

  async setAside(lease: Lease, reason: string): Promise<void> {
    const entry = this.#ledger.leased(lease);
    if (entry === undefined) return;
    await this.#settle(entry, asideVersion(entry.delivery, reason, this.#ledger.clock.now()), []);
  }

  async sweepReady(wants: Parameters<Spool['sweepReady']>[0], take: (lease: Lease) => void): Promise<void> {
    if (this.#health.open) await sweepReady(this.#ledger, wants, take);
  }

  // — looking and operating —

  inspect(id: MessageId, page?: Parameters<Spool['inspect']>[1]): Promise<MessageView | undefined> {
    return this.#asked(() => this.#looking.inspect(id, page));
  }

  readBody(id: MessageId): Promise<Body | undefined> {
    return this.#asked(() => this.#looking.readBody(id));
  }

  list(query: Query, page: { readonly limit: number; readonly after?: string }): ReturnType<Spool['list']> {
    return this.#asked(() => this.#looking.list(query, page));
  }

  messages(...asked: Parameters<Spool['messages']>): ReturnType<Spool['messages']> {
    return this.#asked(() => this.#looking.messages(...asked));
  }

  history(page: Parameters<Spool['history']>[0]): ReturnType<Spool['history']> {
    return this.#asked(() => this.#looking.history(page));
  }

  /** Not while the store is away. */
  #asked<T>(ask: () => Promise<T>): Promise<T> {
    if (!this.#health.open) return Promise.reject(this.#health.refusal());
    return ask().catch((error: Error) => {
      throw this.#health.open ? error : this.#health.refusal();
    });
  }

  change(key: DeliveryKey, change: Change): Promise<ChangeResult> {
    if (!this.#health.open) return Promise.reject(this.#health.refusal());
    if (change.kind === 'reschedule' && !Number.isFinite(change.due)) return Promise.reject(new RangeError(`not a time: ${change.due}`));
    return new Promise((resolve, reject) => this.#commits.add(new ChangeOperation(this.#ledger, key, change, { resolve, reject })));
  }

  take(key: DeliveryKey): Promise<Lease | 'inFlight' | 'gone'> {
    if (!this.#health.open) return Promise.reject(this.#health.refusal());
    return new Promise((resolve, reject) => this.#commits.add(new TakeOperation(this.#ledger, key, { resolve, reject })));
  }

  pauseLane(lane: LaneKey, pause: Pause): Promise<void> {
    return this.#pause(lane, pause).then(() => {});
  }

  resumeLane(lane: LaneKey): Promise<boolean> {
    return this.#pause(lane, undefined);
  }

  #pause(lane: LaneKey, pause: Pause | undefined): Promise<boolean> {
    if (!this.#health.open) return Promise.reject(this.#health.refusal());
    return new Promise((resolve, reject) => this.#commits.add(new PauseOperation(this.#ledger, lane, pause, { resolve, reject })));
  }

  pauses(): ReadonlyMap<LaneKey, Pause> {
    return this.#ledger.lanes.pauses;
  }

  counts(): SpoolCounts {
    const { lanes, messages } = this.#ledger;
    const { freeBytes } = this.#space;
    return { messages, ...lanes.totals(), sending: lanes.leased, lanes: lanes.size, ...(freeBytes === undefined ? {} : { freeBytes }) };
  }

  commits(): CommitMeasures {
    return this.#commits.measures();
  }

  oldest(): ReturnType<Spool['oldest']> {
    return this.#health.open ? this.#looking.oldest() : Promise.resolve({});
  }

  failingFor(): number {
    return this.#health.failingFor();
  }

  laneCounts(): Iterable<LaneCounts> {
    return this.#ledger.lanes.counts();
  }

  async tidy(): Promise<void> {
    if (this.#health.open) await this.#parts.tidy.run();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#health.end();
    await this.#commits.drained();
    await this.#reopener.idle();
    await this.#commits.drained();
    for (const operation of this.#commits.abandon()) operation.abandoned?.(this.#health.refusal());
    // What still reads is told that it reads in vain.
    this.#ledger.generation++;
    this.#refill.reset();
    this.#dots.close();
    this.#parts.highWater.close();
    await this.#parts.release();
    this.#health.closed();
  }
}

async function* each(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces;
}

/** What would make keys that nobody finds again. */
function malformed({ message, deliveries }: Acceptance | MergeAcceptance): RangeError | undefined {
  if (Array.isArray(deliveries) && (deliveries.length === 0 || deliveries.length > MAX_DELIVERIES))
    return new RangeError(`a message has 1 to ${MAX_DELIVERIES} deliveries`);
  if (!/^[0-9A-Z]{26}$/.test(message.id)) return new RangeError(`not a message id: ${message.id}`);
  if (!PRIORITIES.includes(message.priority)) return new RangeError(`not a priority: ${message.priority}`);
  return undefined;
}
