import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { decode, encode } from 'dns-packet';
import { type DnsServerOptions, startDnsServer } from '../../src/dev/dns-server.js';
import { createDnsResolver, type DnsOptions } from '../../src/platform/dns.js';
import { systemRandom } from '../../src/platform/random.js';
import { NOBODY } from '../support/loopback.js';
import { createSeededRandom } from '../support/seeded-random.js';
import { createVirtualClock, settle } from '../support/virtual-clock.js';

async function setUp(t: TestContext, options: DnsServerOptions, more: Partial<DnsOptions> = {}) {
  const server = await startDnsServer(options);
  t.after(() => server.close());
  const clock = createVirtualClock();
  const resolver = createDnsResolver({ clock, random: systemRandom, servers: [server.address], ...more });
  return { server, clock, resolver };
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await settle(1);
}

const asked = (server: { queries: readonly { name: string; type: string; transport: string }[] }) =>
  server.queries.map(({ name, type, transport }) => `${name} ${type} ${transport}`);

test('MX records are found, hosts in lower case, with the time they are good for', async (t) => {
  const { resolver } = await setUp(t, {
    zones: {
      'example.test': {
        mx: [
          [10, 'MX1.Example.test'],
          [20, 'mx2.example.test'],
        ],
        ttl: 120,
      },
    },
  });
  assert.deepEqual(await resolver.mx('Example.TEST'), {
    kind: 'found',
    records: [
      { preference: 10, exchange: 'mx1.example.test' },
      { preference: 20, exchange: 'mx2.example.test' },
    ],
    ttlMs: 120_000,
  });
});

test('the null MX, no MX and no such name are three different answers', async (t) => {
  const { resolver } = await setUp(t, {
    zones: { 'null.test': { mx: [[0, '']] }, 'plain.test': { a: ['192.0.2.1'] }, 'below.empty.test': {} },
    negativeTtl: 30,
  });
  assert.deepEqual(await resolver.mx('null.test'), { kind: 'found', records: [{ preference: 0, exchange: '' }], ttlMs: 300_000 });
  assert.deepEqual(await resolver.mx('plain.test'), { kind: 'noData', ttlMs: 30_000 });
  assert.deepEqual(await resolver.mx('empty.test'), { kind: 'noData', ttlMs: 30_000 });
  assert.deepEqual(await resolver.mx('nowhere.test'), { kind: 'noName', ttlMs: 30_000 });
});

test('addresses of both families are found together', async (t) => {
  const zones = {
    'both.test': { a: ['192.0.2.1', '192.0.2.2'], aaaa: ['2001:db8::1'] },
    'six.test': { aaaa: ['2001:db8::2'], ttl: 7 },
    'none.test': { mx: [[1, 'x.test']] as const },
    'half.test': { a: ['192.0.2.3'], trouble: { AAAA: 'servfail' } as const },
    'odd.test': { a: ['192.0.2.4'], trouble: { AAAA: 'nxdomain' } as const },
    'odder.test': { trouble: { AAAA: 'nxdomain' } as const },
    'oddest.test': { trouble: { A: 'nxdomain' } as const },
    'bad.test': { a: [], trouble: { AAAA: 'servfail' } as const },
  };
  const { resolver } = await setUp(t, { zones });
  assert.deepEqual(await resolver.addresses('both.test'), {
    kind: 'found',
    records: ['192.0.2.1', '192.0.2.2', '2001:db8::1'],
    ttlMs: 300_000,
  });
  assert.deepEqual(await resolver.addresses('six.test'), { kind: 'found', records: ['2001:db8::2'], ttlMs: 7_000 });
  assert.deepEqual(await resolver.addresses('none.test'), { kind: 'noData', ttlMs: 60_000 });
  assert.deepEqual(await resolver.addresses('nowhere.test'), { kind: 'noName', ttlMs: 60_000 });
  assert.equal((await resolver.addresses('half.test')).kind, 'found', 'one family in trouble does not hide the other');
  assert.equal((await resolver.addresses('odd.test')).kind, 'found');
  for (const name of ['odder.test', 'oddest.test'])
    assert.equal((await resolver.addresses(name)).kind, 'noData', 'there is the name, says one of the two');
  assert.equal((await resolver.addresses('bad.test')).kind, 'failed', 'but with nothing found, there may be something');
});

test('an answer is kept as long as it is good for, and what is left of that is told', async (t) => {
  const { server, clock, resolver } = await setUp(t, {
    zones: {
      'a.test': { mx: [[1, 'm.test']], ttl: 100 },
      'zero.test': { mx: [[1, 'm.test']], ttl: 0 },
      'long.test': { mx: [[1, 'm.test']], ttl: 1e6 },
    },
    negativeTtl: 1e6,
  });
  await resolver.mx('a.test');
  await clock.advance(99_000);
  assert.equal(((await resolver.mx('a.test')) as { ttlMs: number }).ttlMs, 1_000);
  assert.equal(server.queries.length, 1);
  await clock.advance(1_000);
  await resolver.mx('a.test');
  assert.equal(server.queries.length, 2);
  await resolver.mx('a.test', { refresh: true });
  assert.equal(server.queries.length, 3);
  await resolver.mx('a.test');
  assert.equal(server.queries.length, 3);
  assert.deepEqual(await resolver.mx('nowhere.test'), { kind: 'noName', ttlMs: 900_000 });
  assert.equal(((await resolver.mx('zero.test')) as { ttlMs: number }).ttlMs, 5_000);
  assert.equal(((await resolver.mx('long.test')) as { ttlMs: number }).ttlMs, 86_400_000);
});

test('failures are not kept', async (t) => {
  const { server, resolver } = await setUp(t, { zones: { 'a.test': { trouble: 'servfail' } } }, { attempts: 1 });
  const failed = await resolver.mx('a.test');
  assert.equal(failed.kind, 'failed');
  assert.equal(failed.kind === 'failed' && failed.text, `DNS, MX of a.test: SERVFAIL from ${server.address}`);
  server.set('a.test', { mx: [[1, 'm.test']] });
  assert.equal((await resolver.mx('a.test')).kind, 'found');
});

test('the cache is bounded, and what was used last stays longest', async (t) => {
  const { server, resolver } = await setUp(t, { zones: { '*.test': { mx: [[1, 'm.test']] } } }, { maxEntries: 2 });
  for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) await resolver.mx(`${name}.test`);
  assert.deepEqual(
    server.queries.map(({ name }) => name[0]),
    ['a', 'b', 'c', 'b'],
  );
});

test('the same question asked by many at once is asked once', async (t) => {
  const { server, resolver } = await setUp(t, { zones: { 'a.test': { mx: [[1, 'm.test']] } } });
  const answers = await Promise.all(Array.from({ length: 50 }, () => resolver.mx('a.test')));
  assert.equal(server.queries.length, 1);
  assert.ok(answers.every(({ kind }) => kind === 'found'));
});

test('a burst of questions goes out little by little, and all are answered', async (t) => {
  let silent = true;
  const { server, clock, resolver } = await setUp(
    t,
    { zones: { '*.test': { mx: [[1, 'm.test']] } }, trouble: () => (silent ? 'drop' : undefined) },
    { attempts: 2 },
  );
  const answers = Array.from({ length: 300 }, (_, i) => resolver.mx(`d${i}.test`));
  await until(() => server.queries.length >= 100);
  await settle(20);
  assert.equal(server.queries.length, 100);
  await clock.advance(5_000);
  await until(() => server.queries.length >= 200);
  await settle(20);
  assert.equal(server.queries.length, 200, 'each that ended makes room for one');
  silent = false;
  await clock.advance(5_000);
  const kinds = (await Promise.all(answers)).map(({ kind }) => kind);
  assert.deepEqual([...new Set(kinds)], ['found']);
});

test('who gives up waiting leaves the others their answer, and the last one ends the question', async (t) => {
  let silent = true;
  const { server, clock, resolver } = await setUp(t, {
    zones: { 'a.test': { mx: [[1, 'm.test']] } },
    trouble: () => (silent ? 'drop' : undefined),
  });
  const [one, two] = [new AbortController(), new AbortController()];
  const waits = [resolver.mx('a.test', { signal: one.signal }), resolver.mx('a.test', { signal: two.signal })] as const;
  one.abort(new Error('enough'));
  await assert.rejects(waits[0], /enough/);
  await until(() => server.queries.length === 1);
  silent = false;
  await clock.advance(5_000);
  assert.equal((await waits[1]).kind, 'found');

  silent = true;
  const three = new AbortController();
  const wait = resolver.mx('a.test', { refresh: true, signal: three.signal });
  await until(() => server.queries.length === 3);
  three.abort(new Error('enough'));
  await assert.rejects(wait, /enough/);
  await until(() => clock.pending === 0);
  await assert.rejects(resolver.mx('b.test', { signal: AbortSignal.abort(new Error('before')) }), /before/);
});

test('a server that does not answer, or answers nonsense, is passed by for the next', async (t) => {
  const good = await startDnsServer({ zones: { 'a.test': { mx: [[1, 'm.test']] } } });
  t.after(() => good.close());
  for (const trouble of ['servfail', 'refused', 'garbage', 'wrongName', 'referral', 'drop', 'wrongId'] as const) {
    const bad = await startDnsServer({ zones: {}, trouble: () => trouble });
    t.after(() => bad.close());
    const clock = createVirtualClock();
    const resolver = createDnsResolver({ clock, random: createSeededRandom(1), servers: [bad.address, good.address] });
    const answer = resolver.mx('a.test');
    await until(() => bad.queries.length === 1);
    // Silence and foreign ids are waited out; everything else is seen at once.
    if (trouble === 'drop' || trouble === 'wrongId') await clock.advance(5_000);
    assert.equal((await answer).kind, 'found', trouble);
    assert.equal(bad.queries.length, 1, trouble);
  }
});

test('a forged answer does not stand in the way of the true one', async (t) => {
  const socket = createSocket('udp4');
  t.after(() => new Promise<void>((resolve) => void socket.close(resolve)));
  await new Promise<void>((resolve) => void socket.bind(0, '127.0.0.1', resolve));
  socket.on('message', (bytes, from) => {
    const { id = 0, questions = [] } = decode(bytes);
    const respond = (asId: number, exchange: string) =>
      socket.send(
        encode({ type: 'response', id: asId, questions, answers: [{ type: 'MX', name: 'a.test', ttl: 60, data: { exchange } }] }),
        from.port,
        from.address,
      );
    respond(id ^ 1, 'forged.test');
    socket.send(bytes.subarray(0, 5), from.port, from.address);
    respond(id, 'true.test');
  });
  const resolver = createDnsResolver({
    clock: createVirtualClock(),
    random: systemRandom,
    servers: [`127.0.0.1:${socket.address().port}`],
  });
  const answer = await resolver.mx('a.test');
  assert.deepEqual(answer.kind === 'found' && answer.records, [{ preference: 0, exchange: 'true.test' }]);
});

test('nobody listening is seen at once, and told', async (t) => {
  const gone = `${NOBODY.host}:${NOBODY.port}`;
  const { resolver, server } = await setUp(t, { zones: {}, trouble: () => 'refused' });
  const clock = createVirtualClock();
  const lonely = createDnsResolver({ clock, random: systemRandom, servers: [gone, server.address] });
  assert.deepEqual(await lonely.mx('a.test'), {
    kind: 'failed',
    text: `DNS, MX of a.test: ECONNREFUSED from ${gone}, REFUSED from ${server.address}`,
  });
  assert.equal(server.queries.length, 2, 'two rounds');
  assert.equal((await resolver.mx('a.test')).kind, 'failed');
});

test('silence ends after all rounds, with word of it', async (t) => {
  const { server, clock, resolver } = await setUp(t, { zones: {}, trouble: () => 'drop' }, { timeoutMs: 1_000, attempts: 3 });
  const answer = resolver.mx('a.test');
  for (let round = 1; round <= 3; round++) {
    await until(() => server.queries.length === round);
    await clock.advance(1_000);
  }
  assert.deepEqual(await answer, { kind: 'failed', text: `DNS, MX of a.test: no answer from ${server.address}` });
});

test('a truncated answer is fetched over TCP', async (t) => {
  const many = Array.from({ length: 80 }, (_, i) => [i, `mail-exchanger-number-${i}.example.test`] as const);
  const { server, resolver } = await setUp(t, {
    zones: { 'big.test': { mx: many }, 'forced.test': { mx: [[1, 'm.test']], truncate: true }, 'edns.test': { mx: many.slice(0, 12) } },
  });
  const big = await resolver.mx('big.test');
  assert.equal(big.kind === 'found' && big.records.length, 80);
  assert.equal((await resolver.mx('forced.test')).kind, 'found');
  assert.equal((await resolver.mx('edns.test')).kind, 'found');
  assert.deepEqual(asked(server), ['big.test MX udp', 'big.test MX tcp', 'forced.test MX udp', 'forced.test MX tcp', 'edns.test MX udp']);
});

test('trouble over TCP is trouble, too', async (t) => {
  const { server, clock, resolver } = await setUp(
    t,
    {
      zones: { 'a.test': { mx: [[1, 'm.test']], truncate: true } },
      trouble: ({ transport }) => (transport === 'tcp' ? 'drop' : undefined),
    },
    { attempts: 1, timeoutMs: 1_000 },
  );
  const answer = resolver.mx('a.test');
  await until(() => server.queries.length === 2);
  await clock.advance(1_000);
  assert.match(JSON.stringify(await answer), /no answer from/);
});

test('a server that does not know EDNS is asked without', async (t) => {
  const { server, resolver } = await setUp(t, {
    zones: { 'a.test': { mx: [[1, 'm.test']] } },
    trouble: ({ edns }) => (edns ? 'formerr' : undefined),
  });
  assert.equal((await resolver.mx('a.test')).kind, 'found');
  assert.deepEqual(
    server.queries.map(({ edns }) => edns),
    [true, false],
  );
});

test('CNAMEs are followed, within an answer and by asking on, with the shortest of their times', async (t) => {
  const zones = {
    'a.test': { cname: 'B.test', ttl: 50 },
    'b.test': { cname: 'c.test', ttl: 20 },
    'c.test': { mx: [[1, 'm.test']] as const, a: ['192.0.2.1'] },
    'void.test': { cname: 'nowhere.test' },
    'bare.test': { cname: 'empty.test' },
    'empty.test': {},
    'loop.test': { cname: 'pool.test' },
    'pool.test': { cname: 'loop.test' },
  };
  for (const chase of [true, false]) {
    const { server, resolver } = await setUp(t, { zones, chase });
    assert.deepEqual(await resolver.mx('a.test'), { kind: 'found', records: [{ preference: 1, exchange: 'm.test' }], ttlMs: 20_000 });
    assert.equal(server.queries.length, chase ? 1 : 3);
    assert.equal((await resolver.addresses('a.test')).kind, 'found');
    assert.equal((await resolver.mx('void.test')).kind, 'noName');
    assert.equal((await resolver.mx('bare.test')).kind, 'noData');
    assert.equal((await resolver.mx('loop.test')).kind, 'failed');
    assert.ok(server.queries.length < 60);
  }
});

test('a chain of eight CNAMEs is followed, a longer one is not', async (t) => {
  const chain = (length: number, name: string) =>
    Object.fromEntries(Array.from({ length }, (_, i) => [`${name}${i}.test`, { cname: `${name}${i + 1}.test` }]));
  for (const chase of [true, false]) {
    const { resolver } = await setUp(t, {
      zones: { ...chain(8, 'a'), 'a8.test': { mx: [[1, 'm.test']] }, ...chain(9, 'b'), 'b9.test': { mx: [[1, 'm.test']] } },
      chase,
    });
    assert.equal((await resolver.mx('a0.test')).kind, 'found', `chase: ${chase}`);
    assert.equal((await resolver.mx('b0.test')).kind, 'failed', `chase: ${chase}`);
  }
});

test('records that are no names are left out, and if none remains it is a failure, not an absence', async (t) => {
  const { resolver } = await setUp(
    t,
    {
      zones: {
        'some.test': {
          mx: [
            [1, '192.0.2.1'],
            [2, 'a\r\nb.test'],
            [3, 'good.test'],
            [4, 'white space.test'],
          ],
        },
        'none.test': { mx: [[1, '192.0.2.1']] },
        'alias.test': { cname: 'a b.test' },
      },
    },
    { attempts: 1 },
  );
  const some = await resolver.mx('some.test');
  assert.deepEqual(some.kind === 'found' && some.records, [{ preference: 3, exchange: 'good.test' }]);
  assert.match(JSON.stringify(await resolver.mx('none.test')), /no usable MX record/);
  assert.match(JSON.stringify(await resolver.mx('alias.test')), /CNAME that is not a name/);
});

test('what cannot be a name is no name, and nobody is asked', async (t) => {
  const { server, resolver } = await setUp(t, { zones: { 'final.test': { mx: [[1, 'm.test']] } } });
  for (const name of ['', '.', 'a..test', `${'a'.repeat(64)}.test`, `${'a.'.repeat(127)}test`, '192.0.2.1', 'a b.test', 'a\0.test']) {
    assert.equal((await resolver.mx(name)).kind, 'noName', JSON.stringify(name));
    assert.equal((await resolver.addresses(name)).kind, 'noName', JSON.stringify(name));
  }
  assert.equal(server.queries.length, 0);
  assert.equal((await resolver.mx('final.test.')).kind, 'found');
});

test('a configured host is an address, localhost, in the hosts file, or in the DNS', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'riata-hosts-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const hostsFile = join(folder, 'hosts');
  writeFileSync(hostsFile, '192.0.2.7 relay Relay.test # not.test\n#192.0.2.8 hidden.test\n2001:db8::7\trelay.test\nnonsense relay.test\n');
  const { server, resolver } = await setUp(
    t,
    { zones: { 'relay.test': { a: ['192.0.2.99'] }, 'other.test': { a: ['192.0.2.5'] } } },
    { hostsFile },
  );
  const records = async (host: string) => {
    const answer = await resolver.hostAddresses(host);
    return answer.kind === 'found' ? answer.records : answer.kind;
  };
  assert.deepEqual(await records('192.0.2.1'), ['192.0.2.1']);
  assert.deepEqual(await records('2001:db8::1'), ['2001:db8::1']);
  assert.deepEqual(await records('LocalHost.'), ['127.0.0.1', '::1']);
  assert.deepEqual(await records('relay.test'), ['192.0.2.7', '2001:db8::7']);
  assert.equal(server.queries.length, 0);
  assert.deepEqual(await records('Other.test'), ['192.0.2.5']);
  assert.equal(await records('hidden.test'), 'noName');
  assert.equal(await records('not.test'), 'noName');
});

test('without configured servers the system says which, and what localhost is', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'riata-resolv-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const resolvConf = join(folder, 'resolv.conf');
  writeFileSync(resolvConf, 'nameserver 127.0.0.99\noptions attempts:1 timeout:1\n');
  const clock = createVirtualClock();
  const resolver = createDnsResolver({ clock, random: systemRandom, resolvConf });
  const answer = resolver.mx('a.test');
  let settled = false;
  void answer.then(() => (settled = true));
  while (!settled) await clock.advance(500);
  assert.match(JSON.stringify(await answer), /127\.0\.0\.99:53/);
});

test('without configured servers a host is what the system makes of it', async () => {
  const resolver = createDnsResolver({ clock: createVirtualClock(), random: systemRandom });
  // A spelling that only the C library's resolver takes, and takes without asking anybody.
  const answer = await resolver.hostAddresses('127.1');
  assert.deepEqual(answer, { kind: 'found', records: ['127.0.0.1'], ttlMs: 30_000 });
  assert.equal((await resolver.hostAddresses('a..b')).kind, 'noName');
  await assert.rejects(resolver.hostAddresses('127.2', { signal: AbortSignal.abort(new Error('enough')) }), /enough/);
});
