/**
 * Handing in: what `send` composes and what `queue` is given become a message in the spool.
 *
 * Promises
 *  - It resolves when the message is durable (G1). What rejects has stored nothing.
 *  - One error names every option that is wrong, and those that there are not. Files that cannot be read and text that does not fit its
 *    character set are found after that, together.
 *  - Content goes on as it is read; only what is small, or was in memory before, is ever whole there.
 *
 * Must not: know routes, the queue or connections.
 */
import { Readable } from 'node:stream';
import { errorOf, type Issues, isObject, onlyKnown, put } from '../compose/checks.js';
import { Compose, type Composer } from '../compose/compose.js';
import { type AddressInput, distinctAddresses, readEnvelopeAddress, readMailboxes } from '../compose/mailboxes.js';
import { readDelay, readMoment } from '../compose/moment.js';
import { COMPOSE_OPTIONS, type ComposeOptions } from '../compose/options.js';
import { MtaError } from '../core/errors.js';
import type { MessageId } from '../core/message.js';
import type { Submission, SubmissionEnvelope } from '../intake/submission.js';
import { DELIVERY_OPTIONS, type DeliveryOptions, readTerms, type Terms } from './terms.js';

/** Needs `subject`, `from`, one of `to`, `cc` and `bcc`, and one of `body` and `html` (or `simpleForm`). */
export interface SendOptions extends ComposeOptions, DeliveryOptions {
  readonly from: AddressInput;
  readonly subject: string;
}

interface QueueEnvelope {
  /** Envelope sender; `''` for the null sender. */
  readonly from: string;
  readonly recipients: AddressInput;
}

interface QueueTerms extends DeliveryOptions {
  /** Not sent before: a Date, epoch milliseconds, or ISO 8601 with an offset. A past one sends now. */
  readonly date?: Date | string | number | undefined;
  /** The same, in seconds from now. */
  readonly delay?: number | undefined;
}

/**
 * A message that is formatted already, with its envelope. Line ends become CRLF, `Bcc` is taken out, `Date`, `From` and `Message-ID` are
 * put in where they are missing. A `Compose` brings an envelope and a date of its own, which what is given here replaces.
 */
export type QueueOptions = QueueTerms &
  (
    | ({ readonly data: string | Uint8Array | Readable } & QueueEnvelope)
    | ({ readonly data: Compose } & { readonly [K in keyof QueueEnvelope]?: QueueEnvelope[K] | undefined })
  );

export interface Sent {
  readonly id: MessageId;
  /** The Message-ID field, with its brackets. */
  readonly messageId: string;
  /** How many, each counted once. */
  readonly recipients: number;
  /** Octets, as they are stored. */
  readonly size: number;
}

export interface HandInOptions {
  readonly composer: Composer;
  readonly clock: { now(): number };
  readonly maxMessageSizeBytes: number;
  readonly maxRecipients: number;
  readonly closedFor: (sizeBytes: number) => 'SPOOL_FULL' | 'SPOOL_FAILED' | undefined;
  readonly submit: (envelope: SubmissionEnvelope) => Submission;
}

export interface HandIn {
  send(options: SendOptions): Promise<Sent>;
  queue(options: QueueOptions): Promise<Sent>;
}

export function createHandIn(options: HandInOptions): HandIn {
  return {
    async send(given) {
      const { envelope, content } = readSend(given, options);
      return handIn(envelope, content, options);
    },
    async queue(given) {
      const { envelope, content } = readQueue(given, options);
      return handIn(envelope, content, options);
    },
  };
}

/** What is handed in, to be read once. */
interface Content {
  readonly chunks: () => AsyncIterable<Buffer> | Iterable<Buffer>;
  /** Octets of the whole; undefined where that shows only at its end. */
  readonly size: () => Promise<number | undefined>;
}

interface Read {
  readonly envelope: SubmissionEnvelope;
  readonly content: Content;
}

// — options —

const SEND_OPTIONS: readonly string[] = [...COMPOSE_OPTIONS, ...DELIVERY_OPTIONS];
const QUEUE_OPTIONS: readonly string[] = ['data', 'from', 'recipients', 'date', 'delay', ...DELIVERY_OPTIONS];
const DEMANDS = { subject: true, recipients: true, content: true };

function readSend(given: unknown, options: HandInOptions): Read {
  const issues: Issues = [];
  if (!isObject(given)) throw notAnObject(issues);
  onlyKnown(given, SEND_OPTIONS, '', issues);
  const composed = options.composer.read(given, DEMANDS, issues);
  const now = options.clock.now();
  const notBefore = composed !== undefined && isDated(given) ? composed.date : 0;
  const terms = readTerms(given, Math.max(now, notBefore), issues);
  const { from, to } = composed?.envelope() ?? { from: '', to: [] };
  checkCount(to, 'to', options, issues);
  if (composed === undefined || issues.length > 0) throw errorOf(issues);
  return { envelope: envelopeOf(from, to, notBefore, now, terms), content: composedContent(composed) };
}

function readQueue(given: unknown, options: HandInOptions): Read {
  const issues: Issues = [];
  if (!isObject(given)) throw notAnObject(issues);
  onlyKnown(given, QUEUE_OPTIONS, '', issues);
  const { data } = given;
  const content = readData(data, issues);
  const own = data instanceof Compose ? data : undefined;
  const from = readFrom(given, own, issues);
  const to = readRecipients(given, own, issues);
  checkCount(to, 'recipients', options, issues);
  const now = options.clock.now();
  const notBefore = readNotBefore(given, own, now, issues);
  const terms = readTerms(given, Math.max(now, notBefore), issues);
  if (content === undefined || issues.length > 0) throw errorOf(issues);
  return { envelope: envelopeOf(from, to, notBefore, now, terms), content };
}

type Given = Readonly<Record<string, unknown>>;

function notAnObject(issues: Issues): MtaError {
  put(issues, 'options', 'WRONG_TYPE', 'must be an object');
  return errorOf(issues);
}

function isDated(given: Given): boolean {
  return given['date'] !== undefined || given['delay'] !== undefined;
}

function checkCount(recipients: readonly string[], path: string, { maxRecipients }: HandInOptions, issues: Issues): void {
  if (recipients.length > maxRecipients)
    put(issues, path, 'OUT_OF_RANGE', `there are ${recipients.length} recipients, and submission.maxRecipients allows ${maxRecipients}`);
}

function readFrom(given: Given, own: Compose | undefined, issues: Issues): string {
  if (given['from'] !== undefined) return readEnvelopeAddress(given['from'], 'from', issues) ?? '';
  if (own === undefined) put(issues, 'from', 'MISSING_FIELD', 'is missing: an address, or an empty string for the null sender');
  return own?.envelope().from ?? '';
}

function readRecipients(given: Given, own: Compose | undefined, issues: Issues): readonly string[] {
  const before = issues.length;
  const { recipients } = given;
  const found = recipients === undefined ? (own?.recipients() ?? []) : distinctAddresses(readMailboxes(recipients, 'recipients', issues));
  if (found.length === 0 && issues.length === before) put(issues, 'recipients', 'MISSING_FIELD', 'there is no recipient');
  return found;
}

function readNotBefore(given: Given, own: Compose | undefined, now: number, issues: Issues): number {
  const { date, delay } = given;
  if (date !== undefined && delay !== undefined) put(issues, 'delay', 'CONFLICT', 'give date or delay, not both');
  if (date !== undefined) return readMoment(date, 'date', issues) ?? 0;
  if (delay !== undefined) return readDelay(delay, now, 'delay', issues) ?? 0;
  return own?.date ?? 0;
}

function envelopeOf(sender: string, to: readonly string[], notBefore: number, now: number, terms: Terms): SubmissionEnvelope {
  const { priority, expiresAt, bounces, requireTls, notify, dsn, tags } = terms;
  return {
    sender,
    recipients: to.map((address) => (notify === undefined ? { address } : { address, notify })),
    // What needs it is found by intake, in the addresses and in the header.
    smtpUtf8: false,
    requireTls,
    ...(dsn === undefined ? {} : { dsn }),
    origin: { kind: 'api' },
    priority,
    notBefore: notBefore > now ? notBefore : 0,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    bounces,
    ...(tags === undefined ? {} : { tags }),
    received: '',
  };
}

// — content —

const CHUNK = 64 * 1024;

function readData(data: unknown, issues: Issues): Content | undefined {
  if (data === undefined) return put(issues, 'data', 'MISSING_FIELD', 'is missing: the message, header and body');
  if (typeof data === 'string') return octets(Buffer.from(data, 'utf8'));
  // What is handed in may be written to again once it is durable, while the agent still holds on to it.
  if (data instanceof Uint8Array) return octets(Buffer.from(data));
  if (data instanceof Compose) {
    if (data.messageId === '') return put(issues, 'data', 'INVALID_VALUE', 'is a part: a message has from, to or subject');
    return composedContent(data);
  }
  if (!(data instanceof Readable))
    return put(issues, 'data', 'WRONG_TYPE', 'must be a string, a Buffer or Uint8Array, a readable stream, or what compose returned');
  if (data.readableDidRead || data.destroyed) return put(issues, 'data', 'STREAM_CONSUMED', 'the stream was read already');
  return { chunks: () => buffers(data), size: async () => undefined };
}

function composedContent(composed: Compose): Content {
  // A stream that is part of it was begun, and cannot be asked any more.
  return { chunks: () => buffers(composed.stream()), size: () => composed.size().catch(() => undefined) };
}

function octets(bytes: Buffer): Content {
  return { chunks: () => slices(bytes), size: async () => bytes.length };
}

function* slices(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK);
}

/** What a stream gives; what it fails with is the fault of what was handed in. */
async function* buffers(stream: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of stream as AsyncIterable<unknown>) {
      if (typeof chunk === 'string') yield Buffer.from(chunk, 'utf8');
      else if (chunk instanceof Uint8Array) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      else throw unreadable('the stream gives neither text nor octets');
    }
  } catch (cause) {
    throw cause instanceof MtaError ? cause : unreadable(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function unreadable(why: string, cause?: unknown): MtaError {
  return errorOf([{ path: 'content', code: 'UNREADABLE', message: `cannot be read to its end: ${why}` }], cause);
}

// — the door —

const CLOSED = {
  SPOOL_FULL: 'the disk of the spool has no more free space than spool.minFreeSpace',
  SPOOL_FAILED: 'the spool is being reopened after a failed write or read: try again in a moment',
} as const;

async function handIn(envelope: SubmissionEnvelope, content: Content, options: HandInOptions): Promise<Sent> {
  const { maxMessageSizeBytes: most } = options;
  const closed = options.closedFor(0);
  if (closed !== undefined) throw new MtaError(closed, CLOSED[closed]);
  const submission = options.submit(envelope);
  try {
    let size = 0;
    for await (const chunk of content.chunks()) {
      size += chunk.length;
      if (size > most) throw tooLarge(await content.size(), most);
      const taken = submission.write(chunk);
      if (taken !== true) await taken;
    }
    if (size === 0) throw new MtaError('MESSAGE_REFUSED', 'the message is empty');
  } catch (error) {
    submission.abort();
    throw error;
  }
  const { id, messageId, sizeBytes } = await submission.finish();
  return { id, messageId, recipients: envelope.recipients.length, size: sizeBytes };
}

function tooLarge(size: number | undefined, most: number): MtaError {
  const message = `the message has ${size ?? `more than ${most}`} octets, and spool.maxMessageSize allows ${most}`;
  return new MtaError('MESSAGE_TOO_LARGE', message, { issues: [{ path: 'content', code: 'TOO_LARGE', message }] });
}
