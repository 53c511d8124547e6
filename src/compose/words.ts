/**
 * Encoded words (RFC 2047): text beyond ASCII in header fields, and back.
 *
 * Promises: a word has at most 75 characters and no half of a character; only characters that may stand in a phrase (§5 rule 3)
 * are used, so the words fit every place. Decoding joins what was split, and leaves what it cannot read as it is. Pure.
 */
import { findCharset } from './charset.js';

/** RFC 2047 §2: of an encoded word. */
export const MAX_WORD = 75;
/** Room below which a word had better begin on a line of its own: `=?utf-8?q?` and `?=` with one character in four octets. */
export const LEAST_WORD = 24;

const OVERHEAD = '=?utf-8?q??='.length;
/** Octets that stand for themselves in the Q encoding of a phrase. */
const PLAIN = new Uint8Array(256);
for (const character of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!*+-/_') PLAIN[character.charCodeAt(0)] = 1;
const UNDERSCORE = 0x5f;
const SPACE = 0x20;

/** The encoding in which this text comes out shorter. */
export function wordKind(text: string): 'q' | 'b' {
  const octets = Buffer.from(text, 'utf8');
  let q = 0;
  for (const octet of octets) q += qWidth(octet);
  return q <= Math.ceil(octets.length / 3) * 4 ? 'q' : 'b';
}

/**
 * The first encoded word of `text`, with as much of it as fits into `room` characters (at least one character in any case),
 * and how many UTF-16 units that took. Half surrogates come out as U+FFFD.
 */
export function nextWord(text: string, kind: 'q' | 'b', room: number): { readonly word: string; readonly length: number } {
  const limit = Math.min(room, MAX_WORD) - OVERHEAD;
  const octets = Buffer.from(text, 'utf8');
  let length = 0;
  let width = 0;
  let at = 0;
  while (at < octets.length) {
    const size = octetsFrom(octets[at]!);
    let next = width;
    if (kind === 'b') next = Math.ceil((at + size) / 3) * 4;
    else for (let i = at; i < at + size; i++) next += qWidth(octets[i]!);
    if (at > 0 && next > limit) break;
    width = next;
    at += size;
    // What takes four octets in UTF-8 takes two units in UTF-16.
    length += size === 4 ? 2 : 1;
  }
  const piece = octets.subarray(0, at);
  return { word: `=?utf-8?${kind}?${kind === 'q' ? qEncoded(piece) : piece.toString('base64')}?=`, length };
}

/** Octets of the character that begins so. */
function octetsFrom(first: number): number {
  return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

function qWidth(octet: number): number {
  return (PLAIN[octet] === 1 && octet !== UNDERSCORE) || octet === SPACE ? 1 : 3;
}

function qEncoded(octets: Buffer): string {
  let out = '';
  for (const octet of octets) {
    if (octet === SPACE) out += '_';
    else if (qWidth(octet) === 1) out += String.fromCharCode(octet);
    else out += `=${octet.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

const WORD = /=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?\s]{0,900})\?=/g;
const BLANKS = /^[ \t\r\n]*$/;

/**
 * The text that a field's value shows, unfolded. Blanks between words are none of it; words of one character set that follow each
 * other are decoded together, for some writers divide characters. Controls that come out of a word become blanks.
 */
export function decodeWords(value: string): string {
  if (!value.includes('=?')) return value;
  let out = '';
  let end = 0;
  let octets: Buffer[] = [];
  let charset = '';
  const flush = () => {
    if (octets.length > 0) out += (findCharset(charset)?.decode(Buffer.concat(octets)) ?? '').replace(/\p{Cc}+/gu, ' ');
    octets = [];
  };
  for (const match of value.matchAll(WORD)) {
    const [whole, name, kind, data] = match as unknown as [string, string, string, string];
    const between = value.slice(end, match.index);
    const next = name.toLowerCase();
    if (findCharset(next) === undefined) continue;
    const follows = octets.length > 0 && BLANKS.test(between);
    if (!follows || next !== charset) flush();
    if (!follows) out += between;
    end = match.index + whole.length;
    charset = next;
    octets.push(kind.toLowerCase() === 'b' ? Buffer.from(data, 'base64') : fromQ(data));
  }
  flush();
  return out + value.slice(end);
}

function fromQ(data: string): Buffer {
  const text = data
    .replaceAll('_', ' ')
    .replace(/=([0-9A-Fa-f]{2})/g, (_whole: string, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(text, 'latin1');
}
