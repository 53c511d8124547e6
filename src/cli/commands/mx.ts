/** `riata mx DOMAIN`. */
import type { Declare } from '../command.js';

export const mxCommand: Declare = (yargs, run) =>
  yargs.command(
    'mx <domain>',
    'Show where mail for a domain goes now',
    (command) =>
      command
        .positional('domain', { type: 'string', demandOption: true, describe: 'Domain of the recipient' })
        .option('refresh', { type: 'boolean', describe: 'Ask the DNS, not the cache' })
        .option('server', { type: 'string', requiresArg: true, describe: 'DNS server to ask: name or address, with :port if it is not 53' })
        .example('$0 mx example.net', 'servers in the order in which they are tried'),
    run(async () => (await import('../mx.js')).mx),
  );
