/**
 * Runs the tests with Node's own runner, which in Node 20 does not look for `*.test.ts` by itself.
 *
 *   npm test                              all
 *   npm test -- test/spool retry          files whose path contains one of these
 *   npm test -- --except test/e2e         all others
 *   npm test -- --test-name-pattern=421   options of the runner are passed on
 *
 * At a terminal the report is for people; else it is TAP, which ends in what failed, once more, and `# pass` and `# fail`.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path/posix';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { failuresLast } from './failures-last.js';

/** A test file that takes longer hangs. */
const LONGEST_MS = 15 * 60_000;

interface Selection {
  readonly only: readonly string[];
  readonly except: readonly string[];
  readonly options: readonly string[];
}

function readArguments(given: readonly string[]): Selection {
  const selection = { only: [] as string[], except: [] as string[], options: [] as string[] };
  for (let i = 0; i < given.length; i++) {
    const argument = given[i]!;
    if (argument === '--except') selection.except.push(given[++i] ?? '');
    else selection[argument.startsWith('-') ? 'options' : 'only'].push(argument);
  }
  return selection;
}

/** Paths from the root, sorted. */
function testFiles(root: string, { only, except }: Selection): string[] {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .map((name) => join('test', name.replaceAll('\\', '/')))
    .filter((path) => path.endsWith('.test.ts'))
    .filter((path) => only.length === 0 || only.some((part) => path.includes(part)))
    .filter((path) => !except.some((part) => path.includes(part)))
    .sort();
}

const root = fileURLToPath(new URL('..', import.meta.url));
const selection = readArguments(process.argv.slice(2));
const files = testFiles(root, selection);
if (files.length === 0) {
  console.error('no test file has such a path');
  process.exit(1);
}

// Settings of an agent that somebody runs here must not reach those that the tests start.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('RIATA_')));
const plain = !process.stdout.isTTY && !selection.options.some((option) => option.startsWith('--test-reporter'));
const runner = spawn(
  process.execPath,
  [
    '--import',
    'tsx',
    '--test',
    `--test-concurrency=${availableParallelism()}`,
    `--test-timeout=${LONGEST_MS}`,
    ...(plain ? ['--test-reporter=tap'] : []),
    ...selection.options,
    ...files,
  ],
  { cwd: root, env, stdio: ['inherit', plain ? 'pipe' : 'inherit', 'inherit'] },
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => runner.kill(signal));
runner.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
if (runner.stdout) await pipeline(Readable.from(report(runner.stdout)), process.stdout, { end: false });

async function* report(tap: Readable): AsyncGenerator<string> {
  for await (const line of failuresLast(createInterface({ input: tap, crlfDelay: Number.POSITIVE_INFINITY }))) yield `${line}\n`;
}
