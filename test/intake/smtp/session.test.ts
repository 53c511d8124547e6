import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { Client, ENVELOPE, HEADER, openListener, until } from '../support.js';

const limit = { timeout: 120_000 };
const ID = /^250 2\.0\.0 queued as (01HZ\w{22})$/;

test('the greeting comes at once and without a status, and EHLO offers what is done and nothing else', limit, async (t) => {
  const { port } = await openListener(t);
  const client = await Client.dial(port);
  assert.equal(await client.reply(), '220 mx.test ESMTP');
  assert.deepEqual((await client.ask('EHLO client.test')).split('\r\n'), [
    '250-mx.test',
    '250-PIPELINING',
    '250-8BITMIME',
    '250-SMTPUTF8',
    '250-ENHANCEDSTATUSCODES',
    '250-DSN',
    '250 SIZE 1048576',
  ]);
  assert.equal(await client.ask('HELO client.test'), '250 mx.test');
});

test('a message goes in, and the 250 names its id', limit, async (t) => {
  const { port, spool, lines } = await openListener(t);
  const client = await Client.ready(port);
  assert.equal(await client.ask('MAIL FROM:<a@example.org> BODY=8BITMIME SIZE=100'), '250 2.1.0 Sender ok');
  assert.equal(await client.ask('RCPT TO:<b@Example.NET>'), '250 2.1.5 Recipient ok');
  assert.equal(await client.ask('DATA'), '354 End data with <CR><LF>.<CR><LF>');
  const reply = await client.ask(`${HEADER}\r\nbody\r\n..dot\r\n.`);
  const { entry, text } = spool.stored[0]!;
  assert.equal(ID.exec(reply)?.[1], entry.message.id);
  assert.equal(
    text,
    `Received: from client.test ([127.0.0.1])\r\n\tby mx.test with ESMTP id ${entry.message.id};\r\n\tSun, 22 Nov 2026 09:05:07 +0000\r\n${HEADER}\r\nbody\r\n.dot\r\n`,
  );
  assert.deepEqual(entry.deliveries, [{ lane: 'mx:example.net', recipients: [{ address: 'b@example.net', state: 'queued' }] }]);
  assert.deepEqual(entry.message.origin, { kind: 'smtp', client: '127.0.0.1', helo: 'client.test' });
  assert.deepEqual(spool.closedAsked, [100]);
  assert.deepEqual(
    lines.filter(({ level }) => level !== 'debug').map(({ event }) => event),
    [],
    'what was accepted is told by its event',
  );
  assert.equal(await client.ask('QUIT'), '221 2.0.0 Bye');
  assert.equal(await client.rest(), '');
});

test('what the trace line says of the protocol is how the message came', limit, async (t) => {
  const { port, spool } = await openListener(t);
  const client = await Client.dial(port);
  await client.reply();
  for (const [hello, parameters, type] of [
    ['HELO c', '', 'SMTP'],
    ['EHLO c', '', 'ESMTP'],
    ['EHLO c', ' SMTPUTF8', 'UTF8SMTP'],
  ]) {
    await client.ask(hello!);
    await client.ask(`MAIL FROM:<a@example.org>${parameters}`);
    await client.ask('RCPT TO:<b@example.net>');
    await client.ask('DATA');
    assert.match(await client.ask(`${HEADER}\r\n.`), ID);
    const { text, entry } = spool.stored.at(-1)!;
    assert.equal(/ with (\S+) id/.exec(text)?.[1], type);
    assert.equal(entry.message.smtpUtf8, type === 'UTF8SMTP');
  }
});

const SESSION = [
  'EHLO client.test',
  'MAIL FROM:<a@example.org>',
  'RCPT TO:<b@example.net>',
  'RCPT TO:<nobody>',
  'RCPT TO:<c@example.net>',
  'DATA',
  `${HEADER}\r\none\r\n..\r\n.`,
  'NOOP',
  'MAIL FROM:<>',
  'RSET',
  'MAIL FROM:<d@example.org>',
  'RCPT TO:<e@example.net>',
  'DATA',
  `${HEADER}\r\ntwo\r\n.`,
  'VRFY <b@example.net>',
  'FOO',
  'QUIT',
];
const ANSWERS = [
  '220',
  '250',
  '250',
  '250',
  '501',
  '250',
  '354',
  '250',
  '250',
  '250',
  '250',
  '250',
  '250',
  '354',
  '250',
  '252',
  '500',
  '221',
];

for (const [how, cut] of [
  ['in one packet', (text: string) => [text]],
  ['one octet a packet', (text: string) => [...text]],
  ['in packets of three', (text: string) => text.match(/[^]{1,3}/g)!],
] as const) {
  test(`a whole session ${how} is answered in order`, limit, async (t) => {
    const { port, spool } = await openListener(t);
    const client = await Client.dial(port);
    for (const piece of cut(`${SESSION.join('\r\n')}\r\n`)) {
      client.send(piece);
      if (how !== 'in one packet') await new Promise((resolve) => setImmediate(resolve));
    }
    const replies = await client.replies(ANSWERS.length);
    assert.deepEqual(
      replies.map((reply) => reply.slice(0, 3)),
      ANSWERS,
    );
    assert.equal(await client.rest(), '');
    assert.deepEqual(
      spool.stored.map(({ text, entry }) => [
        text.slice(text.indexOf('\r\n\r\n') + 4),
        entry.deliveries[0]!.recipients.map(({ address }) => address),
      ]),
      [
        ['one\r\n.\r\n', ['b@example.net', 'c@example.net']],
        ['two\r\n', ['e@example.net']],
      ],
    );
  });
}

test('replies to what was pipelined behind a message wait until the message is safe', limit, async (t) => {
  const { port, spool } = await openListener(t);
  let open = () => {};
  spool.gate = new Promise((resolve) => {
    open = resolve;
  });
  const client = await Client.ready(port);
  await client.begin();
  client.send(`${HEADER}\r\nbody\r\n.\r\nNOOP\r\nMAIL FROM:<x@example.org>\r\n`);
  client.send('RCPT TO:<y@example.net>\r\n');
  await until(() => spool.opened === 1);
  let early = false;
  const first = client.reply().then((reply) => {
    early = spool.stored.length === 0;
    return reply;
  });
  await new Promise((resolve) => setTimeout(resolve, 30));
  open();
  assert.match(await first, ID);
  assert.equal(early, false);
  assert.deepEqual(await client.replies(3), ['250 2.0.0 OK', '250 2.1.0 Sender ok', '250 2.1.5 Recipient ok']);
});

test('commands out of order are refused, in the common form and in every other', limit, async (t) => {
  const { port } = await openListener(t, { maxErrors: 100 });
  const client = await Client.dial(port);
  await client.reply();
  for (const command of ['MAIL FROM:<a@b.test>', 'mail from:<a@b.test>', 'RCPT TO:<a@b.test>', 'rcpt to:<a@b.test>', 'DATA', 'data']) {
    assert.match(await client.ask(command), /^503 5\.5\.1 /, command);
  }
  await client.ask('EHLO c');
  for (const command of ['RCPT TO:<a@b.test>', 'rcpt to:<a@b.test>', 'DATA', 'data'])
    assert.match(await client.ask(command), /^503 5\.5\.1 /, command);
  assert.match(await client.ask('DATA now'), /^501 5\.5\.4 /);
  await client.ask('MAIL FROM:<a@b.test>');
  for (const command of ['MAIL FROM:<c@b.test>', 'mail from:<c@b.test>']) assert.match(await client.ask(command), /^503 5\.5\.1 /, command);
  for (const command of ['DATA', 'data']) assert.match(await client.ask(command), /^554 5\.5\.1 /, command);
});

test('EHLO and RSET forget the transaction', limit, async (t) => {
  const { port } = await openListener(t);
  const client = await Client.ready(port);
  for (const reset of ['RSET', 'EHLO c', 'HELO c']) {
    assert.match(await client.ask('MAIL FROM:<a@b.test>'), /^250/);
    assert.match(await client.ask('RCPT TO:<a@b.test>'), /^250/);
    assert.match(await client.ask(reset), /^250/);
    assert.match(await client.ask('DATA'), /^503/);
  }
});

test('what a client wants to be told of is kept with its message, and only with that', limit, async (t) => {
  const { port, spool } = await openListener(t);
  const client = await Client.ready(port);
  assert.match(await client.ask('MAIL FROM:<a@b.test> RET=HDRS ENVID=order+2B7'), /^250/);
  assert.match(await client.ask('RCPT TO:<c@d.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;sales@d.test'), /^250/);
  assert.match(await client.ask('RCPT TO:<e@d.test>'), /^250/);
  await client.ask('DATA');
  await client.ask(`${HEADER}\r\n.`);
  await client.begin();
  await client.ask(`${HEADER}\r\n.`);
  const [asked, plain] = spool.stored.map(({ entry }) => entry);
  assert.deepEqual(asked!.message.dsn, { ret: 'hdrs', envid: 'order+7' });
  assert.deepEqual(asked!.deliveries[0]!.recipients, [
    { address: 'c@d.test', state: 'queued', notify: ['success', 'delay'], orcpt: 'rfc822;sales@d.test' },
    { address: 'e@d.test', state: 'queued' },
  ]);
  assert.equal(plain!.message.dsn, undefined);
  assert.equal(plain!.deliveries[0]!.recipients[0]!.notify, undefined);
});

test('parameters of a refused MAIL do not leak into the next transaction', limit, async (t) => {
  const { port, spool } = await openListener(t);
  const client = await Client.ready(port);
  assert.match(await client.ask('MAIL FROM:<a@b.test> SMTPUTF8 BODY=8BITMIME FOO=BAR'), /^555 5\.5\.4 /);
  assert.match(await client.ask('MAIL FROM:<\xc3\xa4@b.test>'), /^553 5\.6\.7 /);
  await client.begin();
  await client.ask(`${HEADER}\r\n.`);
  assert.equal(spool.stored[0]!.entry.message.smtpUtf8, false);
  assert.match(await client.ask('MAIL FROM:<a@b.test> SMTPUTF8'), /^250/);
  await client.ask('RSET');
  await client.begin();
  await client.ask(`${HEADER}\r\n.`);
  assert.equal(spool.stored[1]!.entry.message.smtpUtf8, false);
});

test('addresses that are not ASCII arrive as they were meant', limit, async (t) => {
  const { port, spool } = await openListener(t);
  const client = await Client.ready(port);
  const octets = (text: string) => Buffer.from(text).toString('latin1');
  assert.match(await client.ask(octets('MAIL FROM:<jürgen@bücher.test> SMTPUTF8')), /^250/);
  assert.match(await client.ask(octets('RCPT TO:<用户@example.net>')), /^250/);
  await client.ask('DATA');
  await client.ask(octets('Subject: grüße\r\n\r\nx\r\n.'));
  const { message, deliveries } = spool.stored[0]!.entry;
  assert.deepEqual([message.sender, deliveries[0]!.recipients[0]!.address], ['jürgen@xn--bcher-kva.test', '用户@example.net']);
  assert.deepEqual(message.content, { eightBit: true, dotted: false, utf8Headers: true });
});

test('the spool is asked at MAIL, and why it is closed is told', limit, async (t) => {
  const { port, spool } = await openListener(t);
  const client = await Client.ready(port);
  spool.closed = 'SPOOL_FULL';
  assert.match(await client.ask('MAIL FROM:<a@b.test>'), /^452 4\.3\.1 /);
  spool.closed = 'SPOOL_FAILED';
  assert.match(await client.ask('MAIL FROM:<a@b.test>'), /^451 4\.3\.0 /);
  spool.closed = undefined;
  assert.match(await client.ask('MAIL FROM:<a@b.test>'), /^250/);
});

test('a spool that fails after the dot is told with a reply to try again by', limit, async (t) => {
  const { MtaError } = await import('../support.js');
  const { port, spool, lines } = await openListener(t);
  const client = await Client.ready(port);
  for (const [error, expected] of [
    [new MtaError('SPOOL_FULL', 'full'), /^452 4\.3\.1 /],
    [new MtaError('SPOOL_FAILED', 'failed'), /^451 4\.3\.0 /],
    [new Error('anything'), /^451 4\.3\.0 /],
  ] as const) {
    spool.acceptError = error;
    await client.begin();
    assert.match(await client.ask(`${HEADER}\r\n.`), expected);
    assert.equal(lines.at(-1)?.event, 'smtp.notAccepted');
  }
  spool.acceptError = undefined;
  await client.begin();
  assert.match(await client.ask(`${HEADER}\r\n.`), ID);
  assert.equal(spool.stored.length, 1);
});

test('a client that goes away in the content leaves nothing behind', limit, async (t) => {
  for (const leave of ['end', 'destroy'] as const) {
    const { listener, port, spool, events } = await openListener(t);
    const client = await Client.ready(port);
    await client.begin();
    client.send(`${HEADER}\r\n${'x'.repeat(20_000)}\r\n.\r`);
    await until(() => spool.open === 1);
    client.socket[leave]();
    await until(() => listener.connections() === 0);
    assert.deepEqual([spool.open, spool.stored.length, events.length], [0, 0, 0]);
  }
});

test('a message is accepted though its client went away before the 250', limit, async (t) => {
  const { listener, port, spool, events } = await openListener(t);
  let open = () => {};
  spool.gate = new Promise((resolve) => {
    open = resolve;
  });
  const client = await Client.ready(port);
  await client.begin();
  client.send(`${HEADER}\r\n.\r\n`);
  await until(() => spool.opened === 1 && spool.open === 0);
  (client.socket as Socket).resetAndDestroy();
  await until(() => listener.connections() === 0);
  open();
  await until(() => events.length === 1);
  assert.equal(spool.stored.length, 1);
});

test('a client that closes its half when it has said everything still gets every reply', limit, async (t) => {
  const { port, spool } = await openListener(t);
  let open = () => {};
  spool.gate = new Promise((resolve) => {
    open = resolve;
  });
  const client = await Client.dial(port);
  const other = await Client.ready(port);
  client.socket.end(`EHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n${HEADER}\r\nx\r\n.\r\n`);
  await until(() => spool.opened === 1);
  // Once another has been answered twice, the end of this one's input has come in, too.
  for (let i = 0; i < 2; i++) await other.ask('NOOP');
  open();
  const replies = await client.replies(6);
  assert.match(replies.at(-1)!, ID);
  assert.equal(await client.rest(), '');
  assert.equal(spool.stored.length, 1);
});

test('a command without its line end is not obeyed when the client closes', limit, async (t) => {
  const { port } = await openListener(t);
  const client = await Client.ready(port);
  client.socket.end('NOOP');
  assert.equal(await client.rest(), '');
});

test('commands that are not offered are unknown', limit, async (t) => {
  const { port } = await openListener(t, { maxErrors: 100 });
  const client = await Client.ready(port);
  for (const command of ['AUTH PLAIN AGEAYg==', 'STARTTLS', 'BDAT 3 LAST', 'XCLIENT ADDR=192.0.2.1', 'XFORWARD NAME=x', 'WIZ', 'EXPN a']) {
    const reply = await client.ask(command);
    assert.match(reply, /^500 5\.5\.2 /, command);
  }
});

test('every reply but greeting, EHLO and 354 has its status once', limit, async (t) => {
  const { port } = await openListener(t, { maxErrors: 100 });
  const client = await Client.ready(port);
  const commands = [
    'NOOP',
    'RSET',
    'VRFY a',
    'VRFY',
    'HELP',
    'FOO',
    'EHLO',
    'MAIL FROM:<x>',
    'RCPT TO:<a@b.test>',
    'DATA',
    'MAIL FROM:<>',
    'QUIT',
  ];
  for (const command of commands) {
    const reply = await client.ask(command);
    if (command === 'EHLO') assert.match(reply, /^501 Error/);
    else assert.match(reply, /^(\d)\d\d \1\.\d\.\d+ (?!\d\.\d\.\d)/, command);
  }
});

test('mail for many recipients is one message', limit, async (t) => {
  const { port, spool } = await openListener(t);
  const client = await Client.ready(port);
  const addresses = Array.from({ length: 50 }, (_, i) => `r${i}@d${i % 3}.test`);
  client.send(`MAIL FROM:<a@b.test>\r\n${addresses.map((address) => `RCPT TO:<${address}>\r\n`).join('')}DATA\r\n`);
  assert.match((await client.replies(52)).at(-1)!, /^354/);
  await client.ask(`${HEADER}\r\n.`);
  const { deliveries } = spool.stored[0]!.entry;
  assert.deepEqual(
    deliveries.map(({ lane, recipients }) => [lane, recipients.length]),
    [
      ['mx:d0.test', 17],
      ['mx:d1.test', 17],
      ['mx:d2.test', 16],
    ],
  );
  assert.deepEqual(deliveries.flatMap(({ recipients }) => recipients.map(({ address }) => address)).sort(), addresses.sort());
});

test('a message larger than what is held in memory arrives as it was sent', limit, async (t) => {
  const { port, spool } = await openListener(t, { maxMessageSizeBytes: 8 << 20 }, { maxMessageSizeBytes: 8 << 20 });
  const client = await Client.ready(port);
  const lines = Array.from({ length: 60_000 }, (_, i) => (i % 7 === 0 ? `.${i}` : `${'x'.repeat(i % 90)}${i}`));
  await client.begin();
  client.send(`${HEADER}\r\n${lines.map((line) => line.replace(/^\./, '..')).join('\r\n')}\r\n.\r\n`);
  assert.match(await client.reply(), ID);
  const { text } = spool.stored[0]!;
  assert.ok(text.endsWith(`${HEADER}\r\n${lines.join('\r\n')}\r\n`));
  assert.equal(spool.stored[0]!.entry.message.content.dotted, true);
});

test('a slow spool holds the client back, and its replies stay in order', limit, async (t) => {
  const { port, spool } = await openListener(t, { maxMessageSizeBytes: 64 << 20 }, { maxMessageSizeBytes: 64 << 20 });
  let open = () => {};
  spool.writeGate = new Promise((resolve) => {
    open = resolve;
  });
  const client = await Client.ready(port);
  await client.begin();
  const body = `${'x'.repeat(76)}\r\n`.repeat(200_000);
  client.send(`${HEADER}\r\n${body}.\r\nNOOP\r\n`);
  await until(() => spool.writes.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(spool.writes.reduce((sum, octets) => sum + octets, 0) < 1 << 20, 'went on without waiting');
  spool.writeGate = undefined;
  open();
  assert.match(await client.reply(), ID);
  assert.equal(await client.reply(), '250 2.0.0 OK');
  assert.ok(spool.stored[0]!.text.endsWith(body));
});

test('the sender and the recipients are those of this transaction', limit, async (t) => {
  const { port, spool } = await openListener(t);
  const client = await Client.ready(port);
  for (const name of ['one', 'two', 'three']) {
    await client.begin(`${name}@from.test`, `${name}@to.test`);
    await client.ask(`${HEADER}\r\n${name}\r\n.`);
  }
  assert.deepEqual(
    spool.stored.map(({ entry, text }) => [entry.message.sender, entry.deliveries[0]!.recipients[0]!.address, text.slice(-9).trim()]),
    ['one', 'two', 'three'].map((name) => [`${name}@from.test`, `${name}@to.test`, `${HEADER}\r\n${name}\r\n`.slice(-9).trim()]),
  );
  assert.equal(ENVELOPE.priority, spool.stored[0]!.entry.message.priority);
});
