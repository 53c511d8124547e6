/** `riata queue pause|resume`: lanes of which nothing is sent. */
import type { LaneSelector, LanesReport } from '../control/types.js';
import type { Cli, Command, Globals } from './command.js';
import { CliError, EXIT } from './exit.js';
import { count } from './format.js';
import { withAgent } from './reach.js';
import { oneLine } from './visible.js';

export const queuePause: Command<Globals & { readonly lane: string; readonly reason: string | undefined }> = async (args, cli) =>
  withAgent(args, cli, async (verbs) => {
    const report = await verbs.pause({ ...selector(args.lane), ...(args.reason === undefined ? {} : { reason: args.reason }) });
    tell('Paused', report, args.json, cli);
    return EXIT.ok;
  });

export const queueResume: Command<Globals & { readonly lane: string | undefined; readonly all: boolean | undefined }> = async (
  args,
  cli,
) => {
  const { lane, all } = args;
  if ((lane === undefined) === !all) throw new CliError(EXIT.usage, 'which lane? Name it, or its domain, or say --all');
  return withAgent(args, cli, async (verbs) => {
    const report = await verbs.resume(lane === undefined ? { all: true } : selector(lane));
    tell('Resumed', report, args.json, cli);
    return EXIT.ok;
  });
};

/** The key of a lane has a colon, which no domain has. */
function selector(lane: string): Pick<LaneSelector, 'lane' | 'domain'> {
  return lane.includes(':') ? { lane } : { domain: lane };
}

function tell(done: 'Paused' | 'Resumed', report: LanesReport, json: boolean, { screen }: Cli): void {
  const { lanes } = report;
  if (json) screen.json(report);
  else if (lanes.length === 0) screen.print('Nothing there is paused.');
  else if (lanes.length === 1) screen.print(`${done} ${oneLine(lanes[0]!)}.`);
  else screen.print(`${done} ${count(lanes.length, 'lane')}:`, ...lanes.map((lane) => `  ${oneLine(lane)}`));
}
