import assert from 'node:assert/strict';
import { test } from 'node:test';
import { matchSenders } from '../../../src/intake/smtp/senders.js';
import { Client, openListener } from '../support.js';

test('patterns of senders stand for an address, a domain, the names below it, or the null sender', () => {
  const allows = matchSenders(['ann@one.test', '@two.test', '@*.three.test'])!;
  const taken = ['ann@one.test', 'ANN@one.test', 'x@two.test', 'x@a.three.test', 'x@a.b.three.test'];
  const refused = ['bob@one.test', 'x@a.two.test', 'x@three.test', 'x@nothree.test', 'x@two.test.evil.test', ''];
  assert.deepEqual(taken.filter(allows), taken);
  assert.deepEqual(refused.filter(allows), []);
  assert.equal(matchSenders(['<>'])!(''), true);
  assert.equal(matchSenders([]), undefined);
  assert.equal(matchSenders(['@one.test', '*']), undefined);
});

test('a sender that is not allowed is refused at MAIL, however it is written, and mail of one that is follows on the same connection', async (t) => {
  const { port, spool, lines } = await openListener(t, { allowedSenders: ['@one.test'] });
  const client = await Client.ready(port);
  for (const mail of [
    'MAIL FROM:<a@two.test>',
    'mail from:<a@two.test>',
    'MAIL FROM: <a@two.test>',
    'MAIL FROM:<>',
    'MAIL FROM:<"a@one.test"@two.test>',
  ]) {
    assert.match(await client.ask(mail), /^550 5\.7\.1 /, mail);
    assert.match(await client.ask('RCPT TO:<c@d.test>'), /^503 5\.5\.1 /);
  }
  assert.match(await client.ask('MAIL FROM:<a@one.test>'), /^250 /);
  assert.match(await client.ask('RCPT TO:<c@d.test>'), /^250 /);
  assert.equal(spool.opened, 0);
  assert.equal(lines.filter(({ event }) => event === 'smtp.senderDenied').length, 5);
});
