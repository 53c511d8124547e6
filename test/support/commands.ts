/** Other people's programs, run to their end. */
import { spawn } from 'node:child_process';
import { atEnd, type Scope } from './scope.js';

export interface Done {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a program; what it says is read as UTF-8. */
export function execute(program: string, args: readonly string[], stdin: string | Buffer = '', cwd?: string): Promise<Done> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], cwd });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin.on('error', () => {});
    child.stdin.end(stdin);
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 128, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }));
  });
}

/** Starts a program that ends with the test; what it returns tells what the program has written so far. */
export async function startProgram(scope: Scope, program: string, args: readonly string[]): Promise<() => string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const out: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  const ended = new Promise((resolve) => child.once('close', resolve));
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  atEnd(scope, () => {
    child.kill('SIGKILL');
    return ended;
  });
  return () => Buffer.concat(out).toString();
}

/** Throws, with what it said, unless it ended well. */
export async function succeed(program: string, args: readonly string[], stdin?: string | Buffer, cwd?: string): Promise<string> {
  const { code, out, err } = await execute(program, args, stdin, cwd);
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${err}${out}`);
  return out;
}
