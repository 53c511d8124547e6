/**
 * Header fields as lines of mail: unstructured text, mailboxes, lists of ids, parameters (RFC 5322 §3, RFC 2047, RFC 2231).
 *
 * Promises: every line has at most 78 characters where its words allow, 998 in any case, and none is blank; what a reader
 * unfolds and decodes is exactly what was given. No line end gets in but those of folding: whatever control a value holds comes
 * out as a blank (callers refuse it before, and say so). Pure.
 *
 * The text is ASCII but for addresses that only SMTPUTF8 can carry (RFC 6532).
 */
import { isAsciiText } from './charset.js';
import { LEAST_WORD, nextWord, wordKind } from './words.js';

/** RFC 5322 §2.1.1. */
const LINE = 78;
/** RFC 2047 §2: of a line with encoded words. */
const ENCODED_LINE = 76;
/** A longer word cannot stand in a line as it is; some room is left for the name. */
const LONGEST_WORD = 900;
/** A longer display name is not quoted but encoded: so it can be folded. */
const LONGEST_QUOTED = 60;

const CONTROLS = /[\p{Cc}\p{Zl}\p{Zp}]+/gu;
const ATOMS = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;

export interface ShownMailbox {
  readonly name: string;
  readonly address: string;
}

/** One field under way. Words are put at the line's end or on a new line, never divided. */
class FieldWriter {
  #out: string;
  #column: number;
  /** There is a word on the first line: to fold before that would gain nothing. */
  #begun = false;
  /** Of the line under way. */
  #limit = LINE;

  constructor(name: string) {
    this.#out = `${name}:`;
    this.#column = name.length + 1;
  }

  /** `gap`: the blanks before it, at least one. */
  word(gap: string, word: string): void {
    if (this.#begun && this.#column + gap.length + word.length > this.#limit) this.#fold(gap);
    else this.#put(gap);
    this.#put(word);
    this.#begun = true;
  }

  /** As encoded words, on as many lines as it takes. */
  encoded(text: string): void {
    const kind = wordKind(text);
    if (ENCODED_LINE - this.#column - 1 < LEAST_WORD) this.#fold(' ');
    else this.#put(' ');
    for (let at = 0; at < text.length; ) {
      if (at > 0) this.#fold(' ');
      // No word takes more than this: the rest need not be looked at.
      const { word, length } = nextWord(text.slice(at, at + ENCODED_LINE), kind, ENCODED_LINE - this.#column);
      this.#put(word);
      this.#limit = ENCODED_LINE;
      at += length;
    }
    this.#begun = true;
  }

  end(): string {
    return `${this.#out}\r\n`;
  }

  #fold(gap: string): void {
    this.#out += `\r\n${gap}`;
    this.#column = gap.length;
    this.#limit = LINE;
  }

  #put(text: string): void {
    this.#out += text;
    this.#column += text.length;
  }
}

/** Subject, Comments, and whatever is not known to have a structure. */
export function textField(name: string, value: string): string {
  const field = new FieldWriter(name);
  for (const { gap, text, encode } of runsOf(value.replace(CONTROLS, ' '))) {
    if (encode) field.encoded(text);
    else field.word(gap, text);
  }
  return field.end();
}

interface Run {
  /** Blanks before it. */
  gap: string;
  /** A word as it is, or words to be encoded together, blanks included. */
  text: string;
  readonly encode: boolean;
}

/**
 * Plain words, and neighbours that must be encoded as one. One blank stands between the two kinds; if there are more, the rest
 * goes into the encoded words, as do blanks at the very beginning and end: nothing else carries them safely.
 */
function runsOf(text: string): Run[] {
  if (/^ *$/.test(text)) return text === '' ? [] : [{ gap: ' ', text, encode: true }];
  const disguised = looksEncoded(text);
  const runs: Run[] = [];
  for (const [piece] of text.matchAll(/ *[^ ]+(?: +$)?/g)) {
    const word = piece.replace(/^ +/, '');
    const blanks = piece.slice(0, piece.length - word.length);
    const before = runs.at(-1);
    const encode = needsWord(word, disguised) || (before === undefined && blanks !== '') || word.endsWith(' ');
    if (before === undefined) runs.push({ gap: ' ', text: piece, encode });
    else if (encode && before.encode) before.text += piece;
    else if (encode) runs.push({ gap: ' ', text: piece.slice(1), encode });
    else runs.push({ gap: before.encode ? ' ' : blanks, text: word, encode });
    if (before?.encode && !encode) before.text += blanks.slice(1);
  }
  return runs;
}

function needsWord(word: string, disguised: boolean): boolean {
  return !isAsciiText(word) || (disguised && word.includes('=?')) || word.length > LONGEST_WORD;
}

/** Text that a reader would take for an encoded word, blanks in it or not: it must be encoded to say what it says. */
function looksEncoded(text: string): boolean {
  const start = text.search(/=\?[^?]*\?[bBqQ]\?/);
  return start >= 0 && text.includes('?=', start + 4);
}

/** From, To and their like; without mailboxes, `''`. */
export function mailboxField(name: string, mailboxes: readonly ShownMailbox[]): string {
  if (mailboxes.length === 0) return '';
  const field = new FieldWriter(name);
  mailboxes.forEach(({ name, address }, i) => {
    const comma = i < mailboxes.length - 1 ? ',' : '';
    const shown = name.replace(CONTROLS, ' ');
    if (shown === '') {
      field.word(' ', address + comma);
      return;
    }
    if (!isAsciiText(shown) || looksEncoded(shown) || shown.length > LONGEST_QUOTED) field.encoded(shown);
    else if (ATOMS.test(shown)) for (const word of shown.split(' ')) field.word(' ', word);
    else field.word(' ', quoted(shown));
    field.word(' ', `<${address}>${comma}`);
  });
  return field.end();
}

/** Words that must stay as they are: message ids, URIs in brackets, tokens. They must be printable and without blanks. */
export function wordsField(name: string, words: readonly string[]): string {
  const field = new FieldWriter(name);
  for (const word of words) field.word(' ', word.replace(CONTROLS, ''));
  return field.end();
}

/** `Content-Type: text/plain; charset=utf-8` and its like. */
export function parameterField(name: string, value: string, parameters: readonly (readonly [string, string])[]): string {
  const pieces = parameters.flatMap(([key, text]) => parameter(key, text.replace(CONTROLS, ' ')));
  return wordsWithBlanks(
    name,
    [value, ...pieces].map((piece, i) => (i < pieces.length ? `${piece};` : piece)),
  );
}

/** As `wordsField`, for pieces that may hold quoted blanks. */
function wordsWithBlanks(name: string, pieces: readonly string[]): string {
  const field = new FieldWriter(name);
  for (const piece of pieces) field.word(' ', piece);
  return field.end();
}

/** Characters of a piece of a parameter (RFC 2231 §3). */
const PARAMETER_PIECE = 60;
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`{|}~-]+$/;
const EXTENDED = /^[A-Za-z0-9!#$&+.^_`{|}~-]$/;

/** `name=value`, quoted where it must be; in the extended form of RFC 2231 where that does not do, in pieces where it is long. */
function parameter(name: string, value: string): string[] {
  // Blanks at the ends of a quoted value get lost with some readers.
  const plain = isAsciiText(value) && value.length <= PARAMETER_PIECE && value === value.trim();
  if (plain) return [`${name}=${TOKEN.test(value) ? value : quoted(value)}`];
  const pieces: string[] = [];
  let piece = "utf-8''";
  for (const character of value) {
    // Some readers decode each piece by itself: no character is divided.
    const written = EXTENDED.test(character) ? character : percentEncoded(character);
    if (piece.length + written.length > PARAMETER_PIECE) {
      pieces.push(piece);
      piece = '';
    }
    piece += written;
  }
  pieces.push(piece);
  return pieces.length === 1 ? [`${name}*=${piece}`] : pieces.map((text, i) => `${name}*${i}*=${text}`);
}

function percentEncoded(character: string): string {
  let out = '';
  for (const octet of Buffer.from(character, 'utf8')) out += `%${octet.toString(16).toUpperCase().padStart(2, '0')}`;
  return out;
}

export function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
