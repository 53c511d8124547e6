/**
 * What is handed in, as octets: whatever the caller has it in, read once, as it comes.
 *
 * Promises: only what is small, or was in memory before, is ever whole there; what a stream fails with is the caller's fault, and told
 * as such.
 */
import { Readable } from 'node:stream';
import { errorOf, type Issues, put } from '../compose/checks.js';
import { Compose, chanceOf, chunksOf as composedChunks } from '../compose/compose.js';
import { MtaError } from '../core/errors.js';
import { orAborted } from '../platform/abort.js';

/** To be read once; again only where no stream is part of it, else that is `STREAM_CONSUMED`. */
export interface Content {
  readonly chunks: () => AsyncIterable<Buffer> | Iterable<Buffer>;
  /** Octets of the whole; undefined where that shows only at its end. */
  readonly size: () => Promise<number | undefined>;
  /** Words of it that were drawn, and say nothing (`ContentDigest`). */
  readonly chance: readonly string[];
  /** Nobody reads on. */
  readonly stop: () => void;
}

const CHUNK = 64 * 1024;

export function readData(data: unknown, issues: Issues, template = false, path = 'data'): Content | undefined {
  if (data === undefined) return put(issues, path, 'MISSING_FIELD', 'is missing: the message, header and body');
  if (typeof data === 'string') return octets(Buffer.from(data, 'utf8'));
  // What is handed in may be written to again once it is durable, while the agent still holds on to it.
  if (data instanceof Uint8Array) return octets(Buffer.from(data));
  if (data instanceof Compose) {
    if (data.messageId === '') return put(issues, path, 'INVALID_VALUE', 'is a part: a message has from, to or subject');
    return composedContent(data, template);
  }
  if (!(data instanceof Readable))
    return put(issues, path, 'WRONG_TYPE', 'must be a string, a Buffer or Uint8Array, a readable stream, or what compose returned');
  if (data.readableDidRead || data.destroyed) return put(issues, path, 'STREAM_CONSUMED', 'the stream was read already');
  return { chunks: () => buffers(unread(data)), size: async () => undefined, chance: [], stop: () => void data.destroy() };
}

function unread(data: Readable): Readable {
  if (data.readableDidRead || data.destroyed) throw new MtaError('STREAM_CONSUMED', 'the stream was read already');
  return data;
}

/** `template`: without To and Cc, which every copy has of its own. */
export function composedContent(composed: Compose, template = false): Content {
  return {
    chunks: () => buffers(template ? composed.template() : composedChunks(composed)),
    // A stream that is part of it was begun, and cannot be asked any more.
    size: () => composed.size().catch(() => undefined),
    chance: chanceOf(composed),
    // Its streams are opened by reading, and closed with it.
    stop: () => {},
  };
}

/** The chunks, until somebody gives up waiting for the next one: then it rejects with `ABORTED`. */
export function chunksOf(content: Content, signal: AbortSignal | undefined): AsyncIterable<Buffer> | Iterable<Buffer> {
  return signal === undefined ? content.chunks() : abortable(content, signal);
}

async function* abortable(content: Content, signal: AbortSignal): AsyncGenerator<Buffer> {
  const chunks = content.chunks();
  const iterator = Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
  for (;;) {
    const next = await orAborted(Promise.resolve(iterator.next()), signal, 'the message was given up before it was stored');
    if (next.done) return;
    yield next.value;
  }
}

function octets(bytes: Buffer): Content {
  return { chunks: () => slices(bytes), size: async () => bytes.length, chance: [], stop: () => {} };
}

function* slices(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK);
}

/** What a stream gives; what it fails with is the fault of what was handed in. */
async function* buffers(stream: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of stream) {
      if (typeof chunk === 'string') yield Buffer.from(chunk, 'utf8');
      // Copied: it is held on to, and whoever gave it may write to it again.
      else if (chunk instanceof Uint8Array) yield Buffer.from(chunk);
      else throw unreadable('the stream gives neither text nor octets');
    }
  } catch (cause) {
    throw cause instanceof MtaError ? cause : unreadable(cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function unreadable(why: string, cause?: unknown): MtaError {
  return errorOf([{ path: 'content', code: 'UNREADABLE', message: `cannot be read to its end: ${why}` }], cause);
}
