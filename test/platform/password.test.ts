import assert from 'node:assert/strict';
import { scryptSync } from 'node:crypto';
import { test } from 'node:test';
import { PASSWORD_HASH } from '../../src/core/users.js';
import { hashPassword, NOBODY, verifyPassword } from '../../src/platform/password.js';
import { systemRandom } from '../../src/platform/random.js';

test('a password is known again by its hash, another is not, and no two hashes are alike', async () => {
  const [one, two] = await Promise.all([hashPassword('Grüße 1', systemRandom), hashPassword('Grüße 1', systemRandom)]);
  assert.notEqual(one, two);
  assert.match(one, PASSWORD_HASH);
  // Neither as it is, nor only written in another way. (Salt and hash are random: anything shorter stands in them now and then.)
  for (const form of ['utf8', 'base64', 'hex'] as const)
    assert.ok(!one.includes(Buffer.from('Grüße 1').toString(form).replace(/=+$/, '')), form);
  // However the accents are typed.
  assert.ok(await verifyPassword('Gru\u0308ße 1', one));
  for (const wrong of ['', 'Grüße 2', 'grüße 1', 'Grüße 1 ']) assert.ok(!(await verifyPassword(wrong, one)), wrong);
  assert.ok(!(await verifyPassword('', NOBODY)));
});

test('a hash of another cost is computed as it says, and one that would take the machine is refused', async () => {
  const salt = Buffer.from('saltsaltsalt');
  const other = (ln: number) => {
    const hash = ln > 12 ? Buffer.alloc(32) : scryptSync('secret', salt, 32, { N: 2 ** ln, r: 4, p: 2 });
    return `$scrypt$ln=${ln},r=4,p=2$${salt.toString('base64').replace(/=/g, '')}$${hash.toString('base64').replace(/=/g, '')}`;
  };
  assert.ok(await verifyPassword('secret', other(5)));
  assert.ok(!(await verifyPassword('other', other(5))));
  assert.ok(!(await verifyPassword('secret', other(30))));
  for (const broken of ['', 'secret', `x${other(5)}`, other(5).replace('ln=5', 'ln=0')])
    assert.ok(!(await verifyPassword('secret', broken)), broken);
});
