/**
 * Handing in from one process to another: what was read of the options on one side goes over the socket as options again, and is read
 * anew on the other, so that nobody is believed who could not have said so here.
 *
 * Promises: `fromHead(toHead(handed))` hands in the same; both sides stand here, so that whoever adds an option sees both.
 */
import { Readable } from 'node:stream';
import type { HandInRequest } from '../control/types.js';
import { type Handed, type HandInOptions, readQueue } from './hand-in.js';

/** The options of `queue` that say what was read. */
export function toHead({ envelope, content, key }: Handed): HandInRequest {
  const { sender, recipients, priority, notBefore, expiresAt, bounces, requireTls, dsn, tags } = envelope;
  const notify = recipients[0]?.notify;
  return {
    options: {
      from: sender,
      recipients: recipients.map(({ address }) => address),
      priority,
      ...(notBefore > 0 ? { date: notBefore } : {}),
      ...(expiresAt === undefined ? {} : { expires: expiresAt }),
      bounces,
      requireTls,
      // The API asks the same of every recipient.
      ...(dsn === undefined && notify === undefined ? {} : { dsn: { ...dsn, ...(notify && { notify }) } }),
      ...(tags === undefined ? {} : { tags }),
      ...(key === undefined ? {} : { idempotencyKey: key }),
    },
    ...(content.chance.length === 0 ? {} : { chance: content.chance }),
  };
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
