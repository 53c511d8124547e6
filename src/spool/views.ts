/**
 * What can be seen of a spool, and how it is asked for: words about deliveries, messages, lanes and the store itself. Values only, the same
 * of every driver.
 */
import type { Attempt, DeliveryKey, Recipient, RecipientState } from '../core/delivery.js';
import type { LaneKey } from '../core/lane.js';
import type { Message, MessageId, Priority } from '../core/message.js';
import type { HistogramView } from '../platform/histogram.js';

/** Where a delivery stands that waits for nothing but its turn. */
export interface Place {
  /** Its priority, raised by its age. */
  readonly level: Priority;
  /** Deliveries of its lane that come first. */
  readonly before: number;
  /** Else at least so many. */
  readonly exactly: boolean;
}

/** Since when nothing of a lane is sent, and what was said about it. */
export interface Pause {
  /** Epoch ms. */
  readonly at: number;
  /** May be empty. */
  readonly reason: string;
}

/** Deliveries of a lane by what they wait for. `ready` includes leased ones. */
export interface LaneCounts {
  readonly lane: LaneKey;
  readonly ready: number;
  readonly waiting: number;
  readonly held: number;
  /** Nothing of it is sent. */
  readonly paused?: Pause;
}

/** Everything about one delivery, live or from the history. */
export interface DeliveryView {
  readonly key: DeliveryKey;
  readonly lane: LaneKey;
  readonly priority: Priority;
  /** `done` comes from the history. */
  readonly state: 'ready' | 'sending' | 'waiting' | 'held' | 'done';
  readonly recipients: readonly Recipient[];
  readonly attempts: number;
  readonly log: readonly Attempt[];
  /** Next attempt, epoch ms; 0 when done. */
  readonly due: number;
  /** When it was done; 0 while it is not. */
  readonly settledAt: number;
}

export interface MessageView {
  readonly message: Message;
  /** In the order of their numbers; of a merge a page of them. */
  readonly deliveries: readonly DeliveryView[];
  /** Pass as `after` to see those that follow; absent at the end. */
  readonly next?: string;
  /** Of a merge: how many of all its recipients are in which state. */
  readonly tally?: Readonly<Record<RecipientState, number>>;
}

/** Deliveries of a merge that `inspect` shows unless it is told otherwise. */
export const VIEWED = 1000;

/** `deferred`: queued, and something went wrong already. `error`: ended, and not delivered to everybody. */
export const MESSAGE_STATES = ['queued', 'sending', 'deferred', 'held', 'sent', 'error'] as const;
export type MessageState = (typeof MESSAGE_STATES)[number];

/** Which messages, of those in the queue and those in the history. */
export interface MessageQuery {
  /** Absent: any. */
  readonly state?: MessageState;
  /** Part of the id, the sender, a recipient, the Message-ID or a tag, in any letter case. */
  readonly search?: string;
  /** Else the newest comes first. */
  readonly oldestFirst?: boolean;
}

/** A message in a line. */
export interface MessageSummary {
  readonly message: Message;
  readonly status: 'queued' | 'sent' | 'error';
  /** How many there are of each state. */
  readonly deliveries: Readonly<Record<DeliveryView['state'], number>>;
  /** `failed`: bounced, expired or removed. */
  readonly recipients: { readonly queued: number; readonly delivered: number; readonly failed: number };
  /** The first few of them. */
  readonly named: readonly { readonly address: string; readonly state: RecipientState }[];
  /** When the first of what waits is tried next (epoch ms), while it is queued and not held. */
  readonly due?: number;
  /** When the last recipient ended, once all have. */
  readonly endedAt?: number;
  /** What went wrong last. */
  readonly trouble?: NonNullable<Recipient['last']> & { readonly recipient: string };
  /** It has more deliveries than were looked at: what is said of deliveries is about the first ones. */
  readonly more?: true;
}

/** Which deliveries: every given field must hold. `{}` means all. */
export interface Query {
  readonly ids?: readonly MessageId[];
  readonly lane?: LaneKey;
  readonly state?: 'ready' | 'waiting' | 'held' | 'sending';
  /** Domain of a recipient, exact. */
  readonly domain?: string;
  readonly sender?: string;
  readonly recipient?: string;
  /** One of the message's tags, exact. */
  readonly tag?: string;
  /** Accepted before this (epoch ms). */
  readonly acceptedBefore?: number;
  /** Text of the last trouble contains this, case-insensitively; `''`: there was trouble. */
  readonly error?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Pass as `after` to go on; absent at the end. */
  readonly next?: string;
}

export interface SpoolCounts {
  readonly messages: number;
  readonly ready: number;
  readonly waiting: number;
  readonly held: number;
  /** Leased now. */
  readonly sending: number;
  readonly lanes: number;
  /** Octets that can still be written before intake closes; undefined where unknown. */
  readonly freeBytes?: number;
}

export interface CommitMeasures {
  /** Until it was safe, in milliseconds. */
  readonly commitMs: HistogramView;
  /** What shared a write. */
  readonly commitOperations: HistogramView;
}

/** Bounds of `CommitMeasures`, the same for all drivers. */
export const COMMIT_MS = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000] as const;
export const COMMIT_OPERATIONS = [1, 2, 5, 10, 25, 50, 100, 250, 1_000] as const;

/** A copy of a spool, made while it was at work. */
export interface SnapshotReport {
  readonly folder: string;
  /** Keys of the store. */
  readonly entries: number;
  readonly bodyFiles: number;
  /** Octets of those files, with their checksums. */
  readonly bodyBytes: number;
}

/** Octets on disk, as the file system counts them. */
export interface CompactReport {
  readonly before: number;
  readonly after: number;
}
