import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import { test } from 'node:test';
import {
  addressXtext,
  decodeWords,
  escapeAscii,
  field,
  foldLongLines,
  mailDate,
  quotedPrintable,
  wrap,
} from '../../src/outcome/encoding.js';
import { clip, isReply, oneLine } from '../../src/outcome/words.js';
import fc from '../support/properties.js';

const CRLF = '\r\n';

function unquoted(text: string): Buffer {
  const joined = text
    .replaceAll('=\r\n', '')
    .replace(/=([0-9A-F]{2})/g, (_whole, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(joined, 'latin1');
}

test('quoted-printable keeps every octet, its lines within 76 characters, and no space at their ends', () => {
  const octets = fc.oneof(
    fc.uint8Array({ maxLength: 400, size: 'max' }),
    fc
      .string({ unit: fc.constantFrom('\r\n', ' ', '\t', '=', 'a', 'é', '\r', '\n', '.'), maxLength: 400, size: 'max' })
      .map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(octets, (bytes) => {
      const text = quotedPrintable(bytes);
      assert.deepEqual(unquoted(text), Buffer.from(bytes));
      for (const line of text.split(CRLF)) assert.match(line, /^(?=.{0,76}$)(?:[!-~\t ]*[!-~])?$/);
    }),
  );
  assert.equal(quotedPrintable(Buffer.from('Grüße = \r\nplain')), 'Gr=C3=BC=C3=9Fe =3D=20\r\nplain');
});

test('folding leaves short lines alone, and of long ones every character whole and every line something but space', () => {
  const short = Buffer.from(`a\r\n${'b'.repeat(998)}\r\nc`);
  assert.equal(foldLongLines(short), short);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('x', ' ', '不', ' x', 'x ', '\t', '𝒳'), fc.integer({ min: 1, max: 2500 })), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.constantFrom('z', ' '),
      (runs, end) => {
        const original = `X:${runs.map(([text, times]) => text.repeat(times)).join('')}${end}`;
        const folded = foldLongLines(Buffer.from(original));
        const lines = folded.toString().split(CRLF);
        assert.ok(isUtf8(folded), 'a character was cut');
        assert.equal(folded.toString().replace(/\s/g, ''), original.replace(/\s/g, ''));
        lines.forEach((line, i) => {
          assert.ok(Buffer.byteLength(line) <= 998);
          assert.match(line, i === 0 ? /^X:/ : /^[ \t][^]*[^ \t]/);
        });
      },
    ),
  );
  const fold = (line: string) => foldLongLines(Buffer.from(line)).toString();
  assert.equal(fold(`${'b'.repeat(500)} ${'c'.repeat(998)}`), `${'b'.repeat(500)}\r\n ${'c'.repeat(997)}\r\n c`);
  assert.equal(
    fold(`${'b'.repeat(500)} ${'c'.repeat(497)}${' '.repeat(30)}`),
    `${'b'.repeat(500)}\r\n ${'c'.repeat(497)}${' '.repeat(30)}`,
  );
  assert.equal(fold(`${'b'.repeat(990)}${' '.repeat(30)}\r\nd`), `${'b'.repeat(990)}\r\nd`);
  assert.equal(fold(`b${' '.repeat(1200)}c\r\nd`), 'b\r\n c\r\nd');
});

test('a field is folded at its spaces, and even a value without any stays within its lines', () => {
  assert.equal(field('Status', '5.1.1'), 'Status: 5.1.1\r\n');
  assert.equal(field('Diagnostic-Code', `smtp; ${'word '.repeat(20)}end`).split(CRLF).length, 3);
  for (const line of field('X', '不'.repeat(3000)).split(CRLF)) assert.ok(Buffer.byteLength(line) <= 998);
});

test('wrapping loses no character and splits none', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', 'bcd', ' ', '𝒳', 'é'), maxLength: 200, size: 'max' }), (text) => {
      const lines = wrap(text, 20, 10);
      assert.equal(lines.join('').replaceAll(' ', ''), text.replaceAll(' ', ''));
      for (const line of lines) assert.ok(line.length <= 20 && line !== '' && !line.includes('\ufffd') && isUtf8(Buffer.from(line)));
    }),
  );
});

test('dates are as mail writes them, in UTC', () => {
  assert.equal(mailDate(Date.UTC(2026, 0, 2, 3, 4, 5)), 'Fri, 02 Jan 2026 03:04:05 +0000');
});

test('addresses and words outside ASCII have a form in seven bits', () => {
  assert.equal(escapeAscii('Zoë 𝒳\\'), 'Zo\\x{EB} \\x{1D4B3}\\');
  assert.equal(addressXtext('zoë+a=b\\c@example.net'), 'zo\\x{EB}\\x{2B}a\\x{3D}b\\x{5C}c@example.net');
  assert.equal(addressXtext('plain@example.net'), 'plain@example.net');
});

test('encoded words are read where they can be, and left where not', () => {
  assert.equal(decodeWords('=?utf-8?q?Gr=C3=BC=C3=9Fe_an?= =?ISO-8859-1*de?B?5PY=?= alle'), 'Grüße anäö alle');
  for (const text of ['=?x-no-such?q?abc?=', '=?utf-8?x?abc?=', '=?utf-8?q?abc', 'plain = text ?= here'])
    assert.equal(decodeWords(text), text);
});

test('what remotes say becomes one line without anything unseen, and is cut between characters', () => {
  assert.equal(oneLine(' a\r\n\tb\0\u2028c\u202ed\ud800\u0085 '), 'a b c d');
  assert.equal(oneLine('größer 不 🙂'), 'größer 不 🙂');
  assert.equal(clip('不不不不', 12), '不不不不');
  assert.equal(clip('不不不不', 11), '不不…');
  assert.ok(clip('x'.repeat(5000), 100).length <= 100);
});

test('a reply is told from a finding of ours by its code', () => {
  for (const text of ['550 no', '450-4.2.0 x', '250']) assert.equal(isReply(text), true);
  for (const text of ['could not connect', '5500 times', '150 x', '', '5.1.1 no']) assert.equal(isReply(text), false);
});
