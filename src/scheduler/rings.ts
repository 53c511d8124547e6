/**
 * Who is next: things that wait in turn, on one ring for each priority level. The highest level goes first; within
 * a level everybody gets a turn before anybody gets a second. An entry stands on one level at a time; raising or
 * removing it leaves a stale place behind, which is passed over when its turn comes.
 */
import { PRIORITIES, type Priority } from '../core/message.js';

/** What `Rings` keeps on its entries. An entry belongs to at most one `Rings`. */
export interface Turn {
  /** The level it waits on, or undefined while it does not wait. */
  level: Priority | undefined;
  /** Which of its places is the true one. */
  place: number;
}

/** How urgent a level is: 0 is the most urgent. */
export function rank(level: Priority): number {
  return PRIORITIES.indexOf(level);
}

/** A queue whose front is cut off now and then, not one by one. */
interface Ring<T> {
  entries: T[];
  places: number[];
  head: number;
}

/** Counted over all rings: whoever moves from one to another must not be taken for his stale place in the first. */
let places = 0;

export class Rings<T extends Turn> {
  readonly #rings: Ring<T>[] = PRIORITIES.map(() => ({ entries: [], places: [], head: 0 }));
  #size = 0;

  /** Entries that wait. */
  get size(): number {
    return this.#size;
  }

  /** At the end of its level, unless it waits on this level or a higher one already. */
  add(entry: T, level: Priority): void {
    if (entry.level === undefined) this.#size++;
    else if (rank(entry.level) <= rank(level)) return;
    entry.level = level;
    entry.place = ++places;
    const ring = this.#rings[rank(level)]!;
    cut(ring);
    ring.entries.push(entry);
    ring.places.push(entry.place);
  }

  /** The one whose turn it is; it no longer waits. */
  take(): T | undefined {
    const entry = this.#front();
    if (entry !== undefined) this.remove(entry);
    return entry;
  }

  /** The level of the one whose turn it is. */
  top(): Priority | undefined {
    return this.#front()?.level;
  }

  /** Gives up its turn. */
  remove(entry: T): void {
    if (entry.level === undefined) return;
    entry.level = undefined;
    this.#size--;
  }

  /** Those that wait, in no order. */
  *waiting(): Iterable<T> {
    for (const [at, ring] of this.#rings.entries()) {
      for (let i = ring.head; i < ring.entries.length; i++) {
        const entry = ring.entries[i]!;
        if (entry.level === PRIORITIES[at] && entry.place === ring.places[i]) yield entry;
      }
    }
  }

  #front(): T | undefined {
    if (this.#size === 0) return undefined;
    for (let at = 0; at < PRIORITIES.length; at++) {
      const ring = this.#rings[at]!;
      const level = PRIORITIES[at];
      while (ring.head < ring.entries.length) {
        const entry = ring.entries[ring.head]!;
        if (entry.level === level && entry.place === ring.places[ring.head]) return entry;
        ring.head++;
      }
    }
    return undefined;
  }
}

/** Cuts off what was taken, once that is most of it. */
function cut<T>(ring: Ring<T>): void {
  if (ring.head < 64 || ring.head * 2 < ring.entries.length) return;
  ring.entries.splice(0, ring.head);
  ring.places.splice(0, ring.head);
  ring.head = 0;
}
