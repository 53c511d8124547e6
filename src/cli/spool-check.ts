/** `riata spool check`: verifies a spool at rest, and says what it found. */
import { checkSpool, type SpoolReport } from '../spool/level/check.js';
import type { Cli, Command, Globals } from './command.js';
import { EXIT } from './exit.js';
import { count, number, size } from './format.js';
import { spoolAtRest, whileAtRest } from './spool-at-rest.js';
import { pairs, wrap } from './table.js';
import { oneLine } from './visible.js';

/** Problems told on a screen; JSON has them all. */
const SHOWN = 20;
const BUSY = 'a spool is checked at rest: stop the agent first, or check a copy ("riata spool snapshot")';

export const spoolCheck: Command<Globals> = async (args, cli) => {
  const { screen, clock } = cli;
  const spoolPath = await spoolAtRest(args, cli);
  const progress = (what: string, done: number) => screen.progress(`${what}: ${number(done)}`);
  const report = await whileAtRest(BUSY, () => checkSpool(spoolPath, { clock, progress }), cli);
  if (args.json) screen.json(report);
  else screen.print(...lines(report, cli));
  return report.problemCount === 0 ? EXIT.ok : EXIT.data;
};

function lines(report: SpoolReport, { screen }: Cli): string[] {
  const { paint, columns } = screen;
  const sums = pairs(
    [
      ['Spool', `${report.folder}, format ${report.format}`],
      ['Messages', number(report.messages)],
      [
        'Deliveries',
        `${number(report.deliveries)}: ${number(report.ready)} ready, ${number(report.waiting)} waiting, ${number(report.held)} held`,
      ],
      ['Lanes', number(report.lanes)],
      ['History', count(report.history, 'delivery', 'deliveries')],
      ['Bodies', `${size(report.bodyBytes)} verified, ${count(report.bodyFiles, 'file')}`],
      ...(report.stale > 0 ? ([['Left over', `${count(report.stale, 'index entry', 'index entries')}, which do no harm`]] as const) : []),
    ],
    columns,
  );
  if (report.problemCount === 0) return [...sums, paint.good('Nothing is wrong with it.')];
  const problems = report.problems
    .slice(0, SHOWN)
    .flatMap(({ code, id, text }) => wrap(oneLine(`${code}${id === undefined ? '' : ` ${id}`}: ${text}`), columns));
  const more = report.problemCount - Math.min(report.problems.length, SHOWN);
  return [
    ...sums,
    paint.bad(`${count(report.problemCount, 'problem')}:`),
    ...problems,
    ...(more > 0 ? [`and ${count(more, 'more problem')}: --json tells of the first ${number(report.problems.length)}`] : []),
  ];
}
