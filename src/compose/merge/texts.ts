/**
 * The places of a stored message where tokens may stand: the fields of its header, and its texts, by offset.
 *
 * Promises: nothing of the message is copied; time is linear in it, for each level of nesting, of which there are at most 50; of parts
 * at most 10,000 are looked at. Texts are the parts of type `text/…` that are shown: attachments, enclosed messages, and whatever is
 * signed or encrypted are left alone. Lines must end in CRLF. What is malformed is no text.
 */

import { parameterOf, parseMediaType } from '../media-type.js';
import { decodeWords } from '../words.js';

export interface FieldRange {
  /** Lower case; `''` for a line that is none. */
  readonly name: string;
  readonly start: number;
  /** Behind its last line end. */
  readonly end: number;
}

export interface TextRange {
  readonly type: string;
  /** As it is named; `us-ascii` where none is. */
  readonly charset: string;
  /** Lower case. */
  readonly encoding: string;
  /** The Content-Transfer-Encoding; an empty range at the header's end where there is none. */
  readonly encodingField: { readonly start: number; readonly end: number };
  readonly start: number;
  readonly end: number;
}

export interface MessagePlaces {
  readonly fields: readonly FieldRange[];
  /** Where the empty line begins: further fields may be put there. */
  readonly headerEnd: number;
  readonly texts: readonly TextRange[];
  /** Of every multipart, with the two hyphens in front. */
  readonly delimiters: readonly string[];
}

const MAX_DEPTH = 50;
const MAX_ENTITIES = 10_000;
const CRLF = Buffer.from('\r\n', 'latin1');

interface Finding {
  readonly mime: Buffer;
  readonly texts: TextRange[];
  readonly delimiters: string[];
  entities: number;
}

export function findPlaces(mime: Buffer): MessagePlaces {
  const finding: Finding = { mime, texts: [], delimiters: [], entities: 0 };
  const header = readHeader(mime, 0, mime.length);
  findTexts(finding, header, mime.length, 0);
  return { fields: header.fields, headerEnd: header.end, texts: finding.texts, delimiters: finding.delimiters };
}

interface Header {
  readonly fields: readonly FieldRange[];
  /** Of the fields: where the empty line begins. */
  readonly end: number;
  readonly bodyStart: number;
}

function readHeader(mime: Buffer, start: number, limit: number): Header {
  const fields: FieldRange[] = [];
  let at = start;
  while (at < limit) {
    const found = mime.indexOf(CRLF, at);
    const end = found < 0 || found + 2 > limit ? limit : found + 2;
    if (end === at + 2 && found === at) return { fields, end: at, bodyStart: end };
    const first = mime[at];
    const last = fields.at(-1);
    if (last !== undefined && (first === 0x20 || first === 0x09)) {
      fields[fields.length - 1] = { ...last, end };
    } else {
      const name = /^([!-9;-~]+)[ \t]*:/.exec(mime.toString('latin1', at, Math.min(end, at + 200)))?.[1]?.toLowerCase() ?? '';
      fields.push({ name, start: at, end });
    }
    at = end;
  }
  return { fields, end: limit, bodyStart: limit };
}

/** Unfolded, from behind the colon, without the blanks around it. Octets above 127 are read as UTF-8. */
export function fieldValue(mime: Buffer, field: FieldRange): string {
  const colon = mime.indexOf(0x3a, field.start);
  return mime
    .toString('utf8', colon + 1, field.end)
    .replace(/\r\n/g, '')
    .replace(/\t/g, ' ')
    .replace(/^ +| +$/g, '');
}

function findTexts(finding: Finding, header: Header, end: number, depth: number): void {
  if (++finding.entities > MAX_ENTITIES || depth > MAX_DEPTH) return;
  const { mime } = finding;
  const field = (name: string) => header.fields.find((one) => one.name === name);
  const contentType = field('content-type');
  const media = contentType === undefined ? TEXT : parseMediaType(withoutComments(fieldValue(mime, contentType)));
  if (media === undefined) return;
  if (media.type.startsWith('multipart/')) {
    const boundary = parameterOf(media, 'boundary');
    if (boundary === undefined || boundary === '' || media.type === 'multipart/signed' || media.type === 'multipart/encrypted') return;
    finding.delimiters.push(`--${boundary}`);
    findParts(finding, `--${boundary}`, header.bodyStart, end, depth);
    return;
  }
  const disposition = field('content-disposition');
  const attached = disposition !== undefined && /^attachment\b/i.test(fieldValue(mime, disposition));
  if (attached || !media.type.startsWith('text/')) return;
  const encodingField = field('content-transfer-encoding');
  const encoding = encodingField === undefined ? '7bit' : withoutComments(fieldValue(mime, encodingField)).trim().toLowerCase();
  finding.texts.push({
    type: media.type,
    charset: decodeWords(parameterOf(media, 'charset') ?? 'us-ascii'),
    encoding,
    encodingField: encodingField ?? { start: header.end, end: header.end },
    start: header.bodyStart,
    end,
  });
}

const TEXT = { type: 'text/plain', parameters: [] };

/** Comments in these fields are rare, and never nested but to confuse. */
function withoutComments(value: string): string {
  return value.replace(/^([^"]*?)\([^()"]*\)/g, '$1');
}

function findParts(finding: Finding, delimiter: string, start: number, end: number, depth: number): void {
  let part = -1;
  for (const line of delimiterLines(finding.mime, delimiter, start, end)) {
    // The line end before a delimiter belongs to it.
    if (part >= 0)
      findTexts(finding, readHeader(finding.mime, part, Math.max(part, line.start - 2)), Math.max(part, line.start - 2), depth + 1);
    if (line.closing) return;
    part = line.end;
  }
  if (part >= 0) findTexts(finding, readHeader(finding.mime, part, end), end, depth + 1);
}

function* delimiterLines(
  mime: Buffer,
  delimiter: string,
  start: number,
  limit: number,
): Generator<{ readonly start: number; readonly end: number; readonly closing: boolean }> {
  const needle = Buffer.from(delimiter, 'utf8');
  for (let at = mime.indexOf(needle, start); at >= 0 && at < limit; at = mime.indexOf(needle, at + 1)) {
    if (at > start && mime[at - 1] !== 0x0a) continue;
    const found = mime.indexOf(CRLF, at);
    const end = found < 0 || found > limit ? limit : found;
    const rest = mime.toString('latin1', at + needle.length, Math.min(end, at + needle.length + 100)).trimEnd();
    if (rest === '' || rest === '--') yield { start: at, end: Math.min(limit, end + 2), closing: rest === '--' };
  }
}
