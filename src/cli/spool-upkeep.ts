/** `riata spool snapshot` and `compact`: by the agent where one runs, else on the spool at rest. */
import path from 'node:path';
import type { ControlVerbs } from '../control/types.js';
import { compactAtRest, snapshotAtRest } from '../spool/level/upkeep.js';
import type { Cli, Command, Globals } from './command.js';
import { EXIT } from './exit.js';
import { count, number, size } from './format.js';
import { connectAgent, isNotRunning } from './reach.js';
import { spoolAtRest } from './spool-at-rest.js';
import { pairs } from './table.js';

interface SnapshotArgs extends Globals {
  readonly folder: string;
}

export const spoolSnapshot: Command<SnapshotArgs> = async (args, cli) => {
  const { screen } = cli;
  const folder = path.resolve(cli.cwd, args.folder);
  const report = await byAgentOrAtRest(
    args,
    cli,
    (verbs) => verbs.snapshot(folder),
    async () => snapshotAtRest(await spoolAtRest(args, cli), folder, cli.clock),
  );
  if (args.json) screen.json(report);
  else
    screen.print(
      ...pairs(
        [
          ['Copied to', report.folder],
          ['Entries', number(report.entries)],
          ['Bodies', `${count(report.bodyFiles, 'file')}, ${size(report.bodyBytes)}`],
        ],
        screen.columns,
      ),
    );
  return EXIT.ok;
};

export const spoolCompact: Command<Globals> = async (args, cli) => {
  const { screen } = cli;
  const report = await byAgentOrAtRest(
    args,
    cli,
    (verbs) => verbs.compact(),
    async () => compactAtRest(await spoolAtRest(args, cli), cli.clock),
  );
  if (args.json) screen.json(report);
  else screen.print(`The store took ${size(report.before)} and takes ${size(report.after)}.`);
  return EXIT.ok;
};

async function byAgentOrAtRest<T>(
  args: Globals,
  cli: Cli,
  byAgent: (verbs: ControlVerbs) => Promise<T>,
  atRest: () => Promise<T>,
): Promise<T> {
  let verbs: ControlVerbs;
  try {
    verbs = await connectAgent(args, cli);
  } catch (error) {
    if (args.socket !== undefined || !isNotRunning(error)) throw error;
    return atRest();
  }
  try {
    return await byAgent(verbs);
  } finally {
    await verbs.close();
  }
}
