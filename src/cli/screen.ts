/** Where the command line writes: results on standard output, everything said beside them on standard error. */
import type { Writable } from 'node:stream';
import type { Paint } from './table.js';
import { jsonLine } from './visible.js';

export interface Palette {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly good: Paint;
  readonly warn: Paint;
  readonly bad: Paint;
}

export interface Screen {
  /** Width to stay within: the terminal's as it is now, else what COLUMNS says, else 80. */
  readonly columns: number;
  /** Height of the terminal as it is now; 24 where there is none. */
  readonly rows: number;
  /** Standard output is a terminal. */
  readonly terminal: boolean;
  readonly colour: boolean;
  readonly paint: Palette;
  /** Lines on standard output. Text from outside must have been made `visible`. */
  print(...lines: readonly string[]): void;
  /** One JSON line on standard output. */
  json(value: unknown): void;
  /** Octets on standard output, as they are. Resolves when there is room for more. */
  write(chunk: Buffer | string): Promise<void>;
  /** How far something has come, on one line of standard error that is written over; nothing where that is no terminal. `''` takes it away. */
  progress(text: string): void;
  /** Told when the terminal has another size, until what is returned is called. */
  onResize(call: () => void): () => void;
  /** Lines on standard error. */
  say(...lines: readonly string[]): void;
}

type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };

const plain: Paint = (text) => text;
const sgr =
  (code: number): Paint =>
  (text) =>
    text === '' ? '' : `\x1b[${code}m${text}\x1b[0m`;

const PLAIN: Palette = { bold: plain, dim: plain, good: plain, warn: plain, bad: plain };
const COLOURS: Palette = { bold: sgr(1), dim: sgr(2), good: sgr(32), warn: sgr(33), bad: sgr(31) };

const NARROWEST = 40;

/** `colour` false: never. NO_COLOR (any value) and TERM=dumb turn it off as well; without a terminal there is none. */
export function createScreen(out: Output, err: Output, env: NodeJS.ProcessEnv, colour: boolean): Screen {
  const terminal = out.isTTY === true;
  const coloured = colour && terminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  const told = Number(env['COLUMNS']);
  return {
    get columns() {
      return Math.max(out.columns ?? (Number.isSafeInteger(told) && told > 0 ? told : 80), NARROWEST);
    },
    get rows() {
      return out.rows ?? 24;
    },
    terminal,
    colour: coloured,
    paint: coloured ? COLOURS : PLAIN,
    print: (...lines) => void out.write(lines.map((line) => `${line}\n`).join('')),
    json: (value) => void out.write(`${jsonLine(value)}\n`),
    write: (chunk) =>
      new Promise((resolve, reject) => {
        out.write(chunk, (error) => (error ? reject(error) : resolve()));
      }),
    progress: (text) => {
      if (err.isTTY === true) err.write(`\r\x1b[K${text}`);
    },
    onResize(call) {
      out.on('resize', call);
      return () => void out.off('resize', call);
    },
    say: (...lines) => void err.write(lines.map((line) => `${line}\n`).join('')),
  };
}
