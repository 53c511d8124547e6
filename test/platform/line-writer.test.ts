import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { createLineWriter } from '../../src/platform/line-writer.js';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'riata-lines-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** Takes one piece at a time, when told. */
function slowReader() {
  const pieces: string[] = [];
  let taken: ((error?: Error) => void) | undefined;
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      pieces.push(chunk.toString());
      taken = done;
    },
  });
  return { stream, pieces, take: (error?: Error) => taken?.(error) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('the lines of one turn leave in one piece, and what comes meanwhile in the next', async (t) => {
  const reader = slowReader();
  const writer = createLineWriter(reader.stream);
  t.after(() => writer.close());
  writer.write('one');
  writer.write('two');
  assert.deepEqual(reader.pieces, []);
  await turn();
  assert.deepEqual(reader.pieces, ['one\ntwo\n']);
  writer.write('three');
  writer.write('four');
  await turn();
  assert.equal(reader.pieces.length, 1, 'the first is still on its way');
  const flushed = writer.flush();
  reader.take();
  await turn();
  assert.deepEqual(reader.pieces, ['one\ntwo\n', 'three\nfour\n']);
  reader.take();
  await flushed;
});

test('when the reader is too slow, lines are dropped whole, and how many is told', async (t) => {
  const reader = slowReader();
  const writer = createLineWriter(reader.stream, { maxWaiting: 20, dropped: (count) => `lost ${count}` });
  t.after(() => writer.close());
  writer.write('first');
  await turn();
  for (let i = 0; i < 10; i++) writer.write(`line ${i}`);
  reader.take();
  await turn();
  assert.deepEqual(reader.pieces, ['first\n', 'line 0\nline 1\nlost 8\n']);
  writer.write('later');
  reader.take();
  await turn();
  assert.equal(reader.pieces[2], 'later\n');
});

test('a reader that goes away ends the writing, not the agent', async (t) => {
  const reader = slowReader();
  const writer = createLineWriter(reader.stream);
  t.after(() => writer.close());
  writer.write('one');
  await turn();
  const flushed = writer.flush();
  reader.take(new Error('gone'));
  await flushed;
  writer.write('two');
  await writer.flush();
  assert.equal(reader.pieces.length, 1);
});

test('a file gets every line, in order', async (t) => {
  const path = join(folder(t), 'log');
  const file = openSync(path, 'w');
  t.after(() => closeSync(file));
  const writer = createLineWriter(file);
  const expected: string[] = [];
  for (let i = 0; i < 50; i++) {
    for (let j = 0; j < 20; j++) {
      expected.push(`${i}.${j} ü`);
      writer.write(expected.at(-1)!);
    }
    if (i % 7 === 0) await turn();
  }
  await writer.flush();
  assert.equal(readFileSync(path, 'utf8'), `${expected.join('\n')}\n`);
  writer.write('last');
  writer.close();
  writer.write('too late');
  await turn();
  assert.ok(readFileSync(path, 'utf8').endsWith('\nlast\n'));
});

test('a full pipe is waited for without blocking, and nothing of it is lost or doubled', async (t) => {
  const path = join(folder(t), 'pipe');
  execFileSync('mkfifo', [path]);
  const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  t.after(() => closeSync(pipe));
  const writer = createLineWriter(pipe);
  t.after(() => writer.close());
  const lines = Array.from({ length: 4000 }, (_, i) => `${i} ${'x'.repeat(50)}`);
  for (const line of lines) writer.write(line);
  let over = false;
  const flushed = writer.flush().then(() => (over = true));
  let got = '';
  const room = Buffer.alloc(1000);
  while (!over || got.length < lines.join('\n').length + 1) {
    try {
      got += room.toString('latin1', 0, readSync(pipe, room));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
      await turn();
    }
  }
  await flushed;
  assert.equal(got, `${lines.join('\n')}\n`);
});

test('at the end of the process, what waits is written out', () => {
  const module = new URL('../../src/platform/line-writer.ts', import.meta.url).href;
  const program = `import { createLineWriter } from ${JSON.stringify(module)}; const w = createLineWriter(1); w.write('a'); w.write('b'); process.exit(0);`;
  const out = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], { encoding: 'utf8' });
  assert.equal(out, 'a\nb\n');
});
