/**
 * Character sets: finding one by name, encoding without loss, and telling what cannot be encoded.
 *
 * Promises: what `encode` returns, `decode` turns back into the same text; text that cannot be told so is found by
 * `unencodable` first. Names that are no character sets (`base64`, `hex`) are not found. Pure.
 */
import { isAscii } from 'node:buffer';
import { createRequire } from 'node:module';
import type iconvLite from 'iconv-lite';

export interface Charset {
  /** As it stands in a Content-Type: the name that readers know, lower case. */
  readonly label: string;
  /** Every ASCII character is its own octet, and no other character holds one of `#`, CR or LF. */
  readonly asciiBased: boolean;
  /** CR and LF are octets of their own, as lines of mail have them. */
  readonly hasLines: boolean;
  /** What cannot be encoded becomes a question mark or its like. */
  encode(text: string): Buffer;
  /** What cannot be read becomes U+FFFD. */
  decode(octets: Uint8Array): string;
  /** The characters that cannot be encoded, each once, at most ten; empty if all can. */
  unencodable(text: string): readonly string[];
}

const MOST_NAMED = 10;
const NAME = /^[a-z0-9][a-z0-9._+-]{0,39}$/i;
/** Known to the library, but transformations, not character sets; or sets that mail does not know. */
const NO_CHARSETS = new Set(['base64', 'hex', 'binary', 'utf7imap', 'cesu8', 'unicode11utf8']);

/** Names as registered, for the ways in which people write them. `gb2312` is written as the superset that is encoded. */
const LABELS: Readonly<Record<string, string>> = {
  utf8: 'utf-8',
  ascii: 'us-ascii',
  usascii: 'us-ascii',
  '646': 'us-ascii',
  latin1: 'iso-8859-1',
  l1: 'iso-8859-1',
  cp819: 'iso-8859-1',
  sjis: 'shift_jis',
  shiftjis: 'shift_jis',
  mskanji: 'shift_jis',
  eucjp: 'euc-jp',
  euckr: 'euc-kr',
  gb2312: 'gbk',
  big5hkscs: 'big5-hkscs',
  koi8r: 'koi8-r',
  koi8u: 'koi8-u',
  utf16: 'utf-16',
  utf16le: 'utf-16le',
  ucs2: 'utf-16le',
  utf16be: 'utf-16be',
  utf32: 'utf-32',
  utf32le: 'utf-32le',
  utf32be: 'utf-32be',
  utf7: 'utf-7',
};

const PRINTABLE_ASCII = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('');

/** Halves of surrogate pairs, those of whole ones included: quicker to look for. */
const HALVES = /[\ud800-\udfff]/;

export const UTF_8: Charset = {
  label: 'utf-8',
  asciiBased: true,
  hasLines: true,
  encode: (text) => Buffer.from(text, 'utf8'),
  decode: (octets) => Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString('utf8'),
  unencodable: (text) => (HALVES.test(text) ? distinct(text.match(/\p{Cs}/gu) ?? []) : []),
};

const usAscii: Charset = {
  label: 'us-ascii',
  asciiBased: true,
  hasLines: true,
  encode: (text) => Buffer.from(text.replace(/[^\p{ASCII}]/gu, '?'), 'latin1'),
  decode: (octets) =>
    Buffer.from(octets)
      .toString('latin1')
      .replace(/[\u0080-\u00ff]/g, '\ufffd'),
  unencodable: (text) => distinct(text.match(/[^\p{ASCII}]/gu) ?? []),
};

let library: typeof iconvLite | undefined;

/** 5 MB of tables, for those who write in another character set. */
function loaded(): typeof iconvLite {
  library ??= createRequire(import.meta.url)('iconv-lite') as typeof iconvLite;
  return library;
}

const found = new Map<string, Charset | undefined>([
  ['utf8', UTF_8],
  ['utf-8', UTF_8],
  ['us-ascii', usAscii],
  ['ascii', usAscii],
]);
/** More names than this are not remembered: they may come from outside. */
const MOST_REMEMBERED = 500;

/** In any spelling that is in use, or undefined. */
export function findCharset(name: string): Charset | undefined {
  const key = name.toLowerCase();
  if (found.has(key)) return found.get(key);
  const charset = makeCharset(key);
  if (found.size < MOST_REMEMBERED) found.set(key, charset);
  return charset;
}

function makeCharset(name: string): Charset | undefined {
  const bare = name.replace(/[^a-z0-9]/g, '');
  if (!NAME.test(name) || NO_CHARSETS.has(bare)) return undefined;
  const label = LABELS[bare] ?? regularLabel(bare) ?? name;
  if (label === 'utf-8') return UTF_8;
  if (label === 'us-ascii') return usAscii;
  const iconv = loaded();
  if (!iconv.encodingExists(name)) return undefined;
  const encode = (text: string) => iconv.encode(text, name);
  const decode = (octets: Uint8Array) => iconv.decode(octets, name, { stripBOM: false });
  // A byte order mark is no part of the text.
  const read = (octets: Uint8Array) => decode(octets).replace(/^\ufeff/, '');
  const survives = (text: string) => read(encode(text)) === text;
  return {
    label,
    hasLines: encode('\r\n').equals(Buffer.from('\r\n')),
    asciiBased: encode(`${PRINTABLE_ASCII}\r\n`).equals(Buffer.from(`${PRINTABLE_ASCII}\r\n`)),
    encode,
    decode: read,
    unencodable(text) {
      if (survives(text)) return [];
      return distinct(Array.from(text).filter((character) => !survives(character)));
    },
  };
}

/** `iso88592` is iso-8859-2, `cp1252`, `win1252` and `windows1252` are windows-1252. */
function regularLabel(bare: string): string | undefined {
  const iso = /^iso8859(\d{1,2})$/.exec(bare)?.[1];
  if (iso !== undefined) return `iso-8859-${iso}`;
  const windows = /^(?:cp|win|windows)(125\d|874)$/.exec(bare)?.[1];
  return windows === undefined ? undefined : `windows-${windows}`;
}

function distinct(characters: readonly string[]): readonly string[] {
  return [...new Set(characters)].slice(0, MOST_NAMED);
}

/** `é (U+00E9), U+D800`: for people who must find them. */
export function nameCharacters(characters: readonly string[]): string {
  return characters
    .map((character) => {
      const code = `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;
      return /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character) ? `${character} (${code})` : code;
    })
    .join(', ');
}

/** ASCII in any character set that holds it: nothing needs encoding. */
export function isAsciiText(text: string): boolean {
  return ASCII.test(text);
}
const ASCII = /^[\0-\x7f]*$/;

export { isAscii };
