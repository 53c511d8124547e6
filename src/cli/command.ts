/**
 * What a command is: a light declaration (name, words, options), and a function loaded only when the command
 * runs, which gets its arguments and the world, and returns the code to end with.
 */
import type { Readable } from 'node:stream';
import type { Argv } from 'yargs';
import type { Clock } from '../platform/clock.js';
import type { Dialer } from '../platform/dialer.js';
import type { LineWriter } from '../platform/line-writer.js';
import type { Screen } from './screen.js';

/** What `-` has become when a command sees it, as an id or a file. */
export const STDIN = '<standard input>';

/** Options that every command has. */
export interface Globals {
  readonly config?: string | undefined;
  readonly spool?: string | undefined;
  readonly socket?: string | undefined;
  readonly json: boolean;
}

/** The world of a command; tests bring their own. */
export interface Cli {
  readonly screen: Screen;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  /** Asks on the terminal; `''` where nothing was answered. Undefined where nobody is there to be asked. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** The same, without showing what is typed. */
  readonly askSecret: ((question: string) => Promise<string>) | undefined;
  /** Tells of each key that is pressed, unseen, until what is returned is called. Undefined where there is no keyboard. */
  readonly keys: ((call: (key: string) => void) => () => void) | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly clock: Clock;
  /** Name of the user who runs it. */
  readonly user: () => string;
  readonly dialer: Dialer;
  /** Told of SIGINT and SIGTERM: the number of the signal. Only what lives on asks for it. */
  readonly onSignal: (call: (signal: number) => void) => void;
  /** Told of SIGHUP, which without that ends the process. */
  readonly onHangup: (call: () => void) => void;
  /** Opens standard output for a log. */
  readonly logLines: () => LineWriter;
}

export type Command<A> = (args: A, cli: Cli) => Promise<number>;
/** Notes which command is to run; its module is loaded when its turn comes. */
export type Run = <A>(load: () => Promise<Command<A>>) => (args: A) => void;
export type Declare = (yargs: Argv<Globals>, run: Run) => Argv<Globals>;
