import assert from 'node:assert/strict';
import { test } from 'node:test';
import { distance, nearest } from '../../src/core/nearest.js';
import fc from '../support/properties.js';

test('the distance counts insertions, deletions, substitutions and swaps of neighbours', () => {
  assert.equal(distance('path', 'path', 3), 0);
  assert.equal(distance('path', 'pth', 3), 1);
  assert.equal(distance('path', 'paths', 3), 1);
  assert.equal(distance('path', 'bath', 3), 1);
  assert.equal(distance('path', 'paht', 3), 1);
  assert.equal(distance('kitten', 'sitting', 3), 3);
  assert.equal(distance('abcdef', 'uvwxyz', 3), 4, 'past the most it says only that');
});

test('the distance is the same from both sides', () => {
  const word = fc.string({ minLength: 0, maxLength: 8, unit: fc.constantFrom('a', 'b', 'c') });
  fc.assert(
    fc.property(word, word, (a, b) => distance(a, b, 20) === distance(b, a, 20)),
    { numRuns: 300 },
  );
});

test('the nearest name is the one that differs in case only, else by slips, else has the same last part, else goes on', () => {
  const names = ['spool.path', 'spool.maxMessageSize', 'delivery.maxConnections', 'submission.maxConnections', 'delivery.promoteAfter'];
  assert.equal(nearest('spool.max_message_size', names), 'spool.maxMessageSize');
  assert.equal(nearest('spool.maxMesageSzie', names), 'spool.maxMessageSize');
  assert.equal(nearest('spool.maxMessage', names), 'spool.maxMessageSize');
  assert.equal(nearest('maxMessageSize', names), 'spool.maxMessageSize');
  assert.equal(nearest('retry.promoteAfter', names), 'delivery.promoteAfter');
  assert.equal(nearest('maxConnections', names), undefined, 'two have that last part');
  assert.equal(nearest('spool.paths.more', ['spool', ...names]), undefined, 'a section is not what an option was meant for');
  assert.equal(nearest('colour', names), undefined);
  assert.equal(nearest('xyz', ['dns', 'log']), undefined, 'a short name has no room for two slips');
  assert.equal(nearest('lgo', ['dns', 'log']), 'log');
});
