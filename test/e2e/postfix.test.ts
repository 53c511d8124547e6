/** Postfix as the mail exchanger of domains that a real DNS server tells of, on its real port. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConfigOptions } from '../../src/config/config.js';
import { readByPython } from '../outcome/foreign-parser.js';
import { type Agent, message, startAgent } from '../support/agent.js';
import { assertArrived } from '../support/arrival.js';
import { noPostfix, type Postfix, startNsd, startPostfix } from '../support/postfix.js';
import { lacks } from '../support/programs.js';
import { type Scope, until } from '../support/scope.js';
import { talk } from '../support/talk.js';

const skip = noPostfix() || lacks('nsd', 'python3');

/** As Postfix wrote it, without what it put on top; line ends as they were on the wire. */
function unwrapped(mail: Buffer): { readonly trace: string; readonly bytes: Buffer } {
  const text = mail.toString('latin1').replaceAll('\n', '\r\n');
  const trace = /^Return-Path: .*\r\n(?:X-Original-To: .*\r\n)?Delivered-To: .*\r\nReceived: .*\r\n(?:[ \t].*\r\n)*/.exec(text)?.[0] ?? '';
  return { trace, bytes: Buffer.from(text.slice(trace.length), 'latin1') };
}

/** The one message that comes to a mailbox. */
async function arrives(postfix: Postfix, mailbox: string): Promise<ReturnType<typeof unwrapped>> {
  const [mail] = await until(
    () => `mail for ${mailbox}; Postfix says\n${postfix.log()}`,
    () => {
      const all = postfix.mailbox(mailbox);
      return all.length > 0 && all;
    },
  );
  return unwrapped(mail!);
}

test('Postfix as mail exchanger, found through NSD', { skip }, async (t) => {
  const greylisted = new Set<string>();
  const postfix = await startPostfix(t, {
    hostname: 'mx.dest.test',
    mailboxes: ['ann', 'bob', 'carol', 'grey', 'tls', 'large', 'via-alias', 'implicit', 'short', 'jürgen'].flatMap((name) => [
      `${name}@dest.test`,
      `${name}@second.test`,
      `${name}@alias.test`,
      `${name}@implicit.test`,
    ]),
    messageSizeLimit: 200_000,
    policy(recipient) {
      if (!recipient.startsWith('grey@') || greylisted.has(recipient)) return 'DUNNO';
      greylisted.add(recipient);
      return '450 4.2.0 Greylisted, come back later';
    },
  });
  const dns = await startNsd(
    t,
    'test',
    `mx.dest A ${postfix.address}
dest MX 10 mx.dest
dest TXT "x${'y'.repeat(200)}"
second MX 20 mx.dest
second MX 10 gone.dest
gone.dest A 127.0.0.99
alias CNAME dest
implicit A ${postfix.address}
null MX 0 .
nohost MX 10 nothing-here
`,
  );
  const start = (scope: Scope, more: ConfigOptions = {}): Promise<Agent> =>
    startAgent(scope, { dns: { servers: [dns] }, retry: { firstDelay: 300 }, ...more });

  await t.test('what was submitted lies in the mailbox as it was', async (t) => {
    const agent = await start(t);
    const sent = Buffer.concat([
      Buffer.from(
        'From: Änn <ann@dest.test>\r\nBcc: hidden@dest.test\r\nSubject: wörld\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n',
      ),
      Buffer.from(`Grüße 東京\r\n.\r\n..\r\n.dot\r\n\r\n${'long '.repeat(180)}\r\n`),
      Buffer.from([...Array(255).keys()].map((octet) => octet + 1).filter((octet) => octet !== 10 && octet !== 13)),
      Buffer.from('\r\n\r\n'),
    ]);
    const line = await talk(agent.port);
    await line.reply();
    await line.say('EHLO client.test');
    await line.say('MAIL FROM:<ann@dest.test>');
    await line.say('RCPT TO:<bob@dest.test>');
    await line.say('DATA');
    line.write(Buffer.from(sent.toString('latin1').replaceAll('\r\n.', '\r\n..'), 'latin1'));
    assert.match(await line.say('.'), /^250 /);
    line.end();
    const { trace, bytes } = await arrives(postfix, 'bob@dest.test');
    assert.match(trace, /^Return-Path: <ann@dest\.test>\r\n/);
    assertArrived(bytes, sent, { sender: 'ann@dest.test' });
  });

  await t.test('an unknown user fails, and the report comes back to the sender at the same server', async (t) => {
    const agent = await start(t);
    const id = await agent.submit({
      from: 'ann@dest.test',
      to: ['nobody@dest.test', 'carol@dest.test'],
      content: message('to two, one unknown'),
    });
    const report = await agent.settled(id);
    assert.deepEqual(
      report.recipients.map(({ address, state }) => [address, state]),
      [
        ['nobody@dest.test', 'bounced'],
        ['carol@dest.test', 'delivered'],
      ],
    );
    await arrives(postfix, 'carol@dest.test');
    const { trace, bytes } = await arrives(postfix, 'ann@dest.test');
    assert.match(trace, /^Return-Path: <>\r\n/);
    const [read] = readByPython([bytes]);
    assert.deepEqual([read!.type, read!.reportType, read!.defects], ['multipart/report', 'delivery-status', []]);
    assert.deepEqual(
      read!.parts.map(({ type }) => type),
      ['text/plain', 'message/delivery-status', 'text/rfc822-headers'],
    );
    const [, recipient] = read!.parts[1]!.blocks!.map((block) => Object.fromEntries(block));
    assert.equal(recipient!['Final-Recipient'], 'rfc822; nobody@dest.test');
    assert.deepEqual([recipient!['Action'], recipient!['Status']], ['failed', '5.1.1']);
    assert.match(
      recipient!['Diagnostic-Code']!,
      /^smtp; 550 5\.1\.1 <nobody@dest\.test>: Recipient address rejected: User unknown in virtual mailbox table/,
    );
    assert.match(read!.parts[0]!.text, /nobody@dest\.test/);
    assert.match(read!.parts[2]!.text, /^Subject: to two, one unknown$/m);
  });

  await t.test('mail travels encrypted though nobody vouches for the certificate', async (t) => {
    const agent = await start(t);
    const id = await agent.submit({ to: 'tls@dest.test' });
    await agent.settled(id);
    const { trace } = await arrives(postfix, 'tls@dest.test');
    assert.match(trace, /Received: from riata\.test .*\r\n\t\(using TLSv1\.[23] with cipher /);
    assert.match((await agent.verbs.show(id)).deliveries[0]!.log[0]!.tls!, /^TLSv1\.[23]/);
  });

  await t.test('the greylisted is tried again, and taken', async (t) => {
    const agent = await start(t);
    const id = await agent.submit({ to: 'grey@dest.test' });
    const deferred = await agent.event('deferred');
    assert.match(deferred.text, /Greylisted, come back later/);
    assert.equal(deferred.status, '4.2.0');
    const report = await agent.settled(id);
    assert.deepEqual([report.status, report.recipients[0]!.attempts], ['sent', 2]);
    await arrives(postfix, 'grey@dest.test');
    assert.equal(postfix.mailbox('grey@dest.test').length, 1);
  });

  await t.test('what is too large for the server is not sent, and comes back', async (t) => {
    const agent = await start(t);
    const report = await agent.settled(
      await agent.submit({
        from: 'large@dest.test',
        to: 'bob@second.test',
        content: message('large', `${'x'.repeat(998)}\r\n`.repeat(250)),
      }),
    );
    assert.deepEqual([report.status, report.recipients[0]!.last!.status], ['error', '5.3.4']);
    const { bytes } = await arrives(postfix, 'large@dest.test');
    assert.match(bytes.toString(), /^Status: 5\.3\.4\r$/m);
    assert.equal(postfix.mailbox('bob@second.test').length, 0);
  });

  await t.test('domains with the same server share its connection; aliases, backups and domains without MX are found', async (t) => {
    const before = connections(postfix);
    const agent = await start(t, { delivery: { connectionsPerServer: 1, idleTimeout: '5m' } });
    for (const domain of ['dest.test', 'second.test', 'alias.test', 'implicit.test']) {
      const report = await agent.settled(await agent.submit({ to: `short@${domain}` }));
      assert.equal(report.status, 'sent', `${domain}: ${report.recipients[0]!.last?.text}`);
      await arrives(postfix, `short@${domain}`);
    }
    const servers = [...agent.mta.connections().keys()];
    await agent.close();
    assert.deepEqual(servers, [`mx.dest.test[${postfix.address}]:25`]);
    await until('Postfix to log the end', () => /disconnect from/.test(postfix.log()));
    assert.equal(connections(postfix) - before, 1);
  });

  await t.test('null MX, exchangers without address and domains that do not exist fail at once', async (t) => {
    const agent = await start(t);
    const to = ['a@null.test', 'a@nohost.test', 'a@nowhere.test'];
    const report = await agent.settled(await agent.submit({ from: '', to }));
    assert.deepEqual(
      report.recipients.map(({ address, state, last }) => [address, state, last!.status]),
      [
        ['a@null.test', 'bounced', '5.1.10'],
        ['a@nohost.test', 'bounced', '5.4.4'],
        ['a@nowhere.test', 'bounced', '5.1.2'],
      ],
    );
  });

  await t.test('a mail exchanger on loopback is refused unless that is allowed', async (t) => {
    const agent = await start(t, { delivery: { allowPrivateAddresses: false } });
    const before = connections(postfix);
    const report = await agent.settled(await agent.submit({ from: '', to: ['bob@dest.test', `bob@[${postfix.address}]`] }));
    for (const { state, last } of report.recipients) {
      assert.deepEqual([state, last!.status], ['bounced', '5.4.4']);
      assert.match(last!.text, /loopback/);
    }
    const mx = await agent.verbs.mx('dest.test');
    assert.deepEqual(mx.servers[0]!.refused, [{ address: postfix.address, why: 'loopback' }]);
    assert.equal(connections(postfix), before);
  });

  await t.test('addresses that are not ASCII are delivered where the server takes them', async (t) => {
    const agent = await start(t);
    const report = await agent.settled(await agent.submit({ from: 'ännchen@dest.test', to: 'jürgen@dest.test' }));
    assert.equal(report.status, 'sent', report.recipients[0]!.last?.text);
    assert.match((await arrives(postfix, 'jürgen@dest.test')).trace, /^Return-Path: <\xc3\xa4nnchen@dest\.test>\r\n[^]*with UTF8SMTPS/);
  });

  await t.test('three hundred messages go through a handful of connections', async (t) => {
    const before = connections(postfix);
    const agent = await start(t);
    const count = 300;
    await Promise.all(
      Array.from({ length: count }, (_, at) =>
        agent.submit({ to: `via-alias@${at % 2 ? 'alias' : 'dest'}.test`, content: message(`number ${at}`) }),
      ),
    );
    await agent.mta.idle(AbortSignal.timeout(60_000));
    const metrics = agent.mta.metrics();
    const arrived = () => [...postfix.mailbox('via-alias@dest.test'), ...postfix.mailbox('via-alias@alias.test')];
    await until(
      () => `all to arrive, not ${arrived().length}; ${JSON.stringify(metrics)}`,
      () => arrived().length === count,
    );
    const subjects = new Set(arrived().map((mail) => /^Subject: (.*)$/m.exec(mail.toString())![1]));
    assert.equal(subjects.size, count);
    // At most 100 messages each, at most 5 at a time.
    const used = connections(postfix) - before;
    assert.ok(used >= 3 && used <= 10, `${used} connections`);
  });
});

function connections(postfix: Postfix): number {
  return postfix.log().match(/ connect from /g)?.length ?? 0;
}
