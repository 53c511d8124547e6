/** What is asked about the queue and done to it: deliveries that are selected, lanes, ages. */
import type { LaneKey } from '../../core/lane.js';
import type { Message, MessageId } from '../../core/message.js';
import type { DeliveryView, LaneCounts, Page, Query } from '../../spool/spool.js';

/** One delivery as the queue lists it. */
export interface QueueEntry {
  readonly message: Message;
  readonly delivery: DeliveryView;
}

export type QueuePage = Page<QueueEntry>;

/** Deliveries to act on: each given field must hold. At least one must be given, or `all`. */
export interface Selector extends Query {
  readonly all?: true;
}

export const ACTIONS = ['remove', 'retry', 'hold', 'release', 'reschedule', 'fail'] as const;
/** `fail`: tried no more, and the sender is told (`remove` tells nobody). `retry`: now, whatever it waits for. */
export type Action = (typeof ACTIONS)[number];

export interface ChangeRequest {
  readonly action: Action;
  readonly selector: Selector;
  /** For `reschedule`, and for nothing else: when it is tried next. What is held stays held. */
  readonly at?: number;
  /** For `fail`: why, in the report to the sender and in the history. */
  readonly reason?: string;
  /** Counts, and changes nothing. */
  readonly dryRun?: boolean;
}

/** What became of a change. Deliveries are counted, and the messages they belong to. */
export interface ChangeReport {
  readonly action: Action;
  readonly messages: number;
  readonly matched: number;
  readonly changed: number;
  /** Being sent at that moment: left alone. */
  readonly inFlight: number;
  /** Ended before it could be changed. */
  readonly gone: number;
  /** Of the ids asked for, those that are not in the queue. */
  readonly unknown: readonly MessageId[];
}

/** One lane by its key, all lanes of a domain that hold mail for it alone, or, to resume, all that are paused. */
export interface LaneSelector {
  readonly lane?: LaneKey;
  readonly domain?: string;
  readonly all?: true;
}

export interface PauseRequest {
  readonly lane?: LaneKey;
  readonly domain?: string;
  /** Shown wherever the lane is. */
  readonly reason?: string;
}

/** The lanes that were paused, or resumed. */
export interface LanesReport {
  readonly lanes: readonly LaneKey[];
}

/** A lane with its depth, and what keeps its mail from going: trouble of its own, or of the servers that it leads to. */
export interface LaneReport extends LaneCounts {
  /** `until`: when it is tried again. A moment that has passed: one connection is being tried. */
  readonly resting?: { readonly until: number; readonly trouble: string };
}

export interface LaneQuery {
  readonly paused?: boolean;
  /** Part of the key. */
  readonly search?: string;
}

export interface ShapeRequest {
  /** Whose domains: each recipient that is open counts (unless told), or each message once, by its sender. */
  readonly by?: 'recipient' | 'sender';
  readonly state?: Query['state'];
  /** Moment at which ages are reckoned; now unless told. */
  readonly now?: number;
  /** So many of the domains that have most; 20 unless told. */
  readonly domains?: number;
}

export interface ShapeRow {
  readonly domain: string;
  readonly total: number;
  /** As many as `agesMinutes`, and one for what is older. */
  readonly byAge: readonly number[];
}

export interface ShapeReport {
  readonly by: NonNullable<ShapeRequest['by']>;
  /** What is younger than so many minutes is in that column. */
  readonly agesMinutes: readonly number[];
  readonly all: ShapeRow;
  /** Those that have most first. */
  readonly domains: readonly ShapeRow[];
  /** All further domains together, and how many they are. */
  readonly others: ShapeRow & { readonly domains: number };
}
