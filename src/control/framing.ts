/**
 * A message with its options in one body: a line of JSON, then the content, octet for octet. How another process hands in what does
 * not fit a query string. With `lines`, more lines of JSON stand between both (the recipients of a merge, each with its values), ended
 * by an empty one; they are read as they come and never held together.
 *
 * Promises: one pass, bounded memory, and a line that is too long, is no JSON, or breaks off is told as such before any content is.
 */
import { MtaError } from '../core/errors.js';

export const FRAMED_TYPE = 'application/vnd.riata.message';

/** A line holds the options of one message, or the values of one recipient. */
export const LONGEST_LINE = 4 * 1024 * 1024;
const LF = 0x0a;
const NEWLINE = Buffer.from('\n');

export interface Framed {
  readonly head: Readonly<Record<string, unknown>>;
  /** To be read to its end before the content is. */
  readonly lines: () => AsyncGenerator<unknown>;
  readonly content: () => AsyncGenerator<Buffer>;
}

/** `lines`: only for a head whose reader expects them. */
export async function* frame(
  head: object,
  content: AsyncIterable<Buffer>,
  lines?: AsyncIterable<object> | Iterable<object>,
): AsyncGenerator<Buffer> {
  yield Buffer.from(`${JSON.stringify(head)}\n`);
  if (lines !== undefined) {
    for await (const line of lines) yield Buffer.from(`${JSON.stringify(line)}\n`);
    yield NEWLINE;
  }
  yield* content;
}

/** Reads the head. Rejects with `INVALID_OPTIONS` where it is none. */
export async function unframe(source: AsyncIterable<Buffer>): Promise<Framed> {
  const reader = new FrameReader(source);
  const head = await reader.json('the first line');
  if (typeof head !== 'object' || head === null || Array.isArray(head)) throw broken('the first line is no JSON object');
  return {
    head: head as Readonly<Record<string, unknown>>,
    lines: () => reader.lines(),
    content: () => reader.rest(),
  };
}

class FrameReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #kept: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  async *lines(): AsyncGenerator<unknown> {
    for (let number = 2; ; number++) {
      const line = await this.#line(`line ${number}`);
      if (line.length === 0) return;
      yield parse(line, `line ${number}`);
    }
  }

  async json(name: string): Promise<unknown> {
    return parse(await this.#line(name), name);
  }

  async *rest(): AsyncGenerator<Buffer> {
    if (this.#kept.length > 0) yield this.#kept;
    this.#kept = Buffer.alloc(0);
    for (let next = await this.#chunks.next(); next.done !== true; next = await this.#chunks.next()) yield next.value;
  }

  async #line(name: string): Promise<Buffer> {
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
      const next = await this.#chunks.next();
      if (next.done === true) throw broken(`it ends within ${name}`);
      this.#kept = next.value;
    }
  }
}

function parse(line: Buffer, name: string): unknown {
  try {
    return JSON.parse(line.toString('utf8'));
  } catch (cause) {
    throw broken(`${name} is no JSON: ${(cause as Error).message}`, cause);
  }
}

function broken(what: string, cause?: unknown): MtaError {
  const message = `the body is not of type ${FRAMED_TYPE}: ${what}`;
  return new MtaError('INVALID_OPTIONS', message, { issues: [{ path: 'content', code: 'INVALID_VALUE', message }], cause });
}
