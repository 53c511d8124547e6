/** `riata spool …`. */
import type { Declare } from '../command.js';

export const spoolCommands: Declare = (yargs, run) =>
  yargs.command('spool <command>', 'Look after a spool: verify, copy, move, repair', (spool) =>
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
      .command(
        'snapshot <folder>',
        'Copy a spool as it is now, also while an agent works on it',
        (command) =>
          command
            .positional('folder', { type: 'string', demandOption: true, describe: 'Not there yet, or empty' })
            .example('$0 spool snapshot /backup/riata-monday', 'a copy that can be checked, exported, or started from')
            .epilog('What is queued in the copy is queued in the spool as well: an agent started on the copy sends it a second time.'),
        run(async () => (await import('../spool-upkeep.js')).spoolSnapshot),
      )
      .command(
        'export [file]',
        'Write a spool as one archive, for another machine',
        (command) =>
          command
            .positional('file', { type: 'string', describe: 'Default, and -: standard output' })
            .example('$0 spool export | ssh other riata spool import', 'to another machine')
            .epilog(
              'No agent may run on the spool. It changes nothing: do not start an agent on it afterwards, or its mail is sent twice.',
            ),
        run(async () => (await import('../spool-moves.js')).spoolExport),
      )
      .command(
        'import [file]',
        'Take the mail and the history of an archive into a spool',
        (command) =>
          command
            .positional('file', { type: 'string', describe: 'Default, and -: standard input' })
            .example('$0 spool import riata-monday.archive', 'ids, dates and states stay what they are')
            .epilog('No agent may run on the spool; it is made where there is none. Mail that it knows already is left as it is.'),
        run(async () => (await import('../spool-moves.js')).spoolImport),
      )
      .command(
        'repair',
        'Save what can be saved of a damaged spool, and list the rest',
        (command) =>
          command
            .example('$0 spool repair --spool /var/spool/riata', 'after "spool check" has found damage')
            .epilog(
              'No agent may run on the spool. The damaged store is kept beside the new one. Ends with 0 when nothing was lost, 65 when something was.',
            ),
        run(async () => (await import('../spool-repair.js')).spoolRepair),
      )
      .command(
        'compact',
        'Give back the space of what was deleted',
        (command) =>
          command
            .example('$0 spool compact', 'after very much was removed')
            .epilog('An agent does so by itself when much was deleted; this does it now.'),
        run(async () => (await import('../spool-upkeep.js')).spoolCompact),
      )
      .demandCommand(1, 1, 'Which command?', 'Which command?'),
  );
