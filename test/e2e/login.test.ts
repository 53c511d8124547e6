/** Programs that log in to hand in mail, each in its own way, over STARTTLS, over TLS from the first octet, or in the clear on loopback. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createTransport } from 'nodemailer';
import { destination, relayTo, startAgent, temporaryFolder } from '../support/agent.js';
import { riata } from '../support/agent-process.js';
import { createCertificate } from '../support/certificate.js';
import { execute, succeed } from '../support/commands.js';
import { lacks } from '../support/programs.js';
import type { Scope } from '../support/scope.js';

/** Python's smtplib takes no other. */
const ASCII_PASSWORD = 'battery staple';
const PASSWORD = 'correct "horse" \\ $taple ü';

/** Nobody is trusted without a login; Ann may send as herself. */
async function rig(scope: Scope) {
  const folder = await temporaryFolder(scope);
  const certificate = createCertificate();
  for (const name of ['ca', 'cert', 'key'] as const) writeFileSync(join(folder, `${name}.pem`), certificate[name]);
  const usersFile = join(folder, 'users');
  const added = await riata(scope, ['user', 'add', 'ann', '--as', 'ann@example.test', '--file', usersFile], { stdin: `${PASSWORD}\n` });
  assert.equal(added.code, 0, added.err);
  await riata(scope, ['user', 'add', 'shop', '--file', usersFile], { stdin: ASCII_PASSWORD });
  const sink = await destination(scope);
  const agent = await startAgent(scope, {
    route: [relayTo(sink)],
    submission: {
      listen: ['127.0.0.1:0'],
      listenTls: ['127.0.0.1:0'],
      trustedNetworks: ['203.0.113.7/32'],
      usersFile,
      tls: { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') },
    },
  });
  const [plain, tls] = agent.mta.listening().map(({ port }) => port) as [number, number];
  const arrived = async (count: number) => {
    await agent.mta.idle(AbortSignal.timeout(60_000));
    assert.equal(sink.messages.length, count);
    return sink.messages.at(-1)!.bytes.toString();
  };
  return { agent, plain, tls, ca: join(folder, 'ca.pem'), folder, arrived };
}

test('swaks, curl, Python and nodemailer log in and send; a wrong password or another sender does not', async (t) => {
  const { agent, plain, tls, ca, folder, arrived } = await rig(t);
  let sent = 0;

  await t.test('swaks, with every mechanism there is, in the clear on this machine', { skip: lacks('swaks') }, async () => {
    const to = ['--server', '127.0.0.1', '--port', String(plain), '--from', 'ann@example.test', '--to', 'bob@dest.test'];
    for (const mechanism of ['PLAIN', 'LOGIN']) {
      await succeed('swaks', [...to, '--auth', mechanism, '--auth-user', 'ann', '--auth-password', PASSWORD]);
      assert.match(await arrived(++sent), / with ESMTPA[\s]+id /);
    }
    // 28: it could not log in.
    assert.equal((await execute('swaks', [...to, '--auth', 'PLAIN', '--auth-user', 'ann', '--auth-password', 'wrong'])).code, 28);
    const other = to.map((word) => (word === 'ann@example.test' ? 'boss@example.test' : word));
    assert.equal((await execute('swaks', [...other, '--auth', 'PLAIN', '--auth-user', 'ann', '--auth-password', PASSWORD])).code, 23);
  });

  await t.test('curl, over TLS from the first octet', { skip: lacks('curl') }, async () => {
    const to = [
      '-sS',
      `smtps://127.0.0.1:${tls}`,
      '--cacert',
      ca,
      '--mail-from',
      'ann@example.test',
      '--mail-rcpt',
      'bob@dest.test',
      '-T',
      '-',
    ];
    await succeed('curl', [...to, '--user', `ann:${PASSWORD}`], 'Subject: by curl\r\n\r\nHi\r\n');
    assert.match(await arrived(++sent), /by curl/);
    assert.notEqual((await execute('curl', to, 'Subject: x\r\n\r\n')).code, 0);
  });

  await t.test('msmtp, over STARTTLS', { skip: lacks('msmtp') }, async () => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, PASSWORD);
    const to = ['--file=/dev/null', '--host=127.0.0.1', `--port=${plain}`, '--tls=on', `--tls-trust-file=${ca}`, '--auth=on', '--user=ann'];
    await succeed(
      'msmtp',
      [...to, `--passwordeval=cat ${secret}`, '--from=ann@example.test', 'bob@dest.test'],
      'Subject: by msmtp\n\nHi\n',
    );
    assert.match(await arrived(++sent), / with ESMTPSA[\s]+id /);
  });

  await t.test('Python', { skip: lacks('python3') }, async () => {
    const program = `
import smtplib, ssl, sys
with smtplib.SMTP('127.0.0.1', ${plain}) as client:
    client.starttls(context=ssl.create_default_context(cafile=${JSON.stringify(ca)}))
    client.login('shop', sys.argv[1])
    client.sendmail('news@shop.test', ['bob@dest.test'], 'Subject: by Python\\n\\nHi\\n')
`;
    await succeed('python3', ['-c', program, ASCII_PASSWORD]);
    assert.match(await arrived(++sent), /by Python/);
    const refused = await execute('python3', ['-c', program, 'wrong']);
    assert.match(refused.err, /SMTPAuthenticationError: \(535, b'5\.7\.8 Wrong name or password'\)/);
  });

  await t.test('nodemailer, with a pool of connections', async () => {
    const transport = createTransport({
      host: '127.0.0.1',
      port: plain,
      requireTLS: true,
      pool: true,
      auth: { user: 'ann', pass: PASSWORD },
      tls: { ca: readFileSync(ca, 'utf8') },
    });
    await Promise.all(
      Array.from({ length: 10 }, () => transport.sendMail({ from: 'ann@example.test', to: 'bob@dest.test', subject: 'pooled', text: 'x' })),
    );
    transport.close();
    sent += 10;
    await arrived(sent);
  });

  assert.equal(agent.events.filter((event) => event.type === 'accepted' && event.user !== undefined).length, sent);
});
