import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertArrived } from './arrival.js';

const ID = '01JD4Z6N3T5R8W0XQ2M7VKB9CE';
const TRACE = `Received: from client.test ([127.0.0.1])\r\n\tby riata.test with ESMTP id ${ID};\r\n\tSun, 22 Nov 2026 09:00:00 +0000\r\n`;
const ADDED = `Date: Sun, 22 Nov 2026 09:00:00 +0000\r\nFrom: ann@x.test\r\nMessage-ID: <${ID}@riata.test>\r\n`;

function passes(arrived: string, sent: string, sender = 'ann@x.test'): boolean {
  try {
    assertArrived(Buffer.from(arrived, 'latin1'), Buffer.from(sent, 'latin1'), { sender });
    return true;
  } catch {
    return false;
  }
}

test('what may be added, changed and dropped passes', () => {
  assert.ok(passes(`${TRACE}Subject: x\r\n${ADDED}\r\nbody\r\n`, 'Subject: x\r\n\r\nbody\r\n'));
  assert.ok(passes(`${TRACE}${ADDED}\r\nbody\r\n`, '\nbody'));
  assert.ok(passes(`${TRACE}Subject: x\r\n y\r\n${ADDED}\r\na\r\nb\r\n`, 'Bcc: c@x.test,\r\n d@x.test\r\nSubject: x\n y\n\na\rb'));
  assert.ok(passes(`${TRACE}${ADDED}\r\nno header\r\n`, 'no header'));
  assert.ok(passes(`${TRACE}X-Mailbox-Line: From ann now\r\nSubject: x\r\n${ADDED}\r\n`, 'From ann now\nSubject: x\n\n'));
  assert.ok(passes(`${TRACE}${ADDED.replace('ann@x.test', 'MAILER-DAEMON@riata.test')}`, '', ''));
});

test('anything else does not', () => {
  const sent = `Subject: x\r\nX-One: 1\r\nFrom: bob@x.test\r\n\r\nbody\r\n\r\n`;
  const added = ADDED.replace('From: ann@x.test\r\n', '');
  const right = `${TRACE}Subject: x\r\nX-One: 1\r\nFrom: bob@x.test\r\n${added}\r\nbody\r\n\r\n`;
  assert.ok(passes(right, sent));
  for (const wrong of [
    right.slice(TRACE.length),
    TRACE + right,
    right.replace('client.test', 'client.test\r\nX-Injected: 1'),
    right.replace('riata.test with', 'other.test with'),
    right.replace('body', 'Body'),
    right.replace('body\r\n\r\n', 'body\r\n'),
    `${right}\r\n`,
    right.replace('X-One: 1\r\n', ''),
    right.replace('X-One: 1\r\n', 'X-One: 1\r\nX-Two: 2\r\n'),
    right.replace('Subject: x\r\nX-One: 1\r\n', 'X-One: 1\r\nSubject: x\r\n'),
    right.replace(added, ''),
    right.replace(added, ADDED),
    right.replace(`<${ID}@`, `<${ID.replace('0', '1')}@`),
    right.replace('bob@', 'ann@'),
    right.replace('body', 'bo\ndy'),
  ]) {
    assert.ok(!passes(wrong, sent), JSON.stringify(wrong));
  }
  assert.ok(!passes(`${TRACE}Bcc: c@x.test\r\n${ADDED}\r\n`, 'Bcc: c@x.test\r\n\r\n'));
});
