import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { changedFiles } from '../../src/platform/changed-files.js';
import { until } from '../support/scope.js';

/** Looks when it is told to, and counts how often a change was told. */
async function watched(t: TestContext, names: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'riata-changed-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const at = (name: string) => join(folder, name);
  let next: (() => void) | undefined;
  let told = 0;
  const files = changedFiles({ after: (_, call) => ((next = call), { cancel: () => (next = undefined) }) });
  await files.watch(names.map(at));
  await files.asTheyAre();
  files.start(() => told++);
  const look = async () => {
    const call = next!;
    next = undefined;
    call();
    await until('the look to be over', () => next !== undefined);
  };
  return { files, at, look, told: () => told };
}

test('a change is told once, when a second look finds the file at rest', async (t) => {
  const { at, look, told } = await watched(t, ['a', 'b']);
  await look();
  assert.equal(told(), 0);
  writeFileSync(at('a'), '1');
  await look();
  assert.equal(told(), 0, 'it may still be being written');
  writeFileSync(at('a'), '12');
  await look();
  assert.equal(told(), 0);
  await look();
  await look();
  assert.equal(told(), 1);
  rmSync(at('a'));
  writeFileSync(at('b'), '1');
  await look();
  await look();
  assert.equal(told(), 2, 'several files are one change');
});

test('what was taken as it is is no news, and files that are watched no more are not looked at', async (t) => {
  const { files, at, look, told } = await watched(t, ['a']);
  writeFileSync(at('a'), '1');
  await files.asTheyAre();
  await look();
  await look();
  assert.equal(told(), 0);
  await files.watch([at('b')]);
  writeFileSync(at('a'), '12');
  await look();
  await look();
  assert.equal(told(), 0);
  writeFileSync(at('b'), '1');
  await look();
  await look();
  assert.equal(told(), 1, 'also one that was not there when watching began');
  await files.watch([at('b'), at('c')]);
  writeFileSync(at('c'), '1');
  await look();
  await look();
  assert.equal(told(), 2, 'also one that changed before it was looked at for the first time');
});
