/**
 * Taking in what was handed in within this process: into the spool, by way of intake.
 *
 * Promises
 *  - It resolves when the message is durable (G1), within a batch when it is staged. What rejects has stored nothing.
 *  - Content goes on as it is read; only what is small, or was in memory before, is ever whole there.
 *  - What comes under a key is taken in once (`intake/once.ts`).
 *
 * Must not: know routes, the queue or connections.
 */
import { MtaError } from '../core/errors.js';
import type { ContentDigest, TakeTurn, Turn } from '../intake/once.js';
import type { Submission, SubmissionEnvelope } from '../intake/submission.js';
import { type Batch, openBatch } from './batch.js';
import { chunksOf } from './content.js';
import type { Handed, Sent } from './hand-in.js';

export interface TakingOptions {
  readonly maxMessageSizeBytes: number;
  readonly closedFor: (sizeBytes: number) => 'SPOOL_FULL' | 'SPOOL_FAILED' | undefined;
  readonly submit: (envelope: SubmissionEnvelope) => Submission;
  readonly takeTurn: TakeTurn;
}

const CLOSED = {
  SPOOL_FULL: 'the disk of the spool has no more free space than spool.minFreeSpace',
  SPOOL_FAILED: 'the spool is being reopened after a failed write or read: try again in a moment',
} as const;

export async function take(handed: Handed, options: TakingOptions): Promise<Sent> {
  const batch = openBatch();
  const { key } = handed;
  if (key === undefined) return store(handed, options, batch);
  const turn = await options.takeTurn(key, handed.signal);
  try {
    return await (turn.taken ? known(handed, turn) : store(handed, options, batch, { key, turn }));
  } finally {
    turn.leave();
  }
}

/** Nothing is stored: it was, under the same key. */
async function known({ envelope, content, signal }: Handed, turn: Turn): Promise<Sent> {
  const digest = turn.digest(envelope, content.chance);
  for await (const chunk of chunksOf(content, signal)) digest.update(chunk);
  const { id, messageId, recipients, size } = turn.first(digest.text());
  return { id, messageId, recipients, size };
}

async function store(
  handed: Handed,
  options: TakingOptions,
  batch?: Batch,
  keyed?: { readonly key: string; readonly turn: Turn },
): Promise<Sent> {
  const { envelope, content } = handed;
  await batch?.room();
  const closed = options.closedFor(0);
  if (closed !== undefined) throw new MtaError(closed, CLOSED[closed]);
  const submission = options.submit(envelope);
  const digest = keyed?.turn.digest(envelope, content.chance);
  await write(submission, handed, digest, options.maxMessageSizeBytes);
  const once = keyed && digest && { key: keyed.key, digest: digest.text() };
  const { id, messageId, sizeBytes: size, durable } = await submission.stage(once);
  // Whether a key is taken shows only when that is on disk.
  if (batch === undefined || once !== undefined) await durable;
  else batch.stage({ id, size, durable });
  return { id, messageId, recipients: envelope.recipients.length, size };
}

async function write(submission: Submission, { content, signal }: Handed, digest: ContentDigest | undefined, most: number): Promise<void> {
  try {
    let size = 0;
    for await (const chunk of chunksOf(content, signal)) {
      size += chunk.length;
      if (size > most) throw tooLarge(await content.size(), most);
      digest?.update(chunk);
      const taken = submission.write(chunk);
      if (taken !== true) await taken;
    }
    if (size === 0) throw new MtaError('MESSAGE_REFUSED', 'the message is empty');
  } catch (error) {
    submission.abort();
    content.stop();
    throw error;
  }
}

function tooLarge(size: number | undefined, most: number): MtaError {
  const message = `the message has ${size ?? `more than ${most}`} octets, and spool.maxMessageSize allows ${most}`;
  return new MtaError('MESSAGE_TOO_LARGE', message, { issues: [{ path: 'content', code: 'TOO_LARGE', message }] });
}
