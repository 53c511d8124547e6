/**
 * The header block, read once as it streams by: which fields there are, which are dropped (Bcc), where it ends, and what
 * is put there because it is missing.
 *
 * Promises
 *  - Octets are passed on as they came, in as few runs as possible: one, for a message that lacks nothing.
 *  - No line is kept: memory is bounded by the longest beginning of a line that does not yet show what it is.
 *  - Time is linear in the octets, whatever the chunks.
 *
 * Where the block ends (decided once, here)
 *  - At the blank line. Missing fields go right before it.
 *  - At a line that can be neither a field nor the continuation of one: it is the first of the body, and the blank line
 *    that was never written is put before it. A first line that begins with a space is such a line.
 *  - At the end of the content: a header block alone is a message (RFC 5322 §3.5), and gets no blank line.
 *  - A first line as a mailbox file has it (`From sender date`, perhaps quoted with `>`) becomes the field
 *    `X-Mailbox-Line`: else the whole header would fall into the body.
 *
 * Takes normalised lines only: every LF follows a CR, and no chunk ends between the two.
 */
import { isAscii } from 'node:buffer';

export interface HeaderFindings {
  readonly date: boolean;
  readonly from: boolean;
  readonly messageId: boolean;
  /** Number of `Received` fields. */
  readonly received: number;
}

/** Where the octets go. */
export interface HeaderSink {
  put(bytes: Buffer, from: number, to: number): void;
  putText(text: string): void;
  /** The block is over: the fields that it lacks, as complete lines, or `''`. */
  missing(found: HeaderFindings): string;
}

/** A line whose first this many octets do not show the name of a field has none. */
const LONGEST_NAME = 998;
/** More of a Message-ID field than this is not looked at. */
const LONGEST_MESSAGE_ID = 998;
const MAILBOX_LINE = 'X-Mailbox-Line: ';

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;

type Field = 'date' | 'from' | 'messageId' | 'received' | 'dropped' | 'other';
type Line = Field | 'continued' | 'blank' | 'body' | 'mailbox' | 'undecided';

export class HeaderScan implements HeaderFindings {
  date = false;
  from = false;
  messageId = false;
  received = 0;
  /** An octet above 127 is in what was kept of the block. */
  utf8 = false;
  /** Octets of the block so far, those dropped included. */
  sizeBytes = 0;

  readonly #sink: HeaderSink;
  #lineStart = true;
  #first = true;
  /** The field that the present line belongs to. */
  #field: Field = 'other';
  /** The beginning of a line that did not show what it is. */
  #undecided: Buffer | undefined;
  #messageIdText = '';
  /** Of the present chunk. */
  #ascii = true;

  constructor(sink: HeaderSink) {
    this.#sink = sink;
  }

  /** Reads on. True when the block is over: what follows it in `input` has been passed on, too. */
  feed(input: Buffer): boolean {
    const chunk = this.#undecided === undefined ? input : Buffer.concat([this.#undecided, input]);
    this.#undecided = undefined;
    this.#ascii = isAscii(chunk);
    let kept = this.#field === 'dropped' && !this.#lineStart ? -1 : 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#lineStart) {
        const line = this.#classify(chunk, at);
        if (line === 'blank' || line === 'body') {
          this.#finish(chunk, kept, at, line);
          return true;
        }
        if (line === 'undecided') {
          this.#keep(chunk, kept, at);
          this.#undecided = Buffer.from(chunk.subarray(at));
          this.sizeBytes += at;
          return false;
        }
        kept = this.#begin(line, chunk, kept, at);
      }
      const lf = chunk.indexOf(LF, at);
      const end = lf === -1 ? chunk.length : lf + 1;
      if (this.#field === 'messageId') this.#collect(chunk, at, end);
      this.#lineStart = lf !== -1;
      at = end;
    }
    this.#keep(chunk, kept, at);
    this.sizeBytes += at;
    return false;
  }

  /** The content is over and the block was not. */
  end(): void {
    const rest = this.#undecided;
    if (rest !== undefined) {
      // What ends without a colon is no field: it is the body.
      this.#sink.putText(`${this.#sink.missing(this)}\r\n`);
      this.#sink.put(rest, 0, rest.length);
      return;
    }
    const missing = this.#sink.missing(this);
    if (missing === '') return;
    this.#sink.putText(this.#lineStart ? missing : `\r\n${missing}`);
  }

  /** The first Message-ID with its brackets, without anything that has no place in a log; `''` where there is none. */
  messageIdText(): string {
    return /<[!-;=?-~]{1,250}>/.exec(this.#messageIdText)?.[0] ?? '';
  }

  /** A line that belongs to the block begins at `at`. Returns where the run that is being kept began, -1 for none. */
  #begin(line: Field | 'continued' | 'mailbox', chunk: Buffer, kept: number, at: number): number {
    this.#first = false;
    if (line === 'mailbox') {
      this.#sink.putText(MAILBOX_LINE);
      this.#field = 'other';
    } else if (line !== 'continued') {
      this.#field = line;
      this.#count(line);
    }
    if (this.#field !== 'dropped') return kept === -1 ? at : kept;
    this.#keep(chunk, kept, at);
    return -1;
  }

  #count(field: Field): void {
    if (field === 'received') this.received++;
    else if (field === 'date') this.date = true;
    else if (field === 'from') this.from = true;
    else if (field === 'messageId') this.messageId = true;
  }

  #keep(chunk: Buffer, from: number, to: number): void {
    if (from === -1 || from === to) return;
    this.#look(chunk, from, to);
    this.#sink.put(chunk, from, to);
  }

  #look(chunk: Buffer, from: number, to: number): void {
    if (!this.#ascii && !this.utf8) this.utf8 = !isAscii(chunk.subarray(from, to));
  }

  #finish(chunk: Buffer, kept: number, at: number, line: 'blank' | 'body'): void {
    this.sizeBytes += at;
    const inserted = this.#sink.missing(this) + (line === 'body' ? '\r\n' : '');
    if (inserted === '' && kept !== -1) {
      this.#look(chunk, kept, at);
      this.#sink.put(chunk, kept, chunk.length);
      return;
    }
    this.#keep(chunk, kept, at);
    if (inserted !== '') this.#sink.putText(inserted);
    this.#sink.put(chunk, at, chunk.length);
  }

  #collect(chunk: Buffer, from: number, to: number): void {
    const room = LONGEST_MESSAGE_ID - this.#messageIdText.length;
    if (room > 0) this.#messageIdText += chunk.toString('latin1', from, Math.min(to, from + room));
  }

  /** What the line is that begins at `at`. */
  #classify(chunk: Buffer, at: number): Line {
    const first = chunk[at]!;
    if (first === CR) return 'blank';
    if (first === SPACE || first === TAB) return this.#first ? 'body' : 'continued';
    const limit = Math.min(chunk.length, at + LONGEST_NAME + 1);
    let end = at;
    // RFC 5322 §2.2: printable US-ASCII but the colon.
    while (end < limit && chunk[end]! > SPACE && chunk[end]! < 127 && chunk[end] !== COLON) end++;
    let colon = end;
    while (colon < limit && (chunk[colon] === SPACE || chunk[colon] === TAB)) colon++;
    if (colon - at > LONGEST_NAME) return 'body';
    if (colon === limit) return 'undecided';
    if (chunk[colon] === COLON && end > at) return fieldOf(chunk, at, end);
    return this.#first && isMailboxLine(chunk, at, end) ? 'mailbox' : 'body';
  }
}

/** `From ` of a mailbox file, as it is or quoted. */
function isMailboxLine(chunk: Buffer, at: number, end: number): boolean {
  return chunk[end] === SPACE && end - at < 80 && /^>*From$/.test(chunk.toString('latin1', at, end));
}

/** The name in `from`..`to`, by its length first: most names are told apart by that. */
function fieldOf(chunk: Buffer, from: number, to: number): Field {
  switch (to - from) {
    case 3:
      return named(chunk, from, 'bcc') ? 'dropped' : 'other';
    case 4:
      return named(chunk, from, 'from') ? 'from' : named(chunk, from, 'date') ? 'date' : 'other';
    case 8:
      return named(chunk, from, 'received') ? 'received' : 'other';
    case 10:
      return named(chunk, from, 'message-id') ? 'messageId' : named(chunk, from, 'resent-bcc') ? 'dropped' : 'other';
    default:
      return 'other';
  }
}

/** `name` is of lower case letters and hyphens, into which 0x20 turns no character of a name but their upper case. */
function named(chunk: Buffer, from: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) if ((chunk[from + i]! | 0x20) !== name.charCodeAt(i)) return false;
  return true;
}
