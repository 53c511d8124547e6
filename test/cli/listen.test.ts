import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { chooseListen } from '../../src/cli/listen.js';
import { loadConfig } from '../../src/config/load.js';
import { whyRefused } from '../../src/platform/port.js';

const listens = async (text: string, why: string | undefined) => {
  const { config, moved } = await chooseListen(loadConfig({ text }), async () => why);
  return { listen: config.submission.listen.map(({ host, port }) => `${host}:${port}`), moved };
};

test('587 refused is 2587 with a plain word why, where nothing was said', async () => {
  const denied = await listens('', 'EACCES');
  assert.deepEqual(denied.listen, ['127.0.0.1:2587']);
  assert.match(denied.moved ?? '', /587 needs a privilege.*2587/);
  const taken = await listens('', 'EADDRINUSE');
  assert.deepEqual(taken.listen, ['127.0.0.1:2587']);
  assert.match(taken.moved ?? '', /587 is taken by another program/);
});

test('587 free is 587, and other troubles are not ours to get around', async () => {
  for (const why of [undefined, 'EADDRNOTAVAIL']) assert.deepEqual(await listens('', why), { listen: ['127.0.0.1:587'], moved: undefined });
});

test('a port that was asked for is never exchanged for another', async () => {
  const asked = await listens('[submission]\nlisten = ["127.0.0.1:587"]\n', 'EACCES');
  assert.deepEqual(asked, { listen: ['127.0.0.1:587'], moved: undefined });
});

test('a port that is taken is refused, a free one is not', async (t) => {
  const server = net.createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  assert.equal(await whyRefused('127.0.0.1', (server.address() as net.AddressInfo).port), 'EADDRINUSE');
  assert.equal(await whyRefused('127.0.0.1', 0), undefined);
});
