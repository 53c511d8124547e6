/** `riata user`: the file of those who may log in, and what never gets into it. */
import assert from 'node:assert/strict';
import { chmod, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseUsers } from '../../src/core/users.js';
import { openUsers } from '../../src/intake/smtp/users.js';
import { silentLog } from '../../src/platform/log.js';
import { temporaryFolder } from '../support/agent.js';
import { run, type Surroundings } from './run.js';

async function folder(t: TestContext) {
  const cwd = await temporaryFolder(t);
  const file = path.join(cwd, 'users');
  const user = (line: string, around: Surroundings = {}) =>
    run(['user', ...line.split(' ')], { cwd, env: { RIATA_SUBMISSION_USERS_FILE: file }, ...around });
  return { cwd, file, user };
}

test('a user who was added can log in, with the senders that were given, and the file is its owner’s alone', async (t) => {
  const { cwd, file, user } = await folder(t);
  const added = await user('add ann --as ann@example.com --as @Shop.example,<>', { stdin: 'correct horse\nsecond line\n' });
  assert.deepEqual([added.code, added.out], [0, '']);
  assert.match(added.err, /^Added ann in /);
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  const users = openUsers(file, silentLog);
  const ann = await users.login('ann', 'correct horse');
  assert.deepEqual(
    ['ann@example.com', 'x@shop.example', '', 'bob@example.com'].map((sender) => ann!.allowsSender!(sender)),
    [true, true, true, false],
  );
  assert.equal(await users.login('ann', 'correct horse\nsecond line'), undefined);
  assert.doesNotMatch(await readFile(file, 'utf8'), /horse/);
  assert.deepEqual(await readdir(cwd), ['users']);
});

test('add again gives another password; list tells names and senders; remove takes one out', async (t) => {
  const { file, user } = await folder(t);
  assert.equal((await user('list')).out, 'There is nobody who may log in.\n');
  await writeFile(file, '# ours\n');
  await user('add ann', { stdin: 'correct horse' });
  await user('add shop --as @shop.example', { stdin: 'battery staple' });
  assert.match((await user('add ann', { stdin: 'other horse' })).err, /^Changed ann/);
  const { out } = await user('list');
  assert.deepEqual(out.split('\n').slice(0, 3), ['NAME  MAY SEND AS', 'ann   anybody', 'shop  @shop.example']);
  assert.deepEqual((await user('list --json')).out.split('\n').slice(0, 2), [
    '{"name":"ann","senders":[]}',
    '{"name":"shop","senders":["@shop.example"]}',
  ]);
  const users = openUsers(file, silentLog);
  assert.deepEqual(
    [(await users.login('ann', 'correct horse'))?.name, (await users.login('ann', 'other horse'))?.name],
    [undefined, 'ann'],
  );
  assert.equal((await user('remove ann')).code, 0);
  const text = await readFile(file, 'utf8');
  assert.ok(text.startsWith('# ours\nshop:'));
  assert.deepEqual([...parseUsers(text).users.keys()], ['shop']);
  assert.equal((await user('remove ann')).code, 66);
});

test('a password comes from the terminal twice, from a file, or is made', async (t) => {
  const { cwd, file, user } = await folder(t);
  const asked: string[] = [];
  assert.equal((await user('add ann', { answer: 'typed password', asked })).code, 0);
  assert.deepEqual(asked, ['Password for ann: ', 'Once more: ']);
  await writeFile(path.join(cwd, 'secret'), 'from a file\n');
  assert.equal((await user('add bob --password-file secret')).code, 0);
  const made = await user('add carol --generate');
  assert.match(made.out, /^[\w-]{24}\n$/);
  assert.doesNotMatch(made.err, new RegExp(made.out.trim()));
  const users = openUsers(file, silentLog);
  for (const [name, password] of [
    ['ann', 'typed password'],
    ['bob', 'from a file'],
    ['carol', made.out.trim()],
  ] as const)
    assert.ok(await users.login(name, password), name);
  assert.deepEqual((await user('add dave', { stdin: 'short' })).code, 65);
  assert.deepEqual((await user('add dave', { stdin: '' })).code, 65);
  assert.deepEqual([...parseUsers(await readFile(file, 'utf8')).users.keys()], ['ann', 'bob', 'carol']);
});

test('what is wrong changes nothing: no file configured, a bad name or sender, a file that cannot be read', async (t) => {
  const { cwd, file, user } = await folder(t);
  const nowhere = await run(['user', 'add', 'ann'], { cwd, stdin: 'correct horse' });
  assert.deepEqual([nowhere.code, /submission\.usersFile/.test(nowhere.err)], [78, true]);
  assert.equal((await user('add a:b', { stdin: 'correct horse' })).code, 64);
  assert.equal((await user('add ann --as a@', { stdin: 'correct horse' })).code, 64);
  await writeFile(file, 'ann:clear text password\n');
  const broken = await user('add bob', { stdin: 'correct horse' });
  assert.equal(broken.code, 65);
  assert.doesNotMatch(broken.err, /clear text/);
  assert.equal(await readFile(file, 'utf8'), 'ann:clear text password\n');
});

test('where the name is a link, what it leads to is changed, and the link stays', async (t) => {
  const { cwd, file, user } = await folder(t);
  const real = path.join(cwd, 'real');
  await writeFile(real, '');
  await chmod(real, 0o600);
  await symlink(real, file);
  await user('add ann', { stdin: 'correct horse' });
  assert.deepEqual([...parseUsers(await readFile(real, 'utf8')).users.keys()], ['ann']);
});
