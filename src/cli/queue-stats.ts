/** `riata queue stats`: how deep the queue is, what it waits for, what is connected. */
import type { StatsReport } from '../control/types.js';
import type { Cli, Command, Globals } from './command.js';
import { EXIT } from './exit.js';
import { count, duration, number, size, until } from './format.js';
import { withQueue } from './reach.js';
import { wholeNumber } from './selection.js';
import { pairs, table } from './table.js';

export const queueStats: Command<Globals & { readonly lanes: string }> = async (args, cli) => {
  const lanes = wholeNumber('--lanes', args.lanes, 10_000);
  return withQueue(args, cli, async (verbs) => {
    const report = await verbs.stats({ lanes });
    if (args.json) cli.screen.json(report);
    else cli.screen.print(...lines(report, cli));
    return EXIT.ok;
  });
};

function lines(report: StatsReport, { screen, clock }: Cli): string[] {
  const { counts, lanes, connections, sites } = report;
  const { paint, columns } = screen;
  const out = pairs(
    [
      ['Messages', number(counts.messages)],
      ['Deliveries', `${number(counts.ready)} ready, ${number(counts.sending)} being sent, ${number(counts.waiting)} waiting, ${number(counts.held)} held`],
      ['Lanes', number(counts.lanes)],
      ...(counts.freeBytes === undefined ? [] : ([['Room', `${size(counts.freeBytes)} until intake closes`]] as const)),
      ['Agent', report.uptimeMs > 0 ? `up ${duration(report.uptimeMs)}` : 'none runs: the spool was read'],
      ...Object.entries(report.metrics).map(([name, value]) => [words(name), rate(value, report.uptimeMs)] as const),
    ],
    columns,
  );
  if (lanes.length > 0) {
    const cells = lanes.map((lane) => ({ cells: [lane.lane, number(lane.ready), number(lane.waiting), number(lane.held)] }));
    const heads = [
      { title: 'LANE', shrink: 20 },
      { title: 'READY', align: 'right' },
      { title: 'WAITING', align: 'right' },
      { title: 'HELD', align: 'right' },
    ] as const;
    out.push('', ...table(heads, cells, columns, paint.bold));
    if (counts.lanes > lanes.length) out.push(paint.dim(`and ${count(counts.lanes - lanes.length, 'more lane')}: --lanes ${counts.lanes}`));
  }
  if (connections.length > 0) {
    const cells = connections.map(({ server, open, busy }) => ({ cells: [server, number(open), number(busy)] }));
    const heads = [{ title: 'SERVER', shrink: 20 }, { title: 'OPEN', align: 'right' }, { title: 'BUSY', align: 'right' }] as const;
    out.push('', ...table(heads, cells, columns, paint.bold));
  }
  if (sites.length > 0) {
    const now = clock.now();
    const cells = sites.map(({ site, backingOffUntil, trouble }) => ({
      cells: [site, until(backingOffUntil, now)],
      below: [{ text: trouble, indent: 4, paint: paint.dim }],
    }));
    out.push('', ...table([{ title: 'SITE IN TROUBLE', shrink: 20 }, { title: 'NEXT', align: 'right' }], cells, columns, paint.bold));
  }
  return out;
}

/** `deliveredBytes` becomes `Delivered bytes`. */
function words(name: string): string {
  const spaced = name.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}

function rate(value: number, uptimeMs: number): string {
  const perSecond = uptimeMs > 0 ? value / (uptimeMs / 1000) : 0;
  return value > 0 && perSecond >= 0.05 ? `${number(value)} (${perSecond.toFixed(1)}/s)` : number(value);
}
