import assert from 'node:assert/strict';
import { chmod, chown, lstat, mkdir, realpath, symlink } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { connectControl, findControlSocket } from '../../src/control/client.js';
import { startControlServer } from '../../src/control/server.js';
import { controlSocketPaths, surroundings } from '../../src/control/socket.js';
import { MtaError } from '../../src/core/errors.js';
import { silentLog } from '../../src/platform/log.js';
import { serveControl, temporaryFolder } from './served.js';

const around = { uid: 1234, runtimeFolders: ['/run/user/1234', '/tmp'] } as const;

test('the socket lies in the spool, or where an absolute path says', () => {
  assert.deepEqual(controlSocketPaths('/var/spool/riata', 'control.sock', around), ['/var/spool/riata/control.sock']);
  assert.deepEqual(controlSocketPaths('/var/spool/riata', '/run/riata.sock', around), ['/run/riata.sock']);
});

test('a path of 100 octets is used as it is, a longer one goes to the runtime folder under a name of its own', () => {
  const fits = `/${'d'.repeat(100 - '/control.sock'.length - 1)}`;
  assert.deepEqual(controlSocketPaths(fits, 'control.sock', around), [`${fits}/control.sock`]);
  const [first, second] = controlSocketPaths(`${fits}d`, 'control.sock', around);
  assert.match(first, /^\/run\/user\/1234\/riata-1234-[0-9a-f]{16}\/control\.sock$/);
  assert.equal(second, first.replace('/run/user/1234', '/tmp'));
  assert.notEqual(controlSocketPaths(`${fits}e`, 'control.sock', around)[0], first);
  // Octets count, not characters.
  assert.match(controlSocketPaths(`/${'ü'.repeat(60)}`, 'control.sock', around)[0], /^\/run\/user/);
});

test('an agent with a long spool path is found from its spool alone, also by way of a link', async (t) => {
  const folder = await realpath(await temporaryFolder(t));
  const runtime = path.join(folder, 'run');
  await mkdir(runtime, { mode: 0o700 });
  const spool = path.join(folder, 'a-rather-long-name-for-a-folder'.repeat(4));
  await mkdir(spool);
  const link = path.join(folder, 'spool');
  await symlink(spool, link);
  const env = { XDG_RUNTIME_DIR: runtime };
  const [socketPath] = controlSocketPaths(spool, 'control.sock', await surroundings(spool, env));
  assert.ok(socketPath.startsWith(runtime));
  const { verbs } = await serveControl(t);
  const server = await startControlServer({ verbs, path: socketPath, log: silentLog });
  t.after(() => server.close());
  assert.equal((await lstat(path.dirname(socketPath))).mode & 0o777, 0o700);
  assert.equal(await findControlSocket(spool, 'control.sock', env), socketPath);
  assert.equal(await findControlSocket(link, 'control.sock', env), socketPath);
  const client = await connectControl(socketPath);
  t.after(() => client.close());
  assert.equal((await client.agent()).version, '1.2.3');
});

test('a socket that another user put there is not taken for the agent', async (t) => {
  const spool = await temporaryFolder(t);
  const { verbs } = await serveControl(t);
  const server = await startControlServer({ verbs, path: path.join(spool, 'control.sock'), log: silentLog });
  t.after(() => server.close());
  assert.equal(await findControlSocket(spool, 'control.sock', {}), server.path);
  if (process.getuid?.() !== 0) return t.diagnostic('not root: the rest cannot be tried');
  await chown(spool, 12_345, 12_345);
  assert.equal(await findControlSocket(spool, 'control.sock', {}), server.path, 'root may be the agent');
  await chown(server.path, 54_321, 54_321);
  await assert.rejects(findControlSocket(spool, 'control.sock', {}), (error) => error instanceof MtaError && error.code === 'NOT_RUNNING');
});

test('no socket is NOT_RUNNING', async (t) => {
  const spool = await temporaryFolder(t);
  await assert.rejects(findControlSocket(spool, 'control.sock', {}), (error) => error instanceof MtaError && error.code === 'NOT_RUNNING');
});

test('a folder that others may write to is no place for the socket', async (t) => {
  const folder = await temporaryFolder(t);
  const shared = path.join(folder, 'shared');
  await mkdir(shared);
  await chmod(shared, 0o777);
  const { verbs } = await serveControl(t);
  const start = () => startControlServer({ verbs, path: path.join(shared, 'control.sock'), log: silentLog });
  await assert.rejects(start(), (error) => error instanceof MtaError && error.code === 'ADDRESS_IN_USE' && /others/.test(error.message));
  // As /tmp is: everybody may make files there, but only take away their own.
  await chmod(shared, 0o1777);
  await (await start()).close();
});
