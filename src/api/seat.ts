/**
 * A seat at a spool that several processes share: the owner's own, or a guest's at the owner's socket. When the owner ends, the guests
 * take their seats anew, and one of them becomes the owner.
 *
 *   none ──take──► seated ──lost──► none (taken again at once) … ──close──► left
 *
 * Promises
 *  - There is one seat at a time, and it is taken again as soon as it is lost, whether or not anybody asks for it: mail that waits must
 *    have an owner.
 *  - `persist` does its work again on the next seat where the one before was lost under it, so work must bear being done twice.
 *
 * Must not: know what is done on the seat.
 */
import { MtaError } from '../core/errors.js';

export interface Seat<T> {
  readonly use: T;
  /** Resolves when it is of no use any more; never for an owner's. */
  readonly lost: Promise<void>;
  /** `cut`: at once. */
  leave(cut?: AbortSignal): Promise<void>;
}

export interface SeatsOptions<T> {
  /** Takes one, however long it must try. Rejects where that has no sense any more, or `signal` aborts. */
  readonly take: (signal: AbortSignal) => Promise<Seat<T>>;
  /** Told where a seat that was lost cannot be taken again: from then on everything rejects with that. */
  readonly failed: (error: Error) => void;
}

/** The one who was asked went away: nobody knows whether it was done. */
export function wasLost(error: unknown): boolean {
  return error instanceof MtaError && (error.code === 'NOT_RUNNING' || error.code === 'SPOOL_CLOSED');
}

/** How often work is begun again: who loses that many seats in a row has another trouble. */
const MOST_TRIES = 10;

export class Seats<T> {
  readonly #options: SeatsOptions<T>;
  readonly #over = new AbortController();
  #seat: Promise<Seat<T>>;

  private constructor(options: SeatsOptions<T>, first: Seat<T>) {
    this.#options = options;
    this.#seat = Promise.resolve(first);
    this.#watch(first);
  }

  /** Rejects with what taking the first seat has against it; `signal` is for that one alone. */
  static async open<T>(options: SeatsOptions<T>, signal: AbortSignal = new AbortController().signal): Promise<Seats<T>> {
    return new Seats(options, await options.take(signal));
  }

  /** The seat as it is, or the next one. */
  async current(): Promise<T> {
    return (await this.#seat).use;
  }

  async persist<R>(work: (use: T) => Promise<R>): Promise<R> {
    for (let tries = 1; ; tries++) {
      const seat = await this.#seat;
      try {
        return await work(seat.use);
      } catch (error) {
        if (!wasLost(error) || this.#over.signal.aborted || tries >= MOST_TRIES) throw error;
        await this.#leave(seat);
      }
    }
  }

  async close(cut?: AbortSignal): Promise<void> {
    if (this.#over.signal.aborted) return;
    const seat = this.#seat;
    this.#over.abort();
    await (await seat.catch(() => undefined))?.leave(cut);
  }

  #watch(seat: Seat<T>): void {
    void seat.lost.then(() => this.#leave(seat));
  }

  /** Whoever finds it lost first takes the next one; the others wait for that. */
  async #leave(seat: Seat<T>): Promise<void> {
    const before = this.#seat;
    if (this.#over.signal.aborted || (await before.catch(() => undefined)) !== seat || this.#seat !== before) return;
    this.#seat = this.#takeAnew(seat);
    this.#seat.catch((error: Error) => {
      if (!this.#over.signal.aborted) this.#options.failed(error);
    });
  }

  async #takeAnew(last: Seat<T>): Promise<Seat<T>> {
    await last.leave().catch(() => {});
    const next = await this.#options.take(this.#over.signal);
    if (this.#over.signal.aborted) {
      await next.leave();
      throw new MtaError('SPOOL_CLOSED', 'the agent was closed');
    }
    this.#watch(next);
    return next;
  }
}
