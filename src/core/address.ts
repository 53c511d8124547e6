/**
 * Mail addresses as SMTP writes them (RFC 5321 §4.1.2, with RFC 6531 for what is not ASCII).
 *
 * Promises: one pass, time linear in the input, no recursion. What is returned holds no control character in any
 * form (C0, DEL, C1, U+2028, U+2029), no half surrogate and nothing that turns the direction of text, so it can stand
 * in a command, a header or a line of a log. Domains come out as lower case A-labels, never as Unicode; address literals
 * in one spelling. Fault texts are ours and never repeat the input.
 *
 * Stricter than some peers: no `a..b@`, no final dot, no all-digit top label (`user@1.2.3.4` must be written
 * `user@[1.2.3.4]`). More lenient in one thing: underscores in domains, which exist.
 */
import { domainToASCII } from 'node:url';
import { MtaError } from './errors.js';

/** Limits of RFC 5321 §4.5.3.1, in octets; 254 is what a path of 256 leaves between its brackets. */
export const MAX_LOCAL_PART = 64;
export const MAX_ADDRESS = 254;
/** RFC 1035: 255 octets on the wire leave 253 for the text. */
export const MAX_DOMAIN = 253;
const MAX_LABEL = 63;

export interface Mailbox {
  readonly kind: 'mailbox';
  /** Local part as it was written, `@`, domain normalised. At most 254 octets. */
  readonly address: string;
  /** What the local part says, without quotes and backslashes. */
  readonly localPart: string;
  /** Lower case A-labels, or a literal: `[192.0.2.1]`, `[IPv6:2001:db8::1]`. */
  readonly domain: string;
  /** The local part is not ASCII: only SMTPUTF8 can carry it. */
  readonly utf8: boolean;
}

export type Path =
  | Mailbox
  /** `<>`: the null sender. No recipient can be this. */
  | { readonly kind: 'null' }
  /** `<Postmaster>` (RFC 5321 §4.5.1), a recipient whose domain the caller gives: `formatAddress(localPart, domain)`. */
  | { readonly kind: 'postmaster'; readonly localPart: string };

export interface AddressFault {
  readonly kind: 'fault';
  readonly reason: 'syntax' | 'tooLong' | 'domain' | 'literal';
  /** One plain line, fit for a reply. */
  readonly text: string;
}

// Classes of ASCII characters, as bits. What is above is judged at once for the whole path, by UNSAFE.
const ATEXT = 1;
const LABEL = 2;
const CLASSES = new Uint8Array(128);
for (const character of 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789') CLASSES[character.charCodeAt(0)] = ATEXT | LABEL;
for (const character of "!#$%&'*+/=?^`{|}~") CLASSES[character.charCodeAt(0)] = ATEXT;
for (const character of '-_') CLASSES[character.charCodeAt(0)] = ATEXT | LABEL;

/** What no address may hold: controls, halves of surrogates, line separators, turns of direction, marks of broken decoding. */
const UNSAFE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Noncharacter_Code_Point}\u{feff}\u{fffd}]/u;

const QUOTE = 0x22;
const DOT = 0x2e;
const AT = 0x40;
const BACKSLASH = 0x5c;

const faults = {
  empty: { kind: 'fault', reason: 'syntax', text: 'there is no address' },
  localPart: { kind: 'fault', reason: 'syntax', text: 'the part before the @ cannot be read' },
  noDomain: { kind: 'fault', reason: 'syntax', text: 'the domain is missing' },
  domain: { kind: 'fault', reason: 'domain', text: 'that is not a domain name' },
  literal: { kind: 'fault', reason: 'literal', text: 'that is not an IPv4 or IPv6 address literal' },
  bracket: { kind: 'fault', reason: 'syntax', text: 'the closing > is missing' },
  route: { kind: 'fault', reason: 'syntax', text: 'the source route cannot be read' },
  unsafe: { kind: 'fault', reason: 'syntax', text: 'the address contains a character that no address may contain' },
  rest: { kind: 'fault', reason: 'syntax', text: 'something follows the address' },
  longLocalPart: { kind: 'fault', reason: 'tooLong', text: `the part before the @ is longer than ${MAX_LOCAL_PART} octets` },
  longAddress: { kind: 'fault', reason: 'tooLong', text: `the address is longer than ${MAX_ADDRESS} octets` },
} as const satisfies Record<string, AddressFault>;

/**
 * The path that is all of `text`: `<a@example.com>`, `<>`, `<@relay.example:a@example.com>` (the route is dropped),
 * or the same without brackets: `a@example.com`, `postmaster`.
 */
export function parsePath(text: string): Path | AddressFault {
  const read = readPath(text, 0);
  if ('kind' in read) return read;
  return read.end === text.length ? read.path : faults.rest;
}

/** The path that begins at `start`, and where it ends: in a command its parameters follow there, after a space. */
export function readPath(text: string, start: number): { readonly path: Path; readonly end: number } | AddressFault {
  let at = start;
  const bracketed = text.charCodeAt(at) === 0x3c;
  if (bracketed) {
    at++;
    if (text.charCodeAt(at) === 0x3e) return { path: { kind: 'null' }, end: at + 1 };
    if (text.charCodeAt(at) === AT) {
      at = routeEnd(text, at);
      if (at < 0) return faults.route;
    }
  }
  const read = readMailbox(text, at);
  if ('kind' in read) return read;
  let end = read.end;
  if (bracketed && text.charCodeAt(end++) !== 0x3e) return faults.bracket;
  if (!isAscii(text, start, end) && UNSAFE.test(text.slice(start, end))) return faults.unsafe;
  return { path: read.path, end };
}

/**
 * `localPart@domain` with quotes exactly where they are needed. `localPart` is what it says, not how it was written.
 * Throws `INVALID_ADDRESS` where `parsePath` would not read the result.
 */
export function formatAddress(localPart: string, domain: string): string {
  const plain = localPart !== '' && dotStringEnd(localPart, 0) === localPart.length;
  const path = parsePath(`${plain ? localPart : `"${localPart.replace(/["\\]/g, '\\$&')}"`}@${domain}`);
  if (path.kind === 'mailbox') return path.address;
  throw new MtaError('INVALID_ADDRESS', path.kind === 'fault' ? path.text : faults.noDomain.text);
}

/** What follows the last `@`; `''` for the null sender. */
export function domainOf(address: string): string {
  const at = address.lastIndexOf('@');
  return at < 0 ? '' : address.slice(at + 1);
}

/** One spelling for every way to write a mailbox: a key for comparing. What cannot be read is returned as it is. */
export function canonicalAddress(address: string): string {
  const path = parsePath(address);
  if (path.kind !== 'mailbox') return address;
  return path.address.charCodeAt(0) === QUOTE ? formatAddress(path.localPart, path.domain) : path.address;
}

/** The same local part, letter case included (RFC 5321 §2.4), at the same domain. */
export function sameMailbox(a: string, b: string): boolean {
  return a === b || canonicalAddress(a) === canonicalAddress(b);
}

/** Lower case A-labels, or undefined for what is not a domain name. Takes U-labels, no literals, no final dot. */
export function normalizeDomain(text: string): string | undefined {
  if (text.length > 1000) return undefined;
  if (isAscii(text, 0, text.length)) return asciiDomain(text);
  // Only what a domain may hold is let through to the mapping: it would decode percent signs, too.
  if (domainEnd(text, 0) !== text.length || UNSAFE.test(text)) return undefined;
  return asciiDomain(domainToASCII(text));
}

/** The address in an address literal (`[192.0.2.1]`, `[IPv6:2001:db8::1]`), or undefined for a domain name. */
export function literalAddress(domain: string): string | undefined {
  if (domain.charCodeAt(0) !== 0x5b) return undefined;
  return domain.startsWith('[IPv6:') ? domain.slice(6, -1) : domain.slice(1, -1);
}

// — scanning: each takes the text and where to begin, and returns where what it reads ends —

function readMailbox(text: string, start: number): { readonly path: Path; readonly end: number } | AddressFault {
  const quoted = text.charCodeAt(start) === QUOTE;
  const at = quoted ? quotedStringEnd(text, start) : dotStringEnd(text, start);
  if (at <= start) return start >= text.length ? faults.empty : faults.localPart;
  const written = text.slice(start, at);
  const utf8 = !isAscii(written, 0, written.length);
  if ((utf8 ? Buffer.byteLength(written) : written.length) > MAX_LOCAL_PART) return faults.longLocalPart;
  if (text.charCodeAt(at) !== AT) {
    const next = text.charCodeAt(at);
    const ended = at === text.length || next === 0x3e || next === 0x20;
    if (ended && written.toLowerCase() === 'postmaster') return { path: { kind: 'postmaster', localPart: written }, end: at };
    return ended ? faults.noDomain : faults.localPart;
  }
  const literal = text.charCodeAt(at + 1) === 0x5b;
  const end = literal ? literalEnd(text, at + 1) : domainEnd(text, at + 1);
  const domain = literal ? normalizeLiteral(text.slice(at + 1, end)) : normalizeDomain(text.slice(at + 1, end));
  if (domain === undefined) return literal ? faults.literal : end === at + 1 ? faults.noDomain : faults.domain;
  const address = `${written}@${domain}`;
  if ((utf8 ? Buffer.byteLength(address) : address.length) > MAX_ADDRESS) return faults.longAddress;
  const localPart = quoted ? written.slice(1, -1).replace(/\\(.)/gsu, '$1') : written;
  return { path: { kind: 'mailbox', address, localPart, domain, utf8 }, end };
}

/** Dot-string: atoms with single dots between them. Returns `start` where there is none. */
function dotStringEnd(text: string, start: number): number {
  let at = start;
  for (;;) {
    const atom = at;
    while (is(ATEXT, text.charCodeAt(at))) at++;
    if (at === atom) return start;
    if (text.charCodeAt(at) !== DOT) return at;
    at++;
  }
}

/** Quoted-string with its quotes. Returns -1 where it does not end, or holds what it may not. */
function quotedStringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    let code = text.charCodeAt(at);
    if (code === QUOTE) return at + 1;
    if (code === BACKSLASH) {
      code = text.charCodeAt(++at);
      if (!(code < 0x7f)) return -1;
    }
    if (code < 0x20 || code === 0x7f) return -1;
  }
  return -1;
}

/** As far as characters of a domain go; whether it is one, `normalizeDomain` says. */
function domainEnd(text: string, start: number): number {
  let at = start;
  for (; ; at++) {
    const code = text.charCodeAt(at);
    if (code !== DOT && !is(LABEL, code)) return at;
  }
}

/** Behind the closing bracket, or where the longest possible literal would have ended. */
function literalEnd(text: string, start: number): number {
  const longest = Math.min(text.length, start + '[IPv6:]'.length + 45);
  let at = start;
  while (at < longest && text.charCodeAt(at) !== 0x5d) at++;
  return Math.min(at + 1, longest);
}

/** `@one,@two:` (RFC 5321 §4.1.2, A-d-l). Returns where the mailbox begins, or -1. */
function routeEnd(text: string, start: number): number {
  let at = start;
  for (;;) {
    if (text.charCodeAt(at) !== AT) return -1;
    const end = domainEnd(text, at + 1);
    if (end === at + 1) return -1;
    const next = text.charCodeAt(end);
    if (next === 0x3a) return end + 1;
    if (next !== 0x2c) return -1;
    at = end + 1;
  }
}

/** False for NaN, which is what `charCodeAt` gives at the end. */
function is(bits: number, code: number): boolean {
  return code < 128 ? (CLASSES[code]! & bits) !== 0 : code >= 128;
}

function isAscii(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (text.charCodeAt(at) > 127) return false;
  return true;
}

function asciiDomain(text: string): string | undefined {
  if (text.length === 0 || text.length > MAX_DOMAIN) return undefined;
  let label = 0;
  let digitsOnly = true;
  for (let at = 0; at <= text.length; at++) {
    const code = at < text.length ? text.charCodeAt(at) : DOT;
    if (code === DOT) {
      const length = at - label;
      if (length === 0 || length > MAX_LABEL || text.charCodeAt(label) === 0x2d || text.charCodeAt(at - 1) === 0x2d) return undefined;
      if (at === text.length) break;
      label = at + 1;
      digitsOnly = true;
    } else {
      if (!is(LABEL, code)) return undefined;
      if (code < 0x30 || code > 0x39) digitsOnly = false;
    }
  }
  return digitsOnly ? undefined : text.toLowerCase();
}

/** With its brackets, in one spelling. Other kinds than IPv4 and IPv6 (RFC 5321 §4.1.3) lead nowhere: undefined. */
function normalizeLiteral(text: string): string | undefined {
  if (!text.endsWith(']')) return undefined;
  const six = /^\[IPv6:([0-9a-f:.]{2,45})\]$/i.exec(text)?.[1];
  if (six !== undefined) {
    try {
      return `[IPv6:${new URL(`http://[${six}]/`).hostname.slice(1, -1)}]`;
    } catch {
      return undefined;
    }
  }
  // No leading zeros: some readers take them for octal.
  return /^\[(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?=\d)|(?=\]))){4}\]$/.test(text) ? text : undefined;
}
