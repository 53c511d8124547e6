/** Randomness, as the agent uses it: ids, shuffling, query numbers. A seeded one stands in under simulation. */
import { randomFillSync } from 'node:crypto';

export interface Random {
  /** Fills the whole array. */
  fill(bytes: Uint8Array): void;
  /** 0 ≤ x < 1. */
  unit(): number;
}

export const systemRandom: Random = {
  fill: (bytes) => void randomFillSync(bytes),
  unit: () => Math.random(),
};
