/**
 * Buffers of one size, used again: what is allocated for every block of large content costs page faults and collections, and memory
 * grows with whatever has not been collected yet.
 *
 * A buffer that was given back must not be touched any more by whoever gave it. So many are kept and no more.
 */

export interface BlockPool {
  take(): Buffer;
  give(block: Buffer): void;
}

export function createBlockPool(sizeBytes: number, kept: number): BlockPool {
  const free: Buffer[] = [];
  return {
    take: () => free.pop() ?? Buffer.allocUnsafeSlow(sizeBytes),
    give(block) {
      if (free.length < kept) free.push(block);
    },
  };
}
