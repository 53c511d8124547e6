/** The client by itself: against the recording destination, against Postfix where that is installed, and against what its user gets wrong. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { before, test } from 'node:test';
import { compose, type MtaError, SmtpClient } from '../../src/index.js';
import { systemDialer } from '../../src/platform/dialer.js';
import { destination } from '../support/agent.js';
import { createCertificate, type TestCertificate } from '../support/certificate.js';
import { NOBODY } from '../support/loopback.js';
import { noPostfix, startPostfix } from '../support/postfix.js';
import { atEnd, type Scope, until } from '../support/scope.js';

let certificate: TestCertificate;
before(() => {
  certificate = createCertificate(['localhost']);
});

const MESSAGE = 'Subject: hello\r\n\r\nHello.\r\n.dot\r\n';
const LETTER = { from: 'ann@client.test', recipients: 'joe@dest.test', message: MESSAGE };

async function opened(scope: Scope, port: number, more: ConstructorParameters<typeof SmtpClient>[0] = {}): Promise<SmtpClient> {
  const client = new SmtpClient({ host: '127.0.0.1', port, ...more });
  atEnd(scope, () => client.close());
  await client.open();
  return client;
}

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => assert.fail('it was not refused'),
    (error: MtaError) => error,
  );

test('a message is sent octet for octet, as many as one likes on one connection, and each recipient has its outcome', async (t) => {
  const sink = await destination(t);
  const client = await opened(t, sink.port);
  assert.equal(client.server, `127.0.0.1[127.0.0.1]:${sink.port}`);
  const first = await client.send({ ...LETTER, recipients: ['joe@dest.test', 'Fail <fail-550@dest.test>'] });
  assert.deepEqual(
    first.outcomes.map(({ address, state }) => [address, state]),
    [
      ['joe@dest.test', 'delivered'],
      ['fail-550@dest.test', 'failed'],
    ],
  );
  assert.equal(first.size, MESSAGE.length);
  await client.send({ ...LETTER, message: Buffer.from('Subject: unix\n\nlines\n') });
  await client.send({ ...LETTER, message: Readable.from([MESSAGE.slice(0, 20), MESSAGE.slice(20)]) });
  await client.send({
    ...LETTER,
    message: compose({ from: 'a@b.test', to: 'c@d.test', bcc: 'hidden@d.test', subject: 'composed', body: 'x' }),
  });
  await client.close();
  await client.close();
  assert.equal(sink.messages[0]!.bytes.toString(), MESSAGE);
  assert.equal(sink.messages[1]!.bytes.toString(), 'Subject: unix\r\n\r\nlines\r\n');
  assert.equal(sink.messages[2]!.bytes.toString(), MESSAGE);
  assert.match(sink.messages[3]!.bytes.toString(), /^Subject: composed\r$/m);
  assert.doesNotMatch(sink.messages[3]!.bytes.toString(), /hidden/);
  assert.deepEqual([sink.counts.connections, sink.violations], [1, []]);
});

test('where nobody is accepted it rejects, and the connection is good for more', async (t) => {
  const sink = await destination(t);
  const client = await opened(t, sink.port);
  const error = await refusal(client.send({ ...LETTER, recipients: 'fail-550@dest.test' }));
  assert.equal(error.code, 'REMOTE_REJECTED');
  assert.match(error.message, /fail-550@dest\.test: 550 5\.1\.1/);
  await client.send(LETTER);
  assert.deepEqual([sink.counts.connections, sink.counts.messages, sink.violations], [1, 1, []]);
});

test('commands by hand: whether the code was expected, or the reply itself', async (t) => {
  const sink = await destination(t, { script: ({ verb }) => (verb === 'VRFY' ? '252-2.1.5 one\r\n252 2.1.5 two' : undefined) });
  const client = await opened(t, sink.port);
  assert.equal(await client.command({ send: 'NOOP' }), true);
  assert.equal(await client.command({ send: 'NOOP', expect: 251 }), false);
  assert.equal(await client.command({ send: 'NOOP', expect: [251, 250] }), true);
  assert.equal(await client.command({ send: 'RCPT TO:<joe@dest.test>' }), false);
  assert.equal(await client.command({ send: 'RCPT TO:<joe@dest.test>', expect: 503 }), true);
  assert.deepEqual(await client.command({ send: 'VRFY joe', read: true, multi: true }), {
    code: 252,
    enhanced: '2.1.5',
    text: '2.1.5 one\n2.1.5 two',
  });
  assert.deepEqual(await client.command({ send: 'VRFY joe', read: true }), { code: 252, enhanced: '2.1.5', text: '2.1.5 two' });
});

test('what was begun by hand does not get into the next message', async (t) => {
  const sink = await destination(t);
  const client = await opened(t, sink.port);
  await client.command({ send: 'MAIL FROM:<other@client.test>', expect: 250 });
  await client.command({ send: 'RCPT TO:<other@dest.test>', expect: 250 });
  await client.send(LETTER);
  assert.deepEqual([sink.messages[0]!.sender, sink.messages[0]!.recipients], ['ann@client.test', ['joe@dest.test']]);
  assert.deepEqual(sink.violations, []);
});

test('calls made at once are done one after the other', async (t) => {
  const sink = await destination(t);
  const client = await opened(t, sink.port);
  const done = await Promise.all([
    client.send(LETTER),
    client.command({ send: 'NOOP' }),
    client.send(LETTER),
    client.command({ send: 'RSET' }),
  ]);
  assert.deepEqual([done[1], done[3], sink.counts.messages, sink.violations], [true, true, 2, []]);
});

test('no command can carry a second one, and none that has its own way is sent by hand', async (t) => {
  const sink = await destination(t);
  const client = await opened(t, sink.port);
  for (const line of [
    'NOOP\r\nRSET',
    'NOOP\n',
    '\rNOOP',
    'NOOP\0',
    'NOOP\u2028RSET',
    'NOOP\u0085',
    'NOOP ü',
    '',
    '   ',
    'x'.repeat(9000),
    'DATA',
    ' data',
    'quit',
    'STARTTLS',
    'BDAT 5 LAST',
  ]) {
    const error = await refusal(client.command({ send: line }));
    assert.deepEqual(
      error.issues.map(({ path }) => path),
      ['send'],
      JSON.stringify(line),
    );
  }
  for (const from of ['a@b.test>\r\nRCPT TO:<evil@x.test', 'a b@c.test', 'a@b.test\0'])
    assert.deepEqual(
      (await refusal(client.send({ ...LETTER, from }))).issues.map(({ path }) => path),
      ['from'],
    );
  assert.equal(await client.command({ send: 'NOOP' }), true);
  assert.deepEqual([sink.counts.messages, sink.violations], [0, []]);
});

test('one error names everything that is wrong', async () => {
  const client = new SmtpClient({ port: 25 });
  const cases: [Promise<unknown>, readonly string[]][] = [
    [client.open(), ['host']],
    [
      client.open({ host: 'a b', port: 0, username: 'x', timeout: 0, ssl: 'yes' as never, clientIp: 'here', more: 1 } as never),
      ['clientIp', 'host', 'more', 'password', 'port', 'ssl', 'timeout'],
    ],
    [client.command({} as never), ['send']],
    [client.command({ send: 'NOOP', expect: 7, timeout: -1, read: 'yes' as never }), ['expect', 'read', 'timeout']],
    [client.send({} as never), ['from', 'message', 'recipients']],
  ];
  for (const [work, expected] of cases) assert.deepEqual((await refusal(work)).issues.map(({ path }) => path).sort(), expected);
  assert.throws(() => new SmtpClient({ hosts: 'x' } as never), { code: 'INVALID_OPTIONS' });
  assert.equal((await refusal(client.command({ send: 'NOOP' }))).code, 'CONNECTION_FAILED');
  assert.equal((await refusal(client.send(LETTER))).code, 'CONNECTION_FAILED');
});

test('it logs in over TLS that holds, and gives a password away to nobody else', async (t) => {
  const login = { username: 'ann', password: 'correct horse' };
  const sink = await destination(t, { tls: certificate, users: { ann: 'correct horse' } });
  const trusting = {
    ...systemDialer,
    secure: (stream, options, signal) => systemDialer.secure(stream, { ...options, ca: certificate.ca }, signal),
  } as typeof systemDialer;
  const client = new SmtpClient({ host: 'localhost', port: sink.port, ssl: 'starttls', ...login }, { dialer: trusting });
  await client.open();
  assert.match(client.tls!, /^TLSv1\.3 /);
  await client.send(LETTER);
  await client.close();
  assert.equal(sink.messages[0]!.user, 'ann');

  const stranger = new SmtpClient({ host: 'localhost', port: sink.port, ssl: 'starttls', ...login });
  const error = await refusal(stranger.open());
  assert.equal(error.code, 'CONNECTION_FAILED');
  assert.match(error.message, /^starttls: TLS failed/);
  const wrong = await refusal(client.open({ password: 'another horse' }));
  assert.match(wrong.message, /^auth: 535 /);
  assert.doesNotMatch(JSON.stringify([wrong.message, wrong.issues]), /horse/);
});

test('a server that is not there, that falls silent or that hangs up is told with its stage, and the connection is over', async (t) => {
  assert.match((await refusal(opened(t, NOBODY.port))).message, /^connect: .*ECONNREFUSED/);
  const silent = await destination(t, {
    script: ({ verb }) => (verb === 'NOOP' ? { hang: true } : verb === 'RSET' ? { drop: 'end' } : undefined),
  });
  const client = await opened(t, silent.port);
  const late = await refusal(client.command({ send: 'NOOP', timeout: 0.2 }));
  assert.match(late.message, /no answer within 0\.2 s/);
  assert.match((await refusal(client.command({ send: 'NOOP' }))).message, /call open first/);
  await client.open();
  assert.equal((await refusal(client.command({ send: 'RSET' }))).code, 'CONNECTION_FAILED');
  assert.equal(client.server, undefined);
  await client.open();
  await client.send(LETTER);
});

test('it connects from the address it is told to', async (t) => {
  const sink = await destination(t);
  const seen: (string | undefined)[] = [];
  const dialer = {
    ...systemDialer,
    connect: (target, signal) => (seen.push(target.localAddress), systemDialer.connect(target, signal)),
  } as typeof systemDialer;
  const client = new SmtpClient({ host: '127.0.0.1', port: sink.port, clientIp: '127.0.0.2' }, { dialer });
  await client.open();
  await client.close();
  assert.deepEqual(seen, ['127.0.0.2']);
  const other = await refusal(new SmtpClient({ host: '127.0.0.1', port: sink.port, clientIp: '::1' }).open());
  assert.match(other.message, /no address of the family of clientIp/);
});

test('connecting can be given up', async (t) => {
  const sink = await destination(t, { script: ({ verb }) => (verb === 'CONNECT' ? { hang: true } : undefined) });
  const control = new AbortController();
  const opening = refusal(new SmtpClient({ host: '127.0.0.1', port: sink.port }).open({ signal: control.signal }));
  await until('the connection', () => sink.counts.connections === 1);
  control.abort();
  assert.equal((await opening).code, 'ABORTED');
});

test('Postfix takes what it sends', { skip: noPostfix() }, async (t) => {
  const postfix = await startPostfix(t, { hostname: 'mx.post.test', mailboxes: ['joe@post.test'] });
  const client = await opened(t, 25, { host: postfix.address });
  const reply = await client.command({ send: 'EHLO client.test', read: true, multi: true });
  assert.match(reply.text, /PIPELINING/);
  const { outcomes } = await client.send({
    from: 'ann@client.test',
    recipients: 'joe@post.test',
    message: `Subject: to Postfix\r\n\r\n${'line\r\n'.repeat(20_000)}`,
  });
  assert.equal(outcomes[0]!.state, 'delivered');
  await until('it to be in its mailbox', () => postfix.mailbox('joe@post.test').length === 1);
  const refused = await refusal(client.send({ ...LETTER, recipients: 'nobody@post.test' }));
  assert.match(refused.message, /nobody@post\.test: 550 5\.1\.1 /);
});
