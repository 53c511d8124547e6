import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRecent } from '../../src/control/recent.js';
import type { MailEvent } from '../../src/core/event.js';
import { createVirtualClock } from '../support/virtual-clock.js';

function rig() {
  const clock = createVirtualClock();
  const counters = { accepted: 0, delivered: 0, deferred: 0, bounced: 0, expired: 0 };
  const agent = {
    spool: { counts: () => ({ ready: 1, waiting: 2, held: 3, sending: 4 }) },
    metrics: () => counters,
    connections: () =>
      new Map([
        ['a', { open: 2 }],
        ['b', { open: 3 }],
      ]),
  };
  const recent = createRecent(clock);
  return { clock, counters, agent, recent };
}

function deferred(n: number, text = 'try again'): MailEvent {
  const about = {
    at: n,
    id: `M${n}`,
    delivery: `M${n}.0`,
    lane: 'mx:x.test',
    sender: 's@y.test',
    recipient: 'r@x.test',
    server: '',
    delayMs: 1,
  };
  return { type: 'deferred', nextAttemptAt: 9, attempts: 1, status: '4.2.0', text, ...about };
}

test('a sample every ten seconds tells the depth, and what went through since the one before', async () => {
  const { clock, counters, agent, recent } = rig();
  counters.accepted = 100;
  recent.watch(agent);
  Object.assign(counters, { accepted: 103, delivered: 2, deferred: 1, bounced: 4, expired: 5 });
  await clock.advance(10_000);
  const [first, second, ...others] = recent.report(0).samples;
  assert.deepEqual(others, []);
  const depth = { ready: 1, waiting: 2, held: 3, sending: 4, connections: 5 };
  assert.deepEqual(first, { at: second!.at - 10_000, ...depth, accepted: 0, delivered: 0, deferred: 0, failed: 0 });
  assert.deepEqual(second, { at: clock.now(), ...depth, accepted: 3, delivered: 2, deferred: 1, failed: 9 });
  assert.deepEqual(recent.report(first!.at).samples, [second]);
  recent.stop();
  assert.equal(clock.pending, 0);
});

test('three hours are kept, and the last fifty troubles, each of bounded length', async () => {
  const { clock, agent, recent } = rig();
  recent.watch(agent);
  await clock.advance(4 * 3_600_000);
  const { samples, everyMs } = recent.report(0);
  assert.deepEqual([samples.length * everyMs, samples.at(-1)!.at], [3 * 3_600_000, clock.now()]);
  for (let n = 0; n < 60; n++) recent.observe(deferred(n, 'x'.repeat(5_000)));
  const { troubles } = recent.report(0);
  assert.deepEqual([troubles.length, troubles[0]!.at, troubles[49]!.at, troubles[49]!.text.length], [50, 10, 59, 400]);
});

test('what goes well is no trouble, and a fault is', () => {
  const { recent } = rig();
  recent.observe({ type: 'accepted', at: 1, id: 'A', sender: 's@y.test', recipients: 1, sizeBytes: 1, messageId: '<m>', origin: 'api' });
  recent.observe({ ...(deferred(2) as Extract<MailEvent, { type: 'deferred' }>), type: 'delivered' });
  recent.observe({ type: 'fault', at: 3, code: 'siteTrouble', text: 'down' });
  recent.observe({ ...(deferred(4) as Extract<MailEvent, { type: 'deferred' }>), type: 'expired' });
  assert.deepEqual(
    recent.report(0).troubles.map(({ type, at }) => `${at} ${type}`),
    ['3 fault', '4 expired'],
  );
});
