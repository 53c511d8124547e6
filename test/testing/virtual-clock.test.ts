import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVirtualClock } from '../../src/testing/virtual-clock.js';
import { createSeededRandom } from '../support/seeded-random.js';

test('timers fire in order of their due times, and what they set going settles in between', async () => {
  const clock = createVirtualClock(1000);
  const seen: string[] = [];
  clock.after(20, () => seen.push(`late ${clock.now()}`));
  clock.after(10, () => {
    seen.push(`first ${clock.now()}`);
    setImmediate(() => {
      seen.push('immediate');
      clock.after(5, () => seen.push(`nested ${clock.now()}`));
    });
  });
  clock.after(10, () => seen.push('second'));
  clock.after(10, () => seen.push('never')).cancel();
  clock.after(31, () => seen.push('too late'));
  await clock.advance(30);
  assert.deepEqual(seen, ['first 1010', 'immediate', 'second', 'nested 1015', 'late 1020']);
  assert.equal(clock.now(), 1030);
  assert.equal(clock.monotonic(), 30);
  assert.equal(clock.pending, 1);
});

test('time runs until something has come true, and no further', async () => {
  const clock = createVirtualClock(0);
  let rings = 0;
  const ring = () => void (rings++, clock.after(1000, ring));
  clock.after(1000, ring);
  await clock.runUntil(() => rings === 3);
  assert.equal(clock.now(), 3000);
  await assert.rejects(
    clock.runUntil(() => false, 5000),
    /not within/,
  );
  await assert.rejects(
    createVirtualClock(0).runUntil(() => false),
    /nothing is left/,
  );
});

test('setting the wall clock moves no timer', async () => {
  const clock = createVirtualClock(10_000);
  let fired = false;
  clock.after(100, () => (fired = true));
  clock.step(-5000);
  await clock.advance(99);
  assert.equal(clock.now(), 5099);
  assert.equal(fired, false);
  await clock.advance(1);
  assert.ok(fired);
});

test('the same seed gives the same randomness, another seed another', () => {
  const draw = (seed: number) => {
    const random = createSeededRandom(seed);
    const bytes = new Uint8Array(8);
    random.fill(bytes);
    return [...bytes, random.unit(), random.unit()].join();
  };
  assert.equal(draw(1), draw(1));
  assert.notEqual(draw(1), draw(2));
  const random = createSeededRandom(7);
  const units = Array.from({ length: 2000 }, () => random.unit());
  assert.ok(units.every((unit) => unit >= 0 && unit < 1));
  assert.ok(Math.abs(units.reduce((sum, unit) => sum + unit) / 2000 - 0.5) < 0.03);
});
