import { createMemorySpool, MemoryDisk } from '../../src/spool/memory.js';
import { INLINE_LIMIT, PROMOTE_AFTER_MS, RETENTION_MS, spoolContract } from '../contract/spool.js';

spoolContract('memory', async () => {
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
});
