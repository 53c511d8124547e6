/**
 * Body files of messages that have ended. The batch that ends a message leaves a mark (`g/<place>`); the file is deleted after that
 * batch, and the mark goes with a later one. What a death left in between is found by its mark at the next start.
 */
import type { Bodies } from './bodies.js';
import { AFTER_SLASH, garbageKey } from './keys.js';
import type { Ledger } from './ledger.js';

/** Marks looked at in one start. */
const MAX_MARKS = 10_000;

export class Garbage {
  readonly #ledger: Ledger;
  readonly #bodies: Bodies;

  constructor(ledger: Ledger, bodies: Bodies) {
    this.#ledger = ledger;
    this.#bodies = bodies;
  }

  drop(place: string): void {
    void this.#bodies.remove(place).then(
      () => this.#ledger.rubbish.push(garbageKey(place)),
      (error: Error) => this.#ledger.log.warn('spool.body.left', { place }, error.message),
    );
  }

  async collect(): Promise<void> {
    const marks = await this.#ledger.store.keys({ gte: 'g/', lt: `g${AFTER_SLASH}`, limit: MAX_MARKS }).catch(() => []);
    for (const mark of marks) this.drop(mark.slice(2));
  }
}
