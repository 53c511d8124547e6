/** `riata config check` and `riata config show`. */
import { describeConfig, describeVariables } from '../config/describe.js';
import { printable } from '../core/printable.js';
import type { Command, Globals } from './command.js';
import { EXIT } from './exit.js';
import { configFile, settings } from './settings.js';
import { table } from './table.js';

/** What is wrong comes as an error of `settings`, all of it at once. */
export const configCheck: Command<Globals> = async (args, cli) => {
  const { warnings } = settings(args, cli);
  const file = configFile(args, cli) ?? cli.env['RIATA_CONFIG'];
  if (args.json) {
    for (const warning of warnings) cli.screen.json({ level: 'warning', ...warning });
    return EXIT.ok;
  }
  for (const { message } of warnings) cli.screen.print(`${cli.screen.paint.warn('warning:')} ${printable(message)}`);
  cli.screen.print(file ? `${printable(file)}: nothing is wrong.` : 'No configuration file; defaults and environment: nothing is wrong.');
  return EXIT.ok;
};

export const configShow: Command<Globals & { readonly defaults: boolean | undefined }> = async (args, cli) => {
  const { screen } = cli;
  const options = describeConfig(settings(args, cli), { secrets: false }).filter((option) => args.defaults || option.source !== 'default');
  if (args.json) {
    for (const option of options) screen.json(option);
    return EXIT.ok;
  }
  if (options.length === 0) {
    screen.print('Everything has its default: --defaults shows them.');
    return EXIT.ok;
  }
  const columns = [{ title: 'SETTING' }, { title: 'VALUE', shrink: 16 }, { title: 'FROM', shrink: 12 }];
  const rows = options.map(({ path, value, source }) => ({ cells: [path, value, { text: source, paint: screen.paint.dim }] }));
  screen.print(...table(columns, rows, screen.columns, screen.paint.bold));
  return EXIT.ok;
};

export const configEnv: Command<Globals> = async (args, cli) => {
  const { screen } = cli;
  const variables = describeVariables(settings(args, cli), cli.env['RIATA_CONFIG'] ?? '');
  if (args.json) {
    for (const variable of variables) screen.json(variable);
    return EXIT.ok;
  }
  const columns = [{ title: 'VARIABLE' }, { title: 'VALUE NOW', shrink: 12 }, { title: 'FROM', shrink: 12 }];
  const rows = variables.map(({ variable, file, value, source }) => {
    const own = source === variable || source === `${variable}_FILE`;
    const from = own ? { text: 'environment', paint: screen.paint.good } : { text: source, paint: screen.paint.dim };
    return { cells: [file ? `${variable}[_FILE]` : variable, value, from] };
  });
  screen.print(...table(columns, rows, screen.columns, screen.paint.bold));
  return EXIT.ok;
};
