import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Route } from '../../src/core/carrier.js';
import { type CarrierOptions, createCarrier } from '../../src/delivery/carrier.js';
import { createRouter, type RouteRule } from '../../src/delivery/routes.js';
import { startSink } from '../../src/dev/sink.js';
import { systemClock } from '../../src/platform/clock.js';
import { systemDialer } from '../../src/platform/dialer.js';
import { silentLog } from '../../src/platform/log.js';
import { createSeededRandom } from '../support/seeded-random.js';
import { createVirtualClock, settle } from '../support/virtual-clock.js';
import { FakeSource, FakeWorld, type WorldOptions } from './fake-sessions.js';
import { ModelScheduler } from './model-scheduler.js';
import { type Script, scriptedResolver } from './scripted-resolver.js';
import { makeJob, TIMEOUTS } from './session-rig.js';

const relay: RouteRule = {
  domain: '*',
  sender: '*',
  host: '127.0.0.1',
  port: 2525,
  allowInsecureAuth: false,
};

interface Bench {
  readonly script?: Script;
  readonly rules?: readonly RouteRule[];
  readonly world?: WorldOptions;
  readonly options?: Partial<CarrierOptions>;
}

function bench({ script = {}, rules = [], world: worldOptions = {}, options = {} }: Bench = {}) {
  const world = new FakeWorld(worldOptions);
  const source = new FakeSource();
  const clock = createVirtualClock();
  const resolver = scriptedResolver(script);
  const router = createRouter({ routes: rules, heloName: 'mail.riata.test' });
  const carrier = createCarrier({
    router,
    resolver,
    dialer: { connect: () => Promise.reject(new Error('no network here')), secure: () => Promise.reject(new Error('no network here')) },
    clock,
    random: createSeededRandom(1),
    log: silentLog,
    source,
    limits: { connectionsPerServer: 5, messagesPerConnection: 100, maxConnections: 200 },
    idleTimeoutMs: 10_000,
    timeouts: { connect: 1000, greeting: 1000, command: 1000, data: 1000, finalDot: 1000 },
    transcripts: 'all',
    hostname: 'mail.riata.test',
    heloName: 'mail.riata.test',
    sourceAddresses: [],
    allowPrivateAddresses: false,
    openSession: world.openSession,
    ...options,
  });
  const routeTo = async (recipient: string, sender = ''): Promise<Route> => {
    const answer = await carrier.route(router.laneOf(recipient, sender), new AbortController().signal);
    if (answer.kind !== 'route') assert.fail(answer.trouble.text);
    return answer.route;
  };
  return { world, source, clock, resolver, router, carrier, routeTo };
}

/** Real connections to a sink on loopback: as a relay, or as whatever the script of names says. */
async function live(port: number, limits: Partial<CarrierOptions['limits']> = {}, login: Partial<RouteRule> = {}, script?: Script) {
  const rules = script ? [] : [{ ...relay, ...login, port }];
  const router = createRouter({ routes: rules, heloName: 'mail.riata.test', mxPort: port });
  const scheduler = new ModelScheduler([], () => makeJob());
  const carrier = createCarrier({
    router,
    resolver: scriptedResolver(script ?? {}),
    dialer: systemDialer,
    clock: systemClock,
    random: createSeededRandom(1),
    log: silentLog,
    source: scheduler,
    limits: { connectionsPerServer: 5, messagesPerConnection: 100, maxConnections: 200, ...limits },
    idleTimeoutMs: 10_000,
    timeouts: TIMEOUTS,
    transcripts: 'all',
    hostname: 'mail.riata.test',
    heloName: 'mail.riata.test',
    sourceAddresses: [],
    allowPrivateAddresses: true,
  });
  const answer = await carrier.route(router.laneOf('a@example.com', ''), new AbortController().signal);
  if (answer.kind !== 'route') assert.fail(answer.trouble.text);
  scheduler.addSite(answer.route);
  scheduler.carrier = carrier;
  const finished = () =>
    new Promise<void>((resolve) => {
      scheduler.onEnd = () => scheduler.quiet && resolve();
      scheduler.onEnd();
    });
  return { carrier, scheduler, finished };
}

test('mail for a fixed relay goes over one connection, that idles and then quits', async () => {
  const { world, source, clock, carrier, routeTo } = bench({ rules: [relay], world: { automatic: true } });
  const route = await routeTo('a@example.com');
  assert.deepEqual(
    route.targets.map(({ host, address, port }) => `${host} ${address} ${port}`),
    ['127.0.0.1 127.0.0.1 2525'],
  );
  source.add(route.targets[0]!.channel, 3);
  assert.equal(carrier.serve(route), 'served');
  assert.equal(source.asked, 0, 'nothing is asked of the source before serve has returned');
  world.openings[0]!.accept();
  await settle();
  assert.deepEqual(source.told, ['done', `well ${route.site}`, 'done', 'done']);
  assert.deepEqual([...carrier.connections()], [['127.0.0.1[127.0.0.1]:2525', { open: 1, busy: 0 }]]);
  await clock.advance(9_999);
  assert.equal(world.live.length, 1);
  await clock.advance(1);
  assert.equal(world.live.length, 0);
  assert.equal(carrier.connections().size, 0);
  assert.equal(source.told.at(-1), `room ${route.site}`);
});

test('at one time all connections of a hundred-message burst keep within five to the server, each within its messages', async () => {
  const sink = await startSink();
  try {
    const { carrier, scheduler, finished } = await live(sink.port, { messagesPerConnection: 7 });
    scheduler.add(0, 100);
    await finished();
    assert.equal(sink.messages.length, 100);
    assert.equal(sink.counts.mostOpen, 5);
    const perConnection = new Map<number, number>();
    for (const { connection } of sink.messages) perConnection.set(connection, (perConnection.get(connection) ?? 0) + 1);
    assert.equal(Math.max(...perConnection.values()), 7);
    assert.deepEqual(sink.violations, []);
    assert.ok(scheduler.results.every(({ outcomes }) => outcomes.every(({ kind }) => kind === 'delivered')));
    await carrier.close(AbortSignal.abort());
    await sink.idle();
  } finally {
    await sink.close();
  }
});

test('one message per connection never means more connections at the server than allowed', async () => {
  const sink = await startSink();
  try {
    const { carrier, scheduler, finished } = await live(sink.port, { messagesPerConnection: 1, connectionsPerServer: 2 });
    scheduler.add(0, 40);
    await finished();
    assert.equal(sink.counts.connections, 40);
    assert.equal(sink.counts.mostOpen, 2);
    await carrier.close(AbortSignal.abort());
  } finally {
    await sink.close();
  }
});

test('what a server remembers of a connection holds no password', async () => {
  const sink = await startSink({ users: { alice: 'wonder-land-9' } });
  try {
    const { carrier, scheduler, finished } = await live(sink.port, {}, { username: 'alice', password: 'wonder-land-9', tls: 'off' });
    scheduler.add(0, 1);
    await finished();
    assert.equal(sink.messages[0]!.user, 'alice');
    assert.doesNotMatch(JSON.stringify(scheduler.results), /wonder/);
    assert.deepEqual(Object.keys(scheduler.results[0]!.server).sort(), ['address', 'host', 'port']);
    await carrier.close(AbortSignal.abort());
  } finally {
    await sink.close();
  }
});

test('where the best exchanger refuses connections, mail goes to the next', async () => {
  const sink = await startSink();
  try {
    const script: Script = {
      mx: {
        'example.com': [
          [10, 'dead.example'],
          [20, 'live.example'],
        ],
      },
      addresses: { 'dead.example': ['127.0.0.2'], 'live.example': ['127.0.0.1'] },
    };
    const { carrier, scheduler, finished } = await live(sink.port, {}, undefined, script);
    scheduler.add(0, 3);
    await finished();
    assert.equal(sink.messages.length, 3);
    assert.deepEqual(scheduler.troubles, []);
    assert.equal(scheduler.results[0]!.server.host, 'live.example');
    await carrier.close(AbortSignal.abort());
  } finally {
    await sink.close();
  }
});

test('a server that greets a third connection with 421 gets two, and all mail over these', async () => {
  let open = 0;
  const sink = await startSink({
    script: ({ verb }) => (verb === 'CONNECT' && ++open > 2 ? ['421 4.7.0 too many connections', { drop: 'end' }] : undefined),
  });
  try {
    const { carrier, scheduler, finished } = await live(sink.port);
    scheduler.add(0, 60);
    await finished();
    assert.equal(sink.messages.length, 60);
    assert.deepEqual(scheduler.troubles, []);
    assert.ok(open <= 5, `${open} connections tried`);
    await carrier.close(AbortSignal.abort());
  } finally {
    await sink.close();
  }
});

test('connections that were cut while idle are replaced, and no mail is lost with them', async () => {
  const sink = await startSink();
  try {
    const { carrier, scheduler, finished } = await live(sink.port, { connectionsPerServer: 1 });
    scheduler.add(0, 5);
    await finished();
    sink.cut();
    scheduler.add(0, 5);
    await finished();
    assert.equal(sink.messages.length, 10);
    assert.deepEqual(scheduler.troubles, []);
    await carrier.close(AbortSignal.abort());
  } finally {
    await sink.close();
  }
});

test('closing waits for the answer to a dot that was sent, and takes nothing new', async () => {
  let answer = (_: string) => {};
  const answered = new Promise<string>((resolve) => (answer = resolve));
  let atDot = () => {};
  const reachedDot = new Promise<void>((resolve) => (atDot = resolve));
  const sink = await startSink({
    script: ({ verb }) => {
      if (verb !== 'DOT') return undefined;
      atDot();
      return answered.then(() => undefined);
    },
  });
  try {
    const { carrier, scheduler } = await live(sink.port, { connectionsPerServer: 1 });
    scheduler.add(0, 3);
    await reachedDot;
    let closed = false;
    const closing = carrier.close(new AbortController().signal).then(() => (closed = true));
    await settle();
    assert.equal(closed, false);
    answer('now');
    await closing;
    assert.equal(sink.messages.length, 1);
    assert.deepEqual(
      scheduler.results.map(({ outcomes }) => outcomes[0]!.kind),
      ['delivered'],
    );
    assert.equal(carrier.connections().size, 0);
  } finally {
    await sink.close();
  }
});

// — the view of `riata mx` —

test('the view shows the exchangers, fit and unfit, and asks anew where that is wanted', async () => {
  const { carrier, resolver, routeTo } = bench({
    script: {
      mx: {
        'example.com': [
          [10, 'mx1.example'],
          [20, 'mx2.example'],
          [30, 'none.example'],
        ],
      },
      addresses: { 'mx1.example': ['1.1.1.1', '127.0.0.1'], 'mx2.example': ['2600::1'] },
    },
  });
  const view = await carrier.mxLookup('Example.COM');
  assert.deepEqual(view, {
    domain: 'example.com',
    lane: 'mx:example.com',
    description: 'the mail servers of example.com',
    via: 'mx',
    tls: 'opportunistic',
    hasPassword: false,
    heloName: 'mail.riata.test',
    servers: [
      { host: 'mx1.example', port: 25, preference: 10, addresses: ['1.1.1.1'], refused: [{ address: '127.0.0.1', why: 'loopback' }] },
      { host: 'mx2.example', port: 25, preference: 20, addresses: ['2600::1'], refused: [] },
      { host: 'none.example', port: 25, preference: 30, addresses: [], refused: [], passedBy: 'has no address' },
    ],
    ttlMs: 300_000,
  });
  await routeTo('a@example.com');
  resolver.asked.length = 0;
  await carrier.mxLookup('a@example.com', { refresh: true });
  assert.equal(resolver.asked[0], 'mx example.com anew');
  assert.equal(resolver.asked[1], 'a mx1.example anew');
  resolver.asked.length = 0;
  await routeTo('a@example.com');
  assert.equal(resolver.asked[0], 'mx example.com', 'deliveries have the new answer, too');
});

test('the view of a routed domain shows the route and its login, never the password', async () => {
  const { carrier } = bench({
    rules: [{ ...relay, host: 'relay.example', sender: '@news.test', username: 'alice', password: 'wonder-land-9', port: 587 }],
    script: { hosts: { 'relay.example': ['10.0.0.1'] }, mx: { 'example.com': { kind: 'failed', text: 'SERVFAIL' } } },
  });
  const view = await carrier.mxLookup('example.com', { sender: 'x@news.test' });
  assert.equal(view.via, 'relay');
  assert.equal(view.description, 'relay.example:587 as alice');
  assert.deepEqual([view.username, view.hasPassword, view.tls], ['alice', true, 'starttls']);
  assert.deepEqual(view.servers, [{ host: 'relay.example', port: 587, preference: 0, addresses: ['10.0.0.1'], refused: [] }]);
  assert.doesNotMatch(JSON.stringify(view), /wonder/);
  const other = await carrier.mxLookup('example.com');
  assert.equal(other.trouble?.status, '4.4.3');
});

test('the view of a literal judges it, and what is no domain is refused', async () => {
  const { carrier } = bench();
  assert.equal((await carrier.mxLookup('[127.0.0.1]')).trouble?.reason, 'refusedAddress');
  assert.deepEqual((await carrier.mxLookup('[8.8.8.8]')).servers[0]!.addresses, ['8.8.8.8']);
  for (const text of ['', 'a b', '1.2.3.4', '<>', 'x@']) {
    await assert.rejects(carrier.mxLookup(text), { code: 'INVALID_ADDRESS' }, text);
  }
});

test('a route that another carrier made is refused', async () => {
  const { carrier } = bench();
  assert.throws(() => carrier.serve({ site: 's', targets: [], expiresAt: 0 }), TypeError);
});
