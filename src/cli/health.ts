/** `riata health`: whether the agent is alive, as `/livez` says it. For health checks of containers, so it loads as little as it can. */
import type { Command, Globals } from './command.js';
import { CliError, EXIT } from './exit.js';
import { withAgent } from './reach.js';

/** Longer than an agent under load takes, shorter than the patience of those who ask. */
const PATIENCE_MS = 4_000;

export const health: Command<Globals> = async (args, cli) => {
  const late = new Promise<never>((_, reject) => {
    const text = `the agent does not answer within ${PATIENCE_MS / 1000} s`;
    cli.clock.after(PATIENCE_MS, () => reject(new CliError(EXIT.unavailable, text)));
  });
  const report = await Promise.race([withAgent(args, cli, (verbs) => verbs.alive()), late]);
  if (args.json) cli.screen.json(report);
  else cli.screen.print('alive');
  return EXIT.ok;
};
