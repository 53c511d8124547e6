import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_RETRY_POLICY, HASTY_ATTEMPTS, MIN_RETRY_AFTER_MS, nextDelay, nextTry, type RetryPolicy } from '../../src/outcome/retry.js';
import fc from '../support/properties.js';
import { DAY, HOUR, MINUTE, T0 } from './samples.js';

const exact: RetryPolicy = { ...DEFAULT_RETRY_POLICY, jitter: 0 };

test('without jitter delays are 5 minutes, doubling, at most 4 hours', () => {
  const delays = [1, 2, 3, 4, 5, 6, 7, 8, 100, 5000].map((attempts) => nextDelay(exact, attempts, 'k') / MINUTE);
  assert.deepEqual(delays, [5, 10, 20, 40, 80, 160, 240, 240, 240, 240]);
});

test('a first delay of zero stays a delay, however often it is doubled', () => {
  for (const attempts of [1, 2, 5000]) assert.equal(nextDelay({ ...exact, firstDelayMs: 0 }, attempts, 'k'), 1);
});

test('jitter stays within its share, spreads over it, and the same key and attempt always give the same delay', () => {
  const delays: number[] = [];
  for (let i = 0; i < 2000; i++) delays.push(nextDelay(DEFAULT_RETRY_POLICY, 1, `01KAN4S41G0000000000000${String(i).padStart(3, '0')}.0`));
  assert.ok(Math.min(...delays) >= 4.5 * MINUTE && Math.max(...delays) <= 5.5 * MINUTE);
  const tenths = new Array<number>(10).fill(0);
  for (const delay of delays) tenths[Math.min(Math.floor((delay - 4.5 * MINUTE) / (MINUTE / 10)), 9)]!++;
  for (const share of tenths) assert.ok(share > 130 && share < 280, `uneven: ${tenths.join(' ')}`);
  assert.equal(nextDelay(DEFAULT_RETRY_POLICY, 3, 'a.0'), nextDelay(DEFAULT_RETRY_POLICY, 3, 'a.0'));
});

test('the jitter of one message differs from attempt to attempt', () => {
  const shares = [1, 2, 3, 4, 5].map((attempts) => nextDelay(DEFAULT_RETRY_POLICY, attempts, 'a.0') / nextDelay(exact, attempts, 'a.0'));
  assert.equal(new Set(shares.map((share) => share.toFixed(6))).size, 5);
});

test('what the remote asks for is obeyed to the millisecond, between 5 seconds and the longest delay', () => {
  assert.equal(nextDelay(DEFAULT_RETRY_POLICY, 1, 'k', 61_001), 61_001);
  assert.equal(nextDelay(DEFAULT_RETRY_POLICY, 1, 'k', 3 * HOUR), 3 * HOUR);
  assert.equal(nextDelay(DEFAULT_RETRY_POLICY, 1, 'k', 0), MIN_RETRY_AFTER_MS);
  assert.equal(nextDelay(DEFAULT_RETRY_POLICY, 1, 'k', -5), MIN_RETRY_AFTER_MS);
  assert.equal(nextDelay(DEFAULT_RETRY_POLICY, 1, 'k', 30 * DAY), 4 * HOUR);
});

test('a remote that asks us back at once for ever is obeyed ten times, then the policy sets the pace', () => {
  assert.equal(nextDelay(exact, HASTY_ATTEMPTS, 'k', 5000), 5000);
  assert.equal(nextDelay(exact, HASTY_ATTEMPTS + 1, 'k', 5000), 4 * HOUR);
  assert.equal(nextDelay({ ...exact, maxDelayMs: DAY }, HASTY_ATTEMPTS + 1, 'k', 20 * HOUR), DAY);
});

test('the last try falls on expiry itself', () => {
  const about = { now: T0, attempts: 7, key: 'k' };
  assert.equal(nextTry(exact, { ...about, expiresAt: T0 + HOUR }), T0 + HOUR);
  assert.equal(nextTry(exact, { ...about, expiresAt: T0 + 5 * HOUR }), T0 + 4 * HOUR);
  assert.equal(nextTry(exact, { ...about, expiresAt: T0 + 5 * HOUR, retryAfterMs: 10_000 }), T0 + 10_000);
  assert.equal(nextTry(exact, { ...about, expiresAt: T0 }), T0 + 4 * HOUR, 'expiry is over: the delay stands');
});

test('whatever the policy and the wish, the next try is a whole millisecond in the future and not past expiry', () => {
  fc.assert(
    fc.property(
      fc.record({
        firstDelayMs: fc.integer({ min: 0, max: DAY }),
        factor: fc.double({ min: 1, max: 100, noNaN: true }),
        maxDelayMs: fc.integer({ min: 1000, max: DAY }),
        jitter: fc.double({ min: 0, max: 0.9, noNaN: true }),
      }),
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.string({ maxLength: 30 }),
      fc.option(fc.double({ min: -1000, max: 1e12, noNaN: true }), { nil: undefined }),
      fc.integer({ min: 1, max: 10 * DAY }),
      (shape, attempts, key, retryAfterMs, life) => {
        const policy = { ...DEFAULT_RETRY_POLICY, ...shape };
        const at = nextTry(policy, { now: T0, attempts, key, expiresAt: T0 + life, retryAfterMs });
        assert.ok(Number.isInteger(at) && at > T0 && at <= T0 + life, `${at - T0}`);
        assert.ok(at - T0 <= Math.max(policy.maxDelayMs * (1 + policy.jitter) + 1, MIN_RETRY_AFTER_MS));
      },
    ),
  );
});
