import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRouter, type RouteRule } from '../../src/delivery/routes.js';
import { LONGEST_NONE_MS, LONGEST_ROUTE_MS, SHORTEST_ROUTE_MS, Sites, type SitesOptions, TARGETS } from '../../src/delivery/sites.js';
import { createSeededRandom } from '../support/seeded-random.js';
import { createVirtualClock } from '../support/virtual-clock.js';
import { FAILED, NO_NAME, type Script, scriptedResolver } from './scripted-resolver.js';

function bench(script: Script, rules: readonly Partial<RouteRule>[] = [], more: Partial<SitesOptions> = {}) {
  const clock = createVirtualClock();
  const resolver = scriptedResolver(script);
  const routes = rules.map((fields): RouteRule => ({ domain: '*', sender: '*', host: '', allowInsecureAuth: false, ...fields }));
  const router = createRouter({ routes, heloName: 'mail.riata.test' });
  const sites = new Sites({
    router,
    resolver,
    clock,
    random: createSeededRandom(1),
    ownNames: [],
    allowPrivateAddresses: false,
    sourceAddresses: [],
    ...more,
  });
  const ask = (lane: string, signal = new AbortController().signal) => sites.route(lane, signal);
  const routeTo = async (lane: string) => {
    const answer = await ask(lane);
    if (answer.kind !== 'route') assert.fail(answer.trouble.text);
    return answer.route;
  };
  const channelOf = async (recipient: string, sender = '') => (await routeTo(router.laneOf(recipient, sender))).targets[0]!.channel;
  return { clock, resolver, router, sites, ask, routeTo, channelOf };
}

const plain: Script = { mx: { 'example.com': [[10, 'mx.example']] }, addresses: { 'mx.example': ['1.1.1.1'] } };
const withTtl = (ttlMs: number): Script => ({ ...plain, ttlMs });

test('a route is kept as long as its TTL, within bounds', async () => {
  for (const [ttlMs, kept] of [
    [60_000, 60_000],
    [0, SHORTEST_ROUTE_MS],
    [7 * 86_400_000, LONGEST_ROUTE_MS],
  ] as const) {
    const { clock, resolver, ask, routeTo } = bench(withTtl(ttlMs));
    const route = await routeTo('mx:example.com');
    assert.equal(route.expiresAt, clock.now() + kept);
    await clock.advance(kept - 1);
    assert.equal((await routeTo('mx:example.com')) === route, true);
    assert.equal(resolver.asked.length, 2);
    await clock.advance(1);
    await ask('mx:example.com');
    assert.equal(resolver.asked.length, 4);
  }
});

test('that there is none is believed for a while, that nobody answered not at all', async () => {
  const noName = { ...NO_NAME, ttlMs: 86_400_000 };
  const cases: readonly [Script, RouteRule['host'], number][] = [
    [{ mx: { 'example.com': noName } }, '', LONGEST_NONE_MS],
    [{ mx: { 'example.com': FAILED } }, '', 0],
    // Not permanent, whatever DNS says of it: the operator is about to correct it.
    [{ hosts: { 'relay.example': noName } }, 'relay.example', 0],
  ];
  for (const [script, host, kept] of cases) {
    const { clock, resolver, router, ask } = bench(script, [{ host }]);
    const lane = router.laneOf('a@example.com', '');
    assert.equal((await ask(lane)).kind, 'trouble');
    if (kept > 0) {
      await clock.advance(kept - 1);
      await ask(lane);
      assert.equal(resolver.asked.length, 1);
      await clock.advance(1);
    }
    await ask(lane);
    assert.equal(resolver.asked.length, 2);
  }
});

test('identical lookups under way are one, and who gives up does not stop the others', async () => {
  const { resolver, ask } = bench(plain);
  let open = () => {};
  const opened = new Promise<void>((resolve) => (open = resolve));
  resolver.gate = () => opened;
  const impatient = new AbortController();
  const given = ask('mx:example.com', impatient.signal);
  const patient = ask('mx:example.com');
  impatient.abort(new Error('enough'));
  await assert.rejects(given, /enough/);
  open();
  assert.equal((await patient).kind, 'route');
  assert.deepEqual(resolver.asked, ['mx example.com', 'a mx.example']);
  await assert.rejects(ask('mx:example.com', AbortSignal.abort(new Error('too late'))), /too late/);
});

test('a lane that no rule leads to is trouble that waits', async () => {
  const { ask } = bench(plain, [{ host: 'relay.example' }]);
  for (const lane of ['mx:example.com', 'host:gone.example:25:0123']) {
    const answer = await ask(lane);
    assert.ok(answer.kind === 'trouble');
    assert.equal(answer.trouble.lasting, 'temporary');
    assert.equal(answer.trouble.reason, 'unknownLane');
  }
});

test('domains with the same servers share their site, in whatever order and at whatever addresses they come', async () => {
  const { routeTo } = bench(
    {
      mx: {
        'a.test': [
          [10, 'mx1.example'],
          [20, 'mx2.example'],
        ],
        'b.test': [
          [10, 'mx2.example'],
          [20, 'mx1.example'],
        ],
        'c.test': [[10, 'mx1.example']],
        'strict.test': [
          [10, 'mx1.example'],
          [20, 'mx2.example'],
        ],
      },
      addresses: { 'mx1.example': ['1.1.1.1'], 'mx2.example': ['1.1.1.2', '1.1.1.3'] },
    },
    [{ domain: 'strict.test', tls: 'starttls' }],
  );
  const a = await routeTo('mx:a.test');
  const b = await routeTo('mx:b.test');
  assert.equal(a.site, b.site);
  assert.equal(a.site, 'site:mx1.example:25:87c62ed77a15a94c', 'the key is stored');
  assert.deepEqual(new Set(a.targets.map(({ channel }) => channel)), new Set(b.targets.map(({ channel }) => channel)));
  assert.notEqual((await routeTo('mx:c.test')).site, a.site);
});

test('a rule’s own TLS policy makes a site and channels of its own', async () => {
  const rules = [{ domain: 'strict.test', tls: 'starttls' }] as const;
  const script: Script = {
    mx: { 'a.test': [[10, 'mx1.example']], 'strict.test': [[10, 'mx1.example']] },
    addresses: { 'mx1.example': ['1.1.1.1'] },
  };
  const { routeTo, router } = bench(script, rules);
  const strict = await routeTo(router.laneOf('x@strict.test', ''));
  const open = await routeTo('mx:a.test');
  assert.notEqual(strict.site, open.site);
  assert.notEqual(strict.targets[0]!.channel, open.targets[0]!.channel);
});

test('a channel is shared only by lanes that agree in server, policy, login, source and name', async () => {
  const hosts = { 'relay.example': ['1.1.1.1'], 'alias.example': ['1.1.1.1'], 'third.example': ['1.1.1.1'], 'other.example': ['1.1.1.2'] };
  const login = { username: 'alice', password: 'one', tls: 'opportunistic' } as const;
  const rules: readonly Partial<RouteRule>[] = [
    { domain: 'same1.test', host: 'relay.example', port: 25 },
    { domain: 'same2.test', host: 'alias.example', port: 25 },
    { domain: 'port.test', host: 'relay.example', port: 26 },
    { domain: 'server.test', host: 'other.example', port: 25 },
    { domain: 'login.test', host: 'relay.example', port: 25, ...login },
    { domain: 'user.test', host: 'relay.example', port: 25, ...login, username: 'bob' },
    { domain: 'password.test', host: 'alias.example', port: 25, ...login, password: 'two' },
    { domain: 'insecure.test', host: 'third.example', port: 25, ...login, allowInsecureAuth: true },
    { domain: 'tls.test', host: 'relay.example', port: 25, tls: 'off' },
    { domain: 'ca.test', host: 'relay.example', port: 25, ca: 'PEM' },
    { domain: 'source.test', host: 'relay.example', port: 25, sourceAddress: '1.1.1.9' },
    { domain: 'helo.test', host: 'relay.example', port: 25, heloName: 'other.test' },
    { domain: 'verified1.test', host: 'relay.example', port: 25, tls: 'starttls' },
    { domain: 'verified2.test', host: 'alias.example', port: 25, tls: 'starttls' },
  ];
  const { channelOf } = bench({ hosts }, rules);
  const channels = new Map<string, string>();
  for (const { domain } of rules) channels.set(domain!, await channelOf(`a@${domain}`));
  assert.equal(channels.get('same1.test'), channels.get('same2.test'), 'one server under two names, nothing verified');
  assert.equal(new Set(channels.values()).size, rules.length - 1);
  for (const channel of channels.values()) assert.doesNotMatch(channel, /alice|bob|one|two|three|PEM/);
});

test('one server under two spellings of its address is one server', async () => {
  const { routeTo, router } = bench({}, [
    { domain: 'a.test', host: '1.1.1.1' },
    { domain: 'b.test', host: '::ffff:1.1.1.1' },
    { domain: 'c.test', host: '2600:0::0001' },
  ]);
  const server = async (domain: string) => (await routeTo(router.laneOf(`x@${domain}`, ''))).targets[0]!;
  const [a, b, c] = [await server('a.test'), await server('b.test'), await server('c.test')];
  assert.equal(a.channel, b.channel);
  assert.match(a.channel, /^1\.1\.1\.1:25#/);
  assert.equal(c.address, '2600::1');
});

test('a lane always leaves from the same source address, of the family of the server', async () => {
  const domains = Array.from({ length: 20 }, (_, n) => `d${n}.test`);
  const script: Script = {
    mx: Object.fromEntries(domains.map((domain) => [domain, [[10, 'mx.example']]])),
    addresses: { 'mx.example': ['1.1.1.1', '2600::1'] },
    hosts: { 'local.example': ['127.0.0.1'] },
  };
  const sources = async () => {
    const { sites } = bench(script, [], { sourceAddresses: ['1.1.1.8', '1.1.1.9'] });
    const found: string[] = [];
    for (const domain of domains) {
      const answer = await sites.route(`mx:${domain}`, new AbortController().signal);
      assert.ok(answer.kind === 'route');
      const targets = answer.route.targets as readonly { address: string; policy?: { localAddress?: string } }[];
      assert.deepEqual(
        targets.map(({ address }) => address),
        ['1.1.1.1'],
        'no source address of IPv6, no server of IPv6',
      );
      found.push(targets[0]!.policy!.localAddress!);
    }
    return found;
  };
  const first = await sources();
  assert.deepEqual(new Set(first), new Set(['1.1.1.8', '1.1.1.9']));
  assert.deepEqual(await sources(), first);
});

test('where the servers and the source address are of different families, that is said', async () => {
  const { ask } = bench({ mx: plain.mx!, addresses: { 'mx.example': ['2600::1'] } }, [], { sourceAddresses: ['1.1.1.9'] });
  const answer = await ask('mx:example.com');
  assert.ok(answer.kind === 'trouble');
  assert.equal(answer.trouble.lasting, 'temporary');
  assert.match(answer.trouble.text, /IPv6 addresses only.*sourceAddress/);
});

test('a relay on this machine is reached from whatever address, the source addresses notwithstanding', async () => {
  const { channelOf } = bench({}, [{ host: '127.0.0.1', port: 2525 }], { sourceAddresses: ['2600::9'] });
  assert.equal(await channelOf('a@example.com'), '127.0.0.1:2525#1');
});

test('an attempt has a bounded number of servers to go through', async () => {
  const exchangers = Array.from({ length: 10 }, (_, n): [number, string] => [n, `mx${n}.example`]);
  const addresses = Object.fromEntries(exchangers.map(([n, host]) => [host, [`1.1.${n}.1`, `1.1.${n}.2`]]));
  const { routeTo } = bench({ mx: { 'example.com': exchangers }, addresses });
  const { targets } = await routeTo('mx:example.com');
  assert.equal(targets.length, TARGETS);
  assert.deepEqual(
    targets.map(({ preference }) => preference),
    targets.map((_, n) => Math.floor(n / 2)),
  );
});
