/**
 * A report about mail, as bytes: `multipart/report` of RFC 6522 with the three parts of RFC 3464, or their RFC 6533 forms
 * where an address is not ASCII.
 *
 * Promises: a function of its arguments; CRLF line ends, lines of at most 998 octets; seven bits but for the RFC 6533 forms
 * and originals returned whole; nothing that comes from outside (remote words, addresses, the original) can add a header,
 * a field or a part. Must not decide whether a report is due (`bounce.ts`) nor send it.
 */
import { isUtf8 } from 'node:buffer';
import type { Recipient } from '../core/delivery.js';
import type { ContentFacts, Message } from '../core/message.js';
import { field, foldLongLines, isAscii, isAsciiBytes, line, MAX_LINE, mailDate, quotedPrintable } from './encoding.js';
import { MAX_NAME, type ReportKind, statusFields } from './report-status.js';
import { humanText, SUBJECTS } from './report-words.js';
import { clip, oneLine } from './words.js';

export interface ReportRequest {
  readonly kind: ReportKind;
  /** Who reports: the full name of this machine. */
  readonly hostname: string;
  readonly original: Message;
  /** Header of the original without the empty line; undefined where it could not be read. */
  readonly originalHeader: Buffer | undefined;
  /** The whole original, where RET=FULL asked for it and it is small. */
  readonly originalMessage?: Buffer;
  /** Those reported on, as they are now: their `last` says why. At least one. */
  readonly recipients: readonly Recipient[];
  readonly now: number;
  /** Left part of the Message-ID. */
  readonly reportId: string;
  /** Letters and digits that make the boundary; counted up where the content holds it. */
  readonly boundarySeed: string;
}

const CRLF = '\r\n';

/** One part: its type, its transfer encoding, its content ending in CRLF. */
interface Part {
  readonly type: string;
  readonly encoding: '7bit' | '8bit' | 'quoted-printable';
  readonly description: string;
  readonly content: Buffer;
}

export function composeReport(request: ReportRequest): Buffer {
  const { kind, hostname, original, recipients } = request;
  const global = [original.sender, ...recipients.flatMap(({ address, orcpt }) => [address, orcpt ?? ''])].some((text) => !isAscii(text));
  const enclosure = originalPart(request, global);
  const human = humanText({
    kind,
    hostname,
    original,
    header: request.originalHeader,
    enclosed: enclosure?.enclosed ?? 'nothing',
    recipients,
  });
  const parts = [
    textPart(human),
    messagePart(
      global ? 'message/global-delivery-status' : 'message/delivery-status',
      'Delivery report',
      Buffer.from(statusFields({ kind, hostname, original, recipients, global })),
    ),
    ...(enclosure ? [enclosure.part] : []),
  ];
  const boundary = freeBoundary(request.boundarySeed, parts);
  const eightBit = parts.some((part) => part.encoding === '8bit');
  return Buffer.concat([
    Buffer.from(reportHeader(request, boundary, eightBit)),
    ...parts.flatMap((part) => [Buffer.from(partHeader(part, boundary)), part.content]),
    Buffer.from(`${CRLF}--${boundary}--${CRLF}`),
  ]);
}

/** What delivery needs to know of composed bytes without reading them again. */
export function contentFacts(bytes: Buffer): ContentFacts {
  const end = bytes.indexOf('\r\n\r\n', 0, 'latin1');
  return {
    eightBit: !isAsciiBytes(bytes),
    dotted: bytes[0] === 0x2e || bytes.includes('\r\n.', 0, 'latin1'),
    utf8Headers: !isAsciiBytes(end < 0 ? bytes : bytes.subarray(0, end)),
  };
}

/** Message-ID of a report, with its angle brackets. */
export function reportMessageId(reportId: string, hostname: string): string {
  return `<${reportId}@${hostname}>`;
}

function reportHeader(request: ReportRequest, boundary: string, eightBit: boolean): string {
  const { original, hostname } = request;
  const about = referable(original.messageId);
  return [
    field('Date', mailDate(request.now)),
    field('From', `Mail Delivery System <mailer-daemon@${hostname}>`),
    line('To', `<${clip(oneLine(original.sender), MAX_NAME)}>`),
    field('Subject', SUBJECTS[request.kind]),
    field('Message-ID', reportMessageId(request.reportId, hostname)),
    about ? field('In-Reply-To', about) + field('References', about) : '',
    field('Auto-Submitted', 'auto-replied'),
    field('MIME-Version', '1.0'),
    `Content-Type: multipart/report; report-type=delivery-status;${CRLF} boundary="${boundary}"${CRLF}`,
    eightBit ? field('Content-Transfer-Encoding', '8bit') : '',
    CRLF,
  ].join('');
}

/** Only what is a plain message id is referred to: the original's may hold anything. */
function referable(messageId: string): string {
  return messageId.length <= 250 && /^<[!-;=?A-~]+@[!-;=?A-~]+>$/.test(messageId) ? messageId : '';
}

function partHeader(part: Part, boundary: string): string {
  return [
    `${CRLF}--${boundary}${CRLF}`,
    field('Content-Type', part.type),
    field('Content-Description', part.description),
    part.encoding === '7bit' ? '' : field('Content-Transfer-Encoding', part.encoding),
    CRLF,
  ].join('');
}

function textPart(text: string): Part {
  const description = 'What happened';
  if (isAscii(text)) return { type: 'text/plain; charset=us-ascii', encoding: '7bit', description, content: Buffer.from(text) };
  return {
    type: 'text/plain; charset=utf-8',
    encoding: 'quoted-printable',
    description,
    content: Buffer.from(quotedPrintable(Buffer.from(text))),
  };
}

/** `message/*` may not be encoded further, but for the forms of RFC 6532 and 6533, and those are best left readable too. */
function messagePart(type: string, description: string, content: Buffer): Part {
  return { type, encoding: isAsciiBytes(content) ? '7bit' : '8bit', description, content };
}

function originalPart(request: ReportRequest, global: boolean): { part: Part; enclosed: 'header' | 'message' } | undefined {
  const { originalMessage, originalHeader, original } = request;
  if (originalMessage && linesFit(originalMessage)) {
    const type = original.content.utf8Headers ? 'message/global' : 'message/rfc822';
    return { part: messagePart(type, 'Your mail', ended(originalMessage)), enclosed: 'message' };
  }
  if (originalHeader === undefined || originalHeader.length === 0) return undefined;
  const description = 'Headers of your mail';
  const header = ended(originalHeader);
  if (isAsciiBytes(header)) return { part: messagePart('text/rfc822-headers', description, foldLongLines(header)), enclosed: 'header' };
  if (global && isUtf8(header))
    return { part: messagePart('message/global-headers', description, foldLongLines(header)), enclosed: 'header' };
  const content = Buffer.from(quotedPrintable(header));
  return { part: { type: 'text/rfc822-headers', encoding: 'quoted-printable', description, content }, enclosed: 'header' };
}

function ended(bytes: Buffer): Buffer {
  return bytes.subarray(-2).toString('latin1') === CRLF ? bytes : Buffer.concat([bytes, Buffer.from(CRLF)]);
}

/** What may not be encoded may not be folded either: an original with longer lines goes back as its header alone. */
function linesFit(bytes: Buffer): boolean {
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf('\r\n', start, 'latin1');
    const end = found < 0 ? bytes.length : found;
    if (end - start > MAX_LINE) return false;
    start = end + 2;
  }
  return true;
}

/** `=_` occurs in no quoted-printable content; the other parts are searched. */
function freeBoundary(seed: string, parts: readonly Part[]): string {
  for (let n = 0; ; n++) {
    const boundary = `=_${seed.replace(/[^A-Za-z0-9]/g, '').slice(0, 40)}_${n}`;
    if (!parts.some((part) => part.content.includes(boundary, 0, 'latin1'))) return boundary;
  }
}
