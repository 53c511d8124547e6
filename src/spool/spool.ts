/**
 * The spool: where accepted mail lives until its end. This interface is what every driver promises;
 * `test/contract/spool.ts` holds each of them to it.
 *
 * Promises of every driver
 *  - `accept` and `settle` resolve when what they wrote would survive power loss (G1). Callers never batch:
 *    what arrives while a commit is under way goes together into the next one.
 *  - Work is pulled per lane, in order of (effective priority, sequence). What was pulled is leased; `settle`,
 *    `giveBack` and `setAside` name the lease, and one that is no longer held changes nothing.
 *  - `onReady` is a hint, and may come twice or for nothing; `lanes()` says the truth.
 *  - Nothing is ready before its `due` by the wall clock, read again when it is pulled (G6).
 *  - Memory is bounded per lane and in all, whatever the depth of the queue (G8).
 *  - Every value read is verified; what is damaged is set aside and reported, never returned as good (G9).
 *  - After a failed write everything pending is rejected with `SPOOL_FAILED` and nothing is acknowledged until the
 *    store was reopened and checked (G10): `accept` rejects, `mayFinish` waits, settlements wait and go first.
 *
 * What a driver must not do: decide when or what to retry, know routes, speak SMTP, write mail of its own.
 */
import type { Attempt, Delivery, DeliveryKey, NewDelivery, Recipient, RecipientState } from '../core/delivery.js';
import type { LaneKey } from '../core/lane.js';
import type { Body, MergeCopy, Message, MessageId, Priority } from '../core/message.js';
import type { RecipientOutcome } from '../core/outcome.js';
import type {
  CommitMeasures,
  CompactReport,
  DeliveryView,
  LaneCounts,
  MessageQuery,
  MessageSummary,
  MessageView,
  Page,
  Pause,
  Place,
  Query,
  SnapshotReport,
  SpoolCounts,
} from './views.js';

export * from './views.js';

/** A body that was written to the driver's own place while it came in, too large to be kept in memory. */
export interface StoredBody {
  readonly sizeBytes: number;
  /** Driver's own; opaque to callers. */
  readonly place: string;
  /** The content, where the driver still has it in memory: what is delivered at once need not be read back. */
  readonly pieces?: readonly Buffer[];
}

/** Takes a body as it arrives. Small ones stay in memory; from `inlineLimit` on it goes to the driver's own place. */
export interface BodyWriter {
  /** True: go on at once. A promise: wait (back-pressure). Throws nothing; a failure rejects here or in `finish`. */
  write(chunk: Buffer): true | Promise<void>;
  /** All written: the bytes where they were small, else a body that is durable in the driver's place (not yet owned by a message). */
  finish(): Promise<Buffer | StoredBody>;
  /** Gives it up; leaves nothing behind. Safe at any time before `accept` was called with it. */
  abort(): void;
}

export interface Acceptance {
  readonly message: Message;
  /** At least one; each with at least one recipient. Numbered in order, from 0. */
  readonly deliveries: readonly NewDelivery[];
  readonly body: Buffer | StoredBody;
  /**
   * Its server, which it brought along: the lane of all its deliveries, and a word about it that the driver keeps as it is as long as
   * the lane has mail, for `server`.
   */
  readonly server?: { readonly lane: LaneKey; readonly about: string };
  /** It was handed in under a key: in the same write, `once` knows of it from now on. */
  readonly once?: Pick<AcceptedOnce, 'digest' | 'unknownTokens'> & { readonly key: string; readonly until: number };
}

/** What became of the first message that was handed in under a key. */
export interface AcceptedOnce {
  readonly id: MessageId;
  readonly messageId: string;
  readonly recipients: number;
  /** Octets, as stored. */
  readonly size: number;
  /** Of what was handed in. */
  readonly digest: string;
  /** Of a template: tokens without a value, and in how many copies. */
  readonly unknownTokens?: Readonly<Record<string, number>>;
}

/** A template (`Message.merge`) and its copies, which come one after the other. */
export interface MergeAcceptance {
  readonly message: Message;
  /** Each with one recipient and a `copy`. Read once; numbered in order, from 0. */
  readonly deliveries: AsyncIterable<NewDelivery>;
  readonly body: Buffer | StoredBody;
  readonly server?: NonNullable<Acceptance['server']>;
  /** As of `Acceptance`; asked when the last copy has come. */
  readonly once?: () => NonNullable<Acceptance['once']>;
}

/** The right to decide about a delivery, until settled or given back. Numbers never return within a process. */
export interface Lease {
  readonly token: number;
  readonly delivery: Delivery;
  /** The content, where it is still in memory from the accept; never a template. */
  readonly bytes: Buffer | undefined;
}

/** What became of a leased delivery, and what follows: one write. */
export interface Settlement {
  readonly at: number;
  /** All recipients of the delivery with their new state, same order. */
  readonly recipients: readonly Recipient[];
  /** Attempts charged in all. */
  readonly attempts: number;
  /** Kept with the delivery, newest last (at most `MAX_ATTEMPTS_KEPT`). */
  readonly log: readonly Attempt[];
  readonly delayNoticed: boolean;
  /** `done` exactly if no recipient is queued any more. `ready`: the rest goes at once. */
  readonly next: { readonly kind: 'done' } | { readonly kind: 'ready' } | { readonly kind: 'retry'; readonly due: number };
  /** Reports that must neither be lost nor doubled: accepted by the same write (G2). */
  readonly reports: readonly Acceptance[];
}

/** The first thing a lane has to send. */
export interface Head {
  /** Raised by one level for each `promoteAfter` of waiting (G4). */
  readonly level: Priority;
  readonly since: number;
}

/** Deliveries that a sweep has leased at a time, at most. */
export const SWEPT_AT_ONCE = 500;

/** What an operator does to one delivery. Durable when it resolves. */
export type Change =
  | { readonly kind: 'remove' }
  | { readonly kind: 'retryNow' }
  | { readonly kind: 'reschedule'; readonly due: number }
  | { readonly kind: 'hold' }
  | { readonly kind: 'release' }
  /**
   * Its lane leads nowhere any more: each queued recipient gets the lane that `laneOf` says (pure; asked once for each). Where that is
   * several, the delivery is split; those who have their end stay with the first part, and so does the key.
   */
  | { readonly kind: 'reroute'; readonly laneOf: (recipient: string) => LaneKey };

/** What an operator may decide besides: no more tries, and a report to the sender. The store has no such change: the delivery is taken and settled. */
export interface GiveUp {
  readonly kind: 'fail';
  /** In the operator's words; may be empty. */
  readonly reason: string;
}

/** `inFlight`: leased at this moment, so nothing was changed. */
export type ChangeResult = 'done' | 'inFlight' | 'gone';

export interface SpoolEvents {
  /** The lane may have something ready that it had not before. */
  onReady(lane: LaneKey): void;
  /** Something was stored that waits until `due` (epoch ms): `promote` is worth calling then. */
  onWaiting(due: number): void;
  /** Something was found damaged or failed: told once each. */
  onFault(fault: { readonly code: string; readonly text: string; readonly lane?: LaneKey; readonly id?: MessageId }): void;
}

/** What a spool with a folder of its own can do besides, while mail goes on. */
export interface Upkeep {
  /**
   * Copies the spool as it is now into a folder that is not there yet, or empty. Rejects with `INVALID_OPTIONS` where that cannot
   * be; nothing is left of it then.
   */
  snapshot(folder: string): Promise<SnapshotReport>;
  /** Gives back the space of what was deleted. */
  compact(): Promise<CompactReport>;
}

export interface Spool {
  readonly driver: string;
  /** Where the driver has one. */
  readonly upkeep?: Upkeep;

  // — intake —
  /**
   * Whether new mail may come in now: `SPOOL_FULL` below the free-space mark, `SPOOL_FAILED` while reopening, else undefined.
   * Cheap: asked at every MAIL.
   */
  closedFor(sizeBytes: number): 'SPOOL_FULL' | 'SPOOL_FAILED' | undefined;
  /** `envelope` is written into a body file, so that a file without a record can be told from rubbish. */
  writeBody(message: { readonly id: MessageId; readonly sender: string; readonly recipients: readonly string[] }): BodyWriter;
  accept(entry: Acceptance): Promise<void>;
  /** What was accepted under this key and is not forgotten yet: until its `until`, by the wall clock. */
  once(key: string): Promise<AcceptedOnce | undefined>;
  /**
   * Accepts a template with as many copies as come: they are written as they come, and nothing of it can be seen before all are there.
   * Resolves with their number when it is durable. What `deliveries` throws it rejects with; nothing is stored then.
   */
  acceptMerge(entry: MergeAcceptance): Promise<number>;
  /** What the mail of this lane brought along about its server; undefined where it brought nothing, or that is damaged. */
  server(lane: LaneKey): string | undefined;
  /** The greatest message id ever accepted here: new ones must be above it, also when the clock was set back (`core/id.ts`). */
  lastId(): MessageId | undefined;

  // — scheduling (synchronous, from what is in memory) —
  listen(events: SpoolEvents): void;
  /** Lanes that have something ready now; none that are paused. */
  lanes(): Iterable<LaneKey>;
  head(lane: LaneKey): Head | undefined;
  /** How many could be pulled now without reading the store. */
  readyNow(lane: LaneKey): number;
  pull(lane: LaneKey): Lease | undefined;
  /** Where a delivery that is ready stands in its lane: how many of it come before, and whether there may be more that are not in memory. */
  place(key: DeliveryKey): Place | undefined;
  /** Untried: goes back to the front of its priority. Writes nothing. */
  giveBack(lease: Lease): void;
  /**
   * Moves what is due into its lanes. Resolves with the next due time (or one before it, of something since changed), or undefined
   * when nothing waits. Cheap when nothing is due.
   */
  promote(): Promise<number | undefined>;

  // — delivery —
  /** The content as it was accepted: of a merge the template. */
  body(lease: Lease): Promise<Body>;
  /** What the recipient of a delivery has for a template; undefined where the delivery is done, or no copy. Rejects with `SPOOL_DAMAGED`. */
  copy(key: DeliveryKey): Promise<MergeCopy | undefined>;
  /**
   * Tells what the remote answered to a final dot, before it is settled: in the journal when this returns, so that the death
   * of the process cannot double it (G3), also where that connection is closed now. What cannot be written is tried again by `mayFinish`.
   */
  note(lease: Lease, outcomes: readonly RecipientOutcome[]): void;
  /** Whether a final dot may be sent: what was noted is written, and the store is well. A promise only while one of both is not. */
  mayFinish(): true | Promise<void>;
  /** False if the lease is no longer held. */
  settle(lease: Lease, settlement: Settlement): Promise<boolean>;
  /** Unreadable or otherwise not to be sent: held, with the reason as its last trouble. */
  setAside(lease: Lease, reason: string): Promise<void>;
  /**
   * Slow sweep over what is ready, in slices: every delivery for which `wants` is true is leased and given to `take`, whether
   * or not its lane is being served (expiry and delay notices while a site is in trouble). Waits for what `take` returns, so that no more
   * than `SWEPT_AT_ONCE` are leased by it at a time, however many have expired together.
   */
  sweepReady(
    wants: (about: { readonly expiresAt: number; readonly acceptedAt: number; readonly delayNoticed: boolean }) => boolean,
    take: (lease: Lease) => void | Promise<void>,
  ): Promise<void>;

  // — looking and operating —
  /** Of a merge at most `limit` deliveries (`VIEWED`) behind `after`; of other messages all, unless a page is asked for. */
  inspect(id: MessageId, page?: { readonly limit?: number; readonly after?: string }): Promise<MessageView | undefined>;
  /** The content of a message that is still queued; of a merge the template. */
  readBody(id: MessageId): Promise<Body | undefined>;
  /** Live deliveries, oldest message first. `limit` bounds the page, not the work: at most 10,000 records are looked at for one page. */
  list(
    query: Query,
    page: { readonly limit: number; readonly after?: string },
  ): Promise<Page<{ readonly message: Message; readonly delivery: DeliveryView }>>;
  /**
   * Messages in the queue and in the history, by id. A page takes a bounded time, found or not: it may be short or empty, and still have a
   * next one.
   */
  messages(query: MessageQuery, page: { readonly limit: number; readonly after?: string }): Promise<Page<MessageSummary>>;
  change(key: DeliveryKey, change: Change): Promise<ChangeResult>;
  /**
   * Leases a delivery that is not being sent, whatever it waits for, so that it can be settled. Given back, it is where it was, held or
   * waiting as before.
   */
  take(key: DeliveryKey): Promise<Lease | 'inFlight' | 'gone'>;
  /**
   * From when this resolves, nothing of the lane is pulled, and it has no head: until it is resumed, also after a restart. What is on its
   * way goes on; sweeping and operating go on. A lane need not have anything to be paused. A second pause replaces the first.
   */
  pauseLane(lane: LaneKey, pause: Pause): Promise<void>;
  /** False: it was not paused. */
  resumeLane(lane: LaneKey): Promise<boolean>;
  pauses(): ReadonlyMap<LaneKey, Pause>;
  counts(): SpoolCounts;
  /** What writes took, since the start. */
  commits(): CommitMeasures;
  /**
   * When the oldest message was accepted of which a delivery is ready, waits, or is held. Only the oldest few thousand of the queue are looked
   * at: what is not among them is left out.
   */
  oldest(): Promise<Readonly<Partial<Record<'ready' | 'waiting' | 'held', number>>>>;
  /** For how many ms a failed store could not be reopened; 0 while all is well. */
  failingFor(): number;
  laneCounts(): Iterable<LaneCounts>;
  /** Deliveries done, newest last, from `since` (epoch ms) on. */
  history(page: {
    readonly since: number;
    readonly limit: number;
    readonly after?: string;
  }): Promise<Page<{ readonly message: Message; readonly delivery: DeliveryView }>>;
  /** Housekeeping: history past its retention or size, keys past their time, orphaned bodies, ranges to compact. In slices; called by the clock. */
  tidy(): Promise<void>;

  /** Waits for commits under way; leases end without a trace. Idempotent. */
  close(): Promise<void>;
}

/** States that a recipient never leaves (G2). */
export function isFinal(state: RecipientState): boolean {
  return state !== 'queued';
}
