/** Temporary spools on disk for the tests of the LevelDB driver. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Clock } from '../../../src/platform/clock.js';
import { silentLog } from '../../../src/platform/log.js';
import type { LevelSpoolOptions } from '../../../src/spool/level/options.js';
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
