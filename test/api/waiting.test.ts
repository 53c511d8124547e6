/** Giving up: every method that waits takes a signal, and means the same by it, wherever the agent is. */
import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { connectMta, createMta, type MailAgent, type MtaError, type MtaOptions, SmtpClient } from '../../src/index.js';
import { destination, temporaryFolder } from '../support/agent.js';
import { atEnd, type Scope, until } from '../support/scope.js';
import { agentTo, farAgentTo, LETTER } from './agent.js';

type Ask = (mta: MailAgent, id: string, signal: AbortSignal) => Promise<unknown>;

/** Of every method that asks something of an agent and waits for the answer. */
const ASKED: Readonly<Record<string, Ask>> = {
  status: (mta, id, signal) => mta.status(id, { signal }),
  inspect: (mta, id, signal) => mta.inspect(id, { signal }),
  why: (mta, id, signal) => mta.why(id, { signal }),
  list: (mta, _id, signal) => listed(mta, signal),
  hold: (mta, id, signal) => mta.hold({ id }, { signal }),
  release: (mta, id, signal) => mta.release({ id }, { signal }),
  retryNow: (mta, id, signal) => mta.retryNow({ id }, { signal }),
  reschedule: (mta, id, signal) => mta.reschedule({ id }, new Date(0), { signal }),
  fail: (mta, id, signal) => mta.fail({ id }, { reason: 'too late', signal }),
  remove: (mta, id, signal) => mta.remove({ id }, { signal }),
  pause: (mta, _id, signal) => mta.pause({ lane: 'mx:dest.test', signal }),
  resume: (mta, _id, signal) => mta.resume({ all: true, signal }),
  pauses: (mta, _id, signal) => mta.pauses({ signal }),
  mxLookup: (mta, _id, signal) => mta.mxLookup('dest.test', { signal }),
  idle: (mta, _id, signal) => mta.idle({ signal }),
};

async function listed(mta: MailAgent, signal?: AbortSignal): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  for await (const entry of mta.list({}, { signal })) found.push(entry);
  return found;
}

/** A second agent on a shared spool, which works through the first one. */
async function guestTo(scope: Scope, sink: { readonly port: number }, options: MtaOptions = {}): Promise<MailAgent> {
  const spool = await temporaryFolder(scope);
  await agentTo(scope, sink, { ...options, spool, shared: true });
  return agentTo(scope, sink, { ...options, spool, shared: true });
}

function atEveryDoor(name: string, run: (t: TestContext, open: typeof agentTo) => Promise<void>) {
  test(name, (t) => run(t, agentTo));
  test(`${name} (over a socket)`, (t) => run(t, farAgentTo));
  test(`${name} (as a guest on a shared spool)`, (t) => run(t, guestTo));
}

async function givenUp(work: Promise<unknown>, reason: unknown, name = ''): Promise<void> {
  const error = await work.then(
    () => assert.fail(`${name} was not given up`),
    (one: MtaError) => one,
  );
  assert.deepEqual([error.code, error.cause], ['ABORTED', reason], `${name}: ${error}`);
}

atEveryDoor('with a signal that was given already nothing is asked and nothing is changed', async (t, open) => {
  const mta = await open(t, await destination(t));
  const { id } = await mta.send({ ...LETTER, delay: 3600 });
  const reason = new Error('enough');
  const asked = {
    ...ASKED,
    send: (one, _id, signal) => one.send({ ...LETTER, signal }),
    batch: (one, _id, signal) => one.batch(() => {}, { signal }),
  } satisfies Record<string, Ask>;
  for (const [name, ask] of Object.entries(asked)) await givenUp(ask(mta, id, AbortSignal.abort(reason)), reason, name);
  const view = await mta.inspect(id);
  assert.deepEqual([view?.deliveries[0]?.state, view?.deliveries[0]?.attempts, await mta.pauses()], ['waiting', 0, []]);
  assert.equal((await listed(mta)).length, 1);
  // And with one that is never given all of them do what they do.
  const { signal } = new AbortController();
  const { idle: _, ...others } = ASKED;
  for (const ask of Object.values(others)) await ask(mta, id, signal);
  await assert.rejects(mta.status(id, { signal: 'stop' } as never), { code: 'INVALID_OPTIONS' });
  await assert.rejects(mta.hold({ id }, { within: 3 } as never), { code: 'INVALID_OPTIONS' });
});

/** A server for DNS that never answers. */
async function deafDns(scope: Scope): Promise<{ readonly address: string; readonly asked: () => number }> {
  const socket = dgram.createSocket('udp4');
  atEnd(scope, () => new Promise<void>((resolve) => socket.close(resolve)));
  let asked = 0;
  socket.on('message', () => asked++);
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { address: `127.0.0.1:${socket.address().port}`, asked: () => asked };
}

atEveryDoor('what does not answer is waited for until the signal, and no longer', async (t, open) => {
  const dns = await deafDns(t);
  const mta = await open(t, { port: 1 }, { route: [], dns: { servers: [dns.address] } });
  const control = new AbortController();
  const reason = new Error('enough');
  const looking = mta.mxLookup('dest.test', { refresh: true, hostname: dns.address, signal: control.signal });
  await until('the question', () => dns.asked() > 0);
  control.abort(reason);
  await givenUp(looking, reason);
});

test('whatever is given up while an agent does not answer ends there too', async (t) => {
  const socket = join(await temporaryFolder(t), 'deaf.sock');
  const closed: string[] = [];
  const open: string[] = [];
  const about = { hostname: 'x.test', limits: { maxRecipients: 10, connectMs: 1000 }, listening: [] };
  const server = http.createServer((request, response) => {
    const [path = ''] = (request.url ?? '').split('?');
    if (path === '/v1/agent') response.end(JSON.stringify(about));
    else if (path === '/v1/events') response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    else {
      open.push(path);
      response.once('close', () => closed.push(path));
    }
  });
  server.listen(socket);
  await once(server, 'listening');
  atEnd(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const mta = await connectMta({ socket });
  atEnd(t, () => mta.close());
  for (const [name, ask] of Object.entries(ASKED)) {
    const before = [open.length, closed.length] as const;
    const control = new AbortController();
    const reason = new Error(name);
    const asking = ask(mta, '01ARZ3NDEKTSV4RRFFQ69G5FAV', control.signal);
    await until(`${name} to be asked`, () => open.length > before[0]);
    control.abort(reason);
    await givenUp(asking, reason, name);
    await until(`the agent to be told of ${name}`, () => closed.length > before[1]);
  }
  const events = mta.events({ signal: AbortSignal.timeout(50) });
  assert.equal((await events.next()).done, true);
});

test('connecting to what does not answer is given up', async (t) => {
  const socket = join(await temporaryFolder(t), 'deaf.sock');
  let asked = 0;
  const server = http.createServer(() => asked++).listen(socket);
  await once(server, 'listening');
  atEnd(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const control = new AbortController();
  const connecting = connectMta({ socket, signal: control.signal });
  await until('the question', () => asked > 0);
  control.abort();
  await assert.rejects(connecting, { code: 'ABORTED' });
});

test('waiting for a spool that somebody else has is given up, and nobody takes it afterwards', async (t) => {
  const sink = await destination(t);
  const spool = await temporaryFolder(t);
  const owner = await agentTo(t, sink, { spool });
  const control = new AbortController();
  const reason = new Error('enough');
  const opening = createMta({ spool, shared: true, signal: control.signal });
  control.abort(reason);
  await givenUp(opening, reason);
  await owner.close();
  await givenUp(createMta({ spool, signal: control.signal }), reason);
  // What was just being opened is closed again.
  const next = await until('the spool to be free', () => agentTo(t, sink, { spool }).catch(() => undefined));
  assert.equal((await next.send(LETTER)).recipients, 1);
});

atEveryDoor('a batch that is given up is not waited for, and what it queued stays queued', async (t, open) => {
  const mta = await open(t, await destination(t));
  const control = new AbortController();
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  let first = '';
  const batch = mta.batch(
    async () => {
      first = (await mta.send({ ...LETTER, delay: 3600 })).id;
      control.abort('enough');
      await ended;
    },
    { signal: control.signal },
  );
  await givenUp(batch, 'enough');
  end();
  await until('it to be durable', async () => (await mta.status(first)) === 'queued');
});

test('closing is cut short by its signal, also where it was begun without one, and what was on its way stays queued', async (t) => {
  const sink = await destination(t, { script: ({ verb }) => (verb === 'MAIL' ? { hang: true } : undefined) });
  const spool = await temporaryFolder(t);
  const mta = await agentTo(t, sink, { spool, shutdown: { timeout: '10m' } });
  const { id } = await mta.send(LETTER);
  const stream = new Readable({ read() {} });
  const coming = mta.queue({ data: stream, from: 'a@b.test', recipients: 'c@dest.test' });
  coming.catch(() => {});
  await until('the attempt', () => sink.counts.connections === 1);
  const closing = mta.close();
  const control = new AbortController();
  const cut = mta.close({ signal: control.signal });
  control.abort();
  await Promise.all([closing, cut]);
  stream.destroy();
  await assert.rejects(coming);
  const next = await agentTo(t, sink, { spool });
  assert.equal(await next.status(id), 'queued');
  await next.close({ signal: AbortSignal.abort() });
});

test('one signal may end many things at once, without a warning', async (t) => {
  const warned: string[] = [];
  const hear = ({ name, message }: Error) => {
    if (name === 'MaxListenersExceededWarning') warned.push(message);
  };
  process.on('warning', hear);
  atEnd(t, () => process.off('warning', hear));
  const mta = await agentTo(t, await destination(t));
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 30 }, () => mta.send({ ...LETTER, delay: 3600, signal })));
  await Promise.all(Array.from({ length: 30 }, () => mta.status('x', { signal })));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(warned, []);
});

test('a client gives up a command, a message, and its goodbye: the connection is over then', async (t) => {
  const stuck = new Set(['NOOP', 'DOT']);
  const sink = await destination(t, { script: ({ verb }) => (stuck.has(verb) ? { hang: true } : undefined) });
  const letter = { from: 'ann@client.test', recipients: 'joe@dest.test', message: 'Subject: x\r\n\r\nx\r\n' };
  const acts: readonly ((client: SmtpClient, signal: AbortSignal) => Promise<unknown>)[] = [
    (client, signal) => client.command({ send: 'NOOP', signal }),
    (client, signal) => client.send({ ...letter, signal }),
  ];
  for (const act of acts) {
    const client = new SmtpClient({ host: '127.0.0.1', port: sink.port });
    atEnd(t, () => client.close());
    await client.open();
    await givenUp(act(client, AbortSignal.abort('before')), 'before');
    assert.notEqual(client.server, undefined, 'nothing went out');
    const control = new AbortController();
    const acting = act(client, control.signal);
    setImmediate(() => control.abort('enough'));
    await givenUp(acting, 'enough');
    assert.equal(client.server, undefined);
    await client.open();
    void client.command({ send: 'NOOP' }).catch(() => {});
    await client.close({ signal: AbortSignal.abort() });
  }
});
