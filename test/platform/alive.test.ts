import assert from 'node:assert/strict';
import { test } from 'node:test';
import { succeed } from '../support/commands.js';

const MODULE = new URL('../../src/platform/alive.ts', import.meta.url).href;

test('the process lives until the work is over, and not longer', async () => {
  const program = `import { aliveUntil } from ${JSON.stringify(MODULE)};
    const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref());
    aliveUntil(after(20).then(() => Promise.reject(new Error('failed'))))
      .catch(({ message }) => console.log(message))
      .then(() => aliveUntil(after(20)))
      .then(() => console.log('over'));`;
  const out = await succeed(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program]);
  assert.equal(out, 'failed\nover\n');
});
