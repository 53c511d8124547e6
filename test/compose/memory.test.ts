import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const folder = mkdtempSync(join(tmpdir(), 'riata-compose-memory-'));
after(() => rmSync(folder, { recursive: true }));

const MIB = 1024 * 1024;

/** Octets written, and MiB that the process grew by meanwhile. */
function run(what: string): { readonly octets: number; readonly grown: number } {
  const child = fileURLToPath(new URL('memory-child.ts', import.meta.url));
  const done = spawnSync(process.execPath, ['--import', 'tsx', child, what, join(folder, 'large.bin')], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  const { octets, before, after } = JSON.parse(done.stdout.trim().split('\n').at(-1)!) as Record<'octets' | 'before' | 'after', number>;
  return { octets, grown: (after - before) / 1024 };
}

for (const [what, name] of [
  ['file', 'a file of 200 MiB'],
  ['stream', 'a stream of 200 MiB'],
] as const) {
  test(`${name} is attached as it is read: memory does not follow its size`, (t) => {
    const { octets, grown } = run(what);
    t.diagnostic(`grew by ${grown.toFixed(1)} MiB`);
    assert.ok(octets > 200 * MIB * 1.33);
    assert.ok(grown < 60, `${grown} MiB`);
  });
}

test('ten thousand copies of a message with a large attachment take the memory of one', (t) => {
  const { octets, grown } = run('merge');
  t.diagnostic(`grew by ${grown.toFixed(1)} MiB for ${(octets / MIB / 1024).toFixed(1)} GiB of copies`);
  assert.ok(octets > 10_000 * 4 * MIB * 1.33);
  assert.ok(grown < 60, `${grown} MiB`);
});
