/**
 * Group commit: many small writes share one slow one (an fdatasync). One group is under way at a time; what
 * arrives meanwhile goes together into the next, which starts the moment the one before it is done.
 *
 * Promises
 *  - items are written in the order in which they were added, never two groups at once;
 *  - `done` is called once for every group, after the next one was started: the disk works while we tell people;
 *  - from an idle state a group starts at the end of the turn (`setImmediate`), so that what one turn of the
 *    event loop brings goes together. There is no lingering beyond that: measured, it only costs.
 *
 * States: idle → armed (setImmediate) → writing → writing … → idle; halted from any, until `resume`.
 * It must not know what is written, nor try again: after a failure it halts and hands everything back.
 */

export interface GroupCommitOptions<T> {
  /** Writes a group durably. Called synchronously when the group before it is done; builds, then writes. */
  readonly write: (group: readonly T[]) => Promise<void>;
  readonly done: (group: readonly T[]) => void;
  /** The group failed; nothing else will be written until `resume`. `waiting` came after it, in order. */
  readonly failed: (error: unknown, group: readonly T[], waiting: readonly T[]) => void;
  /** A group is closed when the weights of its items reach this. */
  readonly maxWeight: number;
}

export class GroupCommit<T extends { readonly weight: number }> {
  readonly #options: GroupCommitOptions<T>;
  #waiting: T[] = [];
  #state: 'idle' | 'armed' | 'writing' | 'halted' = 'idle';
  #drained: (() => void)[] = [];

  constructor(options: GroupCommitOptions<T>) {
    this.#options = options;
  }

  /** While halted, items wait. */
  add(item: T): void {
    this.#waiting.push(item);
    if (this.#state === 'idle') this.#arm();
  }

  /** Number of items not yet handed to `write`. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Goes on after a failure; `first` goes before what waits. */
  resume(first: readonly T[]): void {
    if (this.#state !== 'halted') throw new Error('group commit is not halted');
    this.#waiting = [...first, ...this.#waiting];
    this.#next();
  }

  /** Gives up what waits while halted; nothing will be written any more. */
  abandon(): readonly T[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }

  /** Resolves when nothing is waiting or under way, or at once while halted. */
  drained(): Promise<void> {
    if (this.#state === 'idle' || this.#state === 'halted') return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  #arm(): void {
    this.#state = 'armed';
    setImmediate(() => {
      if (this.#state === 'armed') this.#next();
    });
  }

  #next(): void {
    const group = this.#take();
    if (group.length === 0) {
      this.#state = 'idle';
      this.#tellDrained();
      return;
    }
    this.#state = 'writing';
    let written: Promise<void>;
    try {
      written = this.#options.write(group);
    } catch (error) {
      written = Promise.reject(error);
    }
    written.then(
      () => {
        this.#options.done(group);
        this.#arm();
      },
      (error: unknown) => {
        this.#state = 'halted';
        const waiting = this.#waiting;
        this.#waiting = [];
        this.#options.failed(error, group, waiting);
        this.#tellDrained();
      },
    );
  }

  #take(): readonly T[] {
    const all = this.#waiting;
    let weight = 0;
    let count = 0;
    while (count < all.length && weight < this.#options.maxWeight) weight += all[count++]!.weight;
    if (count === all.length) {
      this.#waiting = [];
      return all;
    }
    this.#waiting = all.slice(count);
    return all.slice(0, count);
  }

  #tellDrained(): void {
    const waiting = this.#drained;
    this.#drained = [];
    for (const resolve of waiting) resolve();
  }
}
