import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createSeal, readKeyFile } from '../../src/platform/seal.js';
import { temporaryFolder } from '../support/agent.js';

const seal = createSeal(() => Buffer.alloc(32, 1));

test('what is sealed opens again, under the same key and at the same place only', () => {
  for (const text of ['', 'secret', 'ü'.repeat(5000)]) {
    const sealed = seal.seal(text, 'here');
    assert.ok(text === '' || !sealed.includes(text));
    assert.equal(seal.open(sealed, 'here'), text);
    assert.equal(seal.open(sealed, 'there'), undefined);
    assert.equal(createSeal(() => Buffer.alloc(32, 2)).open(sealed, 'here'), undefined);
  }
});

test('the same text never looks the same twice', () => {
  assert.equal(new Set(Array.from({ length: 50 }, () => seal.seal('secret', 'here'))).size, 50);
});

test('nothing that was changed opens, and nothing that was never sealed', () => {
  const sealed = seal.seal('secret', 'here');
  for (let at = 0; at < sealed.length; at++) {
    const changed = `${sealed.slice(0, at)}${sealed[at] === 'A' ? 'B' : 'A'}${sealed.slice(at + 1)}`;
    // The last digit of base64 may stand for the same octets.
    assert.ok(
      [undefined, 'secret'].includes(seal.open(changed, 'here')) && (at === sealed.length - 1 || seal.open(changed, 'here') === undefined),
    );
  }
  for (const rubbish of ['', '1.', '2.', sealed.slice(0, 20), sealed.slice(2), 'x'.repeat(100)])
    assert.equal(seal.open(rubbish, 'here'), undefined);
});

test('a digest is the same for the same text and key, and tells nothing without the key', () => {
  assert.match(seal.digest('a'), /^[0-9a-f]{20}$/);
  assert.equal(seal.digest('a'), createSeal(() => Buffer.alloc(32, 1)).digest('a'));
  assert.notEqual(seal.digest('a'), seal.digest('b'));
  assert.notEqual(seal.digest('a'), createSeal(() => Buffer.alloc(32, 2)).digest('a'));
});

test('a key is made once, for its owner only, when it is needed first', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'key');
  const lazy = createSeal(() => readKeyFile(file, { make: true }));
  assert.ok(!existsSync(file));
  const sealed = lazy.seal('secret', 'here');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.ok(readFileSync(file).length >= 32);
  assert.deepEqual(readdirSync(folder), ['key']);
  assert.equal(createSeal(() => readKeyFile(file, { make: true })).open(sealed, 'here'), 'secret');
});

test('a key of the operator is never made up, and too short a one is refused', async (t) => {
  const file = join(await temporaryFolder(t), 'key');
  assert.throws(() => readKeyFile(file, { make: false }), { code: 'SPOOL_FAILED', message: /is not there.*openssl rand/ });
  assert.ok(!existsSync(file));
  for (const make of [true, false]) {
    writeFileSync(file, 'too short');
    assert.throws(() => readKeyFile(file, { make }), { code: 'SPOOL_FAILED', message: /too short/ });
    assert.equal(readFileSync(file, 'utf8'), 'too short');
  }
});
