/**
 * The lanes of a memory spool: what of each is there, what comes first (G4), what may go now (G6). It looks at all of a lane each time:
 * for tests and simulation that is fast enough, and nothing can be out of date.
 */
import type { DeliveryKey } from '../core/delivery.js';
import type { LaneKey } from '../core/lane.js';
import { PRIORITIES } from '../core/message.js';
import type { Clock } from '../platform/clock.js';
import type { Item, MemoryDisk } from './memory-disk.js';
import type { LaneCounts, Place } from './spool.js';

export class MemoryLanes {
  readonly #disk: MemoryDisk;
  readonly #clock: Clock;
  readonly #promoteAfterMs: number;
  readonly #items = new Map<LaneKey, Set<Item>>();

  constructor(disk: MemoryDisk, clock: Clock, promoteAfterMs: number) {
    this.#disk = disk;
    this.#clock = clock;
    this.#promoteAfterMs = promoteAfterMs;
  }

  get size(): number {
    return this.#items.size;
  }

  has(lane: LaneKey): boolean {
    return this.#items.has(lane);
  }

  add(item: Item): void {
    const { lane } = item.delivery;
    const items = this.#items.get(lane);
    if (items === undefined) this.#items.set(lane, new Set([item]));
    else items.add(item);
  }

  leave(item: Item): void {
    const { lane } = item.delivery;
    const left = this.#items.get(lane);
    if (left?.delete(item) && left.size === 0) this.#items.delete(lane);
  }

  /** Those with something that may go now. */
  *ready(): Iterable<LaneKey> {
    for (const lane of [...this.#items.keys()]) if (this.first(lane)) yield lane;
  }

  readyNow(lane: LaneKey): number {
    return this.#disk.pauses.has(lane) ? 0 : this.#free(lane).length;
  }

  /** What comes first, with its level: a place in `PRIORITIES`. */
  first(lane: LaneKey): { readonly item: Item; readonly level: number } | undefined {
    if (this.#disk.pauses.has(lane)) return undefined;
    let best: Item | undefined;
    let bestLevel = 0;
    for (const item of this.#free(lane)) {
      const level = this.#level(item);
      if (best !== undefined && !isBefore(item, level, best, bestLevel)) continue;
      best = item;
      bestLevel = level;
    }
    return best && { item: best, level: bestLevel };
  }

  place(key: DeliveryKey): Place | undefined {
    const item = this.#disk.items.get(key);
    if (item === undefined || !this.isFree(item)) return undefined;
    const level = this.#level(item);
    const before = this.#free(item.delivery.lane).filter((other) => isBefore(other, this.#level(other), item, level)).length;
    return { level: PRIORITIES[level]!, before, exactly: true };
  }

  /** Due, and nobody has it. */
  isFree(item: Item): boolean {
    return item.state === 'ready' && item.token === 0 && item.gate <= this.#clock.now();
  }

  *counts(): Iterable<LaneCounts> {
    for (const [lane, items] of this.#items) {
      const counts = { ready: 0, waiting: 0, held: 0 };
      for (const item of items) counts[item.state]++;
      const paused = this.#disk.pauses.get(lane);
      yield { lane, ...counts, ...(paused === undefined ? {} : { paused }) };
    }
  }

  #free(lane: LaneKey): Item[] {
    return [...(this.#items.get(lane) ?? [])].filter((item) => this.isFree(item));
  }

  /** Raised by its age. */
  #level({ delivery }: Item): number {
    const raised = Math.floor((this.#clock.now() - delivery.due) / this.#promoteAfterMs);
    return Math.max(0, PRIORITIES.indexOf(delivery.priority) - Math.max(0, raised));
  }
}

function isBefore(one: Item, level: number, other: Item, otherLevel: number): boolean {
  return level < otherLevel || (level === otherLevel && one.sequence < other.sequence);
}
