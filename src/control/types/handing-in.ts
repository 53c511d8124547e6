/** Mail handed in over the socket or over HTTP, and the answers to it. */
import type { Notify } from '../../core/delivery.js';
import type { MessageId, Priority, TraceContext } from '../../core/message.js';
import type { NowOutcome } from '../../core/outcome.js';

/** What another process of the same program hands in: the options of the API's `queue` but for its data, as JSON. */
export interface HandInRequest {
  readonly options: Readonly<Record<string, unknown>>;
  /** Words of the content that were drawn, and say nothing: another key of idempotency is not told by them. */
  readonly chance?: readonly string[];
  /** What whoever hands it in is doing; goes in the header of the request. */
  readonly trace?: TraceContext | undefined;
}

/** What follows the request, to be read in this order. */
export interface HandInBody {
  readonly content: AsyncIterable<Buffer>;
  /** Of a merge: who gets a copy, with which values. */
  readonly rows?: AsyncIterable<unknown> | undefined;
}

/** As the API's `Sent`. */
export interface HandInReport {
  readonly id: MessageId;
  readonly messageId: string;
  readonly recipients: number;
  readonly size: number;
  readonly unknownTokens?: Readonly<Record<string, number>>;
}

/** As the API's `SentNow`. */
export interface NowReport extends HandInReport {
  readonly outcomes: readonly NowOutcome[];
}

/** Envelope of a message handed in over the socket. The content follows it as a stream. */
export interface SubmitRequest {
  /** `''` is the null sender. */
  readonly from: string;
  readonly to: readonly string[];
  readonly priority?: Priority;
  /** Not before this moment. */
  readonly notBefore?: number;
  readonly expiresAt?: number;
  readonly requireTls?: boolean;
  readonly bounces?: 'mail' | 'none';
  readonly tags?: readonly string[];
  /** With the same key within a day nothing is stored, and the first report is given again. */
  readonly idempotencyKey?: string;
  /** RFC 3461, for every recipient. */
  readonly notify?: readonly Notify[];
  readonly ret?: 'full' | 'hdrs';
  /** Printable ASCII, 100 characters at most. */
  readonly envid?: string;
  /** What whoever hands it in is doing; goes in the header of the request. */
  readonly trace?: TraceContext | undefined;
}

export interface SubmitReport {
  readonly id: MessageId;
  readonly messageId: string;
  readonly sizeBytes: number;
  readonly recipients: number;
}
