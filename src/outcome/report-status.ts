/**
 * The machine's half of a report: the fields of RFC 3464 §2, and of RFC 6533 where an address is not ASCII.
 *
 * Promises: one block for the message and one for each recipient, each ended by an empty line; no text from outside can
 * begin a field or a block; without `global` every octet is ASCII.
 * Must not decide who is reported on.
 */
import type { Recipient } from '../core/delivery.js';
import type { Message } from '../core/message.js';
import { isStatus } from '../core/status.js';
import { addressXtext, escapeAscii, field, isAscii, line, mailDate } from './encoding.js';
import { clip, isReply, oneLine } from './words.js';

/** `failed`: bounced or expired. `relayed`: handed to a server that will not report further (RFC 3464 §2.3.3). */
export type ReportKind = 'failed' | 'delayed' | 'relayed';

export interface StatusRequest {
  readonly kind: ReportKind;
  readonly hostname: string;
  readonly original: Message;
  readonly recipients: readonly Recipient[];
  /** Write UTF-8 as it is: for `message/global-delivery-status`. */
  readonly global: boolean;
}

/** Octets of an address, an envelope id, a name: longer ones are not of this world (RFC 5321 §4.5.3.1). */
export const MAX_NAME = 600;
/** Octets that all diagnostic texts may take together; each has at least `MIN_DIAGNOSTIC`. */
const DIAGNOSTICS_TOTAL = 256 * 1024;
const MIN_DIAGNOSTIC = 200;

const CLASS_OF_KIND = { failed: '5.0.0', delayed: '4.0.0', relayed: '2.0.0' } as const;

export function statusFields(request: StatusRequest): string {
  const { original, recipients } = request;
  const envid = original.dsn?.envid;
  const head =
    field('Reporting-MTA', `dns; ${request.hostname}`) +
    (envid ? line('Original-Envelope-Id', plainText(envid, MAX_NAME, request.global)) : '') +
    field('Arrival-Date', mailDate(original.acceptedAt));
  const share = Math.max(Math.floor(DIAGNOSTICS_TOTAL / Math.max(recipients.length, 1)), MIN_DIAGNOSTIC);
  return [head, ...recipients.map((recipient) => recipientFields(recipient, request, share))].join('\r\n');
}

/** The status of RFC 3463 to report: the recorded one where it has the shape, else the class of what happened. */
export function reportedStatus(recipient: Recipient, kind: ReportKind): string {
  const status = recipient.last?.status ?? '';
  return isStatus(status) ? status : CLASS_OF_KIND[kind];
}

function recipientFields(recipient: Recipient, request: StatusRequest, share: number): string {
  const { kind, global, original } = request;
  const { last } = recipient;
  const mta = last?.server === undefined ? '' : remoteName(last.server);
  return [
    recipient.orcpt ? line('Original-Recipient', plainText(recipient.orcpt, MAX_NAME, global)) : '',
    line('Final-Recipient', typedAddress(recipient.address, global)),
    field('Action', kind),
    field('Status', reportedStatus(recipient, kind)),
    mta ? field('Remote-MTA', `dns; ${mta}`) : '',
    last && last.text !== '' && (kind !== 'relayed' || isReply(last.text)) ? diagnostic(last.text, share, global) : '',
    last ? field('Last-Attempt-Date', mailDate(last.at)) : '',
    kind === 'delayed' ? field('Will-Retry-Until', mailDate(original.expiresAt)) : '',
  ].join('');
}

/** A reply is of type `smtp`; a finding of ours is not, and says so. */
function diagnostic(text: string, share: number, global: boolean): string {
  return field('Diagnostic-Code', `${isReply(text) ? 'smtp' : 'x-riata'}; ${plainText(text, share, global)}`);
}

function typedAddress(address: string, global: boolean): string {
  const clean = clip(oneLine(address), MAX_NAME);
  if (isAscii(clean)) return `rfc822; ${clean}`;
  return `utf-8; ${global ? clean : addressXtext(clean)}`;
}

function plainText(text: string, octets: number, global: boolean): string {
  const plain = oneLine(text);
  return global ? clip(plain, octets) : clip(escapeAscii(plain), octets).replace('…', '...');
}

/** The name in `host[address]:port`; an address alone is written as a literal. */
function remoteName(label: string): string {
  const bracket = label.indexOf('[');
  const host = (bracket > 0 ? label.slice(0, bracket) : label).replace(/[^A-Za-z0-9.:_-]/g, '').slice(0, 255);
  if (host.includes(':')) return `[IPv6:${host}]`;
  return /^[0-9.]+$/.test(host) ? `[${host}]` : host;
}
