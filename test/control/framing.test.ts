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

test('lines stand between both, and end with an empty one', async () => {
  const lines = [
    { to: 'a@b.test', values: { name: 'Ann\n' } },
    { to: 'c@d.test', values: {} },
  ];
  const bytes = await joined(frame({ merge: true }, once(CONTENT), lines));
  for (const size of [1, 5, bytes.length]) {
    const framed = await unframe(cut(bytes, size));
    assert.deepEqual(await all(framed.lines()), lines);
    assert.deepEqual(await joined(framed.content()), CONTENT);
  }
  const none = await unframe(once(await joined(frame({}, once(CONTENT), []))));
  assert.deepEqual([await all(none.lines()), await joined(none.content())], [[], CONTENT]);
});

test('what is no such body is refused before its content is read', async () => {
  const refused = (text: string, what: RegExp) =>
    assert.rejects(
      unframe(once(Buffer.from(text))),
      (error: Error & { code?: string }) => error.code === 'INVALID_OPTIONS' && what.test(error.message),
    );
  await refused('', /ends within the first line/);
  await refused('{"a":1}', /ends within the first line/);
  await refused('[1]\n', /no JSON object/);
  await refused('null\n', /no JSON object/);
  await refused('From: me\n\n', /first line is no JSON/);
  await refused(`${' '.repeat(LONGEST_LINE + 1)}\n`, /longer than/);
  const broken = await unframe(once(Buffer.from('{}\n{"to":1}\nrubbish\n\n')));
  await assert.rejects(all(broken.lines()), /line 3 is no JSON/);
});
