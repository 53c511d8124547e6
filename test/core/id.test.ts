import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createIdSource, idTime, isMessageId } from '../../src/core/id.js';
import fc from '../support/properties.js';

const zeros = { fill: (bytes: Uint8Array) => void bytes.fill(0) };
const ones = { fill: (bytes: Uint8Array) => void bytes.fill(255) };

test('an id carries its time and its randomness in 26 characters of Crockford base 32', () => {
  assert.equal(createIdSource({ now: () => 1469918176385 }, zeros)(), '01ARYZ6S410000000000000000');
  assert.equal(createIdSource({ now: () => 1469918176385 }, ones)(), '01ARYZ6S41ZZZZZZZZZZZZZZZZ');
  assert.equal(createIdSource({ now: () => 2 ** 48 - 1 }, zeros)(), '7ZZZZZZZZZ0000000000000000');
});

test('within a millisecond ids go up by one', () => {
  const next = createIdSource({ now: () => 1469918176385 }, zeros);
  next();
  assert.equal(next(), '01ARYZ6S410000000000000001');
  for (let i = 0; i < 29; i++) next();
  assert.equal(next(), '01ARYZ6S41000000000000000Z');
  assert.equal(next(), '01ARYZ6S410000000000000010');
});

test('when the random part is used up, the next millisecond follows, and the clock may catch up', () => {
  let now = 1469918176385;
  const next = createIdSource({ now: () => now }, ones);
  next();
  assert.equal(next(), '01ARYZ6S420000000000000000');
  now += 1;
  assert.equal(next(), '01ARYZ6S420000000000000001', 'that millisecond was reached already');
  now += 1;
  assert.equal(next(), '01ARYZ6S43ZZZZZZZZZZZZZZZZ');
});

test('a clock that goes back, and a restart, never issue an id at or below the last one', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ step: fc.integer({ min: -5000, max: 3 }), restart: fc.boolean() }), { minLength: 2, maxLength: 60 }),
      (moves) => {
        let now = 1_800_000_000_000;
        const clock = { now: () => now };
        const random = { fill: (bytes: Uint8Array) => void crypto.getRandomValues(bytes) };
        let next = createIdSource(clock, random);
        let last = '';
        for (const { step, restart } of moves) {
          now += step;
          if (restart && last) next = createIdSource(clock, random, last);
          const id = next();
          assert.ok(id > last, `${id} after ${last}`);
          assert.ok(isMessageId(id));
          last = id;
        }
      },
    ),
  );
});

test('the time of an id is read back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (time) => {
      assert.equal(idTime(createIdSource({ now: () => time }, zeros)()), time);
    }),
  );
});

test('randomness differs from millisecond to millisecond, also across the blocks in which it is drawn', () => {
  let now = 0;
  let fills = 0;
  const fill = (bytes: Uint8Array) => {
    crypto.getRandomValues(bytes);
    fills++;
  };
  const next = createIdSource({ now: () => now++ }, { fill });
  const seen = new Set(Array.from({ length: 1000 }, () => next().slice(10)));
  assert.equal(seen.size, 1000);
  assert.ok(fills < 20, `${fills} draws`);
});

test('what is not an id is told from one', () => {
  assert.ok(isMessageId('01ARYZ6S410000000000000000'));
  for (const text of [
    '',
    '01ARYZ6S41000000000000000',
    '01ARYZ6S4100000000000000000',
    '81ARYZ6S410000000000000000',
    '01ARYZ6S41000000000000000U',
    '01aryz6s410000000000000000',
    '01ARYZ6S41000000000000000\n',
  ]) {
    assert.equal(isMessageId(text), false, JSON.stringify(text));
  }
  assert.throws(() => idTime('nonsense'), RangeError);
  assert.throws(() => createIdSource({ now: () => 0 }, zeros, 'nonsense'), RangeError);
});

test('the last id of all is not followed by a smaller one', () => {
  const next = createIdSource({ now: () => 0 }, zeros, '7ZZZZZZZZZZZZZZZZZZZZZZZZZ');
  assert.throws(next, RangeError);
});
