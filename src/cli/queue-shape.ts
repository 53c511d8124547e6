/** `riata queue shape`: how old what waits is, by domain, as qshape(1) shows it. */
import type { ShapeReport, ShapeRow } from '../control/types.js';
import type { Cli, Command, Globals } from './command.js';
import type { FilterArgs } from './commands/queue.js';
import { EXIT } from './exit.js';
import { number } from './format.js';
import { withQueue } from './reach.js';
import { wholeNumber } from './selection.js';
import { type Row, table } from './table.js';

interface ShapeArgs extends Globals {
  readonly senders: boolean | undefined;
  readonly state: FilterArgs['state'];
  readonly domains: string;
}

export const queueShape: Command<ShapeArgs> = async (args, cli) => {
  const domains = wholeNumber('--domains', args.domains, 10_000);
  return withQueue(args, cli, async (verbs) => {
    const report = await verbs.shape({
      by: args.senders ? 'sender' : 'recipient',
      now: cli.clock.now(),
      domains,
      ...(args.state === undefined ? {} : { state: args.state }),
    });
    if (args.json) cli.screen.json(report);
    else if (report.all.total === 0) cli.screen.print(args.state === undefined ? 'The queue is empty.' : `Nothing is ${args.state}.`);
    else cli.screen.print(...lines(report, cli));
    return EXIT.ok;
  });
};

function lines(report: ShapeReport, { screen }: Cli): string[] {
  const { agesMinutes, all, domains, others } = report;
  const oldest = agesMinutes.at(-1);
  const columns = [
    { title: report.by === 'sender' ? 'SENDER' : 'DOMAIN', shrink: 12 },
    ...['ALL', ...agesMinutes.map(String), `${oldest}+`].map((title) => ({ title, align: 'right' as const })),
  ];
  const row = (name: string, { total, byAge }: ShapeRow): Row => ({
    cells: [name, ...[total, ...byAge].map((value) => (value === 0 ? { text: '·', paint: screen.paint.dim } : String(value)))],
  });
  const rows = [row('TOTAL', all), ...domains.map((each) => row(each.domain, each))];
  if (others.domains > 0) rows.push(row(`and ${number(others.domains)} more`, others));
  return table(columns, rows, screen.columns, screen.paint.bold);
}
