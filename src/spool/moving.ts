/**
 * What a spool holds, in pieces, as it is moved from one to another: written into an archive, read from one, saved from a damaged
 * store. Plain values in an order that needs no more memory than one message without its content:
 *
 *   lanes that are paused, and what lanes brought along about their servers; then of each message: itself, its deliveries, its content in chunks, then `whole` or `void`; then keys under
 *   which mail was handed in, what is done, one by one, and how often it ended how for templates
 *
 * A message counts only with its `whole`. Ids, dates, attempts and states stay what they are.
 */
import type { Attempt, Delivery, Recipient } from '../core/delivery.js';
import type { LaneKey } from '../core/lane.js';
import type { MergeCopy, Message, MessageId, Priority } from '../core/message.js';
import type { AcceptedOnce, Pause } from './spool.js';

/** A delivery that is still to be made. */
export interface MovedDelivery {
  /** Its number within the message. */
  readonly n: number;
  /** How often its record was written; the copy counts on. */
  readonly version: number;
  readonly lane: LaneKey;
  readonly priority: Priority;
  readonly state: 'ready' | 'waiting' | 'held';
  /** Epoch ms, as in `Delivery`. */
  readonly due: number;
  readonly recipients: readonly Recipient[];
  readonly attempts: number;
  readonly log: readonly Attempt[];
  readonly delayNoticed: boolean;
  /** Of a template: what its recipient has. */
  readonly copy?: MergeCopy;
}

/** What was accepted under a key of its sender's, and until when (epoch ms) that is known. */
export interface MovedKey {
  /** Of the key, SHA-256 in hexadecimal digits. */
  readonly hash: string;
  readonly accepted: AcceptedOnce;
  readonly until: number;
}

/** A delivery that is done. */
export interface PastDelivery extends Pick<Delivery, 'lane' | 'priority' | 'recipients' | 'attempts' | 'log'> {
  readonly n: number;
  /** When it was done, epoch ms. */
  readonly at: number;
}

export type Piece =
  /** As sealed under the key of the spool that it comes from. */
  | { readonly kind: 'server'; readonly lane: LaneKey; readonly about: string }
  | { readonly kind: 'pause'; readonly lane: LaneKey; readonly pause: Pause }
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'delivery'; readonly delivery: MovedDelivery }
  | { readonly kind: 'content'; readonly bytes: Buffer }
  /** `place`: the content's own file in the store that it comes from, which may stay where it is. */
  | { readonly kind: 'whole'; readonly place?: string }
  /** It turned out to be damaged: what came of it does not count. */
  | { readonly kind: 'void' }
  | { readonly kind: 'key'; readonly key: MovedKey }
  | { readonly kind: 'past'; readonly message: Message; readonly delivery: PastDelivery }
  /** Of a template, what became of its recipients so far; `ends` in the order of `TALLIED`. */
  | { readonly kind: 'tally'; readonly id: MessageId; readonly ends: readonly number[] };

/** Something that could not be moved, and why. */
export interface Loss {
  readonly text: string;
  readonly id?: MessageId;
  readonly sender?: string;
  /** The first of those who do not get it, where they are known. */
  readonly recipients?: readonly string[];
}

/** How many of each there were. */
export interface MovedCounts {
  messages: number;
  deliveries: number;
  history: number;
  contentBytes: number;
  pauses: number;
  keys: number;
  servers: number;
}

export function noneMoved(): MovedCounts {
  return { messages: 0, deliveries: 0, history: 0, contentBytes: 0, pauses: 0, keys: 0, servers: 0 };
}

/** Adds a piece that is written, or read and kept. Content counts as it comes, also where it turns out void. */
export function countPiece(counts: MovedCounts, piece: Piece): void {
  if (piece.kind === 'whole') counts.messages++;
  else if (piece.kind === 'delivery') counts.deliveries++;
  else if (piece.kind === 'past') counts.history++;
  else if (piece.kind === 'pause') counts.pauses++;
  else if (piece.kind === 'server') counts.servers++;
  else if (piece.kind === 'key') counts.keys++;
  else if (piece.kind === 'content') counts.contentBytes += piece.bytes.length;
}
