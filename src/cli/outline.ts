/**
 * The command line as a tree of plain data: what is declared to yargs, written down. Completions, the manual page and the tests of the
 * help are made from it, so that they never tell of another command line than the one there is.
 *
 * Must not: know what a command does. A declaration that uses something of yargs which is not written down here fails.
 */
import type { Argv, Options } from 'yargs';
import type { Globals, Run } from './command.js';

export interface OptionOutline {
  /** Without dashes. */
  readonly name: string;
  /** One letter. */
  readonly alias?: string;
  readonly describe: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
  /** Its value is the name of a file or folder. */
  readonly file: boolean;
  /** May be given several times. */
  readonly many: boolean;
  readonly default?: string;
  readonly group?: string;
}

export interface PositionalOutline {
  readonly name: string;
  readonly describe: string;
  readonly required: boolean;
  readonly many: boolean;
  readonly choices: readonly string[];
}

export interface CommandOutline {
  /** `['queue', 'list']`; empty for `riata` itself. */
  readonly path: readonly string[];
  readonly describe: string;
  readonly positionals: readonly PositionalOutline[];
  readonly options: readonly OptionOutline[];
  /** `$0` is `riata`. */
  readonly examples: readonly (readonly [command: string, about: string])[];
  readonly epilog: string;
  readonly commands: readonly CommandOutline[];
}

/** A whole command line, as it is declared to yargs. */
export interface CommandLine {
  readonly about: string;
  readonly epilog: string;
  /** Options of every command. */
  globals(yargs: Argv<object>): Argv<Globals>;
  commands(yargs: Argv<Globals>, run: Run): Argv<Globals>;
}

/** `riata` with everything below it. The options of every command are those of `riata`. */
export function outline(line: CommandLine): CommandOutline {
  const root = new Recorder([], line.about);
  line.commands(line.globals(root as unknown as Argv<object>), () => () => {});
  root.option('help', { alias: 'h', type: 'boolean', describe: 'Show help' });
  root.option('version', { alias: 'V', type: 'boolean', describe: 'Show the version' });
  root.epilog(line.epilog);
  return root.finish();
}

/** All commands that do something, in the order of the help. */
export function leaves(command: CommandOutline): readonly CommandOutline[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
}

type Builder = (yargs: Argv<Globals>) => unknown;

/** Stands in for yargs while commands are declared. */
class Recorder {
  readonly #path: readonly string[];
  readonly #describe: string;
  readonly #options: OptionOutline[] = [];
  readonly #positionals: PositionalOutline[];
  readonly #examples: [string, string][] = [];
  readonly #commands: CommandOutline[] = [];
  #epilog = '';

  constructor(path: readonly string[], describe: string, positionals: PositionalOutline[] = []) {
    this.#path = path;
    this.#describe = describe;
    this.#positionals = positionals;
  }

  finish(): CommandOutline {
    return {
      path: this.#path,
      describe: this.#describe,
      positionals: this.#positionals,
      options: this.#options,
      examples: this.#examples,
      epilog: this.#epilog,
      commands: this.#commands,
    };
  }

  /** `list [id..]`, `show <id>`, and for one that has commands `queue <command>`. */
  command(words: string, describe: string, build?: Builder): this {
    const [name = '', ...places] = words.split(' ');
    const positionals = places
      .filter((place) => place !== '<command>')
      .map((place) => ({
        name: place.replace(/[<>[\].]/g, ''),
        describe: '',
        required: place.startsWith('<'),
        many: place.includes('..'),
        choices: [],
      }));
    const below = new Recorder([...this.#path, name], describe, positionals);
    build?.(below as unknown as Argv<Globals>);
    this.#commands.push(below.finish());
    return this;
  }

  positional(name: string, about: Options): this {
    const at = this.#positionals.findIndex((each) => each.name === name);
    this.#positionals[at] = { ...this.#positionals[at]!, describe: about.describe ?? '', choices: (about.choices ?? []).map(String) };
    return this;
  }

  option(name: string, about: Options): this {
    const alias = [about.alias ?? []].flat()[0];
    const value = about.type !== 'boolean';
    this.#options.push({
      name,
      ...(alias === undefined ? {} : { alias }),
      describe: about.describe ?? '',
      takesValue: value,
      choices: (about.choices ?? []).map(String),
      file: value && about.choices === undefined && FILES.test(name),
      many: about.array === true,
      ...(value && about.default !== undefined ? { default: String(about.default) } : {}),
      ...(about.group === undefined ? {} : { group: about.group }),
    });
    return this;
  }

  example(command: string, about: string): this {
    this.#examples.push([command, about]);
    return this;
  }

  epilog(text: string): this {
    this.#epilog = text;
    return this;
  }

  conflicts(): this {
    return this;
  }

  demandCommand(): this {
    return this;
  }
}

/** Options whose value is the name of a file or folder. */
const FILES = /^(?:config|spool|socket|attach|body|html|merge|.*-?(?:file|path|socket))$/;
