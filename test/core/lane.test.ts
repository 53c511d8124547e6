import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostLane, mxLane, parseLane } from '../../src/core/lane.js';

test('what makes up a lane can be read from its key', () => {
  assert.deepEqual(parseLane(mxLane('example.com')), { kind: 'mx', domain: 'example.com' });
  assert.deepEqual(parseLane(mxLane('example.com', '3f9c')), { kind: 'mx', domain: 'example.com', digest: '3f9c' });
  assert.deepEqual(parseLane(mxLane('[192.0.2.1]')), { kind: 'mx', domain: '[192.0.2.1]' });
  assert.deepEqual(parseLane(mxLane('[IPv6:2001:db8::1]', '3f9c')), { kind: 'mx', domain: '[IPv6:2001:db8::1]', digest: '3f9c' });
  assert.deepEqual(parseLane(hostLane('smtp.example.net', 587, '3f9c')), {
    kind: 'host',
    host: 'smtp.example.net',
    port: 587,
    digest: '3f9c',
  });
  assert.deepEqual(parseLane(hostLane('2001:db8::1', 25, '')), { kind: 'host', host: '2001:db8::1', port: 25, digest: '' });
});

test('keys are as they are stored', () => {
  assert.equal(mxLane('example.com'), 'mx:example.com');
  assert.equal(mxLane('example.com', '3f9c'), 'mx:example.com:3f9c');
  assert.equal(hostLane('2001:db8::1', 25, '3f9c'), 'host:[2001:db8::1]:25:3f9c');
});

test('anything else is no lane', () => {
  for (const key of ['', 'mx:', 'mx:a:b:c', 'mx:a:B', 'mx:[x', 'host:a:25', 'host:a:x:0', 'host::25:0', 'example.com']) {
    assert.throws(() => parseLane(key), RangeError, key);
  }
});
