/**
 * Many messages, few commits: inside the block of `mta.batch` a message counts as handed in when it is staged, which is when it waits
 * for the commit; the batch itself resolves when all of them are durable.
 *
 *   block runs (staging, bounded) ──► block has ended (what is staged becomes durable) ──► over
 *
 * Promises
 *  - What is staged is committed as it comes: mail already queued keeps flowing, and the block need not end for its own to leave.
 *  - So much is staged at once and no more; then handing in waits for the disk.
 *  - Only what is called within the block is part of it, whatever else the program does meanwhile; what is called after its end is
 *    handed in as ever.
 *  - What was queued stays queued where the block throws; its error is passed on once that is durable.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { type Issue, MtaError } from '../core/errors.js';

const MOST_MESSAGES = 1000;
const MOST_OCTETS = 8 * 1024 * 1024;
/** Failures named in one error. */
const MOST_NAMED = 100;

/** What is about to be durable. */
export interface Staged {
  readonly id: string;
  readonly size: number;
  readonly durable: Promise<void>;
}

const current = new AsyncLocalStorage<Batch>();
/** Batches that are open. Without any, Node need not follow who called what: that costs every promise of the process. */
let running = 0;

/** The batch that this is called in; undefined: in none that is still open. */
export function openBatch(): Batch | undefined {
  const batch = current.getStore();
  return batch?.open === true ? batch : undefined;
}

/** Rejects with what the block throws, or with `SPOOL_FAILED`, which names those that are not stored. */
export async function runBatch<T>(block: () => T | Promise<T>): Promise<T> {
  const batch = new Batch();
  running++;
  try {
    const result = await current.run(batch, async () => block());
    await batch.end();
    batch.complain();
    return result;
  } finally {
    await batch.end();
    if (--running === 0) current.disable();
  }
}

/** Runs what is none of a batch's business, though it may come of one. */
export function outsideBatches<T>(run: () => T): T {
  return running === 0 ? run() : current.exit(run);
}

export class Batch {
  open = true;
  #messages = 0;
  #octets = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #coming = new Set<Promise<unknown>>();
  readonly #failures: Issue[] = [];
  #failed = 0;
  #cause: unknown;

  /** Until the batch has ended, it waits for this. */
  follow(work: Promise<unknown>): void {
    const over = work.then(
      () => void this.#coming.delete(over),
      () => void this.#coming.delete(over),
    );
    this.#coming.add(over);
  }

  /** Resolves when there is room for one more. */
  async room(): Promise<void> {
    while (this.#messages >= MOST_MESSAGES || this.#octets >= MOST_OCTETS)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  stage({ id, size, durable }: Staged): void {
    this.#messages++;
    this.#octets += size;
    const over = () => {
      this.#messages--;
      this.#octets -= size;
      this.#waiting.shift()?.();
    };
    const fail = (error: unknown) => {
      this.#cause ??= error;
      if (++this.#failed <= MOST_NAMED)
        this.#failures.push({ path: id, code: 'NOT_STORED', message: `${id} is not stored: ${textOf(error)}` });
    };
    this.follow(durable.catch(fail).finally(over));
  }

  async end(): Promise<void> {
    this.open = false;
    while (this.#coming.size > 0) await Promise.all(this.#coming);
  }

  complain(): void {
    if (this.#failed === 0) return;
    const message = `${this.#failed} messages of the batch are not stored: ${textOf(this.#cause)}`;
    const code = this.#cause instanceof MtaError ? this.#cause.code : 'SPOOL_FAILED';
    throw new MtaError(code, message, { issues: this.#failures, cause: this.#cause });
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
