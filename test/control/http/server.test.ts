import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { startHttpControl } from '../../../src/control/http/server.js';
import { MtaError } from '../../../src/core/errors.js';
import { systemClock } from '../../../src/platform/clock.js';
import { silentLog } from '../../../src/platform/log.js';
import { systemRandom } from '../../../src/platform/random.js';
import { freePlace } from '../../support/loopback.js';
import { until } from '../../support/scope.js';
import { createVirtualClock } from '../../support/virtual-clock.js';
import { fakeDelivery, fakeMessage } from '../fake-agent.js';
import { temporaryFolder } from '../served.js';
import { type Answer, serveHttp, TOKEN } from './serving.js';

const statuses = (answers: readonly Answer[]) => answers.map(({ status }) => status);
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

test('nothing of the API is told without the token, on loopback too', async (t) => {
  const { agent, ask, askAs } = await serveHttp(t);
  const message = fakeMessage();
  agent.add(message, [fakeDelivery(message, 0, ['secret@x.test'])], Buffer.from('private'));
  for (const target of [
    '/v1/agent',
    '/v1/queue',
    `/v1/messages/${message.id}/content`,
    '/v1/nothing',
    '/metrics',
    '//v1/agent',
    '/V1/agent',
  ]) {
    const { status, body, headers } = await askAs({}, 'GET', target);
    assert.equal(status, 401, target);
    assert.match(String(headers['www-authenticate']), /^Bearer/);
    assert.doesNotMatch(body, /private|secret/);
  }
  assert.equal((await askAs({}, 'POST', '/v1/queue/remove?all')).status, 401);
  assert.equal(agent.entries[0]!.deliveries[0]!.state, 'ready');
  assert.equal((await ask('GET', `/v1/messages/${message.id}/content`)).body, 'private');
  assert.equal((await ask('POST', '/v1/queue/remove?all')).status, 200);
});

test('only the token itself is the token', async (t) => {
  const clock = createVirtualClock();
  const { askAs } = await serveHttp(t, { clock });
  const wrong = ['', ' ', TOKEN.slice(0, -1), `${TOKEN}x`, TOKEN.toUpperCase(), 'Basic', `${TOKEN},${TOKEN}`];
  for (const each of wrong) {
    const answer = askAs(bearer(each), 'GET', '/v1/agent');
    const done = answer.then(() => true);
    while (!(await Promise.race([done, clock.advance(8_000).then(() => false)]))) {
      // Wrong ones are answered late.
    }
    assert.equal((await answer).status, 401, JSON.stringify(each));
  }
  assert.equal((await askAs({ authorization: TOKEN }, 'GET', '/v1/agent')).status, 401, 'without its scheme');
  assert.equal((await askAs({ authorization: `bearer ${TOKEN}` }, 'GET', '/v1/agent')).status, 200);
});

test('a session stands for the token for some hours, makes no other, and is nobody else’s', async (t) => {
  const clock = createVirtualClock();
  const { ask, askAs } = await serveHttp(t, { clock });
  const { session } = JSON.parse((await ask('POST', '/v1/session')).body) as { session: string };
  assert.equal((await askAs(bearer(session), 'GET', '/v1/agent')).status, 200);
  assert.equal((await askAs(bearer(session), 'POST', '/v1/queue/flush')).status, 204);
  assert.equal((await askAs(bearer(session), 'POST', '/v1/session')).status, 403, 'it would last for ever');
  const other = await serveHttp(t, { clock, token: `${TOKEN}2` });
  const refused = other.askAs(bearer(session), 'GET', '/v1/agent');
  while (other.control.denied() === 0) await clock.advance(0);
  await clock.advance(8_000);
  assert.equal((await refused).status, 401, 'another token, other sessions');
  const again = await serveHttp(t, { clock });
  assert.equal((await again.askAs(bearer(session), 'GET', '/v1/agent')).status, 200, 'a restart does not end it');
  clock.step(12 * 3_600_000);
  const late = askAs(bearer(session), 'GET', '/v1/agent');
  const done = late.then(() => true);
  while (!(await Promise.race([done, clock.advance(8_000).then(() => false)]))) {
    // Wrong ones are answered late.
  }
  assert.equal((await late).status, 401);
});

test('a ticket opens its own path, to read, for a minute', async (t) => {
  const clock = createVirtualClock();
  const { agent, ask, askAs } = await serveHttp(t, { clock });
  const message = fakeMessage();
  agent.add(message, [fakeDelivery(message, 0, ['a@x.test'])], Buffer.from('content'));
  const at = `/v1/messages/${message.id}/content`;
  const { ticket } = JSON.parse((await ask('POST', `/v1/ticket?path=${encodeURIComponent(at)}`)).body) as { ticket: string };
  assert.equal((await askAs({}, 'GET', `${at}?ticket=${ticket}`)).body, 'content');
  const elsewhere = ['/v1/agent', `/v1/messages/${message.id}`, `${at}/`, `${at}?limit=1&ticket=${ticket}`];
  assert.deepEqual(
    statuses(await Promise.all(elsewhere.map((target) => askAs({}, 'GET', target.includes('?') ? target : `${target}?ticket=${ticket}`)))),
    [401, 401, 401, 401],
  );
  assert.equal((await askAs({}, 'POST', `${at}?ticket=${ticket}`)).status, 401);
  assert.equal((await askAs({}, 'GET', `${at}?ticket=${ticket.slice(0, -1)}`)).status, 401);
  assert.equal(
    (await askAs({}, 'GET', `${at}?ticket=zzzzzzzzz${ticket.slice(ticket.indexOf('.'))}`)).status,
    401,
    'a later end is another ticket',
  );
  clock.step(60_000);
  assert.equal((await askAs({}, 'GET', `${at}?ticket=${ticket}`)).status, 401);
});

test('wrong tokens are answered more and more slowly, counted and told of; the right one and sessions never wait', async (t) => {
  const clock = createVirtualClock();
  const told: unknown[] = [];
  const { ask, askAs, control } = await serveHttp(t, {
    clock,
    log: { ...silentLog, warn: (event, fields) => void told.push([event, fields?.['wrong']]) },
  });
  const { session } = JSON.parse((await ask('POST', '/v1/session')).body) as { session: string };
  const guesses: Promise<Answer>[] = [];
  for (let guess = 1; guess <= 4; guess++) {
    guesses.push(askAs(bearer(`guess-${guess}`), 'GET', '/v1/agent'));
    while (control.denied() < guess) await new Promise((resolve) => setImmediate(resolve));
    if (guess < 4) assert.equal((await ask('GET', '/v1/agent')).status, 200, 'the right one is not held up');
  }
  assert.deepEqual(
    told,
    [1, 2, 3, 4].map((n) => ['control.denied', n]),
  );
  const fifth = await askAs(bearer(TOKEN), 'GET', '/v1/agent');
  assert.deepEqual([fifth.status, fifth.headers['retry-after']], [429, '8'], 'while four wait, nobody’s token is looked at');
  assert.equal((await askAs(bearer(session), 'GET', '/v1/agent')).status, 200);
  const answered: number[] = [];
  guesses.forEach((guess, i) => void guess.then(() => answered.push(i)));
  for (const ms of [249, 1, 250, 500, 1000]) await clock.advance(ms);
  assert.deepEqual(statuses(await Promise.all(guesses)), [401, 401, 401, 401]);
  assert.deepEqual(answered, [0, 1, 2, 3]);
  assert.equal((await ask('GET', '/v1/agent')).status, 200);
});

test('loopback is let in without a token where that is set, but not what a proxy passes on', async (t) => {
  const { askAs } = await serveHttp(t, { token: '', trustLoopback: true });
  assert.equal((await askAs({}, 'GET', '/v1/agent')).status, 200);
  assert.equal((await askAs({}, 'POST', '/v1/queue/flush')).status, 204);
  for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via']) {
    assert.equal((await askAs({ [name]: '127.0.0.1' }, 'GET', '/v1/agent')).status, 401, name);
  }
});

test('a request that another web site had a browser make is refused, with a token too', async (t) => {
  const { ask, agent, port } = await serveHttp(t, { trustLoopback: true });
  for (const site of ['cross-site', 'same-site', 'nonsense']) {
    assert.equal((await ask('GET', '/v1/agent', { 'sec-fetch-site': site })).status, 403, site);
    assert.equal((await ask('POST', '/v1/queue/flush', { 'sec-fetch-site': site })).status, 403, site);
  }
  for (const origin of ['http://evil.example', `http://127.0.0.1:${port + 1}`, 'null']) {
    assert.equal((await ask('POST', '/v1/queue/flush', { origin })).status, 403, origin);
  }
  assert.equal(agent.flushes, 0);
  assert.equal((await ask('POST', '/v1/queue/flush', { 'sec-fetch-site': 'same-origin', origin: `http://127.0.0.1:${port}` })).status, 204);
  assert.equal((await ask('POST', '/v1/queue/flush', { origin: `http://127.0.0.1:${port}` })).status, 204, 'an older browser');
  assert.equal((await ask('GET', '/v1/agent', { 'sec-fetch-site': 'none' })).status, 200);
});

test('the agent answers by address, as localhost and by its own names; any other is refused before all else', async (t) => {
  const { ask, askAs } = await serveHttp(t, { trustLoopback: true });
  for (const host of [
    '127.0.0.1',
    '127.0.0.1:1',
    'localhost:8587',
    '[::1]:8587',
    'Mail.Example.TEST:80',
    'mail.example.test.',
    '10.1.2.3:99',
  ]) {
    assert.equal((await askAs({ host }, 'GET', '/v1/agent')).status, 200, host);
  }
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    'mail.example.test.evil.example:8587',
    '127.0.0.1.evil.example',
    '[::1',
    'a@localhost',
  ]) {
    assert.equal((await ask('GET', '/v1/agent', { host })).status, 421, host);
    assert.equal((await ask('GET', '/', { host })).status, 421, `${host}: the page`);
  }
});

test('every answer forbids what browsers could do with it', async (t) => {
  const page = await temporaryFolder(t);
  await writeFile(path.join(page, 'index.html'), '<!doctype html>');
  const { ask, askAs } = await serveHttp(t, { page });
  const answers = [
    await ask('GET', '/v1/agent'),
    await askAs({}, 'GET', '/v1/agent'),
    await ask('GET', '/v1/x'),
    await askAs({}, 'GET', '/'),
    await askAs({ host: 'x.y' }, 'GET', '/'),
  ];
  assert.deepEqual(statuses(answers), [200, 401, 404, 200, 421]);
  for (const { headers } of answers) {
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.doesNotMatch(policy, /unsafe|\*|https?:/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['x-frame-options'], 'DENY');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
    for (const name of Object.keys(headers)) assert.doesNotMatch(name, /^access-control|^set-cookie/);
  }
  assert.equal(answers[0]!.headers['cache-control'], 'no-store');
});

test('the files of the page need no token, are sent anew only when they changed, and nothing beside them is reached', async (t) => {
  const folder = await temporaryFolder(t);
  const page = path.join(folder, 'page');
  await mkdir(path.join(page, 'parts'), { recursive: true });
  await writeFile(path.join(folder, 'secret.js'), 'no');
  await writeFile(path.join(page, 'notes.txt'), 'no');
  await writeFile(path.join(page, 'index.html'), '<!doctype html><title>Riata</title>');
  await writeFile(path.join(page, 'parts', 'list.js'), 'export {};');
  const { askAs } = await serveHttp(t, { page });
  const index = await askAs({}, 'GET', '/?x=1');
  assert.deepEqual([index.status, index.headers['content-type'], index.body.length], [200, 'text/html; charset=utf-8', 35]);
  assert.equal((await askAs({ 'if-none-match': index.headers['etag'] }, 'GET', '/')).status, 304);
  assert.equal((await askAs({}, 'GET', '/parts/list.js')).headers['content-type'], 'text/javascript; charset=utf-8');
  assert.deepEqual(await askAs({}, 'HEAD', '/').then(({ status, body }) => [status, body]), [200, '']);
  for (const target of ['/../secret.js', '/parts/../../secret.js', '/%2e%2e/secret.js', '/notes.txt', '/index.html/', '/parts']) {
    assert.equal((await askAs({}, 'GET', target)).status, 401, target);
  }
  assert.equal((await askAs({}, 'POST', '/')).status, 401);
});

test('a folder of the page that is not there is no reason not to start', async (t) => {
  const { ask } = await serveHttp(t, { page: '/nowhere/at/all' });
  assert.equal((await ask('GET', '/')).status, 404);
});

test('a request line that is far too long is refused, and a client that never ends its head is dropped', async (t) => {
  const { ask } = await serveHttp(t);
  assert.equal((await ask('GET', `/v1/queue?error=${'x'.repeat(70_000)}`)).status, 431);
  const { port } = await serveHttp(t, { headTimeoutMs: 300 });
  const slow = net.connect(port, '127.0.0.1');
  t.after(() => slow.destroy());
  slow.write('GET /v1/agent HTTP/1.1\r\nHost: localhost\r\n');
  await new Promise((resolve) => slow.on('close', resolve).resume());
});

test('a client that does not send what it began, or does not take what it asked for, is dropped; one that waits for us is not', async (t) => {
  const { agent, port } = await serveHttp(t, { stallMs: 400 });
  const large = fakeMessage();
  agent.add(large, [fakeDelivery(large, 0, ['a@x.test'])], Buffer.alloc(32 * 1024 * 1024, 'x'));
  const open = fakeMessage();
  agent.add(open, [fakeDelivery(open, 0, ['a@x.test'])]);
  const head = (line: string, ...more: string[]) =>
    [line, 'Host: localhost', `Authorization: Bearer ${TOKEN}`, ...more, '', ''].join('\r\n');
  const begin = (text: string) => {
    const socket = net.connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    socket.write(text);
    return socket;
  };
  const closed = (socket: net.Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const half = begin(
    head('POST /v1/messages?from=a@x.test&to=b@x.test HTTP/1.1', 'Content-Type: message/rfc822', 'Content-Length: 1000') + 'Subject: x',
  );
  const deaf = begin(head(`GET /v1/messages/${large.id}/content HTTP/1.1`));
  deaf.pause();
  const patient = begin(head(`GET /v1/messages/${open.id}/news?wait=1500 HTTP/1.1`));
  const heard = new Promise<string>((resolve) => patient.once('data', (chunk) => resolve(chunk.toString('latin1'))));
  await Promise.all([
    closed(half.resume()),
    // What it does not read keeps its end open: that the other side is gone is seen by writing.
    new Promise<void>((resolve) => {
      const probe = setInterval(() => void deaf.write('x'), 50);
      deaf.once('close', () => {
        clearInterval(probe);
        resolve();
      });
    }),
  ]);
  await until('half a message to be none', () => agent.submissions[0]?.end === 'aborted');
  assert.match(await heard, /^HTTP\/1\.1 200 /, 'it waited longer than others may stall');
});

test('a port that is taken, or a name that leads to others without a token, is an error, and nothing is left listening', async (t) => {
  const { port } = await serveHttp(t);
  const start = (listen: { host: string; port: number }[], token: string) =>
    startHttpControl({
      verbs: {} as never,
      listen,
      token,
      trustLoopback: true,
      names: [],
      log: silentLog,
      clock: systemClock,
      random: systemRandom,
    });
  const first = freePlace();
  await assert.rejects(
    start([first, { host: '127.0.0.1', port }], TOKEN),
    (error) => error instanceof MtaError && error.code === 'ADDRESS_IN_USE',
  );
  await assert.rejects(
    start([first, { host: '0.0.0.0', port: 0 }], ''),
    (error) => error instanceof MtaError && error.code === 'INVALID_OPTIONS',
  );
  const last = await start([first], TOKEN);
  await last.close(0);
});

test('another token holds from the next request on, and ends the sessions of the one before; names as well', async (t) => {
  const { control, ask, askAs } = await serveHttp(t);
  const session = JSON.parse((await ask('POST', '/v1/session')).body) as { session: string };
  const withSession = { authorization: `Bearer ${session.session}` };
  assert.equal((await askAs(withSession, 'GET', '/v1/agent')).status, 200);
  await control.renew({ token: 'another-token-for-tests', trustLoopback: false, names: ['other.example.test'] });
  assert.equal((await ask('GET', '/v1/agent')).status, 401);
  assert.equal((await askAs(withSession, 'GET', '/v1/agent')).status, 401);
  const authorization = 'Bearer another-token-for-tests';
  assert.equal((await askAs({ authorization, host: 'other.example.test' }, 'GET', '/v1/agent')).status, 200);
  assert.equal((await askAs({ authorization, host: 'mail.example.test' }, 'GET', '/v1/agent')).status, 421);
});

test('what names paths of the machine is not done from afar, whatever the token', async (t) => {
  const { ask } = await serveHttp(t);
  for (const target of ['/v1/spool/snapshot?folder=%2Ftmp%2Fcopy', '/v1/spool/compact']) {
    const { status, body } = await ask('POST', target);
    assert.equal(status, 403, target);
    assert.match(body, /Unix socket/);
  }
});
