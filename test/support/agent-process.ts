/** An agent in a process of its own, as `riata serve` starts it, and the command line beside it. Everything ends with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { connectControl, findControlSocket } from '../../src/control/client.js';
import type { ControlVerbs } from '../../src/control/types.js';
import { temporaryFolder } from './agent.js';
import { compileRiata } from './compiled.js';
import { atEnd, type Scope, until } from './scope.js';

/** Compiled once for all tests of a file. */
let compiled: Promise<readonly string[]> | undefined;

function program(): Promise<readonly string[]> {
  compiled ??= compileRiata({ after: (call) => void process.once('beforeExit', call) });
  return compiled;
}

export interface Ran {
  /** Exit code; a signal's number above 128. */
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly stdin?: string | Buffer;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

export interface AgentProcess {
  readonly pid: number;
  /** Where it takes mail, on 127.0.0.1. */
  readonly port: number;
  readonly folder: string;
  readonly spool: string;
  readonly configFile: string;
  readonly verbs: ControlVerbs;
  /** A command of `riata` for this agent. */
  riata(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** SIGTERM, and what came of it. */
  stop(): Promise<Ran>;
  kill(): Promise<Ran>;
  signal(signal: NodeJS.Signals): void;
  /** Its log so far. */
  out(): string;
  readonly ended: Promise<Ran>;
}

export interface ProcessOptions {
  /** Default: a new one. Give the folder of one that ended to start it again on its spool. */
  readonly folder?: string;
  /** TOML behind what every test wants: top-level keys first, sections that are not there yet after them. */
  readonly toml?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** A program, with its arguments, that becomes the agent: it is given the agent's command line behind its own. */
  readonly through?: readonly [string, ...string[]];
}

/** Resolves when it takes mail; rejects with what it said if it ends before. */
export async function spawnAgent(scope: Scope, options: ProcessOptions = {}): Promise<AgentProcess> {
  const folder = options.folder ?? (await temporaryFolder(scope));
  const configFile = join(folder, 'riata.toml');
  const spool = join(folder, 'spool');
  writeFileSync(configFile, configuration(spool, options.toml));
  const { child, out, ended } = await run(scope, ['serve', '--config', configFile], {
    cwd: folder,
    ...(options.env ? { env: options.env } : {}),
    ...(options.through ? { through: options.through } : {}),
  });
  const early = ended.then(({ code, out, err }) => Promise.reject(new Error(`the agent ended with ${code}: ${err}${out}`)));
  early.catch(() => {});
  const verbs = await Promise.race([until('the control socket of the agent', () => connected(spool)), early]);
  atEnd(scope, () => verbs.close());
  const { listening } = await verbs.agent();
  const end = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return ended;
  };
  return {
    pid: child.pid!,
    port: listening[0]?.port ?? 0,
    folder,
    spool,
    configFile,
    verbs,
    riata: (args, more) => riata(scope, [...args, '--config', configFile], { cwd: folder, ...more }),
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    signal: (signal) => void child.kill(signal),
    out,
    ended,
  };
}

/** A command that goes on until it is told to end. */
export interface Running {
  /** What it has written so far. */
  out(): string;
  readonly ended: Promise<Ran>;
  signal(signal: NodeJS.Signals): void;
}

export async function startRiata(scope: Scope, args: readonly string[], options: RunOptions = {}): Promise<Running> {
  const { child, out, ended } = await run(scope, args, options);
  return { out, ended, signal: (signal) => void child.kill(signal) };
}

/** One run of the command line, to its end. */
export async function riata(scope: Scope, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return (await run(scope, args, options)).ended;
}

function configuration(spool: string, toml = ''): string {
  return `hostname = "riata.test"
spool.path = "${spool}"
submission.listen = ["127.0.0.1:0"]
delivery.allowPrivateAddresses = true
${toml}
`;
}

async function connected(spool: string): Promise<ControlVerbs | undefined> {
  try {
    return await connectControl(await findControlSocket(spool, 'control.sock', process.env));
  } catch {
    return undefined;
  }
}

async function run(
  scope: Scope,
  args: readonly string[],
  { stdin, cwd, env, through = [] }: RunOptions & { readonly through?: readonly string[] },
): Promise<{ child: ChildProcess; out: () => string; ended: Promise<Ran> }> {
  const [command, ...words] = [...through, process.execPath, ...(await program()), ...args];
  const child = spawn(command!, words, {
    cwd: cwd ?? '/',
    env: { ...process.env, ...env },
    stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  child.stdin?.on('error', () => {});
  child.stdin?.end(stdin);
  const out = gathered(child.stdout!);
  const err = gathered(child.stderr!);
  const ended = new Promise<Ran>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code: code ?? 128 + (signal === 'SIGKILL' ? 9 : 15), out: out(), err: err() }));
  });
  atEnd(scope, () => {
    child.kill('SIGKILL');
    return ended;
  });
  return { child, out, ended };
}

function gathered(stream: Readable): () => string {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}
