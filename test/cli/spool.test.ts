/** The commands that look after a spool, on spools at rest. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { openLevelSpool } from '../../src/spool/level/open.js';
import { fillSpool } from '../spool/level/filled.js';
import { levelOptions } from '../spool/level/support.js';
import { createVirtualClock } from '../support/virtual-clock.js';
import { run } from './run.js';

async function place(t: TestContext): Promise<{ spool: string; at: (name: string) => string }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'riata-cli-spool-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const at = (name: string) => path.join(folder, name);
  await fillSpool(at('spool'), createVirtualClock());
  return { spool: at('spool'), at };
}

test('a spool goes into an archive and out of it, by files', { timeout: 120_000 }, async (t) => {
  const { spool, at } = await place(t);
  const out = await run(['spool', 'export', at('archive'), '--spool', spool]);
  assert.deepEqual([out.code, out.err], [0, '']);
  assert.match(out.out, /Messages +9\n/);
  assert.equal(((await stat(at('archive'))).mode & 0o777).toString(8), '600');
  const into = await run(['spool', 'import', at('archive'), '--spool', at('other')]);
  assert.equal(into.code, 0);
  // What is in it needs that, and whoever imports is told.
  assert.match(into.err, /^for .* the spool is written in format 2 from now on: a release that reads only format 1 will refuse it\n$/);
  assert.match(into.out, /Messages +9\n/);
  const again = await run(['spool', 'import', at('archive'), '--spool', at('other'), '--json']);
  const report = JSON.parse(again.out) as { messages: number; known: string[] };
  assert.deepEqual([report.messages, report.known.length], [0, 11]);
  assert.equal((await run(['spool', 'check', '--spool', at('other')])).code, 0);
});

test('and by pipes, with every word beside the archive on standard error', { timeout: 120_000 }, async (t) => {
  const { spool, at } = await place(t);
  const out = await run(['spool', 'export', '--spool', spool]);
  assert.equal(out.code, 0);
  assert.match(out.out, /^RIATA-SPOOL 1\n/);
  assert.match(out.err, /Messages +9\n/);
  const into = await run(['spool', 'import', '-', '--spool', at('other')], { stdin: out.out });
  assert.equal(into.code, 0, into.err);
  assert.equal((await run(['spool', 'check', '--spool', at('other')])).code, 0);
});

test('an archive is not thrown at a terminal, nor over a file that is there', { timeout: 120_000 }, async (t) => {
  const { spool, at } = await place(t);
  const shown = await run(['spool', 'export', '--spool', spool], { terminal: true });
  assert.deepEqual([shown.code, shown.out], [64, '']);
  await writeFile(at('precious'), 'mine');
  const over = await run(['spool', 'export', at('precious'), '--spool', spool]);
  assert.equal(over.code, 64);
  assert.equal(await readFile(at('precious'), 'utf8'), 'mine');
});

test('what is no archive is told in one line, and takes nothing', { timeout: 120_000 }, async (t) => {
  const { at } = await place(t);
  const none = await run(['spool', 'import', at('none'), '--spool', at('other')]);
  assert.deepEqual([none.code, none.err.split('\n').length], [66, 2]);
  const wrong = await run(['spool', 'import', '-', '--spool', at('other')], { stdin: 'Subject: hello\n\n' });
  assert.equal(wrong.code, 74);
  assert.match(wrong.err, /no whole archive of a spool/);
});

test('a snapshot of a spool at rest can be checked, and is not put where something is', { timeout: 120_000 }, async (t) => {
  const { spool, at } = await place(t);
  const made = await run(['spool', 'snapshot', at('copy'), '--spool', spool]);
  assert.deepEqual([made.code, made.err], [0, '']);
  assert.equal((await run(['spool', 'check', '--spool', at('copy')])).code, 0);
  const again = await run(['spool', 'snapshot', at('copy'), '--spool', spool]);
  assert.equal(again.code, 64);
  assert.match(again.err, /not empty/);
});

test('a sound spool is not repaired; of a damaged one is told what was lost, and where the rest is', { timeout: 120_000 }, async (t) => {
  const { spool } = await place(t);
  const sound = await run(['spool', 'repair', '--spool', spool]);
  assert.deepEqual([sound.code, sound.out], [0, 'Nothing is wrong with it; nothing was changed.\n']);
  const [epoch] = await readdir(path.join(spool, 'bodies'));
  const [name] = await readdir(path.join(spool, 'bodies', epoch!));
  const file = path.join(spool, 'bodies', epoch!, name!);
  const bytes = await readFile(file);
  bytes[1000]! ^= 1;
  await writeFile(file, bytes);
  const repaired = await run(['spool', 'repair', '--spool', spool]);
  assert.equal(repaired.code, 65);
  assert.match(repaired.out, /1 loss:\n/);
  assert.match(repaired.out.replace(/\s+/g, ' '), /mail from <sender@example.com> to user@large.test/);
  assert.match(repaired.out, /damaged-\d{8}T\d{6}Z/);
  assert.match((await run(['queue', 'stats', '--spool', spool])).out, /Messages +8/);
});

test('compacting tells what it gave back', { timeout: 120_000 }, async (t) => {
  const { spool } = await place(t);
  const { code, out } = await run(['spool', 'compact', '--spool', spool]);
  assert.equal(code, 0);
  assert.match(out, /^The store took .* and takes .*\.\n$/);
});

test('nothing that needs a spool at rest is done while somebody has it', { timeout: 120_000 }, async (t) => {
  const { spool, at } = await place(t);
  const held = await openLevelSpool(levelOptions(spool, createVirtualClock()));
  t.after(() => held.close());
  await writeFile(at('archive'), 'RIATA-SPOOL 1\n');
  for (const command of [['export', at('out')], ['import', at('archive')], ['repair']]) {
    const { code, err } = await run(['spool', ...command, '--spool', spool]);
    assert.equal(code, 75, command[0]);
    assert.match(err, /stop the agent first/, command[0]);
  }
  assert.deepEqual((await readdir(path.dirname(spool))).sort(), ['archive', 'spool']);
});
