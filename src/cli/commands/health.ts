/** `riata health`. */
import type { Declare } from '../command.js';

export const healthCommand: Declare = (yargs, run) =>
  yargs.command(
    'health',
    'Say whether the agent lives and answers',
    (command) =>
      command
        .example('$0 health', 'in a HEALTHCHECK, or a probe that runs a command')
        .epilog('Ends with 0; with 69 where no agent answers within 4 seconds; else with what is wrong, where a restart may help.'),
    run(async () => (await import('../health.js')).health),
  );
