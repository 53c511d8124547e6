import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailEvent } from '../../src/core/event.js';
import { createOperator } from '../../src/outcome/operate.js';
import { createMemorySpool } from '../../src/spool/memory.js';
import { acceptance, recipient } from '../support/mail.js';
import { createVirtualClock } from '../support/virtual-clock.js';

async function rig() {
  const clock = createVirtualClock();
  const spool = await createMemorySpool({ clock, promoteAfterMs: 900_000, historyRetentionMs: 3_600_000, inlineLimitBytes: 16_384 });
  const events: MailEvent[] = [];
  const entry = acceptance({ acceptedAt: clock.now(), notBefore: clock.now() + 60_000 });
  await spool.accept({ ...entry, deliveries: [{ lane: 'mx:one.test', recipients: [recipient('a@one.test'), recipient('b@one.test')] }] });
  const [listed] = (await spool.list({}, { limit: 1 })).items;
  return { clock, spool, events, listed: listed!, operate: createOperator({ spool, clock, emit: (event) => events.push(event) }) };
}

test('a removal is told for each recipient that was still queued, once it is durable', async () => {
  const { spool, events, listed, operate, clock } = await rig();
  await clock.advance(90_000);
  assert.equal(await operate(listed, { kind: 'remove' }), 'done');
  assert.deepEqual(
    events.map((event) => event.type === 'removed' && [event.recipient, event.lane, event.delayMs]),
    [
      ['a@one.test', 'mx:one.test', 30_000],
      ['b@one.test', 'mx:one.test', 30_000],
    ],
  );
  assert.equal(spool.counts().messages, 0);
});

test('what was gone already is not told, nor is any other change', async () => {
  const { events, listed, operate } = await rig();
  assert.equal(await operate(listed, { kind: 'hold' }), 'done');
  assert.equal(await operate(listed, { kind: 'remove' }), 'done');
  events.length = 0;
  assert.equal(await operate(listed, { kind: 'remove' }), 'gone');
  assert.deepEqual(events, []);
});
