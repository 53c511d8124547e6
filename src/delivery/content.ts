/**
 * The content of a job as it goes over the wire: stuffed, made 7-bit where it must be, small in one piece, large in blocks. It is
 * read before MAIL is written, so that what cannot be read or sent costs no transaction.
 */
import type { Job } from '../core/carrier.js';
import type { Body, ContentFacts } from '../core/message.js';
import type { RecipientOutcome } from '../core/outcome.js';
import { unsendable } from './classify.js';
import { downgraded, surveyed, Undowngradable } from './downgrade.js';
import { ending, stuff } from './stuffing.js';

export type Content =
  /** Stuffed already; `ending` follows, with the final dot. */
  | { readonly kind: 'piece'; readonly bytes: Buffer; readonly ending: string }
  /** To be stuffed (if `dotted`) as it goes. A block is good only until the next one is asked for. */
  | { readonly kind: 'blocks'; readonly open: () => AsyncIterable<Buffer> | Iterable<Buffer>; readonly dotted: boolean };

export type Fetched =
  /** `facts`: of the content before it was made 7-bit. */
  | { readonly kind: 'content'; readonly content: Content; readonly sizeBytes: number; readonly facts: ContentFacts }
  | { readonly kind: 'unsendable'; readonly outcome: RecipientOutcome }
  | { readonly kind: 'unreadable'; readonly error: Error };

/** Up to this size content is copied into one buffer with what follows it: one write, one segment train, one wake-up. */
export const MAX_PIECE = 64 * 1024;

export function contentOf(bytes: Buffer, dotted: boolean): Content {
  if (bytes.length > MAX_PIECE) return { kind: 'blocks', open: () => blocks(bytes), dotted };
  return { kind: 'piece', bytes: dotted ? stuff(bytes) : bytes, ending: ending(bytes) };
}

/** Content that is not at hand, or must be made 7-bit for a server without 8BITMIME. Never rejects. */
export async function fetchContent(job: Job, eightBitMime: boolean): Promise<Fetched> {
  try {
    const body: Body = job.bytes ? { kind: 'bytes', bytes: job.bytes } : await job.body();
    const { content: facts = job.delivery.message.content } = body;
    if (facts.eightBit && !eightBitMime) return { kind: 'content', ...(await fetchDowngraded(body)), facts };
    if (body.kind === 'bytes')
      return { kind: 'content', content: contentOf(body.bytes, facts.dotted), sizeBytes: body.bytes.length, facts };
    return {
      kind: 'content',
      content: { kind: 'blocks', open: () => body.open({ reuse: true }), dotted: facts.dotted },
      sizeBytes: body.sizeBytes,
      facts,
    };
  } catch (error) {
    if (error instanceof Undowngradable) return { kind: 'unsendable', outcome: unsendable(error.status, error.message, 'downgrade') };
    return { kind: 'unreadable', error: error instanceof Error ? error : new Error(String(error)) };
  }
}

/**
 * Read three times: to learn whether it can be done, for the size, and for sending. Servers without 8BITMIME are rare enough that
 * memory counts for more than time.
 */
async function fetchDowngraded(body: Body): Promise<{ readonly content: Content; readonly sizeBytes: number }> {
  const source = body.kind === 'bytes' ? () => blocks(body.bytes) : () => body.open();
  const survey = await surveyed(source());
  const open = () => downgraded(source(), survey);
  let sizeBytes = 0;
  for await (const block of open()) sizeBytes += block.length;
  return { content: { kind: 'blocks', open, dotted: true }, sizeBytes };
}

function* blocks(bytes: Buffer): Iterable<Buffer> {
  for (let at = 0; at < bytes.length; at += MAX_PIECE) yield bytes.subarray(at, at + MAX_PIECE);
}
