/**
 * The one door: what any listener or API hands in, and what it gets back. `submit.ts` implements it.
 */
import type { NamedRecipient, RawRow } from '../compose/merge/rows.js';
import type { Recipient } from '../core/delivery.js';
import type { MergeValues, Message, MessageId, Origin, Priority } from '../core/message.js';
import type { OwnServer } from '../core/own-server.js';

export interface SubmissionEnvelope {
  /** `''` is the null sender. Normalised address otherwise. */
  readonly sender: string;
  readonly recipients: readonly Pick<Recipient, 'address' | 'notify' | 'orcpt'>[];
  readonly smtpUtf8: boolean;
  readonly requireTls: boolean;
  readonly dsn?: Message['dsn'];
  readonly origin: Origin;
  readonly priority: Priority;
  /** Epoch ms, 0 for now. */
  readonly notBefore: number;
  /** Epoch ms; default: `retry.expiry` after accept (or after `notBefore`, if that is later). */
  readonly expiresAt?: number;
  readonly bounces: 'mail' | 'none';
  /** It goes there, instead of where the routes lead. */
  readonly server?: OwnServer;
  /** Words to search by. */
  readonly tags?: readonly string[];
  /** Kept with the message. */
  readonly trace?: Message['trace'];
  /**
   * The trace line to stand on top, complete with its CRLF; `''` for none. A function is given what is known only
   * inside: the id and the date, as RFC 5322 writes it.
   */
  readonly received: string | ((id: MessageId, date: string) => string);
}

export interface Submitted {
  readonly id: MessageId;
  readonly messageId: string;
  readonly sizeBytes: number;
}

/** The key that a message came under, and the digest of what came (`once.ts`). */
export interface OnceMark {
  readonly key: string;
  readonly digest: string;
}

/** Complete, and on its way to the disk: what it will be called there, and when it is there. */
export interface Staged extends Submitted {
  /** Rejects with `MtaError` where it cannot be stored. */
  readonly durable: Promise<void>;
}

/** A message on its way in. */
export interface Submission {
  readonly id: MessageId;
  /**
   * Content as it arrives: unstuffed, any line ends, no final dot. A promise asks for a pause.
   * What is wrong with the content (size, NUL, loop) is kept, later chunks are dropped, and `finish` rejects with it.
   */
  write(chunk: Buffer): true | Promise<void>;
  /**
   * Resolves when durable (G1). `once` is remembered with it, for a day.
   * Rejects with `MtaError`: `MESSAGE_TOO_LARGE`, `MESSAGE_REFUSED`, `SPOOL_FULL`, `SPOOL_FAILED`. Nothing is stored then.
   */
  finish(once?: OnceMark): Promise<Submitted>;
  /** As `finish`, but does not wait for the disk. What is wrong with the content rejects here. */
  stage(once?: OnceMark): Promise<Staged>;
  abort(): void;
}

/** Envelope of a template: its copies have one recipient each. */
export interface MergeEnvelope extends Omit<SubmissionEnvelope, 'recipients'> {
  /** Who gets a copy, where that was said beside the list of values; undefined: those in the list. */
  readonly recipients?: readonly NamedRecipient[];
  /** RFC 3461, the same for all. */
  readonly notify?: Recipient['notify'];
  /** Values for those who have none of their own. */
  readonly defaults: MergeValues;
}

export interface Merged extends Submitted {
  readonly recipients: number;
  /** Tokens without a value, and in how many copies each: they stay as they are. */
  readonly unknownTokens: Readonly<Record<string, number>>;
}

/** A template on its way in, and then its list. */
export interface MergeSubmission {
  readonly id: MessageId;
  /** As of `Submission`. */
  write(chunk: Buffer): true | Promise<void>;
  /**
   * Reads the list to its end; resolves when all is durable (G1). Rejects as `Submission.finish` does, with what `rows` throws, and with
   * an issue for each row that is wrong. Nothing is stored then. The digest is asked for when the list has been read.
   */
  finish(rows: AsyncIterable<RawRow>, once?: { readonly key: string; readonly digest: () => string }): Promise<Merged>;
  abort(): void;
}

/** With the door for merges. */
export interface MergeIntake extends Intake {
  beginMerge(envelope: MergeEnvelope): MergeSubmission;
}

export interface Intake {
  /** Recipients are grouped into lanes here; duplicates (same local part, same domain) are kept once. */
  begin(envelope: SubmissionEnvelope): Submission;
  /** Why nothing can come in now, or undefined. */
  closedFor(sizeBytes: number): 'SPOOL_FULL' | 'SPOOL_FAILED' | undefined;
  /** Other limits; a message that is coming in is held to them, too. */
  renew(limits: { readonly maxMessageSizeBytes: number; readonly expiryMs: number }): void;
}
