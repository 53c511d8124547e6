/**
 * Lists of mailboxes as people and headers write them (RFC 5322 §3.4, with RFC 6532 for what is not ASCII):
 * `Joe <joe@example.com>, "Smith, Ann" <ann@example.com>, Team: a@example.com, b@example.com;`
 *
 * Promises: one pass, time linear in the input, no recursion. A mailbox comes out only where an address stands between commas,
 * in angle brackets or alone; quoted text, comments and names never become one. What can be read in two ways is a fault that
 * says where and why; fault texts never repeat the input.
 *
 * Stricter than RFC 5322: no source routes, no blanks within a local part or domain, no nested groups, no final dots, no
 * invisible characters in an address, and a name that holds an `@` or a comma must stand in quotes. Semicolons end groups and
 * separate nothing. More lenient in one thing: empty elements (`a@x.example,,`) are passed over, as the obsolete syntax has them.
 */
import { parsePath } from './address.js';

export interface Listed {
  /** As it is shown: quotes and escapes taken away, `''` where none was written. */
  readonly name: string;
  /** For the envelope: the local part as written, the domain in A-labels. */
  readonly address: string;
  /** The local part is not ASCII: only SMTPUTF8 can carry it. */
  readonly utf8: boolean;
}

export interface ListFault {
  readonly kind: 'fault';
  /** Offset into the text, in UTF-16 units. */
  readonly at: number;
  /** One plain line. */
  readonly text: string;
}

/** Comments nested deeper than this are refused. */
export const MAX_COMMENT_DEPTH = 20;

/** Every mailbox of the list, those of groups included, in order. */
export function parseAddressList(text: string): readonly Listed[] | ListFault {
  const control = CONTROL.exec(text);
  if (control !== null) return { kind: 'fault', at: control.index, text: 'a control character cannot be part of an address list' };
  try {
    return readList({ text, at: 0 });
  } catch (error) {
    if (error instanceof Unreadable) return { kind: 'fault', at: error.at, text: error.message };
    throw error;
  }
}

const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u;
/** What looks like nothing: pasted along with an address, it would make another one. */
const INVISIBLE = /[\p{Z}\u{ad}\u{180e}\u{200b}-\u{200d}\u{2060}]/u;
const SPECIALS = new Set('()<>[]:;@\\,"');

/** Where reading is. */
interface Cursor {
  readonly text: string;
  at: number;
}

class Unreadable extends Error {
  readonly at: number;

  constructor(at: number, text: string) {
    super(text);
    this.at = at;
  }
}

interface Word {
  /** As written, quotes included. */
  readonly written: string;
  /** As shown. */
  readonly shown: string;
  /** Something stood between it and the word before. */
  readonly apart: boolean;
  readonly at: number;
}

function readList(cursor: Cursor): Listed[] {
  const found: Listed[] = [];
  let group = -1;
  for (;;) {
    skipBlanks(cursor);
    const next = cursor.text[cursor.at];
    if (next === undefined) break;
    if (next === ',') {
      cursor.at++;
    } else if (next === ';' && group >= 0) {
      group = -1;
      cursor.at++;
      endOfElement(cursor, false);
    } else if (readElement(cursor, found)) {
      endOfElement(cursor, group >= 0);
    } else {
      if (group >= 0) throw new Unreadable(cursor.at, 'a group cannot stand within a group');
      group = cursor.at++;
    }
  }
  if (group >= 0) throw new Unreadable(group, 'the group that begins here is not ended by a semicolon');
  return found;
}

/** A mailbox, put into `found`; or, if false, the name of a group, with the cursor on its colon. */
function readElement(cursor: Cursor, found: Listed[]): boolean {
  const start = cursor.at;
  const words = readWords(cursor);
  switch (cursor.text[cursor.at]) {
    case '@':
      if (words.length === 0) throw new Unreadable(cursor.at, 'there is nothing before the @');
      if (words.length > 1) throw new Unreadable(start, 'a name that contains an @ must stand in quotes, and an address has no blanks');
      found.push(readAddress(cursor, words[0]!, ''));
      return true;
    case '<':
      cursor.at++;
      found.push(readBracketed(cursor, shownName(words)));
      return true;
    case ':':
      if (words.length === 0) throw new Unreadable(cursor.at, 'the group has no name');
      return false;
    case undefined:
    case ',':
      throw new Unreadable(start, 'a name without an address (a name that contains a comma must stand in quotes)');
    case ';':
      throw new Unreadable(cursor.at, 'addresses are separated by commas, not by semicolons');
    default:
      throw new Unreadable(cursor.at, 'this character can stand only in quotes');
  }
}

function readBracketed(cursor: Cursor, name: string): Listed {
  skipBlanks(cursor);
  const next = cursor.text[cursor.at];
  if (next === '@') throw new Unreadable(cursor.at, 'source routes are not taken');
  const words = readWords(cursor);
  if (words.length !== 1 || cursor.text[cursor.at] !== '@') {
    throw new Unreadable(cursor.at, words.length === 0 ? 'there is no address between < and >' : 'that is no address between < and >');
  }
  const listed = readAddress(cursor, words[0]!, name);
  if (cursor.text[cursor.at] !== '>') throw new Unreadable(cursor.at, 'the closing > is missing');
  cursor.at++;
  return listed;
}

/** From the @ on; comments and blanks may stand around it and behind (RFC 5322 §3.4.1). */
function readAddress(cursor: Cursor, local: Word, name: string): Listed {
  cursor.at++;
  skipBlanks(cursor);
  const { text } = cursor;
  const start = cursor.at;
  if (text[start] === '[') {
    const end = text.indexOf(']', start);
    cursor.at = end < 0 ? text.length : end + 1;
  } else {
    skipAtom(cursor);
  }
  const domain = text.slice(start, cursor.at);
  if (INVISIBLE.test(domain) || (local.written[0] !== '"' && INVISIBLE.test(local.written)))
    throw new Unreadable(local.at, 'the address contains an invisible character');
  const path = parsePath(`${local.written}@${domain}`);
  if (path.kind !== 'mailbox') throw new Unreadable(local.at, path.kind === 'fault' ? path.text : 'the domain is missing');
  skipBlanks(cursor);
  return { name, address: path.address, utf8: path.utf8 };
}

function endOfElement(cursor: Cursor, inGroup: boolean): void {
  skipBlanks(cursor);
  const next = cursor.text[cursor.at];
  if (next === undefined || next === ',' || (next === ';' && inGroup)) return;
  if (next === '<') throw new Unreadable(cursor.at, 'a name that contains an @ must stand in quotes');
  if (next === ';') throw new Unreadable(cursor.at, 'addresses are separated by commas, not by semicolons');
  throw new Unreadable(cursor.at, 'a comma is missing before this');
}

/** Atoms, with the dots in and between them, and quoted strings. */
function readWords(cursor: Cursor): Word[] {
  const words: Word[] = [];
  for (;;) {
    const before = cursor.at;
    skipBlanks(cursor);
    const at = cursor.at;
    const quoted = cursor.text[at] === '"';
    const shown = quoted ? readQuoted(cursor) : undefined;
    if (!quoted) skipAtom(cursor);
    if (cursor.at === at) return words;
    const written = cursor.text.slice(at, cursor.at);
    words.push({ written, shown: shown ?? written, apart: at > before, at });
  }
}

function shownName(words: readonly Word[]): string {
  let name = '';
  for (const { shown, apart } of words) name += apart && name !== '' ? ` ${shown}` : shown;
  return name;
}

/** As far as no blank and no special character comes. */
function skipAtom(cursor: Cursor): void {
  const { text } = cursor;
  while (cursor.at < text.length && text[cursor.at] !== ' ' && !SPECIALS.has(text[cursor.at]!)) cursor.at++;
}

function readQuoted(cursor: Cursor): string {
  const { text } = cursor;
  const start = cursor.at++;
  let shown = '';
  let from = cursor.at;
  for (; cursor.at < text.length; cursor.at++) {
    if (text[cursor.at] === '"') {
      shown += text.slice(from, cursor.at++);
      return shown;
    }
    if (text[cursor.at] === '\\') {
      shown += text.slice(from, cursor.at++);
      from = cursor.at;
    }
  }
  throw new Unreadable(start, 'the quoted text that begins here does not end');
}

/** Blanks and comments (RFC 5322 §3.2.2). */
function skipBlanks(cursor: Cursor): void {
  const { text } = cursor;
  let depth = 0;
  let start = cursor.at;
  for (; cursor.at < text.length; cursor.at++) {
    const character = text[cursor.at];
    if (character === '(') {
      if (depth === 0) start = cursor.at;
      if (++depth > MAX_COMMENT_DEPTH) throw new Unreadable(cursor.at, 'comments are nested too deep');
    } else if (depth > 0) {
      if (character === ')') depth--;
      else if (character === '\\') cursor.at++;
    } else if (character !== ' ') {
      return;
    }
  }
  if (depth > 0) throw new Unreadable(start, 'the comment that begins here does not end');
}
