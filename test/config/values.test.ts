import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as place from '../../src/config/addresses.js';
import * as kind from '../../src/config/values.js';
import fc from '../support/properties.js';

/** What is read, or the code of why not. */
function read<T>(of: kind.Kind<T>, given: unknown, form: kind.Form = 'toml'): T | string {
  const result = of.read(given, form);
  return result.ok ? result.value : result.code;
}

test('durations are read with their units, alone and joined', () => {
  for (const [given, ms] of [
    ['0', 0],
    ['0s', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['1h 30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
    [' 5s ', 5_000],
  ] as const) {
    assert.equal(kind.parseDuration(given), ms, given);
  }
});

test('a duration without a unit, with an unknown or a misplaced one is none', () => {
  for (const given of ['', '30', '-5s', '5 minutes', '5M', '1w', 's', '5s3', '1h,30m', '1e3s', `${'1s'.repeat(6)}`]) {
    assert.equal(kind.parseDuration(given), undefined, given);
  }
});

test('a bare number is a duration only in the in-process API, where it is milliseconds', () => {
  const some = kind.duration({ max: 60_000 });
  assert.equal(read(some, 1500, 'object'), 1500);
  assert.equal(read(some, 1500, 'toml'), 'WRONG_TYPE');
  assert.equal(read(some, '1500', 'text'), 'WRONG_TYPE');
  assert.equal(read(some, 0, 'toml'), 0);
  assert.equal(read(some, Number.NaN, 'object'), 'WRONG_TYPE');
  assert.equal(read(some, -1, 'object'), 'OUT_OF_RANGE');
  assert.equal(read(some, '61s'), 'OUT_OF_RANGE');
});

test('sizes are read in powers of 1024 and of 1000, and as bare octets', () => {
  for (const [given, octets] of [
    ['8MiB', 8 * 2 ** 20],
    ['8mib', 8 * 2 ** 20],
    ['1.5 KiB', 1536],
    ['10MB', 10_000_000],
    ['1GB', 1e9],
    ['2TiB', 2 * 2 ** 40],
    ['512B', 512],
    ['512', 512],
  ] as const) {
    assert.equal(kind.parseSize(given), octets, given);
  }
  for (const given of ['', '8M', '8 megabytes', '-1KiB', 'MiB', '0x10', '1e6']) assert.equal(kind.parseSize(given), undefined, given);
  assert.equal(read(kind.size({}), 4096), 4096);
  assert.equal(read(kind.size({}), 0.5), 'WRONG_TYPE');
  assert.equal(read(kind.size({ min: 1024 }), '1KB'), 'OUT_OF_RANGE');
});

test('what is shown reads back as the same value', () => {
  fc.assert(
    fc.property(fc.nat({ max: 400 * 86_400_000 }), (ms) => kind.parseDuration(kind.showDuration(ms)) === ms),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.maxSafeInteger().map(Math.abs), (octets) => kind.parseSize(kind.showSize(octets)) === octets),
    { numRuns: 300 },
  );
  assert.equal(kind.showDuration(0), '0s');
  assert.equal(kind.showDuration(90_000), '90s');
  assert.equal(kind.showDuration(172_800_000), '2d');
  assert.equal(kind.showSize(8 * 2 ** 20), '8MiB');
  assert.equal(kind.showSize(1000), '1000B');
});

test('numbers keep to their bounds, and text becomes a number only where it came as text', () => {
  const some = kind.integer({ min: 1, max: 10 });
  assert.equal(read(some, 10), 10);
  assert.equal(read(some, 11), 'OUT_OF_RANGE');
  assert.equal(read(some, 0), 'OUT_OF_RANGE');
  assert.equal(read(some, 2.5), 'WRONG_TYPE');
  assert.equal(read(some, '5'), 'WRONG_TYPE');
  assert.equal(read(some, '5', 'text'), 5);
  assert.equal(read(some, '5x', 'text'), 'WRONG_TYPE');
  assert.equal(read(some, '-5', 'text'), 'OUT_OF_RANGE');
  assert.equal(read(kind.number({ min: 0, max: 1 }), '0.25', 'text'), 0.25);
  assert.equal(read(kind.number({}), Number.POSITIVE_INFINITY), 'WRONG_TYPE');
});

test('yes and no have several words in the environment, and none in a file', () => {
  for (const word of ['true', 'YES', 'on', '1']) assert.equal(read(kind.boolean, word, 'text'), true, word);
  for (const word of ['false', 'No', 'off', '0']) assert.equal(read(kind.boolean, word, 'text'), false, word);
  assert.equal(read(kind.boolean, 'maybe', 'text'), 'OUT_OF_RANGE');
  assert.equal(read(kind.boolean, 'true', 'toml'), 'WRONG_TYPE');
  assert.equal(read(kind.boolean, 1, 'toml'), 'WRONG_TYPE');
  assert.equal(read(kind.boolean, true, 'text'), true);
});

test('one of some words, in any letter case', () => {
  const some = kind.oneOf(['off', 'starttls']);
  assert.equal(read(some, 'StartTLS'), 'starttls');
  assert.equal(read(some, 'on'), 'OUT_OF_RANGE');
  assert.equal(read(some, true), 'WRONG_TYPE');
});

test('lists are arrays in a file and separated by commas in text', () => {
  assert.deepEqual(read(place.addresses, '192.0.2.1, 2001:DB8::1 ,', 'text'), ['192.0.2.1', '2001:db8::1']);
  assert.deepEqual(read(place.addresses, ['192.0.2.1']), ['192.0.2.1']);
  assert.deepEqual(read(place.addresses, ['192.0.2.1', '192.0.2.2'], 'text'), ['192.0.2.1', '192.0.2.2']);
  assert.equal(read(place.addresses, '192.0.2.1'), 'WRONG_TYPE');
  assert.deepEqual(read(place.addresses, 'none', 'text'), []);
  assert.deepEqual(place.addresses.read(['192.0.2.1', '192.0.2.300'], 'toml'), { ok: false, code: 'OUT_OF_RANGE', found: '192.0.2.300' });
});

test('listening addresses are an address or a name, and a port', () => {
  const one = (given: string) => read(place.listenAddresses, [given]);
  assert.deepEqual(one('127.0.0.1:587'), [{ host: '127.0.0.1', port: 587 }]);
  assert.deepEqual(one('[::1]:0'), [{ host: '::1', port: 0 }]);
  assert.deepEqual(one('localhost:2525'), [{ host: 'localhost', port: 2525 }]);
  for (const given of [
    '587',
    ':587',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.0.0.300:25',
    '::1:587',
    '[::1]',
    '[127.0.0.1]:25',
    'a b:25',
    '',
  ]) {
    assert.equal(one(given), 'OUT_OF_RANGE', given);
  }
  assert.equal(place.listenAddresses.show([{ host: '::', port: 25 }]), '["[::]:25"]');
});

test('name servers are addresses, on port 53 where none is named', () => {
  const one = (given: string) => read(place.dnsServers, [given]);
  assert.deepEqual(one('9.9.9.9'), [{ host: '9.9.9.9', port: 53 }]);
  assert.deepEqual(one('127.0.0.1:5353'), [{ host: '127.0.0.1', port: 5353 }]);
  assert.deepEqual(one('2620:fe::fe'), [{ host: '2620:fe::fe', port: 53 }]);
  assert.deepEqual(one('[2620:fe::fe]:5353'), [{ host: '2620:fe::fe', port: 5353 }]);
  assert.equal(one('dns.example'), 'OUT_OF_RANGE');
});

test('networks are normalised to address and prefix', () => {
  const one = (given: string) => read(place.networks, [given]);
  assert.deepEqual(one('10.0.0.0/8'), ['10.0.0.0/8']);
  assert.deepEqual(one('192.0.2.7'), ['192.0.2.7/32']);
  assert.deepEqual(one('2001:DB8::/32'), ['2001:db8::/32']);
  assert.deepEqual(one('::1'), ['::1/128']);
  for (const given of ['10.0.0.0/33', '::/129', '10.0.0/8', 'example.com', '10.0.0.0/', '10.0.0.0/-1'])
    assert.equal(one(given), 'OUT_OF_RANGE', given);
});

test('names and patterns are normalised: lower case, A-labels, no final dot', () => {
  assert.equal(read(place.ownName, 'Mail.Example.COM.'), 'mail.example.com');
  assert.equal(read(place.ownName, 'müller.example'), 'xn--mller-kva.example');
  assert.equal(read(place.ownName, '[192.0.2.1]'), '[192.0.2.1]');
  assert.equal(read(place.ownName, '[IPv6:2001:db8::1]'), '[IPv6:2001:db8::1]');
  for (const given of ['a b', '-a.example', '[192.0.2.300]', '192.0.2.1', 'a..b', 'a\r\nb', `${'a'.repeat(64)}.example`]) {
    assert.equal(read(place.ownName, given), 'OUT_OF_RANGE', given);
  }
  assert.equal(read(place.host, '[::1]'), '::1');
  assert.equal(read(place.host, 'mail_relay'), 'mail_relay');
  assert.equal(read(place.host, '127.0.0.300'), 'OUT_OF_RANGE');
  assert.equal(read(place.domainPattern, '*.Example.com'), '*.example.com');
  assert.equal(read(place.domainPattern, '[192.0.2.1]'), '[192.0.2.1]');
  for (const given of ['', '*.', '*example.com', 'user@example.com', '**'])
    assert.equal(read(place.domainPattern, given), 'OUT_OF_RANGE', given);
});

test('sender patterns have one spelling each', () => {
  for (const [given, value] of [
    ['*', '*'],
    ['<>', '<>'],
    ['Some.One@Example.COM', 'Some.One@example.com'],
    ['@Example.com', '@example.com'],
    ['example.com', '@example.com'],
    ['*@example.com', '@example.com'],
    ['*.example.com', '@*.example.com'],
    ['*@*.example.com', '@*.example.com'],
  ] as const) {
    assert.equal(read(place.senderPattern, given), value, given);
  }
  for (const given of ['', '@', 'user@', 'user@*', '*@*']) assert.equal(read(place.senderPattern, given), 'OUT_OF_RANGE', given);
});

test('one line of text has no line ends, nor anything else that a protocol could take for more', () => {
  assert.equal(read(kind.line, 'pässword with "all" \\ signs'), 'pässword with "all" \\ signs');
  for (const given of ['a\nb', 'a\rb', 'a\0b', '\u007f']) assert.equal(read(kind.line, given), 'OUT_OF_RANGE');
});
