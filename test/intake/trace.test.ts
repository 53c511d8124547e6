import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMailDate, mailDate, receivedLine, receivedPrefix } from '../../src/intake/trace.js';

const ID = '01HZZZZZZZZZZZZZZZZZZZ0001';
const line = (helo: string, client = '192.0.2.7', hostname = 'mx.test') =>
  receivedLine(receivedPrefix({ helo, client, hostname, type: 'ESMTP' }), ID, 'Sun, 22 Nov 2026 09:05:07 +0000');

test('the date is written as RFC 5322 has it', () => {
  assert.equal(mailDate(Date.UTC(2026, 10, 22, 9, 5, 7)), 'Sun, 22 Nov 2026 09:05:07 +0000');
  assert.equal(mailDate(Date.UTC(2024, 1, 29, 23, 59, 59, 999)), 'Thu, 29 Feb 2024 23:59:59 +0000');
  assert.equal(mailDate(0), 'Thu, 1 Jan 1970 00:00:00 +0000');
});

test('the remembered date is that of the second asked for, also when the clock goes back', () => {
  const date = createMailDate();
  for (const ms of [0, 999, 1000, 500, 86_400_000]) assert.equal(date(ms), mailDate(ms));
});

test('the trace line tells who, where, how and when', () => {
  assert.equal(
    line('client.example'),
    `Received: from client.example ([192.0.2.7])\r\n\tby mx.test with ESMTP id ${ID};\r\n\tSun, 22 Nov 2026 09:05:07 +0000\r\n`,
  );
  assert.match(line('[IPv6:2001:db8::1]', '2001:db8::1'), /^Received: from \[IPv6:2001:db8::1\] \(\[IPv6:2001:db8::1\]\)\r\n/);
});

test('a name that is neither a domain nor a literal does not get in', () => {
  for (const helo of ['a b', 'evil)\tby', 'a;b', 'x\r\nBcc: y', '(c)', 'ä.example', '']) {
    assert.match(line(helo), /^Received: from \[192\.0\.2\.7\] \(\[192\.0\.2\.7\]\)\r\n\tby /);
  }
});

test('lines are folded at 78 columns where their words allow it', () => {
  const long = (length: number) => `${'a'.repeat(50)}.${'b'.repeat(length - 51)}`;
  for (const helo of ['h', long(60), long(75)]) {
    for (const hostname of ['mx.test', long(60), long(70)]) {
      const text = line(helo, '2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff', hostname);
      for (const folded of text.split('\r\n')) assert.ok(folded.length <= 78 || /^\S+ ?\S+$/.test(folded.trim()), folded);
      assert.equal(text.replaceAll('\r\n\t', ' ').split(' ').length, line('h').replaceAll('\r\n\t', ' ').split(' ').length);
    }
  }
});
