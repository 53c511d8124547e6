/**
 * G5 and the wake-ups under random histories: whatever is served, accepted, refused, finished, broken and lost in whatever order, no
 * limit is ever exceeded, and a scheduler that relies on nothing but what the pool tells it gets all its work done.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelPolicy } from '../../src/delivery/contract.js';
import { Pool } from '../../src/delivery/pool.js';
import { SiteRoute, SiteTarget } from '../../src/delivery/sites.js';
import { silentLog } from '../../src/platform/log.js';
import fc from '../support/properties.js';
import { createVirtualClock } from '../support/virtual-clock.js';
import { type FakeSession, FakeWorld, fakeJob, trouble } from './fake-sessions.js';
import { ModelScheduler } from './model-scheduler.js';

const PER_SERVER = 2;
const CAP = 5;
const PER_CONNECTION = 3;

const policy: ChannelPolicy = { tls: 'off', tlsName: '', allowInsecureAuth: false, heloName: 'mail.riata.test' };

function target(address: string, preference: number, login: number): SiteTarget {
  return new SiteTarget(address, { family: 4, text: address }, 25, preference, policy, login);
}

/** Sites that share servers, channels, both, or nothing. */
function makeRoutes(): SiteRoute[] {
  const shared = target('192.0.2.1', 10, 1);
  return [
    new SiteRoute('alone', [target('192.0.2.9', 10, 1)], 0),
    new SiteRoute('shared', [shared], 0),
    new SiteRoute('same channel', [shared, target('192.0.2.2', 20, 1)], 0),
    new SiteRoute('other login', [target('192.0.2.1', 10, 2)], 0),
    new SiteRoute(
      'many',
      [target('192.0.2.1', 5, 3), target('192.0.2.2', 5, 3), target('192.0.2.3', 10, 3), target('192.0.2.4', 20, 3)],
      0,
    ),
    new SiteRoute('fourth', [target('192.0.2.4', 10, 1)], 0),
  ];
}

type Step =
  | { readonly kind: 'add'; readonly site: number; readonly count: number }
  | {
      readonly kind:
        | 'accept'
        | 'refuse'
        | 'refuseLogin'
        | 'noRoute'
        | 'take'
        | 'idle'
        | 'worn'
        | 'breakEarly'
        | 'breakLate'
        | 'lose'
        | 'closed';
      readonly at: number;
    }
  | { readonly kind: 'advance'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('add' as const), site: fc.nat(5), count: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'accept',
        'accept',
        'refuse',
        'refuseLogin',
        'noRoute',
        'take',
        'take',
        'idle',
        'worn',
        'breakEarly',
        'breakLate',
        'lose',
        'closed',
        'closed',
      ),
      at: fc.nat(20),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.constantFrom(1, 3_000, 70_000, 130_000) }) },
);

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function act(world: FakeWorld, { kind, at }: Extract<Step, { at: number }>): void {
  const pick = <T>(list: readonly T[]): T | undefined => list[at % Math.max(1, list.length)];
  const session = (state: FakeSession['state']) => pick(world.sessions.filter((one) => one.state === state));
  switch (kind) {
    case 'accept':
      pick(world.openings)?.accept();
      return;
    case 'refuse':
      pick(world.openings)?.refuse(trouble('connect', { reason: 'refused' }));
      return;
    case 'refuseLogin':
      pick(world.openings)?.refuse(trouble('auth', { reason: 'auth' }));
      return;
    case 'noRoute':
      pick(world.openings)?.refuse(trouble('connect', { reason: 'noRoute' }));
      return;
    case 'take':
      oneMessage(session('running'));
      return;
    case 'idle':
      session('running')?.takeAll();
      return;
    case 'worn':
      session('running')?.worn();
      return;
    case 'breakEarly':
    case 'breakLate':
      session('running')?.break(kind === 'breakLate');
      return;
    case 'lose':
      session('idle')?.lose();
      return;
    case 'closed':
      session('closing')?.closed();
  }
}

function oneMessage(session: FakeSession | undefined): void {
  if (session === undefined) return;
  if (session.take() === undefined) {
    session.idle();
    return;
  }
  session.deliver();
  if (session.messages >= PER_CONNECTION) session.worn();
}

/** Everybody answers from now on: what is left to do gets done. */
async function finish(world: FakeWorld, scheduler: ModelScheduler, clock: { advance(ms: number): Promise<void> }): Promise<void> {
  for (let round = 0; round < 200; round++) {
    scheduler.wake();
    for (const opening of [...world.openings]) opening.accept();
    for (const session of world.live) {
      if (session.state === 'running') oneMessage(session);
      else if (session.state === 'closing') session.closed();
    }
    await turn();
    if (scheduler.sites.every(({ ready }) => ready === 0) && scheduler.quiet) break;
  }
  assert.deepEqual(
    scheduler.sites.map(({ route, ready }) => `${route.site}: ${ready}`),
    scheduler.sites.map(({ route }) => `${route.site}: 0`),
    'work was left behind',
  );
  for (let round = 0; round < 20 && world.total > 0; round++) {
    await clock.advance(10_000);
    for (const session of world.live) {
      if (session.state === 'running') session.idle();
      else if (session.state === 'closing') session.closed();
    }
    for (const opening of [...world.openings]) opening.accept();
    await turn();
  }
}

test('limits hold at every instant and no wake-up is lost, whatever happens in whatever order', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 80 }), async (steps) => {
      const routes = makeRoutes();
      const scheduler = new ModelScheduler(routes, () => fakeJob());
      const world = new FakeWorld({
        messagesPerConnection: PER_CONNECTION,
        onChange: ({ open, total }) => {
          for (const [server, count] of open) assert.ok(count <= PER_SERVER, `${count} connections to ${server}`);
          assert.ok(total <= CAP, `${total} connections`);
        },
      });
      const clock = createVirtualClock(0, turn);
      const pool = new Pool({
        clock,
        log: silentLog,
        source: scheduler,
        limits: { connectionsPerServer: PER_SERVER, maxConnections: CAP },
        idleTimeoutMs: 10_000,
        openSession: world.openSession,
      });
      scheduler.carrier = pool;
      for (const one of steps) {
        if (one.kind === 'add') scheduler.add(one.site, one.count);
        else if (one.kind === 'advance') await clock.advance(one.ms);
        else act(world, one);
        await turn();
      }
      await finish(world, scheduler, clock);
      assert.ok(world.sessions.every(({ messages }) => messages <= PER_CONNECTION));
      assert.equal(pool.connections().size, 0, 'every place was given back');
      assert.equal(world.total, 0);
    }),
    { numRuns: 300 },
  );
});

test('limits that change at any moment are kept by what is opened from then on, hurt nothing, and lose no wake-up', async () => {
  const limits = fc.record({ connectionsPerServer: fc.integer({ min: 1, max: 3 }), maxConnections: fc.integer({ min: 1, max: 6 }) });
  const renewal = fc.record({ kind: fc.constant('renew' as const), limits });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof({ weight: 9, arbitrary: step }, renewal), { minLength: 5, maxLength: 80 }), async (steps) => {
      let now = { connectionsPerServer: PER_SERVER, maxConnections: CAP };
      const before = { open: new Map<string, number>(), total: 0 };
      const scheduler = new ModelScheduler(makeRoutes(), () => fakeJob());
      const world = new FakeWorld({
        messagesPerConnection: PER_CONNECTION,
        onChange: ({ open, total }) => {
          // What was open above a lowered limit may stay for a while; nothing is opened above one.
          for (const [server, count] of open) assert.ok(count <= Math.max(now.connectionsPerServer, before.open.get(server) ?? 0), server);
          assert.ok(total <= Math.max(now.maxConnections, before.total));
          before.open = new Map(open);
          before.total = total;
        },
      });
      const clock = createVirtualClock(0, turn);
      const options = { clock, log: silentLog, source: scheduler, idleTimeoutMs: 10_000, openSession: world.openSession };
      const pool = new Pool({ ...options, limits: now });
      scheduler.carrier = pool;
      for (const one of steps) {
        if (one.kind === 'renew') {
          now = one.limits;
          pool.renew({ limits: now, idleTimeoutMs: 10_000 });
        } else if (one.kind === 'add') scheduler.add(one.site, one.count);
        else if (one.kind === 'advance') await clock.advance(one.ms);
        else act(world, one);
        await turn();
      }
      await finish(world, scheduler, clock);
      assert.equal(pool.connections().size, 0, 'every place was given back');
      assert.equal(world.total, 0);
    }),
    { numRuns: 1000 },
  );
});

test('a connection above a lowered limit ends with the message that it carries, and idle ones at once', async () => {
  const routes = makeRoutes();
  const scheduler = new ModelScheduler(routes, () => fakeJob());
  const world = new FakeWorld({ messagesPerConnection: 100, onChange: () => {} });
  const clock = createVirtualClock(0, turn);
  const limits = { connectionsPerServer: 3, maxConnections: 10 };
  const pool = new Pool({ clock, log: silentLog, source: scheduler, limits, idleTimeoutMs: 10_000, openSession: world.openSession });
  scheduler.carrier = pool;
  scheduler.add(0, 3);
  await turn();
  for (const opening of [...world.openings]) opening.accept();
  await turn();
  const [first, second, third] = world.sessions;
  assert.deepEqual([first?.take(), second?.take(), third?.take()].includes(undefined), false, 'all three are in the middle of a message');
  third!.deliver();
  third!.idle();
  await turn();
  pool.renew({ limits: { connectionsPerServer: 1, maxConnections: 10 }, idleTimeoutMs: 10_000 });
  assert.equal(third!.state, 'closing');
  scheduler.add(0, 10);
  first!.deliver();
  second!.deliver();
  assert.notEqual(first!.take(), undefined, 'one goes on');
  assert.equal(second!.take(), undefined, 'the other is given nothing more');
  second!.idle();
  await turn();
  assert.equal(second!.state, 'closing');
});
