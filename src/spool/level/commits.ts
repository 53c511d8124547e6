/**
 * The commits of an open spool: operations that come while one is written go together into the next, each batch with its number, and what
 * became of it is told in the order of the operations.
 *
 * It must not: try again. A batch that failed is handed to whoever reopens the store (`reopen.ts`).
 */
import { GroupCommit } from '../../platform/group-commit.js';
import { Histogram } from '../../platform/histogram.js';
import { COMMIT_MS, COMMIT_OPERATIONS, type CommitMeasures } from '../spool.js';
import { Batch, type Operation } from './batch.js';
import type { HighWater } from './books.js';
import type { Health } from './health.js';
import type { Ledger } from './ledger.js';
import type { Space } from './space.js';

/** A batch is closed at about this size: the loop must not stand still, and neighbours wait for its sync. */
const BATCH_BYTES = 1024 * 1024;

export interface CommitsOptions {
  readonly ledger: Ledger;
  readonly health: Health;
  readonly space: Space;
  readonly highWater: HighWater;
  /** `group` was in the batch that failed, `waiting` came after it; nothing is written until `resume`. */
  readonly failed: (error: unknown, group: readonly Operation[], waiting: readonly Operation[]) => void;
}

export class Commits {
  readonly #options: CommitsOptions;
  readonly #group: GroupCommit<Operation>;
  readonly #commitMs = new Histogram(COMMIT_MS);
  readonly #commitOperations = new Histogram(COMMIT_OPERATIONS);
  #batch: Batch | undefined;
  #begun = 0;

  constructor(options: CommitsOptions) {
    this.#options = options;
    this.#group = new GroupCommit<Operation>({
      maxWeight: BATCH_BYTES,
      write: (group) => this.#write(group),
      done: (group) => this.#done(group),
      failed: (error, group, waiting) => {
        options.ledger.landed();
        options.failed(error, group, waiting);
      },
    });
  }

  /** While the store is failing, it waits. */
  add(operation: Operation): void {
    this.#group.add(operation);
  }

  /** Of the spool's own: refused where it is closed. */
  submit(operation: Operation): void {
    const { health } = this.#options;
    if (health.ended) operation.failed(health.refusal(), false);
    else this.#group.add(operation);
  }

  /** Goes on with these, and then with what waits. */
  resume(first: readonly Operation[]): void {
    this.#group.resume(first);
  }

  drained(): Promise<void> {
    return this.#group.drained();
  }

  abandon(): readonly Operation[] {
    return this.#group.abandon();
  }

  measures(): CommitMeasures {
    return { commitMs: this.#commitMs.view(), commitOperations: this.#commitOperations.view() };
  }

  #write(group: readonly Operation[]): Promise<void> {
    const { ledger } = this.#options;
    const batch = new Batch(ledger.store, ledger.batches + 1, ledger.clock.now());
    // First, so that whatever an operation puts under the same key stays.
    for (const key of ledger.rubbish) batch.del(key);
    if (ledger.rubbish.length > 0) ledger.rubbish = [];
    for (const operation of group) operation.build(batch);
    ledger.batches = batch.number;
    this.#batch = batch;
    this.#begun = ledger.clock.monotonic();
    return batch.finish(ledger);
  }

  #done(group: readonly Operation[]): void {
    const { ledger, highWater, space } = this.#options;
    const batch = this.#batch!;
    this.#commitMs.observe(ledger.clock.monotonic() - this.#begun);
    this.#commitOperations.observe(group.length);
    ledger.landed();
    highWater.write(batch.number);
    // Once into the log, once into tables.
    space.wrote(2 * batch.bytes);
    for (const operation of group) operation.committed();
    ledger.tellWoken();
  }
}
