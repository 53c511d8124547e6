/**
 * What may differ between a message as it was submitted and as it arrives (G11), said once and exactly. Written without a look at
 * the intake's own code: lines and regular expressions over the whole message.
 *
 *  - All line ends are CRLF, the last line has one.
 *  - `Bcc` and `Resent-Bcc` are gone, with their continuation lines.
 *  - Our `Received` stands on top, and nothing else.
 *  - `Date`, `From` and `Message-ID` stand, in this order, at the end of the header, each only where there was none.
 *  - Where the header ended without a blank line (a line that can be no field followed), there is one; a first line as in a
 *    mailbox file became `X-Mailbox-Line`.
 */
import assert from 'node:assert/strict';
import { HOSTNAME } from './agent.js';

export interface About {
  /** Envelope sender; `''` is the null sender. */
  readonly sender: string;
  readonly hostname?: string;
  /** No `Received` of ours: it came over the control socket. */
  readonly untraced?: true;
}

/** Octets as characters. */
const text = (bytes: Buffer) => bytes.toString('latin1');

const ID = '[0-9A-HJKMNP-TV-Z]{26}';
const DATE = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \\d{1,2} [A-Z][a-z]{2} \\d{4} \\d\\d:\\d\\d:\\d\\d [+]0000';
/** A field name (RFC 5322 §2.2), spaces and the colon. */
const FIELD = /^[!-9;-~]+[ \t]*:/;

/** Throws unless `arrived` is `sent` with nothing but what may be added, changed and dropped. */
export function assertArrived(arrived: Buffer, sent: Buffer, about: About): void {
  const { hostname = HOSTNAME } = about;
  const { header, rest, missing } = reference(text(sent));
  let at = 0;
  let id = ID;
  if (!about.untraced) {
    const trace = traceOf(text(arrived), hostname);
    at = trace.length;
    id = /\bid ([0-9A-Z]{26});/.exec(trace)![1]!;
  }
  const from = about.sender === '' ? `MAILER-DAEMON@${hostname}` : Buffer.from(about.sender).toString('latin1');
  const added = { Date: DATE, From: literally(from), 'Message-ID': `<${id}@${literally(hostname)}>` };
  const fields = missing.map((name) => `${name}: ${added[name]}\r\n`).join('');

  const body = text(arrived).slice(at);
  assertStarts(body, header, 'the header');
  const additions = new RegExp(`^${fields}`).exec(body.slice(header.length));
  assert.ok(additions, `behind the header there is ${quote(body.slice(header.length))}, not ${fields}`);
  assertSame(body.slice(header.length + additions[0].length), rest);
}

type Missing = 'Date' | 'From' | 'Message-ID';

/** The message as it should be stored: what comes before the fields that it lacks, and what comes behind them. */
function reference(sent: string): { header: string; rest: string; missing: Missing[] } {
  const whole = sent.replace(/\r\n|\r|\n/g, '\r\n');
  const lines = whole.split(/(?<=\r\n)/);
  if (lines.length > 0 && lines.at(-1) !== '' && !lines.at(-1)!.endsWith('\r\n')) lines.push(`${lines.pop()!}\r\n`);
  if (/^>*From /.test(lines[0] ?? '') && !FIELD.test(lines[0]!)) lines[0] = `X-Mailbox-Line: ${lines[0]}`;
  const fields: string[][] = [];
  let at = 0;
  for (; at < lines.length; at++) {
    const line = lines[at]!;
    if (FIELD.test(line)) fields.push([line]);
    else if (/^[ \t]/.test(line) && fields.length > 0) fields.at(-1)!.push(line);
    else break;
  }
  const names = new Set(fields.map(([first]) => first!.slice(0, first!.indexOf(':')).trimEnd().toLowerCase()));
  const kept = fields.filter(([first]) => !/^(?:resent-)?bcc[ \t]*:/i.test(first!));
  const rest = lines.slice(at).join('');
  const unended = rest !== '' && !rest.startsWith('\r\n');
  return {
    header: kept.flat().join(''),
    rest: unended ? `\r\n${rest}` : rest,
    missing: (['Date', 'From', 'Message-ID'] as const).filter((name) => !names.has(name.toLowerCase())),
  };
}

/** Our `Received` on top, folded or not. */
function traceOf(arrived: string, hostname: string): string {
  const words = ['from \\S+', '\\(\\[[0-9a-fIPv:.]+\\]\\)', `by ${literally(hostname)}`, 'with (?:UTF8|E)?SMTPS?', `id ${ID};`, DATE];
  const trace = new RegExp(`^Received: ${words.join('(?: |\r\n\t)')}\r\n`).exec(arrived);
  assert.ok(trace, `no Received of ours on top: ${quote(arrived)}`);
  return trace[0];
}

function assertStarts(body: string, expected: string, what: string): void {
  if (!body.startsWith(expected)) assertSame(body.slice(0, expected.length), expected, what);
}

/** Large and binary content is not printed whole: the first difference says more. */
function assertSame(actual: string, expected: string, what = 'the body'): void {
  if (actual === expected) return;
  let at = 0;
  while (at < actual.length && actual[at] === expected[at]) at++;
  const from = Math.max(0, at - 20);
  assert.fail(
    `${what} differs at octet ${at} of ${expected.length}: ${quote(actual.slice(from))} instead of ${quote(expected.slice(from))}`,
  );
}

function quote(some: string): string {
  return JSON.stringify(some.slice(0, 120));
}

function literally(some: string): string {
  return some.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
