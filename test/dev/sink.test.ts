import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import nodemailer from 'nodemailer';
import { FATES, fateOf } from '../../src/dev/fates.js';
import { type SinkOptions, startSink } from '../../src/dev/sink.js';
import { createCertificate } from '../support/certificate.js';
import { talk } from '../support/talk.js';
import { createVirtualClock } from '../support/virtual-clock.js';

async function open(t: TestContext, options: SinkOptions = {}) {
  const sink = await startSink(options);
  t.after(() => sink.close());
  const client = await talk(sink.port);
  t.after(() => client.end());
  return { sink, client };
}

async function greeted(t: TestContext, options: SinkOptions = {}) {
  const opened = await open(t, options);
  await opened.client.reply();
  await opened.client.say('EHLO client.test');
  return opened;
}

test('a message is kept octet for octet, dots unstuffed, with its envelope', async (t) => {
  const clock = createVirtualClock(5000);
  const { sink, client } = await open(t, { clock });
  assert.equal(await client.reply(), '220 sink.test ESMTP');
  assert.equal(
    await client.say('EHLO client.test'),
    '250-sink.test\n250-PIPELINING\n250-8BITMIME\n250-SMTPUTF8\n250-SIZE 67108864\n250 ENHANCEDSTATUSCODES',
  );
  assert.equal(await client.say('MAIL FROM:<a@client.test> BODY=8BITMIME SIZE=10'), '250 2.1.0 Ok');
  assert.equal(await client.say('RCPT TO:<"b c"@Dev.test>'), '250 2.1.5 Ok');
  assert.equal(await client.say('RCPT TO:<d@dev.test>'), '250 2.1.5 Ok');
  assert.match(await client.say('DATA'), /^354 /);
  client.write(Buffer.from('..x\r\n\r\n.. \r\nb\xe4r\n.\nend\r.\r\n....\r\n.\r\n', 'latin1'));
  assert.equal(await client.reply(), '250 2.0.0 Ok: kept as 1.1');
  assert.equal(await client.say('QUIT'), '221 2.0.0 bye');
  await client.closed();
  const [message] = sink.messages;
  assert.equal(message!.bytes.toString('latin1'), '.x\r\n\r\n. \r\nb\xe4r\n.\nend\r.\r\n...\r\n');
  assert.deepEqual(
    { ...message, bytes: 0 },
    {
      connection: 1,
      number: 1,
      helo: 'client.test',
      sender: 'a@client.test',
      parameters: ['BODY=8BITMIME', 'SIZE=10'],
      recipients: ['"b c"@Dev.test', 'd@dev.test'],
      recipientParameters: [[], []],
      bytes: 0,
      sizeBytes: 31,
      at: 5000,
      tls: undefined,
      user: undefined,
    },
  );
  assert.deepEqual(sink.violations, []);
});

test('content ends only at CRLF.CRLF, however it is cut', async (t) => {
  const { sink, client } = await greeted(t);
  const content = '.\n.\r\n.x\r\n..\r\r\n.\r.\r\nend\r\n';
  const wire = `${content.replace(/^\./gm, (dot, at) => (at === 0 || content.slice(at - 2, at) === '\r\n' ? '..' : dot))}.\r\n`;
  for (const octets of [1, 2, 3, 5, 1000]) {
    await client.say('MAIL FROM:<>');
    await client.say('RCPT TO:<ok@dev.test>');
    await client.say('DATA');
    for (let at = 0; at < wire.length; at += octets) {
      client.write(wire.slice(at, at + octets));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.match(await client.reply(), /^250 /);
    assert.equal(sink.messages.at(-1)!.bytes.toString(), content, `cut every ${octets}`);
  }
  await client.say('MAIL FROM:<>');
  await client.say('RCPT TO:<ok@dev.test>');
  await client.say('DATA');
  assert.match(await client.say('.'), /^250 /);
  assert.equal(sink.messages.at(-1)!.bytes.length, 0);
});

test('a pipelined transaction is answered in order, with messages numbered on the connection', async (t) => {
  const { sink, client } = await greeted(t);
  client.write('MAIL FROM:<a@x.test>\r\nRCPT TO:<ok@dev.test>\r\nRCPT TO:<fail-550@dev.test>\r\nDATA\r\n');
  assert.match(await client.reply(), /^250 /);
  assert.match(await client.reply(), /^250 /);
  assert.match(await client.reply(), /^550 5\.1\.1 /);
  assert.match(await client.reply(), /^354 /);
  client.write('one\r\n.\r\nMAIL FROM:<b@x.test>\r\nRCPT TO:<ok@dev.test>\r\nDATA\r\n');
  assert.match(await client.reply(), /^250 .*1\.1$/);
  for (const code of [250, 250, 354]) assert.ok((await client.reply()).startsWith(`${code} `));
  client.write('two\r\n.\r\n');
  assert.match(await client.reply(), /^250 .*1\.2$/);
  assert.deepEqual(
    sink.messages.map(({ number, sender, recipients, bytes }) => [number, sender, recipients.join(), bytes.toString()]),
    [
      [1, 'a@x.test', 'ok@dev.test', 'one\r\n'],
      [2, 'b@x.test', 'ok@dev.test', 'two\r\n'],
    ],
  );
  assert.deepEqual(sink.violations, []);
});

test('recipients choose their fate', async (t) => {
  const { client } = await greeted(t);
  await client.say('MAIL FROM:<a@x.test>');
  for (const [recipient, expected] of [
    ['ok@dev.test', '250'],
    ['anybody@dev.test', '250'],
    ['defer-450@dev.test', '450 4.2.0'],
    ['DEFER-499+tag@dev.test', '499 4.0.0'],
    ['fail-552.7@dev.test', '552 5.2.2'],
    ['fail-450@dev.test', '250'],
    ['defer-4500@dev.test', '250'],
    ['too-many@dev.test', '452 4.5.3'],
    ['once-451@dev.test', '451 4.0.0'],
    ['once-451@dev.test', '250'],
    ['once-451+other@dev.test', '451 4.0.0'],
  ] as const) {
    const reply = await client.say(`RCPT TO:<${recipient}>`);
    assert.ok(reply.startsWith(`${expected} `), `${recipient}: ${reply}`);
  }
  await client.say('RSET');
  await client.say('MAIL FROM:<a@x.test>');
  assert.match(await client.say('RCPT TO:<too-many@dev.test>'), /^250 /, 'the first one is never one too many');
  await client.say('RSET');
  assert.match(await client.say('MAIL FROM:<fail-at-mail@x.test>'), /^550 /);
  assert.match(await client.say('RCPT TO:<ok@dev.test>'), /^503 /);
});

test('a fate at DATA or at the dot is that of the whole transaction', async (t) => {
  for (const [recipient, data, dot] of [
    ['defer-at-data', '451', ''],
    ['reject-at-data', '554', ''],
    ['defer-at-dot', '354', '451'],
    ['fail-at-dot', '354', '554'],
    ['drop-at-data', 'drop', ''],
    ['drop-at-dot', '354', 'drop'],
    ['drop-after-dot', '354', 'drop'],
    ['garbage-at-dot', '354', 'garbage'],
    ['ok', '354', '250'],
  ] as const) {
    const { sink, client } = await greeted(t);
    await client.say('MAIL FROM:<a@x.test>');
    await client.say('RCPT TO:<ok@dev.test>');
    assert.match(await client.say(`RCPT TO:<${recipient}@dev.test>`), /^250 /);
    const answer = (reply: Promise<string>) =>
      reply.then(
        (text) => text.slice(0, 3),
        (error: Error) => (error.message.includes('OK 250') ? 'garbage' : 'drop'),
      );
    assert.equal(await answer(client.say('DATA')), data, recipient);
    if (dot === 'garbage') client.socket.end('x\r\n.\r\n');
    if (dot !== '') assert.equal(await answer(dot === 'garbage' ? client.reply() : client.say('x\r\n.')), dot, recipient);
    assert.equal(sink.counts.messages, recipient === 'ok' || recipient === 'drop-after-dot' ? 1 : 0, recipient);
  }
});

test('a 421 and the drops end the connection, a hang leaves it open', async (t) => {
  const { sink, client } = await greeted(t);
  client.write('MAIL FROM:<a@x.test>\r\nRCPT TO:<hang@dev.test>\r\nRCPT TO:<ok@dev.test>\r\n');
  assert.match(await client.reply(), /^250 /);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(sink.counts.open, 1);
  client.end();
  await sink.idle();
  for (const local of ['defer-421', 'drop-at-rcpt', 'garbage']) {
    const other = await talk(sink.port);
    await other.reply();
    await other.say('EHLO x');
    await other.say('MAIL FROM:<a@x.test>');
    other.write(`RCPT TO:<${local}@dev.test>\r\n`);
    if (local === 'garbage') other.socket.end();
    assert.equal((await other.closed()).slice(0, 3), { 'defer-421': '421', 'drop-at-rcpt': '', garbage: 'wha' }[local]);
  }
});

test('a slow recipient is answered when its time has come, and not before', async (t) => {
  const clock = createVirtualClock();
  const { sink, client } = await greeted(t, { clock, slowMs: 60_000 });
  await client.say('MAIL FROM:<a@x.test>');
  await client.say('RCPT TO:<slow-1@dev.test>');
  await client.say('DATA');
  client.write('x\r\n.\r\nNOOP\r\n');
  while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(59_999);
  assert.equal(sink.counts.messages, 0);
  await clock.advance(1);
  assert.match(await client.reply(), /at last$/);
  assert.match(await client.reply(), /^250 /);
  assert.equal(sink.counts.messages, 1);
});

test('every fate is found by its name, the longest first, and only with a tag set off', () => {
  for (const { name } of FATES) {
    const written = name.replace('xx', '21');
    for (const local of [written, `${written}+tag`, `${written}-7`, written.toUpperCase()])
      assert.equal(fateOf(`${local}@dev.test`)?.fate.name, name, local);
    assert.notEqual(fateOf(`${written}x@dev.test`)?.fate.name, name);
  }
  assert.equal(fateOf('defer-450@dev.test')?.code, 450);
  assert.equal(fateOf('nobody@dev.test'), undefined);
  assert.equal(fateOf(''), undefined);
});

test('a script answers anything with anything', async (t) => {
  const { sink, client } = await open(t, {
    script({ verb, argument }, session) {
      if (verb === 'CONNECT') return '220-one\r\n220 two';
      if (verb === 'EHLO') return { raw: `250-${argument}\r\n250 X\r\n`, byByte: true };
      if (verb === 'RCPT' && session.recipients.length === 1) return '452 4.5.3 enough';
      if (verb === 'DOT') return Promise.resolve([{ accept: true }, { raw: '250 2.0' }, { drop: 'end' }]);
      if (verb === 'XYZ') return { raw: Buffer.from('\xff\r\n', 'latin1') };
      return undefined;
    },
  });
  assert.equal(await client.reply(), '220-one\n220 two');
  assert.equal(await client.say('EHLO me'), '250-me\n250 X');
  await client.say('MAIL FROM:<>');
  assert.match(await client.say('RCPT TO:<a@dev.test>'), /^250/);
  assert.match(await client.say('RCPT TO:<b@dev.test>'), /^452/);
  await client.say('DATA');
  client.write('x\r\n.\r\n');
  assert.equal(await client.closed(), '250 2.0');
  assert.deepEqual(
    sink.messages.map(({ recipients, helo }) => [recipients, helo]),
    [[['a@dev.test'], 'me']],
  );
});

test('what a script refuses does not happen', async (t) => {
  const { sink, client } = await greeted(t, { script: ({ verb }) => (verb === 'MAIL' ? '450 4.0.0 no' : undefined) });
  assert.match(await client.say('MAIL FROM:<>'), /^450/);
  assert.match(await client.say('RCPT TO:<a@dev.test>'), /^503/);
  assert.match(await client.say('DATA'), /^503/);
  assert.equal(sink.counts.messages, 0);
});

test('a connection can end with a reset', async (t) => {
  const { client } = await greeted(t, { script: ({ verb }) => (verb === 'NOOP' ? { drop: 'reset' } : undefined) });
  const error = new Promise<NodeJS.ErrnoException>((resolve) => client.socket.once('error', resolve));
  client.write('NOOP\r\n');
  assert.equal((await error).code, 'ECONNRESET');
});

test('a held answer keeps the connection, and a client that leaves meanwhile is noticed', async (t) => {
  let release = (_: undefined) => {};
  const { sink, client } = await greeted(t, {
    script: ({ verb }) => (verb === 'NOOP' ? new Promise<undefined>((resolve) => (release = resolve)) : undefined),
  });
  client.write('NOOP\r\nRSET\r\n');
  await new Promise((resolve) => setImmediate(resolve));
  client.end();
  await sink.idle();
  release(undefined);
});

test('a client without PIPELINING, without EHLO, or with unknown parameters is written down', async (t) => {
  const { sink, client } = await open(t, { heloOnly: true });
  await client.reply();
  assert.match(await client.say('EHLO x'), /^502/);
  assert.match(await client.say('HELO x'), /^250 sink.test$/);
  assert.match(await client.say('MAIL FROM:<a@x.test> SIZE=1'), /^555/);
  client.write('MAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\nx\xe4\r\n.\r\nNOOP\r\n');
  for (const code of [250, 250, 354, 250, 250]) assert.ok((await client.reply()).startsWith(String(code)));
  assert.deepEqual(sink.violations, [
    'SIZE=1 at MAIL without being offered',
    'something sent ahead behind MAIL',
    'something sent ahead behind RCPT',
    'a command ended by a bare LF',
    'something sent ahead behind DATA',
    'something sent ahead behind the final dot',
    '8-bit content without BODY=8BITMIME',
  ]);
});

test('limits hold: size announced, size sent, length of a line, number of messages kept', async (t) => {
  const { sink, client } = await greeted(t, { maxBytes: 10, keep: 2 });
  assert.match(await client.say('MAIL FROM:<> SIZE=11'), /^552/);
  const send = async (content: string) => {
    await client.say('MAIL FROM:<>');
    await client.say('RCPT TO:<ok@dev.test>');
    await client.say('DATA');
    return client.say(`${content}\r\n.`);
  };
  assert.match(await send('123456789'), /^552/);
  for (const content of ['1', '22', '12345678']) assert.match(await send(content), /^250/);
  assert.deepEqual(
    sink.messages.map(({ bytes }) => bytes.toString()),
    ['22\r\n', '12345678\r\n'],
  );
  assert.equal(sink.counts.messages, 3);
  client.write('x'.repeat(5000));
  assert.match(await client.reply(), /^500/);
  await client.closed();
});

test('counting only keeps nothing', async (t) => {
  const { sink, client } = await greeted(t, { keep: 0 });
  client.write('MAIL FROM:<>\r\nRCPT TO:<ok@dev.test>\r\nDATA\r\n');
  for (let i = 0; i < 3; i++) await client.reply();
  assert.match(await client.say('hello\r\n.'), /^250/);
  assert.deepEqual([sink.messages.length, sink.counts.messages], [0, 1]);
});

test('nodemailer delivers over STARTTLS, over TLS from the start, and with a login', async (t) => {
  const { ca, cert, key } = createCertificate();
  for (const implicit of [false, true]) {
    const sink = await startSink({ tls: { cert, key, implicit }, users: { joe: 'secret' } });
    t.after(() => sink.close());
    const base = {
      host: 'localhost',
      port: sink.port,
      secure: implicit,
      requireTLS: true,
      tls: { ca },
      auth: { user: 'joe', pass: 'secret' },
    };
    for (const method of ['PLAIN', 'LOGIN']) {
      const transport = nodemailer.createTransport({ ...base, authMethod: method });
      await transport.sendMail({ from: 'a@x.test', to: 'ok@dev.test', subject: 'hi', text: 'hello' });
    }
    assert.deepEqual(
      sink.messages.map((message) => [message.tls, message.user]),
      [
        ['TLSv1.3', 'joe'],
        ['TLSv1.3', 'joe'],
      ],
    );
    const wrong = nodemailer.createTransport({ ...base, auth: { user: 'joe', pass: 'wrong' } });
    await assert.rejects(wrong.sendMail({ from: 'a@x.test', to: 'ok@dev.test' }), /535/);
    await sink.idle();
    assert.deepEqual([sink.counts.connections, sink.counts.messages], [3, 2]);
  }
});

test('what is said in the clear behind STARTTLS is forgotten', async (t) => {
  const { ca, cert, key } = createCertificate();
  const { sink, client } = await greeted(t, { tls: { cert, key } });
  client.write('STARTTLS\r\nEHLO injected\r\nMAIL FROM:<injected@x.test>\r\n');
  assert.match(await client.reply(), /^220/);
  client.socket.removeAllListeners('data');
  const secured = tls.connect({ socket: client.socket, ca, servername: 'localhost' });
  await new Promise((resolve) => secured.once('secureConnect', resolve));
  const got = new Promise<string>((resolve) => secured.once('data', (data: Buffer | string) => resolve(String(data))));
  secured.write('NOOP\r\n');
  assert.equal(await got, '250 2.0.0 Ok\r\n');
  secured.destroy();
  await sink.idle();
  assert.deepEqual(sink.violations, ['something sent ahead behind STARTTLS']);
});

test('connections are counted, and can be cut as by a crash', async (t) => {
  const { sink, client } = await open(t);
  const second = await talk(sink.port);
  await Promise.all([client.reply(), second.reply()]);
  assert.deepEqual({ ...sink.counts }, { connections: 2, open: 2, mostOpen: 2, messages: 0 });
  sink.cut();
  await Promise.all([client.closed(), second.closed(), sink.idle()]);
  assert.equal(sink.counts.mostOpen, 2);
});
