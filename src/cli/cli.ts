/**
 * The command line: declares the commands, runs the one that was called, and turns whatever went wrong into one
 * clear message and an exit code of sysexits.
 *
 * Must not: touch the process. Streams, environment and signals come in, the exit code goes out.
 */
import yargs, { type Argv } from 'yargs';
import { nearest } from '../core/nearest.js';
import { version } from '../version.js';
import { type Cli, type Globals, type Run, STDIN } from './command.js';
import { COMMAND_LINE, COMMANDS } from './commands/all.js';
import { CliError, EXIT, exitCode } from './exit.js';
import { asksForHelp, commandOf, helpText } from './help.js';
import { outline } from './outline.js';
import { tell } from './tell.js';
import { visibleLines } from './visible.js';

/** Commands that have commands. */
const GROUPS: ReadonlySet<string> = new Set(['queue', 'config', 'spool', 'user']);
/** Arguments that may come more than once: everywhere, or of one command. */
const REPEATED: ReadonlySet<string> = new Set([
  'id',
  'recipient',
  'to',
  'cc',
  'bcc',
  'attach',
  'token',
  'as',
  'sending',
  'selector',
  'send --tag',
  'send --header',
]);

const WHICH = 'Which command?';
/** Runs one command line. Never rejects: what went wrong was said on standard error. */
export async function runCli(argv: readonly string[], cli: Cli): Promise<number> {
  if (argv[0] === 'sendmail' && !argv.includes('--help')) return asSendmail(argv.slice(1), cli);
  if (asksForHelp(argv)) {
    const root = outline(COMMAND_LINE);
    cli.screen.print(...helpText(root, commandOf(root, argv), cli.screen.columns, cli.screen.paint));
    return EXIT.ok;
  }
  let chosen: (() => Promise<number>) | undefined;
  // Only noted: a handler that returns a promise makes yargs lay out the help text of its command, in case it should be wanted.
  const run: Run = (load) => (args) => {
    chosen = async () => {
      nothingForgotten(args as Readonly<Record<string, unknown>>);
      return (await load())(args, cli);
    };
  };
  const parser = declare(cli, run);
  try {
    const said = await parse(parser, argv);
    if (said.fault !== undefined)
      return usage(cli, said.fault, said.words.length > 1 ? said.words : argv.filter((word) => !word.startsWith('-')));
    if (said.output !== '') cli.screen.print(said.output);
    return chosen === undefined ? EXIT.ok : await chosen();
  } catch (error) {
    tell(cli, error);
    return exitCode(error);
  }
}

/** Its flags are read as sendmail(1) reads them. */
async function asSendmail(argv: readonly string[], cli: Cli): Promise<number> {
  try {
    return await (await import('./sendmail.js')).sendmail(argv, cli);
  } catch (error) {
    tell(cli, error, 'sendmail:');
    return exitCode(error);
  }
}

function declare(cli: Cli, run: Run): Argv<Globals> {
  const base = yargs()
    .scriptName('riata')
    .usage(`$0 <command>\n\n${COMMAND_LINE.about}`)
    .parserConfiguration({ 'greedy-arrays': false, 'parse-numbers': false, 'parse-positional-numbers': false, 'dot-notation': false })
    .exitProcess(false)
    .strict()
    .wrap(Math.min(cli.screen.columns, 100));
  const known: Argv<Globals> = COMMAND_LINE.globals(base)
    .help()
    .alias('help', 'h')
    .version(version())
    .alias('version', 'V')
    .recommendCommands()
    .demandCommand(1, 1, WHICH, WHICH)
    .epilog(COMMAND_LINE.epilog);
  return COMMAND_LINE.commands(known, run);
}

/**
 * What yargs would pass over without a word: of a filter given twice one is forgotten, and what stands behind `--` is looked
 * at by nobody. Where mail is removed, neither may happen. (Its own `check` tells, and then runs the command all the same.)
 */
function nothingForgotten(args: Readonly<Record<string, unknown>>): void {
  const words = args['_'] as readonly unknown[];
  for (const [name, value] of Object.entries(args)) {
    const repeated = REPEATED.has(name) || REPEATED.has(`${words[0]} --${name}`);
    if (Array.isArray(value) && name !== '_' && !repeated) throw new CliError(EXIT.usage, `--${name} was given more than once`);
  }
  const extra = words[GROUPS.has(String(words[0])) ? 2 : 1];
  if (extra !== undefined) throw new CliError(EXIT.usage, `what is ${JSON.stringify(extra)} for? Nothing is expected there`);
}

interface Said {
  readonly output: string;
  readonly fault?: string;
  /** What stood there besides options. */
  readonly words: readonly string[];
}

/** yargs tells of help and of wrong usage through its callback. */
async function parse(parser: Argv<Globals>, argv: readonly string[]): Promise<Said> {
  let said: Said = { output: '', words: [] };
  // yargs drops a lone dash that stands for a positional.
  const words = argv.map((word) => (word === '-' ? STDIN : word));
  await parser.parseAsync(words, {}, (error: Error | undefined, args: unknown, output: string) => {
    const found = (args as { readonly _?: readonly unknown[] } | undefined)?._ ?? [];
    said = { output, words: found.map(String), ...(error ? { fault: error.message } : {}) };
  });
  return said;
}

function usage(cli: Cli, fault: string, [name, second]: readonly string[]): number {
  const known = name !== undefined && Object.hasOwn(COMMANDS, name);
  const group = known && GROUPS.has(name);
  const what =
    !known && name !== undefined
      ? noCommand([], name, Object.keys(COMMANDS))
      : group && second === undefined
        ? WHICH
        : group && !commandsOf(name).includes(second!)
          ? noCommand([name], second!, commandsOf(name))
          : plain(fault);
  const command = !known ? '' : group && second !== undefined && commandsOf(name).includes(second) ? `${name} ${second} ` : `${name} `;
  cli.screen.say(`riata: ${visibleLines(what)}`, `Try "riata ${command}--help".`);
  return EXIT.usage;
}

/** What yargs says, in plain words. */
function plain(fault: string): string {
  if (fault.startsWith('Not enough non-option arguments')) return 'something is missing';
  const [, following] = /^Not enough arguments following: (.+)$/.exec(fault) ?? [];
  if (following !== undefined) return `--${following} needs a value`;
  const [, name, given, choices] = /^Invalid values:\s+Argument: (.+?), Given: (.+), Choices: (.+)$/s.exec(fault) ?? [];
  if (name !== undefined) return `${given} cannot be the ${name}: it is one of ${choices!.replaceAll('"', '')}`;
  return fault;
}

function noCommand(group: readonly string[], name: string, among: readonly string[]): string {
  const meant = nearest(name, among);
  const whole = (word: string) => JSON.stringify([...group, word].join(' '));
  return `there is no command ${whole(name)}${meant === undefined ? '' : `: did you mean ${whole(meant)}?`}`;
}

/** Of a command that has commands. */
function commandsOf(group: string): readonly string[] {
  const found = outline(COMMAND_LINE).commands.find(({ path }) => path[0] === group);
  return found?.commands.map(({ path }) => path.at(-1)!) ?? [];
}
