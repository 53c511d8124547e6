import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Route } from '../../src/core/carrier.js';
import { type CarrierOptions, createCarrier } from '../../src/delivery/carrier.js';
import { createRouter, type RouteRule } from '../../src/delivery/routes.js';
import { silentLog } from '../../src/platform/log.js';
import { createSeededRandom } from '../support/seeded-random.js';
import { createVirtualClock, settle } from '../support/virtual-clock.js';
import { FakeSource, FakeWorld, type WorldOptions } from './fake-sessions.js';
import { type Script, scriptedResolver } from './scripted-resolver.js';

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
