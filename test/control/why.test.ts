import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explain, type LaneKnown, type WhyKnown } from '../../src/control/why.js';
import type { Attempt } from '../../src/core/delivery.js';
import type { Trouble } from '../../src/core/outcome.js';
import { QUIET } from '../../src/scheduler/lane-now.js';
import type { DeliveryView, Place } from '../../src/spool/spool.js';
import { fakeDelivery, fakeMessage, NOW } from './fake-agent.js';

const REFUSED: Trouble = { lasting: 'temporary', stage: 'connect', status: '4.4.1', text: 'connection refused' };
const ATTEMPT: Attempt = { at: NOW, durationMs: 3, stage: 'connect', delivered: 0, deferred: 1, failed: 0, trouble: REFUSED };
const RUNNING: LaneKnown = { now: QUIET, description: 'the mail servers of x.test', connections: [], connectionsPerServer: 5 };

interface Case {
  readonly name: string;
  readonly delivery?: Partial<DeliveryView>;
  readonly notBefore?: number;
  readonly lane?: LaneKnown;
  readonly agentRuns?: boolean;
  readonly place?: Place;
  /** Kind, part of the text, until. */
  readonly waits: readonly (readonly [kind: string, text: RegExp, until?: number])[];
  readonly next?: readonly [text: RegExp, at?: number];
}

const rest = (until: number, failures = 3) => ({ ...RUNNING, now: { ...QUIET, rest: { until, failures, trouble: REFUSED } } });

const CASES: readonly Case[] = [
  {
    name: 'its date',
    delivery: { state: 'waiting', due: NOW + 60_000 },
    notBefore: NOW + 60_000,
    waits: [['date', /before its date/, NOW + 60_000]],
    next: [/^attempt 1$/, NOW + 60_000],
  },
  {
    name: 'the time it was put off to',
    delivery: { state: 'waiting', due: NOW + 90_000 },
    waits: [['date', /put off/, NOW + 90_000]],
    next: [/^attempt 1$/, NOW + 90_000],
  },
  {
    name: 'the pause after an attempt',
    delivery: { state: 'waiting', due: NOW + 300_000, attempts: 2, log: [ATTEMPT, ATTEMPT] },
    waits: [['retry', /attempt 2 did not succeed: connection refused/, NOW + 300_000]],
    next: [/^attempt 3$/, NOW + 300_000],
  },
  {
    name: 'the pause after an attempt of which a server said a great deal',
    delivery: {
      state: 'waiting',
      due: NOW + 300_000,
      attempts: 1,
      log: [{ ...ATTEMPT, trouble: { ...REFUSED, text: `too busy ${'x'.repeat(900)}` } }],
    },
    waits: [['retry', /^attempt 1 did not succeed: too busy x{190}…$/, NOW + 300_000]],
    next: [/^attempt 2$/, NOW + 300_000],
  },
  {
    name: 'the last try',
    delivery: { state: 'waiting', due: NOW + 4 * 86_400_000, attempts: 9, log: [ATTEMPT] },
    waits: [['retry', /attempt 9/, NOW + 4 * 86_400_000]],
    next: [/attempt 10, the last/, NOW + 4 * 86_400_000],
  },
  { name: 'an operator', delivery: { state: 'held' }, waits: [['held', /an operator holds it/]], next: [/until it is released/] },
  {
    name: 'somebody to look at its damage',
    delivery: { state: 'held', log: [{ ...ATTEMPT, trouble: { ...REFUSED, text: 'the body is damaged', reason: 'setAside' } }] },
    waits: [['held', /set aside: the body is damaged/]],
    next: [/until it is released/],
  },
  {
    name: 'its lane to be resumed, before its own time matters',
    delivery: { state: 'waiting', due: NOW + 5, attempts: 1, log: [ATTEMPT] },
    lane: { ...RUNNING, pause: { at: NOW - 50, reason: 'their move' } },
    waits: [
      ['paused', /paused: their move/],
      ['retry', /attempt 1/, NOW + 5],
    ],
    next: [/resumed/],
  },
  {
    name: 'its servers',
    lane: rest(NOW + 40_000),
    waits: [['trouble', /3 times in a row: connection refused/, NOW + 40_000]],
    next: [/one connection is tried/, NOW + 40_000],
  },
  { name: 'a probe', lane: rest(NOW - 1), waits: [['trouble', /one connection is being tried/]], next: [/one connection/] },
  { name: 'the DNS', lane: { ...RUNNING, now: { ...QUIET, lookingUp: true } }, waits: [['lookup', /DNS/]], next: [/as soon as the DNS/] },
  {
    name: 'the network',
    lane: { ...RUNNING, now: { ...QUIET, outagePort: 25 } },
    waits: [['outage', /port 25/]],
    next: [/every minute/],
  },
  {
    name: 'a connection, of its server and of all',
    lane: { ...RUNNING, now: { ...QUIET, full: true, capped: true } },
    waits: [
      ['connections', /\(5 each\)/],
      ['connections', /delivery\.maxConnections/],
    ],
    next: [/as soon as a connection is free/],
  },
  {
    name: 'its turn',
    place: { level: 'high', before: 1, exactly: true },
    waits: [['turn', /^1 delivery is before it/]],
    next: [/its turn/],
  },
  {
    name: 'its turn, more or less',
    place: { level: 'low', before: 9, exactly: false },
    waits: [['turn', /^at least 9 deliveries/]],
    next: [/turn/],
  },
  { name: 'nothing', waits: [['turn', /next in its lane/]], next: [/its turn/] },
  {
    name: 'a connection on its way',
    lane: { ...RUNNING, now: { ...QUIET, coming: 1 } },
    waits: [['turn', /being opened/]],
    next: [/turn/],
  },
  { name: 'the answer', delivery: { state: 'sending' }, lane: rest(NOW + 5), waits: [['sending', /at this moment/]], next: [/answer/] },
  {
    name: 'an agent, after its own time',
    agentRuns: false,
    lane: {},
    delivery: { state: 'waiting', due: NOW + 5, attempts: 1, log: [ATTEMPT] },
    waits: [
      ['retry', /attempt 1/, NOW + 5],
      ['agent', /no agent runs/],
    ],
    next: [/^attempt 2$/, NOW + 5],
  },
  { name: 'an agent', agentRuns: false, lane: {}, waits: [['agent', /no agent runs/]], next: [/attempt 1, once an agent runs/] },
];

for (const { name, delivery = {}, notBefore = 0, lane = RUNNING, agentRuns = true, place, waits, next } of CASES) {
  test(`what it waits for: ${name}`, () => {
    const message = fakeMessage({ notBefore });
    const known: WhyKnown = { now: NOW, agentRuns, lane: () => lane, place: () => place };
    const view = { message, deliveries: [fakeDelivery(message, 0, ['bob@x.test'], delivery)] };
    const report = explain(view, 'queued', known);
    const [told] = report.deliveries;
    assert.deepEqual(
      told!.waits.map(({ kind, until }) => [kind, until]),
      waits.map(([kind, , until]) => [kind, until]),
    );
    for (const [i, [, text]] of waits.entries()) assert.match(told!.waits[i]!.text, text);
    assert.match(told!.next!.text, next![0]);
    assert.equal(told!.next!.at, next![1]);
    assert.equal(told!.level, place?.level);
    assert.equal(told!.expiresAt, delivery.state === 'held' ? undefined : message.expiresAt);
    assert.deepEqual([report.agentRuns, report.at, report.more], [agentRuns, NOW, undefined]);
  });
}

test('what is done waits for nothing, and says what became of it', () => {
  const message = fakeMessage();
  const last = { at: NOW - 5, status: '2.0.0', text: '250 Ok' };
  const done = fakeDelivery(message, 0, [{ address: 'a@x.test', state: 'delivered', last }], { state: 'done', due: 0, settledAt: NOW });
  const known: WhyKnown = { now: NOW, agentRuns: true, lane: () => RUNNING, place: () => undefined };
  const [told] = explain({ message, deliveries: [done], next: '0' }, 'sent', known).deliveries;
  assert.deepEqual([told!.waits, told!.next, told!.expiresAt], [[], undefined, undefined]);
  assert.deepEqual(told!.recipients, [{ address: 'a@x.test', state: 'delivered', last }]);
});
