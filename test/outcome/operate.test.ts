import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailEvent } from '../../src/core/event.js';
import { createOperator } from '../../src/outcome/operate.js';
import { DEFAULT_RETRY_POLICY } from '../../src/outcome/retry.js';
import { createSettler } from '../../src/outcome/settler.js';
import { silentLog } from '../../src/platform/log.js';
import { createMemorySpool } from '../../src/spool/memory.js';
import { acceptance, deferred, recipient } from '../support/mail.js';
import { createVirtualClock } from '../support/virtual-clock.js';

async function rig() {
  const clock = createVirtualClock();
  const spool = await createMemorySpool({ clock, promoteAfterMs: 900_000, historyRetentionMs: 3_600_000, inlineLimitBytes: 16_384 });
  const events: MailEvent[] = [];
  const entry = acceptance({ acceptedAt: clock.now(), notBefore: clock.now() + 60_000 });
  await spool.accept({ ...entry, deliveries: [{ lane: 'mx:one.test', recipients: [recipient('a@one.test'), recipient('b@one.test')] }] });
  const [listed] = (await spool.list({}, { limit: 1 })).items;
  const emit = (event: MailEvent) => void events.push(event);
  let ids = 0;
  const settler = createSettler({
    spool,
    body: (lease) => spool.body(lease),
    clock,
    newId: () => `01KAN4S41G000000000000000${ids++}`,
    policy: DEFAULT_RETRY_POLICY,
    hostname: 'mail.example.com',
    laneOf: (address) => `mx:${address.split('@')[1]}`,
    emit,
    log: silentLog,
  });
  return { clock, spool, events, listed: listed!, ...createOperator({ spool, settler, clock, emit }) };
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

test('what is held, released, tried now or put off is told, with its next time', async () => {
  const { events, listed, operate, clock } = await rig();
  const due = clock.now() + 5000;
  for (const kind of ['hold', 'release', 'retryNow'] as const) await operate(listed, { kind });
  await operate(listed, { kind: 'reschedule', due });
  assert.deepEqual(
    events.map((event) => event.type === 'changed' && [event.change, event.delivery, event.due]),
    [
      ['hold', listed.delivery.key, undefined],
      ['release', listed.delivery.key, undefined],
      ['retry', listed.delivery.key, undefined],
      ['reschedule', listed.delivery.key, due],
    ],
  );
});

test('what is given up fails for everybody who was queued, and its sender is told why, once', async () => {
  const { spool, events, listed, operate } = await rig();
  assert.equal(await operate(listed, { kind: 'fail', reason: 'the address is retired' }), 'done');
  assert.deepEqual(
    events.map((event) => [event.type, 'recipient' in event && event.recipient]),
    [
      ['bounced', 'a@one.test'],
      ['bounced', 'b@one.test'],
      ['accepted', false],
    ],
  );
  const view = (await spool.inspect(listed.message.id))!;
  const [delivery] = view.deliveries;
  assert.deepEqual([delivery!.state, delivery!.attempts], ['done', 0]);
  assert.deepEqual(
    delivery!.recipients.map(({ state, last }) => [state, last?.status, last?.text]),
    Array(2).fill(['bounced', '5.3.0', 'given up by an operator: the address is retired']),
  );
  assert.equal(delivery!.log.at(-1)?.trouble?.reason, 'givenUp');
  const report = (await spool.list({}, { limit: 10 })).items;
  assert.deepEqual(
    report.map(({ message, delivery: one }) => [message.sender, one.recipients[0]!.address]),
    [['', 'sender@example.com']],
  );
  const body = await spool.readBody(report[0]!.message.id);
  assert.ok(body?.kind === 'bytes' && body.bytes.includes('the address is retired'));
  assert.equal(await operate(listed, { kind: 'fail', reason: '' }), 'gone');
});

test('what is given up fails with what was heard of it last, as a failure', async () => {
  const { spool, listed, operate } = await rig();
  const lease = await spool.take(listed.delivery.key);
  assert.ok(typeof lease === 'object');
  assert.equal(await operate(listed, { kind: 'fail', reason: '' }), 'inFlight');
  const put = deferred(lease.delivery, 1, 2);
  const last = { at: 1, status: '4.7.1', text: '451 4.7.1 Greylisted' };
  await spool.settle(lease, { ...put, recipients: put.recipients.map((one) => ({ ...one, last })) });
  assert.equal(await operate(listed, { kind: 'fail', reason: '' }), 'done');
  const [delivery] = (await spool.inspect(listed.message.id))!.deliveries;
  const { status, text } = delivery!.recipients[0]!.last!;
  assert.deepEqual([status, text], ['5.7.1', 'given up by an operator; last error: 451 4.7.1 Greylisted']);
});

test('a lane that is paused or resumed is told, where something came of it', async () => {
  const { events, spool, pauseLane, resumeLane } = await rig();
  assert.equal(await resumeLane('mx:one.test'), false);
  await pauseLane('mx:one.test', 'their wish');
  assert.equal(spool.pauses().get('mx:one.test')?.reason, 'their wish');
  assert.equal(await resumeLane('mx:one.test'), true);
  assert.deepEqual(
    events.map((event) => [event.type, 'lane' in event && event.lane]),
    [
      ['paused', 'mx:one.test'],
      ['resumed', 'mx:one.test'],
    ],
  );
});

test('what was gone already is not told', async () => {
  const { events, listed, operate } = await rig();
  assert.equal(await operate(listed, { kind: 'remove' }), 'done');
  events.length = 0;
  assert.equal(await operate(listed, { kind: 'remove' }), 'gone');
  assert.deepEqual(events, []);
});
