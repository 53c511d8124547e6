/** Mail that waits goes where the settings of today send it, and mail that would go in a circle comes to an end. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import type { ConfigOptions } from '../../src/config/config.js';
import { type Agent, destination, madeUpDns, message, relayTo, startAgent, subjectOf, temporaryFolder } from '../support/agent.js';
import { atEnd, type Scope, until } from '../support/scope.js';

type Routes = NonNullable<ConfigOptions['route']>;

/** Where each of them has arrived, by recipient. */
const recipients = (sink: Awaited<ReturnType<typeof destination>>) => sink.messages.flatMap((one) => one.recipients).sort();

test('mail that waits for a relay of yesterday leaves by the routes of today, wherever these lead', async (t) => {
  const spool = await temporaryFolder(t);
  const [old, one, others] = [await destination(t), await destination(t), await destination(t)];
  const dns = await madeUpDns(t, { 'mx.test': { a: ['127.0.0.1'] }, 'direct.test': { mx: [[10, 'mx.test']] } });
  const start = (route: Routes): Promise<Agent> =>
    startAgent(t, { spool, route, dns: { servers: [dns.address] }, retry: { firstDelay: '1h' } }, { mxPort: others.port });

  const yesterday = await start([relayTo(old)]);
  const to = ['once-450@one.test', 'once-451@two.test', 'once-452@direct.test', 'once-453@one.test'];
  const together = await yesterday.submit({ to });
  const high = await yesterday.submit({ to: 'once-454@one.test', priority: 'high' });
  const later = await yesterday.submit({ to: 'ok@two.test', notBefore: Date.now() + 3_600_000 });
  await until('all to be put off', async () => (await yesterday.verbs.stats()).counts.waiting === 3);
  await yesterday.close();
  assert.equal(old.counts.messages, 0);

  const today = await start([relayTo(one, { domain: 'one.test' }), relayTo(others, { domain: 'two.test' })]);
  await today.verbs.change({ action: 'retry', selector: { all: true } });
  // Recipients choose their fate anew at servers that they were not at before.
  await until('those servers to be asked', async () =>
    (await today.verbs.status(together)).recipients.every(({ attempts }) => attempts === 2),
  );
  await today.verbs.change({ action: 'retry', selector: { all: true } });
  for (const id of [together, high, later]) assert.equal((await today.settled(id)).status, 'sent');
  assert.deepEqual(recipients(one), ['once-450@one.test', 'once-453@one.test', 'once-454@one.test']);
  assert.deepEqual(recipients(others), ['ok@two.test', 'once-451@two.test', 'once-452@direct.test']);
  assert.deepEqual((await today.verbs.show(together)).deliveries.map(({ lane }) => lane.split(':').slice(0, 2).join(':')).sort(), [
    'host:127.0.0.1',
    'host:127.0.0.1',
    'mx:direct.test',
  ]);
  assert.equal(old.counts.messages, 0);
  assert.deepEqual((await today.verbs.stats()).counts.messages, 0);
});

test('an agent that relays to itself ends the circle, and the report that cannot come back is recorded', async (t) => {
  const self = await doorTo(t);
  const agent = await startAgent(t, { route: [relayTo({ port: self.port })] });
  self.open(agent.port);
  const id = await agent.submit({ from: 'ann@example.test', to: 'bob@dest.test' });
  const looped = await agent.event('bounced', ({ sender }) => sender !== '');
  assert.equal(looped.status, '5.4.6');
  assert.match(looped.text, /^554 5\.4\.6 /);
  assert.notEqual(looped.id, id);
  // The report goes in a circle as well, and nothing is reported of it.
  const report = await agent.event('bounced', ({ sender }) => sender === '');
  assert.deepEqual([report.recipient, report.status], ['ann@example.test', '5.4.6']);
  await agent.mta.idle(AbortSignal.timeout(60_000));
  assert.equal(agent.events.filter(({ type }) => type === 'bounced').length, 2);
  assert.equal((await agent.verbs.stats()).counts.messages, 0);
});

/** A port whose other side is told later. */
async function doorTo(scope: Scope): Promise<{ readonly port: number; open(port: number): void }> {
  let behind = 0;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((client) => {
    const inner = net.connect(behind, '127.0.0.1');
    for (const socket of [client, inner]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    client.pipe(inner).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(scope, () => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as net.AddressInfo).port, open: (port) => void (behind = port) };
}

test('one agent hands to another, which finds everything as it was', async (t) => {
  const sink = await destination(t);
  const second = await startAgent(t, { hostname: 'second.test', route: [relayTo(sink)] });
  const first = await startAgent(t, { hostname: 'first.test', route: [relayTo(second)] });
  const content = Buffer.from(`${message('twice', '')}.\r\n..\r\nGr\u00fc\u00dfe\r\n${'x'.repeat(3000)}\r\n`);
  const ids = await Promise.all(Array.from({ length: 50 }, (_, at) => first.submit({ to: `user-${at}@dest.test`, content })));
  for (const id of ids) assert.equal((await first.settled(id)).status, 'sent');
  await second.mta.idle(AbortSignal.timeout(60_000));
  assert.equal(sink.counts.messages, 50);
  for (const { bytes } of sink.messages) {
    assert.equal(subjectOf(bytes), 'twice');
    const trace = /^Received: from first\.test [^;]*by second\.test[^;]*;\r\n\t.*\r\n/.exec(bytes.toString('latin1'))![0];
    assert.deepEqual(bytes.subarray(trace.length), content);
  }
  assert.deepEqual(sink.violations, []);
});
