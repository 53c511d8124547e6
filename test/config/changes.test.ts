import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesBetween } from '../../src/config/changes.js';
import { config } from './support.js';

const now = config({ text: 'hostname = "a.example"\n[delivery.timeouts]\nconnect = "1s"\n[[route]]\nhost = "one.example"' });

test('of another configuration only what can be taken is taken, and the rest is named', () => {
  const wanted = config({
    text: 'hostname = "b.example"\n[delivery]\nmaxConnections = 7\ntimeouts = { connect = "2s" }\n[spool]\npath = "/elsewhere"\nmaxMessageSize = "1MiB"',
  });
  const { config: merged, taken, atNextStart } = changesBetween(now, wanted);
  assert.deepEqual(taken, ['spool.maxMessageSize', 'delivery.maxConnections', 'delivery.timeouts.connect', 'route']);
  assert.deepEqual(atNextStart, ['hostname', 'spool.path', 'delivery.heloName']);
  assert.deepEqual(
    [merged.delivery.maxConnections, merged.delivery.timeouts.connect, merged.spool.maxMessageSize, merged.route],
    [7, 2000, 2 ** 20, []],
  );
  assert.deepEqual([merged.hostname, merged.spool.path, merged.delivery.heloName], ['a.example', './spool', 'a.example']);
  assert.equal(now.delivery.timeouts.connect, 1000, 'the one in force is left as it is');
});

test('where nothing differs nothing is taken, and another password of a route is a difference', () => {
  assert.deepEqual(changesBetween(now, structuredClone(now)), { config: now, taken: [], atNextStart: [] });
  const [route] = now.route;
  assert.deepEqual(changesBetween(now, { ...now, route: [{ ...route!, password: 'other' }] }).taken, ['route']);
});
