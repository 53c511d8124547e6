/** `riata dev`. */
import type { Declare } from '../command.js';

export const devCommand: Declare = (yargs, run) =>
  yargs.command(
    'dev',
    'Run the agent with a made-up internet, to try it out',
    (command) =>
      command
        .option('port', { type: 'string', requiresArg: true, describe: 'Port for SMTP; 0 for any free one. Default: 2587, or a free one' })
        .option('keep', { type: 'boolean', describe: 'Keep the spool, in ./dev-spool; else it is temporary' })
        .example('$0 dev', 'then send mail to ok@dev.test')
        .epilog('Nothing leaves the machine: names and destinations are made up. Recipients of dev.test choose their fate by their name.'),
    run(async () => (await import('../dev.js')).dev),
  );
