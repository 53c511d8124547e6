import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { failuresLast } from '../../scripts/failures-last.js';
import { temporaryFolder } from '../support/agent.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Node, as if it were not run by a test. */
function node(args: readonly string[]): { readonly code: number | null; readonly lines: string[] } {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: ROOT, env, encoding: 'utf8' });
  return { code: status, lines: stdout.trimEnd().split('\n') };
}

async function told(lines: readonly string[]): Promise<string[]> {
  const all: string[] = [];
  async function* given() {
    yield* lines;
  }
  for await (const line of failuresLast(given())) all.push(line);
  return all;
}

const FIXTURE = `
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
console.log('not ok 1 - printed\\n1..1\\n# tests 1');
test('well', () => {});
describe('a suite', () => {
  test('within # it', () => assert.deepEqual({ a: 1 }, { a: 2 }));
  test('well, too', () => {});
});
test('outer', (t) => t.test('inner', () => assert.equal('first line\\n  ...\\nlast line', '')));
test('known', { todo: true }, () => assert.fail('not yet'));
test('late', { timeout: 10 }, () => new Promise((resolve) => setTimeout(resolve, 1000)));
`;

test('what failed is told once more before the closing lines, with where it is and why, and each thing once', async (t) => {
  const file = join(await temporaryFolder(t), 'some.test.mjs');
  writeFileSync(file, FIXTURE);
  const { code, lines } = node(['--test', '--test-reporter=tap', file]);
  assert.equal(code, 1);
  const all = await told(lines);
  const [begin, end] = [all.indexOf('# What failed, once more:') - 1, all.lastIndexOf('# tests 7')];
  assert.deepEqual(all.toSpliced(begin, end - begin), lines, 'all else stays as it is');
  assert.match(all.at(-1)!, /^# duration_ms /);
  const more = all.slice(begin, end);
  assert.deepEqual(
    more.filter((line) => /not ok/.test(line)),
    ['# not ok - a suite > within \\# it', '# not ok - outer > inner', '# not ok - late'],
  );
  const text = more.join('\n');
  assert.match(text, /#   location: '.*some\.test\.mjs:7:3'\n/);
  assert.match(text, /#   expected:\n#     a: 2\n#   actual:\n#     a: 1\n/);
  assert.match(text, /\n# +last line\n/);
  assert.ok(more.every((line) => line.startsWith('#')));
});

test('nothing is added to a run in which all is well', async () => {
  const lines = ['TAP version 13', '# Subtest: a', 'ok 1 - a', '  ---', '  duration_ms: 1', '  ...', '1..1', '# tests 1', '# fail 0'];
  assert.deepEqual(await told(lines), lines);
});

test('a run that was cut off tells what it knows at its end, one in which everything fails only the first ones', async () => {
  const lines = Array.from({ length: 60 }, (_, i) => [`# Subtest: t${i}`, `not ok ${i + 1} - t${i}`, '  ---', '  ...']).flat();
  const more = (await told(lines)).slice(lines.length);
  assert.equal(more.filter((line) => line.startsWith('# not ok')).length, 50);
  assert.deepEqual(more.slice(-3), ['#   ...', '# ... and 10 more', '#']);
});

test('npm test reports so, and ends as its tests did', async (t) => {
  const broken = join(await temporaryFolder(t), 'broken.cjs');
  writeFileSync(broken, `if (process.env.NODE_TEST_CONTEXT) throw new Error('broken on purpose');`);
  const run = (...more: readonly string[]) => node(['--import', 'tsx', 'scripts/test.ts', 'test/core/printable', ...more]);
  const well = run();
  assert.deepEqual([well.code, well.lines.includes('# fail 0'), well.lines.includes('# What failed, once more:')], [0, true, false]);
  const wrong = run(`--require=${broken}`);
  assert.deepEqual([wrong.code, wrong.lines.includes('# fail 1')], [1, true]);
  assert.ok(wrong.lines.indexOf('# What failed, once more:') < wrong.lines.findIndex((line) => /^# not ok - .*printable/.test(line)));
});
