/**
 * Enhanced status codes (RFC 3463, RFC 5248): `class.subject.detail`. Pure tables and functions; what a status means
 * for a recipient is decided in `classify`, not here.
 */
import type { Reply, Stage } from './outcome.js';

export type StatusClass = 2 | 4 | 5;

const SHAPE = /^([245])\.(\d{1,3})\.(\d{1,3})$/;

export function isStatus(text: string): boolean {
  return SHAPE.test(text);
}

/** 2: success, 4: not now, 5: never. Throws a `RangeError` on what is not a status. */
export function statusClass(status: string): StatusClass {
  const match = SHAPE.exec(status);
  if (!match) throw new RangeError(`not an enhanced status code: ${JSON.stringify(status.slice(0, 40))}`);
  return Number(match[1]) as StatusClass;
}

/** The same subject and detail in another class: an expired `4.4.1` is reported as `5.4.1`. */
export function withClass(status: string, to: StatusClass): string {
  statusClass(status);
  return `${to}${status.slice(1)}`;
}

/**
 * What a reply without an enhanced code most likely says. Only where the code (at that stage, where one is named) is
 * plain enough; else `x.0.0`. In particular 550 at RCPT is not taken for 5.1.1: it may as well be policy, and
 * whoever suppresses unknown users must not believe us to know.
 */
const DEFAULTS: Readonly<Record<number, string | Readonly<Partial<Record<Stage | 'other', string>>>>> = {
  250: { mail: '2.1.0', rcpt: '2.1.5', other: '2.0.0' },
  251: { rcpt: '2.1.5', other: '2.0.0' },
  421: '4.3.2',
  450: { rcpt: '4.2.0', other: '4.0.0' },
  451: '4.3.0',
  452: { rcpt: '4.5.3', other: '4.3.1' },
  454: { starttls: '4.7.0', auth: '4.7.0', other: '4.0.0' },
  455: '4.5.4',
  500: '5.5.2',
  501: '5.5.4',
  502: '5.5.1',
  503: '5.5.1',
  504: '5.5.4',
  521: '5.3.2',
  530: '5.7.0',
  534: '5.7.9',
  535: '5.7.8',
  538: '5.7.11',
  550: { rcpt: '5.2.0', other: '5.0.0' },
  551: { rcpt: '5.1.6', other: '5.0.0' },
  552: { rcpt: '5.2.2', other: '5.3.4' },
  553: { rcpt: '5.1.3', mail: '5.1.7', other: '5.0.0' },
  555: '5.5.4',
  556: '5.1.10',
};

/** The status of a reply at a stage: its own, else what its code stands for there. */
export function statusOf(reply: Reply, stage: Stage): string {
  if (reply.enhanced !== undefined) return reply.enhanced;
  const byCode = DEFAULTS[reply.code];
  const byStage = typeof byCode === 'object' ? (byCode[stage] ?? byCode.other) : byCode;
  if (byStage !== undefined) return byStage;
  return reply.code < 400 ? '2.0.0' : reply.code < 500 ? '4.0.0' : '5.0.0';
}

/** What the registry says of subject and detail, in our words. */
const MEANINGS: Readonly<Record<string, string>> = {
  '0.0': 'no particular reason was given',
  '1.0': 'trouble with the address',
  '1.1': 'no such mailbox',
  '1.2': 'no such domain',
  '1.3': 'the address is not written properly',
  '1.4': 'the address leads to several mailboxes',
  '1.5': 'the address is valid',
  '1.6': 'the mailbox has moved and left no new address',
  '1.7': 'the sender address is not written properly',
  '1.8': 'the domain of the sender does not exist',
  '1.9': 'the message was passed on to a server without this extension',
  '1.10': 'the domain takes no mail',
  '2.0': 'trouble with the mailbox',
  '2.1': 'the mailbox is closed',
  '2.2': 'the mailbox is full',
  '2.3': 'the message is too large for the mailbox',
  '2.4': 'the mailing list could not be expanded',
  '3.0': 'trouble at the mail system',
  '3.1': 'the mail system has no room',
  '3.2': 'the mail system takes no messages now',
  '3.3': 'the mail system lacks something that the message needs',
  '3.4': 'the message is too large for the mail system',
  '3.5': 'the mail system is not set up properly',
  '4.0': 'trouble on the way',
  '4.1': 'the server did not answer',
  '4.2': 'the connection broke',
  '4.3': 'a directory, such as the DNS, did not answer',
  '4.4': 'there is no way to the destination',
  '4.5': 'too much mail at once',
  '4.6': 'the message runs in a circle',
  '4.7': 'the message could not be delivered in time',
  '5.0': 'trouble with the protocol',
  '5.1': 'the server does not take this command',
  '5.2': 'the server could not read the command',
  '5.3': 'too many recipients at once',
  '5.4': 'the server does not take this parameter',
  '5.5': 'the protocol versions do not match',
  '6.0': 'trouble with the content',
  '6.1': 'this kind of content is not supported',
  '6.2': 'the content would have to be converted, and must not be',
  '6.3': 'the content would have to be converted, and cannot be',
  '6.7': 'the address is not ASCII, and the server does not take that',
  '7.0': 'refused for reasons of security or policy',
  '7.1': 'the delivery is not allowed',
  '7.8': 'the login was refused',
  '7.9': 'this way to log in is too weak',
  '7.10': 'encryption is needed',
  '7.11': 'encryption is needed to log in',
  '7.25': 'the sending address has no valid reverse name',
  '7.26': 'the message failed its authentication checks',
  '7.30': 'the message demands TLS, and the server cannot promise that',
};

/** One plain phrase, without a capital and a full stop. An unknown detail is told by its subject. */
export function statusMeaning(status: string): string {
  statusClass(status);
  const rest = status.slice(2);
  return MEANINGS[rest] ?? MEANINGS[`${rest.slice(0, rest.indexOf('.'))}.0`] ?? MEANINGS['0.0']!;
}
