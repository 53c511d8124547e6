#!/usr/bin/env node
/** The command `riata`: hands the process to the command line, and ends it with the code that comes back. */
import os from 'node:os';
import { systemClock } from '../platform/clock.js';
import { systemDialer } from '../platform/dialer.js';
import { createLineWriter } from '../platform/line-writer.js';
import { version } from '../version.js';
import { calledAs } from './called-as.js';
import type { Cli, Command, Globals } from './command.js';
import { EXIT, exitCode } from './exit.js';
import { createScreen } from './screen.js';

const argv = [...calledAs(process.argv[1] ?? ''), ...process.argv.slice(2)];

function onSignal(call: (signal: number) => void): void {
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => call(os.constants.signals[name]));
}

/** One line from the terminal; the end of input answers nothing. */
async function ask(question: string): Promise<string> {
  const { createInterface } = await import('node:readline');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  return new Promise((resolve) => {
    terminal.once('close', () => resolve(''));
    terminal.question(question, (answer) => {
      resolve(answer);
      terminal.close();
    });
  });
}

function keys(call: (key: string) => void): () => void {
  const { stdin } = process;
  const pressed = (text: string) => [...text].forEach(call);
  stdin.setRawMode(true).setEncoding('utf8').on('data', pressed).resume();
  return () => void stdin.off('data', pressed).setRawMode(false).pause();
}

/** What is typed goes nowhere but to us. */
async function askSecret(question: string): Promise<string> {
  const [{ createInterface }, { Writable }] = await Promise.all([import('node:readline'), import('node:stream')]);
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  process.stderr.write(question);
  return new Promise((resolve) => {
    terminal.once('close', () => resolve(''));
    terminal.question('', (answer) => {
      process.stderr.write('\n');
      resolve(answer);
      terminal.close();
    });
  });
}

/** In a container there may be no name for the number. */
function user(): string {
  try {
    return os.userInfo().username;
  } catch {
    return process.env['LOGNAME'] || process.env['USER'] || 'nobody';
  }
}

/** The reader of our output has gone (`riata queue list | head`): there is nobody left to tell. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});
process.stderr.on('error', () => {});

/** A broken invariant: going on could do harm, ending cannot. */
process.on('uncaughtException', (error: unknown) => {
  process.stderr.write(
    `riata: this should not have happened: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(EXIT.software);
});

/** What is called without any option: a container runs the agent for months, and a health check every few seconds beside it. */
const PLAIN: Readonly<Record<string, () => Promise<Command<Globals>>>> = {
  serve: async () => (await import('./serve.js')).serve,
  health: async () => (await import('./health.js')).health,
};

/** The command line; those commands go without the 3 MB and the time that reading options takes. */
async function commandLine([name = '', ...others]: readonly string[]): Promise<(argv: readonly string[], cli: Cli) => Promise<number>> {
  if (others.length > 0 || !Object.hasOwn(PLAIN, name)) return (await import('./cli.js')).runCli;
  const [command, { tell }] = await Promise.all([PLAIN[name]!(), import('./tell.js')]);
  return (_, cli) =>
    command({ json: false }, cli).catch((error: unknown) => {
      tell(cli, error);
      return exitCode(error);
    });
}

if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
  console.log(version());
} else {
  const cli: Cli = {
    screen: createScreen(process.stdout, process.stderr, process.env, !argv.includes('--no-color')),
    stdin: process.stdin,
    ask: process.stdin.isTTY && process.stderr.isTTY ? ask : undefined,
    askSecret: process.stdin.isTTY && process.stderr.isTTY ? askSecret : undefined,
    keys: process.stdin.isTTY ? keys : undefined,
    env: process.env,
    cwd: process.cwd(),
    clock: systemClock,
    user,
    dialer: systemDialer,
    onSignal,
    onHangup: (call) => void process.on('SIGHUP', call),
    logLines: () => createLineWriter(process.stdout.fd),
  };
  const code = await (await commandLine(argv))(argv, cli);
  // Whatever still waits (a message being typed into standard input) has nobody to wait for it.
  process.stdout.write('', () => process.exit(code));
}
