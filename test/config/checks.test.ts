import assert from 'node:assert/strict';
import { test } from 'node:test';
import { complaints, config, load } from './support.js';

const route = (...lines: string[]) => ['[[route]]', ...lines].join('\n');
const warnings = (text: string) => load({ text }).warnings.map((warning) => warning.message);

test('a username needs a password, and the reverse', () => {
  assert.deepEqual(complaints({ text: route('host = "a.example"', 'username = "u"') }), [
    'riata.toml:3: route[0].username is of no use without route[0].password',
  ]);
  assert.deepEqual(complaints({ text: route('host = "a.example"', 'password = "p"') }), [
    'riata.toml:3: route[0].password is of no use without route[0].username',
  ]);
});

test('a certificate needs its key, and the reverse, and TLS from the first octet needs both', () => {
  assert.deepEqual(complaints({ text: '[submission.tls]\ncertFile = "c"' }), [
    'riata.toml:2: submission.tls.certFile is of no use without submission.tls.keyFile',
  ]);
  assert.deepEqual(complaints({ env: { RIATA_SUBMISSION_TLS_KEY_FILE: 'k' } }), [
    'RIATA_SUBMISSION_TLS_KEY_FILE: submission.tls.keyFile is of no use without submission.tls.certFile',
  ]);
  assert.deepEqual(complaints({ text: '[submission]\nlistenTls = ["0.0.0.0:465"]' }), [
    'riata.toml:2: submission.listenTls is of no use without submission.tls.certFile',
  ]);
  const whole = '[submission]\nlistenTls = ["0.0.0.0:465"]\ntls = { certFile = "c", keyFile = "k" }';
  assert.equal(config({ text: whole }).submission.listenTls.length, 1);
});

test('nothing is said about a pair of which one is wrong by itself', () => {
  assert.deepEqual(complaints({ text: '[submission.tls]\ncertFile = "c"\nkeyFile = 5' }).length, 1);
  assert.deepEqual(complaints({ text: route('host = "a.example"', 'username = "u"', 'password = 5') }).length, 1);
  assert.deepEqual(complaints({ text: route('host = 5', 'username = "u"', 'password = "p"') }).length, 1);
});

test('an address can be listened on once, but any number of free ports can be asked for', () => {
  const tls = 'tls = { certFile = "c", keyFile = "k" }';
  assert.deepEqual(complaints({ text: `[submission]\nlisten = ["127.0.0.1:25"]\nlistenTls = ["127.0.0.1:25"]\n${tls}` }), [
    'riata.toml:3: submission.listenTls names 127.0.0.1:25, which is listened on already',
  ]);
  assert.equal(config({ text: '[submission]\nlisten = ["127.0.0.1:0", "127.0.0.1:0"]' }).submission.listen.length, 2);
});

test('the first wait may not be longer than the longest', () => {
  assert.deepEqual(complaints({ text: '[retry]\nmaxDelay = "1m"' }), ['riata.toml:2: retry.firstDelay is longer than retry.maxDelay']);
  assert.deepEqual(complaints({ text: '[retry]\nfirstDelay = "5h"' }), ['riata.toml:2: retry.firstDelay is longer than retry.maxDelay']);
  assert.equal(config({ text: '[retry]\nfirstDelay = "1m"\nmaxDelay = "1m"' }).retry.maxDelay, 60_000);
});

test('a route without a host leads to the MX, where nobody can log in', () => {
  assert.equal(config({ text: route('domain = "a.example"', 'tls = "starttls"', 'heloName = "b.example"') }).route[0]?.host, '');
  assert.deepEqual(complaints({ text: route('username = "u"', 'password = "p"') }), [
    'riata.toml:2: route[0].username is of no use without route[0].host',
  ]);
});

test('trust in the whole world is warned of', () => {
  assert.match(
    warnings('[submission]\ntrustedNetworks = ["10.0.0.0/8", "0.0.0.0/0", "::/0"]')[0]!,
    /^riata.toml:2: .* has 0\.0\.0\.0\/0 and ::\/0: whoever/,
  );
  assert.deepEqual(warnings('[submission]\ntrustedNetworks = ["10.0.0.0/8"]'), []);
});

test('a login that can never happen for want of verified TLS is warned of', () => {
  const login = ['username = "u"', 'password = "p"'];
  assert.match(
    warnings(route('host = "a.example"', 'tls = "opportunistic"', ...login))[0]!,
    /^riata.toml:3: tls = "opportunistic" verifies no certificate/,
  );
  for (const lines of [
    ['host = "a.example"'],
    ['host = "a.example"', 'tls = "implicit"'],
    ['host = "a.example"', 'tls = "off"', 'allowInsecureAuth = true'],
    ['host = "127.0.0.1"', 'tls = "off"'],
    ['host = "localhost"', 'tls = "off"'],
  ]) {
    assert.deepEqual(warnings(route(...lines, ...login)), [], lines.join());
  }
});

test('routes behind one that takes everything are warned of', () => {
  const all = route('host = "a.example"');
  const some = route('domain = "b.example"', 'host = "c.example"');
  assert.match(warnings(`${all}\n${some}`)[0]!, /route\[0\] takes mail for all domains and senders/);
  assert.deepEqual(warnings(`${some}\n${all}`), []);
  assert.deepEqual(warnings(`${route('sender = "@a.example"', 'host = "d.example"')}\n${some}`), []);
});

test('a free-space mark that leaves the store no room to open again is warned of', () => {
  assert.deepEqual(warnings('[spool]\nminFreeSpace = "32MiB"'), []);
  assert.match(warnings('[spool]\nminFreeSpace = "31MiB"')[0]!, /spool\.minFreeSpace is less than 32MiB/);
});

test('a token that would cross a network in plain text is warned of, or refused, unless that is meant', () => {
  const control = (...lines: string[]) => ['[control]', 'token = "0123456789abcdef"', ...lines].join('\n');
  const far = 'http = ["127.0.0.1:8587", "0.0.0.0:8587"]';
  assert.match(warnings(control(far))[0]!, /^riata\.toml:3: control\.http serves 0\.0\.0\.0:8587 without TLS: control\.token, and mail/);
  assert.deepEqual(warnings(control('http = "127.0.0.1:8587"')), []);
  assert.deepEqual(warnings(control(far, 'plainHttp = "allow"')), []);
  assert.deepEqual(warnings(control(far, 'tls = { certFile = "c", keyFile = "k" }')), []);
  assert.match(complaints({ text: control(far, 'plainHttp = "refuse"') })[0]!, /without TLS.*control\.tls\.certFile/);
  assert.equal(config({ text: control('http = "127.0.0.1:8587"', 'plainHttp = "refuse"') }).control.plainHttp, 'refuse');
  assert.deepEqual(complaints({ text: control('tls = { certFile = "c" }') }), [
    'riata.toml:3: control.tls.certFile is of no use without control.tls.keyFile',
  ]);
});

test('the page is not served without a token, unless this machine is trusted and nobody else can reach it', () => {
  const control = (...lines: string[]) => ({ text: ['[control]', ...lines].join('\n') });
  assert.deepEqual(complaints(control('http = "127.0.0.1:8587"')), [
    'riata.toml:2: control.http without control.token (or tokenFile) would show the queue to every user of this machine: set one, or control.trustLoopback = true on a machine of your own',
  ]);
  for (const host of ['0.0.0.0', '[::]', '192.0.2.1', 'mail.example.com']) {
    const [said] = complaints(control(`http = ["127.0.0.1:8587", "${host}:8587"]`, 'trustLoopback = true'));
    assert.match(said!, /would show the queue to everybody who can reach/);
  }
  for (const host of ['127.0.0.1', '127.9.9.9', '[::1]', 'localhost']) {
    assert.equal(config(control(`http = "${host}:8587"`, 'trustLoopback = true')).control.http.length, 1);
  }
  assert.equal(config(control('http = "0.0.0.0:8587"', 'token = "0123456789abcdef"')).control.http.length, 1);
  assert.deepEqual(config(control('http = ""')).control.http, []);
  assert.equal(complaints(control('token = "0123456789abcde"')).length, 1, 'a token of 15 characters');
  assert.equal(complaints(control('token = "0123456789abcdef ghi"')).length, 1, 'a token with a blank');
});
