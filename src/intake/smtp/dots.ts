/**
 * Where DATA ends, and the dots that were stuffed into it (RFC 5321 §4.5.2).
 *
 * Promises: CRLF, dot, CRLF ends the content, at its very beginning dot and CRLF; nothing else does, and a dot is taken
 * away only where a line begins behind a true CRLF. So no bare CR or LF, and no cut between chunks, can end a message or
 * bring forth a dot that was not one (G12). Time is linear: runs of octets are searched and moved by native code.
 *
 *   midLine ──CR──► afterCr ──LF──► lineStart ──"."──► dot ──CR──► dotCr ──LF──► the end
 *      ▲               │                │               │            │
 *      └───────────────┴──── any other octet (the dot falls away) ───┘
 */

const CR = 13;
const LF = 10;
const DOT = 46;
const CRLF_DOT = Buffer.from('\r\n.', 'latin1');

type State = 'lineStart' | 'midLine' | 'afterCr' | 'dot' | 'dotCr';

export class Dots {
  #state: State = 'lineStart';
  readonly #take: (content: Buffer) => void;
  /** Content of the present chunk, moved together: from here … */
  #from = 0;
  /** … to here. */
  #to = 0;

  constructor(take: (content: Buffer) => void) {
    this.#take = take;
  }

  /** The next octet is the first of a message. */
  begin(): void {
    this.#state = 'lineStart';
  }

  /**
   * Reads `chunk` from `start` on, and gives its content to `take`, in one piece as a rule. The chunk is altered: content
   * is moved over the dots that fall away. Returns where the next command begins, or -1 while the content goes on.
   */
  read(chunk: Buffer, start: number): number {
    this.#from = start;
    this.#to = start;
    let state = this.#state;
    /** Where the content begins that was not moved yet. */
    let run = start;
    for (let at = start; at < chunk.length; ) {
      if (state === 'midLine') {
        const found = chunk.indexOf(CRLF_DOT, at);
        if (found === -1) {
          state = lastState(chunk);
          break;
        }
        at = found + 2;
        state = 'lineStart';
      }
      const octet = chunk[at]!;
      switch (state) {
        case 'lineStart':
          state = 'midLine';
          if (octet !== DOT) break;
          this.#move(chunk, run, at);
          run = ++at;
          state = 'dot';
          break;
        case 'afterCr':
          state = octet === LF ? 'lineStart' : 'midLine';
          if (octet === LF) at++;
          break;
        case 'dot':
          state = octet === CR ? 'dotCr' : 'midLine';
          if (octet === CR) at++;
          break;
        case 'dotCr':
          if (octet === LF) {
            this.#state = 'lineStart';
            this.#give(chunk);
            return at + 1;
          }
          // The CR was content; where it came with the last chunk, that is gone.
          if (run === at) this.#take(Buffer.of(CR));
          state = 'midLine';
          break;
      }
    }
    this.#state = state;
    if (state !== 'dot' && state !== 'dotCr') this.#move(chunk, run, chunk.length);
    this.#give(chunk);
    return -1;
  }

  #move(chunk: Buffer, from: number, to: number): void {
    if (this.#to !== from) chunk.copyWithin(this.#to, from, to);
    this.#to += to - from;
  }

  #give(chunk: Buffer): void {
    if (this.#to > this.#from) this.#take(this.#from === 0 && this.#to === chunk.length ? chunk : chunk.subarray(this.#from, this.#to));
  }
}

/** What a chunk ends in that goes on in the middle of a line, and in which no more line begins with a dot. */
function lastState(chunk: Buffer): State {
  const last = chunk.length - 1;
  if (chunk[last] === CR) return 'afterCr';
  return chunk[last] === LF && chunk[last - 1] === CR ? 'lineStart' : 'midLine';
}
