import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pairs, table, wrap } from '../../src/cli/table.js';
import { width } from '../../src/cli/visible.js';

const COLUMNS = [
  { title: 'NAME', shrink: 6 },
  { title: 'N', align: 'right' },
  { title: 'NOTE', shrink: 4 },
] as const;

test('columns line up, numbers to the right, nothing trails', () => {
  assert.deepEqual(table(COLUMNS, [{ cells: ['a', '1', 'first'] }, { cells: ['longer', '200', ''] }], 80), [
    'NAME      N  NOTE',
    'a         1  first',
    'longer  200',
  ]);
});

test('wide characters take the columns they take', () => {
  const lines = table(COLUMNS, [{ cells: ['日本', '1', 'x'] }, { cells: ['ab', '1', 'x'] }], 80);
  assert.deepEqual(lines.slice(1), ['日本  1  x', 'ab    1  x']);
  assert.equal(width(lines[1]!), width(lines[2]!));
});

test('a table too wide takes from the widest columns that may give, down to their least', () => {
  const rows = [{ cells: ['n'.repeat(40), '1234567', 'o'.repeat(40)] }];
  for (const room of [80, 60, 40, 30]) {
    const [, line] = table(COLUMNS, rows, room);
    assert.equal(width(line!), room, `${room}`);
    assert.match(line!, /1234567/);
  }
  assert.match(table(COLUMNS, rows, 5)[1]!, /^nnnnn…  1234567  ooo…$/);
});

test('colour does not count as width, and goes around the text only', () => {
  const red = (text: string) => `<${text}>`;
  assert.deepEqual(
    table([{ title: 'A' }, { title: 'B' }], [{ cells: [{ text: 'x', paint: red }, 'y'] }, { cells: ['long', 'z'] }], 80).slice(1),
    ['<x>     y', 'long  z'],
  );
});

test('lines below a row are cut at the edge of the screen', () => {
  const lines = table([{ title: 'A' }], [{ cells: ['x'], below: [{ text: 'why it is so, at length', indent: 4 }] }], 20);
  assert.deepEqual(lines, ['A', 'x', '    why it is so, a…']);
});

test('cells from outside cannot steer the terminal or break the line', () => {
  const [, row, below] = table([{ title: 'A' }], [{ cells: ['a\r\nb\x1b[2J'], below: [{ text: '\x9b31m', indent: 2 }] }], 80);
  assert.equal(row, 'a b\\x1b[2J');
  assert.equal(below, '  \\x9b31m');
});

test('pairs align their values, and long ones go on under themselves', () => {
  const lines = pairs(
    [
      ['From', 'a@x.test'],
      ['Message-ID', 'one two three four five six'],
    ],
    32,
    2,
  );
  assert.deepEqual(lines, ['  From        a@x.test', '  Message-ID  one two three four', '              five six']);
});

test('text is broken at spaces, and a word too long stays whole', () => {
  assert.deepEqual(wrap('aa bb cccccccc d', 5), ['aa bb', 'cccccccc', 'd']);
  assert.deepEqual(wrap('', 5), ['']);
});
