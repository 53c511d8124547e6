/**
 * Holds a share of the seeds to what is promised. Several test files take a share each, so that they run side by side.
 *
 * `SIMULATION_SEED` takes one seed only, `SIMULATION_SEEDS` says how many there are in all.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { World } from './world.js';

const SHARES = 2;
const SEEDS = Number(process.env['SIMULATION_SEEDS'] ?? 200);
const ONLY = process.env['SIMULATION_SEED'];

/** `share` counts from 0. */
export async function holdSeeds(t: TestContext, share: number): Promise<void> {
  const sums = { mails: 0, acknowledged: 0, copies: 0, merged: 0, retold: 0, doubled: 0, refused: 0, deferred: 0, reports: 0, deaths: 0 };
  const all = ONLY === undefined ? Array.from({ length: SEEDS }, (_, number) => number + 1) : [Number(ONLY)];
  const failed: string[] = [];
  for (const seed of all.filter((one) => one % SHARES === share)) {
    const world = new World(seed);
    await world.run();
    const { witness } = world;
    sums.mails += witness.mails.size;
    for (const { acknowledged } of witness.mails.values()) if (acknowledged) sums.acknowledged++;
    for (const [what, count] of Object.entries(witness.counts) as [keyof typeof witness.counts, number][]) sums[what] += count;
    if (witness.violations.length > 0)
      failed.push(`repeat it with SIMULATION_SEED=${seed} npm test -- test/simulation/seeds\n    ${witness.violations.join('\n    ')}`);
  }
  t.diagnostic(JSON.stringify(sums));
  assert.equal(failed.length, 0, failed.join('\n'));
  if (ONLY === undefined)
    assert.ok(
      Object.values(sums).every((sum) => sum > 0),
      'the worlds are too quiet',
    );
}
