import assert from 'node:assert/strict';
import { chown, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Recipient } from '../../src/core/delivery.js';
import { mxLane } from '../../src/core/lane.js';
import type { Message } from '../../src/core/message.js';
import { systemClock } from '../../src/platform/clock.js';
import { silentLog } from '../../src/platform/log.js';
import { openLevelSpool } from '../../src/spool/level/open.js';
import type { Spool } from '../../src/spool/spool.js';
import { fakeMessage } from '../control/fake-agent.js';
import { run, standingClock } from './run.js';

function open(folder: string): Promise<Spool> {
  return openLevelSpool({
    path: folder,
    clock: systemClock,
    log: silentLog,
    inlineLimitBytes: 1024,
    minFreeBytes: 0,
    historyRetentionMs: 86_400_000,
    historyMaxBytes: 1 << 20,
    promoteAfterMs: 900_000,
  });
}

/** A spool with one message in it, closed. */
async function atRest(t: TestContext): Promise<{ folder: string; message: Message }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'riata-rest-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const spool = await open(folder);
  spool.listen({ onReady: () => {}, onWaiting: () => {}, onFault: () => {} });
  const body = Buffer.from('Subject: resting\r\n\r\nx\r\n');
  const message = fakeMessage({ sizeBytes: body.length });
  const recipients: Recipient[] = [{ address: 'bob@example.net', state: 'queued' }];
  await spool.accept({ message, deliveries: [{ lane: mxLane('example.net'), recipients }], body });
  await spool.close();
  return { folder, message };
}

test('where no agent runs, the reading commands open the spool themselves', { timeout: 120_000 }, async (t) => {
  const { folder, message } = await atRest(t);
  const riata = (line: string) => run([...line.split(' '), '--spool', folder]);
  assert.match((await riata('queue list')).out, new RegExp(message.id));
  assert.match((await riata(`queue show ${message.id}`)).out, /Subject: +resting/);
  assert.equal((await riata(`queue show ${message.id} --raw`)).out, 'Subject: resting\r\n\r\nx\r\n');
  assert.match((await riata(`status ${message.id}`)).out, /: queued\n/);
  assert.match((await riata(`why ${message.id}`)).out, /Waits +no agent runs on this spool/);
  assert.match((await riata('queue stats')).out, /Agent +none runs/);
  const changing = await riata('queue remove --all --yes');
  assert.equal(changing.code, 69);
  assert.match((await riata('queue list')).out, new RegExp(message.id));
});

test('two readers at a time wait for each other', { timeout: 120_000 }, async (t) => {
  const { folder, message } = await atRest(t);
  const held = await open(folder);
  let looks = 0;
  const clock = { ...standingClock, monotonic: () => (looks++, 0) };
  const listing = run(['queue', 'list', '--spool', folder], { clock });
  // The second look at the clock is after the first try.
  while (looks < 2) await new Promise((resolve) => setImmediate(resolve));
  await held.close();
  assert.match((await listing).out, new RegExp(message.id));
});

test('a spool that is not there, or another user’s, is told in one clear line', { timeout: 120_000 }, async (t) => {
  const { folder } = await atRest(t);
  const absent = await run(['queue', 'list', '--spool', path.join(folder, 'absent')]);
  assert.equal(absent.code, 69);
  assert.match(absent.err, /no agent runs on .*absent, and there is no spool\n$/);
  if (process.getuid?.() !== 0) return t.diagnostic('not root: the rest cannot be tried');
  await chown(folder, 12_345, 12_345);
  for (const command of [
    ['queue', 'list'],
    ['spool', 'check'],
  ]) {
    const foreign = await run([...command, '--spool', folder]);
    assert.equal(foreign.code, 77, command.join(' '));
    assert.match(foreign.err, /only its owner, user 12345, may open it/);
  }
});

test('spool check tells what is there, and ends with 0 when nothing is wrong', { timeout: 120_000 }, async (t) => {
  const { folder } = await atRest(t);
  const { code, out, err } = await run(['spool', 'check', '--spool', folder]);
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /Messages +1\n/);
  assert.match(out, /Deliveries +1: 1 ready, 0 waiting, 0 held/);
  assert.match(out, /Nothing is wrong with it/);
  assert.equal((JSON.parse((await run(['spool', 'check', '--spool', folder, '--json'])).out) as { problemCount: number }).problemCount, 0);
});

test('spool check finds a flipped bit, and ends with 65', { timeout: 120_000 }, async (t) => {
  const { folder } = await atRest(t);
  const store = path.join(folder, 'store');
  const [log] = (await readdir(store)).filter((name) => name.endsWith('.log'));
  const file = path.join(store, log!);
  const bytes = await readFile(file);
  const at = bytes.indexOf('Subject: resting');
  assert.ok(at > 0, 'the body is in the log');
  bytes[at] = bytes[at]! ^ 1;
  await writeFile(file, bytes);
  const { code, out } = await run(['spool', 'check', '--spool', folder]);
  assert.equal(code, 65);
  assert.match(out, /\d problems?:\n/);
});

test('spool check does not touch a spool that somebody has open', { timeout: 120_000 }, async (t) => {
  const { folder } = await atRest(t);
  const held = await open(folder);
  t.after(() => held.close());
  const { code, err } = await run(['spool', 'check', '--spool', folder]);
  assert.equal(code, 75);
  assert.match(err, /stop the agent first/);
});
