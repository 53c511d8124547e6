/** Logging in at the listener: who may, over what, what it opens, and what guessing costs. */
import assert from 'node:assert/strict';
import { scryptSync } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import tls from 'node:tls';
import { MtaError } from '../../../src/core/errors.js';
import { openUsers } from '../../../src/intake/smtp/users.js';
import { systemClock } from '../../../src/platform/clock.js';
import { silentLog } from '../../../src/platform/log.js';
import { temporaryFolder } from '../../support/agent.js';
import { createCertificate } from '../../support/certificate.js';
import { Client, HEADER, openListener } from '../support.js';

const limit = { timeout: 120_000 };
const elsewhere = { trustedNetworks: ['203.0.113.7/32'], maxErrors: 1000 };
/** Waits are over at once, but in order. */
const hurried = {
  ...systemClock,
  after: (ms: number, call: () => void) => systemClock.after(ms >= 250 && ms !== 5_000 && ms <= 8_000 ? 1 : ms, call),
};

/** A cheap hash: tests compute many. */
function line(name: string, password: string, senders = ''): string {
  const [salt, plain] = [Buffer.from('saltsaltsalt'), (bytes: Buffer) => bytes.toString('base64').replace(/=/g, '')];
  return `${name}:$scrypt$ln=4,r=1,p=1$${plain(salt)}$${plain(scryptSync(password, salt, 32, { N: 16, r: 1, p: 1 }))}${senders && `:${senders}`}\n`;
}

async function withUsers(t: TestContext, text = line('ann', 'secret word') + line('shop', 'password', '@shop.test,boss@x.test')) {
  const file = join(await temporaryFolder(t), 'users');
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

const plain = (name: string, password: string) => `AUTH PLAIN ${Buffer.from(`\0${name}\0${password}`).toString('base64')}`;

async function open(t: TestContext, more: Parameters<typeof openListener>[1] = {}) {
  const usersFile = await withUsers(t);
  return { ...(await openListener(t, { ...elsewhere, usersFile, clock: hurried, ...more })), usersFile };
}

async function handIn(client: Client, sender = 'ann@x.test'): Promise<string[]> {
  client.send(`MAIL FROM:<${sender}>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n`);
  const replies = await client.replies(3);
  if (replies[2]!.startsWith('354')) replies.push(await client.ask(`${HEADER}\r\nHi\r\n.`));
  return replies.map((reply) => reply.slice(0, 9));
}

test('who has logged in may relay from anywhere; the trace and the origin say so', limit, async (t) => {
  const { port, spool, events } = await open(t);
  const client = await Client.ready(port);
  assert.match(await client.ask('EHLO c'), /^250-AUTH PLAIN LOGIN\r$/m);
  assert.deepEqual(await handIn(client), ['530 5.7.0', '530 5.7.0', '503 5.5.1']);
  assert.match(await client.ask(plain('ann', 'secret word')), /^235 2\.7\.0 /);
  assert.deepEqual(await handIn(client), ['250 2.1.0', '250 2.1.5', '354 End d', '250 2.0.0']);
  const { entry, text } = spool.stored[0]!;
  assert.deepEqual(entry.message.origin, { kind: 'smtp', client: '127.0.0.1', helo: 'c', user: 'ann' });
  assert.match(text, / with ESMTPA\r?\n?[\s]+id /);
  assert.doesNotMatch(text, /ann@|\bann\b/);
  assert.ok(events.some((event) => event.type === 'accepted' && event.user === 'ann'));
  assert.match(await client.ask(plain('ann', 'secret word')), /^503 5\.5\.1 /);
  client.send('MAIL FROM:<a@b.test> SMTPUTF8\r\nRCPT TO:<c@d.test>\r\nDATA\r\n');
  await client.replies(3);
  await client.ask(`${HEADER}\r\n.`);
  assert.match(spool.stored[1]!.text, / with UTF8SMTPA[\s]+id /);
});

test('LOGIN works as well, with and without an initial response, and RSET or another EHLO forget nothing', limit, async (t) => {
  const { port } = await open(t);
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  for (const first of ['AUTH LOGIN', `AUTH LOGIN ${base64('ann')}`]) {
    const client = await Client.ready(port);
    if (first === 'AUTH LOGIN') {
      assert.match(await client.ask(first), /^334 VXNlcm5hbWU6/);
      assert.match(await client.ask(base64('ann')), /^334 UGFzc3dvcmQ6/);
    } else {
      assert.match(await client.ask(first), /^334 UGFzc3dvcmQ6/);
    }
    assert.match(await client.ask(base64('secret word')), /^235 2\.7\.0 /);
    await client.ask('RSET');
    await client.ask('EHLO again');
    assert.equal((await handIn(client)).at(-1), '250 2.0.0');
  }
});

test('a wrong name and a wrong password are the same, open nothing, and the third ends the connection', limit, async (t) => {
  const { port, spool, lines } = await open(t);
  const replies = new Set<string>();
  for (const [name, password] of [
    ['ann', 'secret'],
    ['nobody', 'secret word'],
    ['', ''],
    ['ann', ''],
    ['shop', 'secret word'],
    ['ANN', 'secret word'],
  ] as const) {
    const client = await Client.ready(port);
    replies.add(await client.ask(plain(name, password)));
    assert.deepEqual(await handIn(client), ['530 5.7.0', '530 5.7.0', '503 5.5.1']);
    assert.match(await client.ask(plain('ann', 'wrong')), /^535 /);
    client.send(`${plain('ann', 'wrong')}\r\n${plain('ann', 'secret word')}\r\nMAIL FROM:<a@b.test>\r\n`);
    assert.match(await client.rest(), /^535 5\.7\.8 [^\r]*\r\n421 4\.7\.0 Too many wrong passwords\r\n$/);
  }
  assert.deepEqual([...replies], ['535 5.7.8 Wrong name or password']);
  assert.equal(spool.opened, 0);
  const told = lines.filter(({ event }) => event === 'smtp.wrongLogin');
  assert.equal(told.length, 18);
  assert.doesNotMatch(JSON.stringify(lines), /secret word/);
});

test('broken exchanges log nobody in', limit, async (t) => {
  const { port, spool } = await open(t);
  const client = await Client.ready(port);
  const ann = Buffer.from('\0ann\0secret word').toString('base64');
  for (const [command, code] of [
    ['AUTH', '504'],
    ['AUTH CRAM-MD5', '504'],
    ['AUTH XOAUTH2 x', '504'],
    [`AUTH PLAIN ${ann} more`, '501'],
    ['AUTH PLAIN =', '501'],
    ['AUTH PLAIN !!!', '501'],
    [`AUTH PLAIN ${Buffer.from('ann\0secret word').toString('base64')}`, '501'],
    [`AUTH PLAIN ${Buffer.from('\0ann\r\nX\0secret word').toString('base64')}`, '501'],
  ] as const) {
    assert.equal((await client.ask(command)).slice(0, 3), code, command);
  }
  assert.match(await client.ask('AUTH PLAIN'), /^334/);
  assert.match(await client.ask('*'), /^501 5\.5\.4 /);
  assert.match(await client.ask('AUTH PLAIN'), /^334/);
  // What looks like a command is an answer here, and a wrong one.
  assert.match(await client.ask('MAIL FROM:<a@b.test>'), /^501 5\.5\.4 /);
  assert.deepEqual(await handIn(client), ['530 5.7.0', '530 5.7.0', '503 5.5.1']);
  assert.equal(spool.opened, 0);
});

test('pipelined commands wait for the verdict', limit, async (t) => {
  const { port, spool } = await open(t);
  const client = await Client.ready(port);
  client.send(
    `${plain('ann', 'wrong')}\r\nMAIL FROM:<a@b.test>\r\n${plain('ann', 'secret word')}\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n`,
  );
  assert.deepEqual(
    (await client.replies(6)).map((reply) => reply.slice(0, 3)),
    ['535', '530', '235', '250', '250', '354'],
  );
  assert.match(await client.ask(`${HEADER}\r\n.`), /^250/);
  assert.equal(spool.stored.length, 1);
});

test('AUTH within a transaction is refused, and the transaction goes on', limit, async (t) => {
  const { port } = await open(t, { trustedNetworks: ['127.0.0.0/8'] });
  const client = await Client.ready(port);
  await client.ask('MAIL FROM:<a@b.test>');
  assert.match(await client.ask(plain('ann', 'secret word')), /^503 5\.5\.1 /);
  assert.match(await client.ask('RCPT TO:<c@d.test>'), /^250/);
});

test('a user with senders may send as those only', limit, async (t) => {
  const { port, lines } = await open(t);
  const client = await Client.ready(port);
  await client.ask(plain('shop', 'password'));
  for (const sender of ['news@shop.test', 'Boss@x.test']) assert.equal((await handIn(client, sender)).at(-1), '250 2.0.0', sender);
  for (const sender of ['ann@x.test', '', 'news@sub.shop.test', 'shop.test@x.test'])
    assert.deepEqual(await handIn(client, sender), ['550 5.7.1', '503 5.5.1', '503 5.5.1'], sender);
  assert.ok(lines.some(({ event, fields }) => event === 'smtp.senderDenied' && fields?.['user'] === 'shop'));
});

test('without users nobody logs in, and nothing is offered', limit, async (t) => {
  const { port } = await openListener(t, elsewhere);
  const client = await Client.ready(port);
  assert.doesNotMatch(await client.ask('EHLO c'), /AUTH/);
  assert.match(await client.ask(plain('ann', 'secret word')), /^500 /);
  assert.match(await client.ask('MAIL FROM:<a@b.test>'), /^550 5\.7\.1 /);
});

/** An address of this machine that is not loopback: what comes from there might come from anywhere. */
const outside = Object.values(networkInterfaces())
  .flat()
  .find((found) => found?.family === 'IPv4' && !found.internal)?.address;

test('from elsewhere a password is taken over TLS only', { ...limit, skip: outside === undefined && 'no other network' }, async (t) => {
  const certificate = createCertificate(['mx.test']);
  const { port, spool } = await open(t, { listen: [{ host: outside!, port: 0, implicitTls: false }], tls: certificate });
  const client = await Client.dial(port, outside);
  await client.reply();
  assert.doesNotMatch(await client.ask('EHLO c'), /AUTH/);
  assert.match(await client.ask(plain('ann', 'secret word')), /^538 5\.7\.11 /);
  assert.match(await client.ask('MAIL FROM:<a@b.test>'), /^530 5\.7\.0 STARTTLS first/);
  assert.match(await client.ask('STARTTLS'), /^220/);
  client.socket.removeAllListeners('data');
  const secured = tls.connect({ socket: client.socket as never, ca: certificate.ca, servername: 'mx.test' });
  const safe = new Client(secured);
  assert.match(await safe.ask('EHLO c'), /^250-AUTH PLAIN LOGIN\r$/m);
  assert.match(await safe.ask(plain('ann', 'secret word')), /^235/);
  assert.equal((await handIn(safe)).at(-1), '250 2.0.0');
  assert.match(spool.stored[0]!.text, / with ESMTPSA[\s]+id /);
});

test('what was logged in before STARTTLS is forgotten', limit, async (t) => {
  const certificate = createCertificate(['mx.test']);
  const { port } = await open(t, { tls: certificate });
  const client = await Client.ready(port);
  assert.match(await client.ask(plain('ann', 'secret word')), /^235/);
  await client.ask('STARTTLS');
  client.socket.removeAllListeners('data');
  const safe = new Client(tls.connect({ socket: client.socket as never, ca: certificate.ca, servername: 'mx.test' }));
  await safe.ask('EHLO c');
  assert.deepEqual(await handIn(safe), ['530 5.7.0', '530 5.7.0', '503 5.5.1']);
});

test('an address that guesses waits longer and longer, and then is not even looked at', limit, async (t) => {
  const waits: number[] = [];
  const stuck: typeof systemClock = {
    ...systemClock,
    after(ms, call) {
      const wait = [250, 500, 1000, 2000].includes(ms);
      if (wait) waits.push(ms);
      return systemClock.after(wait ? 3_600_000 : ms, call);
    },
  };
  const { port } = await open(t, { clock: stuck });
  const clients = await Promise.all(Array.from({ length: 5 }, () => Client.ready(port)));
  const [last, ...guessers] = clients;
  for (const [i, client] of guessers.entries()) {
    client.send(`${plain('ann', 'guess')}\r\n`);
    while (waits.length <= i) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(waits, [250, 500, 1000, 2000]);
  assert.match(await last!.ask(plain('ann', 'secret word')), /^454 4\.7\.0 Too many wrong passwords/);
});

test('the file is read again when it has changed; one that is broken leaves those there were, told once', limit, async (t) => {
  const { port, usersFile, lines } = await open(t);
  const login = async (name: string, password: string) => (await (await Client.ready(port)).ask(plain(name, password))).slice(0, 3);
  const write = (text: string) => {
    writeFileSync(`${usersFile}~`, text, { mode: 0o600 });
    renameSync(`${usersFile}~`, usersFile);
  };
  assert.equal(await login('ann', 'secret word'), '235');
  write(line('ann', 'other word') + line('new', 'password'));
  assert.deepEqual(
    [await login('ann', 'secret word'), await login('ann', 'other word'), await login('new', 'password')],
    ['535', '235', '235'],
  );
  write('ann:clear text\n');
  assert.deepEqual([await login('ann', 'other word'), await login('new', 'password')], ['235', '235']);
  assert.equal(lines.filter(({ event }) => event === 'smtp.usersNotRead').length, 1);
  assert.doesNotMatch(JSON.stringify(lines), /clear text/);
});

test('a file that cannot be read is an error at the start; one that others can read is warned of', async (t) => {
  const file = await withUsers(t, 'ann:password\n');
  const refused = (path: string) =>
    assert.throws(
      () => openUsers(path, silentLog),
      (error) => error instanceof MtaError && error.code === 'INVALID_OPTIONS',
    );
  refused(file);
  refused(`${file}.gone`);
  writeFileSync(`${file}.open`, line('ann', 'x'), { mode: 0o644 });
  const told: string[] = [];
  openUsers(`${file}.open`, { ...silentLog, warn: (event) => void told.push(event) });
  assert.deepEqual(told, ['smtp.usersExposed']);
});
