import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printable } from '../../src/core/printable.js';

test('what cannot be shown is made visible, and the rest left alone', () => {
  assert.equal(printable('plain \u00fc \u{1f600} \u200d'), 'plain \u00fc \u{1f600} \u200d');
  assert.equal(printable('a\tb\r\n\x1b\x7f\u0085\u2028\u202e\ud800!'), 'a b\\x0d\\x0a\\x1b\\x7f\\x85\\u2028\\u202e\\ud800!');
});
