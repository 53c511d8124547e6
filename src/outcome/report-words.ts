/**
 * The half of a report that people read: what happened to which mail, to whom, why in the remote's own words, and what
 * they can do.
 *
 * Promises: plain text with CRLF, lines of ordinary width; nothing from outside stands at the start of a line; bounded,
 * however many recipients there are. Must not be read by machines: `report-status.ts` is for them.
 */
import type { Recipient } from '../core/delivery.js';
import type { Message } from '../core/message.js';
import { statusMeaning } from '../core/status.js';
import { decodeWords, mailDate, wrap } from './encoding.js';
import { type ReportKind, reportedStatus } from './report-status.js';
import { clip, isReply, oneLine } from './words.js';

export interface WordsRequest {
  readonly kind: ReportKind;
  readonly hostname: string;
  readonly original: Message;
  /** Undefined where it could not be read. */
  readonly header: Buffer | undefined;
  /** What of the original comes with the report. */
  readonly enclosed: 'nothing' | 'header' | 'message';
  readonly recipients: readonly Recipient[];
}

/** Recipients named one by one; the fields for machines name them all. */
const MAX_NAMED = 50;
const WIDTH = 72;
const HARD_WIDTH = 200;
const MAX_SUBJECT = 300;

export const SUBJECTS: { readonly [kind in ReportKind]: string } = {
  failed: 'Your mail could not be delivered',
  delayed: 'Your mail is delayed, and still being tried',
  relayed: 'Your mail was passed on',
};

/** What the sender can do about it, by subject and detail of the status. */
const ADVICE: Readonly<Record<string, string>> = {
  '1.1': 'Please check the address for a slip.',
  '1.2': 'Please check the address for a slip.',
  '1.3': 'Please check the address for a slip.',
  '1.6': 'Please ask the recipient for the new address.',
  '2.2': 'Please try again later, or reach the recipient in another way.',
  '2.3': 'Please send less at once, or put large files where they can be fetched.',
  '3.4': 'Please send less at once, or put large files where they can be fetched.',
};

export function humanText(request: WordsRequest): string {
  const { kind, original, recipients } = request;
  const many = recipients.length > 1;
  const lines = [
    ...wrap(`This is the mail system at ${request.hostname}.`, WIDTH, HARD_WIDTH),
    '',
    ...wrap(opening(kind, many), WIDTH, HARD_WIDTH),
    '',
    ...aboutMail(original, request.header),
    ...recipients.slice(0, MAX_NAMED).flatMap((recipient) => ['', ...aboutRecipient(recipient, kind, original)]),
    ...(recipients.length > MAX_NAMED ? ['', `... and ${recipients.length - MAX_NAMED} more, all named in the attached report.`] : []),
    '',
    ...wrap(closing(request), WIDTH, HARD_WIDTH),
  ];
  return `${lines.join('\r\n')}\r\n`;
}

function opening(kind: ReportKind, many: boolean): string {
  const whom = many ? 'the recipients below' : 'the recipient below';
  switch (kind) {
    case 'failed':
      return `We are sorry: your mail could not be delivered to ${whom}. It will not be tried again.`;
    case 'delayed':
      return `Your mail has not reached ${whom} yet. You need not do anything: it is tried again until it arrives or expires.`;
    case 'relayed':
      return `As you asked to be told: your mail was accepted by the next server on its way to ${whom}. What becomes of it from there on, that server may or may not tell you.`;
  }
}

function aboutMail(original: Message, header: Buffer | undefined): string[] {
  const subject = header === undefined ? '' : subjectOf(header);
  return [
    ...(subject ? indented(`Subject: ${subject}`) : []),
    ...indented(`Accepted: ${mailDate(original.acceptedAt)}`),
    ...(original.messageId ? indented(`Message-ID: ${clip(oneLine(original.messageId), MAX_SUBJECT)}`) : []),
  ];
}

function aboutRecipient(recipient: Recipient, kind: ReportKind, original: Message): string[] {
  const text = oneLine(recipient.last?.text ?? '');
  const server = recipient.last?.server;
  const where = server ? ` ${oneLine(server).replace(/:[0-9]+$/, '')}` : '';
  const said = isReply(text) ? `The server${where} said:` : `What we found${where && ' at'}${where}:`;
  const words = kind === 'relayed' ? (where ? indented(`Accepted by${where}`) : []) : text ? [...indented(said), ...indented(text, 8)] : [];
  return [`<${clip(oneLine(recipient.address), MAX_SUBJECT)}>`, ...indented(meaning(recipient, kind, original)), ...words];
}

function meaning(recipient: Recipient, kind: ReportKind, original: Message): string {
  if (kind === 'relayed') return '';
  const status = reportedStatus(recipient, kind);
  const phrase = statusMeaning(status);
  const advice = ADVICE[status.slice(2)];
  const sentence = status.endsWith('.0.0') ? '' : `${phrase[0]!.toUpperCase()}${phrase.slice(1)}.`;
  if (kind === 'delayed') return joined(sentence, `It is tried until ${mailDate(original.expiresAt)}.`);
  if (recipient.state === 'expired') return joined(sentence, 'It was tried as long as it may be, and has been given up now.');
  return joined(sentence || 'It was refused for good.', advice);
}

function joined(...sentences: readonly (string | undefined)[]): string {
  return sentences.filter(Boolean).join(' ');
}

function closing({ kind, header, enclosed }: WordsRequest): string {
  const attached = {
    nothing:
      header === undefined
        ? 'A report for machines is attached. The headers of your mail could not be read any more.'
        : 'A report for machines is attached.',
    header: 'A report for machines and the headers of your mail are attached.',
    message: 'A report for machines and your mail are attached.',
  }[enclosed];
  const help = kind === 'failed' ? ' If the reason is not clear to you, please show this message to your postmaster.' : '';
  return `${attached}${help}`;
}

function indented(text: string, by = 4): string[] {
  return wrap(text, WIDTH - by, HARD_WIDTH).map((line) => ' '.repeat(by) + line);
}

/** The first Subject, unfolded and decoded, as one bounded line. */
function subjectOf(header: Buffer): string {
  const found = /(?:^|\r\n)subject:([^\r\n]{0,1000}(?:\r\n[ \t][^\r\n]{0,1000}){0,5})/i.exec(header.toString('utf8'));
  return found ? clip(oneLine(decodeWords(found[1]!.replaceAll('\r\n', ''))), MAX_SUBJECT) : '';
}
