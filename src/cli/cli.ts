/**
 * The command line: declares the commands, runs the one that was called, and turns whatever went wrong into one
 * clear message and an exit code of sysexits.
 *
 * Must not: touch the process. Streams, environment and signals come in, the exit code goes out.
 */
import yargs, { type Argv } from 'yargs';
import type { Cli, Declare, Globals, Run } from './command.js';
import { configCommands } from './commands/config.js';
import { devCommand } from './commands/dev.js';
import { mxCommand } from './commands/mx.js';
import { queueCommands } from './commands/queue.js';
import { sendCommand } from './commands/send.js';
import { serveCommand } from './commands/serve.js';
import { statusCommand } from './commands/status.js';
import { CliError, EXIT, exitCode } from './exit.js';
import { version } from '../version.js';
import { visibleLines } from './visible.js';

const COMMANDS: readonly Declare[] = [
  serveCommand,
  devCommand,
  queueCommands,
  statusCommand,
  sendCommand,
  mxCommand,
  configCommands,
];

const EPILOG = `Settings come from flags, then the environment (RIATA_SPOOL_PATH for spool.path), then the file of --config, RIATA_CONFIG,
./riata.toml or /etc/riata/riata.toml, then defaults. Exit codes are those of sysexits.`.replace(/\s+/g, ' ');

/** Runs one command line. Never rejects: what went wrong was said on standard error. */
export async function runCli(argv: readonly string[], cli: Cli): Promise<number> {
  let code: number = EXIT.ok;
  const run: Run = (load) => async (args) => {
    code = await (await load())(args, cli);
  };
  const parser = declare(cli, run);
  try {
    const said = await parse(parser, argv);
    if (said.fault !== undefined) return usage(cli, said.fault, said.command);
    if (said.output !== '') cli.screen.print(said.output);
    return code;
  } catch (error) {
    tell(cli, error);
    return exitCode(error);
  }
}

function declare(cli: Cli, run: Run): Argv<Globals> {
  const base: Argv<Globals> = yargs()
    .scriptName('riata')
    .usage('$0 <command>\n\nA self-contained mail transfer agent.')
    .parserConfiguration({ 'greedy-arrays': false, 'parse-numbers': false, 'parse-positional-numbers': false, 'dot-notation': false })
    .exitProcess(false)
    .strict()
    .wrap(Math.min(cli.screen.columns, 100))
    .option('config', { type: 'string', requiresArg: true, global: true, describe: 'Configuration file' })
    .option('spool', { type: 'string', requiresArg: true, global: true, describe: 'Folder of the spool' })
    .option('socket', { type: 'string', requiresArg: true, global: true, describe: "The running agent's control socket" })
    .option('json', { type: 'boolean', default: false, global: true, describe: 'JSON lines instead of tables' })
    .option('color', { type: 'boolean', default: true, global: true, describe: 'Colours on a terminal; --no-color, or NO_COLOR set, for none' })
    .check(givenOnce, true)
    .help()
    .alias('help', 'h')
    .version(version())
    .alias('version', 'V')
    .recommendCommands()
    .demandCommand(1, 1, 'Which command?', 'Which command?')
    .epilog(EPILOG);
  return COMMANDS.reduce((so, command) => command(so, run), base);
}

/** Only positionals may be given several times: of a filter given twice, one would be forgotten without a word. */
function givenOnce(args: Readonly<Record<string, unknown>>): true {
  for (const [name, value] of Object.entries(args)) {
    if (Array.isArray(value) && name !== '_' && !POSITIONALS.has(name)) throw new CliError(EXIT.usage, `--${name} was given more than once`);
  }
  return true;
}

const POSITIONALS: ReadonlySet<string> = new Set(['id', 'recipient']);

interface Said {
  readonly output: string;
  readonly fault?: string;
  readonly command: string;
}

/** yargs tells of help and of wrong usage through its callback; what a command throws comes as a rejection. */
async function parse(parser: Argv<Globals>, argv: readonly string[]): Promise<Said> {
  let said: Said = { output: '', command: '' };
  await parser.parseAsync([...argv], {}, (error: Error | undefined, args: unknown, output: string) => {
    const command = (args as { _?: unknown[] } | undefined)?._?.join(' ') ?? '';
    said = { output, command, ...(error ? { fault: error.message } : {}) };
  });
  return said;
}

function usage(cli: Cli, fault: string, command: string): number {
  cli.screen.say(`riata: ${visibleLines(fault)}`, `Try "riata ${command === '' ? '' : `${command} `}--help".`);
  return EXIT.usage;
}

function tell(cli: Cli, error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  cli.screen.say(`${cli.screen.paint.bad('riata:')} ${visibleLines(message)}`);
  // A fault of our own: whoever reports it needs to know where.
  if (exitCode(error) === EXIT.software && error instanceof Error && error.stack) cli.screen.say(visibleLines(error.stack));
}
