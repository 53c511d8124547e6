import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailEvent } from '../../src/core/event.js';
import { createIdSource } from '../../src/core/id.js';
import type { Message } from '../../src/core/message.js';
import type { RecipientOutcome } from '../../src/core/outcome.js';
import { DEFAULT_RETRY_POLICY } from '../../src/outcome/retry.js';
import { createSettler } from '../../src/outcome/settler.js';
import { silentLog } from '../../src/platform/log.js';
import { createMemorySpool } from '../../src/spool/memory.js';
import type { Lease } from '../../src/spool/spool.js';
import { createVirtualClock } from '../support/virtual-clock.js';
import { DAY, HOUR, ID, later, MINUTE, message, never, ok, queued, T0, transaction } from './samples.js';

const LANE = 'mx:example.net';
const BACK = 'mx:example.com';
const BODY = Buffer.from('Subject: A meeting\r\n\r\nhello\r\n');

async function rig(about: { readonly addresses?: readonly string[]; readonly message?: Partial<Message> } = {}) {
  const clock = createVirtualClock(T0);
  const events: MailEvent[] = [];
  const spool = await createMemorySpool({ clock, promoteAfterMs: 15 * MINUTE, historyRetentionMs: 30 * DAY, inlineLimitBytes: 16 });
  const settler = createSettler({
    spool,
    body: (lease) => spool.body(lease),
    clock,
    newId: createIdSource(clock, { fill: (bytes) => void bytes.fill(7) }, ID),
    policy: DEFAULT_RETRY_POLICY,
    hostname: 'mail.example.com',
    laneOf: (recipient) => `mx:${recipient.slice(recipient.indexOf('@') + 1)}`,
    emit: (event) => void events.push(event),
    log: silentLog,
  });
  const recipients = (about.addresses ?? ['bob@example.net']).map((address) => queued(address));
  await spool.accept({
    message: message({ sizeBytes: BODY.length, ...about.message }),
    deliveries: [{ lane: LANE, recipients }],
    body: BODY,
  });
  /** One attempt at the first thing that is ready in a lane. */
  const attempt = async (lane: string, answer: (address: string) => RecipientOutcome): Promise<Lease | undefined> => {
    const lease = spool.pull(lane);
    if (!lease) return undefined;
    const open = lease.delivery.recipients.filter((recipient) => recipient.state === 'queued');
    settler.settle(
      lease,
      transaction(
        open.map(({ address }) => answer(address)),
        { startedAt: clock.now(), endedAt: clock.now() },
      ),
    );
    await settler.idle();
    return lease;
  };
  return { clock, events, spool, settler, attempt };
}

test('a failed recipient is bounced to the sender, and the message ends with every recipient in one final state', async () => {
  const { spool, attempt, events } = await rig({ addresses: ['a@example.net', 'b@example.net'] });
  await attempt(LANE, (address) => (address.startsWith('a') ? ok : never));
  const view = await spool.inspect(ID);
  assert.deepEqual(
    view?.deliveries.map(({ state, recipients }) => [state, ...recipients.map((recipient) => recipient.state)]),
    [['done', 'delivered', 'bounced']],
  );
  assert.deepEqual([...spool.lanes()], [BACK]);

  const bounce = await attempt(BACK, () => ok);
  const report = bounce!.delivery.message;
  assert.deepEqual(
    [report.sender, report.origin, bounce!.delivery.recipients[0]?.address],
    ['', { kind: 'report', of: ID }, 'alice@example.com'],
  );
  assert.deepEqual([...spool.lanes()], []);
  assert.deepEqual(
    events.map((event) => event.type),
    ['delivered', 'bounced', 'accepted', 'delivered'],
  );
});

test('a bounce that bounces ends the story', async () => {
  const { spool, attempt } = await rig();
  await attempt(LANE, () => never);
  await attempt(BACK, () => never);
  assert.deepEqual([...spool.lanes()], []);
  assert.equal(spool.counts().messages, 0);
});

test('mail that is always put off is tried for five days, told of at four hours, tried a last time at expiry, and bounced', async () => {
  const { spool, clock, attempt, events } = await rig();
  const tries: number[] = [];
  const mails: [string, number][] = [];
  for (let due: number | undefined = T0; due !== undefined; due = await spool.promote()) {
    await clock.advance(due - clock.now());
    await spool.promote();
    if (await attempt(LANE, () => later)) tries.push(clock.now() - T0);
    const report = spool.pull(BACK);
    if (report === undefined) continue;
    const body = await spool.body(report);
    assert.equal(body.kind, 'stream');
    if (body.kind === 'stream')
      for await (const chunk of body.open()) mails.push([/Action: (.*)\r/.exec(chunk.toString())![1]!, clock.now() - T0]);
    const done = report.delivery.recipients.map((recipient) => ({ ...recipient, state: 'delivered' as const }));
    await spool.settle(report, {
      at: clock.now(),
      recipients: done,
      attempts: 1,
      log: [],
      delayNoticed: false,
      next: { kind: 'done' },
      reports: [],
    });
  }
  assert.equal(tries.at(-1), 5 * DAY);
  assert.ok(tries.length > 30 && tries.length < 45, `${tries.length} tries`);
  assert.ok(tries.every((at, i) => i === 0 || at - tries[i - 1]! <= 4.4 * HOUR));
  const noticed = tries.find((at) => at >= 4 * HOUR);
  assert.deepEqual(mails, [
    ['delayed', noticed],
    ['failed', 5 * DAY],
  ]);
  const view = await spool.inspect(ID);
  assert.equal(view?.deliveries[0]?.recipients[0]?.state, 'expired');
  assert.equal(view?.deliveries[0]?.attempts, tries.length);
  assert.equal(events.filter((event) => event.type === 'deferred').length, tries.length - 1);
  assert.equal(events.filter((event) => event.type === 'expired').length, 1);
});

test('what waits for a site in trouble is found by the sweep: told of once, then ended', async () => {
  const { spool, clock, settler, events } = await rig();
  const sweep = async () => {
    let taken = 0;
    const under: Promise<void>[] = [];
    await spool.sweepReady(settler.isOverdue, (lease) => {
      taken++;
      under.push(settler.settleOverdue(lease, undefined));
    });
    await Promise.all(under);
    return taken;
  };
  assert.equal(await sweep(), 0);
  await clock.advance(4 * HOUR);
  assert.equal(await sweep(), 1);
  assert.equal(await sweep(), 0, 'once');
  assert.equal(spool.readyNow(BACK), 1);
  assert.equal(spool.readyNow(LANE), 1, 'it waits on');
  await clock.advance(5 * DAY);
  await sweep();
  assert.equal((await spool.inspect(ID))?.deliveries[0]?.recipients[0]?.state, 'expired');
  assert.ok(events.some((event) => event.type === 'expired' && event.status === '4.4.7'));
});

test('an operator who takes the delivery away meanwhile has the last word', async () => {
  const { spool, settler, events } = await rig();
  const lease = spool.pull(LANE)!;
  spool.giveBack(lease);
  await spool.change(lease.delivery.key, { kind: 'remove' });
  settler.settle(lease, transaction([never]));
  await settler.idle();
  assert.deepEqual([events, [...spool.lanes()]], [[], []]);
});
