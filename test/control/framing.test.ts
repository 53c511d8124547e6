/** Options and content in one body, however it is cut. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frame, LONGEST_LINE, unframe } from '../../src/control/framing.js';

async function* cut(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

async function joined(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const CONTENT = Buffer.from('Subject: \u00fc\r\n\r\n{"not": "a line"}\n\n\0\xff end', 'latin1');

test('options and content come apart as they were put together, cut anywhere', async () => {
  const head = { from: 'a@b.test', text: 'two\nlines, \u2028 and "quotes"' };
  const bytes = await joined(frame(head, once(CONTENT)));
  for (const size of [1, 2, 3, 7, 64, bytes.length]) {
    const framed = await unframe(cut(bytes, size));
    assert.deepEqual(framed.head, head);
    assert.deepEqual(await joined(framed.content()), CONTENT);
  }
});

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

test('rows follow the content, which then comes in pieces, cut anywhere', async () => {
  const rows = [
    { to: 'a@b.test', values: { name: 'Ann\n' } },
    { to: 'c@d.test', values: {} },
  ];
  const pieces = each([CONTENT.subarray(0, 9), Buffer.alloc(0), CONTENT.subarray(9)]);
  const bytes = await joined(frame({ of: 'many' }, pieces, each(rows)));
  for (const size of [1, 5, bytes.length]) {
    const framed = await unframe(cut(bytes, size));
    assert.deepEqual(framed.head, { of: 'many' });
    assert.deepEqual(await joined(framed.content()), CONTENT);
    assert.deepEqual(await all(framed.rows!()), rows);
  }
  const none = await unframe(once(await joined(frame({}, once(CONTENT), each([])))));
  assert.deepEqual([await joined(none.content()), await all(none.rows!())], [CONTENT, []]);
});

test('what is no such body is refused, and what breaks off is not taken for complete', async () => {
  const refused = (work: Promise<unknown>, what: RegExp) =>
    assert.rejects(work, (error: Error & { code?: string }) => error.code === 'INVALID_OPTIONS' && what.test(error.message));
  const first = (text: string) => unframe(once(Buffer.from(text)));
  await refused(first(''), /no JSON object/);
  await refused(first('{"a":1}'), /ends within the first line/);
  await refused(first('[1]\n'), /no JSON object/);
  await refused(first('null\n'), /no JSON object/);
  await refused(first('From: me\n\n'), /first line is no JSON/);
  await refused(first(`${' '.repeat(LONGEST_LINE + 1)}\n`), /longer than/);
  const content = async (text: string) => joined((await first(`{"rows":true}\n${text}`)).content());
  await refused(content('5\nabc'), /ends within the content/);
  await refused(content('3\nabc'), /no size/);
  await refused(content('x\n'), /no size/);
  const rows = await first('{"rows":true}\n0\n{"to":1}\nrubbish\n');
  assert.equal((await joined(rows.content())).length, 0);
  await refused(all(rows.rows!()), /row 2 is no JSON/);
  const half = await first('{"rows":true}\n0\n{"to":1');
  await joined(half.content());
  await refused(all(half.rows!()), /ends within row 1/);
});
