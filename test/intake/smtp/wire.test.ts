import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Wire, type WireOwner } from '../../../src/intake/smtp/wire.js';

/** Notes what it is told; `DATA` begins content. What is in `hold` makes the wire wait. */
function setUp() {
  const seen: string[] = [];
  const hold = { command: false, content: false, end: false, replies: false };
  let taken = () => {};
  const owner: WireOwner = {
    command: (line) => {
      seen.push(line);
      if (line === 'DATA') wire.enterContent();
      return !hold.command;
    },
    commandTooLong: () => void seen.push('too long'),
    content: (octets) => void seen.push(`<${octets.toString('latin1')}>`),
    contentTaken: () => {
      if (!hold.content) return true;
      return new Promise((resolve) => {
        taken = resolve;
      });
    },
    contentEnd: () => {
      seen.push('end');
      return !hold.end;
    },
    inputEnd: () => void seen.push('closed'),
    progress: () => {},
    gatherReplies: () => {},
    writeReplies: () => !hold.replies,
  };
  const wire = new Wire(owner);
  let drains = 0;
  wire.on('drain', () => drains++);
  return {
    wire,
    seen,
    hold,
    write: (text: string) => wire.write(Buffer.from(text, 'latin1')),
    take: () => taken(),
    drains: () => drains,
  };
}

test('nothing is read on while two waits are open and only one is over', () => {
  const { wire, seen, hold, write } = setUp();
  write('DATA\r\n');
  hold.end = true;
  hold.replies = true;
  write('x\r\n.\r\nONE\r\n');
  hold.end = false;
  hold.replies = false;
  assert.deepEqual(seen, ['DATA', '<x\r\n>', 'end']);
  wire.resume();
  assert.deepEqual(seen.slice(3), []);
  wire.resume();
  assert.deepEqual(seen.slice(3), ['ONE']);
});

test('what comes during a wait is kept in order, and its sender is asked to stop and then to go on', () => {
  const { wire, seen, hold, write, drains } = setUp();
  hold.command = true;
  assert.equal(write('ONE\r\n'), true);
  assert.equal(write('TWO\r\nTHR'), false);
  assert.equal(write('EE\r\nFOUR\r\n'), false);
  assert.deepEqual([seen, drains()], [['ONE'], 0]);
  wire.resume();
  assert.deepEqual([seen, drains()], [['ONE', 'TWO'], 0]);
  wire.resume();
  assert.deepEqual([seen, drains()], [['ONE', 'TWO', 'THREE'], 0]);
  wire.resume();
  assert.deepEqual([seen, drains()], [['ONE', 'TWO', 'THREE', 'FOUR'], 1]);
  wire.resume();
  assert.equal(drains(), 1);
});

test('content that is taken slowly is waited for', async () => {
  const { seen, hold, write, take } = setUp();
  write('DATA\r\n');
  hold.content = true;
  assert.equal(write('one\r\n'), true);
  hold.content = false;
  assert.equal(write('two\r\n.\r\nNOOP\r\n'), false);
  assert.deepEqual(seen, ['DATA', '<one\r\n>']);
  take();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(seen.slice(2), ['<two\r\n>', 'end', 'NOOP']);
});

test('a closed wire throws away what comes and what it held', () => {
  const { wire, seen, hold, write, drains } = setUp();
  hold.command = true;
  write('ONE\r\nTWO\r\n');
  wire.isClosed = true;
  assert.equal(write('THREE\r\n'), true);
  wire.resume();
  assert.deepEqual([seen, drains()], [['ONE'], 0]);
});

test('a wire that is closed by a command reads no further in the same chunk', () => {
  const { wire, seen, write } = setUp();
  write('ONE\r\n');
  Object.defineProperty(wire, 'isClosed', { get: () => seen.includes('QUIT') });
  write('QUIT\r\nTWO\r\n');
  assert.deepEqual(seen, ['ONE', 'QUIT']);
});

test('lines end in LF, with a CR before it or without, wherever they are cut', () => {
  const { seen, write } = setUp();
  for (const piece of ['ONE\n', 'TWO\r', '\n', 'TH', 'REE', '\r\n', '\r\n', 'FOUR\r\r\nA\rB\n']) write(piece);
  assert.deepEqual(seen, ['ONE', 'TWO', 'THREE', '', 'FOUR\r', 'A\rB']);
});

test('the end of the input is told, and a line without its end is not', () => {
  const { wire, seen, write } = setUp();
  write('ONE\r\nTWO');
  wire.end();
  assert.deepEqual(seen, ['ONE', 'closed']);
});
