/**
 * MAIL and RCPT as clients write them: the path, the parameters, and what to answer to those that are wrong.
 *
 * Promises: pure; nothing of a command that is refused is kept; replies never repeat what the client sent. Parameters that
 * were not offered are refused (RFC 5321 §4.1.1.11), not passed over: a client that asks for something must learn that it
 * will not happen.
 */
import { isUtf8 } from 'node:buffer';
import { formatAddress, readPath } from '../../core/address.js';
import type { Notify } from '../../core/delivery.js';
import { MtaError } from '../../core/errors.js';
import type { Message } from '../../core/message.js';
import { readEnvid, readNotify, readOrcpt, readRet } from './notification.js';

export interface MailCommand {
  readonly kind: 'mail';
  /** `''` is the null sender. */
  readonly sender: string;
  /** As declared; 0 where it was not. */
  readonly sizeBytes: number;
  readonly smtpUtf8: boolean;
  /** Where RET or ENVID was given. */
  readonly dsn?: NonNullable<Message['dsn']>;
}

export interface RcptCommand {
  readonly kind: 'rcpt';
  readonly recipient: string;
  readonly notify?: readonly Notify[];
  readonly orcpt?: string;
}

/** The command is refused with this reply, complete but for its CRLF. */
export interface Refused {
  readonly kind: 'refused';
  readonly reply: string;
}

/** Octets from 128 on, in a line read as Latin-1. */
const EIGHT_BIT = /[\x80-\xff]/;
/** RFC 5321 §4.1.2, esmtp-param, with what RFC 6531 adds. */
const PARAMETER = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\u{10ffff}]+))?$/u;
const MAIL = /^MAIL[ \t]+FROM:[ \t]*/i;
const RCPT = /^RCPT[ \t]+TO:[ \t]*/i;

/** `line`: the command without its line end, one character for each octet. */
export function parseMail(line: string, limits: { readonly maxMessageSizeBytes: number }): MailCommand | Refused {
  const start = line.startsWith('MAIL FROM:<') ? 10 : (MAIL.exec(line)?.[0].length ?? -1);
  if (start === -1) return refused('501 5.5.4 Syntax: MAIL FROM:<address>');
  const text = decode(line);
  if (text === undefined) return refused('501 5.5.4 The command is not valid UTF-8');
  if (text.charCodeAt(start) !== 0x3c) return refused('501 5.1.7 The address must stand in angle brackets');
  const read = readPath(text, start);
  if ('kind' in read) return refused(`501 5.1.7 Bad sender address: ${read.text}`);
  const parameters = read.end === text.length ? NO_PARAMETERS : mailParameters(text, read.end, limits.maxMessageSizeBytes);
  if (parameters.kind === 'refused') return parameters;
  const { path } = read;
  if (path.kind === 'postmaster') return refused('501 5.1.7 Bad sender address: the domain is missing');
  if (text !== line && !parameters.smtpUtf8) return refused('553 5.6.7 The address is not ASCII, and SMTPUTF8 was not given');
  return { ...parameters, kind: 'mail', sender: path.kind === 'null' ? '' : path.address };
}

/** `postmasterDomain`: where `<Postmaster>` is (RFC 5321 §4.5.1). */
export function parseRcpt(
  line: string,
  { smtpUtf8, postmasterDomain }: { readonly smtpUtf8: boolean; readonly postmasterDomain: string },
): RcptCommand | Refused {
  const start = line.startsWith('RCPT TO:<') ? 8 : (RCPT.exec(line)?.[0].length ?? -1);
  if (start === -1) return refused('501 5.5.4 Syntax: RCPT TO:<address>');
  const text = decode(line);
  if (text === undefined) return refused('501 5.5.4 The command is not valid UTF-8');
  if (text.charCodeAt(start) !== 0x3c) return refused('501 5.1.3 The address must stand in angle brackets');
  const read = readPath(text, start);
  if ('kind' in read) return refused(`501 5.1.3 Bad recipient address: ${read.text}`);
  if (text !== line && !smtpUtf8) return refused('553 5.6.7 The address is not ASCII, and SMTPUTF8 was not given with MAIL');
  const parameters = read.end === text.length ? NOTHING_ASKED : rcptParameters(text, read.end);
  if (parameters.kind === 'refused') return parameters;
  const { path } = read;
  if (path.kind === 'null') return refused('501 5.1.3 Bad recipient address: there is no address');
  if (path.kind === 'mailbox') return { ...parameters, recipient: path.address };
  return postmasterAt(path.localPart, postmasterDomain, parameters);
}

function postmasterAt(localPart: string, domain: string, parameters: RcptParameters): RcptCommand | Refused {
  try {
    return { ...parameters, recipient: formatAddress(localPart, domain) };
  } catch (error) {
    if (error instanceof MtaError) return refused('550 5.1.2 This server has no mail domain of its own');
    throw error;
  }
}

type MailParameters = Omit<MailCommand, 'sender'>;
type RcptParameters = Omit<RcptCommand, 'recipient'>;

const NO_PARAMETERS: MailParameters = { kind: 'mail', sizeBytes: 0, smtpUtf8: false };
const NOTHING_ASKED: RcptParameters = { kind: 'rcpt' };

function mailParameters(text: string, start: number, maxMessageSizeBytes: number): MailParameters | Refused {
  const parameters = readParameters(text, start);
  if (parameters === undefined) return refused('501 5.5.4 Bad parameter syntax');
  let sizeBytes = 0;
  let smtpUtf8 = false;
  let dsn: MailCommand['dsn'];
  for (const [name, value] of parameters) {
    switch (name) {
      case 'SIZE':
        if (value === undefined || !/^\d{1,20}$/.test(value)) return refused('501 5.5.4 SIZE must be a number of octets');
        sizeBytes = Number(value);
        if (sizeBytes > maxMessageSizeBytes)
          return refused(`552 5.3.4 The message is larger than the limit of ${maxMessageSizeBytes} octets`);
        break;
      case 'BODY':
        // Whether the content is 8-bit is found by looking at it.
        if (value === undefined || !/^(?:7BIT|8BITMIME)$/i.test(value)) return refused('501 5.5.4 BODY must be 7BIT or 8BITMIME');
        break;
      case 'SMTPUTF8':
        if (value !== undefined) return refused('501 5.5.4 SMTPUTF8 takes no value');
        smtpUtf8 = true;
        break;
      case 'RET': {
        const ret = readRet(value);
        if (ret === undefined) return refused('501 5.5.4 RET must be FULL or HDRS');
        dsn = { ...dsn, ret };
        break;
      }
      case 'ENVID': {
        const envid = readEnvid(value);
        if (envid === undefined) return refused('501 5.5.4 ENVID must be an xtext of printable ASCII, 100 characters at most');
        dsn = { ...dsn, envid };
        break;
      }
      default:
        return refused('555 5.5.4 A parameter is not supported here');
    }
  }
  return { kind: 'mail', sizeBytes, smtpUtf8, ...(dsn && { dsn }) };
}

function rcptParameters(text: string, start: number): RcptParameters | Refused {
  const parameters = readParameters(text, start);
  if (parameters === undefined) return refused('501 5.5.4 Bad parameter syntax');
  const notify = readNotify(parameters.get('NOTIFY'));
  const orcpt = readOrcpt(parameters.get('ORCPT'));
  for (const name of parameters.keys()) {
    if (name === 'NOTIFY') {
      if (notify === undefined) return refused('501 5.5.4 NOTIFY must be NEVER, or some of SUCCESS, FAILURE and DELAY');
    } else if (name === 'ORCPT') {
      if (orcpt === undefined) return refused('501 5.5.4 ORCPT must be a type, a semicolon and an xtext');
    } else {
      return refused('555 5.5.4 A parameter is not supported here');
    }
  }
  return { kind: 'rcpt', ...(notify && { notify }), ...(orcpt && { orcpt }) };
}

/** Names in upper case; undefined for what is no list of parameters, or names one twice. */
function readParameters(text: string, start: number): Map<string, string | undefined> | undefined {
  const found = new Map<string, string | undefined>();
  const rest = text.slice(start);
  if (!/^[ \t]/.test(rest)) return rest === '' ? found : undefined;
  for (const word of rest.split(/[ \t]+/)) {
    if (word === '') continue;
    const match = PARAMETER.exec(word);
    const name = match?.[1]?.toUpperCase();
    if (name === undefined || found.has(name)) return undefined;
    found.set(name, match?.[2]);
  }
  return found;
}

/** The line as text; undefined where its octets are no UTF-8. */
function decode(line: string): string | undefined {
  if (!EIGHT_BIT.test(line)) return line;
  const octets = Buffer.from(line, 'latin1');
  return isUtf8(octets) ? octets.toString('utf8') : undefined;
}

function refused(reply: string): Refused {
  return { kind: 'refused', reply };
}
