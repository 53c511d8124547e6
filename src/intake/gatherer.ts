/**
 * The stored content as it takes shape: gathers small pieces into one, hands large ones on as they are, and notes what
 * the wire will want to know of them.
 *
 * Promises: a message of a few KiB reaches the body writer as one buffer that shares no memory with what came from the
 * network; pieces of any smallness cost memory by their octets, not by their number; the writer is opened with the first
 * octets handed on, so what is refused early never touches the spool.
 */
import { isAscii } from 'node:buffer';
import type { BodyWriter, StoredBody } from '../spool/spool.js';

/** From here on a piece goes on as it is: copying it costs more than it saves. */
const LARGE = 4096;
/** What a small message with its trace fits in. */
const USUAL = 2048;

const DOT = 46;
const LF = 10;
const LF_DOT = Buffer.from('\n.', 'latin1');
const NOTHING = Buffer.alloc(0);

export class Gatherer {
  sizeBytes = 0;
  /** An octet above 127 is in it. */
  eightBit = false;
  /** A line begins with a dot. */
  dotted = false;
  /** The last octet ended a line, or there was none. */
  atLineStart = true;

  readonly #open: () => BodyWriter;
  #writer: BodyWriter | undefined;
  #block = NOTHING;
  #used = 0;
  #waiting: Promise<void> | undefined;
  #aborted = false;

  constructor(open: () => BodyWriter) {
    this.#open = open;
  }

  /** `bytes` belongs to the gatherer from now on, and is not changed any more. */
  put(bytes: Buffer, from: number, to: number): void {
    if (from === to || this.#aborted) return;
    this.#note(bytes, from, to);
    const length = to - from;
    if (length >= LARGE) {
      this.#flush();
      this.#hand(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to));
      return;
    }
    if (this.#used + length > this.#block.length) this.#makeRoom(length);
    bytes.copy(this.#block, this.#used, from, to);
    this.#used += length;
  }

  /** True, or what to wait for before more is put. */
  waiting(): true | Promise<void> {
    return this.#waiting ?? true;
  }

  finish(): Promise<Buffer | StoredBody> {
    this.#flush();
    this.#writer ??= this.#open();
    return this.#writer.finish();
  }

  /** Leaves nothing behind. */
  abort(): void {
    this.#aborted = true;
    this.#writer?.abort();
    this.#writer = undefined;
    this.#block = NOTHING;
    this.#used = 0;
  }

  #note(bytes: Buffer, from: number, to: number): void {
    this.sizeBytes += to - from;
    if (!this.eightBit) this.eightBit = !isAscii(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to));
    if (!this.dotted) {
      const found = bytes.indexOf(LF_DOT, from);
      this.dotted = (this.atLineStart && bytes[from] === DOT) || (found !== -1 && found < to - 1);
    }
    this.atLineStart = bytes[to - 1] === LF;
  }

  /** `length` is less than LARGE. */
  #makeRoom(length: number): void {
    if (this.#used + length > LARGE) this.#flush();
    const block = Buffer.allocUnsafe(this.#used + length > USUAL ? LARGE : USUAL);
    this.#block.copy(block, 0, 0, this.#used);
    this.#block = block;
  }

  #flush(): void {
    if (this.#used === 0) return;
    const block = this.#block.subarray(0, this.#used);
    this.#block = NOTHING;
    this.#used = 0;
    this.#hand(block);
  }

  #hand(bytes: Buffer): void {
    this.#writer ??= this.#open();
    const taken = this.#writer.write(bytes);
    if (taken === true) return;
    const done = () => {
      if (this.#waiting === waiting) this.#waiting = undefined;
    };
    // A failure comes back from `finish`; here it only ends the wait.
    const waiting = taken.then(done, done);
    this.#waiting = waiting;
  }
}
