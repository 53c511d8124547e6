/**
 * Checks that every option passes before anything is made of it, and the one error that tells of all that is wrong.
 *
 * Promises: no text with a control character or a line separator gets past `line`; a check that fails puts an issue with path, code
 * and message, and returns undefined. Messages never repeat what was given; paths name options that there are not, made safe to show.
 */
import { type ErrorCode, type Issue, MtaError } from '../core/errors.js';
import { nearest } from '../core/nearest.js';
import { printable } from '../core/printable.js';

/** Codes of issues. Those that are codes of errors too name the whole error where all issues have them. */
export type IssueCode =
  | 'MISSING_FIELD'
  | 'UNKNOWN_FIELD'
  | 'WRONG_TYPE'
  | 'OUT_OF_RANGE'
  | 'CONFLICT'
  | 'DUPLICATE'
  | 'UNREADABLE'
  | 'UNKNOWN_CHARSET'
  | 'INVALID_VALUE'
  | 'INVALID_ADDRESS'
  | 'HEADER_INJECTION'
  | 'UNENCODABLE'
  | 'MESSAGE_TOO_LARGE'
  | 'STREAM_CONSUMED';

const ALSO_ERRORS: ReadonlySet<string> = new Set<ErrorCode & IssueCode>([
  'INVALID_ADDRESS',
  'HEADER_INJECTION',
  'UNENCODABLE',
  'MESSAGE_TOO_LARGE',
  'STREAM_CONSUMED',
]);

/** Where issues are put. */
export type Issues = Issue[];

export function put(issues: Issues, path: string, code: IssueCode, message: string): undefined {
  issues.push({ path, code, message });
}

/** One error for all of them. Its code is that of the issues where they share one that is an error's too, else `INVALID_OPTIONS`. */
export function errorOf(issues: Issues, cause?: unknown): MtaError {
  const [first] = issues;
  const same = first !== undefined && ALSO_ERRORS.has(first.code) && issues.every((issue) => issue.code === first.code);
  const code = same ? (first.code as ErrorCode) : 'INVALID_OPTIONS';
  const message = issues.map((issue) => `${issue.path}: ${issue.message}`).join('; ');
  return new MtaError(code, message, { issues, cause });
}

/** Nothing of this may stand in a header field, whatever would become of it there. */
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]/u;
const HALF = /\p{Cs}/u;

/** Whether text can go into a header: it holds no control character, line separator or half surrogate. */
export function isLine(text: string, path: string, issues: Issues): boolean {
  const found = CONTROL.exec(text) ?? HALF.exec(text);
  if (found === null) return true;
  const name = `U+${found[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
  const half = HALF.test(found[0]);
  const what = half ? 'is half of a surrogate pair' : 'is a control character or line separator, and cannot be part of a header';
  put(issues, path, half ? 'UNENCODABLE' : 'HEADER_INJECTION', `character ${found.index + 1} (${name}) ${what}`);
  return false;
}

/** Text for a header. */
export function line(value: unknown, path: string, issues: Issues): string | undefined {
  const text = string(value, path, issues);
  return text !== undefined && isLine(text, path, issues) ? text : undefined;
}

export function string(value: unknown, path: string, issues: Issues): string | undefined {
  return typeof value === 'string' ? value : put(issues, path, 'WRONG_TYPE', 'must be a string');
}

export function boolean(value: unknown, path: string, issues: Issues): boolean | undefined {
  return typeof value === 'boolean' ? value : put(issues, path, 'WRONG_TYPE', 'must be true or false');
}

/** One of a few words, in any letter case. */
export function word<W extends string>(value: unknown, words: readonly W[], path: string, issues: Issues): W | undefined {
  const text = line(value, path, issues);
  if (text === undefined) return undefined;
  return words.find((one) => one === text.toLowerCase()) ?? put(issues, path, 'INVALID_VALUE', `must be one of ${words.join(', ')}`);
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Of a name that somebody made up, and that an issue must tell: as much as fits, on one line. */
const LONGEST_NAME = 100;

export function shownName(name: string): string {
  return printable(name.slice(0, LONGEST_NAME));
}

/** What nodemailer calls the same thing, whose users write it first. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  text: 'body',
  filename: 'name',
  content: 'data',
  headers: 'extraMIMEHeaders',
  icalEvent: 'calendar',
  list: 'listUnsubscribe',
  alternatives: 'parts',
  raw: 'data',
  encoding: 'transferEncoding',
  textEncoding: 'transferEncoding',
  secure: 'ssl',
  requireTLSExtensionEnabled: 'requireTls',
};

/** No other names than these; what is undefined counts as not given. */
export function onlyKnown(given: object, known: readonly string[], path: string, issues: Issues): void {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || known.includes(name)) continue;
    const meant = known.find((one) => one === ELSEWHERE[name]) ?? (name.length > LONGEST_NAME ? undefined : nearest(name, known));
    const instead = meant === undefined ? `there are: ${known.join(', ')}` : `did you mean ${meant}?`;
    put(issues, path === '' ? shownName(name) : `${path}.${shownName(name)}`, 'UNKNOWN_FIELD', `there is no such option; ${instead}`);
  }
}
