/** A composer whose world stands still: the same options give the same octets. */
import { type Compose, createComposer } from '../../src/compose/compose.js';
import type { ComposeOptions } from '../../src/compose/options.js';
import { MtaError } from '../../src/core/errors.js';
import { createSeededRandom } from '../support/seeded-random.js';

export const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);

export function composer(seed = 1) {
  return createComposer({ now: () => NOW, random: createSeededRandom(seed), hostname: 'mail.example.com' });
}

export function compose(options: ComposeOptions): Compose {
  return composer().compose(options);
}

/** What a message needs, and something of one's own. */
export function message(options: ComposeOptions): Compose {
  return compose({ from: 'sender@example.com', to: 'to@example.com', subject: 'A subject', ...options });
}

/** The error that the act throws or rejects with; fails where there is none, or another one. */
export async function refusal(act: () => unknown): Promise<MtaError> {
  try {
    await act();
  } catch (error) {
    if (error instanceof MtaError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

/** `path CODE` of each issue. */
export function issuesOf(error: MtaError): string[] {
  return error.issues.map((issue) => `${issue.path} ${issue.code}`);
}

export async function collected(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
