import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import { test } from 'node:test';
import { startDnsServer } from '../../src/dev/dns-server.js';

test("Node's own resolver understands the server", async (t) => {
  const server = await startDnsServer({
    zones: {
      'dev.test': {
        mx: [
          [10, 'mx.dev.test'],
          [5, 'mx2.dev.test'],
        ],
        txt: ['hello'],
      },
      'mx.dev.test': { a: ['127.0.0.1'], aaaa: ['::1'] },
      'alias.test': { cname: 'mx.dev.test' },
      '*.wild.test': { a: ['127.0.0.2'] },
      'own.wild.test': { a: ['127.0.0.3'] },
      'null.test': { mx: [[0, '']] },
      'down.test': { trouble: 'servfail' },
    },
  });
  t.after(() => server.close());
  const resolver = new Resolver();
  resolver.setServers([server.address]);
  assert.deepEqual((await resolver.resolveMx('dev.test')).map(({ priority, exchange }) => [priority, exchange]).sort(), [
    [10, 'mx.dev.test'],
    [5, 'mx2.dev.test'],
  ]);
  assert.deepEqual(await resolver.resolve4('mx.dev.test'), ['127.0.0.1']);
  assert.deepEqual(await resolver.resolve6('mx.dev.test'), ['::1']);
  assert.deepEqual(await resolver.resolve4('alias.test'), ['127.0.0.1']);
  assert.deepEqual(await resolver.resolveCname('alias.test'), ['mx.dev.test']);
  assert.deepEqual(await resolver.resolveTxt('dev.test'), [['hello']]);
  assert.deepEqual(await resolver.resolve4('any.wild.test'), ['127.0.0.2']);
  assert.deepEqual(await resolver.resolve4('own.wild.test'), ['127.0.0.3']);
  assert.deepEqual(await resolver.resolveMx('null.test'), [{ priority: 0, exchange: '' }]);
  await assert.rejects(resolver.resolveMx('mx.dev.test'), { code: 'ENODATA' });
  await assert.rejects(resolver.resolveMx('nowhere.test'), { code: 'ENOTFOUND' });
  await assert.rejects(resolver.resolve4('wild.test'), { code: 'ENODATA' });
  await assert.rejects(resolver.resolveMx('down.test'), { code: 'ESERVFAIL' });
  server.set('nowhere.test', { a: ['127.0.0.9'] });
  assert.deepEqual(await resolver.resolve4('nowhere.test'), ['127.0.0.9']);
  server.set('nowhere.test', undefined);
  await assert.rejects(resolver.resolve4('nowhere.test'), { code: 'ENOTFOUND' });
  assert.deepEqual(
    server.queries.slice(0, 2).map(({ name, type, transport }) => `${name} ${type} ${transport}`),
    ['dev.test MX udp', 'mx.dev.test A udp'],
  );
});

test('a port that was asked for and is taken is an error', async (t) => {
  const server = await startDnsServer({ zones: {} });
  t.after(() => server.close());
  await assert.rejects(startDnsServer({ zones: {}, port: Number(server.address.split(':')[1]) }), { code: 'EADDRINUSE' });
});
