/** The rest of a place in trouble: how often it failed in a row, why, and until when it is left alone. */
import type { Trouble } from '../core/outcome.js';
import { pauseMs } from './backoff.js';

/** Longer than mail waits between two tries: a place that mail still waits for is not forgotten meanwhile. */
export const STALE_MS = 6 * 3_600_000;

export class Rest {
  #failures = 0;
  #begunAt = 0;
  #until = 0;
  #trouble: Trouble | undefined;

  /** In a row. Stays until `clear`, so that the next try is a single probe. */
  get failures(): number {
    return this.#failures;
  }

  /** Epoch ms; 0 if it never rested or was told to stop. */
  get until(): number {
    return this.#until;
  }

  get trouble(): Trouble | undefined {
    return this.#trouble;
  }

  /** It failed (again). `unit` (0 ≤ x < 1) spreads the pause. */
  begin(now: number, trouble: Trouble, unit: number): void {
    this.#failures++;
    this.#begunAt = now;
    this.#trouble = trouble;
    this.#until = now + pauseMs(this.#failures, trouble, unit);
  }

  /** Whether it may be tried now. A wall clock that jumps back cannot prolong a pause beyond its own length. */
  over(now: number): boolean {
    if (this.#until === 0 || now >= this.#until) return true;
    if (this.#trouble !== undefined && this.#until - now > 2 * pauseMs(this.#failures, this.#trouble, 1)) this.#until = now;
    return now >= this.#until;
  }

  /** It was over long ago, or there was none: nothing has come since that would have been tried. */
  stale(now: number): boolean {
    return this.#failures === 0 || now - Math.max(this.#begunAt, this.#until) > STALE_MS;
  }

  /** Ends the pause, but not the memory of the trouble: one probe decides. */
  end(): void {
    this.#until = 0;
  }

  /** All is well. */
  clear(): void {
    this.#failures = 0;
    this.#until = 0;
    this.#trouble = undefined;
  }
}
