import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findCharset } from '../../src/compose/charset.js';
import { mailboxField, parameterField, textField } from '../../src/compose/fields.js';
import {
  base64Lines,
  base64Size,
  factsOf,
  fromQuotedPrintable,
  quotedPrintable,
  suitableEncoding,
  unfitFor,
} from '../../src/compose/transfer.js';
import { decodeWords } from '../../src/compose/words.js';
import fc from '../support/properties.js';
import { issuesOf, message, refusal } from './composing.js';
import { defects, header, noPython, readByPython } from './foreign-reader.js';

/** Text that goes wrong where something is wrong: blanks, accents, emoji, what looks encoded, long words. */
const unit = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('a', 'B', '7', ' ', ' ', 'é', 'ß', '文', '😀', 'e\u0301') },
  fc.constantFrom(
    '=?utf-8?q?x?=',
    '=?',
    '?=',
    '_',
    '=',
    '"',
    '\\',
    '(',
    ')',
    '<',
    '>',
    ',',
    ';',
    ':',
    '@',
    '.',
    '#',
    "'",
    '\u00a0',
    '\u200f',
    '\u3000',
  ),
  fc.constantFrom('word', 'x'.repeat(80), 'é'.repeat(40), '文'.repeat(50), '  '),
  fc.string({ unit: 'grapheme', maxLength: 3 }).map((s) => s.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/gu, '')),
);
const line = fc.array(unit, { maxLength: 20 }).map((pieces) => pieces.join(''));

function checkLines(field: string): void {
  assert.ok(field.endsWith('\r\n'));
  for (const one of field.slice(0, -2).split('\r\n')) {
    assert.match(one, /[^ ]/, 'no line is blank');
    assert.ok(Buffer.byteLength(one) <= 998);
    const encoded = /(?:^| )=\?utf-8\?[qb]\?[^? ]*\?=(?: |$)/.test(one);
    assert.ok(one.length <= (encoded ? 76 : 78) || /[^ ]{50}/.test(one), one);
  }
  for (const [word] of field.matchAll(/=\?utf-8\?[qb]\?[^?]*\?=/g)) assert.ok(word.length <= 75);
}

const folded = (field: string) =>
  field
    .slice(field.indexOf(':') + 1)
    .replaceAll('\r\n', '')
    .slice(1);

test('any text in a Subject is read back as it was, by Python and by ourselves', { skip: noPython }, () => {
  const texts = [
    ...fc.sample(line, { numRuns: 600, seed: 4 }),
    '',
    ' ',
    '  a',
    'a  ',
    'a  é  b',
    '=?utf-8?q?a b?=',
    `${'x'.repeat(950)} é`,
    'é'.repeat(1000),
  ];
  const messages = texts.map((text) => {
    const field = textField('Subject', text);
    checkLines(field);
    assert.match(field, /^[\r\n\x20-\x7e]*$/);
    assert.equal(decodeWords(folded(field)), text);
    return Buffer.from(`${field}\r\nbody\r\n`);
  });
  readByPython(messages).forEach((entity, i) => {
    assert.equal(header(entity, 'subject'), texts[i]);
  });
});

test('encoded words of others are joined where they were divided, in whatever character sets they are', () => {
  const cases = [
    ['=?utf-8?q?=C3?= =?UTF-8?B?qQ==?=', 'é'],
    ['=?utf-8?q?=C3=A9?=\t =?iso-8859-1?q?=E9?=', 'éé'],
    ['a =?utf-8?q?b_c?= d =?x-none?q?e?= =?utf-8?q?f?=', 'a b c d =?x-none?q?e?= f'],
    ['=?utf-8*de?q?=C3=BC?=', 'ü'],
    ['=?utf-8?q?a=0D=0Ab?=', 'a b'],
    ['no =? words ?= here', 'no =? words ?= here'],
  ] as const;
  for (const [value, text] of cases) assert.equal(decodeWords(value), text);
});

test('any display name is read back as it was, and addresses never change', { skip: noPython }, () => {
  const name = line.map((text) => text.slice(0, 200).replace(/[\ud800-\udbff]$/, ''));
  const lists = fc.sample(fc.array(name, { minLength: 1, maxLength: 4 }), { numRuns: 400, seed: 5 });
  const messages = lists.map((names) => {
    const field = mailboxField(
      'To',
      names.map((name, i) => ({ name, address: `user${i}@example.com` })),
    );
    checkLines(field);
    return Buffer.from(`${field}\r\nbody\r\n`);
  });
  readByPython(messages).forEach((entity, i) => {
    const names = lists[i]!;
    assert.deepEqual(
      entity.mailboxes['to']!.map((mailbox) => mailbox.address),
      names.map((_, n) => `user${n}@example.com`),
    );
    assert.deepEqual(
      entity.mailboxes['to']!.map((mailbox) => mailbox.name),
      names,
    );
  });
});

test('any file name in a parameter is read back as it was', { skip: noPython }, () => {
  const names = fc.sample(line, { numRuns: 400, seed: 6 });
  const messages = names.map((name) =>
    Buffer.from(`${parameterField('Content-Disposition', 'attachment', [['filename', name]])}\r\nbody\r\n`),
  );
  readByPython(messages).forEach((entity, i) => {
    // Python takes the blanks off the ends.
    assert.equal(entity.filename ?? '', names[i]!.trim());
    assert.deepEqual(defects(entity), []);
  });
});

test('a control character that got as far as a field cannot break it', () => {
  for (const bad of ['\r\nBcc: x@y.example', '\n', '\r', '\0', '\u0085', '\u2028']) {
    for (const field of [
      textField('Subject', `a${bad}b`),
      mailboxField('To', [{ name: `a${bad}b`, address: 'x@example.com' }]),
      parameterField('Content-Type', 'a/b', [['name', `a${bad}b`]]),
    ]) {
      assert.doesNotMatch(field.replace(/\r\n /g, ' ').slice(0, -2), /[\0-\x1f\u0085\u2028]/);
      assert.doesNotMatch(field, /^Bcc/m);
    }
  }
});

test('texts in many character sets arrive as they were, in each transfer encoding that can carry them', { skip: noPython }, async () => {
  const samples: [string, string][] = [
    ['utf-8', 'Grüße, 世界, 😀'],
    ['UTF8', 'é'],
    ['iso-8859-1', 'Grüße ÿ'],
    ['latin1', 'é'],
    ['ISO-8859-15', '5 €'],
    ['windows-1252', '“quotes” – €'],
    ['cp1251', 'Привет'],
    ['koi8-r', 'Привет'],
    ['shift_jis', 'こんにちは ソ表'],
    ['euc-jp', '日本語'],
    ['gb18030', '汉字 😀'],
    ['gb2312', '汉字'],
    ['big5', '漢字'],
    ['euc-kr', '한국어'],
    ['utf-16le', 'é 😀'],
    ['utf-16', 'é'],
    ['utf-16be', 'ഊ é'],
    ['utf-7', 'é + a'],
    ['us-ascii', 'plain'],
    ['windows-874', 'ไทย'],
  ];
  const cases: { octets: Buffer; text: string; name: string }[] = [];
  for (const [characterSet, sample] of samples) {
    for (const transferEncoding of [undefined, '8bit', 'quoted-printable', 'BASE64']) {
      const text = `${sample}\r\n.${sample} \r\n--dashes\r\nFrom here\r\n${sample.repeat(12)}`;
      if (/^(?:8bit|quoted)/.test(transferEncoding ?? '') && /utf-16/.test(characterSet)) continue;
      cases.push({
        octets: await message({ body: text, characterSet, transferEncoding }).data(),
        text,
        name: `${characterSet} ${transferEncoding}`,
      });
    }
  }
  readByPython(cases.map(({ octets }) => octets)).forEach((entity, i) => {
    const { text, name } = cases[i]!;
    assert.deepEqual(defects(entity), [], name);
    assert.equal(entity.text!.replace(/\r\n$/, ''), text, name);
  });
});

test('the encoding follows from the content unless it is asked for', { skip: noPython }, async () => {
  const cases = [
    ['plain', '7bit'],
    [`${'x'.repeat(998)}\r\ny`, '7bit'],
    ['x'.repeat(999), 'quoted-printable'],
    ['mostly plain, with é', 'quoted-printable'],
    ['世界'.repeat(10), 'base64'],
    ['a nul \0 within', 'quoted-printable'],
  ] as const;
  for (const [text, encoding] of cases) {
    const octets = Buffer.from(text);
    assert.equal(suitableEncoding(factsOf(octets), octets.length), encoding, text.slice(0, 20));
  }
  const composed = await message({ body: 'a', html: 'b', transferEncoding: 'Quoted-Printable' }).data();
  assert.deepEqual(
    readByPython([composed])[0]!.parts.map((part) => part.encoding),
    ['quoted-printable', 'quoted-printable'],
  );
});

test('a transfer encoding that cannot carry the content is an error that says why', async () => {
  const cases: [string, string, RegExp][] = [
    ['7bit', 'é', /not ASCII/],
    ['7bit', 'x'.repeat(999), /line of 999 octets/],
    ['8bit', 'é'.repeat(500), /line of 1000 octets/],
    ['8bit', 'a\0b', /NUL/],
  ];
  for (const [transferEncoding, body, why] of cases) {
    const error = await refusal(() => message({ body, transferEncoding }).data());
    assert.equal(error.code, 'UNENCODABLE');
    assert.match(error.message, why);
    assert.deepEqual(issuesOf(error), ['body UNENCODABLE']);
  }
  assert.match(
    (await refusal(() => message({ body: 'a', characterSet: 'utf-16', transferEncoding: 'quoted-printable' }).data())).message,
    /utf-16 needs base64/,
  );
  assert.equal(unfitFor('7bit', factsOf(Buffer.from('a\rb'))), 'the content has a NUL or a bare CR or LF');
});

test('characters that the character set lacks are named, each once', async () => {
  const error = await refusal(() => message({ body: '世a世€', html: 'ok é', characterSet: 'iso-8859-1' }).data());
  assert.equal(error.code, 'UNENCODABLE');
  assert.deepEqual(issuesOf(error), ['body UNENCODABLE']);
  assert.match(error.message, /iso-8859-1 has no 世 \(U\+4E16\), € \(U\+20AC\)$/);
  assert.match((await refusal(() => message({ body: 'x\ud800' }).data())).message, /utf-8 has no U\+D800/);
  assert.match((await refusal(() => message({ body: 'é', characterSet: 'us-ascii' }).data())).message, /é \(U\+00E9\)/);
  for (const characterSet of ['base64', 'hex', 'binary', 'x-none', '', 'utf-8\r\n', '__proto__'])
    assert.equal((await refusal(() => message({ body: 'a', characterSet }))).issues[0]!.path, 'characterSet');
});

test('character sets are written by their registered names', () => {
  const names = {
    UTF8: 'utf-8',
    latin1: 'iso-8859-1',
    CP1252: 'windows-1252',
    win1251: 'windows-1251',
    iso88592: 'iso-8859-2',
    ASCII: 'us-ascii',
    sjis: 'shift_jis',
    gb2312: 'gbk',
  };
  for (const [name, label] of Object.entries(names)) assert.equal(findCharset(name)?.label, label);
  assert.equal(findCharset('utf-16')?.asciiBased, false);
  assert.equal(findCharset('utf-7')?.asciiBased, false);
  assert.equal(findCharset('shift_jis')?.asciiBased, true);
});

test('quoted-printable keeps any octets, within its lines, and never begins one like a boundary', () => {
  const octets = fc.array(
    fc.oneof(
      fc.constantFrom(
        '\r\n',
        '\r',
        '\n',
        ' ',
        '\t',
        ' \r\n',
        '--',
        '-',
        '=',
        '.',
        'abc',
        '\0',
        'é',
        '=\r\n',
        '=41',
        'x'.repeat(74),
        ' '.repeat(80),
      ),
      fc.string({ unit: 'binary', maxLength: 5 }),
    ),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(octets, (pieces) => {
      const given = Buffer.from(pieces.join(''));
      const encoded = quotedPrintable(given);
      for (const one of encoded.toString('latin1').split('\r\n')) {
        assert.ok(one.length <= 76);
        assert.doesNotMatch(one, /[^!-~ \t]|[ \t]$|^--/);
      }
      assert.deepEqual(fromQuotedPrintable(encoded), given);
    }),
    { numRuns: 1500 },
  );
});

test('quoted-printable of others is read as mail readers do', () => {
  const read = (text: string) => fromQuotedPrintable(Buffer.from(text)).toString('latin1');
  assert.equal(read('a=\r\nb'), 'ab');
  assert.equal(read('a= \t\r\nb'), 'ab');
  assert.equal(read('a  \r\nb \t'), 'a\r\nb');
  assert.equal(read('=e9=E9'), '\xe9\xe9');
  assert.equal(read('1=2 =XY ='), '1=2 =XY ');
  const began = performance.now();
  for (const text of [' '.repeat(1_000_000) + 'x', '= '.repeat(500_000), `=${' '.repeat(1_000_000)}x`]) read(text);
  assert.ok(performance.now() - began < 20_000);
});

test('base64 has lines of 76 and the size that is foretold', () => {
  for (const length of [0, 1, 2, 3, 56, 57, 58, 114, 115, 1000, 5700]) {
    const octets = Buffer.alloc(length, 'riata');
    const encoded = base64Lines(octets);
    assert.equal(encoded.length, base64Size(length));
    assert.deepEqual(Buffer.from(encoded.toString(), 'base64'), octets);
    const lines = encoded.toString().split('\r\n');
    assert.ok(lines.every((one, i) => one.length === 76 || (i === lines.length - 1 && one.length <= 76)));
  }
});
