/**
 * The help of a command, from the outline of the command line: examples stand on lines of their own, to be copied, and what every
 * command has comes last. Pure.
 */
import type { CommandOutline, OptionOutline, PositionalOutline } from './outline.js';
import type { Palette } from './screen.js';
import { wrap } from './table.js';
import { width } from './visible.js';

/** Whether help is asked for, before a `--` that ends the options. */
export function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end < 0 ? argv.length : end).some((word) => word === '--help' || word === '-h');
}

/** The command that a command line names, as far as it names one. */
export function commandOf(root: CommandOutline, argv: readonly string[]): CommandOutline {
  let found = root;
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (word.startsWith('-')) {
      const option = [...found.options, ...root.options].find(({ name, alias }) => word === `--${name}` || word === `-${alias}`);
      if (option?.takesValue) at++;
      continue;
    }
    const below = found.commands.find(({ path }) => path.at(-1) === word);
    if (below === undefined) break;
    found = below;
  }
  return found;
}

/** Descriptions do not begin further to the right than this. */
const WIDEST_NAME = 28;
/** Nor further to the left, where some stand below their names. */
const LEAST_BELOW = 24;

export function helpText(root: CommandOutline, command: CommandOutline, columns: number, paint: Palette): string[] {
  const room = Math.min(columns, 100);
  const section = (title: string, lines: readonly string[]) => (lines.length === 0 ? [] : ['', paint.bold(title), ...lines]);
  const groups = [...new Set(command.options.map(({ group }) => group))];
  const own =
    command === root
      ? []
      : groups.flatMap((group) =>
          section(
            group?.replace(/:$/, '') ?? 'Options',
            options(
              command.options.filter((each) => each.group === group),
              room,
            ),
          ),
        );
  return [
    paint.bold(usage(command)),
    ...wrap(`${command.describe}${/[.…]$/.test(command.describe) ? '' : '.'}`, room),
    ...section(
      'Commands',
      listed(
        command.commands.map((below) => [named(below, command.path.length), below.describe]),
        room,
      ),
    ),
    ...section(
      'Arguments',
      listed(
        command.positionals.map(({ name, describe, choices }) => [name, withChoices(describe, choices)]),
        room,
      ),
    ),
    ...own,
    ...section(command === root ? 'Options' : 'Options of every command', options(root.options, room)),
    ...section(
      'Examples',
      command.examples.flatMap(([line, about]) => [
        ...wrap(`${about}:`, room - 2).map((text) => `  ${paint.dim(text)}`),
        `    ${line.replaceAll('$0', 'riata')}`,
      ]),
    ),
    ...(command.epilog === '' ? [] : ['', ...wrap(command.epilog, room)]),
  ];
}

function usage({ path, positionals, commands, options: own }: CommandOutline): string {
  return ['riata', ...path, ...(commands.length > 0 ? ['<command>'] : own.length > 0 ? ['[options]'] : []), ...positionals.map(place)].join(
    ' ',
  );
}

/** `list [id...]`, or `queue <command>`. */
function named({ path, positionals, commands }: CommandOutline, from: number): string {
  return [...path.slice(from), ...(commands.length > 0 ? ['<command>'] : []), ...positionals.map(place)].join(' ');
}

function place({ name, required, many }: PositionalOutline): string {
  const text = many ? `${name}...` : name;
  return required ? `<${text}>` : `[${text}]`;
}

function options(all: readonly OptionOutline[], room: number): string[] {
  return listed(
    all.map((option) => {
      const value = !option.takesValue ? '' : option.file ? ' FILE' : option.choices.length > 0 ? ' WORD' : ' VALUE';
      const spelled = `${option.alias === undefined ? '    ' : `-${option.alias}, `}--${option.name}${value}`;
      const standard = option.default === undefined ? '' : ` (default: ${option.default})`;
      return [spelled, withChoices(option.describe, option.choices) + standard];
    }),
    room,
  );
}

function withChoices(describe: string, choices: readonly string[]): string {
  return choices.length === 0 ? describe : `${describe}: ${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
}

/** Names and what they are; a name that is too long has its description below it. */
function listed(entries: readonly (readonly [name: string, about: string])[], room: number): string[] {
  const widths = entries.map(([name]) => width(name));
  const fitting = Math.max(...widths.filter((each) => each <= WIDEST_NAME), 0);
  const short = widths.some((each) => each > WIDEST_NAME) ? Math.max(fitting, LEAST_BELOW) : fitting;
  return entries.flatMap(([name, about]) => {
    const lines = wrap(about, room - short - 4);
    const left = ' '.repeat(short + 4);
    if (width(name) > short) return [`  ${name}`, ...lines.map((line) => left + line)];
    return lines.map((line, i) => (i === 0 ? `  ${name}${' '.repeat(short - width(name))}  ${line}` : left + line));
  });
}
