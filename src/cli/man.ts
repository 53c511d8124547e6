/** The manual page riata(1), made from the outline of the command line; `npm run man` writes it, and every build does. Pure. */
import { version } from '../version.js';
import { COMMAND_LINE } from './commands/all.js';
import { EXIT } from './exit.js';
import { type CommandOutline, leaves, type OptionOutline, outline } from './outline.js';
import { wrap } from './table.js';

const DESCRIPTION = [
  `Riata takes mail over SMTP or from a program, answers when it is safe on disk, and delivers each message at its time, in order of
  priority, straight to the servers of its recipients or through a relay. It tries again what fails, tells the sender what could not be
  delivered, and can say at any moment where a message is and why.`,
  `The commands that look at the queue or change it ask the agent that runs, through its control socket. Where none runs, those that only
  look open the spool themselves. What is printed as a table comes with --json as JSON, one object a line.`,
];

const FILES: readonly (readonly [string, string])[] = [
  ['./riata.toml, /etc/riata/riata.toml', 'The configuration, where neither --config nor RIATA_CONFIG names another.'],
  ['./spool', 'The spool, unless spool.path names another: readable by its owner only, and best left to the agent.'],
  [
    'control.sock',
    "In the spool, the control socket: whoever may open it may do everything. A spool with a long path has it in the owner's runtime folder.",
  ],
];

const ENVIRONMENT: readonly (readonly [string, string])[] = [
  ['RIATA_CONFIG', 'The configuration file.'],
  [
    'RIATA_SPOOL_PATH, RIATA_HOSTNAME, …',
    'Every setting has a variable; "riata config env" lists them. Secrets can be read from a file, named by the variable with _FILE behind it.',
  ],
  ['NO_COLOR', 'Set to anything: no colours.'],
  ['COLUMNS', 'Width of the tables where the output is no terminal.'],
];

const STATUS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: 'All went well.',
  usage: 'The command line is wrong.',
  data: 'What was given is wrong: a message, an address; or damage was found.',
  noInput: 'What was asked for is not there: a file, a message.',
  unavailable: 'No agent runs, or a message has failed.',
  software: 'A fault of Riata itself.',
  io: 'A disk failed.',
  tryLater: 'Not now: try again later.',
  noPermission: 'It is not for this user.',
  config: 'The configuration is wrong.',
};

/** `date`: `2026-11-30`. */
export function manPage(date: string): string {
  const root = outline(COMMAND_LINE);
  const lines = [
    `.\\" Made from the declarations of the commands: npm run man.`,
    `.TH RIATA 1 ${date} "riata ${version()}" "Riata"`,
    '.SH NAME',
    'riata \\- a self-contained mail transfer agent',
    '.SH SYNOPSIS',
    '.B riata',
    '.I command',
    '.RI [ arguments ]',
    '.SH DESCRIPTION',
    ...DESCRIPTION.flatMap((text, i) => [...(i === 0 ? [] : ['.PP']), roff(text)]),
    '.SH COMMANDS',
    ...leaves(root).flatMap(command),
    '.SH OPTIONS OF EVERY COMMAND',
    ...root.options.flatMap(option),
    '.SH ENVIRONMENT',
    ...ENVIRONMENT.flatMap(([name, does]) => tagged(bold(name), does)),
    '.SH FILES',
    ...FILES.flatMap(([name, does]) => tagged(italic(name), does)),
    '.SH EXIT STATUS',
    ...Object.entries(EXIT).flatMap(([name, code]) => tagged(bold(String(code)), STATUS[name as keyof typeof EXIT])),
    '.SH SEE ALSO',
    '.BR sendmail (1),',
    '.BR mailq (1)',
  ];
  return `${lines.join('\n')}\n`;
}

function command({ path, describe, positionals, options, examples, epilog }: CommandOutline): string[] {
  const places = positionals.map(({ name, required, many }) => {
    const place = `${italic(name)}${many ? ' ...' : ''}`;
    return required ? place : `[${place}]`;
  });
  const groups = new Set(options.map(({ group }) => group));
  return [
    `.SS ${['riata', ...path].join(' ')}`,
    [bold(['riata', ...path].join(' ')), ...(options.length > 0 ? ['[options]'] : []), ...places].join(' '),
    '.PP',
    roff(`${describe}.`),
    ...(epilog === '' ? [] : [roff(epilog)]),
    ...positionals
      .filter(({ describe: about }) => about !== '')
      .flatMap(({ name, describe: about }) => tagged(italic(name), sentence(about))),
    ...[...groups].flatMap((group) => [
      ...(group === undefined ? [] : ['.PP', bold(group)]),
      ...options.filter((each) => each.group === group).flatMap(option),
    ]),
    ...examples.flatMap(([words, about]) => [
      '.PP',
      roff(`${sentence(about)}`.replace(/\.$/, ':')),
      '.PP',
      '.nf',
      '.RS',
      roff(words.replaceAll('$0', 'riata')),
      '.RE',
      '.fi',
    ]),
  ];
}

function option({ name, alias, describe, takesValue, choices, many, default: standard }: OptionOutline): string[] {
  const value = !takesValue ? '' : choices.length > 0 ? `=${choices.map(bold).join('|')}` : `=${italic('value')}`;
  const spelled = `${alias === undefined ? '' : `${bold(`-${alias}`)}, `}${bold(`--${name}`)}${value}`;
  const more = `${many ? ' May be given again.' : ''}${standard === undefined ? '' : ` Default: ${standard}.`}`;
  return tagged(spelled, sentence(describe) + more);
}

function tagged(tag: string, text: string): string[] {
  return ['.TP', tag, roff(text)];
}

/** What stands in the help has no full stop. */
function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.:!?]$/.test(whole) ? whole : `${whole}.`;
}

function bold(text: string): string {
  return `\\fB${escaped(text)}\\fR`;
}

function italic(text: string): string {
  return `\\fI${escaped(text)}\\fR`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\e').replaceAll('-', '\\-');
}

/** One line of text, which neither begins a request nor holds an escape. Sentences begin a line, as manual pages want it. */
function roff(text: string): string {
  return escaped(text.trim().replace(/\s+/g, ' '))
    .split(/(?<=[.?!]) (?=[A-Z"])/)
    .flatMap((line) => wrap(line, 78))
    .map((line) => line.replace(/^(?=[.'])/, '\\&'))
    .join('\n');
}
