/**
 * What the content of a message is made of, in the order in which it was given: texts, pages with images, invitations, attachments, parts
 * that are MIME already. Read and checked here; nothing is opened.
 */
import { type Attached, type AttachedImage, type AttachedPart, isNested, type Nested, readFilePath, readImages } from './attachments.js';
import { type Issues, isObject, onlyKnown, put, string } from './checks.js';
import type { Origin } from './origin.js';
import { withCrlf } from './transfer.js';

/** Text, or a file that holds some in UTF-8. */
export type TextSource = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'file'; readonly origin: Origin };

export type Piece =
  | { readonly kind: 'text'; readonly at: string; readonly source: TextSource }
  | { readonly kind: 'html'; readonly at: string; readonly source: TextSource; readonly images: readonly (AttachedImage | AttachedPart)[] }
  | { readonly kind: 'calendar'; readonly at: string; readonly text: string; readonly method: string | undefined }
  | { readonly kind: 'attached'; readonly attached: Attached }
  | { readonly kind: 'raw'; readonly octets: Buffer };

/** A part that is composed, or formatted as MIME already. */
export type PartInput = Nested | string | Uint8Array | { readonly data: Nested | string | Uint8Array };

/** An invitation: iCalendar text. */
export type CalendarInput =
  | string
  | {
      readonly data: string;
      /** RFC 5546, `REQUEST` and its like. Default: what the data says in its METHOD line. */
      readonly method?: string | undefined;
    };

/** `{data}` or `{path}`, as the methods that add texts take them. */
export interface TextInput {
  readonly data?: string | undefined;
  /** A file with text in UTF-8. */
  readonly path?: string | undefined;
}

/** Text handed in as `{data}` or `{path}`. */
export function readTextSource(given: Readonly<Record<string, unknown>>, path: string, issues: Issues): TextSource | undefined {
  const { data, path: file } = given;
  if ((data === undefined) === (file === undefined)) return put(issues, path, 'MISSING_FIELD', 'needs either data or path');
  if (data !== undefined) {
    const text = string(data, `${path}.data`, issues);
    return text === undefined ? undefined : { kind: 'text', text };
  }
  const origin = readFilePath(file, `${path}.path`, issues);
  return origin === undefined ? undefined : { kind: 'file', origin };
}

export function readTextPart(given: unknown, path: string, issues: Issues): Piece | undefined {
  if (!isObject(given)) return put(issues, path, 'WRONG_TYPE', 'must be an object with data or path');
  onlyKnown(given, ['data', 'path'], path, issues);
  const source = readTextSource(given, path, issues);
  return source && { kind: 'text', at: path, source };
}

export function readHtmlPart(given: unknown, path: string, issues: Issues): Piece | undefined {
  if (!isObject(given)) return put(issues, path, 'WRONG_TYPE', 'must be an object with data or path');
  onlyKnown(given, ['data', 'path', 'images'], path, issues);
  const source = readTextSource(given, path, issues);
  const images = given['images'] === undefined ? [] : readImages(given['images'], `${path}.images`, issues);
  return source && { kind: 'html', at: path, source, images };
}

const FIRST_LINE = /^(?:[!-9;-~]+[ \t]*:|\r?\n)/;

export function readPart(given: unknown, path: string, issues: Issues): Piece | undefined {
  if (isNested(given)) return { kind: 'attached', attached: { kind: 'part', at: path, part: given } };
  if (isObject(given) && !(given instanceof Uint8Array)) {
    onlyKnown(given, ['data'], path, issues);
    return given['data'] === undefined
      ? put(issues, `${path}.data`, 'MISSING_FIELD', 'is missing')
      : readPart(given['data'], `${path}.data`, issues);
  }
  if (typeof given !== 'string' && !(given instanceof Uint8Array))
    return put(issues, path, 'WRONG_TYPE', 'must be a composed part, or MIME as a string or Buffer');
  const octets = Buffer.from(typeof given === 'string' ? withCrlf(given) : given);
  if (octets.includes(0)) return put(issues, path, 'INVALID_VALUE', 'holds a NUL');
  // Without an empty line, all of its text would be taken for a header.
  const formatted = FIRST_LINE.test(octets.toString('latin1', 0, 200)) && /^\r?\n|\r?\n\r?\n/.test(octets.toString('latin1'));
  if (!formatted) return put(issues, path, 'INVALID_VALUE', 'is not MIME: it must have header fields (or none), an empty line and a body');
  return { kind: 'raw', octets };
}

const METHOD = /^[A-Za-z0-9-]{1,40}$/;

export function readCalendar(given: unknown, path: string, issues: Issues): Piece | undefined {
  const whole = typeof given === 'string' ? { data: given } : given;
  if (!isObject(whole)) return put(issues, path, 'WRONG_TYPE', 'must be iCalendar text, or an object with data and method');
  onlyKnown(whole, ['data', 'method'], path, issues);
  const text = string(whole['data'], `${path}.data`, issues);
  if (text === undefined) return undefined;
  const said = /^METHOD:[ \t]*([A-Za-z0-9-]{1,40})[ \t]*$/im.exec(text.slice(0, 10_000))?.[1]?.toUpperCase();
  const asked = whole['method'] === undefined ? undefined : string(whole['method'], `${path}.method`, issues);
  if (asked !== undefined && !METHOD.test(asked)) return put(issues, `${path}.method`, 'INVALID_VALUE', 'is not a method such as REQUEST');
  const method = asked?.toUpperCase() ?? said;
  if (said !== undefined && method !== said) return put(issues, `${path}.method`, 'CONFLICT', 'the data names another method');
  return { kind: 'calendar', at: path, text, method };
}
