/**
 * Recipients of the recording destination choose their fate by their local part: `defer-450@dev.test`,
 * `fail-550+any.tag@dev.test`. One table, read by the sink and shown by `riata dev`. Whoever is not in it is accepted.
 */
import type { Act } from './act.js';

/** Where in a transaction a fate strikes: at RCPT, in the answer to DATA, or in the answer to the final dot; at MAIL the sender's counts. */
export type FateStage = 'mail' | 'rcpt' | 'data' | 'dot';

export interface Fate {
  /** As it is written before the `@`; `4xx` and `5xx` stand for any such code. A tag may follow: `+`, `-`, `.` or `_` and anything. */
  readonly name: string;
  readonly stage: FateStage;
  /** One line for people. */
  readonly does: string;
  readonly act: (about: {
    readonly code: number;
    readonly first: boolean;
    readonly repeated: boolean;
    readonly slowMs: number;
  }) => Act | undefined;
}

const drop = { drop: 'end' } as const;

export const FATES: readonly Fate[] = [
  { name: 'ok', stage: 'rcpt', does: 'is accepted, as anybody who is not in this table', act: () => undefined },
  { name: 'defer-4xx', stage: 'rcpt', does: 'is deferred at RCPT with this code', act: ({ code }) => refusal(code) },
  { name: 'fail-5xx', stage: 'rcpt', does: 'is refused at RCPT with this code', act: ({ code }) => refusal(code) },
  {
    name: 'once-4xx',
    stage: 'rcpt',
    does: 'is deferred the first time, accepted from then on',
    act: ({ code, repeated }) => (repeated ? undefined : refusal(code)),
  },
  {
    name: 'too-many',
    stage: 'rcpt',
    does: 'is one recipient too many (452 4.5.3), unless it is the first',
    act: ({ first }) => (first ? undefined : '452 4.5.3 too many recipients'),
  },
  { name: 'garbage', stage: 'rcpt', does: 'is answered at RCPT with something that is not SMTP', act: () => 'what?! \x07 250 2.1.5 Ok' },
  { name: 'hang', stage: 'rcpt', does: 'is not answered at RCPT', act: () => ({ hang: true }) },
  { name: 'drop-at-rcpt', stage: 'rcpt', does: 'loses the connection at RCPT', act: () => drop },
  { name: 'defer-at-data', stage: 'data', does: 'has DATA deferred', act: () => '451 4.3.0 not now' },
  { name: 'reject-at-data', stage: 'data', does: 'has DATA refused', act: () => '554 5.7.1 no message wanted' },
  { name: 'drop-at-data', stage: 'data', does: 'loses the connection at DATA', act: () => drop },
  { name: 'defer-at-dot', stage: 'dot', does: 'has the message deferred after its final dot', act: () => '451 4.3.0 not now' },
  { name: 'fail-at-dot', stage: 'dot', does: 'has the message refused after its final dot', act: () => '554 5.6.0 not this message' },
  {
    name: 'slow',
    stage: 'dot',
    does: 'is accepted, with an answer that takes its time',
    act: ({ slowMs }) => [{ waitMs: slowMs }, '250 2.0.0 Ok, at last'],
  },
  { name: 'hang-at-dot', stage: 'dot', does: 'is not answered after the final dot; nothing is kept', act: () => ({ hang: true }) },
  {
    name: 'garbage-at-dot',
    stage: 'dot',
    does: 'is answered after the final dot with something that is not SMTP; nothing is kept',
    act: () => 'OK 250',
  },
  { name: 'drop-at-dot', stage: 'dot', does: 'loses the connection after the final dot; nothing is kept', act: () => drop },
  {
    name: 'drop-after-dot',
    stage: 'dot',
    does: 'is accepted and kept, and the connection lost before the answer',
    act: () => [{ accept: true }, drop],
  },
  { name: 'defer-at-mail', stage: 'mail', does: 'as a sender: is deferred at MAIL', act: () => '451 4.3.0 not now' },
  { name: 'fail-at-mail', stage: 'mail', does: 'as a sender: is refused at MAIL', act: () => '550 5.7.1 not from you' },
  { name: 'drop-at-mail', stage: 'mail', does: 'as a sender: loses the connection at MAIL', act: () => drop },
];

/** The fate an address chose, with the code in its name (0 where there is none). */
export function fateOf(address: string): { readonly fate: Fate; readonly code: number } | undefined {
  const localPart = address.slice(0, Math.max(0, address.lastIndexOf('@'))).toLowerCase();
  for (const [pattern, fate] of PATTERNS) {
    const match = pattern.exec(localPart);
    if (match) return { fate, code: Number(match[1] ?? 0) };
  }
  return undefined;
}

const PATTERNS = FATES.map((fate) => [new RegExp(`^${fate.name.replace(/([45])xx$/, '($1\\d\\d)')}(?:[-+._].*)?$`, 's'), fate] as const)
  // The longest name first: `hang-at-dot` is not `hang` with a tag.
  .sort(([, a], [, b]) => b.name.length - a.name.length);

const STATUSES: Readonly<Record<number, string>> = { 421: '4.3.2', 450: '4.2.0', 452: '4.3.1', 550: '5.1.1', 552: '5.2.2', 553: '5.1.3' };

function refusal(code: number): string {
  const status = STATUSES[code] ?? `${Math.floor(code / 100)}.0.0`;
  return `${code} ${status} ${code < 500 ? 'not now' : 'no such luck'}, as the recipient asked for`;
}
