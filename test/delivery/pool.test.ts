import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelPolicy } from '../../src/delivery/contract.js';
import { Pool } from '../../src/delivery/pool.js';
import { FAILING_MS, RAISE_MS } from '../../src/delivery/servers.js';
import { SiteRoute, SiteTarget } from '../../src/delivery/sites.js';
import { silentLog } from '../../src/platform/log.js';
import { createVirtualClock, settle } from '../support/virtual-clock.js';
import { FakeSource, FakeWorld, type Opening, trouble, type WorldOptions } from './fake-sessions.js';

const policy: ChannelPolicy = { tls: 'opportunistic', tlsName: '', allowInsecureAuth: false, heloName: 'mail.riata.test' };

/** `192.0.2.1`, or `192.0.2.1 20` with a preference; `login` stands for the credentials. */
function target(text: string, login = 1): SiteTarget {
  const [address, preference = '10'] = text.split(' ');
  return new SiteTarget(`mx-${address}`, { family: address!.includes(':') ? 6 : 4, text: address! }, 25, Number(preference), policy, login);
}

function route(site: string, ...targets: readonly SiteTarget[]): SiteRoute {
  return new SiteRoute(site, targets, 0);
}

function bench(limits: { connectionsPerServer?: number; maxConnections?: number } = {}, worldOptions: WorldOptions = {}) {
  const world = new FakeWorld(worldOptions);
  const source = new FakeSource();
  const clock = createVirtualClock();
  const pool = new Pool({
    clock,
    log: silentLog,
    source,
    limits: { connectionsPerServer: 5, maxConnections: 200, ...limits },
    idleTimeoutMs: 10_000,
    openSession: world.openSession,
  });
  const addresses = () => world.openings.map(({ server }) => server.address);
  const refuse = async (
    why = trouble('connect', { reason: 'refused', text: 'refused' }),
    opening: Opening | undefined = world.openings[0],
  ) => {
    opening!.refuse(why);
    await settle();
  };
  const accept = async (opening: Opening | undefined = world.openings[0]) => {
    const session = opening!.accept();
    await settle();
    return session;
  };
  return { world, source, clock, pool, addresses, refuse, accept };
}

const never = new AbortController().signal;

// — places —

test('a server gets five connections, opening ones counted, and the sixth is refused until one has closed', async () => {
  const { pool, source, accept, refuse, addresses } = bench();
  const there = route('s', target('192.0.2.1'));
  for (let n = 0; n < 5; n++) assert.equal(pool.serve(there), 'served');
  assert.equal(pool.serve(there), 'full');
  const session = await accept();
  assert.equal(pool.serve(there), 'full');
  session.worn();
  await settle();
  assert.equal(source.told.at(-1), 'room s');
  assert.equal(pool.serve(there), 'served');
  assert.equal(pool.serve(there), 'full');
  assert.equal(addresses().length, 5);
  // A connection that closes before it is ready gives its place back too.
  await refuse();
  assert.ok(addresses().length < 5);
});

test('the limit counts all channels of a server together', async () => {
  const { pool } = bench();
  const mine = route('mine', target('192.0.2.1', 1));
  const yours = route('yours', target('192.0.2.1', 2));
  for (let n = 0; n < 3; n++) assert.equal(pool.serve(mine), 'served');
  for (let n = 0; n < 2; n++) assert.equal(pool.serve(yours), 'served');
  assert.equal(pool.serve(mine), 'full');
  assert.equal(pool.serve(yours), 'full');
  assert.deepEqual([...pool.connections()], [['mx-192.0.2.1[192.0.2.1]:25', { open: 5, busy: 0 }]]);
});

test('a site that found a server full is told when a connection of another site there has ended', async () => {
  const { pool, source, accept } = bench({ connectionsPerServer: 1 });
  pool.serve(route('mine', target('192.0.2.1', 1)));
  const session = await accept();
  assert.equal(pool.serve(route('yours', target('192.0.2.1', 2))), 'full');
  session.worn();
  await settle();
  assert.deepEqual(source.told, ['room mine', 'room yours']);
});

test('of several who wait for one place only as many are told as there are places', async () => {
  const { pool, source, accept } = bench({ connectionsPerServer: 1 });
  const routes = ['a', 'b', 'c'].map((site, n) => route(site, target('192.0.2.1', n)));
  source.onRoom = (site) => {
    const [next] = wanting;
    if (next?.site !== site) return;
    wanting.shift();
    assert.equal(pool.serve(next), 'served');
  };
  const wanting = routes.slice(1);
  pool.serve(routes[0]!);
  const session = await accept();
  assert.equal(pool.serve(routes[1]!), 'full');
  assert.equal(pool.serve(routes[2]!), 'full');
  session.worn();
  await settle();
  assert.deepEqual(source.told, ['room a', 'room b'], 'b took the place, c waits on');
  (await accept()).worn();
  await settle();
  assert.deepEqual(source.told, ['room a', 'room b', 'room b', 'room c']);
});

test('at the cap over all servers an idle connection of somebody else is ended to make room', async () => {
  const { pool, source, world, accept } = bench({ maxConnections: 2 });
  const routes = [1, 2, 3].map((n) => route(`s${n}`, target(`192.0.2.${n}`)));
  pool.serve(routes[0]!);
  (await accept()).idle();
  pool.serve(routes[1]!);
  const second = await accept();
  assert.equal(pool.serve(routes[2]!), 'capped');
  const [first] = world.sessions;
  assert.equal(first!.state, 'closing');
  assert.equal(pool.serve(routes[2]!), 'capped', 'until it is closed its place is taken');
  assert.equal(second.state, 'running', 'a busy one is left alone');
  first!.closed();
  await settle();
  assert.equal(source.told.at(-1), 'room s1');
  assert.equal(pool.serve(routes[2]!), 'served');
  assert.equal(world.total, 2);
});

test('a connection that falls idle while others are refused for the cap is offered, and ended if nobody wants it', async () => {
  const { pool, source, accept } = bench({ maxConnections: 1 });
  const here = route('here', target('192.0.2.1'));
  const there = route('there', target('192.0.2.2'));
  pool.serve(here);
  const session = await accept();
  assert.equal(pool.serve(there), 'capped');
  source.onRoom = () => {
    source.onRoom = undefined;
    assert.equal(pool.serve(there), 'capped');
  };
  session.idle();
  await settle();
  assert.deepEqual(source.told, ['room here']);
  assert.equal(session.state, 'closing');
  session.closed();
  await settle();
  assert.equal(pool.serve(there), 'served');
});

test('a login that needs a place gets that of an idle connection with another login', async () => {
  const { pool, source, accept } = bench({ connectionsPerServer: 1 });
  pool.serve(route('mine', target('192.0.2.1', 1)));
  const session = await accept();
  session.idle();
  await settle();
  const yours = route('yours', target('192.0.2.1', 2));
  assert.equal(pool.serve(yours), 'full');
  assert.equal(session.state, 'closing');
  session.closed();
  await settle();
  assert.ok(source.told.includes('room yours'));
  assert.equal(pool.serve(yours), 'served');
});

// — reuse —

test('the connection used last is woken first, so that surplus ones end', async () => {
  const { pool, clock, world, accept } = bench();
  const there = route('s', target('192.0.2.1'));
  pool.serve(there);
  pool.serve(there);
  const first = await accept();
  const second = await accept();
  first.idle();
  await settle();
  second.idle();
  for (let n = 0; n < 4; n++) {
    await clock.advance(4_000);
    assert.equal(pool.serve(there), 'served');
    await settle();
    assert.equal(world.openings.length, 0);
    assert.equal(second.state, 'running');
    second.idle();
    await settle();
  }
  assert.equal(second.runs, 5);
  assert.equal(first.state, 'closing');
});

test('waking a connection asks the source for nothing before serve has returned', async () => {
  const { pool, source, accept } = bench({}, { automatic: true });
  const there = route('s', target('192.0.2.1'));
  pool.serve(there);
  await accept();
  const before = source.asked;
  assert.equal(pool.serve(there), 'served');
  assert.equal(source.asked, before);
  await settle();
  assert.ok(source.asked > before);
});

test('no connection is shared between channels', async () => {
  const { pool, world, accept } = bench();
  pool.serve(route('mine', target('192.0.2.1', 1)));
  (await accept()).idle();
  await settle();
  assert.equal(pool.serve(route('yours', target('192.0.2.1', 2))), 'served');
  assert.equal(world.openings.length, 1);
  assert.equal(world.sessions[0]!.runs, 1);
});

test('an idle connection that the server closes gives its place back and is not woken again', async () => {
  const { pool, source, world, accept } = bench({ connectionsPerServer: 1 });
  const there = route('s', target('192.0.2.1'));
  pool.serve(there);
  const session = await accept();
  session.idle();
  await settle();
  session.lose();
  // Not woken; and its place is free when the socket is closed on our side, too.
  assert.equal(pool.serve(there), 'full');
  await settle();
  assert.deepEqual(source.told, ['room s', 'room s']);
  assert.equal(pool.serve(there), 'served');
  assert.equal(world.openings.length, 1);
});

test('a connection that is lost in the moment in which it falls idle is not kept', async () => {
  const { pool, source, world, accept } = bench();
  const there = route('s', target('192.0.2.1'));
  pool.serve(there);
  const session = await accept();
  session.idle();
  session.lose();
  await settle();
  assert.deepEqual(source.told, ['room s']);
  assert.equal(pool.connections().size, 0);
  pool.serve(there);
  assert.equal(world.openings.length, 1);
});

// — which server —

test('of servers of equal preference the least busy is taken, and worse ones are left alone while those work', async () => {
  const { pool, addresses } = bench({ connectionsPerServer: 2 });
  const there = route('s', target('192.0.2.1 10'), target('192.0.2.2 10'), target('192.0.2.3 20'));
  for (let n = 0; n < 4; n++) assert.equal(pool.serve(there), 'served');
  assert.deepEqual(addresses(), ['192.0.2.1', '192.0.2.2', '192.0.2.1', '192.0.2.2']);
  assert.equal(pool.serve(there), 'full');
});

test('when a server does not answer, the next is tried in order of preference, and mail goes out there', async () => {
  const { pool, source, addresses, refuse, accept } = bench();
  const there = route('s', target('192.0.2.1 10'), target('192.0.2.2 20'), target('192.0.2.3 30'));
  source.add(there.targets[2]!.channel, 1);
  pool.serve(there);
  await refuse();
  assert.deepEqual(addresses(), ['192.0.2.2']);
  await refuse();
  assert.deepEqual(addresses(), ['192.0.2.3']);
  const session = await accept();
  session.take();
  session.deliver();
  assert.deepEqual(source.troubles, []);
  assert.deepEqual(source.told, ['done', 'well s']);
});

test('a server that failed is tried last for a minute, then first again', async () => {
  const { pool, clock, addresses, refuse, accept } = bench();
  const there = route('s', target('192.0.2.1 10'), target('192.0.2.2 20'));
  pool.serve(there);
  await refuse();
  await accept();
  pool.serve(there);
  assert.deepEqual(addresses(), ['192.0.2.2'], 'not another timeout for the next connection');
  await accept();
  await clock.advance(FAILING_MS);
  pool.serve(there);
  assert.deepEqual(addresses(), ['192.0.2.1']);
});

test('what is held against a server is forgotten when it takes a connection', async () => {
  const { pool, addresses, refuse, accept } = bench();
  const a = target('192.0.2.1 10');
  const b = target('192.0.2.2 20');
  pool.serve(route('s', a, b));
  await refuse();
  await accept();
  // A site that has no other server finds that it answers again.
  pool.serve(route('other', a));
  await accept();
  pool.serve(route('s', a, b));
  assert.deepEqual(addresses(), ['192.0.2.1']);
});

test('trouble is told once all servers failed, in the words of the best one that could be asked, with the others named', async () => {
  const { pool, source, refuse } = bench();
  const there = route('s', target('2001:db8::1 10'), target('192.0.2.2 10'), target('192.0.2.3 20'));
  pool.serve(there);
  await refuse(trouble('connect', { reason: 'noRoute', text: 'network is unreachable' }));
  assert.equal(source.told.length, 0);
  await refuse(trouble('greeting', { code: 554, status: '5.7.1', text: 'go away', lasting: 'permanent', retryAfterMs: 7 }));
  await refuse(trouble('connect', { reason: 'timeout', text: 'no connection within 30 s' }));
  assert.equal(source.troubles.length, 1);
  const told = source.troubles[0]!.trouble;
  assert.equal(told.lasting, 'temporary');
  assert.equal(told.status, '4.7.1');
  assert.equal(told.code, 554);
  assert.equal(told.retryAfterMs, 7);
  assert.equal(
    told.text,
    'go away; also mx-2001:db8::1[2001:db8::1]:25: network is unreachable; mx-192.0.2.3[192.0.2.3]:25: no connection within 30 s',
  );
  assert.deepEqual(source.told, ['trouble s', 'room s']);
});

test('where there is no way to any server, the trouble says that it is here', async () => {
  const { pool, source, refuse } = bench();
  pool.serve(route('s', target('192.0.2.1'), target('192.0.2.2')));
  await refuse(trouble('connect', { reason: 'noRoute', text: 'network is unreachable' }));
  await refuse(trouble('connect', { reason: 'noRoute', text: 'network is unreachable' }));
  assert.equal(source.troubles[0]!.trouble.reason, 'noRoute');
  assert.match(source.troubles[0]!.trouble.text, /^no way to the server from this machine: network is unreachable; also mx-192\.0\.2\.2/);
});

test('once no way to IPv6 was found, other sites try their IPv4 first', async () => {
  const { pool, addresses, refuse, clock } = bench();
  pool.serve(route('s', target('2001:db8::1'), target('192.0.2.1')));
  await refuse(trouble('connect', { reason: 'noRoute' }));
  pool.serve(route('t', target('2001:db8::2 10'), target('192.0.2.2 20')));
  assert.deepEqual(addresses(), ['192.0.2.1', '192.0.2.2']);
  await clock.advance(FAILING_MS);
  pool.serve(route('u', target('2001:db8::3 10'), target('192.0.2.3 20')));
  assert.equal(addresses().at(-1), '2001:db8::3');
});

test('one trouble is told for all attempts of a site that were under way, and a success among them silences it', async () => {
  const { pool, source, world, refuse, accept } = bench();
  const there = route('s', target('192.0.2.1'));
  for (let n = 0; n < 3; n++) pool.serve(there);
  await refuse();
  await refuse();
  assert.deepEqual(source.told, ['room s', 'room s']);
  await refuse();
  assert.deepEqual(source.told, ['room s', 'room s', 'trouble s', 'room s']);
  for (let n = 0; n < 2; n++) pool.serve(there);
  assert.equal(world.openings.length, 1, 'while nobody answers one attempt finds out');
  source.told.length = 0;
  await accept();
  assert.deepEqual(source.told, ['room s'], 'those refused meanwhile are told that it works');
  assert.equal(pool.serve(there), 'served');
  assert.equal(source.troubles.length, 1);
});

test('a connection that breaks before MAIL counts as a failure of its server, one that breaks later does not', async () => {
  const { pool, source, addresses, accept } = bench();
  const there = route('s', target('192.0.2.1 10'), target('192.0.2.2 20'));
  source.add(there.targets[0]!.channel, 2);
  pool.serve(there);
  const first = await accept();
  first.take();
  first.break(false);
  await settle();
  assert.deepEqual(source.told, ['untried']);
  assert.deepEqual(addresses(), ['192.0.2.2'], 'the attempt goes on with the next');
  const second = await accept();
  second.break(true);
  await settle();
  assert.deepEqual(source.told, ['untried', 'room s']);
  pool.serve(there);
  assert.deepEqual(addresses(), ['192.0.2.2'], 'nothing is held against the second');
});

test('a refused login is held against the login, not against the server', async () => {
  const { pool, source, world, refuse } = bench();
  pool.serve(route('mine', target('192.0.2.1 10', 1), target('192.0.2.2 20', 1)));
  await refuse(trouble('auth', { reason: 'auth', code: 535 }));
  await refuse(trouble('auth', { reason: 'auth', code: 535 }));
  assert.equal(source.troubles[0]!.trouble.reason, 'auth');
  pool.serve(route('yours', target('192.0.2.1 10', 2), target('192.0.2.2 20', 2)));
  assert.equal(world.openings[0]!.server.address, '192.0.2.1');
});

test('what is held against a login, or against IPv6, is forgotten when it works', async () => {
  const { pool, addresses, refuse, accept } = bench();
  const a = target('192.0.2.1 10');
  const b = target('192.0.2.2 20');
  pool.serve(route('s', a, b));
  await refuse(trouble('auth', { reason: 'auth', code: 535 }));
  await accept();
  pool.serve(route('other', a));
  await accept();
  pool.serve(route('s', a, b));
  assert.deepEqual(addresses(), ['192.0.2.1']);
  await accept();

  pool.serve(route('six', target('2001:db8::1')));
  await refuse(trouble('connect', { reason: 'noRoute' }));
  pool.serve(route('six, elsewhere', target('2001:db8::2')));
  await accept();
  pool.serve(route('both', target('2001:db8::3 10'), target('192.0.2.3 20')));
  assert.deepEqual(addresses(), ['2001:db8::3']);
});

test('an attempt asks no server twice, however long it takes', async () => {
  const { pool, source, clock, addresses, refuse } = bench();
  pool.serve(route('s', target('192.0.2.1 10'), target('192.0.2.2 10'), target('192.0.2.3 10'), target('192.0.2.4 20')));
  for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4']) {
    assert.deepEqual(addresses(), [address]);
    await clock.advance(FAILING_MS + 1);
    await refuse(trouble('connect', { reason: 'timeout' }));
  }
  assert.deepEqual(source.told, ['trouble s', 'room s']);
});

test('an attempt that failed everywhere is no trouble if mail has begun to go there meanwhile', async () => {
  const { pool, source, refuse, accept, world } = bench();
  const a = target('192.0.2.1 10');
  pool.serve(route('s', a, target('192.0.2.2 20')));
  await refuse();
  pool.serve(route('other', a));
  await accept(world.openings[1]);
  await refuse();
  assert.deepEqual(source.told, ['room s']);
});

// — learned limits —

test('a refusal while other connections work lowers that server’s limit for a while, and is no trouble of the site', async () => {
  const { pool, source, clock, world, refuse, accept } = bench();
  const there = route('s', target('192.0.2.1 10'), target('192.0.2.2 20'));
  for (let n = 0; n < 4; n++) pool.serve(there);
  for (let n = 0; n < 3; n++) await accept();
  await refuse(trouble('greeting', { code: 421, text: 'too many connections' }));
  assert.deepEqual(source.troubles, []);
  assert.deepEqual(source.told, ['room s']);
  assert.equal(pool.serve(there), 'full', 'three are what it takes, and the worse server is left alone');
  world.sessions[0]!.worn();
  await settle();
  assert.equal(pool.serve(there), 'served', 'back to three');
  assert.equal(pool.serve(there), 'full');
  await clock.advance(RAISE_MS - 1);
  assert.equal(pool.serve(there), 'full');
  await clock.advance(1);
  assert.equal(pool.serve(there), 'served', 'one more is tried');
  assert.equal(pool.serve(there), 'full');
  await clock.advance(RAISE_MS * 10);
  assert.equal(pool.serve(there), 'served');
  assert.equal(pool.serve(there), 'full', 'never above the configured limit');
});

test('a refusal while nothing works there is trouble, whoever else is connected under another login', async () => {
  const { pool, source, refuse, accept } = bench();
  pool.serve(route('mine', target('192.0.2.1', 1)));
  await accept();
  pool.serve(route('yours', target('192.0.2.1', 2)));
  await refuse(trouble('auth', { reason: 'auth', code: 535 }));
  assert.deepEqual(
    source.troubles.map(({ route: { site } }) => site),
    ['yours'],
  );
});

// — telling that all is well —

test('the site is well once MAIL was answered on a connection, not for a 421, and once per connection and site', async () => {
  const { pool, source, accept } = bench();
  const there = route('s', target('192.0.2.1'));
  const { channel } = there.targets[0]!;
  source.add(channel, 5);
  pool.serve(there);
  const session = await accept();
  session.take();
  session.deliver([{ kind: 'deferred', trouble: trouble('mail', { code: 421 }) }]);
  session.take();
  session.deliver([{ kind: 'failed', trouble: trouble('local', { status: '5.6.7' }) }]);
  assert.deepEqual(source.told, ['done', 'done']);
  session.take();
  session.deliver([{ kind: 'failed', trouble: trouble('rcpt', { code: 550 }) }]);
  session.take();
  session.deliver();
  assert.deepEqual(source.told, ['done', 'done', 'done', 'well s', 'done']);
  session.idle();
  await settle();
  pool.serve(route('t', there.targets[0]!));
  await settle();
  session.take();
  session.deliver();
  assert.deepEqual(source.told.slice(-2), ['done', 'well t'], 'another site on the same connection is told, too');
});

// — the end —

test('close ends what is idle or opening, lets busy ones finish, and resolves when all are closed', async () => {
  const { pool, source, world, accept } = bench();
  const there = route('s', target('192.0.2.1'));
  for (let n = 0; n < 3; n++) pool.serve(there);
  const idle = await accept();
  idle.idle();
  const busy = await accept();
  source.add(there.targets[0]!.channel);
  busy.take();
  await settle();
  let closed = false;
  const closing = pool.close(never).then(() => (closed = true));
  await settle();
  assert.equal(world.openings.length, 0, 'the third was given up');
  assert.equal(idle.state, 'closing');
  assert.equal(busy.draining, true);
  assert.notEqual(pool.serve(there), 'served');
  idle.closed();
  await settle();
  assert.equal(closed, false);
  busy.deliver();
  busy.idle();
  await settle();
  assert.equal(busy.state, 'closing', 'it has nothing more to do, and quits');
  busy.closed();
  await closing;
  assert.deepEqual(source.troubles, []);
  assert.equal(pool.connections().size, 0);
});

test('what is still busy at the end of the time allowed is dropped', async () => {
  const { pool, source, accept } = bench();
  const there = route('s', target('192.0.2.1'));
  pool.serve(there);
  source.add(there.targets[0]!.channel);
  const busy = await accept();
  busy.take();
  const deadline = new AbortController();
  const closing = pool.close(deadline.signal);
  await settle();
  assert.equal(busy.state, 'running');
  deadline.abort();
  await closing;
  assert.equal(busy.state, 'closed');
  assert.deepEqual(source.told, ['untried', 'room s']);
});

test('closing a pool without connections, and closing twice, resolves', async () => {
  const { pool } = bench();
  await pool.close(never);
  await pool.close(AbortSignal.abort());
});
