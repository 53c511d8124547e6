/**
 * Where the content of an attachment comes from: octets in memory, a file, a stream.
 *
 * Promises: a file is never wholly in memory, and gives the same octets each time it is read: one that changed since it was first
 * looked at is refused. A stream is read once; what was begun elsewhere is refused, too. Nothing but a regular file is read.
 */
import { constants } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { errorOf, type Issues, put } from './checks.js';

export type AttachmentData = string | Uint8Array | AsyncIterable<Uint8Array | string>;

export type Origin = OctetsOrigin | FileOrigin | StreamOrigin;

export interface OctetsOrigin {
  readonly kind: 'octets';
  readonly octets: Buffer;
  /** It was given as text, and so is UTF-8. */
  readonly text: boolean;
}

export interface FileOrigin {
  readonly kind: 'file';
  readonly path: string;
  /** What it was when it was first looked at. */
  seen?: { readonly size: number; readonly mtimeMs: number };
}

export interface StreamOrigin {
  readonly kind: 'stream';
  readonly stream: AsyncIterable<Uint8Array | string>;
  used: boolean;
}

export function originOf(data: unknown, path: string, issues: Issues): Origin | undefined {
  if (typeof data === 'string') return { kind: 'octets', octets: Buffer.from(data, 'utf8'), text: true };
  if (data instanceof Uint8Array)
    return { kind: 'octets', octets: Buffer.from(data.buffer, data.byteOffset, data.byteLength), text: false };
  if (isStream(data)) return { kind: 'stream', stream: data, used: false };
  return put(issues, path, 'WRONG_TYPE', 'must be a string, a Buffer or Uint8Array, or a readable stream');
}

function isStream(data: unknown): data is AsyncIterable<Uint8Array | string> {
  return typeof data === 'object' && data !== null && Symbol.asyncIterator in data;
}

/** Looks, and reads nothing: whether it can be read, and its size where that is known. */
export async function examine(origin: Origin, path: string, issues: Issues): Promise<number | undefined> {
  switch (origin.kind) {
    case 'octets':
      return origin.octets.length;
    case 'stream': {
      const { stream } = origin;
      const over = stream instanceof Readable && (stream.readableDidRead || stream.destroyed);
      if (origin.used || over) put(issues, path, 'STREAM_CONSUMED', 'the stream was read already');
      return undefined;
    }
    case 'file':
      return examineFile(origin, path, issues);
  }
}

async function examineFile(origin: FileOrigin, path: string, issues: Issues): Promise<number | undefined> {
  try {
    await access(origin.path, constants.R_OK);
    const now = await stat(origin.path);
    if (!now.isFile()) return put(issues, path, 'UNREADABLE', 'is not a file');
    origin.seen ??= { size: now.size, mtimeMs: now.mtimeMs };
    if (now.size !== origin.seen.size || now.mtimeMs !== origin.seen.mtimeMs) return put(issues, path, 'UNREADABLE', CHANGED);
    return now.size;
  } catch (error) {
    return put(issues, path, 'UNREADABLE', `cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
  }
}

const CHANGED = 'the file was changed after it had been looked at';
const CHUNK = 57 * 1024;

/** Its octets, in chunks. Files must have been examined. */
export async function* octetsOf(origin: Origin): AsyncGenerator<Buffer> {
  switch (origin.kind) {
    case 'octets':
      for (let at = 0; at < origin.octets.length; at += CHUNK) yield origin.octets.subarray(at, at + CHUNK);
      return;
    case 'stream':
      if (origin.used) throw errorOf([{ path: 'stream', code: 'STREAM_CONSUMED', message: 'the stream was read already' }]);
      origin.used = true;
      for await (const chunk of origin.stream)
        yield typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      return;
    case 'file':
      yield* fileOctets(origin);
  }
}

async function* fileOctets(origin: FileOrigin): AsyncGenerator<Buffer> {
  const file = await open(origin.path);
  try {
    const size = origin.seen?.size ?? 0;
    let at = 0;
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK), 0, CHUNK, at);
      if (at + bytesRead > size || (bytesRead === 0 && at < size))
        throw errorOf([{ path: origin.path, code: 'UNREADABLE', message: CHANGED }]);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
