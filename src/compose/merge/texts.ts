/**
 * The places of a stored message where tokens may stand: the fields of its header, and its texts, by offset.
 *
 * Promises: nothing of the message is copied; time is linear in it, for each level of nesting, of which there are at most 50; of parts
 * at most 10,000 are looked at. Texts are the parts of type `text/…` that are shown: attachments, enclosed messages, and whatever is
 * signed or encrypted are left alone. Lines must end in CRLF. What is malformed is no text.
 */

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

function findTexts(finding: Finding, header: Header, end: number, depth: number, byDefault = 'text/plain'): void {
  if (++finding.entities > MAX_ENTITIES || depth > MAX_DEPTH) return;
  const { mime } = finding;
  const field = (name: string) => header.fields.find((one) => one.name === name);
  const contentType = field('content-type');
  const { type, charset, boundary } = readType(contentType === undefined ? '' : fieldValue(mime, contentType), byDefault);
  if (type.startsWith('multipart/')) {
    if (boundary === undefined || type === 'multipart/signed' || type === 'multipart/encrypted') return;
    finding.delimiters.push(`--${boundary}`);
    findParts(finding, `--${boundary}`, header.bodyStart, end, depth, type === 'multipart/digest' ? 'message/rfc822' : 'text/plain');
    return;
  }
  const disposition = field('content-disposition');
  const attached = disposition !== undefined && /^attachment\b/i.test(fieldValue(mime, disposition));
  if (attached || !type.startsWith('text/')) return;
  const encodingField = field('content-transfer-encoding');
  const encoding = encodingField === undefined ? '7bit' : withoutComments(fieldValue(mime, encodingField)).trim().toLowerCase();
  finding.texts.push({
    type,
    charset: charset ?? 'us-ascii',
    encoding,
    encodingField: encodingField ?? { start: header.end, end: header.end },
    start: header.bodyStart,
    end,
  });
}

interface StoredType {
  readonly type: string;
  readonly charset: string | undefined;
  readonly boundary: string | undefined;
}

/** Type, charset and boundary as leniently as readers of mail take them. */
function readType(value: string, byDefault: string): StoredType {
  const text = withoutComments(value);
  const type = /^\s*([\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127})\s*(?:;|$)/.exec(text)?.[1]?.toLowerCase();
  if (type === undefined) return { type: byDefault, charset: undefined, boundary: undefined };
  return { type, charset: parameter(text, 'charset'), boundary: parameter(text, 'boundary') };
}

function parameter(text: string, name: string): string | undefined {
  for (const match of text.matchAll(/;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/g)) {
    if (match[1]!.toLowerCase() !== name) continue;
    const value = (match[3] ?? match[2]!.replace(/\\(.)/g, '$1')).trimEnd();
    return value === '' ? undefined : value;
  }
  return undefined;
}

/** Comments (RFC 5322 §3.2.2), which may be nested; quoted text is none. */
function withoutComments(text: string): string {
  if (!text.includes('(')) return text;
  let out = '';
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '\\') {
      if (depth === 0) out += text.slice(at, at + 2);
      at++;
    } else if (character === '(' && !quoted) {
      depth++;
    } else if (character === ')' && depth > 0) {
      depth--;
    } else if (depth === 0) {
      if (character === '"') quoted = !quoted;
      out += character;
    }
  }
  return out;
}

function findParts(finding: Finding, delimiter: string, start: number, end: number, depth: number, byDefault: string): void {
  const found = (from: number, to: number) => findTexts(finding, readHeader(finding.mime, from, to), to, depth + 1, byDefault);
  let part = -1;
  for (const line of delimiterLines(finding.mime, delimiter, start, end)) {
    // The line end before a delimiter belongs to it.
    if (part >= 0) found(part, Math.max(part, line.start - CRLF.length));
    if (line.closing) return;
    part = line.end;
  }
  if (part >= 0) found(part, end);
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
