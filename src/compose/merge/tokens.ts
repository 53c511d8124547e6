/**
 * Tokens: the markers `#name#` in a text, the values that take their place, and merging of any text.
 *
 * Promises: one pass, linear in the text; a value is never looked at for further markers; only a map's own entries are values
 * (`#constructor#` is a name like others). A token without a value stays as it is, and its closing `#` may open the next one.
 */
import type { MergeValue, MergeValues, RawValue } from '../../core/message.js';
import { findCharset, nameCharacters } from '../charset.js';
import { errorOf, type Issues, put, word } from '../checks.js';
import { base64Lines, quotedPrintable, TRANSFER_ENCODINGS, type TransferEncoding, withCrlf } from '../transfer.js';

export type { RawValue };
export type TokenValue = MergeValue;
export type Tokens = MergeValues;

/** Marks a value as markup: it is not escaped in HTML. Elsewhere it makes no difference but in URLs. */
export function raw(value: string): RawValue {
  return { raw: value };
}

const NAME = /^[A-Za-z_][A-Za-z0-9_.-]*$/;

export function isTokenName(name: string): boolean {
  return NAME.test(name);
}

/** The marker for a value: `#name#`. */
export function token(name: string): string {
  if (typeof name === 'string' && isTokenName(name)) return `#${name}#`;
  throw errorOf([
    { path: 'name', code: 'INVALID_VALUE', message: 'must begin with a letter or _, and hold letters, digits and _ . - only' },
  ]);
}

export function textOf(value: TokenValue): string {
  return typeof value === 'string' ? value : value.raw;
}

/** Finds the value of a name. */
export type Lookup = (name: string) => TokenValue | undefined;

export function lookupIn(own: Tokens, defaults: Tokens): Lookup {
  return (name) => (Object.hasOwn(own, name) ? own[name] : Object.hasOwn(defaults, name) ? defaults[name] : undefined);
}

/** Where a marker may stand in a text. */
export interface Mark {
  readonly name: string;
  /** Of the opening `#`. */
  readonly start: number;
  /** Behind the closing `#`. */
  readonly end: number;
  /** Its opening `#` is the closing one of the mark before: at most one of the two is a token. */
  readonly shared: boolean;
}

const MARKS = /#([A-Za-z_][A-Za-z0-9_.-]*)(?=#)/g;

export function findMarks(text: string): Mark[] {
  const marks: Mark[] = [];
  let closing = -1;
  for (const match of text.matchAll(MARKS)) {
    const start = match.index;
    const end = start + match[0].length + 1;
    marks.push({ name: match[1]!, start, end, shared: start === closing });
    closing = end - 1;
  }
  return marks;
}

/** The marks that become values, and what they are. */
export interface Chosen {
  readonly mark: Mark;
  readonly value: TokenValue;
}

/** Leftmost first: where two marks share a `#`, the second is a token only if the first was none. */
export function chosen(marks: readonly Mark[], lookup: Lookup): Chosen[] {
  const found: Chosen[] = [];
  let taken = false;
  for (const mark of marks) {
    const value: TokenValue | undefined = taken && mark.shared ? undefined : lookup(mark.name);
    taken = value !== undefined;
    if (value !== undefined) found.push({ mark, value });
  }
  return found;
}

/** The text with what `written` makes of each value in its place. */
export function withValues(text: string, marks: readonly Mark[], lookup: Lookup, written: (value: TokenValue) => string): string {
  let out = '';
  let at = 0;
  for (const { mark, value } of chosen(marks, lookup)) {
    out += text.slice(at, mark.start) + written(value);
    at = mark.end;
  }
  return out + text.slice(at);
}

export interface MergeOptions {
  /** Values must fit into it; with a transfer encoding they are encoded in it. Default: UTF-8. */
  readonly charset?: string | undefined;
  /** Of the data, which is taken to be encoded in it already: values are encoded in it before they are put in. */
  readonly transferEncoding?: string | undefined;
}

/**
 * Any text with its tokens replaced. Pure. Throws `MtaError`: `UNENCODABLE`, naming the characters that do not fit the character set,
 * and `INVALID_OPTIONS`.
 */
export function merge(data: string, tokens: Tokens, options: MergeOptions = {}): string {
  const issues: Issues = [];
  if (typeof data !== 'string') put(issues, 'data', 'WRONG_TYPE', 'must be a string');
  if (typeof tokens !== 'object' || tokens === null) put(issues, 'tokens', 'WRONG_TYPE', 'must be a map from names to values');
  const charset = findCharset(String(options.charset ?? 'utf-8'));
  if (charset === undefined) put(issues, 'charset', 'UNKNOWN_CHARSET', 'is not a character set that is known here');
  const given = options.transferEncoding;
  const encoding = given === undefined ? undefined : word(given, TRANSFER_ENCODINGS, 'transferEncoding', issues);
  if (charset === undefined || issues.length > 0) throw errorOf(issues);
  const marks = findMarks(data);
  const lookup = lookupIn(tokens, {});
  const values: readonly Chosen[] = chosen(marks, lookup);
  for (const { mark, value } of values) checkValue(value, mark.name, issues);
  if (issues.length > 0) throw errorOf(issues);
  for (const { mark, value } of values) {
    const lost = charset.unencodable(textOf(value));
    if (lost.length > 0) put(issues, mark.name, 'UNENCODABLE', `${charset.label} has no ${nameCharacters(lost)}`);
    if (encoding === '7bit' && !/^[\0-\x7f]*$/.test(textOf(value)))
      put(issues, mark.name, 'UNENCODABLE', '7bit cannot carry what is not ASCII');
  }
  if (issues.length > 0) throw errorOf(issues);
  const merged = withValues(data, marks, lookup, (value) => encoded(textOf(value), charset.encode, encoding));
  return encoding === 'quoted-printable' ? withSoftBreaks(merged) : merged;
}

/** Puts an issue for what is no value. */
export function checkValue(value: unknown, path: string, issues: Issues): boolean {
  const fit = typeof value === 'string' || (typeof value === 'object' && value !== null && typeof (value as RawValue).raw === 'string');
  if (!fit) put(issues, path, 'WRONG_TYPE', 'must be a string, or one wrapped by raw()');
  return fit;
}

function encoded(text: string, encode: (text: string) => Buffer, encoding: TransferEncoding | undefined): string {
  switch (encoding) {
    case 'quoted-printable':
      return quotedPrintable(encode(withCrlf(text))).toString('latin1');
    case 'base64':
      return base64Lines(encode(withCrlf(text))).toString('latin1');
    default:
      return text;
  }
}

const QUOTED_LINE = 76;

/** Lines of quoted-printable that became too long, broken softly; no escape is divided. */
function withSoftBreaks(text: string): string {
  return text.split('\r\n').map(broken).join('\r\n');
}

function broken(line: string): string {
  let out = '';
  let at = 0;
  while (line.length - at > QUOTED_LINE) {
    let end = at + QUOTED_LINE - 1;
    for (const back of [1, 2]) if (line[end - back] === '=') end -= back;
    out += `${line.slice(at, end)}=\r\n`;
    at = end;
  }
  return out + line.slice(at);
}
