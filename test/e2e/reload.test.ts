/** Another configuration, taken while mail flows: nobody is cut off, waiting mail follows, and what is wrong changes nothing. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import tls from 'node:tls';
import type { Config } from '../../src/config/config.js';
import { configFromOptions } from '../../src/config/load.js';
import type { SinkScript } from '../../src/dev/sink.js';
import { type Agent, destination, HOSTNAME, message, relayTo, startAgent, subjectOf, temporaryFolder } from '../support/agent.js';
import { createCertificate } from '../support/certificate.js';
import { freePlace, NOBODY } from '../support/loopback.js';
import { never, until } from '../support/scope.js';
import { talk } from '../support/talk.js';

type Sections = { readonly [K in 'submission' | 'delivery' | 'retry' | 'spool']?: Partial<Config[K]> };

/** The configuration in force, with some of it changed. */
function changed({ mta }: Agent, { submission, delivery, retry, spool, ...rest }: Sections & { readonly route?: Config['route'] }): Config {
  const now = mta.config;
  return {
    ...now,
    ...rest,
    submission: { ...now.submission, ...submission },
    delivery: { ...now.delivery, ...delivery },
    retry: { ...now.retry, ...retry },
    spool: { ...now.spool, ...spool },
  };
}

function routes(...route: NonNullable<Parameters<typeof configFromOptions>[0]['route']>): Config['route'] {
  return configFromOptions({ route }, { machineName: HOSTNAME }).config.route;
}

const refuses = ({ host, port }: { readonly host: string; readonly port: number }) =>
  talk(port, host).then(
    (line) => (line.end(), false),
    () => true,
  );

test('a session in the middle of a message goes on, whatever becomes of its address; new sessions get the new rules', async (t) => {
  const sink = await destination(t);
  const old = freePlace();
  const agent = await startAgent(t, { route: [relayTo(sink)], submission: { listen: [`${old.host}:${old.port}`] } });
  const line = await talk(old.port, old.host);
  await line.reply();
  await line.say('EHLO client.test');
  for (const command of ['MAIL FROM:<ann@example.test>', 'RCPT TO:<bob@dest.test>', 'DATA']) await line.say(command);

  const changes = await agent.mta.reload(
    changed(agent, { submission: { listen: [{ host: '127.0.0.1', port: 0 }], maxRecipients: 1, trustedNetworks: ['192.0.2.0/24'] } }),
  );
  assert.deepEqual(changes.taken, ['submission.listen', 'submission.trustedNetworks', 'submission.maxRecipients']);
  assert.deepEqual(changes.atNextStart, []);
  const [{ port } = { port: 0 }] = agent.mta.listening();
  assert.ok(await refuses(old), 'the old address takes no new session');

  assert.match(await line.say(`${message('through a reload')}.`), /^250 /);
  await line.say('MAIL FROM:<ann@example.test>');
  await line.say('RCPT TO:<bob@dest.test>');
  assert.match(await line.say('RCPT TO:<eve@dest.test>'), /^452 4\.5\.3 /, 'limits are those of now');
  assert.match(await line.say('QUIT'), /^221 /);

  const other = await talk(port);
  await other.reply();
  await other.say('EHLO client.test');
  assert.match(await other.say('MAIL FROM:<ann@example.test>'), /^550 5\.7\.1 /, 'it is not of a trusted network any more');
  other.end();
  await sink.received(1);
  assert.equal(subjectOf(sink.messages[0]!.bytes), 'through a reload');
});

test('an address that stays keeps its listener, and its sessions', async (t) => {
  const agent = await startAgent(t);
  const line = await talk(agent.port);
  await line.reply();
  await agent.mta.reload(
    changed(agent, {
      submission: {
        listen: [{ host: '127.0.0.1', port: 0 }, freePlace()],
      },
    }),
  );
  assert.deepEqual([agent.mta.listening().length, agent.mta.listening()[0]?.port], [2, agent.port]);
  assert.match(await line.say('NOOP'), /^250 /);
  line.end();
});

test('mail that waits follows the new routes at once: behind a server that is down, and for its next attempt', async (t) => {
  const [old, relay] = [await destination(t), await destination(t)];
  const route = routes(relayTo(NOBODY, { domain: 'down.test' }), relayTo(old));
  const agent = await startAgent(t, { retry: { firstDelay: '1h' } });
  await agent.mta.reload(changed(agent, { route }));
  const behind = await Promise.all([1, 2, 3].map(() => agent.submit({ to: 'bob@down.test' })));
  const tried = await agent.submit({ to: 'once-450@dest.test' });
  await until('both lanes to have had their trouble', () => agent.events.filter(({ type }) => type === 'deferred').length >= 2);

  const changes = await agent.mta.reload(changed(agent, { route: routes(relayTo(relay)) }));
  assert.deepEqual(changes.taken, ['route']);
  // What merely waited behind the one that was charged is ready, and leaves now; the others at their time, or when told.
  await relay.received(2);
  await agent.verbs.change({ action: 'retry', selector: { all: true } });
  for (const id of [...behind]) assert.equal((await agent.settled(id)).status, 'sent');
  await until(
    'the deferred one to be asked for at the new server',
    async () => (await agent.verbs.status(tried)).recipients[0]!.attempts === 2,
  );
  assert.equal(old.counts.messages, 0);
});

test('another password of the same relay reaches the mail that waits for it', async (t) => {
  const sink = await destination(t, { users: { riata: 'new' } });
  const login = (password: string) => routes(relayTo(sink, { username: 'riata', password, tls: 'off' }));
  const agent = await startAgent(t, { retry: { firstDelay: '1h' } });
  await agent.mta.reload(changed(agent, { route: login('old') }));
  const first = await agent.submit({ to: 'bob@dest.test' });
  await agent.event('fault', ({ code }) => code === 'AUTH_REFUSED');
  const second = await agent.submit({ to: 'bob@dest.test' });
  await agent.mta.reload(changed(agent, { route: login('new') }));
  assert.equal((await agent.settled(second)).status, 'sent');
  await agent.verbs.change({ action: 'retry', selector: { all: true } });
  assert.equal((await agent.settled(first)).status, 'sent');
});

test('what is wrong with a new configuration is told, and nothing of it is taken', async (t) => {
  const [sink, other] = [await destination(t), await destination(t)];
  const taken = net.createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await new Promise((resolve) => taken.once('listening', resolve));
  const busy = { host: '127.0.0.1', port: (taken.address() as net.AddressInfo).port };
  const agent = await startAgent(t, { route: [relayTo(sink)] });
  const before = agent.mta.config;
  const listening = agent.mta.listening();
  const route = routes(relayTo(other));

  const wrong = (submission: Partial<Config['submission']>) => agent.mta.reload(changed(agent, { route, submission }));
  const free = freePlace();
  await assert.rejects(wrong({ listen: [free, busy], maxRecipients: 1 }), { code: 'ADDRESS_IN_USE' });
  assert.ok(await refuses(free), 'what was opened is closed again');
  const missing = join(await temporaryFolder(t), 'none.pem');
  await assert.rejects(wrong({ tls: { certFile: missing, keyFile: missing } }), { code: 'INVALID_OPTIONS' });
  writeFileSync(missing, 'no certificate');
  await assert.rejects(wrong({ tls: { certFile: missing, keyFile: missing } }), /the certificate or its key cannot be used/);
  await assert.rejects(
    agent.mta.reload(changed(agent, { route: routes({ host: 'a.test' }).map((rule) => ({ ...rule, username: 'u' })) })),
    {
      code: 'INVALID_OPTIONS',
    },
  );

  assert.deepEqual([agent.mta.config, agent.mta.listening()], [before, listening]);
  const id = await agent.submit({ to: ['bob@dest.test', 'ann@dest.test'] });
  assert.equal((await agent.settled(id)).status, 'sent');
  assert.deepEqual([sink.counts.messages, other.counts.messages], [1, 0]);
});

test('a renewed certificate is shown from the next handshake on, and STARTTLS comes and goes with it', async (t) => {
  const folder = await temporaryFolder(t);
  const files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
  const write = () => {
    const { cert, key } = createCertificate();
    writeFileSync(files.certFile, cert);
    writeFileSync(files.keyFile, key);
    return cert;
  };
  const first = write();
  const agent = await startAgent(t, { submission: { listen: ['127.0.0.1:0'], listenTls: ['127.0.0.1:0'], tls: files } });
  const [plain, implicit] = agent.mta.listening();
  const shown = () => peerCertificate(implicit!.port);
  assert.equal(await shown(), der(first));
  const second = write();
  await agent.mta.reload(agent.mta.config);
  assert.equal(await shown(), der(second));

  const ehlo = async () => {
    const line = await talk(plain!.port);
    await line.reply();
    const offered = await line.say('EHLO client.test');
    line.end();
    return offered.includes('STARTTLS');
  };
  assert.equal(await ehlo(), true);
  await agent.mta.reload(changed(agent, { submission: { listenTls: [], tls: { certFile: '', keyFile: '' } } }));
  assert.equal(await ehlo(), false);
  await agent.mta.reload(changed(agent, { submission: { tls: files } }));
  assert.equal(await ehlo(), true);
});

test('numbers of connections hold at once, raised as well as lowered', async (t) => {
  let release = () => {};
  let held = new Promise<void>((resolve) => (release = resolve));
  const script: SinkScript = ({ verb }) => (verb === 'DOT' ? held.then(() => undefined) : undefined);
  const sink = await destination(t, { script });
  const agent = await startAgent(t, { route: [relayTo(sink)], delivery: { connectionsPerServer: 1 } });
  const submit = (count: number) => Promise.all(Array.from({ length: count }, () => agent.submit({ to: 'bob@dest.test' })));
  await submit(12);
  await until('the one connection', () => sink.counts.open === 1);
  await never('a second connection', () => sink.counts.open > 1, 100);
  await agent.mta.reload(changed(agent, { delivery: { connectionsPerServer: 4 } }));
  await until('four connections', () => sink.counts.open === 4);
  await agent.mta.reload(changed(agent, { delivery: { connectionsPerServer: 2 } }));
  release();
  await sink.received(12);
  await until('the surplus ones to end', () => sink.counts.open <= 2);
  held = new Promise<void>((resolve) => (release = resolve));
  await submit(8);
  await until('two connections', () => sink.counts.open === 2);
  await never('a third connection', () => sink.counts.open > 2, 200);
  await agent.mta.reload(changed(agent, { delivery: { maxConnections: 1 } }));
  release();
  await sink.received(20);
  await until('all but one to end', () => sink.counts.open <= 1);
  assert.deepEqual([sink.counts.mostOpen, sink.violations], [4, []]);
});

test('the largest message, and the times of retries, are those of now; what needs a start is named', async (t) => {
  const sink = await destination(t);
  const agent = await startAgent(t, { route: [relayTo(sink)], retry: { firstDelay: '1h', maxDelay: '2h' } });
  const wanted = changed(agent, { spool: { maxMessageSize: 2048, path: '/elsewhere' }, retry: { firstDelay: 1000, jitter: 0 } });
  const changes = await agent.mta.reload({ ...wanted, hostname: 'other.test', dns: { servers: [{ host: '192.0.2.1', port: 53 }] } });
  assert.deepEqual(changes.atNextStart, ['hostname', 'spool.path', 'dns.servers']);
  assert.deepEqual([agent.mta.config.hostname, agent.mta.config.spool.maxMessageSize], [HOSTNAME, 2048]);
  const line = await talk(agent.port);
  await line.reply();
  assert.match(await line.say('EHLO client.test'), /SIZE 2048/);
  assert.match(await line.say('MAIL FROM:<a@b.test> SIZE=4096'), /^552 /);
  line.end();
  await agent.submit({ to: 'once-450@dest.test' });
  const { nextAttemptAt, at } = await agent.event('deferred');
  assert.ok(nextAttemptAt - at < 2000);
});

test('an agent that listened nowhere can be told to listen, and one that stops takes nothing any more', async (t) => {
  const agent = await startAgent(t, { submission: { listen: [] } });
  assert.deepEqual(agent.mta.listening(), []);
  await agent.mta.reload(changed(agent, { submission: { listen: [{ host: '127.0.0.1', port: 0 }] } }));
  const [{ port } = { port: 0 }] = agent.mta.listening();
  assert.match(await (await talk(port)).reply(), /^220 /);
  const closing = agent.close();
  await assert.rejects(agent.mta.reload(agent.mta.config), { code: 'ABORTED' });
  await closing;
});

function der(pem: string): string {
  return pem.split('-----')[2]!.replace(/\s/g, '');
}

function peerCertificate(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      const { raw } = socket.getPeerCertificate();
      socket.destroy();
      resolve(raw.toString('base64'));
    });
    socket.once('error', reject);
  });
}
