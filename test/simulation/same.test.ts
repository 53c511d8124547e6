/** A simulation that cannot be repeated finds nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from './world.js';

test('the same seed makes the same world', async () => {
  const traces = [];
  for (let time = 0; time < 2; time++) {
    const world = new World(7);
    await world.run();
    traces.push(world.trace);
  }
  assert.ok(traces[0]!.length > 100, 'little happened');
  assert.deepEqual(traces[0], traces[1]);
});
