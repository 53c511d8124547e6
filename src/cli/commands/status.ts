/** `riata status ID`. */
import type { Declare } from '../command.js';

export const statusCommand: Declare = (yargs, run) =>
  yargs.command(
    'status <id>',
    'Say what became of a message',
    (command) =>
      command
        .positional('id', { type: 'string', demandOption: true, describe: 'Id of the message, as the 250 named it' })
        .example('$0 status 01JD4Z6N3T5R8W0XQ2M7VKB9CE', 'queued, sent, error or unknown, and each recipient')
        .epilog('Ends with 0 for queued and sent, 69 for error, 66 for unknown.'),
    run(async () => (await import('../status.js')).status),
  );
