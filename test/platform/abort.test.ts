import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBroadAbort } from '../../src/platform/abort.js';

test('a hundred waits may listen for one end without a warning of a leak', async (t) => {
  const warnings: Error[] = [];
  const warned = (warning: Error) => warnings.push(warning);
  process.on('warning', warned);
  t.after(() => process.off('warning', warned));
  const controller = createBroadAbort();
  let heard = 0;
  for (let i = 0; i < 100; i++) controller.signal.addEventListener('abort', () => heard++);
  controller.abort();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([heard, warnings], [100, []]);
});
