/**
 * What an operator does to a whole spool: copy it, give back its space. On one that is at work through its owner (`LevelSpool.upkeep`),
 * on one at rest by taking its lock for a while.
 */
import fsp from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../../platform/clock.js';
import type { CompactReport, SnapshotReport } from '../spool.js';
import { Bodies } from './bodies.js';
import { checkFormat } from './books.js';
import { claimForReading } from './reading.js';
import { snapshotSpool } from './snapshot.js';
import type { Store } from './store.js';

/** Everything that LevelDB has written goes into tables anew, without what was deleted. */
export async function compactStore(store: Store, folder: string): Promise<CompactReport> {
  const place = path.join(folder, 'store');
  const before = await sizeOf(place);
  await store.compact('', '~');
  return { before, after: await sizeOf(place) };
}

async function sizeOf(folder: string): Promise<number> {
  let size = 0;
  for (const name of await fsp.readdir(folder)) {
    // Tables come and go while they are counted.
    const stats = await fsp.stat(path.join(folder, name)).catch(() => undefined);
    size += stats === undefined ? 0 : stats.blocks * 512;
  }
  return size;
}

/** No agent has it. Rejects with `NOT_FOUND`, `SPOOL_LOCKED`, `SPOOL_VERSION`, and as `Upkeep.snapshot`. */
export function snapshotAtRest(given: string, target: string, clock: Clock): Promise<SnapshotReport> {
  return atRest(given, clock, (store, folder) => {
    const bodies = new Bodies({ folder: path.join(folder, 'bodies'), epoch: 0, inlineLimitBytes: 0, fs: fsp });
    return snapshotSpool({ store, folder, bodies }, target);
  });
}

/** No agent has it. Rejects with `NOT_FOUND`, `SPOOL_LOCKED`, `SPOOL_VERSION`. */
export function compactAtRest(given: string, clock: Clock): Promise<CompactReport> {
  return atRest(given, clock, compactStore);
}

async function atRest<T>(given: string, clock: Clock, use: (store: Store, folder: string) => Promise<T>): Promise<T> {
  const claim = await claimForReading(given, clock);
  try {
    await checkFormat(claim.store, claim.folder);
    return await use(claim.store, claim.folder);
  } finally {
    await claim.release(claim.store);
  }
}
