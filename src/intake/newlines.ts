/**
 * Line ends. Whatever a client takes for one (CRLF, a bare CR, a bare LF) is stored as CRLF, so that no server
 * further on can read a line, an end of the message or a command where another saw none (G12).
 *
 * Promises: what comes out depends on the octets, never on how they were cut into chunks; content that is clean
 * already, nearly all there is, is returned as it came, without a copy.
 * Must not: look at anything but CR and LF.
 */

const CR = 13;
const LF = 10;

/**
 * The first octet from `from` on that is a CR without an LF behind it, or an LF without a CR before it; -1 if there is
 * none. A CR at the very end is reported, too: what follows decides.
 */
export function bareNewlineAt(bytes: Buffer, from: number): number {
  for (let at = from; ; ) {
    const lf = bytes.indexOf(LF, at);
    const cr = bytes.indexOf(CR, at);
    if (cr === -1) return lf;
    if (lf !== cr + 1) return lf === -1 || cr < lf ? cr : lf;
    at = lf + 1;
  }
}

const CRLF = Buffer.from('\r\n', 'latin1');

/** Makes every line end CRLF, over chunk borders. */
export class Newlines {
  readonly #take: (octets: Buffer) => void;
  /** The last chunk ended in a CR, which was held back: what follows decides. */
  #heldCr = false;

  /** What `take` is given is not to be altered. */
  constructor(take: (octets: Buffer) => void) {
    this.#take = take;
  }

  /** Gives on the same octets with all line ends CRLF: `chunk` itself where it is clean. */
  feed(chunk: Buffer): void {
    if (chunk.length === 0) return;
    let rest = chunk;
    if (this.#heldCr) {
      this.end();
      if (chunk[0] === LF) rest = chunk.subarray(1);
    }
    const bare = bareNewlineAt(rest, 0);
    const last = rest.length - 1;
    if (bare !== -1 && !(bare === last && rest[last] === CR)) rest = this.#rewrite(rest);
    else if (bare === last && last !== -1) {
      this.#heldCr = true;
      rest = rest.subarray(0, last);
    }
    if (rest.length > 0) this.#take(rest);
  }

  /** The content is over: what was held back. */
  end(): void {
    if (!this.#heldCr) return;
    this.#heldCr = false;
    this.#take(CRLF);
  }

  #rewrite(chunk: Buffer): Buffer {
    const out = Buffer.allocUnsafe(chunk.length * 2 + 2);
    let written = 0;
    let cr = false;
    for (let at = 0; at < chunk.length; at++) {
      const octet = chunk[at]!;
      // A CR is written once it is known that an LF follows or not; both ways a CRLF results.
      if (cr || octet === LF) {
        out[written++] = CR;
        out[written++] = LF;
        cr = octet === CR;
        if (octet === LF || octet === CR) continue;
      } else if (octet === CR) {
        cr = true;
        continue;
      }
      out[written++] = octet;
    }
    this.#heldCr = cr;
    return out.subarray(0, written);
  }
}

/** Looks for bare line ends, over chunk borders, for those who would rather refuse them. One at the very end is not seen. */
export class BareNewlines {
  /** There was one. */
  found = false;
  #lastWasCr = false;

  /** True once one was found. */
  look(chunk: Buffer): boolean {
    if (this.found || chunk.length === 0) return this.found;
    const start = this.#lastWasCr ? 1 : 0;
    const last = chunk.length - 1;
    const cut = this.#lastWasCr && chunk[0] !== LF;
    this.#lastWasCr = last >= start && chunk[last] === CR;
    const bare = bareNewlineAt(chunk, start);
    this.found = cut || (bare !== -1 && !(this.#lastWasCr && bare === last));
    return this.found;
  }
}
