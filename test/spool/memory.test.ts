import { createMemorySpool, MemoryDisk } from '../../src/spool/memory.js';
import { mergeContract } from '../contract/merge.js';
import { INLINE_LIMIT, PROMOTE_AFTER_MS, RETENTION_MS, type SpoolPlace, spoolContract } from '../contract/spool.js';

async function memoryPlace(): Promise<SpoolPlace> {
  const disk = new MemoryDisk();
  return {
    open: (clock) =>
      createMemorySpool({
        clock,
        disk,
        promoteAfterMs: PROMOTE_AFTER_MS,
        historyRetentionMs: RETENTION_MS,
        inlineLimitBytes: INLINE_LIMIT,
      }),
    remove: async () => {},
  };
}

spoolContract('memory', memoryPlace);
mergeContract('memory', memoryPlace);
