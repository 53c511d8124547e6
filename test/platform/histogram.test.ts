import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Histogram } from '../../src/platform/histogram.js';

test('values are counted up to each bound, and all of them in the end', () => {
  const histogram = new Histogram([1, 10, 100]);
  assert.deepEqual(histogram.view(), { bounds: [1, 10, 100], upTo: [0, 0, 0], count: 0, sum: 0 });
  for (const value of [0, 1, 1.5, 10, 11, 1000]) histogram.observe(value);
  assert.deepEqual(histogram.view(), { bounds: [1, 10, 100], upTo: [2, 4, 5], count: 6, sum: 1023.5 });
});
