import assert from 'node:assert/strict';
import { test } from 'node:test';
import { age, count, duration, moment, relative, size, until } from '../../src/cli/format.js';

const S = 1000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;

test('ages take four columns at most, and change unit where it says more', () => {
  const ages: [number, string][] = [
    [-5, '0s'],
    [0, '0s'],
    [999, '0s'],
    [59 * S, '59s'],
    [M, '1m'],
    [H - 1, '59m'],
    [H, '1h'],
    [2 * D - 1, '47h'],
    [2 * D, '2d'],
    [999 * D, '999d'],
  ];
  for (const [ms, text] of ages) assert.equal(age(ms), text, `${ms}`);
});

test('durations are told in two units', () => {
  const all: [number, string][] = [
    [0.4, '0 ms'],
    [350, '350 ms'],
    [1234, '1.2 s'],
    [12_345, '12 s'],
    [M, '1 min'],
    [125 * S, '2 min 5 s'],
    [H, '1 h'],
    [3 * H + 20 * M, '3 h 20 min'],
    [4 * D + H, '4 d 1 h'],
  ];
  for (const [ms, text] of all) assert.equal(duration(ms), text, `${ms}`);
});

test('moments are seen from now', () => {
  assert.equal(relative(1000, 1000 + 2 * H), '2h ago');
  assert.equal(relative(1000 + 5 * M, 1000), 'in 5m');
  assert.equal(relative(1500, 1000), 'now');
  assert.equal(until(1000, 1000), 'now');
  assert.equal(until(61_000, 1000), '1m');
});

test('sizes take five columns at most, and never say 1024 of a unit', () => {
  const sizes: [number, string][] = [
    [0, '0'],
    [1023, '1023'],
    [1024, '1.0K'],
    [10_137, '9.9K'],
    [10_200, '10K'],
    [1_048_000, '1023K'],
    [1_048_200, '1.0M'],
    [2 ** 20, '1.0M'],
    [1.5 * 2 ** 30, '1.5G'],
    [2 ** 40 * 300, '300T'],
  ];
  for (const [bytes, text] of sizes) assert.equal(size(bytes), text, `${bytes}`);
});

test('counts agree with their noun', () => {
  assert.equal(count(1, 'message'), '1 message');
  assert.equal(count(0, 'message'), '0 messages');
  assert.equal(count(12_345, 'delivery', 'deliveries'), '12,345 deliveries');
});

test('a moment is local time with its offset, and means that moment', () => {
  const at = Date.UTC(2026, 10, 22, 10, 21, 49);
  const text = moment(at);
  assert.match(text, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}$/);
  assert.equal(Date.parse(text.replace(' ', 'T').replace(/ ([+-]\d\d)(\d\d)$/, '$1:$2')), at);
});
