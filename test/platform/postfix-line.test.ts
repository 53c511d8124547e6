import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailEvent } from '../../src/core/event.js';
import { postfixLine } from '../../src/platform/postfix-line.js';

const at = new Date(2026, 10, 2, 9, 5, 7).getTime();
const line = (event: MailEvent) => postfixLine(event, { hostname: 'mail.test', pid: 42 });
const about = {
  at,
  id: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
  delivery: '01ARZ3NDEKTSV4RRFFQ69G5FAV.0',
  lane: 'mx:x.test',
  sender: 'a@y.test',
  recipient: 'b@x.test',
  server: 'mx.x.test[192.0.2.1]:25',
  delayMs: 1234,
  status: '2.0.0',
  text: '2.0.0 Ok: queued\nas 1',
};

test('the fate of a recipient is told as the tools look for it', () => {
  const head = 'Nov  2 09:05:07 mail.test postfix/smtp[42]: 01ARZ3NDEKTSV4RRFFQ69G5FAV: to=<b@x.test>,';
  assert.equal(
    line({ type: 'delivered', ...about }),
    `${head} relay=mx.x.test[192.0.2.1]:25, delay=1.23, dsn=2.0.0, status=sent (2.0.0 Ok: queued as 1)`,
  );
  assert.equal(
    line({ type: 'deferred', nextAttemptAt: 0, attempts: 1, ...about, server: '', status: '4.4.1', text: 'no answer', delayMs: 300_400 }),
    `${head} relay=none, delay=300, dsn=4.4.1, status=deferred (no answer)`,
  );
  assert.match(line({ type: 'bounced', ...about })!, / status=bounced \(/);
  assert.match(line({ type: 'expired', ...about })!, / status=expired \(/);
});

test('an accepted message gives a line of the session, of the Message-ID, and of the queue', () => {
  const event = {
    type: 'accepted',
    at,
    id: 'ID',
    sender: '',
    recipients: 3,
    sizeBytes: 1024,
    messageId: '<x@y>',
    origin: 'smtp 127.0.0.1',
  } as const;
  assert.deepEqual(
    line(event)!
      .split('\n')
      .map((each) => each.slice(26)),
    [
      'postfix/smtpd[42]: ID: client=smtp 127.0.0.1',
      'postfix/cleanup[42]: ID: message-id=<x@y>',
      'postfix/qmgr[42]: ID: from=<>, size=1024, nrcpt=3 (queue active)',
    ],
  );
  assert.equal(line({ ...event, messageId: '' })!.split('\n').length, 2);
});

test('removal and faults have their lines, and a remote cannot begin one', () => {
  assert.match(line({ type: 'removed', ...about })!, /postfix\/postsuper\[42\]: 01ARZ3NDEKTSV4RRFFQ69G5FAV: removed$/);
  assert.match(line({ type: 'fault', at, code: 'SPOOL_FULL', text: 'disk full' })!, /postfix\/qmgr\[42\]: warning: disk full$/);
  assert.match(line({ type: 'fault', at, code: 'X', text: 'damaged', id: 'ID' })!, /warning: ID: damaged$/);
  const hostile = line({ type: 'bounced', ...about, text: 'x\r\nNov  2 fake\u2028y\x1b[2J' })!;
  assert.doesNotMatch(hostile, /[\p{Cc}\u2028]/u);
});
