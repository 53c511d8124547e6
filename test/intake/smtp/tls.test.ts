import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import tls from 'node:tls';
import { startSmtpListener } from '../../../src/intake/smtp/listener.js';
import { Client, HEADER, ManualClock, openListener, until } from '../support.js';

const limit = { timeout: 120_000 };
const folder = mkdtempSync(join(tmpdir(), 'riata-tls-'));
after(() => rmSync(folder, { recursive: true, force: true }));
execFileSync(
  'openssl',
  'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=mx.test -addext subjectAltName=DNS:mx.test -keyout key.pem -out cert.pem'.split(' '),
  { cwd: folder, stdio: 'ignore' },
);
const certificate = { cert: readFileSync(join(folder, 'cert.pem'), 'utf8'), key: readFileSync(join(folder, 'key.pem'), 'utf8') };

async function upgrade(client: Client): Promise<Client> {
  assert.match(await client.ask('STARTTLS'), /^220 2\.0\.0 /);
  return secure(client.socket as net.Socket);
}

async function secure(socket: net.Socket, more: tls.ConnectionOptions = {}): Promise<Client> {
  socket.removeAllListeners('data');
  const secured = tls.connect({ socket, servername: 'mx.test', ca: certificate.cert, ...more });
  await once(secured, 'secureConnect');
  return new Client(secured);
}

test('STARTTLS is offered with a certificate, and mail comes through it', limit, async (t) => {
  const { port, spool } = await openListener(t, { tls: certificate });
  const plain = await Client.dial(port);
  await plain.reply();
  assert.match(await plain.ask('EHLO c'), /^250-STARTTLS/m);
  const client = await upgrade(plain);
  const offered = await client.ask('EHLO c');
  assert.doesNotMatch(offered, /STARTTLS|AUTH|REQUIRETLS/);
  for (const [parameters, type] of [
    ['', 'ESMTPS'],
    [' SMTPUTF8', 'UTF8SMTPS'],
  ]) {
    client.send(`MAIL FROM:<a@b.test>${parameters}\r\nRCPT TO:<c@d.test>\r\nDATA\r\n`);
    await client.replies(3);
    assert.match(await client.ask(`${HEADER}\r\n.`), /^250/);
    assert.equal(/ with (\S+) id/.exec(spool.stored.at(-1)!.text)?.[1], type);
  }
  assert.match(await client.ask('STARTTLS'), /^503 5\.5\.1 /);
});

test('what was said before STARTTLS is forgotten, and what was pipelined behind it is thrown away', limit, async (t) => {
  const { port, spool } = await openListener(t, { tls: certificate });
  const plain = await Client.ready(port);
  await plain.ask('MAIL FROM:<a@b.test>');
  await plain.ask('RCPT TO:<c@d.test>');
  plain.send('STARTTLS\r\nEHLO injected\r\nMAIL FROM:<evil@b.test>\r\nRCPT TO:<v@d.test>\r\nDATA\r\n');
  assert.match(await plain.reply(), /^220 /);
  const client = await secure(plain.socket as net.Socket);
  assert.match(await client.ask('DATA'), /^503 5\.5\.1 /);
  assert.match(await client.ask('RCPT TO:<c@d.test>'), /^503 5\.5\.1 Error: send HELO\/EHLO first/);
  await client.ask('EHLO c');
  assert.match(await client.ask('DATA'), /^503 5\.5\.1 MAIL first/);
  assert.equal(spool.opened, 0);
});

test('a client outside the trusted networks does not relay through TLS either', limit, async (t) => {
  const { port } = await openListener(t, { tls: certificate, trustedNetworks: [] });
  const client = await upgrade(await Client.ready(port));
  await client.ask('EHLO c');
  client.send('MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n');
  assert.deepEqual(
    (await client.replies(3)).map((reply) => reply.slice(0, 9)),
    ['550 5.7.1', '550 5.7.1', '503 5.5.1'],
  );
});

test('TLS older than 1.2 is not spoken', limit, async (t) => {
  const { port } = await openListener(t, { tls: certificate });
  const client = await Client.ready(port);
  assert.match(await client.ask('STARTTLS'), /^220/);
  await assert.rejects(secure(client.socket as net.Socket, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }));
});

test('an address with implicit TLS greets inside it, beside one without', limit, async (t) => {
  const { listener, spool } = await openListener(t, {
    tls: certificate,
    listen: [
      { host: '127.0.0.1', port: 0, implicitTls: false },
      { host: '127.0.0.1', port: 0, implicitTls: true },
    ],
  });
  const socket = net.connect(listener.addresses[1]!.port, '127.0.0.1');
  const client = await secure(socket);
  assert.equal(await client.reply(), '220 mx.test ESMTP');
  assert.doesNotMatch(await client.ask('EHLO c'), /STARTTLS/);
  await client.begin();
  assert.match(await client.ask(`${HEADER}\r\n..x\r\n.`), /^250/);
  assert.match(spool.stored[0]!.text, / with ESMTPS id [^]*\r\n\.x\r\n$/);
  const plain = await Client.dial(listener.addresses[0]!.port);
  assert.equal(await plain.reply(), '220 mx.test ESMTP');
});

test('implicit TLS without a certificate is an error that says what is missing', limit, async () => {
  await assert.rejects(openListenerOf([{ host: '127.0.0.1', port: 0, implicitTls: true }]), {
    code: 'INVALID_OPTIONS',
    message: /submission\.tls\.certFile/,
  });
});

async function openListenerOf(listen: Parameters<typeof startSmtpListener>[0]['listen']) {
  const { openIntake, silentLog } = await import('../support.js');
  const { systemClock } = await import('../../../src/platform/clock.js');
  return startSmtpListener({
    intake: openIntake().intake,
    clock: systemClock,
    log: silentLog,
    hostname: 'mx.test',
    listen,
    trustedNetworks: [],
    bareNewlines: 'normalise',
    maxConnections: 10,
    maxRecipients: 10,
    maxMessageSizeBytes: 1000,
    idleTimeoutMs: 1000,
  });
}

test('a certificate that cannot be used is an error that says so', limit, async (t) => {
  const other = { cert: certificate.cert, key: 'no key' };
  await assert.rejects(openListener(t, { tls: other }), { code: 'INVALID_OPTIONS', message: /certificate or its key/ });
});

test('rubbish instead of a handshake ends the connection and nothing else', limit, async (t) => {
  const { listener, port } = await openListener(t, { tls: certificate });
  const client = await Client.ready(port);
  assert.match(await client.ask('STARTTLS'), /^220/);
  client.send('this is no handshake\r\n');
  await client.rest();
  client.close();
  await until(() => listener.connections() === 0);
  assert.match(await (await Client.ready(port)).ask('NOOP'), /^250/);
});

test('a handshake that is not gone on with is given up', limit, async (t) => {
  const clock = new ManualClock();
  const { listener, port } = await openListener(t, { tls: certificate, clock, idleTimeoutMs: 60_000 });
  const client = await Client.ready(port);
  assert.match(await client.ask('STARTTLS'), /^220/);
  clock.advance(59_000);
  assert.equal(listener.connections(), 1);
  clock.advance(7_000);
  assert.equal(await client.rest(), '');
  await until(() => listener.connections() === 0);
});
