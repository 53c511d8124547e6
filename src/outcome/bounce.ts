/**
 * Which mail about mail is due, and that mail as a message of its own, ready for the spool.
 *
 * Promises: nobody is told twice of the same thing, nobody who asked not to be told is told (NOTIFY, `bounces: 'none'`),
 * and nothing is ever sent about a report or to the null sender (RFC 5321 §6.1): reports cannot breed.
 * Must not write anything: the settlement that causes a report carries it into the same write (G2).
 */
import type { Recipient } from '../core/delivery.js';
import type { LaneKey } from '../core/lane.js';
import type { Body, Message, MessageId } from '../core/message.js';
import type { Acceptance } from '../spool/spool.js';
import type { Decision } from './decide.js';
import { isAscii } from './encoding.js';
import { composeReport, contentFacts, reportMessageId } from './report.js';
import type { ReportKind } from './report-status.js';

/** One report to be: about whom, and what happened to them. */
export interface DueReport {
  readonly kind: ReportKind;
  readonly recipients: readonly Recipient[];
}

/** What of the original is at hand. */
export interface Original {
  /** Without the empty line; undefined where it could not be read. */
  readonly header: Buffer | undefined;
  /** All of it, where that was asked for and is small. */
  readonly message?: Buffer;
}

/** Longest header that is returned: what lies beyond its last whole field is left out. */
export const MAX_RETURNED_HEADER = 64 * 1024;
/** Largest message that is returned whole for RET=FULL; of larger ones the header. */
export const MAX_RETURNED_MESSAGE = 64 * 1024;

export const UNREADABLE: Original = { header: undefined };
const NONE: readonly DueReport[] = [];

/** The reports that a decision makes due, at most one of each kind. */
export function dueReports(message: Message, decision: Decision): readonly DueReport[] {
  if (message.sender === '' || message.bounces === 'none' || message.origin.kind === 'report') return NONE;
  const failed: Recipient[] = [];
  const relayed: Recipient[] = [];
  for (const { kind, recipient } of decision.fates) {
    if ((kind === 'bounced' || kind === 'expired') && wants(recipient, 'failure')) failed.push(recipient);
    // All that is known of a delivered one is that the next server took it: reports call that relayed (RFC 3464 §2.3.3).
    else if (kind === 'delivered' && !decision.dsnPassedOn && recipient.notify?.includes('success')) relayed.push(recipient);
  }
  const delayed = decision.delayNotice
    ? decision.settlement.recipients.filter((recipient) => recipient.state === 'queued' && wants(recipient, 'delay'))
    : [];
  if (failed.length + relayed.length + delayed.length === 0) return NONE;
  const due: DueReport[] = [
    { kind: 'failed', recipients: failed },
    { kind: 'relayed', recipients: relayed },
    { kind: 'delayed', recipients: delayed },
  ];
  return due.filter(({ recipients }) => recipients.length > 0);
}

/** Without a NOTIFY the sender hears of failure and delay (RFC 3461 §4.1). */
function wants({ notify }: Recipient, what: 'failure' | 'delay'): boolean {
  return notify === undefined || notify.includes(what);
}

/** Whether RET=FULL is to be obeyed: it speaks of failures only (RFC 3461 §4.3). */
export function returnsWhole(message: Message, due: readonly DueReport[]): boolean {
  return message.dsn?.ret === 'full' && message.sizeBytes <= MAX_RETURNED_MESSAGE && due.some(({ kind }) => kind === 'failed');
}

/** Reads as much of the original as a report returns. Rejects as the body does. */
export async function readOriginal(body: Body, whole: boolean): Promise<Original> {
  if (body.kind === 'bytes') return originalOf(body.bytes, whole);
  const limit = whole ? MAX_RETURNED_MESSAGE : MAX_RETURNED_HEADER;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body.open()) {
    chunks.push(chunk);
    size += chunk.length;
    // One octet past the limit shows that something is cut off.
    if (size > limit || (!whole && chunk.includes('\r\n\r\n', 0, 'latin1'))) break;
  }
  return originalOf(Buffer.concat(chunks), whole);
}

export function originalOf(bytes: Buffer, whole: boolean): Original {
  const header = headerOf(bytes);
  return whole && bytes.length <= MAX_RETURNED_MESSAGE ? { header, message: bytes } : { header };
}

function headerOf(bytes: Buffer): Buffer {
  if (bytes[0] === 0x0d && bytes[1] === 0x0a) return bytes.subarray(0, 0);
  const end = bytes.indexOf('\r\n\r\n', 0, 'latin1');
  if (end >= 0 && end <= MAX_RETURNED_HEADER) return bytes.subarray(0, end);
  if (end < 0 && bytes.length <= MAX_RETURNED_HEADER) return bytes;
  // Cut before the last line that begins a field, so that no field is left half.
  let cut = MAX_RETURNED_HEADER;
  do cut = bytes.lastIndexOf('\r\n', cut - 1, 'latin1');
  while (cut > 0 && (bytes[cut + 2] === 0x20 || bytes[cut + 2] === 0x09));
  return bytes.subarray(0, Math.max(cut, 0));
}

export interface ReportMessage {
  readonly id: MessageId;
  readonly due: DueReport;
  readonly of: Message;
  readonly original: Original;
  readonly lane: LaneKey;
  readonly hostname: string;
  readonly now: number;
  readonly expiryMs: number;
}

/** The report as new mail from the null sender, to the sender of the original. */
export function reportAcceptance({ id, due, of, original, lane, hostname, now, expiryMs }: ReportMessage): Acceptance {
  const body = composeReport({
    kind: due.kind,
    hostname,
    original: of,
    originalHeader: original.header,
    ...(original.message && due.kind === 'failed' ? { originalMessage: original.message } : {}),
    recipients: due.recipients,
    now,
    reportId: id,
    boundarySeed: id,
  });
  const message: Message = {
    id,
    acceptedAt: now,
    sender: '',
    sizeBytes: body.length,
    content: contentFacts(body),
    smtpUtf8: !isAscii(of.sender),
    // A report tells what the original was to keep from prying eyes (RFC 8689 §5).
    requireTls: of.requireTls,
    priority: 'medium',
    notBefore: 0,
    expiresAt: now + expiryMs,
    origin: { kind: 'report', of: of.id },
    messageId: reportMessageId(id, hostname),
    bounces: 'none',
  };
  return { message, deliveries: [{ lane, recipients: [{ address: of.sender, state: 'queued' }] }], body };
}
