import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MailEvent } from '../../src/core/event.js';
import { hideAddresses, hideInEvents, hideLocalParts } from '../../src/platform/hidden-addresses.js';
import type { LogFields } from '../../src/platform/log.js';

test('local parts are hidden wherever an address stands, and nothing else is', () => {
  for (const [text, hidden] of [
    ['ann@example.com', '*@example.com'],
    ['550 5.1.1 <ann.b+tag@example.com>: no such user', '550 5.1.1 <*@example.com>: no such user'],
    ['to=<a@x.test>, from=<b@y.test>', 'to=<*@x.test>, from=<*@y.test>'],
    ['"ann smith"@example.com and "a@b"@example.com', '*@example.com and "*@*@example.com'],
    ['rené@exämple.com', '*@exämple.com'],
    ['ann@[192.0.2.1]', '*@[192.0.2.1]'],
    ['/v1/queue?recipient=ann%40example.com&limit=1', '/v1/queue?recipient=*%40example.com&limit=1'],
    ['bounce+bob=dest.test@list.test', 'bounce+bob=*@list.test'],
    ['nothing to hide @ all', 'nothing to hide @ all'],
    ['', ''],
  ] as const)
    assert.equal(hideLocalParts(text), hidden);
});

test('a long text of anything takes no longer than its length asks for', () => {
  const start = performance.now();
  for (const text of ['a'.repeat(1 << 20), `${'a'.repeat(1 << 20)}@x`, '@'.repeat(1 << 18), '"'.repeat(1 << 18), '"@'.repeat(1 << 17)])
    hideLocalParts(text);
  assert.ok(performance.now() - start < 20_000);
});

test('in a log, ids and servers stay as they are', () => {
  const seen: unknown[] = [];
  const note = (_: string, fields?: LogFields, message?: string) => void seen.push({ ...fields, message });
  const log = hideAddresses({ debug: note, info: note, warn: note, error: note });
  log.warn('report.undeliverable', { id: 'X', to: 'ann@x.test', messageId: '<1@x.test>', attempts: 2 }, 'of ann@x.test');
  assert.deepEqual(seen, [{ id: 'X', to: '*@x.test', messageId: '<1@x.test>', attempts: 2, message: 'of *@x.test' }]);
});

test('of an event both addresses are hidden, and what a server says of its recipient, however it says it', () => {
  const seen: MailEvent[] = [];
  const emit = hideInEvents((event) => void seen.push(event));
  const about = { at: 0, id: 'X', delivery: 'X.0', lane: 'mx:x.test', server: 'mx.x.test[192.0.2.1]:25', delayMs: 1, status: '5.1.1' };
  emit({
    type: 'bounced',
    ...about,
    sender: 'me@y.test',
    recipient: 'bob@x.test',
    text: '550 5.1.1 Bob: no mailbox bob.; bobby@x.test has one',
  });
  emit({
    type: 'accepted',
    at: 0,
    id: 'X',
    sender: 'me@y.test',
    recipients: 1,
    sizeBytes: 1,
    messageId: '<1@y.test>',
    origin: 'api',
    user: 'me',
  });
  assert.deepEqual(seen, [
    { type: 'bounced', ...about, sender: '*@y.test', recipient: '*@x.test', text: '550 5.1.1 *: no mailbox *.; *@x.test has one' },
    {
      type: 'accepted',
      at: 0,
      id: 'X',
      sender: '*@y.test',
      recipients: 1,
      sizeBytes: 1,
      messageId: '<1@y.test>',
      origin: 'api',
      user: '*',
    },
  ]);
});
