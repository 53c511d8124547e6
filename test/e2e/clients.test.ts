/** Programs that people send mail with, each as it is used: what they hand in is what arrives. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createTransport } from 'nodemailer';
import type { Sink } from '../../src/dev/sink.js';
import { type Agent, destination, madeUpDns, message, relayTo, startAgent, subjectOf, temporaryFolder } from '../support/agent.js';
import { assertArrived } from '../support/arrival.js';
import { createCertificate } from '../support/certificate.js';
import { succeed } from '../support/commands.js';
import { lacks } from '../support/programs.js';
import type { Scope } from '../support/scope.js';
import { type Tap, tapInto } from '../support/tap.js';

const SENDER = 'ann@example.test';
/** Octets of every kind but NUL, which an attachment of course may have, too: clients encode it. */
const ATTACHMENT = Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 7 + (at >> 8)) & 0xff));

/** Lacks Date and Message-ID, has a Bcc, and a body with dots, 8-bit text and a long line. */
const RAW = [
  'From: Änn Exämple <ann@example.test>',
  'To: bob@dest.test',
  'Bcc: hidden@dest.test,',
  '\thidden2@dest.test',
  'Subject: raw',
  'MIME-Version: 1.0',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Transfer-Encoding: 8bit',
  '',
  'Grüße aus Köln, 東京 и Москва 🎉',
  '.',
  '..',
  '.hidden dots',
  `long ${'x'.repeat(900)}`,
  '',
  '',
].join('\r\n');

interface Rig {
  readonly agent: Agent;
  readonly sink: Sink;
  /** Where clients connect. */
  readonly tap: Tap;
  readonly folder: string;
}

async function rig(scope: Scope): Promise<Rig> {
  const folder = await temporaryFolder(scope);
  writeFileSync(join(folder, 'attachment.bin'), ATTACHMENT);
  writeFileSync(join(folder, 'raw.eml'), RAW);
  const sink = await destination(scope);
  const agent = await startAgent(scope, { route: [relayTo(sink)] });
  return { agent, sink, tap: await tapInto(scope, agent.port), folder };
}

/** Everything that was handed in has arrived as it was, once. */
async function assertAllArrived({ sink, tap, agent }: Rig, count: number, sender = SENDER): Promise<void> {
  await agent.mta.idle(AbortSignal.timeout(60_000));
  const { contents } = tap;
  assert.equal(contents.length, count);
  assert.equal(sink.counts.messages, count);
  for (const sent of contents) {
    const arrived = sink.messages.filter(({ bytes }) => subjectOf(bytes) === subjectOf(sent));
    assert.equal(arrived.length, 1, `of ${subjectOf(sent)}`);
    assert.equal(arrived[0]!.sender, sender);
    assertArrived(arrived[0]!.bytes, sent, { sender });
  }
  assert.deepEqual(sink.violations, []);
}

test('curl hands in a file', { skip: lacks('curl') }, async (t) => {
  const it = await rig(t);
  await succeed('curl', [
    ...['-sS', `smtp://127.0.0.1:${it.tap.port}/client.test`, '--mail-from', SENDER],
    ...['--mail-rcpt', 'bob@dest.test', '--mail-rcpt', 'hidden@dest.test', '-T', join(it.folder, 'raw.eml')],
  ]);
  await assertAllArrived(it, 1);
  assert.deepEqual(it.tap.contents[0], Buffer.from(RAW));
  assert.deepEqual(it.sink.messages[0]!.recipients, ['bob@dest.test', 'hidden@dest.test']);
  assert.doesNotMatch(it.sink.messages[0]!.bytes.toString(), /hidden2/);
});

test('curl composes a message with an attachment', { skip: lacks('curl') }, async (t) => {
  const it = await rig(t);
  await succeed('curl', [
    ...['-sS', `smtp://127.0.0.1:${it.tap.port}`, '--mail-from', SENDER, '--mail-rcpt', 'bob@dest.test'],
    ...['-H', `From: ${SENDER}`, '-H', 'Subject: composed by curl'],
    ...['-F', '=Grüße 🎉;type=text/plain; charset=utf-8', '-F', `file=@${join(it.folder, 'attachment.bin')};encoder=base64`],
    ...['-F', `=@${join(it.folder, 'raw.eml')};encoder=quoted-printable`],
  ]);
  await assertAllArrived(it, 1);
  assert.match(it.sink.messages[0]!.bytes.toString(), new RegExp(ATTACHMENT.toString('base64').slice(0, 60).replaceAll('+', '\\+')));
});

test('swaks hands in a message with attachments and 8-bit text', { skip: lacks('swaks') }, async (t) => {
  const it = await rig(t);
  await succeed('swaks', [
    ...[
      '--server',
      '127.0.0.1',
      '--port',
      String(it.tap.port),
      '--helo',
      'client.test',
      '--from',
      SENDER,
      '--to',
      'bob@dest.test,carol@other.test',
    ],
    ...['--header', 'Subject: swäks 🎉', '--add-header', 'X-Twö: zwei', '--body', 'Grüße\n.\n.dot\n\nEnde'],
    ...['--attach-type', 'application/octet-stream', '--attach-name', 'binary.bin', '--attach', `@${join(it.folder, 'attachment.bin')}`],
  ]);
  await assertAllArrived(it, 1);
  assert.deepEqual([...it.sink.messages[0]!.recipients], ['bob@dest.test', 'carol@other.test']);
});

test('swaks hands in message after message, one connection each', { skip: lacks('swaks') }, async (t) => {
  const it = await rig(t);
  const send = (subject: string) =>
    succeed('swaks', [
      '--server',
      `127.0.0.1:${it.tap.port}`,
      '--helo',
      'c.test',
      '--from',
      SENDER,
      '--to',
      'bob@dest.test',
      '--h-Subject',
      subject,
      '--protocol',
      'SMTP',
    ]);
  await Promise.all(['one', 'two', 'three'].map(send));
  await assertAllArrived(it, 3);
  // With HELO, there is no E in the trace.
  for (const { bytes } of it.sink.messages)
    assert.match(bytes.toString(), /^Received: from c\.test \(\[127\.0\.0\.1\]\)\r\n\tby riata\.test with SMTP id /);
});

test('msmtp hands in what is piped to it, with recipients from the headers, or without a line end at the end', {
  skip: lacks('msmtp'),
}, async (t) => {
  const it = await rig(t);
  const options = ['--host=127.0.0.1', `--port=${it.tap.port}`, `--from=${SENDER}`, '--tls=off', '--auth=off', '--domain=client.test'];
  await succeed('msmtp', [...options, '--remove-bcc-headers=off', '-t'], RAW.replaceAll('\r\n', '\n'));
  await succeed('msmtp', [...options, 'bob@dest.test'], 'Subject: no line end\n\nü\n.\nlast');
  await assertAllArrived(it, 2);
  const raw = it.sink.messages.find(({ bytes }) => subjectOf(bytes) === 'raw')!;
  assert.deepEqual([...raw.recipients].sort(), ['bob@dest.test', 'hidden2@dest.test', 'hidden@dest.test']);
  assert.doesNotMatch(raw.bytes.toString(), /hidden2?@/);
});

const PYTHON = `
import smtplib, sys
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
port, attachment = int(sys.argv[1]), open(sys.argv[2], 'rb').read()

def compose(subject, to, policy=SMTP):
    message = EmailMessage(policy=policy)
    message['From'] = 'Änn <ann@example.test>'
    message['To'] = to
    message['Bcc'] = 'hidden@dest.test'
    message['Subject'] = subject
    message.set_content('Grüße aus Köln\\n.\\n.dot 🎉\\n' + 'lang ' * 400 + '\\n', cte='8bit' if policy is SMTPUTF8 else None)
    message.add_alternative('<p>Grüße</p>', subtype='html')
    message.add_attachment(attachment, maintype='application', subtype='octet-stream', filename='datei-ü.bin')
    return message

with smtplib.SMTP('127.0.0.1', port, local_hostname='client.test') as client:
    client.send_message(compose('plain', 'bob@dest.test'))
    client.send_message(compose('utf8', 'bob@dest.test', SMTPUTF8))
    # An address that is not ASCII: smtplib asks for SMTPUTF8.
    client.send_message(compose('foreign', 'böb@dest.test', SMTPUTF8))
    client.sendmail('ann@example.test', ['bob@dest.test'], 'Subject: text\\n\\n.\\nbare line ends\\n')
    client.sendmail('ann@example.test', ['bob@dest.test', 'carol@dest.test'], b'Subject: bytes\\r\\n\\r\\n\\xff\\xfe 8 bits\\r\\n.\\r\\n', ['BODY=8BITMIME'])
`;

test("Python's smtplib hands in composed messages, 8-bit ones, and addresses that are not ASCII", { skip: lacks('python3') }, async (t) => {
  const it = await rig(t);
  await succeed('python3', ['-I', '-c', PYTHON, String(it.tap.port), join(it.folder, 'attachment.bin')]);
  await assertAllArrived(it, 5);
  const arrived = new Map(it.sink.messages.map((message) => [subjectOf(message.bytes), message]));
  assert.deepEqual(arrived.get('foreign')!.recipients, ['böb@dest.test', 'hidden@dest.test']);
  assert.ok(arrived.get('foreign')!.parameters.includes('SMTPUTF8'));
  assert.match(arrived.get('foreign')!.bytes.toString(), /^Received: .*\r\n\tby riata\.test with UTF8SMTP id/);
  assert.ok(!arrived.get('plain')!.parameters.includes('SMTPUTF8'));
  for (const subject of ['utf8', 'bytes']) assert.ok(arrived.get(subject)!.parameters.includes('BODY=8BITMIME'), subject);
  assert.doesNotMatch(it.sink.messages.map(({ bytes }) => bytes.toString()).join(''), /hidden@/);
});

test('nodemailer hands in messages over pooled connections', async (t) => {
  const it = await rig(t);
  const transport = createTransport({
    host: '127.0.0.1',
    port: it.tap.port,
    pool: true,
    maxConnections: 3,
    maxMessages: 4,
    ignoreTLS: true,
    name: 'client.test',
  });
  const count = 20;
  await Promise.all(
    Array.from({ length: count }, async (_, number) => {
      const info = await transport.sendMail({
        from: { name: 'Änn', address: SENDER },
        to: ['Bob <bob@dest.test>', number % 5 === 0 ? 'jürgen@dest.test' : 'carol@dest.test'],
        bcc: 'hidden@dest.test',
        subject: `message-${number}`,
        text: `Grüße 🎉\n.\n..\n${'wörter '.repeat(100)}`,
        html: '<p>Grüße <img src="cid:image"></p>',
        attachments: [
          { filename: 'dätei.bin', content: ATTACHMENT },
          { filename: 'image.png', content: ATTACHMENT.subarray(0, 100), cid: 'image' },
        ],
      });
      assert.match(info.response, /^250 2\.0\.0 queued as [0-9A-Z]{26}$/);
      assert.equal(info.accepted.length, 3);
    }),
  );
  transport.close();
  await assertAllArrived(it, count);
  const recipients = it.sink.messages.flatMap((message) => message.recipients);
  assert.equal(recipients.filter((address) => address === 'jürgen@dest.test').length, 4);
  assert.equal(recipients.length, 3 * count);
});

const noIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))
  ? false
  : 'this machine has no IPv6';

test('mail comes in and leaves over IPv6', { skip: noIpv6 }, async (t) => {
  const sink = await destination(t, { host: '::1' });
  const dns = await madeUpDns(t, { 'six.test': { mx: [[10, 'mx.six.test']] }, 'mx.six.test': { aaaa: ['::1'] } });
  const agent = await startAgent(t, { submission: { listen: ['[::1]:0'] }, dns: { servers: [dns.address] } }, { mxPort: sink.port });
  const transport = createTransport({ host: '::1', port: agent.port, ignoreTLS: true, name: 'client.test' });
  const sent = message('six');
  await transport.sendMail({ envelope: { from: SENDER, to: ['bob@six.test', 'carol@[IPv6:::1]'] }, raw: sent });
  transport.close();
  await agent.mta.idle(AbortSignal.timeout(60_000));
  assert.deepEqual(sink.messages.flatMap(({ recipients }) => recipients).sort(), ['bob@six.test', 'carol@[IPv6:::1]']);
  for (const { bytes } of sink.messages) {
    assert.match(bytes.toString(), /^Received: from client\.test \(\[IPv6:::1\]\)\r\n/);
    assertArrived(bytes, Buffer.from(sent), { sender: SENDER });
  }
});

test('clients encrypt with STARTTLS, and with TLS from the first octet, and check our certificate', {
  skip: lacks('curl', 'msmtp', 'python3', 'openssl'),
}, async (t) => {
  const folder = await temporaryFolder(t);
  const { ca, cert, key } = createCertificate();
  const at = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const [caFile, certFile, keyFile] = [at('ca.pem', ca), at('cert.pem', cert), at('key.pem', key)];
  const sink = await destination(t);
  const agent = await startAgent(t, {
    route: [relayTo(sink)],
    submission: { listen: ['127.0.0.1:0'], listenTls: ['127.0.0.1:0'], tls: { certFile, keyFile } },
  });
  const [plain, implicit] = agent.mta.listening().map(({ port }) => String(port)) as [string, string];
  // Complete, for some clients add what is missing by themselves.
  const mails = new Map<string, string>();
  const mail = (subject: string) => {
    const text = message(subject, RAW.slice(RAW.indexOf('Grüße'))).replace('\r\n', '\r\nBcc: hidden@dest.test\r\n');
    mails.set(subject, text);
    return text;
  };
  const file = (subject: string) => at(`${subject}.eml`, mail(subject));
  const to = 'bob@dest.test';

  await succeed('curl', [
    '-sS',
    '--ssl-reqd',
    '--cacert',
    caFile,
    `smtp://localhost:${plain}`,
    '--mail-from',
    SENDER,
    '--mail-rcpt',
    to,
    '-T',
    file('curl'),
  ]);
  await succeed('curl', [
    '-sS',
    '--cacert',
    caFile,
    `smtps://localhost:${implicit}`,
    '--mail-from',
    SENDER,
    '--mail-rcpt',
    to,
    '-T',
    file('curls'),
  ]);
  const msmtp = [
    '--host=localhost',
    `--from=${SENDER}`,
    '--tls=on',
    `--tls-trust-file=${caFile}`,
    '--auth=off',
    '--remove-bcc-headers=off',
    to,
  ];
  await succeed('msmtp', [...msmtp, `--port=${plain}`], mail('msmtp').replaceAll('\r\n', '\n'));
  await succeed('msmtp', [...msmtp, `--port=${implicit}`, '--tls-starttls=off'], mail('msmtps').replaceAll('\r\n', '\n'));
  await succeed('python3', ['-I', '-c', PYTHON_TLS, caFile, plain, file('python'), implicit, file('pythons')]);
  for (const [port, secure, subject] of [
    [plain, false, 'nodemailer'],
    [implicit, true, 'nodemailers'],
  ] as const) {
    const transport = createTransport({ host: 'localhost', port: Number(port), secure, requireTLS: true, tls: { ca } });
    await transport.sendMail({ envelope: { from: SENDER, to }, raw: mail(subject) });
    transport.close();
  }

  const subjects = ['curl', 'msmtp', 'python', 'nodemailer'].flatMap((name) => [name, `${name}s`]);
  await agent.mta.idle(AbortSignal.timeout(60_000));
  assert.deepEqual(sink.messages.map(({ bytes }) => subjectOf(bytes)).sort(), subjects.sort());
  for (const { bytes } of sink.messages) {
    assert.match(bytes.toString(), /^Received: [^;]+\bwith ESMTPS id/);
    assertArrived(bytes, Buffer.from(mails.get(subjectOf(bytes))!), { sender: SENDER });
  }
});

const PYTHON_TLS = `
import smtplib, ssl, sys
ca, plain, first, implicit, second = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
def send(client, path):
    client.sendmail('ann@example.test', ['bob@dest.test'], open(path, 'rb').read())
with smtplib.SMTP('localhost', int(plain)) as client:
    client.starttls(context=context)
    send(client, first)
with smtplib.SMTP_SSL('localhost', int(implicit), context=context) as client:
    send(client, second)
`;
