/** An independent client: what it sends is what is stored, but for the trace and the Bcc. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { simpleParser } from 'mailparser';
import nodemailer from 'nodemailer';
import { openListener } from '../support.js';

const limit = { timeout: 120_000 };

test('a mail with text, HTML, attachments and non-ASCII text comes in as it was composed', limit, async (t) => {
  const { port, spool } = await openListener(t);
  const transport = nodemailer.createTransport({ host: '127.0.0.1', port, secure: false, ignoreTLS: true });
  t.after(() => transport.close());
  const attachment = randomBytes(100_000);
  const info = await transport.sendMail({
    from: 'Änne <a@example.org>',
    to: ['b@example.net', 'Çe <c@example.net>'],
    bcc: 'hidden@example.com',
    subject: 'Grüße 用户',
    text: '.\n..\n.dot\nÄÖÜ\n',
    html: '<p>Grüße</p>',
    attachments: [{ filename: 'ä.bin', content: attachment }],
  });
  assert.match(info.response, /^250 2\.0\.0 queued as /);
  const { text, bytes, entry } = spool.stored[0]!;
  assert.deepEqual(
    entry.deliveries.map(({ lane, recipients }) => [lane, recipients.map(({ address }) => address)]),
    [
      ['mx:example.net', ['b@example.net', 'c@example.net']],
      ['mx:example.com', ['hidden@example.com']],
    ],
  );
  assert.doesNotMatch(text, /hidden/);
  const parsed = await simpleParser(bytes);
  assert.equal(parsed.subject, 'Grüße 用户');
  assert.equal(parsed.text?.trimEnd(), '.\n..\n.dot\nÄÖÜ');
  assert.deepEqual(parsed.attachments[0]?.content, attachment);
  assert.equal(parsed.messageId, entry.message.messageId);
});

test('raw mail over a pooled connection is stored octet for octet', limit, async (t) => {
  const { port, spool, listener } = await openListener(t, { maxErrors: 0 });
  const transport = nodemailer.createTransport({ host: '127.0.0.1', port, secure: false, ignoreTLS: true, pool: true, maxConnections: 2 });
  t.after(() => transport.close());
  const raw = (i: number) =>
    Buffer.from(
      `Date: x\r\nFrom: a@example.org\r\nMessage-ID: <${i}@x>\r\n\r\n${'.\r\n..\r\n \r\n'.repeat(i)}${'\xff\x80'.repeat(i * 100)}\r\n`,
      'latin1',
    );
  await Promise.all(
    Array.from({ length: 40 }, (_, i) => transport.sendMail({ envelope: { from: 'a@example.org', to: `r${i}@example.net` }, raw: raw(i) })),
  );
  assert.equal(spool.stored.length, 40);
  assert.ok(listener.connections() <= 2);
  for (const { entry, text } of spool.stored) {
    const i = Number(/^r(\d+)@/.exec(entry.deliveries[0]!.recipients[0]!.address)![1]);
    assert.equal(text.slice(text.indexOf('Date:')), raw(i).toString('latin1'));
  }
});
