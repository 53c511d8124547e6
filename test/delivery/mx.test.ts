import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADDRESSES_PER_HOST, MX_HOSTS, type Survey, surveyHost, surveyLiteral, surveyMx } from '../../src/delivery/mx.js';
import { createSeededRandom } from '../support/seeded-random.js';
import { FAILED, NO_DATA, NO_NAME, type Script, scriptedResolver } from './scripted-resolver.js';

interface Settings {
  readonly allowPrivateAddresses?: boolean;
  readonly seed?: number;
}

function options(script: Script, { allowPrivateAddresses = false, seed = 1 }: Settings = {}) {
  return { resolver: scriptedResolver(script), random: createSeededRandom(seed), ownNames: ['mail.riata.test'], allowPrivateAddresses };
}

const look = (script: Script, settings?: Settings) => surveyMx('example.com', options(script, settings));

/** `20 mx.example 1.1.1.1,2600::1` for each host of use. */
function usable({ hosts }: Survey): string[] {
  return hosts
    .filter(({ addresses }) => addresses.length > 0)
    .map(({ host, preference, addresses }) => `${preference} ${host} ${addresses.map(({ text }) => text)}`);
}

const verdict = ({ trouble }: Survey) => (trouble ? `${trouble.lasting} ${trouble.status} ${trouble.reason} at ${trouble.stage}` : 'none');

test('exchangers come by preference, with their addresses of both families in turn', async () => {
  const survey = await look({
    mx: {
      'example.com': [
        [20, 'b.example'],
        [10, 'a.example'],
      ],
    },
    addresses: { 'a.example': ['2600::1', '1.1.1.1'], 'b.example': ['1.1.1.2'] },
  });
  assert.deepEqual(usable(survey), ['10 a.example 1.1.1.1,2600::1', '20 b.example 1.1.1.2']);
  assert.equal(survey.via, 'mx');
  assert.equal(verdict(survey), 'none');
});

test('equal preferences are tried in random order, unequal ones never', async () => {
  const script: Script = {
    mx: {
      'example.com': [
        [10, 'a.example'],
        [10, 'b.example'],
        [5, 'first.example'],
      ],
    },
    addresses: { 'a.example': ['1.1.1.1', '1.1.1.2'], 'b.example': ['1.1.1.3'], 'first.example': ['1.1.1.4'] },
  };
  const orders = new Set<string>();
  for (let seed = 0; seed < 40; seed++) {
    const survey = await look(script, { seed });
    assert.equal(survey.hosts[0]!.host, 'first.example');
    orders.add(usable(survey).slice(1).join(' '));
  }
  assert.equal(orders.size, 4, 'hosts in two orders, the addresses of one in two');
});

test('without MX the domain itself takes its mail', async () => {
  const survey = await look({ mx: { 'example.com': NO_DATA }, addresses: { 'example.com': ['1.1.1.1'] } });
  assert.deepEqual(usable(survey), ['0 example.com 1.1.1.1']);
  assert.equal(survey.via, 'implicit');
});

test('what is wrong with a domain is told as what it is', async () => {
  const mx = (...exchangers: [number, string][]) => ({ 'example.com': exchangers });
  const cases: readonly [string, Script, string][] = [
    ['no such domain', { mx: { 'example.com': NO_NAME } }, 'permanent 5.1.2 noHost at resolve'],
    ['null MX', { mx: mx([0, '']) }, 'permanent 5.1.10 nullMx at resolve'],
    ['MX lookup failed', { mx: { 'example.com': FAILED } }, 'temporary 4.4.3 dns at resolve'],
    [
      'neither MX nor address',
      { mx: { 'example.com': NO_DATA }, addresses: { 'example.com': NO_DATA } },
      'permanent 5.1.2 noHost at resolve',
    ],
    [
      'no MX, address lookup failed',
      { mx: { 'example.com': NO_DATA }, addresses: { 'example.com': FAILED } },
      'temporary 4.4.3 dns at resolve',
    ],
    [
      'no exchanger has an address',
      { mx: mx([1, 'a.example'], [2, 'b.example']), addresses: { 'a.example': NO_DATA } },
      'permanent 5.4.4 noHost at resolve',
    ],
    [
      'one has none, the other failed',
      { mx: mx([1, 'a.example'], [2, 'b.example']), addresses: { 'b.example': FAILED } },
      'temporary 4.4.3 dns at resolve',
    ],
    [
      'all addresses unfit',
      { mx: mx([1, 'a.example']), addresses: { 'a.example': ['127.0.0.1', '10.0.0.1'] } },
      'permanent 5.4.4 refusedAddress at resolve',
    ],
    [
      'unfit, and the other failed',
      { mx: mx([1, 'a.example'], [2, 'b.example']), addresses: { 'a.example': ['::1'], 'b.example': FAILED } },
      'temporary 4.4.3 dns at resolve',
    ],
    [
      'implicit and unfit',
      { mx: { 'example.com': NO_DATA }, addresses: { 'example.com': ['192.168.1.1'] } },
      'permanent 5.4.4 refusedAddress at resolve',
    ],
    ['an address as MX', { mx: mx([1, '1.1.1.1']), addresses: { '1.1.1.1': ['1.1.1.1'] } }, 'permanent 5.4.4 noHost at resolve'],
    ['junk as MX', { mx: mx([1, 'a b']), addresses: { 'a b': ['1.1.1.1'] } }, 'permanent 5.4.4 noHost at resolve'],
    ['localhost as MX', { mx: mx([1, 'localhost']), addresses: { localhost: ['1.1.1.1'] } }, 'permanent 5.4.4 refusedAddress at resolve'],
    [
      'a name under localhost as MX',
      { mx: mx([1, 'x.localhost']), addresses: { 'x.localhost': ['1.1.1.1'] } },
      'permanent 5.4.4 refusedAddress at resolve',
    ],
    ['we are the MX', { mx: mx([1, 'mail.riata.test']), addresses: { 'mail.riata.test': ['1.1.1.1'] } }, 'permanent 5.4.6 loop at resolve'],
    [
      'we are among the best',
      { mx: mx([1, 'mail.riata.test'], [1, 'a.example']), addresses: { 'a.example': ['1.1.1.1'] } },
      'permanent 5.4.6 loop at resolve',
    ],
  ];
  for (const [name, script, expected] of cases) {
    const survey = await look(script);
    assert.equal(verdict(survey), expected, name);
    assert.deepEqual(usable(survey), [], name);
  }
});

test('what is wrong with one exchanger keeps nobody from the others', async () => {
  const mx = (...exchangers: [number, string][]) => ({ 'example.com': exchangers });
  const good = { 'good.example': ['1.1.1.1'] };
  const cases: readonly [string, Script][] = [
    ['null MX beside others', { mx: mx([0, ''], [10, 'good.example']), addresses: good }],
    ['without address', { mx: mx([1, 'a.example'], [10, 'good.example']), addresses: { ...good, 'a.example': NO_DATA } }],
    ['failed', { mx: mx([1, 'a.example'], [10, 'good.example']), addresses: { ...good, 'a.example': FAILED } }],
    ['unfit', { mx: mx([1, 'a.example'], [10, 'good.example']), addresses: { ...good, 'a.example': ['127.0.0.1'] } }],
    ['junk', { mx: mx([1, '192.0.2.1'], [10, 'good.example']), addresses: good }],
    [
      'we are a worse one',
      {
        mx: mx([10, 'good.example'], [20, 'mail.riata.test'], [30, 'worse.example']),
        addresses: { ...good, 'worse.example': ['1.1.1.2'] },
      },
    ],
    ['named twice', { mx: mx([10, 'good.example'], [20, 'good.example']), addresses: good }],
    ['one unfit address', { mx: mx([10, 'good.example']), addresses: { 'good.example': ['10.0.0.1', '1.1.1.1', '::ffff:127.0.0.1'] } }],
  ];
  for (const [name, script] of cases) {
    const survey = await look(script);
    assert.deepEqual(usable(survey), ['10 good.example 1.1.1.1'], name);
    assert.equal(verdict(survey), 'none', name);
  }
});

test('an operator who allows private addresses gets them', async () => {
  const script: Script = { mx: { 'example.com': [[1, 'a.example']] }, addresses: { 'a.example': ['127.0.0.1', '10.0.0.1'] } };
  assert.equal(usable(await look(script, { allowPrivateAddresses: true })).length, 1);
  const local: Script = { mx: { 'example.com': [[1, 'localhost']] }, addresses: { localhost: ['127.0.0.1'] } };
  assert.deepEqual(usable(await look(local, { allowPrivateAddresses: true })), ['1 localhost 127.0.0.1']);
  assert.equal(surveyLiteral('127.0.0.1', options({}, { allowPrivateAddresses: true })).trouble, undefined);
});

test('the refusal names the addresses, why, and the way out', async () => {
  const { trouble, hosts } = await look({
    mx: { 'example.com': [[1, 'a.example']] },
    addresses: { 'a.example': ['127.0.0.1', '::ffff:10.0.0.1'] },
  });
  assert.match(
    trouble!.text,
    /a\.example is 127\.0\.0\.1, loopback; a\.example is 10\.0\.0\.1, private.*\[\[route\]\].*delivery\.allowPrivateAddresses/,
  );
  assert.deepEqual(hosts[0]!.refused, [
    { address: '127.0.0.1', why: 'loopback' },
    { address: '10.0.0.1', why: 'private' },
  ]);
});

test('no answer of DNS makes the list longer than its limits', async () => {
  const exchangers = Array.from({ length: 30 }, (_, n): [number, string] => [n, `mx${n}.example`]);
  const addresses = Object.fromEntries(exchangers.map(([n, host]) => [host, Array.from({ length: 20 }, (_, m) => `1.1.${n}.${m + 1}`)]));
  const settings = options({ mx: { 'example.com': exchangers }, addresses });
  const survey = await surveyMx('example.com', settings);
  assert.equal(survey.hosts.length, MX_HOSTS);
  assert.equal(survey.hosts.at(-1)!.host, `mx${MX_HOSTS - 1}.example`);
  assert.ok(survey.hosts.every((host) => host.addresses.length === ADDRESSES_PER_HOST));
  assert.equal(settings.resolver.asked.length, 1 + MX_HOSTS);
});

test('an answer is good for as long as the shortest of its parts, and not long if a part is missing', async () => {
  const found = (ttlMs: number) => ({ kind: 'found', records: ['1.1.1.1'], ttlMs }) as const;
  const exchangers = {
    kind: 'found',
    ttlMs: 500_000,
    records: [
      { exchange: 'a.example', preference: 1 },
      { exchange: 'b.example', preference: 2 },
    ],
  } as const;
  const ttl = async (script: Script) => (await look(script)).ttlMs;
  assert.equal(
    await ttl({ mx: { 'example.com': exchangers }, addresses: { 'a.example': found(400_000), 'b.example': found(300_000) } }),
    300_000,
  );
  assert.equal(await ttl({ mx: { 'example.com': exchangers }, addresses: { 'a.example': found(400_000), 'b.example': FAILED } }), 60_000);
  assert.equal(await ttl({ mx: { 'example.com': NO_DATA }, addresses: { 'example.com': found(7_000_000) } }), 300_000);
});

test('an address literal leads to that address, unless it is unfit', () => {
  const literal = (address: string) => surveyLiteral(address, options({}));
  assert.deepEqual(usable(literal('8.8.8.8')), ['0 8.8.8.8 8.8.8.8']);
  assert.deepEqual(usable(literal('2a00:1450::1')), ['0 2a00:1450::1 2a00:1450::1']);
  for (const address of ['127.0.0.1', '10.0.0.1', '::1', '::ffff:127.0.0.1', '64:ff9b::a00:1', 'fe80::1']) {
    assert.equal(verdict(literal(address)), 'permanent 5.4.4 refusedAddress at resolve', address);
  }
  assert.equal(verdict(literal('nonsense')), 'permanent 5.1.2 noHost at resolve');
});

test('a configured host is the operator’s word: its MX is not looked up, its addresses are not judged', async () => {
  const settings = options({
    mx: { 'relay.example': [[1, 'other.example']] },
    hosts: { 'relay.example': ['127.0.0.1', '::1', '10.0.0.1'] },
  });
  const survey = await surveyHost('relay.example', settings);
  assert.equal(survey.hosts[0]!.addresses.length, 3);
  assert.deepEqual(settings.resolver.asked, ['host relay.example']);
  assert.deepEqual(usable(await surveyHost('127.0.0.1', settings)), ['0 127.0.0.1 127.0.0.1']);
  assert.equal(settings.resolver.asked.length, 1, 'an address needs no lookup');
});

test('trouble with a configured host is never permanent: a slip in the settings must not bounce the queue', async () => {
  const of = async (answer: typeof FAILED | typeof NO_NAME | typeof NO_DATA) =>
    verdict(await surveyHost('relay.example', options({ hosts: { 'relay.example': answer } })));
  assert.equal(await of(FAILED), 'temporary 4.4.3 dns at resolve');
  assert.equal(await of(NO_NAME), 'temporary 4.4.4 noHost at resolve');
  assert.equal(await of(NO_DATA), 'temporary 4.4.4 noHost at resolve');
});
