import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MtaError } from '../../src/core/errors.js';
import { createRouter, type RouteRule, type Router, type RouterOptions } from '../../src/delivery/routes.js';

function rule(fields: Partial<RouteRule> = {}): RouteRule {
  return { domain: '*', sender: '*', host: 'relay.example.net', allowInsecureAuth: false, ...fields };
}

function router(routes: readonly Partial<RouteRule>[], options: Partial<RouterOptions> = {}): Router {
  return createRouter({ routes: routes.map(rule), heloName: 'mail.riata.test', ...options });
}

const login = { username: 'alice', password: 'wonder-land-9' };

/** Which of the hosts `h0`, `h1`, … of the rules is chosen; `mx` for none. */
function chosen(patterns: readonly Pick<Partial<RouteRule>, 'domain' | 'sender'>[], recipient: string, sender: string): string {
  const lane = router(patterns.map((pattern, n) => ({ ...pattern, host: `h${n}` }))).laneOf(recipient, sender);
  return lane.startsWith('mx:') ? 'mx' : lane.split(':')[1]!;
}

function issuesOf(routes: readonly Partial<RouteRule>[]): string[] {
  try {
    router(routes);
  } catch (error) {
    assert.ok(error instanceof MtaError);
    assert.equal(error.code, 'INVALID_OPTIONS');
    return error.issues.map(({ path }) => path);
  }
  return [];
}

test('without a rule mail goes to the MX of its domain, or to the server of a literal', () => {
  const plain = router([]);
  assert.equal(plain.laneOf('a@example.com', 'b@example.org'), 'mx:example.com');
  assert.equal(plain.laneOf('"a@b"@example.com', ''), 'mx:example.com');
  assert.equal(plain.laneOf('a@[192.0.2.1]', ''), 'mx:[192.0.2.1]');
  assert.deepEqual(plain.planOf('mx:example.com'), {
    kind: 'mx',
    domain: 'example.com',
    port: 25,
    policy: { tls: 'opportunistic', allowInsecureAuth: false, heloName: 'mail.riata.test' },
  });
  const literal = plain.planOf('mx:[192.0.2.1]');
  assert.deepEqual({ ...literal, policy: undefined }, { kind: 'literal', address: '192.0.2.1', port: 25, policy: undefined });
  const six = plain.planOf(plain.laneOf('a@[IPv6:2001:db8::1]', ''));
  assert.equal(six.kind === 'literal' && six.address, '2001:db8::1');
  assert.throws(() => plain.laneOf('postmaster', ''), RangeError);
});

test('the first rule that matches the domain and the sender decides', () => {
  const cases: readonly [Parameters<typeof chosen>[0], string, string, string][] = [
    [[{ domain: 'example.com' }], 'a@example.com', '', 'h0'],
    [[{ domain: 'EXAMPLE.com' }], 'a@example.com', '', 'h0'],
    [[{ domain: 'bücher.example' }], 'a@xn--bcher-kva.example', '', 'h0'],
    [[{ domain: 'example.com' }], 'a@sub.example.com', '', 'mx'],
    [[{ domain: 'example.com' }], 'a@notexample.com', '', 'mx'],
    [[{ domain: '*.example.com' }], 'a@sub.example.com', '', 'h0'],
    [[{ domain: '*.example.com' }], 'a@x.y.example.com', '', 'h0'],
    [[{ domain: '*.example.com' }], 'a@example.com', '', 'mx'],
    [[{ domain: '*.example.com' }], 'a@badexample.com', '', 'mx'],
    [[{ domain: '[192.0.2.1]' }], 'a@[192.0.2.1]', '', 'h0'],
    [[{ domain: '[192.0.2.1]' }], 'a@[192.0.2.2]', '', 'mx'],
    [[{ domain: '[IPv6:2001:db8::1]' }], 'a@[IPv6:2001:db8::1]', '', 'h0'],
    [[{ domain: '[ipv6:2001:DB8:0::1]' }], 'a@[IPv6:2001:db8::1]', '', 'h0'],
    [[{ domain: '*' }], 'a@[192.0.2.1]', '', 'h0'],
    [[{ domain: '*' }, { domain: 'example.com' }], 'a@example.com', '', 'h0'],
    [[{ domain: 'example.com' }, { domain: '*' }], 'a@example.com', '', 'h0'],
    [[{ domain: 'example.com' }, { domain: '*' }], 'a@example.org', '', 'h1'],
    [[{ sender: '*' }], 'a@example.com', '', 'h0'],
    [[{ sender: '<>' }], 'a@example.com', '', 'h0'],
    [[{ sender: '<>' }], 'a@example.com', 'x@y.test', 'mx'],
    [[{ sender: 'x@y.test' }], 'a@example.com', 'x@y.test', 'h0'],
    [[{ sender: 'X@Y.test' }], 'a@example.com', 'x@y.TEST', 'h0'],
    [[{ sender: 'x@y.test' }], 'a@example.com', 'xx@y.test', 'mx'],
    [[{ sender: 'x@y.test' }], 'a@example.com', 'x@y.test.org', 'mx'],
    [[{ sender: 'x@y.test' }], 'a@example.com', '"x@y.test"@evil.test', 'mx'],
    [[{ sender: 'x@y.test' }], 'a@example.com', 'x@evil.test@y.test', 'mx'],
    [[{ sender: 'y.test' }], 'a@example.com', 'x@y.test', 'h0'],
    [[{ sender: '@y.test' }], 'a@example.com', 'x@y.test', 'h0'],
    [[{ sender: '@y.test' }], 'a@example.com', '"x@y.test"@evil.test', 'mx'],
    [[{ sender: '@y.test' }], 'a@example.com', '', 'mx'],
    [[{ sender: '@y.test' }], 'a@example.com', 'x@sub.y.test', 'mx'],
    [[{ sender: '*.y.test' }], 'a@example.com', 'x@sub.y.test', 'h0'],
    [[{ sender: '@*' }], 'a@example.com', '', 'mx'],
    [[{ sender: '@*' }], 'a@example.com', 'x@y.test', 'h0'],
    [[{ sender: 'x@y.test', domain: 'example.com' }], 'a@example.org', 'x@y.test', 'mx'],
    [[{ sender: 'x@y.test' }, { sender: '@y.test' }, { domain: 'example.com' }], 'a@example.com', 'x@y.test', 'h0'],
    [[{ sender: 'x@y.test' }, { sender: '@y.test' }, { domain: 'example.com' }], 'a@example.com', 'z@y.test', 'h1'],
    [[{ sender: 'x@y.test' }, { sender: '@y.test' }, { domain: 'example.com' }], 'a@example.com', 'z@w.test', 'h2'],
    [[{ sender: 'x@y.test' }, { sender: '@y.test' }, { domain: 'example.com' }], 'a@example.org', 'z@w.test', 'mx'],
  ];
  for (const [patterns, recipient, sender, expected] of cases) {
    assert.equal(chosen(patterns, recipient, sender), expected, JSON.stringify([patterns, recipient, sender]));
  }
});

test('asking for one domain under several senders gives each its own answer, also when asked again', () => {
  const mine = router([{ sender: 'x@y.test', host: 'h0' }, { domain: 'example.org' }]);
  for (let round = 0; round < 2; round++) {
    assert.match(mine.laneOf('a@example.com', 'x@y.test'), /^host:h0:/);
    assert.equal(mine.laneOf('a@example.com', 'other@y.test'), 'mx:example.com');
  }
});

test('a lane keeps its key whatever its password, its place in the file and our own name', () => {
  const one = router([{ ...login, domain: 'example.com' }], { heloName: 'one.riata.test' });
  const two = router([{ domain: 'example.net' }, { ...login, password: 'rotated', domain: 'example.com' }], { heloName: 'two.riata.test' });
  const lane = one.laneOf('a@example.com', '');
  assert.equal(two.laneOf('a@example.com', ''), lane);
  // As it stands in stored queues: a change of this key strands mail.
  assert.equal(lane, 'host:relay.example.net:587:9e42584d7b92c0a0');
  assert.equal(router([]).laneOf('a@example.com', ''), 'mx:example.com');
  const plan = two.planOf(lane);
  assert.deepEqual(plan, {
    kind: 'host',
    host: 'relay.example.net',
    port: 587,
    policy: {
      tls: 'starttls',
      allowInsecureAuth: false,
      heloName: 'two.riata.test',
      credentials: { username: 'alice', password: 'rotated' },
    },
  });
});

test('rules that differ in who logs in or how the server is spoken to have lanes of their own', () => {
  const variants: readonly Partial<RouteRule>[] = [
    {},
    login,
    { ...login, username: 'bob' },
    { ...login, tls: 'implicit', port: 587 },
    { port: 587 },
    { host: 'relay2.example.net' },
    { tls: 'off' },
    { ca: 'PEM' },
    { sourceAddress: '192.0.2.7' },
    { heloName: 'other.riata.test' },
  ];
  const lanes = variants.map((variant) => router([variant]).laneOf('a@example.com', ''));
  assert.equal(new Set(lanes).size, variants.length);
  for (const lane of lanes) assert.doesNotMatch(lane, /alice|wonder|bob|PEM/);
  assert.equal(
    router([{ ...login, tls: 'starttls' }]).laneOf('a@example.com', ''),
    lanes[1],
    'a default that is written down changes nothing',
  );
});

test('a rule without a host sends straight to the MX, past the rules behind it, and may say how', () => {
  const mine = router([
    { domain: 'direct.example', host: '' },
    { domain: 'strict.example', host: '', tls: 'starttls', port: 2525 },
    { sender: '@news.test', host: '', sourceAddress: '192.0.2.7' },
    { host: 'relay.example.net' },
  ]);
  assert.equal(mine.laneOf('a@direct.example', 'x@news.test'), 'mx:direct.example');
  const strict = mine.laneOf('a@strict.example', '');
  assert.notEqual(router([{ host: '', port: 2525 }]).laneOf('a@strict.example', ''), 'mx:strict.example');
  assert.match(strict, /^mx:strict\.example:[0-9a-f]{16}$/);
  const plan = mine.planOf(strict);
  assert.ok(plan.kind === 'mx');
  assert.deepEqual([plan.domain, plan.port, plan.policy.tls], ['strict.example', 2525, 'starttls']);
  const news = mine.planOf(mine.laneOf('a@example.com', 'x@news.test'));
  assert.ok(news.kind === 'mx');
  assert.equal(news.policy.localAddress, '192.0.2.7');
  assert.match(mine.laneOf('a@example.com', 'x@other.test'), /^host:relay/);
});

test('a lane that no rule leads to any more is unknown, so that its mail is routed anew', () => {
  const before = router([
    { ...login, domain: 'example.com' },
    { domain: 'strict.example', host: '', tls: 'starttls' },
  ]);
  const host = before.laneOf('a@example.com', '');
  const strict = before.laneOf('a@strict.example', '');
  const plain = router([]);
  assert.deepEqual(plain.planOf(host), { kind: 'unknown' });
  assert.deepEqual(plain.planOf(strict), { kind: 'unknown' });
  // A relay for everything, because port 25 is blocked: what waits for the MX must come along.
  const relayed = router([{}]);
  assert.deepEqual(relayed.planOf('mx:example.com'), { kind: 'unknown' });
  // As long as some senders' mail goes there, it is known.
  assert.equal(router([{ sender: 'x@y.test' }]).planOf('mx:example.com').kind, 'mx');
  assert.equal(router([{ sender: 'x@y.test' }]).planOf(router([{}]).laneOf('a@example.com', '')).kind, 'host');
});

test('TLS and port follow from what is set', () => {
  const planned = (fields: Partial<RouteRule>, options: Partial<RouterOptions> = {}) => {
    const mine = router([fields], options);
    const plan = mine.planOf(mine.laneOf('a@example.com', ''));
    return plan.kind === 'unknown' || plan.kind === 'sealed' ? plan.kind : `${plan.policy.tls} ${plan.port}`;
  };
  assert.equal(planned({}), 'opportunistic 25');
  assert.equal(planned(login), 'starttls 587');
  assert.equal(planned({ tls: 'implicit' }), 'implicit 465');
  assert.equal(planned({ ...login, tls: 'opportunistic' }), 'opportunistic 587');
  assert.equal(planned({ ...login, port: 2525 }), 'starttls 2525');
  assert.equal(planned({ host: '' }), 'opportunistic 25');
  assert.equal(planned({ host: '' }, { mxPort: 2500, defaultTls: 'off' }), 'off 2500');
  assert.equal(planned({ username: '', password: '' }), 'opportunistic 25');
});

test('hosts may be addresses', () => {
  const lanes = ['192.0.2.1', '2001:DB8::1', '[2001:db8::1]', 'Relay.Example.NET.'].map((host) =>
    router([{ host }]).laneOf('a@example.com', ''),
  );
  assert.match(lanes[0]!, /^host:192\.0\.2\.1:25:/);
  assert.match(lanes[1]!, /^host:\[2001:db8::1\]:25:/);
  assert.equal(lanes[2], lanes[1]);
  assert.match(lanes[3]!, /^host:relay\.example\.net:25:/);
  const plan = router([{ host: '2001:db8::1' }]).planOf(lanes[1]!);
  assert.equal(plan.kind === 'host' && plan.host, '2001:db8::1');
});

test('everything wrong with the rules is said at once', () => {
  const wrong: readonly [Partial<RouteRule>, string][] = [
    [{ domain: '' }, 'domain'],
    [{ domain: '*example.com' }, 'domain'],
    [{ domain: 'a b' }, 'domain'],
    [{ domain: '[nonsense]' }, 'domain'],
    [{ domain: '[192.0.2.1' }, 'domain'],
    [{ sender: '' }, 'sender'],
    [{ sender: 'a@b@' }, 'sender'],
    [{ sender: 'a@*' }, 'sender'],
    [{ host: 'not a host' }, 'host'],
    [{ host: 'a\r\nb' }, 'host'],
    [{ port: 0 }, 'port'],
    [{ port: 65_536 }, 'port'],
    [{ port: 25.5 }, 'port'],
    [{ username: 'alice' }, 'password'],
    [{ password: 'x' }, 'username'],
    [{ ...login, host: '' }, 'username'],
    [{ sourceAddress: 'eth0' }, 'sourceAddress'],
    [{ heloName: 'a b' }, 'heloName'],
    [{ heloName: 'a\r\nRSET' }, 'heloName'],
    [{ heloName: '[1.2.3]' }, 'heloName'],
  ];
  for (const [fields, key] of wrong) assert.deepEqual(issuesOf([fields]), [`route[0].${key}`], JSON.stringify(fields));
  assert.deepEqual(issuesOf([{}, { domain: '', port: 0 }, { sender: '' }]), ['route[1].port', 'route[1].domain', 'route[2].sender']);
  assert.deepEqual(issuesOf([{ heloName: '[192.0.2.1]' }, { heloName: '[IPv6:2001:db8::1]', host: 'h' }]), []);
});

test('two rules of one server and username must agree on the password', () => {
  assert.deepEqual(
    issuesOf([
      { ...login, sender: '@a.test' },
      { ...login, password: 'other' },
    ]),
    ['route[1].password'],
  );
  assert.deepEqual(
    issuesOf([
      { ...login, sender: '@a.test' },
      { ...login, allowInsecureAuth: true },
    ]),
    ['route[1].allowInsecureAuth'],
  );
  assert.deepEqual(issuesOf([{ ...login, sender: '@a.test' }, login]), []);
});

test('no error and no description shows a password', () => {
  try {
    router([
      { ...login, sender: '@a.test' },
      { ...login, password: 'other-secret' },
      { password: 'third-secret', port: 0 },
    ]);
    assert.fail('must throw');
  } catch (error) {
    assert.doesNotMatch(JSON.stringify(error) + String(error), /secret|wonder/);
  }
  const mine = router([login]);
  assert.equal(mine.describe(mine.laneOf('a@example.com', '')), 'relay.example.net:587 as alice');
});

test('lanes are described in words', () => {
  const mine = router([{ domain: 'example.com', host: '2001:db8::1' }]);
  assert.equal(mine.describe('mx:example.org'), 'the mail servers of example.org');
  assert.equal(mine.describe('mx:[192.0.2.1]'), 'the server at [192.0.2.1]');
  assert.equal(mine.describe(mine.laneOf('a@example.com', '')), '[2001:db8::1]:25');
  assert.equal(mine.describe('host:gone.example:25:0'), 'gone.example:25 (no route leads there any more)');
});

test('after more domains than are remembered the answers are still right', () => {
  const mine = router([]);
  for (let n = 0; n < 30_000; n++) assert.equal(mine.laneOf(`a@d${n}.example`, ''), `mx:d${n}.example`);
  assert.equal(mine.laneOf('a@d0.example', ''), 'mx:d0.example');
});
