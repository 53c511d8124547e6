import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { destination, temporaryFolder } from '../support/agent.js';
import { succeed } from '../support/commands.js';

const MIB = 1024 * 1024;

for (const what of ['file', 'stream']) {
  test(`an attachment of 120 MiB from a ${what} goes through the spool to its destination, and memory does not follow its size`, async (t) => {
    const sink = await destination(t, { keep: 0, maxBytes: 200 * MIB });
    const child = fileURLToPath(new URL('memory-child.ts', import.meta.url));
    const out = await succeed(process.execPath, ['--import', 'tsx', child, what, String(sink.port), await temporaryFolder(t)]);
    const report = JSON.parse(out.trim().split('\n').at(-1)!) as Record<'size' | 'before' | 'after', number> & { status: string };
    const grown = (report.after - report.before) / 1024;
    t.diagnostic(`grew by ${grown.toFixed(1)} MiB`);
    assert.deepEqual([report.status, sink.counts.messages], ['sent', 2]);
    assert.ok(report.size > 120 * MIB * 1.33 && report.size < 120 * MIB * 1.4, String(report.size));
    // Some 50: buffers, and what the collector of garbage leaves lying about.
    assert.ok(grown < 100, `${grown} MiB`);
  });
}
