import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseResolvConf, parseServer, readResolvConf } from '../../src/platform/resolv-conf.js';

test('servers are addresses, with or without a port', () => {
  assert.deepEqual(parseServer('192.0.2.1'), { address: '192.0.2.1', port: 53 });
  assert.deepEqual(parseServer('192.0.2.1:5353'), { address: '192.0.2.1', port: 5353 });
  assert.deepEqual(parseServer('2001:db8::1'), { address: '2001:db8::1', port: 53 });
  assert.deepEqual(parseServer('[2001:db8::1]:5353'), { address: '2001:db8::1', port: 5353 });
  assert.deepEqual(parseServer('[::1]'), { address: '::1', port: 53 });
  for (const text of ['', 'dns.example', '192.0.2.1:0', '192.0.2.1:65536', '192.0.2.1:x', '[::1', '1.2.3.4.5', '[dns.example]:53']) {
    assert.throws(() => parseServer(text), { code: 'INVALID_OPTIONS' }, text);
  }
});

test('resolv.conf names servers and how to ask them', () => {
  const text =
    '# comment\n; comment\nsearch a b\nnameserver 192.0.2.1\n  nameserver\t::1 \nnameserver nonsense\nnameserver 192.0.2.2\nnameserver 192.0.2.3\noptions rotate timeout:2 attempts:9 ndots:1\n';
  assert.deepEqual(parseResolvConf(text), {
    servers: ['192.0.2.1', '::1', '192.0.2.2'].map((address) => ({ address, port: 53 })),
    timeoutMs: 2000,
    attempts: 5,
    rotate: true,
  });
  assert.deepEqual(parseResolvConf('options timeout:x attempts:0\n#nameserver 192.0.2.1'), { servers: [], rotate: false });
});

test('without resolv.conf, Node is asked', async () => {
  const conf = await readResolvConf('/nonexistent/resolv.conf');
  assert.ok(Array.isArray(conf.servers));
  assert.equal(conf.rotate, false);
});
