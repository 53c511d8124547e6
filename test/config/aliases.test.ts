/** The environment of the common Postfix sidecar images. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeConfig } from '../../src/config/describe.js';
import { complaints, config, load } from './support.js';

const relay = (env: Record<string, string>) => {
  const [route] = config({ env }).route;
  return [route?.host, route?.port, route?.tls];
};

test('RELAYHOST is read in every form that Postfix knows', () => {
  assert.deepEqual(relay({ RELAYHOST: '[smtp.example.net]:587' }), ['smtp.example.net', 587, undefined]);
  assert.deepEqual(relay({ RELAYHOST: 'smtp.example.net:2525' }), ['smtp.example.net', 2525, undefined]);
  assert.deepEqual(relay({ RELAYHOST: '[smtp.example.net]' }), ['smtp.example.net', 25, undefined]);
  assert.deepEqual(relay({ RELAYHOST: ' smtp.example.net ' }), ['smtp.example.net', 25, undefined]);
  assert.deepEqual(relay({ RELAYHOST: '[192.0.2.1]:submission' }), ['192.0.2.1', 587, undefined]);
  assert.deepEqual(relay({ RELAYHOST: '[IPv6:2001:db8::1]:25' }), ['2001:db8::1', 25, undefined]);
  assert.deepEqual(relay({ RELAYHOST: 'smtp.example.net:465' }), ['smtp.example.net', 465, 'implicit']);
  assert.deepEqual(relay({ RELAYHOST: 'smtp.example.net:smtps' }), ['smtp.example.net', 465, 'implicit']);
  assert.deepEqual(relay({ RELAYHOST: '' }), [undefined, undefined, undefined]);
});

test('a RELAYHOST that cannot be read is an error that names it', () => {
  assert.deepEqual(complaints({ env: { RELAYHOST: 'http://smtp.example.net' } }), [
    'RELAYHOST: route[0].host is "http://smtp.example.net", but must be a host name or an IP address',
  ]);
  assert.match(complaints({ env: { RELAYHOST: 'smtp.example.net:99999' } }).join(), /^RELAYHOST: route\[0\]\.port is "99999"/);
});

test('its login comes from variables or from a file, and is one login', () => {
  const env = { RELAYHOST: '[smtp.example.net]:587', RELAYHOST_USERNAME: 'u', RELAYHOST_PASSWORD_FILE: '/run/secrets/p' };
  const loaded = load({ env, files: { '/run/secrets/p': 'hush\n' } });
  assert.deepEqual([loaded.config.route[0]?.username, loaded.config.route[0]?.password], ['u', 'hush']);
  const rows = describeConfig(loaded, { secrets: false });
  assert.deepEqual(
    rows
      .filter(({ path }) => /host|port|username|password/.test(path) && path.startsWith('route'))
      .map(({ value, source }) => [value, source]),
    [
      ['"smtp.example.net"', 'RELAYHOST'],
      ['587', 'RELAYHOST'],
      ['"u"', 'RELAYHOST_USERNAME'],
      ['"********"', 'RELAYHOST_PASSWORD_FILE'],
    ],
  );
  assert.match(complaints({ env: { RELAYHOST: 'a.example', RELAYHOST_USERNAME: 'u' } }).join(), /route\[0\]\.password/);
});

test("another relay than RELAYHOST does not get RELAYHOST's password", () => {
  const env = { RELAYHOST: 'a.example', RELAYHOST_USERNAME: 'u', RELAYHOST_PASSWORD: 'hush', RIATA_RELAY_HOST: 'b.example' };
  const { route } = config({ env });
  assert.equal(route.length, 1);
  assert.deepEqual([route[0]?.host, route[0]?.username, route[0]?.password], ['b.example', '', '']);
});

test('what is said to Riata itself goes before: single settings of the relay, the file, the variables', () => {
  const env = {
    RELAYHOST: '[a.example]:587',
    RIATA_RELAY_TLS: 'opportunistic',
    POSTFIX_myhostname: 'postfix.example',
    POSTFIX_message_size_limit: '1000000',
    RIATA_SPOOL_MAX_MESSAGE_SIZE: '2MiB',
    LOG_FORMAT: 'plain',
  };
  const loaded = config({ env, text: 'hostname = "riata.example"\n[[route]]\ndomain = "partner.example"' });
  assert.equal(loaded.hostname, 'riata.example');
  assert.equal(loaded.spool.maxMessageSize, 2 * 2 ** 20);
  assert.equal(loaded.log.format, 'postfix');
  assert.deepEqual(
    loaded.route.map(({ domain, host, tls }) => [domain, host, tls]),
    [
      ['partner.example', '', undefined],
      ['*', 'a.example', 'opportunistic'],
    ],
  );
});

test("networks, sizes, names and senders are read as Postfix's images write them", () => {
  const loaded = config({
    env: {
      POSTFIX_myhostname: 'mail.example.com',
      POSTFIX_mynetworks: '127.0.0.0/8 [::1]/128, 10.1.0.0/16',
      POSTFIX_message_size_limit: '26214400',
      ALLOWED_SENDER_DOMAINS: 'example.com Example.org,.example.net',
    },
  });
  assert.equal(loaded.hostname, 'mail.example.com');
  assert.deepEqual(loaded.submission.trustedNetworks, ['127.0.0.0/8', '::1/128', '10.1.0.0/16']);
  assert.equal(loaded.spool.maxMessageSize, 26_214_400);
  assert.deepEqual(loaded.submission.allowedSenders, [
    '@example.com',
    '@*.example.com',
    '@example.org',
    '@*.example.org',
    '@*.example.net',
  ]);
  assert.equal(config({ env: { POSTFIX_message_size_limit: '0' } }).spool.maxMessageSize, 4 * 2 ** 30);
  for (const [given, format] of Object.entries({ json: 'json', logstash: 'json', Plain: 'postfix', text: 'text' }))
    assert.equal(config({ env: { LOG_FORMAT: given } }).log.format, format);
});

test('what belongs to others is warned of at most: settings of Postfix that mean nothing here, log formats of other programs', () => {
  const { config: loaded, warnings } = load({
    env: { POSTFIX_smtp_tls_security_level: 'encrypt', POSTFIX_SERVICE_HOST: '10.0.0.1', LOG_FORMAT: 'pretty' },
  });
  assert.equal(loaded.log.format, 'json');
  assert.deepEqual(
    warnings.map(({ path, code }) => [path, code]),
    [
      ['log.format', 'NOT_READ'],
      ['POSTFIX_smtp_tls_security_level', 'NOT_READ'],
    ],
  );
});
