import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fsp from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../src/platform/clock.js';
import { checkSpool } from '../../../src/spool/level/check.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import { bytesOf } from '../../contract/spool.js';
import { bodyOf } from './kill-work.js';
import { levelOptions, temporaryFolder } from './support.js';

const CHILD = fileURLToPath(new URL('kill-child.ts', import.meta.url));
/** Deaths in all; hundreds of them with `KILLS=300`. */
const KILLS = Number(process.env['KILLS'] ?? 30);
/** Spools that are worked on at the same time. */
const SPOOLS = 3;

interface Known {
  readonly accepted: Set<string>;
  readonly noted: Set<string>;
  readonly begun: Set<string>;
  readonly ended: Set<string>;
}

/** Lets the child work for a moment and kills it; what it said is true. */
async function workAndKill(folder: string, known: Known, ms: number): Promise<void> {
  const words = `${folder}.words`;
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, folder, words], { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), ms));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  assert.deepEqual([code, signal], [null, 'SIGKILL']);
  const text = await fsp.readFile(words, 'utf8').catch(() => '');
  await fsp.rm(words, { force: true });
  for (const line of text.split('\n').slice(0, -1)) {
    const what = line.slice(2);
    if (line[0] === 'A') known.accepted.add(what);
    else if (line[0] === 'N') known.noted.add(what);
    else if (line[0] === 'B') known.begun.add(what);
    else if (line[0] === 'E') known.ended.add(what);
    // Only that: a body whose accept was under way at the death before.
    else if (line[0] === 'F') assert.match(what, /has no record/);
  }
}

async function judge(folder: string, known: Known): Promise<void> {
  const report = await checkSpool(folder);
  // A body whose accept was under way has a file, and no record yet.
  assert.deepEqual(
    report.problems.filter((one) => !/^no record names the body file/.test(one.text)),
    [],
  );
  const spool = await openLevelSpool(levelOptions(folder, systemClock));
  spool.listen({
    onReady: () => {},
    onWaiting: () => {},
    onFault: ({ text, id }) => assert.ok(/has no record/.test(text) && !known.accepted.has(id!), text),
  });
  const live = new Set<string>();
  let after: string | undefined;
  do {
    const page = await spool.list({}, { limit: 500, ...(after === undefined ? {} : { after }) });
    for (const item of page.items) live.add(item.delivery.key);
    after = page.next;
  } while (after !== undefined);
  for (const id of known.accepted) {
    const view = await spool.inspect(id);
    assert.ok(view, `${id} was acknowledged and is lost`);
    for (const { key, state, recipients } of view.deliveries) {
      assert.equal(live.has(key), state !== 'done');
      if (state === 'done') assert.ok(known.begun.has(key), `${key} is done, and nobody ended it`);
      if (known.noted.has(key)) assert.notEqual(recipients[0]?.state, 'queued', `${key} was noted as delivered, and would go again`);
    }
    if (!view.deliveries.some((one) => live.has(one.key))) continue;
    const body = await spool.readBody(id);
    assert.ok(body && (await bytesOf(body)).equals(bodyOf(id)), `${id} was altered`);
  }
  for (const key of known.ended) assert.ok(!live.has(key), `${key} had ended and is back`);
  await spool.tidy();
  await spool.close();
}

test(`a process killed at random instants (${KILLS} times) loses nothing acknowledged, alters nothing, brings nothing back`, async () => {
  const spools = Array.from({ length: SPOOLS }, async () => {
    const folder = await temporaryFolder();
    const known: Known = { accepted: new Set(), noted: new Set(), begun: new Set(), ended: new Set() };
    // On a machine that is busy a child hardly works before it dies: then there are more of them.
    const hardly = () => known.accepted.size <= KILLS / SPOOLS || known.ended.size <= KILLS / SPOOLS / 2;
    for (let kill = 0; kill < KILLS / SPOOLS || hardly(); kill++) {
      await workAndKill(folder.path, known, Math.random() * 150);
      await judge(folder.path, known);
      // What is long over need not be looked at again and again.
      for (const id of [...known.accepted].slice(0, -2000)) known.accepted.delete(id);
    }
    await folder.remove();
  });
  await Promise.all(spools);
});
