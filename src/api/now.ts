/** What is sent now and never queued: its options, and what its sender is told. */
import { type Issues, put } from '../compose/checks.js';
import type { NowOutcome } from '../core/outcome.js';
import type { ImmediateIntake, SentNowReport } from '../intake/immediate.js';
import type { Content } from './content.js';
import { chunksOf } from './content.js';
import type { Handed, Sent } from './hand-in.js';

/** What became of one recipient of a message that was sent now. */
export type Outcome = NowOutcome;

export interface SentNow extends Sent {
  /** One for each recipient: delivered, or what stood in the way. Nothing is tried again. */
  readonly outcomes: readonly Outcome[];
}

/** How long a place is waited for where no `timeout` says. */
const PATIENCE_MS = 60_000;

/** What has no meaning for a message that is neither queued nor known afterwards. */
const OF_THE_QUEUE = ['date', 'delay', 'expires', 'bounces', 'tags', 'idempotencyKey'] as const;

export function checkNow(given: Readonly<Record<string, unknown>>, issues: Issues): void {
  for (const name of OF_THE_QUEUE)
    if (given[name] !== undefined) put(issues, name, 'CONFLICT', 'has no meaning for a message that is sent at once and not queued');
}

/** Resolves when every recipient has its outcome. */
export async function sendNow(handed: Handed, immediate: ImmediateIntake): Promise<SentNow> {
  const { envelope, content, merge, signal = new AbortController().signal, timeoutMs = PATIENCE_MS } = handed;
  const how = { timeoutMs, signal };
  if (merge === undefined) {
    const submission = immediate.begin(envelope);
    await write(submission, content, signal);
    return sentNow(await submission.send(how));
  }
  const { recipients, notify, defaults, rows } = merge;
  const { recipients: _nobody, ...terms } = envelope;
  const submission = immediate.beginMerge({
    ...terms,
    defaults,
    ...(recipients === undefined ? {} : { recipients }),
    ...(notify === undefined ? {} : { notify }),
  });
  await write(submission, content, signal);
  return sentNow(await submission.send(rows(signal), how));
}

async function write(
  submission: { write(chunk: Buffer): true | Promise<void>; abort(): void },
  content: Content,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const chunk of chunksOf(content, signal)) {
      const taken = submission.write(chunk);
      if (taken !== true) await taken;
    }
  } catch (error) {
    submission.abort();
    content.stop();
    throw error;
  }
}

function sentNow({ id, messageId, sizeBytes: size, outcomes, unknownTokens }: SentNowReport): SentNow {
  return { id, messageId, recipients: outcomes.length, size, outcomes, ...(unknownTokens === undefined ? {} : { unknownTokens }) };
}
