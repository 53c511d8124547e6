/**
 * SMTP replies as they arrive (RFC 5321 §4.2, RFC 2034 for enhanced codes).
 *
 * Promises: bounded memory; replies come out in the order in which they came in, however they were cut; whatever is not
 * a reply of one code from 200 to 599 comes out as `garbage`, and after garbage nothing comes out any more: what
 * follows cannot be told from the rest of it, and must never pass for a 250. Text never holds a control character
 * other than the `\n` between its lines.
 * Lenient in what is harmless: a bare LF ends a line, text need not be there (`250`), octets above 127 are read as UTF-8.
 */
import type { Reply } from './outcome.js';
import { printable } from './printable.js';

export interface Garbage {
  /** What came instead of a reply, made printable and cut short. */
  readonly garbage: string;
}

export interface ReplyParser {
  /** The replies that `chunk` completes. Keeps no reference to `chunk`. */
  push(chunk: Buffer): readonly (Reply | Garbage)[];
  /** Something has come in that is not yet a whole reply. */
  readonly partial: boolean;
}

export interface ReplyLimits {
  /** Longest line, line end included. RFC 5321 §4.5.3.1.5 says 512; there are longer ones. */
  readonly maxLineBytes?: number;
  /** Most lines of one reply. */
  readonly maxLines?: number;
}

/** Longest text kept of a reply, in octets. */
export const MAX_REPLY_TEXT = 4096;
const MAX_GARBAGE = 200;

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const HYPHEN = 0x2d;
const DOT = 0x2e;
const NOTHING: readonly never[] = [];

export function isGarbage(reply: Reply | Garbage): reply is Garbage {
  return 'garbage' in reply;
}

export function createReplyParser({ maxLineBytes = 4096, maxLines = 128 }: ReplyLimits = {}): ReplyParser {
  /** The beginning of a line whose end has not come. */
  let rest: Buffer | undefined;
  /** The reply under way: its code (0: none), its lines so far. */
  let code = 0;
  let lines: string[] = [];
  let kept = 0;
  let count = 0;
  let broken = false;

  const fail = (what: string): Garbage => {
    broken = true;
    rest = undefined;
    lines = [];
    return { garbage: what };
  };

  /** A line from `start` to `end`, without its line end. Returns what it completes, if it does. */
  const line = (bytes: Buffer, start: number, end: number): Reply | Garbage | undefined => {
    const found = codeAt(bytes, start, end);
    const separator = end > start + 3 ? bytes[start + 3]! : SPACE;
    if (found === 0 || (separator !== SPACE && separator !== HYPHEN)) return fail(readable(bytes, start, end, MAX_GARBAGE));
    if (code === 0 && separator === SPACE) return replyOf(found, readable(bytes, Math.min(start + 4, end), end, MAX_REPLY_TEXT));
    if (code !== 0 && found !== code) return fail(`${code} and ${found} in one reply: ${readable(bytes, start, end, MAX_GARBAGE)}`);
    if (++count > maxLines) return fail(`a reply of more than ${maxLines} lines`);
    code = found;
    if (kept < MAX_REPLY_TEXT) {
      const text = readable(bytes, Math.min(start + 4, end), end, MAX_REPLY_TEXT);
      lines.push(text);
      kept += text.length + 1;
    }
    if (separator === HYPHEN) return undefined;
    const reply = replyOf(code, cut(lines.join('\n'), MAX_REPLY_TEXT));
    code = kept = count = 0;
    lines = [];
    return reply;
  };

  return {
    get partial() {
      return !broken && (rest !== undefined || code !== 0);
    },

    push(chunk) {
      if (broken) return NOTHING;
      const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
      rest = undefined;
      let replies: (Reply | Garbage)[] | undefined;
      let start = 0;
      while (start < bytes.length) {
        const newline = bytes.indexOf(LF, start);
        const next = newline < 0 ? bytes.length : newline + 1;
        let got: Reply | Garbage | undefined;
        if (next - start > maxLineBytes) {
          got = fail(`a line of more than ${maxLineBytes} octets: ${readable(bytes, start, next, 40)}`);
        } else if (newline < 0) {
          rest = Buffer.from(bytes.subarray(start));
        } else {
          got = line(bytes, start, newline > start && bytes[newline - 1] === CR ? newline - 1 : newline);
        }
        if (got !== undefined) (replies ??= []).push(got);
        if (broken) break;
        start = next;
      }
      return replies ?? NOTHING;
    },
  };
}

/** 200 to 599, or 0. */
function codeAt(bytes: Buffer, start: number, end: number): number {
  if (end - start < 3) return 0;
  const hundreds = bytes[start]! - 0x30;
  const tens = bytes[start + 1]! - 0x30;
  const ones = bytes[start + 2]! - 0x30;
  if (hundreds < 2 || hundreds > 5 || tens < 0 || tens > 9 || ones < 0 || ones > 9) return 0;
  return hundreds * 100 + tens * 10 + ones;
}

function replyOf(code: number, text: string): Reply {
  const length = enhancedLength(code, text);
  return length === 0 ? { code, text } : { code, enhanced: text.slice(0, length), text };
}

/** Length of the enhanced code at the beginning of `text`, 0 where there is none of the code's own class. */
function enhancedLength(code: number, text: string): number {
  if (text.charCodeAt(1) !== DOT || text.charCodeAt(0) - 0x30 !== Math.floor(code / 100)) return 0;
  const subject = digitsEnd(text, 2);
  if (subject === 2 || text.charCodeAt(subject) !== DOT) return 0;
  const detail = digitsEnd(text, subject + 1);
  if (detail === subject + 1) return 0;
  const after = text.charCodeAt(detail);
  return detail === text.length || after === SPACE || after === LF ? detail : 0;
}

/** Behind at most three digits. */
function digitsEnd(text: string, start: number): number {
  let at = start;
  while (at < start + 3 && text.charCodeAt(at) >= 0x30 && text.charCodeAt(at) <= 0x39) at++;
  return at;
}

/** Text of some octets, at most `limit` octets of it, with control characters made visible. */
function readable(bytes: Buffer, start: number, end: number, limit: number): string {
  const stop = Math.min(end, start + limit);
  for (let at = start; at < stop; at++) {
    const octet = bytes[at]!;
    if (octet < SPACE || octet > 0x7e) return cut(printable(bytes.toString('utf8', start, Math.min(end, stop + 4))), limit);
  }
  return bytes.toString('latin1', start, stop);
}

/** At most `limit` octets of text, without a character cut in two. */
function cut(text: string, limit: number): string {
  if (Buffer.byteLength(text) <= limit) return text;
  return Buffer.from(text)
    .toString('utf8', 0, limit)
    .replace(/\ufffd$/, '');
}

/** Bounds of a wait that a remote may ask for. */
export const MIN_RETRY_AFTER_MS = 5_000;
export const MAX_RETRY_AFTER_MS = 4 * 3_600_000;

const MINUTE = 60_000;
const HOUR = 3_600_000;
// Words near which a wait is named, and three ways to name one. Every repetition is bounded: linear in the text.
const ASKED = /\b(?:again|retry|back|wait|later|gr[ae]y-?list|delay|deferred|throttled|blocked)[^\n]{0,64}/gi;
const CLOCK = /\b(?:in|after|for)\s(\d{1,2}):(\d\d)(?::(\d\d))?\b/i;
const SPAN = /((?<!\d)\d{1,6}|\b(?:an?|one))\s?(h|m|s|(?:hr|hour|min|minute|sec|second)s?)(?![a-z])/gi;
const BARE = /\b(?:in|after|for)[:\s]\s?(\d{1,6})(?![\d.:/-])/i;

/**
 * How long a reply asks to wait ("Greylisted, try again in 5 minutes", "come back in 00:04:57"), from 5 seconds to 4 hours.
 * Undefined where it names no time.
 */
export function retryAfterMs(text: string): number | undefined {
  for (const [asked] of text.matchAll(ASKED)) {
    const ms = waitIn(asked);
    if (ms !== undefined) return Math.min(Math.max(ms, MIN_RETRY_AFTER_MS), MAX_RETRY_AFTER_MS);
  }
  return undefined;
}

function waitIn(asked: string): number | undefined {
  const clock = CLOCK.exec(asked);
  if (clock) {
    const [first, second, third] = clock.slice(1).map(Number) as [number, number, number];
    return clock[3] === undefined ? first * MINUTE + second * 1000 : first * HOUR + second * MINUTE + third * 1000;
  }
  let sum: number | undefined;
  let end = 0;
  for (const { index, 0: all, 1: amount, 2: unit } of asked.matchAll(SPAN)) {
    // `1 hour and 5 minutes` is one wait, `5 minutes, at most 20 per hour` is not.
    if (sum !== undefined && index > end + ' and '.length) break;
    const each = { h: HOUR, m: MINUTE, s: 1000 }[unit!.charAt(0).toLowerCase()]!;
    sum = (sum ?? 0) + (Number(amount) || (/\d/.test(amount!) ? 0 : 1)) * each;
    end = index + all.length;
  }
  if (sum !== undefined) return sum;
  const bare = BARE.exec(asked);
  return bare ? Number(bare[1]) * 1000 : undefined;
}
