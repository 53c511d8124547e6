import assert from 'node:assert/strict';
import { link, lstat, readdir, rename, stat, symlink, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { connectControl } from '../../src/control/client.js';
import { CONTROL_ROUTES } from '../../src/control/routes.js';
import { startControlServer } from '../../src/control/server.js';
import { MtaError } from '../../src/core/errors.js';
import type { LogFields } from '../../src/platform/log.js';
import { silentLog } from '../../src/platform/log.js';
import { fakeDelivery, fakeMessage } from './fake-agent.js';
import { serveAndConnect, serveControl, temporaryFolder } from './served.js';

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** A request as any HTTP client would send it. */
function ask(socketPath: string, method: string, target: string, headers: http.OutgoingHttpHeaders = {}, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, method, path: target, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

test('the socket has mode 0600 from the moment it has its name', async (t) => {
  const { socketPath } = await serveControl(t);
  const there = await lstat(socketPath);
  assert.ok(there.isSocket());
  assert.equal(there.mode & 0o777, 0o600);
  assert.deepEqual(await readdir(path.dirname(socketPath)), ['control.sock'], 'nothing else is left beside it');
});

test('the socket is gone after closing, and closing twice is closing once', async (t) => {
  const { server, socketPath } = await serveControl(t);
  await Promise.all([server.close(), server.close()]);
  await assert.rejects(lstat(socketPath), { code: 'ENOENT' });
  await assert.rejects(connectControl(socketPath), (error) => error instanceof MtaError && error.code === 'NOT_RUNNING');
});

test('closing does not wait for a client that keeps its connection', async (t) => {
  const { server, client } = await serveAndConnect(t);
  await client.agent();
  const before = performance.now();
  await server.close(60_000);
  assert.ok(performance.now() - before < 30_000);
});

test('a socket left by a dead process is replaced', async (t) => {
  const folder = await temporaryFolder(t);
  const socketPath = path.join(folder, 'control.sock');
  const dead = net.createServer().listen(socketPath);
  await new Promise((resolve) => dead.once('listening', resolve));
  // Its name outlives it, as after kill -9.
  const kept = path.join(folder, 'kept');
  await link(socketPath, kept);
  await new Promise((resolve) => dead.close(resolve));
  await rename(kept, socketPath);
  const { verbs } = await serveControl(t);
  const server = await startControlServer({ verbs, path: socketPath, log: silentLog });
  t.after(() => server.close());
  const client = await connectControl(socketPath);
  t.after(() => client.close());
  assert.equal((await client.agent()).pid, 4321);
});

test('a socket on which somebody answers is not replaced, nor is anything that is no socket', async (t) => {
  const { socketPath, verbs, server } = await serveControl(t);
  const inUse = (error: unknown) => error instanceof MtaError && error.code === 'ADDRESS_IN_USE';
  await assert.rejects(startControlServer({ verbs, path: socketPath, log: silentLog }), inUse);
  assert.equal((await ask(socketPath, 'GET', '/v1/agent')).status, 200);
  const other = path.join(path.dirname(socketPath), 'letter.txt');
  await writeFile(other, 'dear');
  await assert.rejects(startControlServer({ verbs, path: other, log: silentLog }), inUse);
  assert.equal((await stat(other)).size, 4);
  const pointer = path.join(path.dirname(socketPath), 'link.sock');
  await symlink(other, pointer);
  await assert.rejects(startControlServer({ verbs, path: pointer, log: silentLog }), inUse);
  await server.close();
});

test('closing leaves alone the socket of a successor that took the name', async (t) => {
  const { server, socketPath } = await serveControl(t);
  await server.close();
  const { verbs } = await serveControl(t);
  const second = await startControlServer({ verbs, path: socketPath, log: silentLog });
  t.after(() => second.close());
  const third = path.join(path.dirname(socketPath), 'third.sock');
  const thirdServer = await startControlServer({ verbs, path: third, log: silentLog });
  await rename(third, socketPath);
  await second.close();
  assert.ok((await lstat(socketPath)).isSocket(), 'the name belongs to the third now');
  await thirdServer.close();
});

test('errors are problem documents with our code', async (t) => {
  const { socketPath } = await serveControl(t);
  const unknown = await ask(socketPath, 'GET', `/v1/messages/${fakeMessage().id}`);
  assert.equal(unknown.status, 404);
  assert.equal(unknown.headers['content-type'], 'application/problem+json');
  const problem = JSON.parse(unknown.body) as Record<string, unknown>;
  assert.deepEqual([problem['type'], problem['code'], problem['status']], ['urn:riata:error:NOT_FOUND', 'NOT_FOUND', 404]);
  const nowhere = await ask(socketPath, 'GET', '/v2/agent');
  assert.deepEqual([nowhere.status, (JSON.parse(nowhere.body) as { type: string }).type], [404, 'about:blank']);
  assert.equal((await ask(socketPath, 'GET', '/v1/messages/%ff')).status, 404);
  const wrong = await ask(socketPath, 'DELETE', '/v1/queue');
  assert.deepEqual([wrong.status, wrong.headers['allow']], [405, 'GET']);
});

test('everything wrong with the parameters is told at once', async (t) => {
  const { socketPath } = await serveControl(t);
  const { status, body } = await ask(socketPath, 'GET', '/v1/queue?limit=0&state=lost&colour=red&sender=a&sender=b&acceptedBefore=-1');
  assert.equal(status, 400);
  const { issues } = JSON.parse(body) as { issues: { path: string; code: string }[] };
  assert.deepEqual(issues.map(({ path: at, code }) => `${at} ${code}`).sort(), [
    'acceptedBefore OUT_OF_RANGE',
    'colour UNKNOWN_FIELD',
    'limit OUT_OF_RANGE',
    'sender OUT_OF_RANGE',
    'state OUT_OF_RANGE',
  ]);
  const missing = await ask(socketPath, 'POST', '/v1/messages', { 'content-type': 'message/rfc822' }, 'x');
  assert.deepEqual(
    (JSON.parse(missing.body) as { issues: { path: string; code: string }[] }).issues.map(({ path: at, code }) => `${at} ${code}`),
    ['from MISSING_FIELD', 'to MISSING_FIELD'],
  );
});

test('an action that does not exist changes nothing, whatever its name', async (t) => {
  const { socketPath, agent } = await serveControl(t);
  const message = fakeMessage();
  agent.add(message, [fakeDelivery(message, 0, ['a@x.test'])]);
  for (const action of ['purge', 'constructor', '__proto__', 'toString']) {
    assert.equal((await ask(socketPath, 'POST', `/v1/queue/${action}?all`)).status, 400, action);
  }
  assert.equal(agent.entries[0]?.deliveries[0]?.state, 'ready');
});

test('a message is taken only as message/rfc822 or JSON, with its place in the answer', async (t) => {
  const { socketPath, agent } = await serveControl(t);
  const target = '/v1/messages?from=a%40x.test&to=b%40x.test&to=c%40x.test';
  const plain = await ask(socketPath, 'POST', target, { 'content-type': 'text/plain' }, '{}');
  assert.equal(plain.status, 415);
  assert.match(plain.body, /message\/rfc822 or application\/json/);
  assert.equal((await ask(socketPath, 'POST', target, {}, 'x')).status, 415);
  assert.equal(agent.submissions.length, 0);
  const made = await ask(socketPath, 'POST', target, { 'content-type': 'message/rfc822; charset=x' }, 'Subject: x\r\n\r\ny\r\n');
  assert.equal(made.status, 201);
  assert.equal(made.headers['location'], `/v1/messages/${(JSON.parse(made.body) as { id: string }).id}`);
});

test('sessions and tickets are not for the Unix socket, which has no gate', async (t) => {
  const { socketPath } = await serveControl(t);
  for (const target of ['/v1/session', '/v1/ticket?path=/']) assert.equal((await ask(socketPath, 'POST', target)).status, 404, target);
});

test('HEAD answers as GET does, without the body', async (t) => {
  const { socketPath } = await serveControl(t);
  const { status, headers, body } = await ask(socketPath, 'HEAD', '/v1/agent');
  assert.deepEqual([status, body], [200, '']);
  assert.ok(Number(headers['content-length']) > 10);
});

test('a fault of our own is logged with its cause, and the caller learns only that it was one', async (t) => {
  const logged: { event: string; fields: LogFields | undefined }[] = [];
  const { socketPath } = await serveControl(t, { ...silentLog, error: (event, fields) => void logged.push({ event, fields }) });
  const { status, body } = await ask(socketPath, 'GET', '/v1/mx/example.net');
  assert.equal(status, 500);
  assert.ok(!body.includes('scripted'));
  assert.equal(logged[0]?.event, 'control.failed');
  assert.match(String(logged[0]?.fields?.['error']), /no answer was scripted/);
});

test('a request line without end is refused', async (t) => {
  const { socketPath } = await serveControl(t);
  await assert.rejects(
    ask(socketPath, 'GET', `/v1/queue?error=${'x'.repeat(2 * 1024 * 1024)}`).then(({ status }) => {
      if (status === 431) throw new Error('refused');
      return status;
    }),
  );
  assert.equal((await ask(socketPath, 'GET', '/v1/agent')).status, 200);
});

test('a caller who goes away ends the change that was asked for', async (t) => {
  const { socketPath, agent } = await serveControl(t);
  for (let i = 0; i < 600; i++) {
    const message = fakeMessage();
    agent.add(message, [fakeDelivery(message, 0, [`r${i}@x.test`])]);
  }
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { change } = agent.spool;
  let asked = 0;
  agent.spool.change = async (key, what) => {
    asked++;
    await gate;
    return change(key, what);
  };
  const request = http.request({ socketPath, method: 'POST', path: '/v1/queue/remove?all', agent: false });
  request.on('error', () => {});
  request.end();
  while (asked === 0) await new Promise((resolve) => setImmediate(resolve));
  const first = asked;
  request.destroy();
  // The server has seen the end of that connection when it answers on another, opened later.
  for (let i = 0; i < 5; i++) await ask(socketPath, 'GET', '/v1/agent');
  release();
  for (let i = 0; i < 5; i++) await ask(socketPath, 'GET', '/v1/agent');
  assert.equal(asked, first, 'no further page was begun');
});

test('every route has its own name, words, and a verb that exists', async (t) => {
  const { verbs } = await serveControl(t);
  assert.equal(new Set(CONTROL_ROUTES.map((route) => route.verb)).size, CONTROL_ROUTES.length);
  // The gate's own, and what is made of the content.
  const others = ['session', 'ticket', 'look', 'page', 'part'];
  for (const route of CONTROL_ROUTES) {
    if (!others.includes(route.verb)) assert.equal(typeof verbs[route.verb as keyof typeof verbs], 'function', route.verb);
    assert.match(route.doc, /^[A-Z].*\.$/);
    for (const [name, field] of Object.entries(route.query)) assert.ok(field.doc.length > 5 && 'type' in field.schema, name);
  }
});
