/**
 * The gate before final dots (G3, G10): what remotes took is in the journal before the next dot, and no dot goes out while the
 * store is failing or the journal cannot be written.
 */
import type { RecipientOutcome } from '../../core/outcome.js';
import type { Entry } from './entry.js';
import type { Health } from './health.js';
import type { Journal } from './journal.js';
import type { Ledger } from './ledger.js';
import type { Space } from './space.js';

const PAUSE_MS = 500;

export class FinalDots {
  readonly #ledger: Ledger;
  readonly #journal: Journal;
  readonly #health: Health;
  readonly #space: Space;

  constructor(ledger: Ledger, journal: Journal, health: Health, space: Space) {
    this.#ledger = ledger;
    this.#journal = journal;
    this.#health = health;
    this.#space = space;
  }

  note(entry: Entry, outcomes: readonly RecipientOutcome[]): void {
    const file = this.#journal.note(entry.delivery.key, entry.version, this.#ledger.clock.now(), outcomes);
    if (entry.noted) entry.noted.push(file);
    else entry.noted = [file];
    // At once, not with the next dot: there may be none on this connection, and none elsewhere for long.
    try {
      this.#journal.flush();
    } catch {
      // `mayFinish` tries again, and tells of it.
    }
  }

  mayFinish(): true | Promise<void> {
    if (!this.#health.open) return this.#later();
    try {
      this.#journal.flush();
      return true;
    } catch (error) {
      const text = `the journal cannot be written: ${(error as Error).message}; nothing is sent until it can`;
      this.#ledger.faultOnce({ code: 'SPOOL_FAILED', text });
      return this.#later();
    }
  }

  async #later(): Promise<void> {
    for (;;) {
      if (!this.#health.open) await this.#health.whenWell();
      try {
        return this.#journal.flush();
      } catch {
        // Told already. Most likely the disk is full.
        await this.#space.dropBallast();
        await this.#health.pause(PAUSE_MS);
      }
    }
  }

  close(): void {
    try {
      this.#journal.close();
    } catch (error) {
      this.#ledger.log.warn('spool.journal', {}, `the journal cannot be closed: ${(error as Error).message}`);
    }
  }
}
