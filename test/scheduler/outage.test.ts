import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailEvent } from '../../src/core/event.js';
import type { Trouble } from '../../src/core/outcome.js';
import { silentLog } from '../../src/platform/log.js';
import { Outage } from '../../src/scheduler/outage.js';

const timedOut: Trouble = { lasting: 'temporary', stage: 'connect', status: '4.4.1', text: 'connection timed out', reason: 'timeout' };

function setUp() {
  let now = 0;
  const events: MailEvent[] = [];
  const clock = { now: () => now, monotonic: () => now, after: () => ({ cancel() {} }) };
  const outage = new Outage(25, clock, silentLog, (event) => events.push(event));
  return { outage, events, pass: (ms: number) => void (now += ms) };
}

test('five sites in a row that cannot be connected to are an outage of our own, told once', () => {
  const { outage, events } = setUp();
  for (const site of ['a', 'b', 'c', 'd']) outage.failed(site, timedOut);
  assert.equal(outage.on, false);
  outage.failed('a', timedOut);
  assert.equal(outage.on, false, 'the same site twice says nothing more');
  outage.failed('e', timedOut);
  outage.failed('f', timedOut);
  assert.equal(outage.on, true);
  assert.equal(events.length, 1);
  assert.match(JSON.stringify(events[0]), /NO_NETWORK.*port 25/);
});

test('a server that answers, if only to refuse, shows that the network is there', () => {
  const { outage } = setUp();
  for (const site of ['a', 'b', 'c', 'd']) outage.failed(site, timedOut);
  outage.failed('x', { ...timedOut, reason: 'refused' });
  outage.failed('e', timedOut);
  assert.equal(outage.on, false);
});

test('during an outage one site a minute may be tried, and the first that is reached ends it', () => {
  const { outage, pass } = setUp();
  for (const site of ['a', 'b', 'c', 'd', 'e']) outage.failed(site, timedOut);
  assert.equal(outage.admits(), false);
  pass(60_000);
  assert.equal(outage.admits(), true);
  // It is used up by whoever is tried, not by asking.
  assert.equal(outage.admits(), true);
  outage.tried();
  assert.equal(outage.admits(), false);
  outage.reached();
  assert.equal(outage.on, false);
  assert.equal(outage.admits(), true);
});
