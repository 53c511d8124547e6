import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailEvent } from '../../src/core/event.js';
import { createMetrics } from '../../src/outcome/metrics.js';
import { HOUR, ID, LABEL, MINUTE, T0 } from './samples.js';

const accepted = (at: number): MailEvent => ({
  type: 'accepted',
  at,
  id: ID,
  sender: '',
  recipients: 1,
  sizeBytes: 1,
  messageId: '',
  origin: 'api',
});
const told = (type: 'delivered' | 'bounced' | 'expired', at: number, status: string): MailEvent => ({
  type,
  at,
  status,
  id: ID,
  delivery: `${ID}.0`,
  lane: 'mx:x.example',
  sender: '',
  recipient: 'a@x.example',
  server: LABEL,
  delayMs: 0,
  text: '',
});

test('what happened is counted by kind, and trouble by class and subject', () => {
  const metrics = createMetrics();
  assert.equal(metrics.snapshot(T0)['bounced'], 0);
  for (const event of [
    accepted(T0),
    accepted(T0),
    told('delivered', T0, '2.0.0'),
    told('bounced', T0, '5.1.1'),
    told('bounced', T0, '5.1.10'),
    told('expired', T0, '4.4.7'),
    told('bounced', T0, '5.9.9'),
  ]) {
    metrics.observe(event);
  }
  const snapshot = metrics.snapshot(T0);
  assert.deepEqual(Object.fromEntries(Object.entries(snapshot).filter(([name, count]) => count > 0 && !name.includes('Per'))), {
    accepted: 2,
    delivered: 1,
    bounced: 3,
    expired: 1,
    'bounced.5.1': 2,
    'bounced.other': 1,
    'expired.4.4': 1,
  });
  for (const value of Object.values(snapshot)) assert.equal(typeof value, 'number');
});

test('statuses that remotes make up do not make the table grow', () => {
  const metrics = createMetrics();
  for (let i = 0; i < 1000; i++) metrics.observe(told('bounced', T0, `5.${i % 300}.${i}`));
  assert.ok(Object.keys(metrics.snapshot(T0)).length < 30);
});

test('how long it took is measured, of deliveries and of attempts', () => {
  const metrics = createMetrics();
  metrics.observe({ ...told('delivered', T0, '2.0.0'), delayMs: 7 } as MailEvent);
  metrics.observe({ ...told('bounced', T0, '5.0.0'), delayMs: 7 } as MailEvent);
  metrics.attempted(3);
  const { delivery, attempt } = metrics.measures();
  assert.deepEqual([delivery.count, delivery.sum, delivery.upTo[0], delivery.upTo[1]], [1, 7, 0, 1]);
  assert.deepEqual([attempt.count, attempt.sum], [1, 3]);
});

test('rates count the last whole minute and hour, and forget what is older', () => {
  const metrics = createMetrics();
  for (let second = 0; second < 600; second++) for (let i = 0; i < 2; i++) metrics.observe(accepted(T0 + second * 1000));
  assert.equal(metrics.snapshot(T0 + 10 * MINUTE)['acceptedPerMinute'], 120);
  assert.equal(metrics.snapshot(T0 + 10 * MINUTE)['acceptedPerMinuteOverHour'], 20);
  assert.equal(metrics.snapshot(T0 + 10.5 * MINUTE)['acceptedPerMinute'], 60);
  assert.equal(metrics.snapshot(T0 + 11 * MINUTE)['acceptedPerMinute'], 0);
  assert.equal(metrics.snapshot(T0 + 65 * MINUTE)['acceptedPerMinuteOverHour'], 10);
  assert.equal(metrics.snapshot(T0 + 2 * HOUR)['acceptedPerMinuteOverHour'], 0);
  metrics.observe(accepted(T0 + 2 * HOUR));
  assert.equal(metrics.snapshot(T0 + 2 * HOUR + 5000)['acceptedPerMinute'], 1, 'a place of the ring used again begins at zero');
});
