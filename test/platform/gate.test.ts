import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGate } from '../../src/platform/gate.js';
import { settle } from '../support/virtual-clock.js';

test('so many are let in, the others in their turn, whatever became of those before', async () => {
  const gate = createGate(2);
  const begun: number[] = [];
  const ends: ((fails: boolean) => void)[] = [];
  const come = (number: number) =>
    gate(() => {
      begun.push(number);
      return new Promise<number>((resolve, reject) => {
        ends.push((fails) => (fails ? reject(new Error('no')) : resolve(number)));
      });
    });
  const [first, second, third, fourth] = [come(1), come(2), come(3), come(4)];
  await settle();
  assert.deepEqual(begun, [1, 2]);
  ends[1]!(true);
  await assert.rejects(second!, /no/);
  await settle();
  assert.deepEqual(begun, [1, 2, 3]);
  ends[0]!(false);
  await settle();
  assert.deepEqual(begun, [1, 2, 3, 4]);
  ends[2]!(false);
  ends[3]!(false);
  assert.deepEqual(await Promise.all([first, third, fourth]), [1, 3, 4]);
  // Nobody is inside any more.
  const more = [come(5), come(6), come(7)];
  await settle();
  assert.deepEqual(begun.slice(4), [5, 6]);
  for (const at of [4, 5]) ends[at]!(false);
  await settle();
  ends[6]!(false);
  await Promise.all(more);
});
