/**
 * A delivery: one message to one lane, with the recipients it has there. What is queued, tried,
 * retried and reported. Values only: every change makes a new one.
 *
 *   waiting ──due──► ready ──pull──► leased ──settle──► done (history)
 *      ▲               ▲                │  └─► waiting (retry, with a due time)
 *      └── reschedule  └── release ── held
 */
import type { LaneKey } from './lane.js';
import type { MergeCopy, Message, MessageId, Priority } from './message.js';
import type { Stage, Trouble } from './outcome.js';

/** `<message id>.<n>`, n counting from 0 within the message. */
export type DeliveryKey = string;

export function deliveryKey(id: MessageId, n: number): DeliveryKey {
  return `${id}.${n}`;
}

export function splitDeliveryKey(key: DeliveryKey): { id: MessageId; n: number } {
  const dot = key.indexOf('.');
  return { id: key.slice(0, dot), n: Number(key.slice(dot + 1)) };
}

/** `queued` until one of the final four (G2). */
export type RecipientState = 'queued' | 'delivered' | 'bounced' | 'expired' | 'removed';

/** RFC 3461 §4.1: of what the servers on the way are to tell the sender. */
export const NOTIFY = ['never', 'success', 'failure', 'delay'] as const;
export type Notify = (typeof NOTIFY)[number];

export interface Recipient {
  /** As accepted: local part untouched, domain in lower case A-labels (U-labels never). */
  readonly address: string;
  readonly state: RecipientState;
  /** RFC 3461, as given; `orcpt` with its type (`rfc822;…`), its xtext decoded. */
  readonly notify?: readonly Notify[];
  readonly orcpt?: string;
  /** What became of it last: the reply of success, or the trouble. */
  readonly last?: { readonly at: number; readonly status: string; readonly text: string; readonly server?: string };
}

/** One attempt, as it is kept with the delivery and then in the history. */
export interface Attempt {
  readonly at: number;
  readonly durationMs: number;
  /** `host[address]:port`, where one was reached. */
  readonly server?: string;
  readonly tls?: string;
  /** The furthest stage reached. */
  readonly stage: Stage;
  readonly delivered: number;
  readonly deferred: number;
  readonly failed: number;
  /** The first trouble of this attempt, in the remote's words. */
  readonly trouble?: Trouble;
  /**
   * What was said: a line for each command (`<ms> C: MAIL FROM:…`), each line of a reply (`<ms> S: 250 2.1.0 Ok`) and what happened
   * besides (`<ms> TLS: TLSv1.3 …`), with the milliseconds since it began. Neither content nor credentials; at most 4 KiB. The
   * opening of a connection stands with the first message on it.
   */
  readonly transcript?: string;
}

/** Octets of transcripts kept per delivery: the first one's, and the newest up to this. */
export const MAX_TRANSCRIPTS_KEPT = 8192;

/** Attempts kept per delivery: the first, and the newest ones up to this number. */
export const MAX_ATTEMPTS_KEPT = 24;

export interface Delivery {
  readonly key: DeliveryKey;
  readonly message: Message;
  readonly lane: LaneKey;
  readonly priority: Priority;
  readonly recipients: readonly Recipient[];
  /** Attempts charged so far (a wait for a site in trouble charges none). */
  readonly attempts: number;
  readonly log: readonly Attempt[];
  /** A delay notice was sent already. */
  readonly delayNoticed: boolean;
  readonly held: boolean;
  /** When it may be tried next, epoch ms: what is waiting waits for this; ready since this. */
  readonly due: number;
}

/** A delivery as it is handed to the spool at accept: the driver gives the rest. */
export interface NewDelivery {
  readonly lane: LaneKey;
  readonly recipients: readonly Recipient[];
  /** Of a message that is a template (`Message.merge`): what its one recipient has. Kept until the delivery is done. */
  readonly copy?: MergeCopy;
}
