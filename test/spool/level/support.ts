/** Temporary spools on disk for the tests of the LevelDB driver. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Clock } from '../../../src/platform/clock.js';
import { silentLog } from '../../../src/platform/log.js';
import type { LevelSpoolOptions } from '../../../src/spool/level/options.js';
import { type OpenStore, openLevelStore, type StoreBatch } from '../../../src/spool/level/store.js';
import { INLINE_LIMIT, PROMOTE_AFTER_MS, RETENTION_MS } from '../../contract/spool.js';

export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'riata-spool-'));
  return { path: folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

export function levelOptions(folder: string, clock: Clock, more: Partial<LevelSpoolOptions> = {}): LevelSpoolOptions {
  return {
    path: folder,
    clock,
    log: silentLog,
    inlineLimitBytes: INLINE_LIMIT,
    minFreeBytes: 0,
    historyRetentionMs: RETENTION_MS,
    historyMaxBytes: 1024 ** 3,
    promoteAfterMs: PROMOTE_AFTER_MS,
    ...more,
  };
}

/** A store whose writes fail when told to. */
export interface Faults {
  /** What happens to the next writes, in order: `lost` fails without writing, `landed` writes and then fails, `good` is as ever. */
  readonly writes: ('lost' | 'landed' | 'good')[];
  /** Openings that fail before one works. */
  openings: number;
  /** While set, writes wait for it. */
  hold: Promise<void> | undefined;
  /** While set, what was written is told of only after it. */
  untold: Promise<void> | undefined;
  /** Writes that were done, told of or not. */
  written: number;
  opened: number;
}

export function faultyStore(): { faults: Faults; openStore: OpenStore } {
  const faults: Faults = { writes: [], openings: 0, hold: undefined, untold: undefined, written: 0, opened: 0 };
  const openStore: OpenStore = async (folder) => {
    if (faults.openings > 0) {
      faults.openings--;
      throw ioError();
    }
    const store = await openLevelStore(folder);
    faults.opened++;
    return { ...store, batch: () => faultyBatch(store.batch(), faults) };
  };
  return { faults, openStore };
}

function faultyBatch(batch: StoreBatch, faults: Faults): StoreBatch {
  return {
    ...batch,
    async write() {
      await faults.hold;
      const fate = faults.writes.shift();
      if (fate !== 'lost') await batch.write();
      faults.written++;
      await faults.untold;
      if (fate === 'lost' || fate === 'landed') throw ioError();
    },
  };
}

function ioError(): Error {
  return Object.assign(new Error('IO error: No space left on device'), { code: 'LEVEL_IO_ERROR' });
}
