/**
 * How long a place in trouble is left alone: a site that nobody answers at, or a lane whose name cannot be looked
 * up. Pure. This is about places; how often a message is tried is the retry policy's (outcome).
 */
import type { Trouble } from '../core/outcome.js';

/** The first pause. Short: most trouble of a whole site is a restart. */
export const FIRST_PAUSE_MS = 30_000;
/** The longest. One probe in a quarter of an hour costs nothing and finds a server that is back soon enough. */
export const LONGEST_PAUSE_MS = 15 * 60_000;
/** A login that was refused is not tried more often: repeated failures lock accounts. */
export const REFUSED_LOGIN_PAUSE_MS = 15 * 60_000;

/** `failures` in a row, counting this one; `unit` (0 ≤ x < 1) spreads the pause by ±10 %. */
export function pauseMs(failures: number, trouble: Trouble, unit: number): number {
  const usual =
    trouble.reason === 'auth' ? REFUSED_LOGIN_PAUSE_MS : Math.min(FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 20), LONGEST_PAUSE_MS);
  const spread = usual * (0.9 + 0.2 * unit);
  return Math.round(Math.max(spread, Math.min(trouble.retryAfterMs ?? 0, LONGEST_PAUSE_MS)));
}
