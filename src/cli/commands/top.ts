/** `riata top`. */
import type { Declare } from '../command.js';

export const topCommand: Declare = (yargs, run) =>
  yargs.command(
    'top',
    'Watch the agent: rates, queue, lanes, connections, last troubles',
    (command) =>
      command
        .option('interval', { alias: 'i', type: 'string', requiresArg: true, default: '1s', describe: 'Look again after so long' })
        .option('lanes', { type: 'string', requiresArg: true, default: '50', describe: 'So many of the deepest lanes' })
        .option('once', { type: 'boolean', describe: 'One look, and no more' })
        .example('$0 top', 'q ends it, p pauses, space looks at once')
        .example('$0 top --once --json', 'one look, for a program')
        .epilog('Where the output is no terminal, it is one look, with rates over the last minute.'),
    run(async () => (await import('../top.js')).top),
  );
