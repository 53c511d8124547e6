import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from '../../support/properties.js';
import { Client, HEADER, openListener, until } from '../support.js';

const limit = { timeout: 120_000 };

/** What some server somewhere takes for the end of a message, and is none. */
const ENDS = [
  '\n.\n',
  '\n.\r\n',
  '\r.\r',
  '\r.\r\n',
  '\r\n.\n',
  '\r\n.\r',
  '\r\n.\r\r\n',
  '\n.\r',
  '\r.\n',
  '\r\n.\n\r\n',
  '\n\n.\n\n',
  '\r\n.\r\n'.slice(0, 4),
  '\r\r\n.\r\r\n',
  '\n\r.\n\r',
  '\r\n..\r\n',
  '\r\n.\0\r\n',
  '\r\n .\r\n',
  '\r\n. \r\n',
];
const SMUGGLED = 'MAIL FROM:<admin@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: smuggled\r\n\r\nsecond';

for (const bareNewlines of ['normalise', 'refuse'] as const) {
  test(`no false end of a message lets a second one in (${bareNewlines})`, limit, async (t) => {
    const { port, spool } = await openListener(t, { bareNewlines, maxErrors: 1_000 });
    const client = await Client.ready(port);
    let accepted = 0;
    for (const end of ENDS) {
      const content = `${HEADER}\r\nfirst${end}${SMUGGLED}\r\n.\r\n`;
      const at = content.indexOf('first') + 5;
      // Cut at every border of the false end, and not at all.
      for (let cut = at; cut <= at + end.length; cut++) {
        assert.match(await client.begin(), /^354/, JSON.stringify(end));
        client.send(content.slice(0, cut));
        await new Promise((resolve) => setImmediate(resolve));
        client.send(content.slice(cut));
        const reply = await client.reply();
        const bare = /\r(?!\n)|(?<!\r)\n/.test(end);
        if (end.includes('\0')) assert.match(reply, /^554 5\.6\.0 /, JSON.stringify(end));
        else if (bare && bareNewlines === 'refuse') assert.match(reply, /^550 5\.6\.0 /, JSON.stringify(end));
        else {
          assert.match(reply, /^250 /, JSON.stringify(end));
          accepted++;
          const { text, entry } = spool.stored.at(-1)!;
          assert.equal(entry.deliveries[0]!.recipients[0]!.address, 'b@example.net');
          assert.ok(text.includes('MAIL FROM:<admin@example.org>'), 'the smuggled commands are text of the first message');
          assert.doesNotMatch(text, /\r(?!\n)|(?<!\r)\n/);
          // Whoever sends it on stuffs every line that begins with a dot; nothing else may look like one.
          assert.equal(entry.message.content.dotted, /(?:^|\n)\./.test(text), JSON.stringify(end));
        }
        assert.equal(spool.stored.length, accepted);
        assert.equal(await client.ask('NOOP'), '250 2.0.0 OK', `out of step after ${JSON.stringify(end)}`);
      }
    }
    client.close();
  });
}

test('any content arrives as its normal form, and as one message, however it is cut', limit, async (t) => {
  const { port, spool } = await openListener(t);
  const client = await Client.ready(port);
  const piece = fc.oneof(
    fc.constantFrom('\r', '\n', '\r\n', '.', '..', '\r\n.', '\n.', '\r.', 'a', '\xff', ...ENDS.filter((end) => !end.includes('\0'))),
    fc.uint8Array({ min: 1, maxLength: 5 }).map((octets) => Buffer.from(octets).toString('latin1')),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 30 }), fc.array(fc.nat(60), { maxLength: 4 }), async (pieces, cuts) => {
      const body = pieces.join('');
      // A client that does it right: lines end in CRLF, and those that begin with a dot get another.
      const sent = `${HEADER}\r\n${body}`.split('\r\n').map((line) => line.replace(/^\./, '..'));
      const wire = `${sent.join('\r\n')}\r\n.\r\n`;
      const before = spool.stored.length;
      await client.begin();
      let from = 0;
      for (const cut of cuts.map((n) => wire.length - n).sort((a, b) => a - b)) {
        client.send(wire.slice(from, cut));
        from = Math.max(from, cut);
        await new Promise((resolve) => setImmediate(resolve));
      }
      client.send(wire.slice(from));
      assert.match(await client.reply(), /^250 /);
      assert.equal(spool.stored.length, before + 1);
      const { text } = spool.stored.at(-1)!;
      const normal = `${body}\r\n`.replace(/\r\n|\r|\n/g, '\r\n');
      assert.equal(text.slice(text.indexOf('Date:')), `${HEADER}\r\n${normal}`);
    }),
    { numRuns: 300 },
  );
});

test('a NUL is refused, and the session goes on', limit, async (t) => {
  const { port, spool } = await openListener(t);
  const client = await Client.ready(port);
  await client.begin();
  assert.match(await client.ask(`${HEADER}\r\na\0b\r\n.`), /^554 5\.6\.0 /);
  await client.begin();
  assert.match(await client.ask(`${HEADER}\r\n.`), /^250/);
  assert.equal(spool.stored.length, 1);
});

test('a loop is refused, and the session goes on', limit, async (t) => {
  const { port, spool } = await openListener(t);
  const client = await Client.ready(port);
  await client.begin();
  assert.match(await client.ask(`${'Received: x\r\n'.repeat(51)}${HEADER}\r\n.`), /^554 5\.4\.6 /);
  await client.begin();
  assert.match(await client.ask(`${HEADER}\r\n.`), /^250/);
  assert.equal(spool.stored.length, 1);
});

test('a command line cannot bring a second one with it', limit, async (t) => {
  const { port } = await openListener(t, { maxErrors: 100 });
  const client = await Client.ready(port);
  await client.ask('MAIL FROM:<a@b.test>');
  for (const trick of ['\rRCPT TO:<c@d.test>', '\0', '>\rDATA', ' \r']) {
    assert.match(await client.ask(`RCPT TO:<c@d.test${trick}>`), /^50[01] /, JSON.stringify(trick));
    assert.match(await client.ask(`RCPT TO:<c@d.test>${trick}`), /^50[01] /, JSON.stringify(trick));
  }
  assert.match(await client.ask('DATA'), /^554 5\.5\.1 /);
  assert.match(await client.ask('EHLO a\0b'), /^501 /);
});

test('what is refused for its line ends does not fill the spool while the rest comes in', limit, async (t) => {
  const { port, spool } = await openListener(t, { bareNewlines: 'refuse' });
  const client = await Client.ready(port);
  await client.begin();
  client.send(`${HEADER}\r\n${'x'.repeat(20_000)}`);
  await until(() => spool.open === 1);
  client.send('\n');
  await until(() => spool.open === 0);
  client.send(`${'x'.repeat(20_000)}\r\n.\r\n`);
  assert.match(await client.reply(), /^550 5\.6\.0 /);
  assert.equal(spool.opened, 1);
});
