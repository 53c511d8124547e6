/**
 * Transfer encodings (RFC 2045 §6): what content needs, what each can carry, and the encoding itself.
 *
 * Promises: encoded lines have at most 76 characters. Quoted-printable never begins a line with `--`, so that nothing that is
 * encoded can look like a boundary; base64 cannot. Decoding takes what is malformed as leniently as readers of mail do. Pure.
 */

export const TRANSFER_ENCODINGS = ['7bit', '8bit', 'quoted-printable', 'base64'] as const;
export type TransferEncoding = (typeof TRANSFER_ENCODINGS)[number];

/** RFC 5322 §2.1.1, without the CRLF. */
export const MAX_LINE = 998;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const HYPHEN = 0x2d;
const EQUALS = 0x3d;
const QUOTED_LINE = 76;

/** What of the content decides how it can travel. */
export interface OctetFacts {
  readonly eightBit: boolean;
  /** NUL, or a CR or LF that is not part of a line end. */
  readonly unfit: boolean;
  /** Octets of the longest line. */
  readonly longestLine: number;
  /** Octets that quoted-printable writes in three. */
  readonly escaped: number;
}

export function factsOf(octets: Uint8Array): OctetFacts {
  let eightBit = false;
  let unfit = false;
  let longestLine = 0;
  let escaped = 0;
  let lineStart = 0;
  for (let at = 0; at < octets.length; at++) {
    const octet = octets[at]!;
    if (octet >= SPACE && octet < 0x7f && octet !== EQUALS) continue;
    if (octet === CR && octets[at + 1] === LF) {
      longestLine = Math.max(longestLine, at - lineStart);
      lineStart = ++at + 1;
    } else if (octet !== TAB) {
      escaped++;
      if (octet > 0x7f) eightBit = true;
      else if (octet === 0 || octet === CR || octet === LF) unfit = true;
    }
  }
  return { eightBit, unfit, longestLine: Math.max(longestLine, octets.length - lineStart), escaped };
}

/** The one that content of this kind travels best with: as it is, where it can; else the shorter of the two encodings. */
export function suitableEncoding(facts: OctetFacts, size: number): TransferEncoding {
  if (!facts.eightBit && !facts.unfit && facts.longestLine <= MAX_LINE) return '7bit';
  return facts.escaped * 2 > size / 3 ? 'base64' : 'quoted-printable';
}

/** Why this encoding cannot carry such content, in words; undefined if it can. */
export function unfitFor(encoding: TransferEncoding, facts: OctetFacts): string | undefined {
  if (encoding === 'quoted-printable' || encoding === 'base64') return undefined;
  if (encoding === '7bit' && facts.eightBit) return 'the content is not ASCII';
  if (facts.unfit) return 'the content has a NUL or a bare CR or LF';
  return facts.longestLine > MAX_LINE ? `the content has a line of ${facts.longestLine} octets (${MAX_LINE} are possible)` : undefined;
}

export function encodeAs(encoding: TransferEncoding, octets: Buffer): Buffer {
  switch (encoding) {
    case 'base64':
      return base64Lines(octets);
    case 'quoted-printable':
      return quotedPrintable(octets);
    default:
      return octets;
  }
}

/** For each octet: how many characters it takes within a line. */
const WIDTH = new Uint8Array(256).fill(3);
WIDTH.fill(1, SPACE, 0x7f);
WIDTH[EQUALS] = 3;
WIDTH[TAB] = 1;
const HEX = Buffer.from('0123456789ABCDEF', 'latin1');

/** RFC 2045 §6.7, for text: CRLF stays a line end, every other CR and LF is an octet like others. */
export function quotedPrintable(octets: Uint8Array): Buffer {
  let characters = octets.length;
  for (let at = 0; at < octets.length; at++) characters += WIDTH[octets[at]!]! - 1;
  // Soft line ends, and octets written in three for where they stand: at most one at a line's beginning and one at its end.
  const out = Buffer.allocUnsafe(characters * 2 + 16);
  let length = 0;
  let column = 0;
  for (let at = 0; at < octets.length; at++) {
    const octet = octets[at]!;
    const next = octets[at + 1];
    if (octet === CR && next === LF) {
      out[length++] = CR;
      out[length++] = LF;
      column = 0;
      at++;
      continue;
    }
    let width = WIDTH[octet]!;
    if ((octet === SPACE || octet === TAB) && (next === undefined || (next === CR && octets[at + 2] === LF))) width = 3;
    if (column + width > QUOTED_LINE - 1) {
      out[length++] = EQUALS;
      out[length++] = CR;
      out[length++] = LF;
      column = 0;
    }
    if (octet === HYPHEN && column === 0 && next === HYPHEN) width = 3;
    if (width === 1) {
      out[length++] = octet;
    } else {
      out[length++] = EQUALS;
      out[length++] = HEX[octet >> 4]!;
      out[length++] = HEX[octet & 15]!;
    }
    column += width;
  }
  return out.subarray(0, length);
}

/** Octets of content to a line of base64. */
export const BASE64_OCTETS = 57;
const BASE64_LINE = 76;

/** RFC 2045 §6.8, without a line end at its end. */
export function base64Lines(octets: Buffer): Buffer {
  const plain = Buffer.from(octets.toString('base64'), 'latin1');
  if (plain.length <= BASE64_LINE) return plain;
  const out = Buffer.allocUnsafe(base64Size(octets.length));
  let to = 0;
  for (let from = 0; from < plain.length; from += BASE64_LINE) {
    if (from > 0) {
      out[to++] = CR;
      out[to++] = LF;
    }
    to += plain.copy(out, to, from, Math.min(from + BASE64_LINE, plain.length));
  }
  return out;
}

/** Octets that `base64Lines` makes of so many. */
export function base64Size(octets: number): number {
  const characters = Math.ceil(octets / 3) * 4;
  return characters + Math.max(0, Math.ceil(characters / BASE64_LINE) - 1) * 2;
}

/** Blanks at the end of a line are padding; an `=` that introduces nothing stays. */
export function fromQuotedPrintable(text: Buffer): Buffer {
  const out = Buffer.allocUnsafe(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const octet = text[at]!;
    if (octet === EQUALS) {
      const high = hexDigit(text[at + 1]);
      const low = hexDigit(text[at + 2]);
      if (high >= 0 && low >= 0) {
        out[length++] = high * 16 + low;
        at += 2;
        continue;
      }
      const end = lineEndAfter(text, at + 1);
      if (end > at) {
        at = end - 1;
        continue;
      }
    } else if (octet === SPACE || octet === TAB) {
      const run = at;
      while (text[at + 1] === SPACE || text[at + 1] === TAB) at++;
      const padding = at + 1 === text.length || (text[at + 1] === CR && text[at + 2] === LF);
      if (!padding) length += text.copy(out, length, run, at + 1);
      continue;
    }
    out[length++] = octet;
  }
  return out.subarray(0, length);
}

/** Behind the line end that follows blanks at `at`, or 0. */
function lineEndAfter(text: Buffer, at: number): number {
  let end = at;
  while (text[end] === SPACE || text[end] === TAB) end++;
  if (end >= text.length) return end;
  return text[end] === CR && text[end + 1] === LF ? end + 2 : 0;
}

function hexDigit(octet: number | undefined): number {
  if (octet === undefined) return -1;
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const letter = octet | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Every line end a CRLF: how text stands in mail, whatever it was written on. */
export function withCrlf(text: string): string {
  return /[\r\n]/.test(text) ? text.replace(/\r\n|\r|\n/g, '\r\n') : text;
}
