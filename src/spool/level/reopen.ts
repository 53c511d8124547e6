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
import { MtaError } from '../../core/errors.js';
import type { Acceptance } from '../spool.js';
import type { Batch, Operation } from './batch.js';
import { readCounters, readFormat, readPauses, readRing, takeRing } from './books.js';
import { indexKeyOf } from './change.js';
import { type DeliveryRecord, unsealJson } from './codec.js';
import { MOVED } from './entry.js';
import type { Health } from './health.js';
import { bodyKey, copyKey, messageKey, ordinal } from './keys.js';
import type { LargeAcceptances } from './large.js';
import type { Ledger } from './ledger.js';
import { dropOnce, hashOf } from './once.js';
import { readServers } from './own-servers.js';
import type { Refill } from './refill.js';
import type { Space } from './space.js';
import type { Store } from './store.js';
import type { Timers } from './timers.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 30_000;

export interface ReopenParts {
  readonly ledger: Ledger;
  readonly health: Health;
  readonly space: Space;
  readonly large: LargeAcceptances;
  readonly timers: Timers;
  readonly refill: Refill;
  readonly reopen: () => Promise<Store>;
  /** Goes on writing, these first. */
  readonly resume: (first: readonly Operation[]) => void;
  /** All is well again. */
  readonly recovered: () => void;
}

export class Reopener {
  readonly #parts: ReopenParts;
  /** Accepts that were answered as failed and may have landed. */
  readonly #doubtful = new Set<Acceptance>();
  #running: Promise<void> = Promise.resolve();

  constructor(parts: ReopenParts) {
    this.#parts = parts;
  }

  doubt(acceptance: Acceptance): void {
    this.#doubtful.add(acceptance);
  }

  /** `group` was in the batch that failed, `waiting` came after it. */
  failed(error: unknown, group: readonly Operation[], waiting: readonly Operation[]): void {
    if (!isStoreError(error)) throw error;
    const { ledger, health, refill } = this.#parts;
    const text = `a write to the spool failed: ${deepest(error)}; nothing is accepted until the spool has been reopened`;
    if (health.fail()) ledger.fault({ code: 'SPOOL_FAILED', text });
    const refusal = new MtaError('SPOOL_FAILED', text, { cause: error });
    const kept = [
      ...group.filter((one) => one.failed(refusal, true) === 'keep'),
      ...waiting.filter((one) => one.failed(refusal, false) === 'keep'),
    ];
    dropWindows(ledger);
    refill.reset();
    this.#running = this.#run(kept);
  }

  /** Resolves when nothing is going on here any more. */
  idle(): Promise<void> {
    return this.#running;
  }

  async #run(kept: readonly Operation[]): Promise<void> {
    const { ledger, health, space } = this.#parts;
    for (let pause = FIRST_PAUSE_MS; !health.ended; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      await ledger.store.close().catch(() => {});
      // Room for what must be written now: deletes and settlements.
      await space.dropBallast();
      await space.measure();
      try {
        ledger.store = await this.#parts.reopen();
        const first = await this.#reread(kept);
        if (health.ended) break;
        this.#parts.resume(first);
        return;
      } catch (error) {
        ledger.faultOnce({ code: 'SPOOL_FAILED', text: `the spool cannot be reopened yet: ${deepest(error)}` });
        dropWindows(ledger);
      }
      await health.pause(pause);
    }
    for (const operation of kept) operation.abandoned?.(health.refusal());
  }

  /** The books as the reopened store has them; what must be written before anything else. */
  async #reread(kept: readonly Operation[]): Promise<Operation[]> {
    const { ledger, large, timers } = this.#parts;
    ledger.format = (await readFormat(ledger.store)) ?? ledger.format;
    takeRing(ledger, await readRing(ledger.store));
    await readPauses(ledger);
    await readServers(ledger);
    await readCounters(ledger);
    for (const entry of ledger.live.values()) {
      if (entry.promoted) entry.lane.promoted++;
    }
    await large.prepare();
    timers.reset();
    const purges = [...this.#doubtful].map((acceptance) => new PurgeOperation(ledger, acceptance, () => this.#doubtful.delete(acceptance)));
    return [...purges, ...kept, new AllWell(() => this.#parts.recovered())];
  }
}

/** LevelDB's errors and the system's; anything else is a broken invariant and ends the process. */
function isStoreError(error: unknown): boolean {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code !== undefined && (code.startsWith('LEVEL_') || /^E[A-Z]+$/.test(code));
}

function deepest(error: unknown): string {
  let at = error;
  while (at instanceof Error && at.cause instanceof Error) at = at.cause;
  return at instanceof Error ? at.message : String(at);
}

/** Everything in memory that the store can tell better is forgotten; leases and settlements under way stay. */
function dropWindows(ledger: Ledger): void {
  ledger.generation++;
  for (const entry of [...ledger.live.values()]) if (entry.state === 'window' || entry.token === 0) ledger.forget(entry);
  const kept = new Set([...ledger.live.values()].map((entry) => entry.lane));
  ledger.lanes.clear((lane) => kept.has(lane));
}

/** Removes what was answered as failed, where it landed all the same. */
class PurgeOperation implements Operation {
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
    const { message, deliveries, once } = this.#acceptance;
    if (once !== undefined) dropOnce(batch, hashOf(once.key), message.id);
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
      if (message.merge !== undefined) batch.del(copyKey(about));
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
    if (!Buffer.isBuffer(body)) this.#ledger.dropBody(body.place);
    this.#done();
  }

  /** Its turn comes again: the list of what is doubtful still has it. */
  failed(): 'drop' {
    return 'drop';
  }
}

/** Stands behind everything that must go first. */
class AllWell implements Operation {
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
