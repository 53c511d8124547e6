/**
 * Handing in from one process to another: what was read of the options on one side goes over the socket as options again, and is read
 * anew on the other, so that nobody is believed who could not have said so here.
 *
 * Promises: what `toHead` makes of a message, `fromHead` reads as the same message. Both sides stand here, and what an envelope may say
 * and `toHead` does not carry is an error of types.
 */
import { Readable } from 'node:stream';
import type { NamedRecipient, RawRow } from '../compose/merge/rows.js';
import type { HandInBody, HandInRequest } from '../control/types.js';
import type { OwnServer } from '../core/own-server.js';
import type { SubmissionEnvelope } from '../intake/submission.js';
import { type Handed, type HandedMerge, type HandInOptions, readQueue } from './hand-in.js';

/** What the other side knows by itself: that it comes through the API, what the addresses need; and the trace goes in the header. */
type Implied = 'origin' | 'received' | 'smtpUtf8' | 'trace';
type Carried = Required<Omit<SubmissionEnvelope, Implied>>;
type Options = Readonly<Record<string, unknown>>;

/** The options of `queue` that say what was read; `immediate`: of what is sent at once. */
export function toHead({ envelope, content, key, merge, timeoutMs }: Handed, immediate = false): HandInRequest {
  const { recipients } = merge ?? envelope;
  const options: { readonly [K in keyof Carried]: Options } = {
    sender: { from: envelope.sender },
    recipients: recipients === undefined ? {} : { recipients: recipients.map(named) },
    priority: { priority: envelope.priority },
    notBefore: envelope.notBefore > 0 ? { date: envelope.notBefore } : {},
    expiresAt: { expires: envelope.expiresAt },
    bounces: { bounces: envelope.bounces },
    requireTls: { requireTls: envelope.requireTls },
    dsn: reports(envelope.dsn, merge === undefined ? envelope.recipients[0]?.notify : merge.notify),
    server: envelope.server === undefined ? {} : ownServer(envelope.server),
    tags: { tags: envelope.tags },
  };
  return {
    options: Object.assign(
      { idempotencyKey: key, tokens: merge?.defaults, timeout: seconds(timeoutMs) },
      ...Object.values(immediate ? { ...options, ...OF_THE_QUEUE } : options),
    ),
    ...(content.chance.length === 0 ? {} : { chance: content.chance }),
  };
}

/** What `checkNow` lets nobody say. */
const OF_THE_QUEUE = { notBefore: {}, expiresAt: {}, bounces: {}, tags: {} } as const satisfies { readonly [K in keyof Carried]?: Options };

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}

/** Undefined where it is no merge. */
export function toRows({ merge, signal }: Handed): AsyncIterable<RawRow> | undefined {
  return merge?.rows(signal);
}

function named({ address, name }: NamedRecipient): string | { readonly address: string; readonly name: string } {
  return name === undefined ? address : { address, name };
}

/** The API asks the same of every recipient. */
function reports(dsn: SubmissionEnvelope['dsn'], notify: HandedMerge['notify']): Options {
  return dsn === undefined && notify === undefined ? {} : { dsn: { ...dsn, ...(notify && { notify }) } };
}

const SSL = { implicit: true, starttls: 'starttls', opportunistic: false } as const;

function ownServer({ host, port, tls, credentials, timeoutMs }: OwnServer): Options {
  return { host, port, ssl: SSL[tls], ...credentials, timeout: seconds(timeoutMs) };
}

/** Throws as `queue` does. */
export function fromHead(
  { options, chance = [] }: HandInRequest,
  { content, rows }: HandInBody,
  signal: AbortSignal | undefined,
  reading: Pick<HandInOptions, 'clock' | 'maxRecipients'>,
  immediate = false,
): Handed {
  const given = {
    ...options,
    data: Readable.from(content, { objectMode: false }),
    ...(rows === undefined ? {} : { merge: pairs(rows) }),
    ...(signal === undefined ? {} : { signal }),
  };
  const handed = readQueue(given, reading, immediate);
  return { ...handed, content: { ...handed.content, chance } };
}

/** Whatever a row is, it is looked at where rows are read. */
async function* pairs(rows: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  for await (const row of rows) {
    const { to, values } = typeof row === 'object' && row !== null ? (row as Partial<RawRow>) : {};
    yield [to, values];
  }
}
