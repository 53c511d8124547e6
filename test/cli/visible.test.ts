import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fit, jsonLine, oneLine, visibleLines, width } from '../../src/cli/visible.js';
import fc from '../support/properties.js';

/** What a terminal may take for a command, or for an order to write backwards. */
const STEERING = /[\0-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

test('escape sequences are shown, not obeyed', () => {
  assert.equal(oneLine('\x1b[31mred\x07'), '\\x1b[31mred\\x07');
  assert.equal(oneLine('a\x9b2Jb'), 'a\\x9b2Jb');
  assert.equal(oneLine('abc\u202egpj.exe'), 'abc\\u202egpj.exe');
});

test('what is plain text stays as it is', () => {
  for (const text of ['', 'plain', 'grüße', '日本語', '👩‍👩‍👧', 'é']) assert.equal(oneLine(text), text);
});

test('no text of any kind lets a control character through', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.ok(!STEERING.test(oneLine(text)));
      assert.ok(!STEERING.test(visibleLines(text).replaceAll('\n', '')));
      assert.ok(!STEERING.test(fit(oneLine(text), 10)));
      const json = jsonLine({ text });
      assert.ok(!STEERING.test(json));
      assert.deepEqual(JSON.parse(json), { text });
    }),
    { numRuns: 300 },
  );
});

test('one line is one line', () => {
  assert.equal(oneLine('  450 4.2.0\r\n try\tlater \n'), '450 4.2.0 try later');
});

test('a whole text keeps its lines, with CRLF as one line end', () => {
  assert.equal(visibleLines('a\r\nb\x1b\r\n\tc'), 'a\nb\\x1b\n    c');
  assert.equal(visibleLines('a\rb'), 'a\\x0db');
});

test('width counts columns: two for wide characters and emoji, none for what combines', () => {
  const widths: [string, number][] = [
    ['abc', 3],
    ['grüße', 5],
    ['日本', 4],
    ['ｱ', 1],
    ['Ａ', 2],
    ['e\u0301', 1],
    ['👩‍👩‍👧', 2],
    ['🇩🇪', 2],
    ['❤️', 2],
    ['한글', 4],
    ['a\u200bb', 2],
  ];
  for (const [text, columns] of widths) assert.equal(width(text), columns, text);
});

test('what does not fit is cut at a whole character and says so', () => {
  assert.equal(fit('abcdef', 6), 'abcdef');
  assert.equal(fit('abcdefg', 6), 'abcde…');
  assert.equal(fit('日本語', 5), '日本…');
  assert.equal(fit('日本語', 4), '日…');
  assert.equal(fit('👩‍👩‍👧👩‍👩‍👧', 3), '👩‍👩‍👧…');
  assert.equal(fit('abc', 0), '');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 30 }), (text, columns) => width(fit(text, columns)) <= columns),
  );
});
