import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SEND_OPTIONS } from '../../src/api/hand-in.js';
import { createLetters, DATA_OPTIONS, LETTER_OPTIONS, LOCAL_OPTIONS, lettersOptions } from '../../src/control/letter.js';
import { MtaError } from '../../src/core/errors.js';
import { from } from './served.js';

const REPORT = { id: 'X', messageId: '<x>', sizeBytes: 1, recipients: 1 };
const MIB = 1024 * 1024;

function issuesOf(given: unknown): readonly string[] {
  try {
    lettersOptions(given as never);
  } catch (error) {
    assert.ok(error instanceof MtaError && error.code === 'INVALID_OPTIONS');
    return error.issues.map(({ path }) => path);
  }
  return [];
}

test('of every option of send it is decided whether it is taken over the network', () => {
  const decided: readonly string[] = [...LETTER_OPTIONS, ...DATA_OPTIONS, ...LOCAL_OPTIONS];
  assert.deepEqual(
    SEND_OPTIONS.filter((name) => !decided.includes(name)),
    [],
  );
  assert.equal(new Set(decided).size, decided.length);
});

test('data comes in base64, and goes on as octets with its name', () => {
  const data = Buffer.from([0, 255, 13, 10]);
  const given = {
    subject: 'x',
    attachment: { name: 'a.bin', data: data.toString('base64') },
    attachments: [{ name: 'b.bin', data: `${data.toString('base64')}\r\n`, contentType: 'application/x-b' }],
    htmlImages: [{ name: 'c.png', data: '', cid: 'c@x' }],
  };
  assert.deepEqual(lettersOptions(given), {
    subject: 'x',
    attachment: { name: 'a.bin', data },
    attachments: [{ name: 'b.bin', data, contentType: 'application/x-b' }],
    htmlImages: [{ name: 'c.png', data: Buffer.alloc(0), cid: 'c@x' }],
  });
});

test('no file of this side is read, no server of its own named, no option passed over', () => {
  for (const name of ['attachments', 'htmlImages']) {
    assert.deepEqual(issuesOf({ [name]: '/etc/passwd' }), [name]);
    assert.deepEqual(issuesOf({ [name]: { 'passwd.txt': '/etc/passwd' } }), [name]);
    assert.deepEqual(issuesOf({ [name]: ['/etc/passwd'] }), [`${name}[0]`]);
    assert.deepEqual(issuesOf({ [name]: [{ path: '/etc/passwd' }] }), [`${name}[0].path`, `${name}[0].data`]);
    assert.deepEqual(issuesOf({ [name]: [{ name: 'x', data: '', path: '/etc/passwd' }] }), [`${name}[0].path`]);
    assert.deepEqual(issuesOf({ [name]: [{ name: 'x', data: 'http://localhost/' }] }), [`${name}[0].data`]);
    assert.deepEqual(issuesOf({ [name]: [{ name: 'x', data: { type: 'Buffer', data: [1] } }, null] }), [`${name}[0].data`, `${name}[1]`]);
  }
  assert.deepEqual(issuesOf({ attachment: '/etc/passwd' }), ['attachment']);
  assert.deepEqual(issuesOf({ host: '127.0.0.1', username: 'a', password: 'b', colour: 1 }), ['host', 'username', 'password', 'colour']);
  assert.deepEqual(issuesOf(JSON.parse('{"__proto__": {"host": "x"}}')), ['__proto__']);
});

test('what is no JSON, no object, or too large is refused before anything is sent', async () => {
  let sent = 0;
  const letters = createLetters(
    async () => {
      sent++;
      return REPORT;
    },
    () => MIB,
  );
  for (const bytes of ['', '{', '[]', '"x"', 'null'])
    await assert.rejects(letters(from(bytes), undefined), { code: 'INVALID_OPTIONS' }, bytes);
  await assert.rejects(letters(from(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])), undefined), { code: 'INVALID_OPTIONS' });
  await assert.rejects(letters(from('{"body":"', 'x'.repeat(2 * MIB), '"}'), undefined), { code: 'MESSAGE_TOO_LARGE' });
  await assert.rejects(createLetters(undefined, () => MIB)(from('{}'), undefined), { code: 'INVALID_OPTIONS' });
  assert.equal(sent, 0);
});

test('a key of the header is the option, and may not contradict it', async () => {
  const seen: unknown[] = [];
  const letters = createLetters(
    async (options) => {
      seen.push(options['idempotencyKey']);
      return REPORT;
    },
    () => MIB,
  );
  await letters(from('{}'), 'k1');
  await letters(from('{"idempotencyKey":"k2"}'), undefined);
  await letters(from('{"idempotencyKey":"k3"}'), 'k3');
  await assert.rejects(letters(from('{"idempotencyKey":"k4"}'), 'k5'), { code: 'INVALID_OPTIONS' });
  assert.deepEqual(seen, ['k1', 'k2', 'k3']);
});

test('only a few are in memory at a time, and each comes to its turn', async () => {
  let running = 0;
  let most = 0;
  const gates: (() => void)[] = [];
  const letters = createLetters(
    async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((go) => gates.push(go));
      running--;
      return REPORT;
    },
    () => MIB,
  );
  const all = Array.from({ length: 10 }, () => letters(from('{}'), undefined));
  const failing = assert.rejects(letters(from('{'), undefined));
  for (let done = 0; done < 10; ) {
    await new Promise(setImmediate);
    for (const go of gates.splice(0)) {
      go();
      done++;
    }
  }
  await Promise.all(all);
  await failing;
  assert.equal(most, 4);
});
