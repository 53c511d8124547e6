/**
 * After a failed write (G10): LevelDB's handle is poisoned, and what of the failed batch landed is not known. The store is
 * closed and opened again, until that works; then, before any lane comes back,
 *
 *   1. the accepts of failed batches, which were answered 4xx, are removed if they landed (`PurgeOperation`),
 *   2. the settlements that wait are written, or found to have landed,
 *   3. a batch that went through says that all is well (`AllWell`).
 *
 * Windows are dropped and filled anew; leases stay good: their deliveries are known by id and version.
 */
import type { Acceptance } from '../spool.js';
import type { Batch, Operation } from './batch.js';
import { readCounters, readRing, takeRing } from './books.js';
import { indexKeyOf } from './change.js';
import { type DeliveryRecord, unsealJson } from './codec.js';
import { MOVED } from './entry.js';
import { bodyKey, messageKey, ordinal } from './keys.js';
import type { Ledger } from './ledger.js';
import type { Store } from './store.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;

/** How to get the store back. */
export interface Reopening {
  readonly reopen: () => Promise<Store>;
  /** Done before each try: makes room. */
  readonly before: () => Promise<void>;
  readonly pause: (ms: number) => Promise<void>;
  /** Nobody wants it any more. */
  readonly ended: () => boolean;
}

/** Opens the store again, pausing longer and longer, until it works (true) or has `ended`. */
export async function reopenStore(ledger: Ledger, how: Reopening): Promise<boolean> {
  for (let pause = FIRST_PAUSE_MS; !how.ended(); pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    await ledger.store.close().catch(() => {});
    await how.before();
    try {
      ledger.store = await how.reopen();
      return true;
    } catch (error) {
      ledger.faultOnce({ code: 'SPOOL_FAILED', text: `the spool cannot be reopened yet: ${(error as Error).message}` });
    }
    await how.pause(pause);
  }
  return false;
}

/** Everything in memory that the store can tell better is forgotten; leases and settlements under way stay. */
export function dropWindows(ledger: Ledger): void {
  ledger.generation++;
  for (const entry of [...ledger.live.values()]) if (entry.state === 'window' || entry.token === 0) ledger.forget(entry);
  const kept = new Set([...ledger.live.values()].map((entry) => entry.lane));
  ledger.lanes.clear((lane) => kept.has(lane));
}

/** Numbers and counters as the reopened store has them. */
export async function rereadBooks(ledger: Ledger): Promise<void> {
  takeRing(ledger, await readRing(ledger.store));
  await readCounters(ledger);
  for (const entry of ledger.live.values()) {
    if (entry.promoted) entry.lane.promoted++;
  }
}

/** Removes what was answered as failed, where it landed all the same. */
export class PurgeOperation implements Operation {
  readonly weight: number;
  readonly #ledger: Ledger;
  readonly #acceptance: Acceptance;
  readonly #done: () => void;

  constructor(ledger: Ledger, acceptance: Acceptance, done: () => void) {
    this.#ledger = ledger;
    this.#acceptance = acceptance;
    this.#done = done;
    this.weight = 400 * acceptance.deliveries.length;
  }

  build(batch: Batch): void {
    const { message, deliveries } = this.#acceptance;
    let found = false;
    for (let n = 0; n < deliveries.length; n++) {
      const about = ordinal(message.id, n);
      const key = `d/${about}`;
      const value = batch.current(key);
      const record = value === undefined ? undefined : unsealJson<DeliveryRecord>(key, value);
      if (record === undefined) continue;
      found = true;
      const lane = this.#ledger.lanes.make(record.l);
      const indexKey = indexKeyOf(record, about, lane.readyPrefix(record.p), batch);
      batch.del(key);
      if (indexKey !== MOVED) batch.del(indexKey);
      if (indexKey.startsWith('t')) lane.waiting--;
      else lane.ready--;
      batch.count(lane);
    }
    if (!found) return;
    this.#ledger.messages--;
    batch.del(bodyKey(message.id));
    batch.del(messageKey(message.id));
    if (deliveries.length > 1) batch.setOpenCount(message.id, 0);
  }

  committed(): void {
    const { body } = this.#acceptance;
    if (!Buffer.isBuffer(body)) this.#ledger.dropBodies([body.place]);
    this.#done();
  }

  /** Its turn comes again: the list of what is doubtful still has it. */
  failed(): 'drop' {
    return 'drop';
  }
}

/** Stands behind everything that must go first. */
export class AllWell implements Operation {
  readonly weight = 0;
  readonly committed: () => void;

  constructor(committed: () => void) {
    this.committed = committed;
  }

  build(): void {}

  failed(): 'drop' {
    return 'drop';
  }
}
