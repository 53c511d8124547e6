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
import { type Body, type MessageId, PRIORITIES } from '../../core/message.js';
import type { RecipientOutcome } from '../../core/outcome.js';
import { GroupCommit } from '../../platform/group-commit.js';
import type {
  Acceptance,
  BodyWriter,
  Change,
  ChangeResult,
  Head,
  LaneCounts,
  Lease,
  MessageView,
  Query,
  Settlement,
  Spool,
  SpoolCounts,
  SpoolEvents,
} from '../spool.js';
import { asideVersion, isConsistent, type NextVersion } from '../versions.js';
import { AcceptOperation } from './accept.js';
import { Batch, type Operation } from './batch.js';
import type { Bodies, BodyEnvelope } from './bodies.js';
import type { HighWater } from './books.js';
import { ChangeOperation } from './change.js';
import type { Entry } from './entry.js';
import type { Journal } from './journal.js';
import { garbageKey, MAX_DELIVERIES } from './keys.js';
import type { Lane } from './lanes.js';
import { type LargeAcceptances, PART } from './large.js';
import type { Ledger } from './ledger.js';
import { Looking } from './looking.js';
import { Refill } from './refill.js';
import { AllWell, dropWindows, PurgeOperation, reopenStore, rereadBooks } from './reopen.js';
import { SettleOperation } from './settle.js';
import type { Space } from './space.js';
import type { Store } from './store.js';
import { sweepReady } from './sweep.js';
import { Timers } from './timers.js';

/** A batch is closed at about this size: the loop must not stand still, and neighbours wait for its sync. */
const BATCH_BYTES = 1024 * 1024;

export interface LevelParts {
  readonly ledger: Ledger;
  readonly bodies: Bodies;
  readonly large: LargeAcceptances;
  readonly space: Space;
  readonly journal: Journal;
  readonly highWater: HighWater;
  readonly reopen: () => Promise<Store>;
  /** Housekeeping. */
  readonly tidy: () => Promise<void>;
  /** Lets the folder go. */
  readonly release: () => Promise<void>;
}

export class LevelSpool implements Spool {
  readonly driver = 'level';
  readonly #ledger: Ledger;
  readonly #bodies: Bodies;
  readonly #space: Space;
  readonly #journal: Journal;
  readonly #parts: LevelParts;
  readonly #refill: Refill;
  readonly #timers: Timers;
  readonly #commit: GroupCommit<Operation>;
  #state: 'open' | 'failing' | 'closing' | 'closed' = 'open';
  /** Accepts that were answered as failed and may have landed. */
  readonly #doubtful = new Set<Acceptance>();
  /** Waiting for the store to be well again. */
  #gates: (() => void)[] = [];
  #batch: Batch | undefined;
  #reopening: Promise<void> | undefined;
  #stopPause: () => void = () => {};
  #closed: Promise<void> | undefined;
  readonly #looking: Looking;

  constructor(parts: LevelParts) {
    this.#parts = parts;
    this.#ledger = parts.ledger;
    this.#bodies = parts.bodies;
    this.#space = parts.space;
    this.#journal = parts.journal;
    this.#looking = new Looking(parts.ledger, parts.bodies);
    this.#refill = new Refill(parts.ledger);
    this.#timers = new Timers(parts.ledger);
    this.#commit = new GroupCommit<Operation>({
      maxWeight: BATCH_BYTES,
      write: (group) => this.#write(group),
      done: (group) => this.#done(group),
      failed: (error, group, waiting) => this.#failed(error, group, waiting),
    });
    this.#ledger.submit = (operation) => this.#commit.add(operation);
    this.#ledger.timerAdded = (due) => this.#timers.added(due);
    this.#ledger.dropBodies = (places) => this.#dropBodies(places);
  }

  /** Goes on with what was left unfinished. */
  start(): void {
    this.#parts.large.resume().catch((error: Error) => {
      if (this.#state === 'open') this.#ledger.fault({ code: 'SPOOL_FAILED', text: `cannot finish a large message: ${error.message}` });
    });
  }

  // — commit —

  #write(group: readonly Operation[]): Promise<void> {
    const ledger = this.#ledger;
    const batch = new Batch(ledger.store, ledger.batches + 1, ledger.clock.now());
    for (const operation of group) operation.build(batch);
    if (ledger.rubbish.length > 0) {
      for (const key of ledger.rubbish) batch.del(key);
      ledger.rubbish = [];
    }
    ledger.batches = batch.number;
    this.#batch = batch;
    return batch.finish(ledger);
  }

  #done(group: readonly Operation[]): void {
    const batch = this.#batch!;
    this.#parts.highWater.write(batch.number);
    this.#space.wrote(batch.bytes + this.#bodies.written);
    this.#bodies.written = 0;
    for (const operation of group) operation.committed();
    this.#ledger.tellWoken();
  }

  // — a failed write —

  #failed(error: unknown, group: readonly Operation[], waiting: readonly Operation[]): void {
    if (!isStoreError(error)) throw error;
    const ledger = this.#ledger;
    const text = `a write to the spool failed: ${deepest(error)}; nothing is accepted until the spool has been reopened`;
    const refusal = new MtaError('SPOOL_FAILED', text, { cause: error });
    const kept = [
      ...group.filter((one) => one.failed(refusal, true) === 'keep'),
      ...waiting.filter((one) => one.failed(refusal, false) === 'keep'),
    ];
    if (this.#state === 'open') {
      this.#state = 'failing';
      ledger.fault({ code: 'SPOOL_FAILED', text });
    }
    dropWindows(ledger);
    this.#refill.reset();
    this.#reopening = this.#reopen(kept);
  }

  async #reopen(kept: readonly Operation[]): Promise<void> {
    const ledger = this.#ledger;
    const how = {
      reopen: this.#parts.reopen,
      // Room for what must be written now: deletes and settlements.
      before: async () => {
        await this.#space.dropBallast();
        await this.#space.measure();
      },
      pause: (ms: number) => this.#pause(ms),
      ended: () => this.#state !== 'failing',
    };
    let pause = 0;
    for (;;) {
      if (!(await reopenStore(ledger, how))) break;
      try {
        await rereadBooks(ledger);
        await this.#parts.large.prepare();
        this.#timers.reset();
        const purges = [...this.#doubtful].map(
          (acceptance) => new PurgeOperation(ledger, acceptance, () => this.#doubtful.delete(acceptance)),
        );
        this.#commit.resume([...purges, ...kept, new AllWell(() => this.#recovered())]);
        return;
      } catch (error) {
        ledger.faultOnce({ code: 'SPOOL_FAILED', text: `the reopened spool cannot be read: ${(error as Error).message}` });
        dropWindows(ledger);
      }
      pause = Math.min(30_000, pause * 2 + 100);
      await this.#pause(pause);
    }
    for (const operation of kept) operation.abandoned?.(this.#refusal());
  }

  /** Ends early when the spool is closed. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#ledger.clock.after(ms, resolve);
      this.#stopPause = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #recovered(): void {
    if (this.#state === 'failing') this.#state = 'open';
    this.#ledger.lanes.reveal();
    this.#ledger.log.info('spool.reopened', {}, 'the spool was reopened and is in order');
    const gates = this.#gates;
    this.#gates = [];
    for (const open of gates) open();
    for (const lane of this.#ledger.lanes.ready()) this.#ledger.woken.add(lane);
    this.#ledger.waiting(this.#ledger.clock.now());
    this.start();
  }

  // — intake —

  closedFor(sizeBytes: number): 'SPOOL_FULL' | 'SPOOL_FAILED' | undefined {
    if (this.#state !== 'open') return 'SPOOL_FAILED';
    return this.#space.tooLittleFor(sizeBytes) ? 'SPOOL_FULL' : undefined;
  }

  writeBody(message: BodyEnvelope): BodyWriter {
    return this.#bodies.writer(message);
  }

  lastId(): MessageId | undefined {
    return this.#ledger.lastId || undefined;
  }

  accept(entry: Acceptance): Promise<void> {
    if (this.#state !== 'open') return Promise.reject(this.#refusal());
    const { deliveries } = entry;
    if (deliveries.length === 0 || deliveries.length > MAX_DELIVERIES)
      return Promise.reject(new RangeError(`a message has 1 to ${MAX_DELIVERIES} deliveries`));
    if (deliveries.length > PART) return this.#parts.large.accept(entry);
    return new Promise((resolve, reject) => {
      this.#commit.add(new AcceptOperation(this.#ledger, entry, { resolve, reject, doubtful: (one) => void this.#doubtful.add(one) }));
    });
  }

  #refusal(): MtaError {
    return this.#state === 'failing'
      ? new MtaError('SPOOL_FAILED', 'a write failed and the spool is being reopened')
      : new MtaError('SPOOL_CLOSED', 'the spool is closed');
  }

  // — scheduling —

  listen(events: SpoolEvents): void {
    this.#ledger.listen(events);
  }

  lanes(): Iterable<LaneKey> {
    return this.#ledger.lanes.ready();
  }

  head(key: LaneKey): Head | undefined {
    const lane = this.#ledger.lanes.get(key);
    if (lane === undefined) return undefined;
    const first = this.#first(lane);
    return first && { level: PRIORITIES[first.level]!, since: first.entry.delivery.due };
  }

  readyNow(key: LaneKey): number {
    return this.#ledger.lanes.get(key)?.size ?? 0;
  }

  pull(key: LaneKey): Lease | undefined {
    const ledger = this.#ledger;
    const lane = ledger.lanes.get(key);
    if (lane === undefined) return undefined;
    const entry = this.#first(lane)?.entry;
    if (entry === undefined) return undefined;
    ledger.lanes.take(entry);
    if (ledger.lanes.runsLow(lane)) this.#refill.want(lane);
    return ledger.lease(entry);
  }

  /** What comes first and is due by the clock as it is now. */
  #first(lane: Lane): { entry: Entry; level: number } | undefined {
    const { lanes, clock } = this.#ledger;
    if (this.#state !== 'open') return undefined;
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

  giveBack(lease: Lease): void {
    const ledger = this.#ledger;
    const entry = ledger.leased(lease);
    if (entry === undefined) return;
    ledger.unlease(entry);
    ledger.lanes.giveBack(entry);
    ledger.wake(entry.lane.key);
  }

  promote(): Promise<number | undefined> {
    // Once it is well again, `onWaiting` asks for it.
    return this.#state === 'open' ? this.#timers.promote() : Promise.resolve(undefined);
  }

  // — delivery —

  async body(lease: Lease): Promise<Body> {
    if (lease.bytes !== undefined) return { kind: 'bytes', bytes: lease.bytes };
    const { message, key } = lease.delivery;
    const place = this.#ledger.live.get(key)?.place;
    if (place !== undefined)
      return { kind: 'stream', sizeBytes: message.sizeBytes, open: () => this.#bodies.read(place, message.sizeBytes) };
    return { kind: 'bytes', bytes: await this.#looking.inlineBody(message.id) };
  }

  note(lease: Lease, outcomes: readonly RecipientOutcome[]): void {
    const entry = this.#ledger.leased(lease);
    if (entry === undefined) return;
    const file = this.#journal.note(lease.delivery.key, entry.version, this.#ledger.clock.now(), outcomes);
    if (entry.noted) entry.noted.push(file);
    else entry.noted = [file];
  }

  mayFinish(): true | Promise<void> {
    if (this.#state !== 'open') return this.#whenWell();
    try {
      this.#journal.flush();
      return true;
    } catch (error) {
      return this.#flushLater(error as Error);
    }
  }

  #whenWell(): Promise<void> {
    if (this.#state !== 'failing') return Promise.reject(this.#refusal());
    return new Promise<void>((resolve) => this.#gates.push(resolve)).then(() => {
      const after = this.mayFinish();
      return after === true ? undefined : after;
    });
  }

  /** The journal cannot be written: no final dot may be sent until it can. */
  async #flushLater(error: Error): Promise<void> {
    this.#ledger.faultOnce({ code: 'SPOOL_FAILED', text: `the journal cannot be written: ${error.message}; nothing is sent until it can` });
    await this.#space.dropBallast();
    for (;;) {
      await this.#pause(JOURNAL_PAUSE_MS);
      if (this.#state !== 'open') return this.#whenWell();
      try {
        return this.#journal.flush();
      } catch {
        // Still full; told once.
      }
    }
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
    if (this.#state === 'closing' || this.#state === 'closed') return Promise.reject(this.#refusal());
    entry.state = 'settling';
    return new Promise((resolve, reject) => this.#commit.add(new SettleOperation(this.#ledger, entry, to, reports, { resolve, reject })));
  }

  async setAside(lease: Lease, reason: string): Promise<void> {
    const entry = this.#ledger.leased(lease);
    if (entry === undefined) return;
    await this.#settle(entry, asideVersion(entry.delivery, reason, this.#ledger.clock.now()), []);
  }

  async sweepReady(wants: Parameters<Spool['sweepReady']>[0], take: (lease: Lease) => void): Promise<void> {
    if (this.#state === 'open') await sweepReady(this.#ledger, wants, take);
  }

  #dropBodies(places: readonly string[]): void {
    for (const place of places) {
      void this.#bodies.remove(place).then(
        () => this.#ledger.rubbish.push(garbageKey(place)),
        (error: Error) => this.#ledger.log.warn('spool.body.left', { place }, error.message),
      );
    }
  }

  // — looking and operating —

  inspect(id: MessageId): Promise<MessageView | undefined> {
    return this.#asked(() => this.#looking.inspect(id));
  }

  readBody(id: MessageId): Promise<Body | undefined> {
    return this.#asked(() => this.#looking.readBody(id));
  }

  list(query: Query, page: { readonly limit: number; readonly after?: string }): ReturnType<Spool['list']> {
    return this.#asked(() => this.#looking.list(query, page));
  }

  history(page: Parameters<Spool['history']>[0]): ReturnType<Spool['history']> {
    return this.#asked(() => this.#looking.history(page));
  }

  /** Not while the store is away. */
  #asked<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#state !== 'open') return Promise.reject(this.#refusal());
    return ask().catch((error: Error) => {
      throw this.#state === 'open' ? error : this.#refusal();
    });
  }

  change(key: DeliveryKey, change: Change): Promise<ChangeResult> {
    if (this.#state !== 'open') return Promise.reject(this.#refusal());
    return new Promise((resolve, reject) => this.#commit.add(new ChangeOperation(this.#ledger, key, change, { resolve, reject })));
  }

  counts(): SpoolCounts {
    const { lanes, messages } = this.#ledger;
    const { freeBytes } = this.#space;
    return { messages, ...lanes.totals(), sending: lanes.leased, lanes: lanes.size, ...(freeBytes === undefined ? {} : { freeBytes }) };
  }

  laneCounts(): Iterable<LaneCounts> {
    return this.#ledger.lanes.counts();
  }

  async tidy(): Promise<void> {
    if (this.#state === 'open') await this.#parts.tidy();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const failing = this.#state === 'failing';
    this.#state = 'closing';
    await this.#commit.drained();
    this.#ledger.generation++;
    for (const operation of this.#commit.abandon()) operation.abandoned?.(this.#refusal());
    const gates = this.#gates;
    this.#gates = [];
    for (const open of gates) open();
    this.#stopPause();
    if (failing) await this.#reopening;
    this.#journal.close();
    this.#parts.highWater.close();
    await this.#parts.release();
    this.#state = 'closed';
  }
}

const JOURNAL_PAUSE_MS = 500;

/** LevelDB's errors and the system's; anything else is a broken invariant and ends the process. */
function isStoreError(error: unknown): boolean {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code !== undefined && (code.startsWith('LEVEL_') || /^E[A-Z]+$/.test(code));
}

function deepest(error: unknown): string {
  let at = error;
  while (at instanceof Error && at.cause instanceof Error) at = at.cause;
  return at instanceof Error ? at.message : String(at);
}
