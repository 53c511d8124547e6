/**
 * A message: accepted mail, envelope and content. It never changes after it was accepted; what happens
 * to it is told by its deliveries (`delivery.ts`).
 */

/** 26 characters of Crockford base 32: 48 bits of milliseconds, 80 of randomness. Sorts by time. */
export type MessageId = string;

/** Order of the queue. The numbers are stored: they sort, highest first, and never change meaning. */
export const PRIORITIES = ['high', 'medium', 'low'] as const;
export type Priority = (typeof PRIORITIES)[number];

/** What the wire needs to know of the content without reading it again. Found once, at accept. */
export interface ContentFacts {
  /** An octet above 127 occurs (header or body): needs 8BITMIME or a downgrade. */
  readonly eightBit: boolean;
  /** A line begins with a dot: needs stuffing. Most content does not, and is written as it is. */
  readonly dotted: boolean;
  /** An octet above 127 occurs in a header: needs SMTPUTF8 (RFC 6531). */
  readonly utf8Headers: boolean;
}

export type Origin =
  | { readonly kind: 'smtp'; readonly client: string; readonly helo: string; readonly user?: string }
  | { readonly kind: 'api'; readonly user?: string }
  /** A report of ours about `of`. */
  | { readonly kind: 'report'; readonly of: MessageId };

/** A value that is put into a page, or a URL, as it is. Plain data: it can be stored as JSON. */
export interface RawValue {
  readonly raw: string;
}

/** What a token becomes. */
export type MergeValue = string | RawValue;
/** By the names of tokens. */
export type MergeValues = Readonly<Record<string, MergeValue>>;

/** What makes one recipient's copy of a template. */
export interface MergeCopy {
  /** Go before the message's `merge.defaults`. */
  readonly values: MergeValues;
  /** Shown with the recipient's address. */
  readonly name?: string;
}

/** W3C Trace Context of whoever handed a message in. */
export interface TraceContext {
  readonly traceparent: string;
  readonly tracestate?: string;
}

export interface Message {
  readonly id: MessageId;
  /** Epoch milliseconds. */
  readonly acceptedAt: number;
  /** Envelope sender, `''` for the null sender (RFC 5321 §4.5.5). */
  readonly sender: string;
  /** Octets of the stored content: CRLF line ends, not dot-stuffed, trace included. */
  readonly sizeBytes: number;
  readonly content: ContentFacts;
  /** The envelope was given with SMTPUTF8, or an address in it needs that. */
  readonly smtpUtf8: boolean;
  /** RFC 8689: only over verified TLS. */
  readonly requireTls: boolean;
  readonly priority: Priority;
  /** Not sent before this moment (epoch ms); 0 for now. G6. */
  readonly notBefore: number;
  /** After this moment it is given up (epoch ms). */
  readonly expiresAt: number;
  readonly origin: Origin;
  /** The Message-ID header with its angle brackets, `''` if unknown: for logs and reports. */
  readonly messageId: string;
  /** `none`: a failure is recorded but no mail about it is sent. */
  readonly bounces: 'mail' | 'none';
  /** Words of the sender's, to search by. */
  readonly tags?: readonly string[];
  /** Where what happens to it links to, if somebody traces. */
  readonly trace?: TraceContext;
  /**
   * The content is a template: each delivery has exactly one recipient and a copy of its own, merged just before it is sent. What is said
   * of the content here is said of the template. Lists and the history have it without its defaults.
   */
  readonly merge?: { readonly defaults: MergeValues };
  /** RFC 3461 RET and ENVID (decoded), as given. */
  readonly dsn?: { readonly ret?: 'full' | 'hdrs'; readonly envid?: string };
}

/** A message for the history and for lists: there may be very many of one merge, and its defaults may be long. */
export function withoutDefaults(message: Message): Message {
  return message.merge === undefined ? message : { ...message, merge: { defaults: {} } };
}

/** Message-ID of the copy for delivery number `n`: the same at every try. */
export function copyMessageId({ id, messageId }: Message, n: number): string {
  const host = /@([^@<>\s]+)>$/.exec(messageId)?.[1] ?? 'localhost';
  return `<${id}.${n}@${host}>`;
}

/** The content of a message, as the wire wants to have it: small in one piece, large as it is read. */
export type Body = (
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  /**
   * Chunks in order; throws `SPOOL_DAMAGED` before the end where a checksum does not hold (G9). `reuse`: each chunk is good only until the
   * next one is asked for, then its memory may be used again.
   */
  | { readonly kind: 'stream'; readonly sizeBytes: number; readonly open: (how?: { readonly reuse: boolean }) => AsyncIterable<Buffer> }
) & {
  /** Of a copy, which is other than its template; else those of the message hold. */
  readonly content?: ContentFacts;
};
