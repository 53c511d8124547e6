import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simpleParser } from 'mailparser';
import type { Delivery } from '../../src/core/delivery.js';
import { MtaError } from '../../src/core/errors.js';
import type { MailEvent } from '../../src/core/event.js';
import type { Body } from '../../src/core/message.js';
import type { RecipientOutcome } from '../../src/core/outcome.js';
import { DEFAULT_RETRY_POLICY } from '../../src/outcome/retry.js';
import { createSettler, type SettlerOptions } from '../../src/outcome/settler.js';
import type { LogFields } from '../../src/platform/log.js';
import type { Lease, Settlement } from '../../src/spool/spool.js';
import { createVirtualClock, settle as turns } from '../support/virtual-clock.js';
import { DAY, delivery, HOUR, LABEL, later, message, never, ok, queued, T0, transaction, trouble } from './samples.js';

const CONTENT = Buffer.from('Subject: A meeting\r\nFrom: alice@example.com\r\n\r\nhello\r\n');

/** A spool that only remembers what it was told, in order, and answers when it is let. */
function rig(changes: Partial<SettlerOptions> = {}) {
  const calls: string[] = [];
  const settlements: Settlement[] = [];
  const events: MailEvent[] = [];
  const lines: { level: string; event: string; fields: LogFields | undefined }[] = [];
  const gates: { resolve(held: boolean): void; reject(error: Error): void }[] = [];
  const bodies: (() => Promise<Body>)[] = [];
  const line = (level: string) => (event: string, fields?: LogFields) => void lines.push({ level, event, fields });
  const clock = createVirtualClock(T0 + HOUR);
  let ids = 0;
  const settler = createSettler({
    spool: {
      note: (_lease: Lease, outcomes: readonly RecipientOutcome[]) =>
        void calls.push(`note ${outcomes.map((outcome) => outcome.kind).join(' ')}`),
      settle(_lease, settlement) {
        calls.push('settle');
        settlements.push(settlement);
        return new Promise((resolve, reject) => void gates.push({ resolve, reject }));
      },
      giveBack: () => void calls.push('giveBack'),
      mayFinish() {
        calls.push('mayFinish');
        return true;
      },
    },
    body() {
      calls.push('body');
      return (bodies.shift() ?? (async () => ({ kind: 'bytes', bytes: CONTENT })))();
    },
    clock,
    newId: () => `01KAN4S41G000000000000000${ids++}`,
    policy: DEFAULT_RETRY_POLICY,
    hostname: 'mail.example.com',
    laneOf: (recipient, sender) => `mx:${recipient.slice(recipient.indexOf('@') + 1)}${sender && '!'}`,
    emit: (event) => void events.push(event),
    log: { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') },
    ...changes,
  });
  const logged = () => lines.map(({ level, event }) => `${level} ${event}`);
  return { settler, clock, calls, settlements, events, lines, logged, gates, bodies };
}

function lease(of: Delivery = delivery()): Lease {
  return { token: 1, delivery: of, bytes: CONTENT };
}

/** One whose content is no longer in memory. */
function stored(of: Delivery = delivery()): Lease {
  return { token: 1, delivery: of, bytes: undefined };
}

test('a delivered recipient is noted and handed to the spool before settle returns, and told of when it is durable', async () => {
  const { settler, calls, settlements, events, gates, lines } = rig();
  settler.settle(lease(delivery(undefined, { message: message({ notBefore: T0 + HOUR - 500 }) })), transaction([ok]));
  assert.deepEqual(calls, ['note delivered', 'settle'], 'G3: in the journal before any later dot');
  assert.equal(settler.pending(), 1);
  await turns();
  assert.deepEqual([events.length, lines.length], [0, 0]);
  gates[0]!.resolve(true);
  await settler.idle();
  assert.equal(settler.pending(), 0);
  const text = '2.0.0 Ok: queued as 1A';
  const told = { id: delivery().message.id, delayMs: 500, status: '2.0.0', text, server: LABEL };
  assert.deepEqual(events, [
    {
      type: 'delivered',
      at: T0 + HOUR,
      delivery: delivery().key,
      lane: 'mx:example.net',
      sender: 'alice@example.com',
      recipient: 'bob@example.net',
      ...told,
    },
  ]);
  assert.deepEqual(lines, [], 'events are what the log of mail is made from: no second line here');
  assert.deepEqual(settlements[0]!.next, { kind: 'done' });
});

test('where nobody was delivered there is nothing to note', () => {
  const { settler, calls } = rig();
  settler.settle(lease(), transaction([later]));
  assert.deepEqual(calls, ['settle']);
});

test('one delivered among others is noted, with what became of them: only that may not be sent twice (G3)', () => {
  const { settler, calls } = rig();
  settler.settle(lease(delivery(['a@x.example', 'b@x.example', 'c@x.example'])), transaction([later, ok, later]));
  assert.deepEqual(calls, ['note deferred delivered deferred', 'settle']);
});

test('of many that fail together only so many originals are read at a time: each may be a file', async () => {
  const { settler, gates, bodies, calls } = rig();
  const reads: (() => void)[] = [];
  for (let n = 0; n < 40; n++) {
    bodies.push(() => new Promise((resolve) => reads.push(() => resolve({ kind: 'bytes', bytes: CONTENT }))));
    settler.settle(stored(), transaction([never]));
  }
  for (let read = 0; read < 40; read++) {
    await turns();
    assert.ok(reads.length - read <= 16, `${reads.length - read} at a time`);
    reads[read]!();
  }
  await turns();
  assert.deepEqual(calls.filter((call) => call === 'settle').length, 40);
  for (const gate of gates) gate.resolve(true);
  await settler.idle();
});

test('a mix is told recipient by recipient, with the next attempt for those deferred', async () => {
  const { settler, events, gates, logged, settlements } = rig();
  settler.settle(lease(delivery(['a@x.example', 'b@x.example', 'c@x.example'])), transaction([ok, later, never]));
  await turns();
  gates[0]!.resolve(true);
  await settler.idle();
  assert.deepEqual(
    events.map((event) => event.type),
    ['delivered', 'deferred', 'bounced', 'accepted'],
  );
  const deferred = events[1]!;
  const { next } = settlements[0]!;
  assert.ok(deferred.type === 'deferred' && next.kind === 'retry');
  assert.deepEqual([deferred.recipient, deferred.attempts, deferred.nextAttemptAt], ['b@x.example', 1, next.due]);
  assert.deepEqual(logged(), ['info report.queued']);
});

test('a bounce is part of the settlement that it reports (G2), and goes to the sender by its own lane', async () => {
  const { settler, calls, settlements, gates, events } = rig();
  settler.settle(stored(), transaction([never]));
  assert.equal(settler.pending(), 1);
  await turns();
  assert.deepEqual(calls, ['body', 'settle']);
  const [report, ...others] = settlements[0]!.reports;
  assert.equal(others.length, 0);
  assert.deepEqual(settlements[0]!.next, { kind: 'done' });
  assert.deepEqual(report!.deliveries, [{ lane: 'mx:example.com', recipients: [{ address: 'alice@example.com', state: 'queued' }] }]);
  assert.equal(report!.message.expiresAt, T0 + HOUR + 5 * DAY);
  const { body } = report!;
  assert.ok(Buffer.isBuffer(body));
  const parsed = await simpleParser(body, { keepDeliveryStatus: true });
  assert.match(parsed.text ?? '', /Subject: A meeting/);
  assert.ok(body.includes('Status: 5.1.1'));
  assert.ok(!body.includes('hello'), 'only the header comes back');
  gates[0]!.resolve(true);
  await settler.idle();
  assert.deepEqual(
    events.map((event) => [event.type, 'id' in event && event.id]),
    [
      ['bounced', delivery().message.id],
      ['accepted', report!.message.id],
    ],
  );
});

test('content that is still in memory is not read back for a bounce', async () => {
  const { settler, calls, settlements } = rig();
  settler.settle(lease(), transaction([never]));
  await turns();
  assert.deepEqual(calls, ['settle']);
  assert.ok((settlements[0]!.reports[0]!.body as Buffer).includes('A meeting'));
});

test('a damaged body means a bounce without headers, not a delivery without end', async () => {
  const { settler, settlements, bodies, logged } = rig();
  bodies.push(() => Promise.reject(new MtaError('SPOOL_DAMAGED', 'checksum')));
  settler.settle(stored(), transaction([never]));
  await turns();
  const body = settlements[0]!.reports[0]!.body as Buffer;
  assert.ok(body.includes('Status: 5.1.1') && !body.includes('rfc822-headers'));
  assert.deepEqual(logged(), ['warn report.originalUnreadable']);
});

test('while the store fails the header waits for it, and is read again once', async () => {
  const failed = () => Promise.reject(new MtaError('SPOOL_FAILED', 'reopening'));
  const { settler, settlements, bodies, calls } = rig();
  bodies.push(failed);
  settler.settle(stored(), transaction([never]));
  await turns();
  assert.deepEqual(calls, ['body', 'mayFinish', 'body', 'settle']);
  assert.ok((settlements[0]!.reports[0]!.body as Buffer).includes('A meeting'));
  bodies.push(failed, failed);
  settler.settle(stored(), transaction([never]));
  await turns();
  assert.equal(settlements[1]!.reports.length, 1, 'twice is enough: the report goes without');
});

test('the failure of a report is recorded and told, and breeds no other report', async () => {
  const { settler, settlements, calls, gates, logged, events } = rig();
  const report = message({ sender: '', bounces: 'none', origin: { kind: 'report', of: '01KAN4S41G00000000000000Z9' } });
  settler.settle(stored(delivery(['alice@example.com'], { message: report })), transaction([never]));
  await turns();
  assert.deepEqual([calls, settlements[0]!.reports], [['settle'], []]);
  gates[0]!.resolve(true);
  await settler.idle();
  assert.deepEqual(logged(), ['warn report.undeliverable']);
  assert.deepEqual(
    events.map((event) => event.type),
    ['bounced'],
  );
});

test('those who fail now are reported now, those who fail later in a report of their own', async () => {
  const { settler, settlements } = rig();
  const first = delivery(['a@x.example', 'b@x.example']);
  settler.settle(lease(first), transaction([never, later]));
  await turns();
  const { recipients, attempts, log, delayNoticed } = settlements[0]!;
  settler.settle(lease({ ...first, recipients, attempts, log, delayNoticed }), transaction([never]));
  await turns();
  const named = settlements.map(({ reports }) =>
    reports.map(({ body }) => (body as Buffer).toString().match(/(?<=Final-Recipient: rfc822; ).*(?=\r)/g)),
  );
  assert.deepEqual(named, [[['a@x.example']], [['b@x.example']]]);
});

test('a sender without a way back costs a line in the log, not the settlement', async () => {
  const { settler, settlements, logged } = rig({
    laneOf() {
      throw new MtaError('INVALID_ADDRESS', 'no domain');
    },
  });
  settler.settle(lease(), transaction([never]));
  await turns();
  assert.deepEqual(settlements[0]!.reports, []);
  assert.deepEqual(logged(), ['error report.noWayBack']);
});

test('a lost lease tells of nothing, and neither does a store that was closed', async () => {
  const { settler, events, gates, logged } = rig();
  settler.settle(lease(), transaction([ok]));
  settler.settle(lease(), transaction([ok]));
  gates[0]!.resolve(false);
  gates[1]!.reject(new MtaError('SPOOL_CLOSED', 'closed'));
  await settler.idle();
  assert.deepEqual(events, []);
  assert.deepEqual(logged(), ['warn delivery.leaseLost', 'error delivery.unsettled']);
  assert.equal(settler.pending(), 0);
});

test('permanent trouble of a lane fails and reports, temporary is retried; both resolve when settled', async () => {
  const { settler, settlements, gates } = rig();
  let over = 0;
  const nullMx = trouble('permanent', { stage: 'resolve', status: '5.1.10', text: 'takes no mail' });
  const permanent = settler.settleTrouble(lease(), nullMx).then(() => over++);
  const temporary = settler.settleTrouble(lease(), trouble('temporary', { stage: 'resolve' })).then(() => over++);
  await turns();
  assert.equal(over, 0);
  assert.deepEqual(settlements.map(({ next, reports }) => `${next.kind} ${reports.length}`).sort(), ['done 1', 'retry 0']);
  for (const gate of gates) gate.resolve(true);
  await Promise.all([permanent, temporary]);
  assert.equal(over, 2);
});

test('a sweep that finds nothing to do gives the lease back; else it ends the delivery or sends the notice', async () => {
  const { settler, calls, settlements, clock, gates, events } = rig();
  const waits = trouble('temporary', { stage: 'connect', text: 'connection refused' });
  await settler.settleOverdue(lease(), waits);
  assert.deepEqual(calls, ['giveBack']);
  assert.equal(settler.isOverdue({ acceptedAt: T0, expiresAt: T0 + 5 * DAY, delayNoticed: false }), false);

  await clock.advance(3 * HOUR);
  assert.equal(settler.isOverdue({ acceptedAt: T0, expiresAt: T0 + 5 * DAY, delayNoticed: false }), true);
  const noticed = settler.settleOverdue(lease(), waits);
  await turns();
  gates[0]!.resolve(true);
  await noticed;
  assert.deepEqual(settlements[0]!.next, { kind: 'ready' });
  assert.ok((settlements[0]!.reports[0]!.body as Buffer).includes('Action: delayed'));
  assert.deepEqual(
    events.map((event) => event.type),
    ['accepted'],
  );

  await clock.advance(5 * DAY);
  const expired = settler.settleOverdue(lease(delivery([queued('a@x.example', { notify: ['never'] })])), undefined);
  await turns();
  assert.deepEqual([settlements[1]!.next, settlements[1]!.reports], [{ kind: 'done' }, []]);
  gates[1]!.resolve(true);
  await expired;
  assert.equal(events.at(-1)?.type, 'expired');
});

test('idle waits for all that was handed in, reports under way included', async () => {
  const { settler, gates } = rig();
  await settler.idle();
  settler.settle(lease(), transaction([ok]));
  settler.settle(stored(), transaction([never]));
  let idle = false;
  const waiting = settler.idle().then(() => {
    idle = true;
  });
  gates[0]!.resolve(true);
  await turns();
  assert.equal(idle, false);
  gates[1]!.resolve(true);
  await waiting;
});
