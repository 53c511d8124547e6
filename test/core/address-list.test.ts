import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Listed, MAX_COMMENT_DEPTH, parseAddressList } from '../../src/core/address-list.js';
import fc from '../support/properties.js';

function list(text: string): readonly Listed[] {
  const read = parseAddressList(text);
  assert.ok(!('kind' in read), `${JSON.stringify(text)}: ${JSON.stringify(read)}`);
  return read;
}

/** `name <address>` of each. */
const shown = (text: string) => list(text).map(({ name, address }) => (name === '' ? address : `${name} <${address}>`));

function fault(text: string): string {
  const read = parseAddressList(text);
  assert.ok('kind' in read, `${JSON.stringify(text)} was read as ${JSON.stringify(read)}`);
  return `${read.at}: ${read.text}`;
}

test('addresses with and without names, separated by commas', () => {
  assert.deepEqual(shown('a@x.example'), ['a@x.example']);
  assert.deepEqual(shown(' a@x.example , Joe Doe <b@x.example>,<c@x.example>'), ['a@x.example', 'Joe Doe <b@x.example>', 'c@x.example']);
  assert.deepEqual(shown('"Smith, Ann" <a@x.example>, "b@x.example" <c@x.example>'), [
    'Smith, Ann <a@x.example>',
    'b@x.example <c@x.example>',
  ]);
  assert.deepEqual(shown('John Q. Public <a@x.example>, "A"  "B" <b@x.example>, Who? <one@y.test>'), [
    'John Q. Public <a@x.example>',
    'A B <b@x.example>',
    'Who? <one@y.test>',
  ]);
  assert.deepEqual(shown('"Giant; \\"Big\\" Box" <g@x.example>'), ['Giant; "Big" Box <g@x.example>']);
  assert.deepEqual(shown('Jörg Müller <j@x.example>'), ['Jörg Müller <j@x.example>']);
});

test('nothing is a list of nobody, and empty elements are passed over', () => {
  for (const text of ['', '  ', ',', ' , ,', '(a comment)', 'undisclosed recipients:;', 'a:,;,']) assert.deepEqual(shown(text), []);
  assert.deepEqual(shown(',a@x.example,,b@x.example,'), ['a@x.example', 'b@x.example']);
});

test('quoted local parts keep their spelling; domains become A-labels; local parts beyond ASCII are marked', () => {
  assert.deepEqual(shown('"john doe"@x.example, "a,b@c"@x.example, "x\\"y" <"x\\"y"@x.example>'), [
    '"john doe"@x.example',
    '"a,b@c"@x.example',
    'x"y <"x\\"y"@x.example>',
  ]);
  assert.deepEqual(list('Jo <jo@Bücher.EXAMPLE>'), [{ name: 'Jo', address: 'jo@xn--bcher-kva.example', utf8: false }]);
  assert.deepEqual(list('用户@例子.example'), [{ name: '', address: '用户@xn--fsqu00a.example', utf8: true }]);
  assert.deepEqual(shown('a@[192.0.2.1], b@[IPv6:2001:DB8::1]'), ['a@[192.0.2.1]', 'b@[IPv6:2001:db8::1]']);
});

test('groups give their members, and only those', () => {
  assert.deepEqual(shown('Team: a@x.example, Bob <b@x.example>; , c@x.example'), ['a@x.example', 'Bob <b@x.example>', 'c@x.example']);
  assert.deepEqual(shown('"A, b@x.example": c@x.example;'), ['c@x.example']);
  assert.deepEqual(shown('A (b@x.example;): c@x.example;(d)'), ['c@x.example']);
});

test('comments are blanks, wherever they may stand', () => {
  assert.deepEqual(shown('Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>'), ['Pete <pete@silly.test>']);
  assert.deepEqual(shown('(a@x.example, (b@x.example)) c@x.example (d@x.example)'), ['c@x.example']);
  assert.deepEqual(shown('a@(c)x.example'), ['a@x.example']);
  assert.deepEqual(shown(`${'('.repeat(MAX_COMMENT_DEPTH)}${')'.repeat(MAX_COMMENT_DEPTH)}a@x.example`), ['a@x.example']);
  assert.match(fault(`${'('.repeat(MAX_COMMENT_DEPTH + 1)}${')'.repeat(MAX_COMMENT_DEPTH + 1)}a@x.example`), /nested too deep/);
});

test('what can be read in two ways is refused, with its place', () => {
  const cases: [string, number, RegExp][] = [
    ['Company, Inc. <a@x.example>', 0, /comma must stand in quotes/],
    ['a@x.example, b@y.example <c@z.example>', 25, /contains an @ must stand in quotes/],
    ['a b@x.example', 0, /contains an @/],
    ['a@x.example b@x.example', 12, /comma is missing/],
    ['a@x.example; b@x.example', 11, /not by semicolons/],
    ['a@x.example, root', 13, /without an address/],
    ['Joe <joe>', 8, /no address between/],
    ['<>', 1, /no address between/],
    ['Joe <>', 5, /no address between/],
    ['<a@x.example', 12, /closing > is missing/],
    ['<a@x.example> Joe', 14, /comma is missing/],
    ['<a@x.example><b@x.example>', 13, /./],
    ['<<a@x.example>>', 1, /./],
    ['"open <a@x.example>', 0, /does not end/],
    ['a@x.example (open', 12, /comment that begins here/],
    ['Team: a@x.example', 4, /not ended by a semicolon/],
    ['A: B: a@x.example;;', 4, /group within|group cannot/],
    [': a@x.example;', 0, /no name/],
    ['A: a@x.example; b@x.example', 16, /comma is missing/],
    ['<@r.example:a@x.example>', 1, /source routes/],
    ['a@x.example@y.example', 11, /comma is missing/],
    ['@x.example', 0, /nothing before/],
    ['a@', 0, /domain is missing/],
    ['a..b@x.example', 0, /before the @/],
    ['a @ b @ c', 6, /comma is missing/],
    ['a@-x.example', 0, /domain name/],
    ['a@x.example)', 11, /comma is missing/],
    ['Joe \\x <a@x.example>', 4, /only in quotes/],
    ['a@x.example\r\nBcc: b@x.example', 11, /control character/],
    ['\u00a0a@x.example', 0, /invisible/],
    ['a\u200bb@x.example', 0, /invisible/],
    ['a@x\u00ad.example', 0, /invisible/],
    ['a@x.example，b@x.example', 0, /./],
    ['a＠x.example', 0, /without an address/],
  ];
  for (const [text, at, why] of cases) {
    const found = fault(text);
    assert.match(found, why, text);
    if (why.source !== '.') assert.equal(Number.parseInt(found, 10), at, `${text}: ${found}`);
    assert.doesNotMatch(found, /example|root|joe/i, 'the input is not repeated');
  }
});

test('controls and line separators are refused wherever they stand', () => {
  for (const bad of ['\0', '\t', '\n', '\r', '\x1b', '\x7f', '\u0085', '\u2028', '\u2029', '\ud800'])
    for (const text of ['a@x.example', '"N" <a@x.example>', '(c) a@x.example', 'G: a@x.example;'])
      for (let at = 0; at <= text.length; at++)
        assert.match(fault(text.slice(0, at) + bad + text.slice(at)), new RegExp(`^${at}: a control`));
});

/** Pieces with addresses among them that may and may not come out. */
const piece = fc.constantFrom(
  'a@x.example',
  'b@x.example',
  '"q q"@x.example',
  '<a@x.example>',
  '<b@x.example>',
  '"',
  '\\',
  '(',
  ')',
  '<',
  '>',
  ',',
  ':',
  ';',
  '@',
  ' ',
  '.',
  'Name',
  '"Na, me"',
  '"c@x.example"',
  '(d@x.example)',
  '"e@x.example, f@x.example"',
  '[',
  ']',
  '=?utf-8?q?g=40x=2Eexample=2C?=',
);

test('no list yields a recipient that does not stand in it outside of quotes and comments', () => {
  let read = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      const text = pieces.join('');
      const found = parseAddressList(text);
      if ('kind' in found) return;
      read += found.length;
      const bare = stripped(text).toLowerCase();
      for (const { address } of found) {
        const local = address.slice(0, address.lastIndexOf('@'));
        assert.ok(
          local.startsWith('"') ? text.includes(local) : bare.includes(local.toLowerCase()),
          `${JSON.stringify(text)} gave ${address}`,
        );
        assert.ok(bare.replaceAll(' ', '').includes(address.slice(address.lastIndexOf('@'))), `${JSON.stringify(text)} gave ${address}`);
      }
      const ats = (bare.match(/@/g) ?? []).length;
      assert.ok(found.length <= ats, `${JSON.stringify(text)} gave more addresses than it has @`);
    }),
    { numRuns: 20_000, seed: 11 },
  );
  assert.ok(read > 500, `only ${read} were read: the property says little`);
});

/** Without quoted strings and comments: written another way than in the parser. */
function stripped(text: string): string {
  let out = '';
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const c = text[at]!;
    if (c === '\\' && (quoted || depth > 0)) at++;
    else if (c === '"' && depth === 0) quoted = !quoted;
    else if (!quoted && c === '(') depth++;
    else if (!quoted && c === ')' && depth > 0) depth--;
    else if (!quoted && depth === 0) out += c;
  }
  return out;
}

test('lists built from mailboxes are read back as those', () => {
  const name = fc.string({
    unit: fc.constantFrom('a', 'B', ' ', ',', '"', '\\', '<', '>', '@', '(', ')', 'é', ':', ';', '.'),
    maxLength: 12,
  });
  const address = fc.constantFrom('a@x.example', 'b.c@y.example', '"q,q"@x.example', 'é@x.example', 'd@[192.0.2.1]');
  fc.assert(
    fc.property(
      fc.array(fc.record({ name, address }, { noNullPrototype: true }), { maxLength: 6 }),
      fc.constantFrom(',', ', ', ' ,(c) ', ',,'),
      (mailboxes, separator) => {
        const text = mailboxes.map((one) => `"${one.name.replace(/["\\]/g, '\\$&')}" <${one.address}>`).join(separator);
        assert.deepEqual(
          list(text).map(({ name, address }) => ({ name, address })),
          mailboxes,
        );
      },
    ),
    { numRuns: 1000, seed: 12 },
  );
});

test('a megabyte of anything is read or refused quickly', () => {
  const units = [
    'a',
    'a@x.example,',
    '(',
    '()',
    '"',
    '\\"',
    '<',
    'a ',
    ',',
    ' ',
    '"a"',
    'A:',
    'A:;,',
    '.',
    '@',
    'ü',
    '(\\)',
    '<a@x.example>',
    '[',
    'a.',
  ];
  for (const unit of units) {
    const text = unit.repeat(1_000_000 / unit.length);
    for (const whole of [text, `"${text}`, `(${text}`, `<${text}`, `G:${text}`]) {
      const began = performance.now();
      parseAddressList(whole);
      const took = performance.now() - began;
      assert.ok(took < 20_000, `${unit}: ${took} ms`);
    }
  }
});
