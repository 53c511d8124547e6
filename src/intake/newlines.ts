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

/** Makes every line end CRLF, over chunk borders. */
export class Newlines {
  /** The last chunk ended in a CR, which was held back. */
  #heldCr = false;

  /** The same octets with all line ends CRLF: `chunk` itself where it is clean. A CR at its end waits for the next. */
  normalise(chunk: Buffer): Buffer {
    if (chunk.length === 0) return chunk;
    const bare = bareNewlineAt(chunk, 0);
    if (bare === -1 && !this.#heldCr) return chunk;
    const last = chunk.length - 1;
    if (bare === last && chunk[last] === CR && !this.#heldCr) {
      this.#heldCr = true;
      return chunk.subarray(0, last);
    }
    return this.#rewrite(chunk);
  }

  /** The end of the content: what was held back. */
  end(): Buffer | undefined {
    if (!this.#heldCr) return undefined;
    this.#heldCr = false;
    return Buffer.from('\r\n', 'latin1');
  }

  #rewrite(chunk: Buffer): Buffer {
    const out = Buffer.allocUnsafe(chunk.length * 2 + 2);
    let written = 0;
    let cr = this.#heldCr;
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

/** Whether there are any bare line ends, over chunk borders; for those who would rather refuse them. A CR at the very end is not seen. */
export class BareNewlines {
  #lastWasCr = false;

  in(chunk: Buffer): boolean {
    if (chunk.length === 0) return false;
    const start = this.#lastWasCr ? 1 : 0;
    if (this.#lastWasCr && chunk[0] !== LF) return true;
    const last = chunk.length - 1;
    this.#lastWasCr = last >= start && chunk[last] === CR;
    const bare = bareNewlineAt(chunk, start);
    return bare !== -1 && !(this.#lastWasCr && bare === last);
  }
}
