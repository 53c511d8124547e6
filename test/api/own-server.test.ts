/** Messages that bring their server along: they go there by their own login, also after a restart, and nobody learns the password. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { LogFields } from '../../src/index.js';
import { createMta } from '../../src/index.js';
import { checkSpool } from '../../src/spool/level/check.js';
import { destination, HOSTNAME, temporaryFolder } from '../support/agent.js';
import { until } from '../support/scope.js';
import { agentTo, ended, LETTER } from './agent.js';

const PASSWORD = 'correct horse battery staple';
const PLAIN = Buffer.from(`\0ann\0${PASSWORD}`).toString('base64');

/** The name of a file in which one of the words stands, as it is. */
function found(folder: string, words: readonly string[]): string | undefined {
  for (const entry of readdirSync(folder, { recursive: true }) as string[]) {
    const file = join(folder, entry);
    if (!statSync(file).isFile()) continue;
    const bytes = readFileSync(file);
    if (words.some((word) => bytes.includes(word) || bytes.includes(Buffer.from(word, 'utf16le')))) return entry;
  }
  return undefined;
}

/** All that is logged, as text. */
function listening() {
  const lines: string[] = [];
  const note = (event: string, fields?: LogFields, text?: string) => void lines.push(JSON.stringify([event, fields, text]));
  return { lines, log: { debug: note, info: note, warn: note, error: note } };
}

test('a message goes through its own server by its own login, whatever the routes say; bounces take the ordinary way', async (t) => {
  const ordinary = await destination(t);
  const own = await destination(t, { users: { ann: PASSWORD } });
  const mta = await agentTo(t, ordinary);
  const server = { host: '127.0.0.1', port: own.port, username: 'ann', password: PASSWORD };
  const { id } = await mta.send({ ...LETTER, to: ['joe@dest.test', 'fail-550@other.test'], ...server });
  assert.equal(await ended(mta, id), 'error');
  assert.deepEqual(own.messages[0]!.recipients, ['joe@dest.test']);
  assert.equal(own.messages[0]!.user, 'ann');
  const raw = { data: 'Subject: raw\r\n\r\nx\r\n', from: 'ann@example.test', recipients: 'joe@dest.test' };
  assert.equal(await ended(mta, (await mta.queue({ ...raw, ...server })).id), 'sent');
  assert.equal(await ended(mta, (await mta.queue(raw)).id), 'sent');
  await mta.idle({ timeout: 60 });
  assert.deepEqual(
    own.messages.map(({ user }) => user),
    ['ann', 'ann'],
  );
  assert.deepEqual(ordinary.messages.map(({ sender, recipients }) => [sender, ...recipients]).sort(), [
    ['', 'ann@example.test'],
    ['ann@example.test', 'joe@dest.test'],
  ]);
});

test('mail with another password never leaves on a connection of somebody else, not even of the same name', async (t) => {
  const own = await destination(t, { users: { ann: PASSWORD } });
  const mta = await agentTo(t, own);
  const right = { ...LETTER, host: '127.0.0.1', port: own.port, username: 'ann', password: PASSWORD };
  const sent = await mta.send(right);
  assert.equal(await ended(mta, sent.id), 'sent');
  const wrong = await mta.send({ ...right, password: 'somebody else’s guess' });
  const view = await until('the first attempt', async () => {
    const known = await mta.inspect(wrong.id);
    return known!.deliveries[0]!.attempts > 0 && known;
  });
  assert.match(view.deliveries[0]!.recipients[0]!.last!.text, /wrong name or password/);
  assert.equal(own.counts.messages, 1);
  assert.notEqual(view.deliveries[0]!.lane, (await mta.inspect(sent.id))!.deliveries[0]!.lane);
});

test('the login outlives a restart, sealed: the password stands in no file, log, event, error or view', async (t) => {
  const folder = await temporaryFolder(t);
  const own = await destination(t, {
    users: { ann: PASSWORD },
    script: ({ verb }) => (verb === 'RCPT' && busy ? '450 4.2.0 later' : undefined),
  });
  let busy = true;
  const { lines, log } = listening();
  const settings = { hostname: HOSTNAME, spool: folder, log };
  const first = await createMta(settings);
  const events: unknown[] = [];
  for (const type of ['accepted', 'deferred', 'delivered', 'fault'] as const) first.on(type, (event) => events.push(event));
  const { id } = await first.send({ ...LETTER, host: '127.0.0.1', port: own.port, username: 'ann', password: PASSWORD });
  await until('the first attempt', () => events.length >= 2);
  const view = await first.inspect(id);
  const listed = [];
  for await (const entry of first.list()) listed.push(entry);
  await first.close();
  const words = [PASSWORD, PLAIN, Buffer.from(PASSWORD).toString('base64'), encodeURIComponent(PASSWORD)];
  assert.equal(found(folder, words), undefined);
  assert.equal(statSync(join(folder, 'key')).mode & 0o777, 0o600);
  assert.deepEqual((await checkSpool(folder)).problems, []);

  busy = false;
  const second = await createMta(settings);
  await second.retryNow({ all: true });
  assert.equal(await ended(second, id), 'sent');
  assert.equal(own.messages[0]!.user, 'ann');
  const after = await second.inspect(id);
  await second.close();
  assert.equal(found(folder, words), undefined);
  const shown = JSON.stringify([view, listed, after, events, lines]);
  for (const word of [...words, 'username', 'password']) assert.ok(!shown.includes(word), `${word} in ${shown}`);
});

test('without its key the mail waits and says why, and does not go another way', async (t) => {
  const folder = await temporaryFolder(t);
  const ordinary = await destination(t);
  const own = await destination(t, { script: ({ verb }) => (verb === 'CONNECT' ? '421 4.3.2 not now' : undefined) });
  const first = await agentTo(t, ordinary, { spool: folder });
  const { id } = await first.send({ ...LETTER, host: '127.0.0.1', port: own.port });
  await until('the first attempt', async () => (await first.inspect(id))!.deliveries[0]!.attempts > 0);
  await first.close();
  rmSync(join(folder, 'key'));
  const second = await agentTo(t, ordinary, { spool: folder });
  await second.retryNow({ all: true });
  const view = await until('the second attempt', async () => {
    const known = await second.inspect(id);
    return known!.deliveries[0]!.attempts > 1 && known;
  });
  assert.match(view.deliveries[0]!.recipients[0]!.last!.text, /cannot be opened: spool\.keyFile/);
  assert.equal(await second.status(id), 'queued');
  assert.equal(ordinary.counts.messages, 0);
});

test('a key file of the operator must be there; with it, a copy of the spool alone tells no login', async (t) => {
  const folder = await temporaryFolder(t);
  const mta = await agentTo(t, { port: 1 }, { spool: { path: folder, keyFile: join(folder, '..', 'no-such-key') } });
  await assert.rejects(mta.send({ ...LETTER, host: 'smtp.test' }), { code: 'SPOOL_FAILED', message: /spool\.keyFile/ });
  assert.equal(
    await mta
      .list()
      [Symbol.asyncIterator]()
      .next()
      .then(({ done }) => done),
    true,
    'nothing is stored',
  );
});

test('timeout is in force for that server alone', async (t) => {
  const silent = await destination(t, { script: ({ verb }) => (verb === 'EHLO' ? { hang: true } : undefined) });
  const mta = await agentTo(t, silent);
  const { id } = await mta.send({ ...LETTER, host: '127.0.0.1', port: silent.port, timeout: 0.2 });
  const view = await until('the attempt', async () => {
    const known = await mta.inspect(id);
    return known!.deliveries[0]!.attempts > 0 && known;
  });
  assert.match(view.deliveries[0]!.recipients[0]!.last!.text, /no answer within 0\.2 s/);
});
