/**
 * The commands that open a transaction, for one job and one server: MAIL with its parameters, a RCPT for each recipient.
 * Pure. Also finds what cannot be sent there at all, before a single octet is.
 *
 * Promises: no address gets into a command unless every character of it may stand there, whoever let it in (G12).
 *
 * SMTPUTF8. An address that is not ASCII, or 8-bit content handed in under SMTPUTF8, needs the extension: else 5.6.7. Content with
 * raw 8-bit headers that was handed in without it is mail as it was always sent (and need not be UTF-8): it takes the extension
 * where offered, else goes as it is to a server that takes 8 bits, as other agents do; only where it would have to be
 * re-coded does it fail.
 */
import type { Job } from '../core/carrier.js';
import type { Recipient } from '../core/delivery.js';
import type { Message } from '../core/message.js';
import type { RecipientOutcome } from '../core/outcome.js';
import { encodeXtext } from '../core/xtext.js';
import { unsendable } from './classify.js';
import type { Extensions } from './extensions.js';

/** What is known of the server that the commands are for. */
export interface Peer {
  readonly extensions: Extensions;
  readonly verifiedTls: boolean;
}

export interface Envelope {
  readonly kind: 'envelope';
  /** `MAIL FROM…`, with its line end. */
  readonly mail: string;
  /** `RCPT TO…`, with their line ends. */
  readonly rcpts: readonly string[];
  /** For each of `rcpts`, which recipient of the job it names. */
  readonly indexes: readonly number[];
  /** Recipients of which it is known already what becomes of them, by index. */
  readonly settled: ReadonlyMap<number, RecipientOutcome> | undefined;
  /** Recipients from this index on did not fit. */
  readonly end: number;
  /** The commands are not ASCII. */
  readonly utf8: boolean;
  /** The content must be made 7-bit for this server. */
  readonly downgrade: boolean;
  /** The server is told who wants to hear of success (RFC 3461): telling them is its affair then. */
  readonly dsnPassedOn: boolean;
}

export type Enveloped =
  | Envelope
  /** No recipient can be reached so. */
  | { readonly kind: 'unsendable'; readonly outcomes: readonly RecipientOutcome[] };

const SAFE = /^[\x21\x23-\x3b\x3d\x3f-\x7e]*$/;
const ASCII = /^[\x00-\x7f]*$/;
/** Quoted local part or none, without controls, then anything that is not a delimiter. For what `SAFE` did not pass. */
const UNUSUAL = /^(?:"(?:[^"\\\p{Cc}\p{Cs}\p{Zl}\p{Zp}]|\\[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}])*"(?=@))?[^\s"<>\p{Cc}\p{Cs}\p{Zl}\p{Zp}]*$/u;

const ONLY: readonly number[] = [0];

/** `maxRecipients`: how many the transaction may have. `as`: the content as it will be sent, where that is not as it was accepted. */
export function makeEnvelope(
  job: Job,
  peer: Peer,
  maxRecipients: number,
  as: Pick<Message, 'sizeBytes' | 'content'> = job.delivery.message,
): Enveloped {
  const { message } = job.delivery;
  const { sizeBytes } = as;
  const { recipients } = job;
  const { extensions } = peer;

  const { size } = extensions;
  if (size !== undefined && size > 0 && sizeBytes > size) {
    return none(job, '5.3.4', `the message has ${sizeBytes} octets, and the server takes ${size}`, 'size');
  }
  if (message.requireTls && !(peer.verifiedTls && extensions.requireTls)) {
    return none(job, '5.7.30', 'the message demands REQUIRETLS over verified TLS, and the server does not offer that', 'requireTls');
  }
  if (!isWritable(message.sender)) return none(job, '5.1.7', 'the sender address cannot be written in a command', 'badAddress');

  const { eightBit, utf8Headers } = as.content;
  const foreignSender = !ASCII.test(message.sender);
  const wantsUtf8 = foreignSender || message.smtpUtf8 || utf8Headers;
  const downgrade = eightBit && !extensions.eightBitMime;
  if (!extensions.smtpUtf8 && (foreignSender || (message.smtpUtf8 && eightBit) || (utf8Headers && downgrade))) {
    return none(job, '5.6.7', 'the message needs SMTPUTF8, and the server does not offer that', 'smtpUtf8');
  }

  let utf8 = wantsUtf8;
  let settled: Map<number, RecipientOutcome> | undefined;
  const rcpts: string[] = [];
  const indexes: number[] = [];
  const details = extensions.dsn ? notifyParameters(job) : undefined;
  let end = 0;
  for (; end < recipients.length && rcpts.length < maxRecipients; end++) {
    const address = recipients[end]!;
    const fault = addressFault(address, extensions.smtpUtf8);
    if (fault) {
      settled ??= new Map();
      settled.set(end, fault);
      continue;
    }
    utf8 ||= !ASCII.test(address);
    rcpts.push(`RCPT TO:<${address}>${details?.[end] ?? ''}\r\n`);
    indexes.push(end);
  }
  if (rcpts.length === 0) return { kind: 'unsendable', outcomes: recipients.map((_, index) => settled!.get(index)!) };

  let mail = `MAIL FROM:<${message.sender}>`;
  if (size !== undefined) mail += ` SIZE=${sizeBytes}`;
  if (eightBit && extensions.eightBitMime) mail += ' BODY=8BITMIME';
  if (utf8 && extensions.smtpUtf8) mail += ' SMTPUTF8';
  if (message.requireTls) mail += ' REQUIRETLS';
  if (message.dsn && extensions.dsn) mail += returnParameters(message.dsn);
  return {
    kind: 'envelope',
    mail: `${mail}\r\n`,
    rcpts,
    indexes: rcpts.length === 1 && end === 1 ? ONLY : indexes,
    settled,
    end,
    utf8,
    downgrade,
    dsnPassedOn: details !== undefined,
  };
}

/** Whether an address can stand between `<` and `>`: no control, no bracket or blank outside quotes. */
export function isWritable(address: string): boolean {
  return SAFE.test(address) || UNUSUAL.test(address);
}

function addressFault(address: string, smtpUtf8: boolean): RecipientOutcome | undefined {
  if (address === '' || !isWritable(address)) return unsendable('5.1.3', 'the address cannot be written in a command', 'badAddress');
  if (!smtpUtf8 && !ASCII.test(address))
    return unsendable('5.6.7', 'the address needs SMTPUTF8, and the server does not offer that', 'smtpUtf8');
  return undefined;
}

function none(job: Job, status: string, text: string, reason: string): Enveloped {
  const outcome = unsendable(status, text, reason);
  return { kind: 'unsendable', outcomes: job.recipients.map(() => outcome) };
}

/** RET and ENVID (RFC 3461 §4.3, §4.4). */
function returnParameters(dsn: { readonly ret?: 'full' | 'hdrs'; readonly envid?: string }): string {
  const envid = dsn.envid === undefined ? '' : encodeXtext(dsn.envid);
  return `${dsn.ret ? ` RET=${dsn.ret.toUpperCase()}` : ''}${envid ? ` ENVID=${envid}` : ''}`;
}

/** NOTIFY and ORCPT by index of the job's recipients, which are some of the delivery's, in its order. */
function notifyParameters(job: Job): readonly string[] | undefined {
  const { recipients } = job.delivery;
  if (!recipients.some((recipient) => recipient.notify ?? recipient.orcpt)) return undefined;
  const byAddress = new Map(recipients.map((recipient) => [recipient.address, recipient]));
  return job.recipients.map((address) => recipientParameters(byAddress.get(address)));
}

function recipientParameters(recipient: Recipient | undefined): string {
  const notify = recipient?.notify?.length ? ` NOTIFY=${recipient.notify.join(',').toUpperCase()}` : '';
  const [, type, address] = /^([\w-]+);(.+)$/s.exec(recipient?.orcpt ?? '') ?? [];
  const original = address === undefined ? '' : encodeXtext(address);
  return original ? `${notify} ORCPT=${type};${original}` : notify;
}
