/** `riata serve`: every option of the table is a flag here. */
import { CHAPTERS } from '../../config/catalogue.js';
import type { Declare } from '../command.js';

/** The first sentence of what an option does. */
function first(doc: string): string {
  return /^.*?[.:](?= |$)/.exec(doc)?.[0].slice(0, -1) ?? doc;
}

/** What is empty or off goes without saying. */
function standard(shown: string): string {
  return ['""', '[]', 'false', ''].includes(shown) ? '' : ` [${shown}]`;
}

export const serveCommand: Declare = (yargs, run) =>
  yargs.command(
    'serve',
    'Run the agent',
    (command) => {
      const flags = CHAPTERS.flatMap(({ path, entries }) =>
        entries.map((entry) => ({ ...entry, group: path === '' ? 'General:' : `${path}:` })),
      );
      return flags
        .reduce(
          (so, { flag, option, group }) =>
            // `spool-path` is the --spool that every command has.
            flag === undefined
              ? so
              : so.option(flag, {
                  type: 'string',
                  requiresArg: true,
                  group,
                  describe: first(option.doc) + standard(option.kind.show(option.default)),
                }),
          command,
        )
        .example('$0 serve', 'with ./riata.toml, or without any file')
        .example('$0 serve --config /etc/riata/riata.toml', 'as a service does')
        .example('$0 serve --spool /var/spool/riata --log-format text', 'flags go before the file');
    },
    run(async () => (await import('../serve.js')).serve),
  );
