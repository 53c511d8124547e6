import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { configFromOptions, loadConfig } from '../../src/config/load.js';
import { complaints, config, issuesOf, load } from './support.js';

test('without anything set every option has its default', () => {
  const { config: standard, sources, warnings } = load();
  assert.equal(standard.hostname, 'box.example');
  assert.equal(standard.delivery.heloName, 'box.example');
  assert.equal(standard.spool.path, './spool');
  assert.equal(standard.spool.maxMessageSize, 8 * 2 ** 20);
  assert.equal(standard.spool.minFreeSpace, 64 * 2 ** 20);
  assert.deepEqual(standard.submission.listen, [{ host: '127.0.0.1', port: 587 }]);
  assert.deepEqual(standard.submission.trustedNetworks, ['127.0.0.0/8', '::1/128']);
  assert.equal(standard.delivery.timeouts.finalDot, 600_000);
  assert.equal(standard.delivery.tls, 'opportunistic');
  assert.equal(standard.retry.expiry, 5 * 86_400_000);
  assert.deepEqual(standard.route, []);
  assert.equal(sources.size, 0);
  assert.deepEqual(warnings, []);
});

test('a flag wins over the environment, that over the file, that over the default', () => {
  const text = '[retry]\nfirstDelay = "1s"\nmaxDelay = "2s"\nexpiry = "3s"';
  const env = { RIATA_RETRY_FIRST_DELAY: '10s', RIATA_RETRY_MAX_DELAY: '20s' };
  const { config: merged, sources } = load({ text, file: 'riata.toml', env, flags: { 'retry-first-delay': '100ms' } });
  assert.deepEqual([merged.retry.firstDelay, merged.retry.maxDelay, merged.retry.expiry, merged.retry.factor], [100, 20_000, 3_000, 2]);
  assert.deepEqual(sources.get('retry.firstDelay'), { kind: 'flag', name: 'retry-first-delay' });
  assert.deepEqual(sources.get('retry.maxDelay'), { kind: 'variable', name: 'RIATA_RETRY_MAX_DELAY' });
  assert.deepEqual(sources.get('retry.expiry'), { kind: 'file', file: 'riata.toml', line: 4 });
  assert.equal(sources.get('retry.factor'), undefined);
});

test('a list that is set replaces the default whole, and can be emptied from the environment', () => {
  assert.deepEqual(config({ text: '[submission]\ntrustedNetworks = ["10.0.0.0/8"]' }).submission.trustedNetworks, ['10.0.0.0/8']);
  assert.deepEqual(config({ env: { RIATA_SUBMISSION_LISTEN: 'none' } }).submission.listen, []);
});

test('an empty variable counts as not set', () => {
  const { config: loaded, sources } = load({ env: { RIATA_SPOOL_PATH: '', RIATA_RELAY_HOST: '', RIATA_RELAY_PASSWORD_FILE: '' } });
  assert.equal(loaded.spool.path, './spool');
  assert.deepEqual(loaded.route, []);
  assert.equal(sources.size, 0);
});

test('nested options have their names by the one rule', () => {
  const env = { RIATA_SUBMISSION_TLS_CERT_FILE: 'a.pem', RIATA_SUBMISSION_TLS_KEY_FILE: 'b.pem', RIATA_DELIVERY_TIMEOUTS_FINAL_DOT: '1m' };
  const loaded = config({ env, flags: { 'delivery-timeouts-connect': '1s' } });
  assert.deepEqual(loaded.submission.tls, { certFile: 'a.pem', keyFile: 'b.pem' });
  assert.equal(loaded.delivery.timeouts.finalDot, 60_000);
  assert.equal(loaded.delivery.timeouts.connect, 1_000);
});

test("the design's spelling of a file is understood: inline tables as well as headings", () => {
  const loaded = config({
    text: `hostname = "mail.example.com"
log = { level = "debug", format = "postfix" }
[submission]
tls = { certFile = "c.pem", keyFile = "k.pem" }
[delivery]
timeouts = { connect = "1s", data = "2s" }
[[route]]
domain = "*.example.net"
host = "smtp.example.net"
port = 587
tls = "implicit"
username = "u"
password = "p"
[[route]]
host = "127.0.0.1"
port = 2525
`,
  });
  assert.equal(loaded.hostname, 'mail.example.com');
  assert.deepEqual([loaded.log.level, loaded.log.format], ['debug', 'postfix']);
  assert.equal(loaded.submission.tls.certFile, 'c.pem');
  assert.deepEqual(
    [loaded.delivery.timeouts.connect, loaded.delivery.timeouts.data, loaded.delivery.timeouts.command],
    [1_000, 2_000, 300_000],
  );
  assert.deepEqual(loaded.route[0], {
    domain: '*.example.net',
    sender: '*',
    host: 'smtp.example.net',
    port: 587,
    tls: 'implicit',
    username: 'u',
    password: 'p',
    ca: '',
    allowInsecureAuth: false,
    heloName: '',
    sourceAddress: '',
  });
  assert.equal(loaded.route[1]?.host, '127.0.0.1');
});

test('port and TLS of a route stay absent where they are not set: what they are then depends on the rest', () => {
  const [route] = config({ text: '[[route]]\nhost = "a.example"' }).route;
  assert.ok(route && !('port' in route) && !('tls' in route));
});

test('free space to keep follows the largest message, unless it was said', () => {
  assert.equal(config({ text: '[spool]\nmaxMessageSize = "1GiB"' }).spool.minFreeSpace, 2 * 2 ** 30);
  assert.equal(config({ text: '[spool]\nmaxMessageSize = "1MiB"' }).spool.minFreeSpace, 64 * 2 ** 20);
  assert.equal(config({ text: '[spool]\nmaxMessageSize = "1GiB"\nminFreeSpace = "1MiB"' }).spool.minFreeSpace, 2 ** 20);
});

test('for containers one last route comes from the environment', () => {
  const env = {
    RIATA_RELAY_HOST: 'smtp.example.net',
    RIATA_RELAY_PORT: '465',
    RIATA_RELAY_TLS: 'implicit',
    RIATA_RELAY_USERNAME: 'u',
    RIATA_RELAY_PASSWORD_FILE: '/run/secrets/relay',
  };
  const text = '[[route]]\ndomain = "partner.example"';
  const { config: loaded, sources } = load({ text, env, files: { '/run/secrets/relay': 'p w\n' } });
  assert.equal(loaded.route.length, 2);
  assert.deepEqual([loaded.route[0]?.domain, loaded.route[0]?.host], ['partner.example', '']);
  const relay = loaded.route[1];
  assert.deepEqual(
    [relay?.domain, relay?.sender, relay?.host, relay?.port, relay?.tls, relay?.username],
    ['*', '*', 'smtp.example.net', 465, 'implicit', 'u'],
  );
  assert.equal(relay?.password, 'p w');
  assert.deepEqual(sources.get('route[1].password'), { kind: 'variable', name: 'RIATA_RELAY_PASSWORD_FILE' });
});

test('a relay in the environment without its host is an error', () => {
  assert.deepEqual(complaints({ env: { RIATA_RELAY_PORT: '25' } }), [
    'RIATA_RELAY_PORT: RIATA_RELAY_PORT is of no use without RIATA_RELAY_HOST',
  ]);
});

test('secrets and certificates are read from the files that are named, and one line end at the end is dropped', () => {
  const text = '[[route]]\nhost = "a.example"\nusername = "u"\npasswordFile = "p.txt"\ncaFile = "ca.pem"';
  const read = (password: string) => config({ text, files: { 'p.txt': password, 'ca.pem': '-----BEGIN\nx\n' } }).route[0];
  assert.equal(read('secret\n')?.password, 'secret');
  assert.equal(read('secret\r\n')?.password, 'secret');
  assert.equal(read(' secret ')?.password, ' secret ');
  assert.equal(read('secret')?.ca, '-----BEGIN\nx');
  const [twoLines] = issuesOf(() => read('secret\n\n'));
  assert.match(twoLines!.message, /^riata.toml:4: route\[0\].password must be one line of text$/);
});

test('a secret given both ways, in an empty file or in none is an error', () => {
  const route = '[[route]]\nhost = "a.example"\nusername = "u"\n';
  assert.deepEqual(complaints({ text: `${route}password = "p"\npasswordFile = "p.txt"`, files: { 'p.txt': 'p' } }), [
    'riata.toml:5: route[0].password and route[0].passwordFile are both set; keep one',
  ]);
  assert.deepEqual(
    complaints({
      env: { RIATA_RELAY_HOST: 'a', RIATA_RELAY_USERNAME: 'u', RIATA_RELAY_PASSWORD: 'p', RIATA_RELAY_PASSWORD_FILE: 'p.txt' },
    }),
    ['RIATA_RELAY_PASSWORD_FILE: RIATA_RELAY_PASSWORD and RIATA_RELAY_PASSWORD_FILE are both set; keep one'],
  );
  const gone = complaints({ text: `${route}passwordFile = "gone"` });
  assert.equal(gone.length, 1, 'and not that the username has no password');
  assert.match(gone[0]!, /^riata.toml:4: the file gone cannot be read: ENOENT/);
  assert.match(
    complaints({ text: `${route}passwordFile = "empty"`, files: { empty: '\n' } })[0]!,
    /^riata.toml:4: the file empty is empty/,
  );
});

test('no message tells a secret', () => {
  const secret = 'correct horse';
  const cases = [
    { text: `[[route]]\nhost = "a.example"\npassword = "${secret}\\u0000"\nusername = 5` },
    { text: `[[route]]\npassword = "${secret}" 5` },
    { text: '[[route]]\nhost = "a.example"\nusername = "u"\npasswordFile = "f"', files: { f: `${secret}\nmore` } },
    { env: { RIATA_RELAY_HOST: 'a', RIATA_RELAY_USERNAME: 'u', RIATA_RELAY_PASSWORD: `${secret}\n` } },
  ];
  for (const each of cases) assert.ok(!complaints(each).join('\n').includes(secret), complaints(each).join('\n'));
});

test('all that is wrong is told at once, each with its place, what was found, what is allowed, and the right name', () => {
  const text = `hostname = 5
[spol]
path = "x"
[spool]
maxMesageSize = "1MiB"
inlineLimit = "2GiB"
[submission]
listen = ["127.0.0.1"]
bareNewlines = "ignore"
[delivery]
timeouts = "5m"
[[route]]
host = "a.example"
passwrod = "x"
`;
  const env = { RIATA_RETRY_FACTOR: 'two', RIATA_SPOOL_PTH: 'x', OTHER: 'x' };
  assert.deepEqual(complaints({ text, file: '/etc/riata.toml', env, flags: { 'delivery-idle-timeout': '5' } }), [
    '/etc/riata.toml:1: hostname is 5, but must be a host name such as "mail.example.com", or an address literal such as "[192.0.2.1]"',
    '/etc/riata.toml:2: there is no option spol; did you mean spool?',
    '/etc/riata.toml:5: there is no option spool.maxMesageSize; did you mean spool.maxMessageSize?',
    '/etc/riata.toml:6: spool.inlineLimit is "2GiB", but must be a size such as "64KiB", "8MiB" or "1GiB", up to "1MiB"',
    '/etc/riata.toml:8: submission.listen is "127.0.0.1", but must be a list, each "host:port", such as "127.0.0.1:587" or "[::1]:587"',
    '/etc/riata.toml:9: submission.bareNewlines is "ignore", but must be one of "normalise", "refuse"',
    '/etc/riata.toml:11: delivery.timeouts is "5m", but must be a table of options',
    '/etc/riata.toml:14: there is no option route[0].passwrod; did you mean route[0].password?',
    'RIATA_SPOOL_PTH: there is no variable RIATA_SPOOL_PTH; did you mean RIATA_SPOOL_PATH?',
    'RIATA_RETRY_FACTOR: retry.factor is "two", but must be a number, from 1 up to 10',
    '--delivery-idle-timeout: delivery.idleTimeout is "5", but must be a duration with its unit (ms, s, m, h, d), such as "30s" or "1h30m", up to "5m"',
  ]);
});

test('issues carry the path and a stable code', () => {
  const issues = issuesOf(() => load({ text: '[spool]\npath = 5\npaht = "x"\ninlineLimit = "9GiB"' }));
  assert.deepEqual(
    issues.map(({ path, code }) => [path, code]),
    [
      ['spool.path', 'WRONG_TYPE'],
      ['spool.paht', 'UNKNOWN_FIELD'],
      ['spool.inlineLimit', 'OUT_OF_RANGE'],
    ],
  );
});

test('a wrong value is told although a stronger layer overrides it', () => {
  assert.equal(complaints({ text: '[retry]\nfactor = "x"', env: { RIATA_RETRY_FACTOR: '3' } }).length, 1);
});

test('keys that every object has are not options', () => {
  assert.deepEqual(complaints({ text: 'toString = 1\n[spool]\nconstructor = 1' }).length, 2);
  assert.equal(complaints({ text: '"__proto__" = { path = "x" }' }).length, 1);
});

test('an option written without its section, or in snake case, is recognised', () => {
  assert.match(complaints({ text: 'maxMessageSize = "1MiB"' })[0]!, /did you mean spool\.maxMessageSize\?/);
  assert.match(complaints({ text: '[delivery]\nmaxMessageSize = "1MiB"' })[0]!, /did you mean spool\.maxMessageSize\?/);
  assert.match(complaints({ text: '[spool]\nmax_message_size = "1MiB"' })[0]!, /did you mean spool\.maxMessageSize\?/);
  assert.match(complaints({ text: '[[routes]]\nhost = "x"' })[0]!, /did you mean route\?/);
});

test('text that is not TOML is told with line and column, and nothing else fails for it', () => {
  const messages = complaints({ text: '[spool]\npath = "x" y\n', file: 'r.toml', env: { RIATA_RETRY_FACTOR: '0' } });
  assert.equal(messages.length, 2);
  assert.match(messages[0]!, /^r\.toml:2: column \d+: this is not TOML: \S/);
  assert.ok(!messages[0]!.includes('\n'));
});

test('route that is no list of tables is told', () => {
  assert.match(complaints({ text: 'route = "x"' })[0]!, /route is "x", but must be tables, each under \[\[route\]\]/);
  assert.match(complaints({ text: 'route = [5]' })[0]!, /must be tables/);
  assert.match(complaints({ text: '[route]\nhost = "x"' })[0]!, /must be tables/);
});

test('the file may be named by a variable; one that cannot be read is an error', () => {
  assert.equal(config({ env: { RIATA_CONFIG: 'c.toml' }, files: { 'c.toml': 'hostname = "a.example"' } }).hostname, 'a.example');
  assert.equal(
    config({ env: { RIATA_CONFIG: 'c.toml' }, file: 'd.toml', files: { 'd.toml': 'hostname = "d.example"' } }).hostname,
    'd.example',
  );
  assert.match(complaints({ env: { RIATA_CONFIG: 'gone' } })[0]!, /^RIATA_CONFIG: the file gone cannot be read: ENOENT/);
  assert.match(complaints({ file: 'gone' })[0]!, /^the file gone cannot be read/);
});

test('files are read from the disk where nothing else is given', () => {
  const folder = mkdtempSync(join(tmpdir(), 'riata-config-'));
  try {
    const file = join(folder, 'riata.toml');
    writeFileSync(file, 'hostname = "disk.example"\n');
    assert.equal(loadConfig({ file }).config.hostname, 'disk.example');
    assert.equal(issuesOf(() => loadConfig({ file: join(folder, 'other') })).length, 1);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('variables that Kubernetes makes of a service called riata are not ours', () => {
  const env = {
    RIATA_SERVICE_HOST: '10.0.0.1',
    RIATA_SERVICE_PORT: '587',
    RIATA_SERVICE_PORT_SMTP: '587',
    RIATA_PORT: 'tcp://10.0.0.1:587',
    RIATA_PORT_587_TCP: 'tcp://10.0.0.1:587',
    RIATA_PORT_587_TCP_PROTO: 'tcp',
    RIATA_PORT_587_TCP_ADDR: '10.0.0.1',
    RIATA_RELAY_PORT: 'tcp://10.0.0.2:587',
    RIATA_RELAY_SERVICE_HOST: '10.0.0.2',
  };
  assert.equal(load({ env }).sources.size, 0);
  assert.equal(complaints({ env: { RIATA_PORT: '587' } }).length, 1);
});

test('flags that are not options, or not set, are left to the command line', () => {
  assert.equal(load({ flags: { config: 'x', _: ['serve'], 'spool-path': undefined } }).sources.size, 0);
  assert.deepEqual(
    config({ flags: { 'submission-listen': ['127.0.0.1:1', '[::1]:2'], 'delivery-allow-private-addresses': true } }).submission.listen,
    [
      { host: '127.0.0.1', port: 1 },
      { host: '::1', port: 2 },
    ],
  );
});

test('in process, options are an object of the same shape, numbers are milliseconds and octets, and nobody listens', () => {
  const { config: loaded, sources } = configFromOptions({
    spool: './here',
    retry: { firstDelay: 1000, expiry: '2d' },
    delivery: { timeouts: { connect: 5_000 }, heloName: undefined },
    route: [{ host: 'localhost', port: 2525 }],
  });
  assert.equal(loaded.spool.path, './here');
  assert.deepEqual([loaded.retry.firstDelay, loaded.retry.expiry], [1_000, 172_800_000]);
  assert.equal(loaded.delivery.timeouts.connect, 5_000);
  assert.deepEqual(loaded.submission.listen, []);
  assert.equal(loaded.route[0]?.host, 'localhost');
  assert.deepEqual(sources.get('spool.path'), { kind: 'object' });
  assert.equal(configFromOptions({ spool: { path: 'x', maxMessageSize: 4096 } }).config.spool.maxMessageSize, 4096);
  assert.equal(configFromOptions({ submission: { listen: ['127.0.0.1:0'] } }).config.submission.listen.length, 1);
});

test('in process, wrong options are named by their path alone', () => {
  const issues = issuesOf(() => configFromOptions({ spool: { pth: 'x' }, retry: { firstDelay: -1 }, route: [{ host: 5 }] } as object));
  assert.deepEqual(
    issues.map((issue) => issue.message),
    [
      'there is no option spool.pth; did you mean spool.path?',
      'retry.firstDelay is -1, but must be a duration with its unit (ms, s, m, h, d), such as "30s" or "1h30m", from "1ms" up to "1d"',
      'route[0].host is 5, but must be a host name or an IP address',
    ],
  );
});
