/**
 * Handing in: the options of `send` and `queue` are read, and what they say is taken in, here or wherever the agent is.
 *
 * Promises
 *  - It resolves when the message is durable (G1). What rejects has stored nothing.
 *  - One error names every option that is wrong, and those that there are not, also files that cannot be read and text that does not fit
 *    its character set. What is wrong with the rows of a merge is found when they are read.
 *
 * Must not: know the spool, the queue or connections.
 */
import type { Readable } from 'node:stream';
import { boolean, errorOf, type Issues, isObject, onlyKnown, put, string } from '../compose/checks.js';
import { Compose, type Composer } from '../compose/compose.js';
import { type AddressInput, distinctAddresses, readEnvelopeAddress, readMailboxes } from '../compose/mailboxes.js';
import type { NamedRecipient } from '../compose/merge/rows.js';
import { readDelay, readMoment } from '../compose/moment.js';
import { COMPOSE_OPTIONS, type ComposeOptions } from '../compose/options.js';
import type { MtaError } from '../core/errors.js';
import type { MessageId } from '../core/message.js';
import { keyFault } from '../intake/once.js';
import type { SubmissionEnvelope } from '../intake/submission.js';
import { type Content, composedContent, readData } from './content.js';
import { isMerge, MERGE_OPTIONS, type Merge, type MergeInput, type MergeOptions, readMerge } from './merge.js';
import { checkNow } from './now.js';
import { DELIVERY_OPTIONS, type DeliveryOptions, readTerms, type Terms } from './terms.js';
import { readSignal } from './waiting.js';

/** How the handing in itself is done. */
export interface HandlingOptions {
  /**
   * With the same key within 24 hours nothing is stored, and the first result is given again, also where both come at the same time.
   * Other content, another envelope or another server (`host`, `port`, `ssl`, `username`) under it is `IDEMPOTENCY_CONFLICT`. Printable ASCII, 255
   * characters at most.
   */
  readonly idempotencyKey?: string | undefined;
  /**
   * Sent at once, and not queued: no status, no bounce, no limit of size, ahead of all that is queued. `send` then resolves with each
   * recipient's outcome, and rejects with `REMOTE_REJECTED` where none was accepted. `timeout` is also how long a place for a connection is
   * waited for (60 s).
   */
  readonly immediate?: boolean | undefined;
  /** Rejects with `ABORTED`, and stores nothing, if it comes before the content has been read. */
  readonly signal?: AbortSignal | undefined;
}

/** Needs `subject`, `from`, one of `to`, `cc`, `bcc` and `merge`, and one of `body` and `html` (or `simpleForm`). */
export interface SendOptions extends ComposeOptions, DeliveryOptions, HandlingOptions, MergeOptions {
  readonly from: AddressInput;
  readonly subject: string;
}

interface QueueEnvelope {
  /** Envelope sender; `''` for the null sender. */
  readonly from: string;
  readonly recipients: AddressInput;
}

interface QueueTerms extends DeliveryOptions, HandlingOptions, MergeOptions {
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
    | { readonly data: string | Uint8Array | Readable; readonly from: string; readonly recipients?: undefined; readonly merge: MergeInput }
    | ({ readonly data: Compose } & { readonly [K in keyof QueueEnvelope]?: QueueEnvelope[K] | undefined })
  );

export interface Sent {
  readonly id: MessageId;
  /** The Message-ID field, with its brackets. */
  readonly messageId: string;
  /** How many, each counted once. */
  readonly recipients: number;
  /** Octets, as they are stored; of a merge those of the template. */
  readonly size: number;
  /**
   * Of a merge: tokens that have no value, and in how many copies. They stay as they are. `messageId` is that of the template; each copy
   * has one of its own.
   */
  readonly unknownTokens?: Readonly<Record<string, number>>;
}

export interface HandInOptions {
  readonly composer: Composer;
  readonly clock: { now(): number };
  readonly maxRecipients: number;
  /** Takes in what was read: into a spool of this process (`taking.ts`), or over a socket. */
  readonly take: (handed: Handed) => Promise<Sent>;
}

export interface HandIn {
  /** What is to be sent at once; `send` does it. */
  now<T>(options: SendOptions | QueueOptions, send: (handed: Handed) => Promise<T>): Promise<T>;
  send(options: SendOptions): Promise<Sent>;
  queue(options: QueueOptions): Promise<Sent>;
}

export function createHandIn(options: HandInOptions): HandIn {
  return {
    async now(given, send) {
      const formatted = isObject(given) && given.data !== undefined;
      const read = formatted ? readQueued(given, options, true) : readSend(given, options, true);
      return send('issues' in read ? await refusal(read) : read);
    },
    async send(given) {
      const read = readSend(given, options);
      return options.take('issues' in read ? await refusal(read) : read);
    },
    async queue(given) {
      const read = readQueued(given, options);
      return options.take('issues' in read ? await refusal(read) : read);
    },
  };
}

/** Options that are wrong, and as much of a message as could be made of the others. */
interface Refused {
  readonly issues: Issues;
  readonly composed: Compose | undefined;
}

/** Rejects with one error for all that is wrong, also with what shows only when files and texts are looked at. */
async function refusal({ issues, composed }: Refused): Promise<never> {
  await composed?.examine(issues);
  throw errorOf(issues);
}

/** What is handed in, its options read. */
export interface Handed {
  readonly envelope: SubmissionEnvelope;
  readonly content: Content;
  /** Taken in once under it. */
  readonly key: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** Of what is sent at once: how long a place is waited for. */
  readonly timeoutMs?: number;
  /** The content is a template for these; the envelope then names nobody. */
  readonly merge?: HandedMerge;
}

export interface HandedMerge extends Merge {
  readonly notify: Terms['notify'];
}

// — options —

const HANDLING_OPTIONS = ['idempotencyKey', 'immediate', 'signal'] as const satisfies readonly (keyof HandlingOptions)[];
export const SEND_OPTIONS: readonly string[] = [...COMPOSE_OPTIONS, ...DELIVERY_OPTIONS, ...HANDLING_OPTIONS, ...MERGE_OPTIONS];
export const QUEUE_OPTIONS: readonly string[] = [
  ...['data', 'from', 'recipients', 'date', 'delay'],
  ...DELIVERY_OPTIONS,
  ...HANDLING_OPTIONS,
  ...MERGE_OPTIONS,
];

function readSend(given: unknown, options: HandInOptions, immediate = false): Handed | Refused {
  const issues: Issues = [];
  if (!isObject(given)) throw notAnObject(issues);
  onlyKnown(given, SEND_OPTIONS, '', issues);
  const demands = { subject: true, recipients: given.merge === undefined, content: true };
  const composed = options.composer.read(given, demands, issues);
  const now = options.clock.now();
  const { notBefore } = composed;
  const terms = readTerms(given, Math.max(now, notBefore), issues, immediate);
  if (immediate) checkNow(given, issues);
  const { from, to } = composed.envelope();
  const merge = isMerge(given) ? readMerge(given, namedBy(composed), issues) : checkCount(to, 'to', options, issues);
  const { key, signal } = readHandling(given, issues);
  if (issues.length > 0) return { issues, composed };
  const content = composedContent(composed, merge !== undefined);
  return { ...toWhom(from, to, merge, terms, immediate ? 0 : notBefore, now), content, key, signal, ...placeWait(terms) };
}

/** Throws where anything is wrong. */
export function readQueue(given: unknown, options: Pick<HandInOptions, 'clock' | 'maxRecipients'>, immediate = false): Handed {
  const read = readQueued(given, options, immediate);
  if ('issues' in read) throw errorOf(read.issues);
  return read;
}

function readQueued(given: unknown, options: Pick<HandInOptions, 'clock' | 'maxRecipients'>, immediate = false): Handed | Refused {
  const issues: Issues = [];
  if (!isObject(given)) throw notAnObject(issues);
  onlyKnown(given, QUEUE_OPTIONS, '', issues);
  const { data } = given;
  const content = readData(data, issues, isMerge(given));
  const own = data instanceof Compose ? data : undefined;
  const from = readFrom(given, own, issues);
  const named = readRecipients(given, own, issues);
  const to = distinctAddresses(named);
  const merge = isMerge(given) ? readMerge(given, named, issues) : checkCount(to, 'recipients', options, issues);
  const now = options.clock.now();
  const notBefore = readNotBefore(given, own, now, issues);
  const terms = readTerms(given, Math.max(now, notBefore), issues, immediate);
  if (immediate) checkNow(given, issues);
  const { key, signal } = readHandling(given, issues);
  if (content === undefined || issues.length > 0) return { issues, composed: own };
  return { ...toWhom(from, to, merge, terms, immediate ? 0 : notBefore, now), content, key, signal, ...placeWait(terms) };
}

type Given = Readonly<Record<string, unknown>>;

function notAnObject(issues: Issues): MtaError {
  put(issues, 'options', 'WRONG_TYPE', 'must be an object');
  return errorOf(issues);
}

function readHandling(given: Given, issues: Issues): { readonly key: string | undefined; readonly signal: AbortSignal | undefined } {
  const { idempotencyKey, immediate, signal } = given;
  if (immediate !== undefined) boolean(immediate, 'immediate', issues);
  const key = idempotencyKey === undefined ? undefined : string(idempotencyKey, 'idempotencyKey', issues);
  const fault = key === undefined ? undefined : keyFault(key);
  if (fault !== undefined) put(issues, 'idempotencyKey', 'INVALID_VALUE', fault);
  return { key, signal: signal === undefined ? undefined : readSignal(signal, 'signal', issues) };
}

function checkCount(
  recipients: readonly string[],
  path: string,
  { maxRecipients }: Pick<HandInOptions, 'maxRecipients'>,
  issues: Issues,
): undefined {
  if (recipients.length > maxRecipients)
    put(issues, path, 'OUT_OF_RANGE', `there are ${recipients.length} recipients, and submission.maxRecipients allows ${maxRecipients}`);
}

function readFrom(given: Given, own: Compose | undefined, issues: Issues): string {
  if (given['from'] !== undefined) return readEnvelopeAddress(given['from'], 'from', issues) ?? '';
  if (own === undefined) put(issues, 'from', 'MISSING_FIELD', 'is missing: an address, or an empty string for the null sender');
  return own?.envelope().from ?? '';
}

function readRecipients(given: Given, own: Compose | undefined, issues: Issues): readonly NamedRecipient[] {
  const before = issues.length;
  const { recipients, merge } = given;
  const found =
    recipients === undefined ? (own === undefined ? [] : namedBy(own)) : readMailboxes(recipients, 'recipients', issues).map(withName);
  if (found.length === 0 && issues.length === before && merge === undefined)
    put(issues, 'recipients', 'MISSING_FIELD', 'there is no recipient');
  return found;
}

/** Its recipients, with the names that To and Cc have for them. */
function namedBy(composed: Compose): NamedRecipient[] {
  const names = composed.names();
  return composed.recipients().map((address) => withName({ address, name: names.get(address) ?? '' }));
}

function withName({ address, name }: { readonly address: string; readonly name: string }): NamedRecipient {
  return name === '' ? { address } : { address, name };
}

function toWhom(
  from: string,
  to: readonly string[],
  merge: Merge | undefined,
  terms: Terms,
  notBefore: number,
  now: number,
): Pick<Handed, 'envelope' | 'merge'> {
  if (merge === undefined) return { envelope: envelopeOf(from, to, notBefore, now, terms) };
  return { envelope: envelopeOf(from, [], notBefore, now, terms), merge: { ...merge, notify: terms.notify } };
}

function placeWait({ timeoutMs }: Terms): { readonly timeoutMs?: number } {
  return timeoutMs === undefined ? {} : { timeoutMs };
}

function readNotBefore(given: Given, own: Compose | undefined, now: number, issues: Issues): number {
  const { date, delay } = given;
  if (date !== undefined && delay !== undefined) put(issues, 'delay', 'CONFLICT', 'give date or delay, not both');
  if (date !== undefined) return readMoment(date, 'date', issues) ?? 0;
  if (delay !== undefined) return readDelay(delay, now, 'delay', issues) ?? 0;
  return own?.notBefore ?? 0;
}

function envelopeOf(sender: string, to: readonly string[], notBefore: number, now: number, terms: Terms): SubmissionEnvelope {
  const { priority, expiresAt, bounces, requireTls, notify, dsn, tags, server } = terms;
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
    ...(server === undefined ? {} : { server }),
    received: '',
  };
}
