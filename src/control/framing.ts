/**
 * A message with its options in one body: a line of JSON, then the content, octet for octet. How another process hands in what does
 * not fit a query string. Where rows follow (the recipients of a merge, each with its values), the content comes in pieces, each behind
 * a line with its size, up to one of size 0; then each row is a line of JSON, up to the end.
 *
 * Promises: one pass, bounded memory; what is no such body, or breaks off, is told as such, and never taken for complete.
 */
import { MtaError } from '../core/errors.js';

export const FRAMED_TYPE = 'application/vnd.riata.message';

/** A line holds the options of one message, which may name many recipients, or the values of one. */
export const LONGEST_LINE = 32 * 1024 * 1024;
const LF = 0x0a;
const NOTHING: Buffer = Buffer.alloc(0);

export interface Framed {
  readonly head: Readonly<Record<string, unknown>>;
  /** To be read to its end before the rows are. */
  readonly content: () => AsyncGenerator<Buffer>;
  /** Undefined where the head announces none. */
  readonly rows: (() => AsyncGenerator<unknown>) | undefined;
}

/** What the head says of rows; not for others to use. */
const ROWS = 'rows';

export async function* frame(head: object, content: AsyncIterable<Buffer>, rows?: AsyncIterable<object>): AsyncGenerator<Buffer> {
  if (rows === undefined) {
    yield line(head);
    yield* content;
    return;
  }
  yield line({ ...head, [ROWS]: true });
  for await (const chunk of content) {
    if (chunk.length === 0) continue;
    yield Buffer.from(`${chunk.length}\n`);
    yield chunk;
  }
  yield Buffer.from('0\n');
  for await (const row of rows) yield line(row);
}

function line(value: object): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

/** Reads the head. Rejects with `INVALID_OPTIONS` where it is none. */
export async function unframe(source: AsyncIterable<Buffer>): Promise<Framed> {
  const reader = new FrameReader(source);
  const first = await reader.line('the first line');
  const head = first === undefined ? undefined : parse(first, 'the first line');
  if (typeof head !== 'object' || head === null || Array.isArray(head)) throw broken('the first line is no JSON object');
  const { [ROWS]: announced, ...rest } = head as Readonly<Record<string, unknown>>;
  if (announced === undefined) return { head: rest, content: () => reader.rest(), rows: undefined };
  return { head: rest, content: () => reader.pieces(), rows: () => reader.rows() };
}

class FrameReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #kept = NOTHING;

  constructor(source: AsyncIterable<Buffer>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  async *rest(): AsyncGenerator<Buffer> {
    for (let next: Buffer | undefined = this.#kept; next !== undefined; next = await this.#next()) if (next.length > 0) yield next;
    this.#kept = NOTHING;
  }

  async *pieces(): AsyncGenerator<Buffer> {
    for (;;) {
      const digits = (await this.line('the content'))?.toString('latin1') ?? '';
      if (!/^\d{1,10}$/.test(digits)) throw broken('a piece of the content has no size');
      if (digits === '0') return;
      for (let left = Number(digits); left > 0; ) {
        if (this.#kept.length === 0) this.#kept = (await this.#next()) ?? ended('the content');
        const piece = this.#kept.subarray(0, left);
        this.#kept = this.#kept.subarray(piece.length);
        left -= piece.length;
        if (piece.length > 0) yield piece;
      }
    }
  }

  async *rows(): AsyncGenerator<unknown> {
    for (let number = 1; ; number++) {
      const text = await this.line(`row ${number}`);
      if (text === undefined) return;
      yield parse(text, `row ${number}`);
    }
  }

  /** Undefined at the end; an end within the line is an error. */
  async line(name: string): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for (let size = 0; ; ) {
      const end = this.#kept.indexOf(LF);
      const part = end < 0 ? this.#kept : this.#kept.subarray(0, end);
      size += part.length;
      if (size > LONGEST_LINE) throw broken(`${name} is longer than ${LONGEST_LINE} octets`);
      parts.push(part);
      if (end >= 0) {
        this.#kept = this.#kept.subarray(end + 1);
        return parts.length === 1 ? part : Buffer.concat(parts);
      }
      this.#kept = NOTHING;
      const next = await this.#next();
      if (next === undefined) return size === 0 ? undefined : ended(name);
      this.#kept = next;
    }
  }

  async #next(): Promise<Buffer | undefined> {
    const next = await this.#chunks.next();
    return next.done === true ? undefined : next.value;
  }
}

function parse(text: Buffer, name: string): unknown {
  try {
    return JSON.parse(text.toString('utf8'));
  } catch (cause) {
    throw broken(`${name} is no JSON: ${(cause as Error).message}`, cause);
  }
}

function ended(name: string): never {
  throw broken(`it ends within ${name}`);
}

function broken(what: string, cause?: unknown): MtaError {
  const message = `the body is not of type ${FRAMED_TYPE}: ${what}`;
  return new MtaError('INVALID_OPTIONS', message, { issues: [{ path: 'content', code: 'INVALID_VALUE', message }], cause });
}
