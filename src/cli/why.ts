/** `riata why ID`: what each delivery of a message waits for, and what happens next. */
import { readId } from '../control/reading.js';
import type { Wait, WhyDelivery, WhyReport } from '../control/types.js';
import type { Cli, Command, Globals } from './command.js';
import { EXIT } from './exit.js';
import { age, count, relative } from './format.js';
import { withStatus } from './queue-list.js';
import { withQueue } from './reach.js';
import { pairs, wrap } from './table.js';
import { fit, oneLine } from './visible.js';

/** Recipients named of one delivery. */
const NAMED = 20;

export const why: Command<Globals & { readonly id: string }> = async (args, cli) => {
  const id = readId(args.id);
  return withQueue(args, cli, async (verbs) => {
    const report = await verbs.why(id);
    if (args.json) cli.screen.json(report);
    else cli.screen.print(...whyLines(report, cli));
    return EXIT.ok;
  });
};

function whyLines(report: WhyReport, { screen }: Cli): string[] {
  const { paint } = screen;
  const paints: Readonly<Record<string, (text: string) => string>> = { queued: paint.warn, sent: paint.good };
  return [
    `${report.id}: ${(paints[report.status] ?? paint.bad)(report.status)}`,
    ...report.deliveries.flatMap((delivery) => ['', ...deliveryLines(delivery, report.at, screen)]),
    ...(report.more ? ['', paint.dim('It has more deliveries than these.')] : []),
  ];
}

function deliveryLines(delivery: WhyDelivery, now: number, { paint, columns }: Cli['screen']): string[] {
  const { lane, description, recipients, waits, next, expiresAt, connections = [] } = delivery;
  const title = description === undefined || description === lane ? lane : `${description} (${lane})`;
  const facts: [string, string][] = [
    ...waits.map((wait, i): [string, string] => [i === 0 ? 'Waits' : 'Besides', waitText(wait, now)]),
    ...(next === undefined ? [] : [['Next', timed(next.text, next.at, now)] as [string, string]]),
    ...(delivery.state === 'done' ? [] : [['Priority', priorityText(delivery)] as [string, string]]),
    ...connections.map(({ server, open, busy }): [string, string] => ['Server', `${server}: ${count(open, 'connection')}, ${busy} busy`]),
    ...(expiresAt === undefined ? [] : [['Expires', relative(expiresAt, now)] as [string, string]]),
  ];
  return [
    paint.bold(fit(oneLine(title), columns)),
    ...recipients
      .slice(0, NAMED)
      .flatMap(({ address, state, last }) => [
        `  ${fit(oneLine(`${address}: ${state}${last === undefined ? '' : ` ${relative(last.at, now)}`}`), columns - 2)}`,
        ...(last === undefined ? [] : wrap(oneLine(withStatus(last)), columns - 4).map((line) => `    ${paint.dim(line)}`)),
      ]),
    ...(recipients.length > NAMED ? [`  and ${count(recipients.length - NAMED, 'more recipient')}`] : []),
    ...pairs(
      facts.map(([name, text]) => [name, oneLine(text)] as const),
      columns,
      2,
    ),
  ];
}

function waitText({ text, since, until }: Wait, now: number): string {
  // First: a server may have said a thousand words.
  if (until !== undefined) return until > now ? `${age(until - now)} more: ${text}` : text;
  return since === undefined || since === 0 ? text : `${text}; since ${relative(since, now)}`;
}

function timed(text: string, at: number | undefined, now: number): string {
  return at === undefined ? text : `${text}, ${relative(at, now)}`;
}

function priorityText({ priority, level }: WhyDelivery): string {
  return level === undefined || level === priority ? priority : `${priority}, raised to ${level} by its age`;
}
