/** `riata spool repair`: saves what can be saved of a damaged spool, and lists the rest. */
import { repairSpool } from '../spool/level/repair.js';
import type { Command, Globals } from './command.js';
import { EXIT } from './exit.js';
import { count } from './format.js';
import { Losses, movedPairs, movedSoFar, spoolAtRest, whileAtRest } from './spool-at-rest.js';
import { pairs } from './table.js';

export const spoolRepair: Command<Globals> = async (args, cli) => {
  const { screen } = cli;
  const spoolPath = await spoolAtRest(args, cli);
  const losses = new Losses();
  const report = await whileAtRest(
    'a spool is repaired at rest: stop the agent first',
    () => repairSpool(spoolPath, { clock: cli.clock, lost: losses.add, progress: (now) => screen.progress(movedSoFar(now)) }),
    cli,
  );
  if (args.json) screen.json({ spool: spoolPath, ...report, losses: losses.all });
  else if (report.sound) screen.print(screen.paint.good('Nothing is wrong with it; nothing was changed.'));
  else {
    const contents: [string, string][] =
      report.contentsKept === 0 ? [] : [['Contents kept', `${count(report.contentsKept, 'file')} in lost/, whose records are gone`]];
    screen.print(
      ...pairs(
        [['Repaired', spoolPath], ...movedPairs(report.saved), ...contents, ['Damaged store', `${report.kept}, to be deleted by you`]],
        screen.columns,
      ),
      ...losses.lines(cli),
    );
  }
  return losses.all.length === 0 ? EXIT.ok : EXIT.data;
};
