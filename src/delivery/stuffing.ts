/**
 * Dot-stuffing (RFC 5321 §4.5.2) and the end of the content: a line that begins with a dot gets another one; content that does not
 * end in CRLF gets one before the final dot. Only CRLF ends a line here: stored content has no bare CR or LF.
 */

const DOT = 0x2e;
const CR = 0x0d;
const LF = 0x0a;
const CRLF_DOT = Buffer.from('\r\n.', 'latin1');
const ONE_DOT = Buffer.from('.', 'latin1');

/** Everything after the last octet of some content. */
export function ending(content: Buffer): string {
  const { length } = content;
  return length === 0 || (length > 1 && content[length - 1] === LF && content[length - 2] === CR) ? '.\r\n' : '\r\n.\r\n';
}

/** Content in one piece. Returns it as it is where no line begins with a dot. */
export function stuff(content: Buffer): Buffer {
  return new Stuffing(true).push(content);
}

/** Content that comes in pieces. */
export class Stuffing {
  readonly #dotted: boolean;
  /** Where the last piece ended: at the start of a line, behind a CR, or elsewhere. */
  #at: 'start' | 'cr' | 'inside' = 'start';

  /** `dotted` false: it is known that no line begins with a dot. */
  constructor(dotted: boolean) {
    this.#dotted = dotted;
  }

  push(piece: Buffer): Buffer {
    if (piece.length === 0) return piece;
    const stuffed = this.#dotted ? this.#stuffed(piece) : piece;
    const last = piece[piece.length - 1]!;
    const before = piece.length > 1 ? piece[piece.length - 2] : this.#at === 'cr' ? CR : undefined;
    this.#at = last === CR ? 'cr' : last === LF && before === CR ? 'start' : 'inside';
    return stuffed;
  }

  /** What ends the content. */
  ending(): string {
    return this.#at === 'start' ? '.\r\n' : '\r\n.\r\n';
  }

  #stuffed(piece: Buffer): Buffer {
    const parts: Buffer[] = [];
    let from = 0;
    const dotAt = (index: number) => {
      parts.push(piece.subarray(from, index), ONE_DOT);
      from = index;
    };
    if (this.#at === 'start' && piece[0] === DOT) dotAt(0);
    else if (this.#at === 'cr' && piece[0] === LF && piece[1] === DOT) dotAt(1);
    for (let found = piece.indexOf(CRLF_DOT); found >= 0; found = piece.indexOf(CRLF_DOT, found + 3)) dotAt(found + 2);
    if (parts.length === 0) return piece;
    parts.push(piece.subarray(from));
    return Buffer.concat(parts);
  }
}
