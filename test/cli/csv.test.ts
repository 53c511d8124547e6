/** Lists as CSV, however they are cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readCsv } from '../../src/cli/csv.js';

async function* cut(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function records(text: string | Buffer, size = 1 << 20): Promise<readonly (readonly string[])[]> {
  const found: (readonly string[])[] = [];
  for await (const { fields } of readCsv(cut(Buffer.from(text), size), 'list.csv')) found.push(fields);
  return found;
}

test('fields, quotes, line ends and an order mark are read as RFC 4180 has them, cut anywhere', async () => {
  const text =
    '\ufeffaddress,name,note\r\njoe@a.test,"Jörg ""Joe"" J.","two\r\nlines, and ""more"""\n\nsue@a.test,,\rkim@a.test, a b ,"日本"';
  const expected = [
    ['address', 'name', 'note'],
    ['joe@a.test', 'Jörg "Joe" J.', 'two\r\nlines, and "more"'],
    ['sue@a.test', '', ''],
    ['kim@a.test', ' a b ', '日本'],
  ];
  for (const size of [1, 2, 3, 5, 1000]) assert.deepEqual(await records(text, size), expected);
});

test('a semicolon or a tab stands for the comma where the first line says so', async () => {
  assert.deepEqual(await records('a;b\n1,5;2\n'), [
    ['a', 'b'],
    ['1,5', '2'],
  ]);
  assert.deepEqual(await records('a\tb\n1\t2;3\n'), [
    ['a', 'b'],
    ['1', '2;3'],
  ]);
  assert.deepEqual(await records('a,b;c\n1,2\n'), [
    ['a', 'b;c'],
    ['1', '2'],
  ]);
  assert.deepEqual(await records('alone'), [['alone']]);
  assert.deepEqual(await records(''), []);
  assert.deepEqual(await records('\r\n\n'), []);
});

test('a quote within a field that does not begin with one is a character like others', async () => {
  assert.deepEqual(await records('a\n5" disk\n'), [['a'], ['5" disk']]);
});

test('what is wrong is told with its line', async () => {
  await assert.rejects(records('a\n"b\nc'), /list\.csv, line 2: a quote is never closed/);
  await assert.rejects(records('a,b\n\n1,"2"x\n'), /list\.csv, line 3: something follows a closing quote/);
  await assert.rejects(records(Buffer.from('a\n\xfc\n', 'latin1')), /list\.csv is not text in UTF-8/);
  await assert.rejects(records(`a\n"${'x'.repeat(5 * 1024 * 1024)}`), /line 2: the record is too long/);
});

test('each record knows the line where it begins', async () => {
  const lines: number[] = [];
  for await (const { line } of readCsv(cut(Buffer.from('a\r\n"1\r\n2"\r\n\r\n3\n4'), 1), 'x')) lines.push(line);
  assert.deepEqual(lines, [1, 2, 5, 6]);
});
