/** `riata config …`. */
import type { Declare } from '../command.js';

export const configCommands: Declare = (yargs, run) =>
  yargs.command('config <command>', 'Look at the configuration', (config) =>
    config
      .command(
        'check',
        'Say everything that is wrong with the configuration',
        (command) =>
          command.example('$0 config check --config riata.toml', 'before a restart').epilog('Ends with 0 when nothing is wrong, else 78.'),
        run(async () => (await import('../config-commands.js')).configCheck),
      )
      .command(
        'show',
        'Show the settings that count, and where each comes from',
        (command) =>
          command
            .option('defaults', { type: 'boolean', describe: 'Those that have their default, too' })
            .example('$0 config show', 'what was set, and where')
            .example('$0 config show --defaults', 'everything'),
        run(async () => (await import('../config-commands.js')).configShow),
      )
      .command(
        'env',
        'List the variables of the environment, and what each setting is now',
        (command) =>
          command
            .example('$0 config env', 'names to use in a container')
            .epilog(
              'Lists are comma-separated in the environment. [_FILE]: the variable with _FILE behind it names a file with the value.',
            ),
        run(async () => (await import('../config-commands.js')).configEnv),
      )
      .demandCommand(1, 1, 'Which command?', 'Which command?'),
  );
