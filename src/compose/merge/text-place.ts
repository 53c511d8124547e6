/**
 * A text of a stored message with tokens in it: decoded once, and written for each recipient in its character set and transfer encoding.
 *
 * Promises: what a reader decodes is the text with the values in their places, escaped as its type demands; lines stay within the limits;
 * no value makes a boundary, whatever it holds. Text that travels as it is stays so where the values allow it, and becomes
 * quoted-printable where they do not. What stands before, between and after the values is encoded once where that can be.
 */
import { type Charset, findCharset, isAscii, nameCharacters } from '../charset.js';
import { type Issues, put } from '../checks.js';
import { BASE64_OCTETS, base64Lines, fromQuotedPrintable, MAX_LINE, quotedPrintable, withCrlf } from '../transfer.js';
import type { MessagePlaces, TextRange } from './texts.js';
import { type Chosen, chosen, findMarks, type Lookup, type Mark, type TokenValue, textOf, withValues } from './tokens.js';

export interface WrittenText {
  readonly pieces: readonly Buffer[];
  /** It has another transfer encoding than before. */
  readonly requoted: boolean;
}

const CRLF = Buffer.from('\r\n', 'latin1');
const SOFT_END = Buffer.from('=\r\n', 'latin1');
const LF = 0x0a;
const CR = 0x0d;

export class TextPlace {
  readonly range: TextRange;
  readonly marks: readonly Mark[];
  readonly #charset: Charset;
  readonly #octets: Buffer;
  readonly #delimiters: readonly string[];
  readonly #escaped: (value: TokenValue) => string;
  /** The body's last octets are a line end, which every form of it must keep. */
  readonly #endsLine: boolean;
  #quotedLines: readonly QuotedLine[] | undefined;
  readonly #ascii: boolean;
  #base64Start: Buffer | undefined;

  private constructor(mime: Buffer, range: TextRange, charset: Charset, delimiters: readonly string[]) {
    this.range = range;
    this.#charset = charset;
    this.#delimiters = delimiters;
    const body = mime.subarray(range.start, range.end);
    this.#endsLine = body.length >= 2 && body[body.length - 1] === LF;
    this.#octets = decoded(body, range.encoding);
    this.#ascii = isAscii(this.#octets);
    this.#escaped = escapeFor(range.type);
    // Octets as characters: a mark is ASCII, and no octet of another character is taken for one.
    this.marks = findMarks(charset.asciiBased ? this.#octets.toString('latin1') : charset.decode(this.#octets));
  }

  /** Undefined where there is no mark, or the text cannot be read: such a text stays as it is. */
  static of(mime: Buffer, range: TextRange, places: MessagePlaces): TextPlace | undefined {
    const charset = findCharset(range.charset);
    if (charset === undefined || !/^(?:7bit|8bit|binary|quoted-printable|base64)$/.test(range.encoding)) return undefined;
    if (!charset.asciiBased && range.encoding !== 'base64') return undefined;
    const place = new TextPlace(mime, range, charset, places.delimiters);
    return place.marks.length > 0 ? place : undefined;
  }

  /** Puts an issue for what the character set lacks. */
  check(value: TokenValue, path: string, issues: Issues): void {
    const lost = this.#charset.unencodable(this.#escaped(value));
    if (lost.length > 0)
      put(issues, path, 'UNENCODABLE', `${this.#charset.label} of the ${this.range.type} has no ${nameCharacters(lost)}`);
  }

  write(lookup: Lookup): WrittenText {
    const values = chosen(this.marks, lookup);
    if (!this.#charset.asciiBased) return { pieces: [this.#otherText(lookup)], requoted: false };
    switch (this.range.encoding) {
      case 'base64':
        return { pieces: this.#base64(values), requoted: false };
      case 'quoted-printable':
        return { pieces: this.#quoted(values), requoted: false };
      default: {
        const plain = this.#plain(values);
        return this.#fits(plain) ? { pieces: [plain], requoted: false } : { pieces: this.#quoted(values), requoted: true };
      }
    }
  }

  /** Octets of a value as they stand in this text. */
  #valueOctets(value: TokenValue): Buffer {
    return this.#charset.encode(this.#escaped(value));
  }

  #otherText(lookup: Lookup): Buffer {
    const text = this.#charset.decode(this.#octets);
    const merged = base64Lines(this.#charset.encode(withValues(text, this.marks, lookup, this.#escaped)));
    return this.#endsLine ? Buffer.concat([merged, CRLF]) : merged;
  }

  #plain(values: readonly Chosen[]): Buffer {
    const pieces: Buffer[] = [];
    let at = 0;
    for (const { mark, value } of values) {
      pieces.push(this.#octets.subarray(at, mark.start), this.#valueOctets(value));
      at = mark.end;
    }
    pieces.push(this.#octets.subarray(at));
    return Buffer.concat(pieces);
  }

  /** Whether text can travel as it is: what it holds, how long its lines are, and whether it holds a boundary. */
  #fits(text: Buffer): boolean {
    if (this.range.encoding === '7bit' && this.#ascii && !isAscii(text)) return false;
    if (text.includes(0) || longestLine(text) > MAX_LINE) return false;
    return !this.#delimiters.some((delimiter) => text.includes(delimiter));
  }

  #base64(values: readonly Chosen[]): Buffer[] {
    const first = this.marks[0]!.start;
    const whole = first - (first % BASE64_OCTETS);
    this.#base64Start ??= whole === 0 ? Buffer.alloc(0) : Buffer.concat([base64Lines(this.#octets.subarray(0, whole)), CRLF]);
    const pieces: Buffer[] = [];
    let at = whole;
    for (const { mark, value } of values) {
      pieces.push(this.#octets.subarray(at, mark.start), this.#valueOctets(value));
      at = mark.end;
    }
    pieces.push(this.#octets.subarray(at));
    return [this.#base64Start, base64Lines(Buffer.concat(pieces)), ...(this.#endsLine ? [CRLF] : [])];
  }

  /** Lines with marks are encoded anew; the runs of lines between them once. */
  #quoted(values: readonly Chosen[]): Buffer[] {
    this.#quotedLines ??= quotedLines(this.#octets, this.marks);
    const pieces: Buffer[] = [];
    let next = 0;
    for (const line of this.#quotedLines) {
      if (line.kind === 'encoded') {
        pieces.push(line.octets);
        continue;
      }
      const parts: Buffer[] = [];
      let at = line.start;
      for (; next < values.length && values[next]!.mark.start < line.end; next++) {
        const { mark, value } = values[next]!;
        parts.push(this.#octets.subarray(at, mark.start), this.#valueOctets(value));
        at = mark.end;
      }
      parts.push(this.#octets.subarray(at, line.end));
      pieces.push(quotedPrintable(parts.length === 1 ? parts[0]! : Buffer.concat(parts)));
    }
    const last = pieces.at(-1);
    if (this.#endsLine && last?.at(-1) !== LF) pieces.push(SOFT_END);
    return pieces;
  }
}

type QuotedLine =
  | { readonly kind: 'encoded'; readonly octets: Buffer }
  /** A line with marks, its line end included. */
  | { readonly kind: 'marked'; readonly start: number; readonly end: number };

function quotedLines(octets: Buffer, marks: readonly Mark[]): QuotedLine[] {
  const lines: QuotedLine[] = [];
  let at = 0;
  for (const { start } of marks) {
    if (start < at) continue;
    const before = start === 0 ? -1 : octets.lastIndexOf(CRLF, start - 1);
    const begin = before < 0 ? 0 : before + CRLF.length;
    if (begin > at) lines.push({ kind: 'encoded', octets: quotedPrintable(octets.subarray(at, begin)) });
    const found = octets.indexOf(CRLF, start);
    const end = found < 0 ? octets.length : found + CRLF.length;
    lines.push({ kind: 'marked', start: begin, end });
    at = end;
  }
  if (at < octets.length) lines.push({ kind: 'encoded', octets: quotedPrintable(octets.subarray(at)) });
  return lines;
}

function decoded(body: Buffer, encoding: string): Buffer {
  switch (encoding) {
    case 'base64':
      return Buffer.from(body.toString('latin1'), 'base64');
    case 'quoted-printable':
      return fromQuotedPrintable(body);
    default:
      return body;
  }
}

function longestLine(text: Buffer): number {
  let longest = 0;
  let start = 0;
  for (let at = text.indexOf(LF); at >= 0; at = text.indexOf(LF, start)) {
    longest = Math.max(longest, at - start - (text[at - 1] === CR ? 1 : 0));
    start = at + 1;
  }
  return Math.max(longest, text.length - start);
}

/** What a value becomes in a text of this type, line ends included. */
function escapeFor(type: string): (value: TokenValue) => string {
  if (/html|xml/.test(type)) return (value) => (typeof value === 'string' ? escapeHtml(withCrlf(value)) : withCrlf(value.raw));
  if (type === 'text/calendar') return (value) => (typeof value === 'string' ? escapeCalendar(value) : withCrlf(value.raw));
  return (value) => withCrlf(textOf(value));
}

const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text: string): string {
  return /[&<>"']/.test(text) ? text.replace(/[&<>"']/g, (character) => HTML[character]!) : text;
}

/** RFC 5545 §3.3.11. */
function escapeCalendar(text: string): string {
  return text.replace(/[\\;,]/g, '\\$&').replace(/\r\n|\r|\n/g, '\\n');
}
