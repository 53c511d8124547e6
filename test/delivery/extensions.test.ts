import assert from 'node:assert/strict';
import { it } from 'node:test';
import { NO_EXTENSIONS, parseExtensions } from '../../src/delivery/extensions.js';

it('reads what a server offers, in any case and order', () => {
  const text =
    'mx.test greets you\nPIPELINING\nsize 52428800\nAUTH plain LOGIN\nAUTH=LOGIN CRAM-MD5\nStartTLS\n8BITMIME\nSMTPUTF8\nDSN\nREQUIRETLS\nX-OTHER 1 2';
  assert.deepEqual(parseExtensions(text), {
    pipelining: true,
    eightBitMime: true,
    smtpUtf8: true,
    dsn: true,
    startTls: true,
    requireTls: true,
    size: 52428800,
    auth: ['PLAIN', 'LOGIN', 'CRAM-MD5'],
  });
});

it('the first line is a name and offers nothing', () => {
  assert.deepEqual(parseExtensions('PIPELINING'), NO_EXTENSIONS);
  assert.deepEqual(parseExtensions('mx.test\n'), NO_EXTENSIONS);
});

it('SIZE without a number, or with something that is none, is no limit', () => {
  for (const line of ['SIZE', 'SIZE 0', 'SIZE x', 'SIZE -5']) assert.equal(parseExtensions(`mx\n${line}`).size, 0);
});
