/** `riata why ID`. */
import type { Declare } from '../command.js';

export const whyCommand: Declare = (yargs, run) =>
  yargs.command(
    'why <id>',
    'Say why a message is where it is',
    (command) =>
      command
        .positional('id', { type: 'string', demandOption: true, describe: 'Id of the message, as the 250 named it' })
        .example('$0 why 01JD4Z6N3T5R8W0XQ2M7VKB9CE', 'what each recipient waits for, and what happens next')
        .epilog('Ends with 66 for an id that is not known. Where no agent runs, it tells what the spool knows.'),
    run(async () => (await import('../why.js')).why),
  );
