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

import type { RawRow } from '../compose/merge/rows.js';
import { MtaError } from '../core/errors.js';
import type { TraceContext } from '../core/message.js';
import type { ContentDigest, TakeTurn, Turn } from '../intake/once.js';
import type { MergeEnvelope, MergeSubmission, Submission, SubmissionEnvelope } from '../intake/submission.js';
import { type Batch, openBatch } from './batch.js';
import { type Content, chunksOf } from './content.js';
import type { Handed, HandedMerge, Sent } from './hand-in.js';

export interface TakingOptions {
  readonly maxMessageSizeBytes: number;
  readonly closedFor: (sizeBytes: number) => 'SPOOL_FULL' | 'SPOOL_FAILED' | undefined;
  readonly submit: (envelope: SubmissionEnvelope) => Submission;
  readonly submitMerge: (envelope: MergeEnvelope) => MergeSubmission;
  readonly takeTurn: TakeTurn;
}

const CLOSED = {
  SPOOL_FULL: 'the disk of the spool has no more free space than spool.minFreeSpace',
  SPOOL_FAILED: 'the spool is being reopened after a failed write or read: try again in a moment',
} as const;

/** The same, handed in by somebody who is doing this. */
export function within(trace: TraceContext | undefined, handed: Handed): Handed {
  return trace === undefined ? handed : { ...handed, envelope: { ...handed.envelope, trace } };
}

export async function take(handed: Handed, options: TakingOptions): Promise<Sent> {
  if (handed.merge !== undefined) return takeMerge(handed, handed.merge, options);
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
  return firstOf(turn, digest);
}

/** What whoever came first was told. */
function firstOf(turn: Turn, digest: ContentDigest): Sent {
  const { digest: _same, ...sent } = turn.first(digest.text());
  return sent;
}

function checkOpen({ closedFor }: TakingOptions): void {
  const closed = closedFor(0);
  if (closed !== undefined) throw new MtaError(closed, CLOSED[closed]);
}

async function store(
  handed: Handed,
  options: TakingOptions,
  batch?: Batch,
  keyed?: { readonly key: string; readonly turn: Turn },
): Promise<Sent> {
  const { envelope, content } = handed;
  await batch?.room();
  checkOpen(options);
  const submission = options.submit(envelope);
  const digest = keyed?.turn.digest(envelope, content.chance);
  await write(submission, content, handed.signal, digest, options.maxMessageSizeBytes);
  const once = keyed && digest && { key: keyed.key, digest: digest.text() };
  const { id, messageId, sizeBytes: size, durable } = await submission.stage(once);
  // Whether a key is taken shows only when that is on disk.
  if (batch === undefined || once !== undefined) await durable;
  else batch.stage({ id, size, durable });
  return { id, messageId, recipients: envelope.recipients.length, size };
}

/** Waits for its end also within a batch: it is many messages by itself. */
async function takeMerge({ envelope, content, key, signal }: Handed, merge: HandedMerge, options: TakingOptions): Promise<Sent> {
  const turn = key === undefined ? undefined : await options.takeTurn(key, signal);
  try {
    const digest = turn?.digest(envelope, content.chance);
    const rows = digested(merge, signal, digest);
    if (turn?.taken) {
      for await (const chunk of chunksOf(content, signal)) digest?.update(chunk);
      for await (const _ of rows);
      return firstOf(turn, digest!);
    }
    checkOpen(options);
    const { recipients, notify, defaults } = merge;
    const { recipients: _nobody, ...terms } = envelope;
    const submission = options.submitMerge({
      ...terms,
      defaults,
      ...(recipients === undefined ? {} : { recipients }),
      ...(notify === undefined ? {} : { notify }),
    });
    await write(submission, content, signal, digest, options.maxMessageSizeBytes);
    const once = key === undefined || digest === undefined ? undefined : { key, digest: () => digest.text() };
    const merged = await submission.finish(rows, once);
    const { id, messageId, sizeBytes: size, unknownTokens } = merged;
    return { id, messageId, recipients: merged.recipients, size, unknownTokens };
  } finally {
    turn?.leave();
  }
}

/** Another list, or other values for all, make it another message. */
async function* digested(
  { defaults, recipients, rows }: HandedMerge,
  signal: AbortSignal | undefined,
  digest: ContentDigest | undefined,
): AsyncGenerator<RawRow> {
  const note = (value: unknown) => digest?.update(Buffer.from(`${JSON.stringify(value)}\n`));
  note([defaults, recipients]);
  for await (const row of rows(signal)) {
    note(row);
    yield row;
  }
}

async function write(
  submission: Pick<Submission, 'write' | 'abort'>,
  content: Content,
  signal: AbortSignal | undefined,
  digest: ContentDigest | undefined,
  most: number,
): Promise<void> {
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
