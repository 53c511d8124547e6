/** `riata doctor`, against a made-up DNS, servers and time server on loopback: what it finds, and what it says to do. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Cli } from '../../src/cli/command.js';
import { examine } from '../../src/cli/doctor/doctor.js';
import type { Finding, Patient } from '../../src/cli/doctor/finding.js';
import { examinePlace } from '../../src/cli/doctor/machine.js';
import { checkSpf } from '../../src/cli/doctor/spf.js';
import type { ConfigOptions, LoadedConfig } from '../../src/config/config.js';
import { configFromOptions } from '../../src/config/load.js';
import type { DnsZones } from '../../src/dev/dns-server.js';
import { systemClock } from '../../src/platform/clock.js';
import { systemDialer } from '../../src/platform/dialer.js';
import { createDnsResolver } from '../../src/platform/dns.js';
import { createDnsRecords, reverseName } from '../../src/platform/dns-records.js';
import { clockOffset } from '../../src/platform/ntp.js';
import { systemRandom } from '../../src/platform/random.js';
import { destination, madeUpDns, temporaryFolder } from '../support/agent.js';
import type { Scope } from '../support/scope.js';
import { run } from './run.js';

const key = (bits: number) =>
  generateKeyPairSync('rsa', { modulusLength: bits }).publicKey.export({ type: 'spki', format: 'der' }).toString('base64');

const GOOD: DnsZones = {
  'mail.example.test': { a: ['127.0.0.1'] },
  '1.0.0.127.in-addr.arpa': { ptr: ['Mail.Example.test'] },
  'probe.test': { mx: [[10, 'mx.probe.test']] },
  'mx.probe.test': { a: ['127.0.0.1'] },
  'example.test': { mx: [[10, 'mail.example.test']], txt: ['other', 'v=spf1 include:_spf.example.test -all'] },
  '_spf.example.test': { txt: ['v=spf1 ip4:127.0.0.0/8 ~all'] },
  's1._domainkey.example.test': { cname: 'key_1.elsewhere.test' },
  'key_1.elsewhere.test': { txt: [`v=DKIM1; k=rsa; p=${key(2048)}`] },
  '_dmarc.example.test': { txt: ['v=DMARC1; p=reject'] },
};

const NO_MOUNTS = { inContainer: false, mounts: [] };

async function patientIn(scope: Scope, zones: DnsZones, mxPort = 1): Promise<Patient & { dns: string }> {
  const dns = await madeUpDns(scope, zones);
  const asking = { servers: [dns.address], clock: systemClock, random: systemRandom, timeoutMs: 30_000, attempts: 1 };
  return {
    dns: dns.address,
    resolver: createDnsResolver(asking),
    records: createDnsRecords(asking),
    dialer: systemDialer,
    clock: systemClock,
    mxPort,
    mounts: NO_MOUNTS,
  };
}

/** Answers with the time of this machine, and so many milliseconds more. */
async function timeServer(t: TestContext, aheadMs = 0): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (_, from) => {
    const answer = Buffer.alloc(48);
    const seconds = (Date.now() + aheadMs) / 1000 + 2_208_988_800;
    answer.writeUInt32BE(Math.floor(seconds), 40);
    answer.writeUInt32BE(Math.floor((seconds % 1) * 2 ** 32), 44);
    socket.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  t.after(() => socket.close());
  return socket.address().port;
}

interface More {
  readonly zones?: DnsZones;
  readonly config?: ConfigOptions;
  readonly sending?: readonly string[];
  readonly selector?: readonly string[];
  readonly mxPort?: number;
  readonly ntp?: string;
  readonly files?: readonly string[];
}

async function examined(t: TestContext, more: More = {}): Promise<readonly Finding[]> {
  const folder = await temporaryFolder(t);
  const spool = path.join(folder, 'spool');
  await mkdir(spool, { mode: 0o700 });
  const read = configFromOptions(
    { hostname: 'mail.example.test', spool: { path: spool }, submission: { listen: ['127.0.0.1:0'] }, ...more.config },
    { machineName: 'x' },
  );
  const loaded: LoadedConfig = { ...read, files: more.files ?? [] };
  const sink = await destination(t);
  const patient = await patientIn(t, { ...GOOD, ...more.zones }, more.mxPort ?? sink.port);
  const args = {
    json: false,
    probe: 'probe.test',
    ntp: more.ntp ?? `127.0.0.1:${await timeServer(t)}`,
    sending: more.sending ?? [],
    selector: more.selector ?? [],
  };
  return examine(loaded, args, patient, { cwd: folder, env: {}, clock: systemClock } as unknown as Cli);
}

const of = (findings: readonly Finding[], check: string) => findings.filter((finding) => finding.check === check);
const levels = (findings: readonly Finding[], check: string) => of(findings, check).map(({ level }) => level);

test('where all is set up well, all is well', async (t) => {
  const findings = await examined(t, { sending: ['example.test'], selector: ['s1'] });
  assert.deepEqual(
    findings.filter(({ level }) => level !== 'ok'),
    [],
  );
  for (const check of ['dns', 'hostname', 'reverse', 'port 25', 'mx', 'spf', 'dkim', 'dmarc', 'clock', 'disk', 'fsync', 'spool', 'listen'])
    assert.equal(of(findings, check).length, 1, check);
});

test('everything that is not well is told with what to do', async (t) => {
  const bad: Record<string, readonly [DnsZones, string, Finding['level'], RegExp]> = {
    'no DNS': [{ 'probe.test': { trouble: 'servfail' } }, 'dns', 'fail', /SERVFAIL/],
    'no address': [{ 'mail.example.test': {} }, 'hostname', 'fail', /knows no address/],
    'no reverse': [{ '1.0.0.127.in-addr.arpa': {} }, 'reverse', 'fail', /no reverse name/],
    'another reverse': [{ '1.0.0.127.in-addr.arpa': { ptr: ['vps-7.provider.test'] } }, 'reverse', 'warn', /vps-7/],
    'no MX': [{ 'example.test': { txt: ['v=spf1 ip4:127.0.0.1 -all'] } }, 'mx', 'warn', /nowhere to go/],
    'no SPF': [{ 'example.test': { mx: [[10, 'mail.example.test']] } }, 'spf', 'warn', /no SPF record/],
    'SPF of others': [{ '_spf.example.test': { txt: ['v=spf1 ip4:192.0.2.1 -all'] } }, 'spf', 'fail', /may not send/],
    'no key': [{ 's1._domainkey.example.test': {} }, 'dkim', 'fail', /no key/],
    'a short key': [{ 'key_1.elsewhere.test': { txt: [`p=${key(1024)}`] } }, 'dkim', 'warn', /1024 bits/],
    'a key withdrawn': [{ 'key_1.elsewhere.test': { txt: ['v=DKIM1; p='] } }, 'dkim', 'fail', /withdrawn/],
    'a key cut off': [{ 'key_1.elsewhere.test': { txt: [`p=${key(2048).slice(0, 100)}`] } }, 'dkim', 'fail', /cannot be used/],
    'no DMARC': [{ '_dmarc.example.test': {} }, 'dmarc', 'warn', /no DMARC/],
    'two of DMARC': [{ '_dmarc.example.test': { txt: ['v=DMARC1; p=none', 'v=DMARC1; p=reject'] } }, 'dmarc', 'fail', /2 policies/],
    'DMARC without a policy': [{ '_dmarc.example.test': { txt: ['v=DMARC1; rua=mailto:a@b.test'] } }, 'dmarc', 'fail', /cannot be read/],
  };
  for (const [name, [zones, check, level, text]] of Object.entries(bad)) {
    const findings = await examined(t, { zones, sending: ['example.test'], selector: ['s1'] });
    const [found] = of(findings, check);
    assert.equal(found?.level, level, name);
    assert.match(found!.text, text, name);
    assert.ok(found!.todo, name);
  }
});

test('a blocked port 25 fails, but not where all mail goes through a relay that answers', async (t) => {
  assert.deepEqual(levels(await examined(t, { mxPort: 1 }), 'port 25'), ['fail']);
  const relay = await destination(t);
  const relayed = await examined(t, { mxPort: 1, config: { route: [{ host: '127.0.0.1', port: relay.port }] } });
  assert.deepEqual([levels(relayed, 'port 25'), levels(relayed, 'relay'), levels(relayed, 'reverse')], [[], ['ok'], []]);
  const gone = await examined(t, { config: { route: [{ host: '127.0.0.1', port: 1 }] } });
  assert.deepEqual(levels(gone, 'relay'), ['fail']);
  assert.match(of(gone, 'relay')[0]!.text, /ECONNREFUSED/);
});

test('the clock is compared: a minute off is worth a word, a quarter of an hour is a failure, nobody there is said so', async (t) => {
  const at = async (aheadMs: number) => levels(await examined(t, { ntp: `127.0.0.1:${await timeServer(t, aheadMs)}` }), 'clock');
  assert.deepEqual([await at(10_000), await at(-90_000), await at(3_600_000)], [['ok'], ['warn'], ['fail']]);
  await assert.rejects(clockOffset({ address: '127.0.0.1', port: 9 }, systemClock, 50));
});

test('permissions: a spool that others can look into, and secrets that everybody can read', async (t) => {
  const folder = await temporaryFolder(t);
  const users = path.join(folder, 'users');
  await writeFile(users, '', { mode: 0o644 });
  const findings = await examined(t, { config: { spool: { path: folder }, submission: { listen: ['127.0.0.1:0'], usersFile: users } } });
  assert.deepEqual([levels(findings, 'spool'), levels(findings, 'secrets')], [['ok'], ['warn']]);
  await chmod(folder, 0o755);
  await chmod(users, 0o600);
  const others = await examined(t, { config: { spool: { path: folder }, submission: { listen: ['127.0.0.1:0'], usersFile: users } } });
  assert.deepEqual([levels(others, 'spool'), levels(others, 'secrets')], [['fail'], ['ok']]);
});

test('a port that somebody has, and a disk that is too full', async (t) => {
  const taken = await destination(t);
  const port = await examined(t, { config: { submission: { listen: [`127.0.0.1:${taken.port}`] } } });
  assert.deepEqual(levels(port, 'listen'), ['fail']);
  const full = await examined(t, { config: { spool: { path: await temporaryFolder(t), minFreeSpace: '1000000GiB' } } });
  assert.deepEqual(levels(full, 'disk'), ['fail']);
});

test('in a container the spool must lie on a volume', async (t) => {
  const spool = await temporaryFolder(t);
  const { config } = configFromOptions({ spool }, { machineName: 'x' });
  const loaded = { config } as LoadedConfig;
  const layer = { inContainer: true, mounts: [{ point: '/', root: '/', type: 'overlay' }] };
  assert.deepEqual(
    (await examinePlace(loaded, spool, layer)).map(({ level }) => level),
    ['fail'],
  );
  const volume = { inContainer: true, mounts: [...layer.mounts, { point: spool, root: '/volumes/mail', type: 'ext4' }] };
  assert.deepEqual(
    (await examinePlace(loaded, spool, volume)).map(({ level }) => level),
    ['ok'],
  );
});

test('SPF is read as receivers read it', async (t) => {
  const patient = await patientIn(t, {
    'a.test': { txt: ['v=spf1 a -all'], a: ['192.0.2.1'] },
    'net.test': { txt: ['v=spf1 a/24 -all'], a: ['192.0.2.99'] },
    'mx.test': { txt: ['v=spf1 mx ~all'], mx: [[10, 'a.test']] },
    'six.test': { txt: ['v=spf1 ip6:2001:db8::/32 ip4:192.0.2.1 -all'] },
    'redirect.test': { txt: ['v=spf1 redirect=a.test'] },
    'include.test': { txt: ['v=spf1 include:soft.test ?all'] },
    'soft.test': { txt: ['v=spf1 ~all'] },
    'open.test': { txt: ['v=spf1 +all'] },
    'two.test': { txt: ['v=spf1 -all', 'v=spf1 ~all'] },
    'broken.test': { txt: ['v=spf1 ip4:999.1.1.1 -all'] },
    'word.test': { txt: ['v=spf1 everybody -all'] },
    'gone.test': { txt: ['v=spf1 include:none.test -all'] },
    'macro.test': { txt: ['v=spf1 exists:%{i}.x.test -all'] },
    'loop.test': { txt: ['v=spf1 include:loop.test -all'] },
    'none.test': { txt: ['v=spf10 all'] },
  });
  const result = async (domain: string, address = '192.0.2.1') => (await checkSpf(domain, address, patient)).result;
  const expected = {
    'a.test': 'pass',
    'net.test': 'pass',
    'mx.test': 'pass',
    'six.test': 'pass',
    'redirect.test': 'pass',
    'include.test': 'neutral',
    'soft.test': 'softfail',
    'two.test': 'error',
    'broken.test': 'error',
    'word.test': 'error',
    'gone.test': 'error',
    'macro.test': 'unknown',
    'loop.test': 'error',
    'none.test': 'none',
  };
  for (const [domain, wanted] of Object.entries(expected)) assert.equal(await result(domain), wanted, domain);
  assert.equal(await result('a.test', '198.51.100.1'), 'fail');
  assert.equal(await result('six.test', '2001:db8::25'), 'pass');
  assert.equal((await checkSpf('open.test', '192.0.2.1', patient)).everybody, true);
  assert.equal((await checkSpf('a.test', '192.0.2.1', patient)).everybody, false);
});

test('an address has its name in reverse', () => {
  assert.equal(reverseName('192.0.2.1'), '1.2.0.192.in-addr.arpa');
  assert.equal(reverseName('2001:db8::1'), `1.${'0.'.repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`);
});

test('the command prints a line for each finding in 80 columns, JSON where asked, and ends with 69 where something failed', async (t) => {
  const folder = await temporaryFolder(t);
  const dns = await madeUpDns(t, GOOD);
  const config = path.join(folder, 'riata.toml');
  const ntp = `127.0.0.1:${await timeServer(t)}`;
  const relay = await destination(t);
  const write = (port: number) =>
    writeFile(
      config,
      `hostname = "mail.example.test"\nspool.path = "${folder}/spool"\nspool.ephemeral = "allow"\nsubmission.listen = ["127.0.0.1:0"]\ndns.servers = ["${dns.address}"]\n[[route]]\nhost = "127.0.0.1"\nport = ${port}\n`,
    );
  const doctor = (...more: string[]) =>
    run(['doctor', 'example.test', '--config', config, '--probe', 'probe.test', '--ntp', ntp, ...more], { clock: systemClock });
  await write(relay.port);
  const well = await doctor();
  assert.equal(well.code, 0, well.out);
  assert.match(well.out, /^ok {4}dns {7}probe\.test was looked up/m);
  assert.match(well.out, /^ok {4}dmarc {5}example\.test has a policy, p=reject$/m);
  for (const line of well.out.split('\n')) assert.ok(line.length <= 80, line);
  await write(1);
  const ill = await doctor('--json');
  assert.equal(ill.code, 69);
  const failed = ill.out
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Finding]))
    .filter(({ level }) => level === 'fail');
  assert.deepEqual(
    failed.map(({ check }) => check),
    ['relay'],
  );
  assert.equal((await doctor('not a domain')).code, 64);
});
