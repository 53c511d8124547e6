/**
 * Handing in from one process to another: what was read of the options on one side goes over the socket as options again, and is read
 * anew on the other, so that nobody is believed who could not have said so here.
 *
 * Promises: what `toHead` makes of a message, `fromHead` reads as the same message. Both sides stand here, and what an envelope may say
 * and `toHead` does not carry is an error of types.
 */
import { Readable } from 'node:stream';
import type { HandInRequest } from '../control/types.js';
import type { OwnServer } from '../core/own-server.js';
import type { SubmissionEnvelope } from '../intake/submission.js';
import { type Handed, type HandInOptions, readQueue } from './hand-in.js';

/** What the other side knows by itself: that it comes through the API, and what the addresses need. */
type Implied = 'origin' | 'received' | 'smtpUtf8';
type Carried = Required<Omit<SubmissionEnvelope, Implied>>;
type Options = Readonly<Record<string, unknown>>;

/** The options of `queue` that say what was read. */
export function toHead({ envelope, content, key }: Handed): HandInRequest {
  const options: { readonly [K in keyof Carried]: Options } = {
    sender: { from: envelope.sender },
    recipients: { recipients: envelope.recipients.map(({ address }) => address) },
    priority: { priority: envelope.priority },
    notBefore: envelope.notBefore > 0 ? { date: envelope.notBefore } : {},
    expiresAt: { expires: envelope.expiresAt },
    bounces: { bounces: envelope.bounces },
    requireTls: { requireTls: envelope.requireTls },
    dsn: reports(envelope),
    server: envelope.server === undefined ? {} : ownServer(envelope.server),
    tags: { tags: envelope.tags },
  };
  return {
    options: Object.assign({ idempotencyKey: key }, ...Object.values(options)),
    ...(content.chance.length === 0 ? {} : { chance: content.chance }),
  };
}

/** The API asks the same of every recipient. */
function reports({ dsn, recipients }: SubmissionEnvelope): Options {
  const notify = recipients[0]?.notify;
  return dsn === undefined && notify === undefined ? {} : { dsn: { ...dsn, ...(notify && { notify }) } };
}

const SSL = { implicit: true, starttls: 'starttls', opportunistic: false } as const;

function ownServer({ host, port, tls, credentials, timeoutMs }: OwnServer): Options {
  return { host, port, ssl: SSL[tls], ...credentials, timeout: timeoutMs === undefined ? undefined : timeoutMs / 1000 };
}

/** Throws as `queue` does. */
export function fromHead(
  { options, chance = [] }: HandInRequest,
  content: AsyncIterable<Buffer>,
  signal: AbortSignal | undefined,
  reading: Pick<HandInOptions, 'clock' | 'maxRecipients'>,
): Handed {
  const data = Readable.from(content, { objectMode: false });
  const handed = readQueue({ ...options, data, ...(signal === undefined ? {} : { signal }) }, reading);
  return { ...handed, content: { ...handed.content, chance } };
}
