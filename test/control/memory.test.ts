import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { readingOnly } from '../../src/control/reading.js';
import { controlVerbs } from '../../src/control/verbs.js';
import type { Recipient } from '../../src/core/delivery.js';
import { mxLane } from '../../src/core/lane.js';
import type { Message } from '../../src/core/message.js';
import { systemClock } from '../../src/platform/clock.js';
import { silentLog } from '../../src/platform/log.js';
import { createMemorySpool } from '../../src/spool/memory.js';
import type { Spool } from '../../src/spool/spool.js';
import { FakeAgent, fakeMessage, UNUSED } from './fake-agent.js';
import { collect } from './served.js';

/** The verbs on a real driver: what the fake queue of the other tests takes for granted. */
async function opened(t: TestContext) {
  const spool = await createMemorySpool({
    clock: systemClock,
    promoteAfterMs: 900_000,
    historyRetentionMs: 86_400_000,
    inlineLimitBytes: 1000,
  });
  t.after(() => spool.close());
  // An agent lives by its listeners; the clock's timers keep nothing alive.
  const alive = setInterval(() => {}, 1000);
  t.after(() => clearInterval(alive));
  spool.listen({ onReady: () => {}, onWaiting: () => {}, onFault: () => {} });
  const agent = Object.assign(new FakeAgent(), { spool });
  const verbs = controlVerbs(agent, {
    clock: systemClock,
    version: '1',
    pid: 1,
    maxMessageSize: 10_000,
    maxRecipients: 10,
    ...UNUSED,
    log: silentLog,
  });
  return { spool, verbs, agent };
}

async function accept(spool: Spool, recipients: Record<string, readonly string[]>, size = 100): Promise<Message> {
  const body = Buffer.alloc(size, 'x');
  const message = fakeMessage({ sizeBytes: size, acceptedAt: Date.now(), expiresAt: Date.now() + 1e9 });
  const deliveries = Object.entries(recipients).map(([domain, addresses]) => ({
    lane: mxLane(domain),
    recipients: addresses.map((address): Recipient => ({ address, state: 'queued' })),
  }));
  await spool.accept({ message, deliveries, body });
  return message;
}

test('held mail is not pulled, released mail is', async (t) => {
  const { spool, verbs } = await opened(t);
  const message = await accept(spool, { 'a.test': ['x@a.test'], 'b.test': ['y@b.test'] });
  assert.equal((await verbs.change({ action: 'hold', selector: { domain: 'a.test' } })).changed, 1);
  assert.equal(spool.pull(mxLane('a.test')), undefined);
  assert.deepEqual(
    (await verbs.status(message.id)).recipients.map(({ address, held }) => [address, held]),
    [
      ['x@a.test', true],
      ['y@b.test', false],
    ],
  );
  assert.equal((await verbs.change({ action: 'release', selector: { state: 'held' } })).changed, 1);
  assert.equal(spool.pull(mxLane('a.test'))?.delivery.message.id, message.id);
});

test('what is being sent cannot be removed; the rest is, with its end in the history', async (t) => {
  const { spool, verbs } = await opened(t);
  const message = await accept(spool, { 'a.test': ['x@a.test'], 'b.test': ['y@b.test'] });
  const lease = spool.pull(mxLane('a.test'));
  assert.ok(lease);
  const report = await verbs.change({ action: 'remove', selector: { all: true } });
  assert.deepEqual([report.matched, report.changed, report.inFlight], [2, 1, 1]);
  spool.giveBack(lease);
  assert.equal((await verbs.change({ action: 'remove', selector: { all: true } })).changed, 1);
  assert.equal((await verbs.list({}, { limit: 10 })).items.length, 0);
  const status = await verbs.status(message.id);
  assert.deepEqual([status.status, status.recipients.map(({ state }) => state)], ['error', ['removed', 'removed']]);
  assert.equal((await verbs.history({ since: 0, limit: 10 })).items.length, 2);
});

test('a change reaches everything also where pages end in the middle of a message', async (t) => {
  const { spool, verbs } = await opened(t);
  for (let i = 0; i < 150; i++) await accept(spool, { 'a.test': [`x${i}@a.test`], 'b.test': [`y${i}@b.test`], 'c.test': [`z${i}@c.test`] });
  const counted = await verbs.change({ action: 'remove', selector: { all: true }, dryRun: true });
  assert.deepEqual([counted.messages, counted.matched], [150, 450]);
  const removed = await verbs.change({ action: 'remove', selector: { all: true } });
  assert.deepEqual([removed.messages, removed.changed], [150, 450]);
  assert.equal(spool.counts().messages, 0);
});

test('raw gives small and large content alike', async (t) => {
  const { spool, verbs } = await opened(t);
  for (const size of [100, 200_000]) {
    const message = await accept(spool, { 'a.test': ['x@a.test'] }, size);
    const raw = await verbs.raw(message.id);
    assert.equal(raw.sizeBytes, size);
    assert.ok((await collect(raw.chunks)).equals(Buffer.alloc(size, 'x')));
  }
});

test('news come when there are some, or when the time is up', async (t) => {
  const { spool, verbs } = await opened(t);
  const message = await accept(spool, { 'a.test': ['x@a.test'] });
  assert.equal((await verbs.news(message.id, 30)).status, 'queued');
  const waiting = verbs.news(message.id, 60_000);
  const lease = spool.pull(mxLane('a.test'))!;
  const last = { at: Date.now(), status: '2.0.0', text: 'Ok' };
  const recipients: Recipient[] = [{ address: 'x@a.test', state: 'delivered', last }];
  await spool.settle(lease, { at: Date.now(), recipients, attempts: 1, log: [], delayNoticed: false, next: { kind: 'done' }, reports: [] });
  assert.equal((await waiting).status, 'sent');
});

test('a spool at rest answers the reading verbs', async (t) => {
  const { spool } = await opened(t);
  const message = await accept(spool, { 'a.test': ['x@a.test'] });
  const verbs = readingOnly(spool, systemClock);
  assert.equal((await verbs.show(message.id)).deliveries.length, 1);
  const stats = await verbs.stats();
  assert.deepEqual([stats.counts.messages, stats.lanes[0]?.lane, stats.uptimeMs, stats.connections], [1, 'mx:a.test', 0, []]);
});

test('what comes in while a change runs is not meant by it', async (t) => {
  const { spool, verbs, agent } = await opened(t);
  for (let i = 0; i < 300; i++) await accept(spool, { 'a.test': [`x${i}@a.test`] });
  const operate = agent.operate;
  // As a failure does: each one changed brings a report of its own.
  agent.operate = async (listed, change) => {
    await accept(spool, { 'back.test': ['sender@back.test'] });
    return operate(listed, change);
  };
  const report = await verbs.change({ action: 'remove', selector: { all: true } });
  assert.deepEqual([report.matched, report.changed], [300, 300]);
  assert.equal(spool.counts().messages, 300);
});
