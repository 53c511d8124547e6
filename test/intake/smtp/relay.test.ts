import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchNetworks } from '../../../src/intake/smtp/networks.js';
import fc from '../../support/properties.js';
import { Client, HEADER, openListener } from '../support.js';

const limit = { timeout: 120_000 };
/** Loopback is not among them. */
const elsewhere = { trustedNetworks: ['192.0.2.0/24'], maxErrors: 1_000_000 };

test('a client outside the trusted networks cannot begin a transaction by any spelling', limit, async (t) => {
  const { port, spool, lines } = await openListener(t, elsewhere);
  const client = await Client.ready(port);
  for (const mail of [
    'MAIL FROM:<a@b.test>',
    'mail from:<a@b.test>',
    'MAIL FROM: <a@b.test>',
    'MAIL  FROM:<a@b.test>',
    'MAIL FROM:<>',
    'MAIL FROM:<a@b.test> SIZE=1',
    'MAIL',
  ]) {
    for (const rcpt of ['RCPT TO:<c@d.test>', 'rcpt to:<c@d.test>', 'RCPT TO: <c@d.test>', 'RCPT']) {
      assert.match(await client.ask(mail), /^550 5\.7\.1 /, mail);
      assert.match(await client.ask(rcpt), /^550 5\.7\.1 /, rcpt);
      assert.match(await client.ask('DATA'), /^503 5\.5\.1 /);
      assert.match(await client.ask('data'), /^503 5\.5\.1 /);
    }
  }
  assert.equal(spool.opened, 0);
  assert.equal(lines.filter(({ event }) => event === 'smtp.relayDenied').length, 1);
});

test('nor by pipelining, after RSET, after a refused MAIL, or by EHLO again', limit, async (t) => {
  const { port, spool, events } = await openListener(t, elsewhere);
  const script = [
    'MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n',
    'RSET\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n',
    'MAIL FROM:<bad>\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n',
    'EHLO again\r\nRCPT TO:<c@d.test>\r\nMAIL FROM:<a@b.test>\r\nDATA\r\n',
    'HELO again\r\nMAIL FROM:<a@b.test>\r\nrcpt to:<c@d.test>\r\ndata\r\n',
  ];
  const client = await Client.ready(port);
  for (const commands of script) {
    client.send(commands);
    const replies = await client.replies(commands.match(/\r\n/g)!.length);
    assert.equal(replies.filter((reply) => reply.startsWith('354')).length, 0, commands);
    assert.equal(replies.filter((reply) => reply.startsWith('250')).length, /RSET|again/.test(commands) ? 1 : 0, commands);
    client.send(`${HEADER}\r\nrelayed\r\n.\r\nNOOP\r\n`);
    const refused = await client.replies(7);
    assert.deepEqual(
      refused.map((reply) => reply.slice(0, 3)),
      [...Array(6).fill('500'), '250'],
    );
  }
  assert.deepEqual([spool.opened, spool.stored.length, events.length], [0, 0, 0]);
});

test('nor by any sequence of commands at all', limit, async (t) => {
  const { port, spool } = await openListener(t, elsewhere);
  const command = fc.constantFrom(
    'EHLO c',
    'HELO c',
    'MAIL FROM:<a@b.test>',
    'mail from:<a@b.test>',
    'RCPT TO:<c@d.test>',
    'rcpt to:<c@d.test>',
    'DATA',
    'data',
    'RSET',
    'NOOP',
    'VRFY c@d.test',
    'AUTH PLAIN AGEAYg==',
    'STARTTLS',
    'BDAT 1 LAST',
    '.',
    '',
    'XCLIENT ADDR=192.0.2.1',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 40 }), fc.boolean(), async (commands, together) => {
      const client = await Client.dial(port);
      for (const one of together ? [commands.join('\r\n')] : commands) client.send(`${one}\r\n`);
      client.send('QUIT\r\n');
      const text = await client.rest();
      assert.doesNotMatch(text, /^354|^250 2\.1/m);
      client.close();
    }),
    { numRuns: 100 },
  );
  assert.deepEqual([spool.opened, spool.stored.length], [0, 0]);
});

test('a trusted client that comes next is not held to what was said of the last one', limit, async (t) => {
  const trusts = matchNetworks(['127.0.0.0/8', '::1/128', '192.0.2.1'], 'x');
  for (const [address, expected] of [
    ['127.0.0.1', true],
    ['128.0.0.1', false],
    ['127.255.255.255', true],
    ['192.0.2.1', true],
    ['192.0.2.2', false],
    ['::1', true],
    ['::2', false],
    ['', false],
    ['', false],
    ['nonsense', false],
  ] as const) {
    assert.equal(trusts(address), expected, address);
  }
  const { port } = await openListener(t, { trustedNetworks: [] });
  const client = await Client.ready(port);
  assert.match(await client.ask('MAIL FROM:<a@b.test>'), /^550 5\.7\.1 /);
});

test('networks that are none are all told at once', () => {
  const wrong = ['10.0.0.0/33', '10.0.0/8', 'example.org', '::1/129', '10.0.0.0/8/8', '', '10.0.0.0/', '10.0.0.0/x'];
  assert.throws(
    () => matchNetworks(['127.0.0.1', ...wrong], 'submission.trustedNetworks'),
    (error: { code: string; issues: { path: string }[] }) => {
      assert.equal(error.code, 'INVALID_OPTIONS');
      assert.deepEqual(
        error.issues.map(({ path }) => path),
        wrong.map((_, i) => `submission.trustedNetworks[${i + 1}]`),
      );
      return true;
    },
  );
});
