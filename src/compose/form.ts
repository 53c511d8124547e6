/** The form of the content as options: type, character set, transfer encoding, disposition. */
import { type Charset, findCharset, UTF_8 } from './charset.js';
import { type Issues, line, put, word } from './checks.js';
import { type MediaType, parameterOf, parseMediaType } from './media-type.js';
import { TRANSFER_ENCODINGS, type TransferEncoding } from './transfer.js';

export interface Form {
  /** Of the only text, without its charset. */
  readonly textType: MediaType | undefined;
  /** Of the whole: it is a multipart in any case. */
  readonly multipart: MediaType | undefined;
  readonly charset: Charset;
  /** The Content-Type of a text names it. */
  readonly showCharset: boolean;
  readonly transferEncoding: TransferEncoding | undefined;
  readonly disposition: MediaType | undefined;
}

const SUBTYPE = /^[A-Za-z0-9!#$&^_.+-]{1,60}$/;

export function readForm(options: Readonly<Record<string, unknown>>, issues: Issues): Form {
  const take = <T>(name: string, read: (value: unknown, path: string, issues: Issues) => T | undefined) =>
    options[name] === undefined ? undefined : read(options[name], name, issues);
  const contentType = take('contentType', readContentType);
  const headerType = take('headerType', readSubtype);
  const multipart = contentType?.type.startsWith('multipart/') ? contentType : undefined;
  if (multipart !== undefined && headerType !== undefined)
    put(issues, 'headerType', 'CONFLICT', 'contentType says what kind of multipart it is');
  const named = contentType && parameterOf(contentType, 'charset');
  const inType = named === undefined ? undefined : readCharset(named, 'contentType', issues);
  const asked = take('characterSet', readCharset);
  if (inType && asked && inType !== asked) put(issues, 'characterSet', 'CONFLICT', 'contentType names another character set');
  if (!multipart && contentType && options['body'] !== undefined && options['html'] !== undefined)
    put(issues, 'contentType', 'CONFLICT', 'cannot be the type of both body and html');
  return {
    textType: multipart
      ? undefined
      : contentType && { ...contentType, parameters: contentType.parameters.filter(([name]) => name !== 'charset') },
    multipart: multipart ?? headerType,
    showCharset: contentType === undefined || multipart !== undefined || contentType.type.startsWith('text/') || named !== undefined,
    charset: asked ?? inType ?? UTF_8,
    transferEncoding: take('transferEncoding', (value, path) => word(value, TRANSFER_ENCODINGS, path, issues)),
    disposition: take('contentDisposition', readDisposition),
  };
}

function readContentType(value: unknown, path: string, issues: Issues): MediaType | undefined {
  const text = line(value, path, issues);
  const media = text === undefined ? undefined : parseMediaType(text);
  if (text !== undefined && media === undefined) return put(issues, path, 'INVALID_VALUE', 'is not a media type such as text/plain');
  if (media && parameterOf(media, 'boundary') !== undefined)
    return put(issues, path, 'INVALID_VALUE', 'boundaries are chosen by the composer');
  return media;
}

function readSubtype(value: unknown, path: string, issues: Issues): MediaType | undefined {
  const text = line(value, path, issues)?.replace(/^multipart\//i, '');
  if (text === undefined) return undefined;
  if (!SUBTYPE.test(text)) return put(issues, path, 'INVALID_VALUE', 'is not a kind of multipart, such as related');
  return { type: `multipart/${text.toLowerCase()}`, parameters: [] };
}

function readCharset(value: unknown, path: string, issues: Issues): Charset | undefined {
  const name = line(value, path, issues);
  if (name === undefined) return undefined;
  return findCharset(name) ?? put(issues, path, 'UNKNOWN_CHARSET', 'is not a character set that is known here');
}

function readDisposition(value: unknown, path: string, issues: Issues): MediaType | undefined {
  const text = line(value, path, issues);
  // A disposition is written as a media type is, but for the slash.
  const media = text === undefined ? undefined : parseMediaType(`x/${text.trim()}`);
  if (text !== undefined && media === undefined)
    return put(issues, path, 'INVALID_VALUE', 'must be inline or attachment, with parameters if need be');
  return media && { type: media.type.slice(2), parameters: media.parameters };
}
