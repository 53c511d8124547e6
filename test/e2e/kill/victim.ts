/** An agent that is started again and again on one spool, to be killed. What it says when it was not killed is kept. */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { atEnd, type Scope } from '../../support/scope.js';

export interface Life {
  /** Counted from 1: the agent names itself by it (`heloOf`) to those it delivers to. */
  readonly number: number;
  /** Where it takes mail, on 127.0.0.1. Rejects if it ends before. */
  readonly ready: Promise<number>;
  /** Resolves with what it said that it should not have; undefined if there is nothing. */
  readonly ended: Promise<string | undefined>;
  signal(signal: 'SIGKILL' | 'SIGTERM'): void;
}

export class Victim {
  readonly spool: string;
  readonly #scope: Scope;
  readonly #program: readonly string[];
  readonly #folder: string;
  #lives = 0;

  constructor(scope: Scope, program: readonly string[], folder: string, toml: string) {
    this.#scope = scope;
    this.#program = program;
    this.#folder = folder;
    this.spool = join(folder, 'spool');
    writeFileSync(join(folder, 'riata.toml'), `spool.path = "${this.spool}"\n${toml}`);
  }

  /** `settings`: by the names of environment variables, for this life only. */
  start(settings: Readonly<Record<string, string>>): Life {
    const number = ++this.#lives;
    const child = spawn(process.execPath, [...this.#program, 'serve', '--config', join(this.#folder, 'riata.toml')], {
      cwd: this.#folder,
      env: { ...surroundings(), ...settings, RIATA_DELIVERY_HELO_NAME: heloOf(number) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const { listening, ended } = watch(child);
    atEnd(this.#scope, () => {
      child.kill('SIGKILL');
      return ended;
    });
    const ready = Promise.race([listening, ended.then((said) => Promise.reject(new Error(`life ${number} ended early: ${said}`)))]);
    ready.catch(() => {});
    return { number, ready, ended, signal: (signal) => void child.kill(signal) };
  }
}

/** What this test is told by is not for the agent. */
function surroundings(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('RIATA_')));
}

export function heloOf(life: number): string {
  return `life-${life}.riata.test`;
}

/** Undefined: no agent says so. */
export function lifeOf(helo: string): number | undefined {
  const match = /^life-(\d+)\.riata\.test$/.exec(helo);
  return match ? Number(match[1]) : undefined;
}

function watch(child: ChildProcess): { listening: Promise<number>; ended: Promise<string | undefined> } {
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => (said += chunk));
  const listening = new Promise<number>((resolve) => {
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const port = /"event":"agent\.started".*"listen":"127\.0\.0\.1:(\d+)"/.exec(line)?.[1];
      if (port !== undefined) resolve(Number(port));
      if (line.includes('"level":"error"')) said += line;
    });
  });
  const ended = new Promise<string | undefined>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      const asWished = signal === 'SIGKILL' || code === 0;
      resolve(asWished && said === '' ? undefined : `code ${code}, signal ${signal}: ${said}`);
    });
  });
  return { listening, ended };
}
