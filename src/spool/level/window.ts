/**
 * The window on one priority of one lane: what of it is in memory, in order, and from where on the rest must be read.
 * A queue with room at its front (deliveries that are given back) and a cursor, so that reading on never starts over.
 *
 * No I/O, no clock.
 */
import type { Entry } from './entry.js';

export class Window {
  #entries: Entry[] = [];
  #first = 0;
  /**
   * Some are on disk only. New ones then go to disk as well, so that order holds. `from`: the first sequence that
   * is not in memory; `until`: the last one known to be there.
   */
  overflow = false;
  from = 0;
  until = 0;

  get size(): number {
    return this.#entries.length - this.#first;
  }

  peek(): Entry | undefined {
    return this.#entries[this.#first];
  }

  shift(): Entry | undefined {
    const entry = this.#entries[this.#first];
    if (entry === undefined) return undefined;
    if (++this.#first === this.#entries.length) {
      this.#entries = [];
      this.#first = 0;
    } else if (this.#first >= 256 && this.#first * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
    return entry;
  }

  /** In its place by sequence; nearly always the end. */
  insert(entry: Entry): void {
    const entries = this.#entries;
    let at = entries.length;
    while (at > this.#first && entries[at - 1]!.sequence > entry.sequence) at--;
    if (at === entries.length) entries.push(entry);
    else entries.splice(at, 0, entry);
  }

  /** In its place by sequence; nearly always the front. */
  giveBack(entry: Entry): void {
    const entries = this.#entries;
    let at = this.#first;
    while (at < entries.length && entries[at]!.sequence < entry.sequence) at++;
    entries.splice(at, 0, entry);
  }

  remove(entry: Entry): boolean {
    const at = this.#entries.indexOf(entry, this.#first);
    if (at < 0) return false;
    this.#entries.splice(at, 1);
    if (this.size === 0) {
      this.#entries = [];
      this.#first = 0;
    }
    return true;
  }

  *[Symbol.iterator](): IterableIterator<Entry> {
    for (let at = this.#first; at < this.#entries.length; at++) yield this.#entries[at]!;
  }

  /** Left on disk: everything from this sequence on is read when there is room. */
  spill(sequence: number): void {
    if (!this.overflow) {
      this.overflow = true;
      this.from = sequence;
      this.until = sequence;
    } else {
      if (sequence < this.from) this.from = sequence;
      if (sequence > this.until) this.until = sequence;
    }
  }
}
