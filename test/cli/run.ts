/** Runs the command line inside the test, with streams that are read back. */
import { PassThrough, Readable, Writable } from 'node:stream';
import { runCli } from '../../src/cli/cli.js';
import type { Cli } from '../../src/cli/command.js';
import { createScreen } from '../../src/cli/screen.js';
import type { Clock } from '../../src/platform/clock.js';
import { systemClock } from '../../src/platform/clock.js';
import { systemDialer } from '../../src/platform/dialer.js';
import { createLineWriter } from '../../src/platform/line-writer.js';
import { NOW } from '../control/fake-agent.js';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  readonly stdin?: string | Buffer | Readable;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly columns?: number;
  /** Standard output is a terminal. */
  readonly terminal?: boolean;
  readonly colour?: boolean;
  readonly clock?: Clock;
  /** Somebody is there, and answers this. */
  readonly answer?: string;
  readonly rows?: number;
  /** A keyboard. */
  readonly keys?: Cli['keys'];
  /** Has standard output as soon as there is any. */
  readonly output?: (out: Sink) => void;
  /** Told of what was asked. */
  readonly asked?: string[];
}

export class Sink extends Writable {
  readonly isTTY: boolean;
  columns: number;
  rows: number;
  text = '';

  constructor(isTTY: boolean, columns: number, rows = 24) {
    super();
    this.isTTY = isTTY;
    this.columns = columns;
    this.rows = rows;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('latin1');
    done();
  }
}

const utf8 = (text: string) => Buffer.from(text, 'latin1').toString();

/** The clock stands at `NOW`, but its timers run. */
export const standingClock: Clock = { ...systemClock, now: () => NOW };

export async function run(argv: readonly string[], around: Surroundings = {}): Promise<Ran> {
  const out = new Sink(around.terminal ?? false, around.columns ?? 80, around.rows);
  around.output?.(out);
  const err = new Sink(false, 80);
  const given = around.stdin ?? '';
  const stdin = given instanceof Readable ? given : new PassThrough().end(given);
  const { answer } = around;
  const env = around.env ?? {};
  const cli: Cli = {
    screen: createScreen(out, err, env, around.colour ?? true),
    stdin,
    ask: answer === undefined ? undefined : async (question) => (around.asked?.push(question), answer),
    askSecret: answer === undefined ? undefined : async (question) => (around.asked?.push(question), answer),
    keys: around.keys,
    env,
    cwd: around.cwd ?? '/nonexistent',
    clock: around.clock ?? standingClock,
    user: () => 'somebody',
    dialer: systemDialer,
    onSignal: () => {},
    onHangup: () => {},
    logLines: () => createLineWriter(out),
  };
  const code = await runCli(argv, cli);
  return { code, out: utf8(out.text), err: utf8(err.text) };
}
