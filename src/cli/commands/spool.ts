/** `riata spool …`. */
import type { Declare } from '../command.js';

export const spoolCommands: Declare = (yargs, run) =>
  yargs.command('spool <command>', 'Look after a spool at rest', (spool) =>
    spool
      .command(
        'check',
        'Verify every record and every body of a spool',
        (command) =>
          command
            .example('$0 spool check --spool /var/spool/riata', 'after a disk has failed')
            .epilog('No agent may run on the spool. It changes nothing. Ends with 0 when all is well, 65 when damage was found.'),
        run(async () => (await import('../spool-check.js')).spoolCheck),
      )
      .demandCommand(1, 1, 'Which command?', 'Which command?'),
  );
