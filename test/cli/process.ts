/** The command as a process of its own, from the sources. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'riata-process-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export interface Process {
  readonly child: ChildProcess;
  out: string;
  err: string;
  /** Resolves once standard output holds this; rejects if the process ends before. */
  says(text: string | RegExp): Promise<void>;
  /** Exit code, or the negative number of the signal that ended it. */
  readonly ended: Promise<number>;
}

/** Ended with SIGKILL after the test, if it runs still. */
export function riata(
  t: TestContext,
  argv: readonly string[],
  more: { cwd?: string; env?: NodeJS.ProcessEnv; stdin?: string } = {},
): Process {
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), MAIN, ...argv], {
    cwd: more.cwd ?? os.tmpdir(),
    env: { PATH: process.env['PATH'], ...more.env },
    stdio: 'pipe',
  });
  t.after(() => child.kill('SIGKILL'));
  let look = () => {};
  const process_: Process = {
    child,
    out: '',
    err: '',
    says: (text) =>
      new Promise((resolve, reject) => {
        look = () => {
          if (typeof text === 'string' ? process_.out.includes(text) : text.test(process_.out)) resolve();
        };
        look();
        void process_.ended.then((code) => reject(new Error(`ended with ${code} before it said ${text}: ${process_.out}${process_.err}`)));
      }),
    ended: new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? -os.constants.signals[signal!]))),
  };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    process_.out += chunk;
    look();
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    process_.err += chunk;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(more.stdin ?? '');
  return process_;
}
