/**
 * One delivery leased for itself, wherever it is: in a window, on disk, waiting for its time, held. What was not in memory is only there
 * as long as the lease; given back, it is left to whoever would have found it without that.
 */
import type { DeliveryKey } from '../../core/delivery.js';
import { MtaError } from '../../core/errors.js';
import type { Lease } from '../spool.js';
import { RECORD_WEIGHT } from './accept.js';
import type { Batch, Operation } from './batch.js';
import { findEntry } from './change.js';
import { Entry } from './entry.js';
import { sequenceOf } from './keys.js';
import type { Ledger } from './ledger.js';

export class TakeOperation implements Operation {
  readonly weight = RECORD_WEIGHT;
  readonly #ledger: Ledger;
  readonly #key: DeliveryKey;
  readonly #ends: { resolve: (found: Lease | 'inFlight' | 'gone') => void; reject: (error: Error) => void };
  #found: Lease | 'inFlight' | 'gone' | 'again' | MtaError = 'gone';
  #entry: Entry | undefined;

  constructor(
    ledger: Ledger,
    key: DeliveryKey,
    ends: { resolve: (found: Lease | 'inFlight' | 'gone') => void; reject: (error: Error) => void },
  ) {
    this.#ledger = ledger;
    this.#key = key;
    this.#ends = ends;
  }

  /** Leased from here on, so that nobody pulls it while the batch is written. */
  build(batch: Batch): void {
    const ledger = this.#ledger;
    const found = findEntry(ledger, batch, this.#key);
    if (!(found instanceof Entry)) {
      this.#found = found;
      return;
    }
    this.#entry = found;
    if (ledger.live.get(this.#key) === found) {
      ledger.lanes.take(found);
    } else {
      ledger.live.set(this.#key, found);
      found.taken = true;
    }
    this.#found = ledger.lease(found);
  }

  committed(): void {
    const found = this.#found;
    if (found === 'again') this.#ledger.submit(this);
    else if (found instanceof MtaError) this.#ends.reject(found);
    else this.#ends.resolve(found);
  }

  failed(error: Error): 'drop' {
    const entry = this.#entry;
    if (entry !== undefined) {
      this.#ledger.unlease(entry);
      // The store is read anew when it has been reopened.
      this.#ledger.forget(entry);
    }
    this.#ends.reject(error);
    return 'drop';
  }
}

/** Unleased already. */
export function giveBackTaken(ledger: Ledger, entry: Entry): void {
  const { lane, delivery } = entry;
  entry.taken = false;
  if (delivery.held || entry.byTimer) {
    ledger.forget(entry);
    if (!delivery.held) ledger.timerAdded(delivery.due);
    ledger.lanes.release(lane);
    return;
  }
  // Whoever read on meanwhile has passed it by: it stays in memory.
  entry.sequence = entry.indexKey.length > 1 ? sequenceOf(entry.indexKey) : ledger.nextSequence();
  ledger.lanes.insert(entry);
  ledger.wake(lane.key);
}
