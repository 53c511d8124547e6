/**
 * Lanes in memory: counters for all that have anything stored, windows for those with something ready. Which delivery
 * of a lane comes first is decided here (G4).
 *
 * Promises: bounded by `windowSize` per lane and priority and `windowTotal` over all, but every lane may have a few
 * (`LANE_FLOOR`), so that full lanes cannot starve the others. What is paused takes no places. No I/O.
 */
import type { LaneKey } from '../../core/lane.js';
import type { LaneCounts, Pause } from '../spool.js';
import type { Entry } from './entry.js';
import { AFTER_SLASH, escapeLane } from './keys.js';
import { Window } from './window.js';

/** What every lane may keep in memory, however many lanes there are. */
export const LANE_FLOOR = 4;

export class Lane {
  readonly key: LaneKey;
  /** As it stands in keys. */
  readonly escaped: string;
  /** Entries in the ready index, the timer index, in neither. Absolute; written in every batch that changes them. */
  ready = 0;
  waiting = 0;
  held = 0;
  /** Of `waiting`: those that came due and are in memory. */
  promoted = 0;
  leased = 0;
  /** In memory, not leased. */
  size = 0;
  windows: readonly [Window, Window, Window] | undefined;
  /** Number of the batch that last counted it, and what was last written. */
  countedIn = 0;
  written = '';
  refilling = false;
  /** Nothing of it is sent. */
  paused: Pause | undefined;
  /** Monotonic ms: no reading before this, after a failure. */
  refillAfter = 0;

  constructor(key: LaneKey) {
    this.key = key;
    this.escaped = escapeLane(key);
  }

  window(priority: number): Window {
    this.windows ??= [new Window(), new Window(), new Window()];
    return this.windows[priority]!;
  }

  readyPrefix(priority: number): string {
    return `r/${this.escaped}/${priority}/`;
  }

  readyEnd(priority: number): string {
    return `r/${this.escaped}/${priority}${AFTER_SLASH}`;
  }

  get counterKey(): string {
    return `l/${this.escaped}`;
  }

  /** Something of it is ready on disk that is not in memory. */
  get overflow(): boolean {
    const windows = this.windows;
    return windows !== undefined && (windows[0].overflow || windows[1].overflow || windows[2].overflow);
  }

  get empty(): boolean {
    return this.ready === 0 && this.waiting === 0 && this.held === 0;
  }

  counts(): LaneCounts {
    const counts = { lane: this.key, ready: this.ready + this.promoted, waiting: this.waiting - this.promoted, held: this.held };
    return this.paused === undefined ? counts : { ...counts, paused: this.paused };
  }
}

export interface LaneLimits {
  readonly windowSize: number;
  readonly windowTotal: number;
  readonly promoteAfterMs: number;
}

export class LaneTable {
  readonly #limits: LaneLimits;
  readonly #lanes = new Map<LaneKey, Lane>();
  /** Lanes that may have something ready; cleaned when they are listed. */
  readonly #active = new Set<Lane>();
  readonly #pauses = new Map<LaneKey, Pause>();
  /** In windows, over all lanes. */
  total = 0;
  /** Places kept for what is being read. */
  reserved = 0;
  leased = 0;

  constructor(limits: LaneLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#lanes.size;
  }

  get(key: LaneKey): Lane | undefined {
    return this.#lanes.get(key);
  }

  make(key: LaneKey): Lane {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = new Lane(key);
      lane.paused = this.#pauses.get(key);
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  get pauses(): ReadonlyMap<LaneKey, Pause> {
    return this.#pauses;
  }

  /** Undefined: it goes on. */
  pause(key: LaneKey, pause: Pause | undefined): void {
    if (pause === undefined) this.#pauses.delete(key);
    else this.#pauses.set(key, pause);
    const lane = this.#lanes.get(key);
    if (lane !== undefined) lane.paused = pause;
  }

  *counts(): IterableIterator<LaneCounts> {
    for (const lane of this.#lanes.values()) yield lane.counts();
  }

  totals(): { ready: number; waiting: number; held: number } {
    const totals = { ready: 0, waiting: 0, held: 0 };
    for (const lane of this.#lanes.values()) {
      totals.ready += lane.ready + lane.promoted;
      totals.waiting += lane.waiting - lane.promoted;
      totals.held += lane.held;
    }
    return totals;
  }

  /** How many more of a lane and priority may come into memory. What is less urgent does not stand in the way. None, while it is paused. */
  room(lane: Lane, priority: number): number {
    if (lane.paused !== undefined) return 0;
    let mine = 0;
    if (lane.windows) for (let p = 0; p <= priority; p++) mine += lane.windows[p]!.size;
    return Math.max(Math.min(this.#limits.windowSize - mine, this.#limits.windowTotal - this.total - this.reserved), LANE_FLOOR - mine, 0);
  }

  /** It is time to read on: of some priority less than a quarter of the window is left, and there is more on disk. */
  runsLow(lane: Lane): boolean {
    const { windows } = lane;
    if (windows === undefined) return false;
    let mine = 0;
    for (let priority = 0; priority < 3; priority++) {
      const window = windows[priority]!;
      mine += window.size;
      if (window.overflow && mine * 4 < this.#limits.windowSize && this.room(lane, priority) > 0) return true;
    }
    return false;
  }

  /** A committed entry of the ready index, fresh from its batch: into the window if it may, else it stays on disk. */
  offer(entry: Entry): boolean {
    const { lane } = entry;
    const window = lane.window(entry.priority);
    this.#active.add(lane);
    if (window.overflow || this.room(lane, entry.priority) === 0) {
      window.spill(entry.sequence);
      return false;
    }
    this.#put(window, entry);
    return true;
  }

  /** Read from disk, or come due: into the window, in its place. */
  insert(entry: Entry): void {
    this.#put(entry.lane.window(entry.priority), entry);
    this.#active.add(entry.lane);
  }

  /** On disk only: read when there is room. */
  spill(lane: Lane, priority: number, sequence: number): void {
    lane.window(priority).spill(sequence);
    this.#active.add(lane);
  }

  /** After opening: what is ready on disk is read from its start, when somebody asks for the lane. */
  reveal(): void {
    for (const lane of this.#lanes.values()) {
      if (lane.ready > 0) for (let priority = 0; priority < 3; priority++) this.spill(lane, priority, 0);
      else this.release(lane);
    }
  }

  #put(window: Window, entry: Entry): void {
    window.insert(entry);
    entry.state = 'window';
    entry.lane.size++;
    this.total++;
    if (entry.byTimer) this.promoted(entry);
  }

  /** It waits on disk, and is ready here. */
  promoted(entry: Entry): void {
    entry.promoted = true;
    entry.lane.promoted++;
  }

  demoted(entry: Entry): void {
    if (!entry.promoted) return;
    entry.promoted = false;
    entry.lane.promoted--;
  }

  giveBack(entry: Entry): void {
    entry.lane.window(entry.priority).giveBack(entry);
    entry.state = 'window';
    entry.lane.size++;
    this.total++;
    this.#active.add(entry.lane);
  }

  /**
   * The entry that comes first, by level, then by sequence. `promoteAfter` of waiting raises by one level. `unread`: more urgent ones
   * may be on disk, and must be read first.
   */
  first(lane: Lane, now: number): { entry: Entry; level: number; unread: boolean } | undefined {
    const windows = lane.windows;
    if (windows === undefined) return undefined;
    let best: Entry | undefined;
    let bestLevel = 0;
    for (let priority = 0; priority < 3; priority++) {
      const entry = windows[priority]!.peek();
      if (entry === undefined) continue;
      const level = this.#level(entry, now);
      if (best === undefined || level < bestLevel || (level === bestLevel && entry.sequence < best.sequence)) {
        best = entry;
        bestLevel = level;
      }
    }
    if (best === undefined) return undefined;
    let unread = false;
    for (let priority = 0; priority < bestLevel; priority++)
      if (windows[priority]!.overflow && windows[priority]!.size === 0) unread = true;
    return { entry: best, level: bestLevel, unread };
  }

  /** Of what is in the lane's windows, how many come before it. */
  before(entry: Entry, now: number): { readonly level: number; readonly before: number } {
    const level = this.#level(entry, now);
    let before = 0;
    for (const window of entry.lane.windows ?? [])
      for (const other of window) {
        const theirs = this.#level(other, now);
        if (theirs < level || (theirs === level && other.sequence < entry.sequence)) before++;
      }
    return { level, before };
  }

  #level(entry: Entry, now: number): number {
    if (entry.priority === 0) return 0;
    const waited = now - entry.delivery.due;
    if (waited < this.#limits.promoteAfterMs) return entry.priority;
    return Math.max(0, entry.priority - Math.floor(waited / this.#limits.promoteAfterMs));
  }

  /** Out of its window, wherever in it. */
  take(entry: Entry): void {
    const window = entry.lane.window(entry.priority);
    if (window.peek() === entry) window.shift();
    else window.remove(entry);
    entry.lane.size--;
    this.total--;
  }

  /** All that is in its windows, out of them. */
  takeAll(lane: Lane): Entry[] {
    const entries = (lane.windows ?? []).flatMap((window) => [...window]);
    for (const entry of entries) this.take(entry);
    return entries;
  }

  /** Leased entries and their counts are the spool's; lanes with nothing left are forgotten. */
  release(lane: Lane): void {
    if (lane.size > 0 || lane.leased > 0 || lane.refilling) return;
    if (lane.empty && lane.written === '') {
      this.#lanes.delete(lane.key);
      this.#active.delete(lane);
    } else if (!lane.overflow) {
      lane.windows = undefined;
      this.#active.delete(lane);
    }
  }

  *ready(): IterableIterator<LaneKey> {
    for (const lane of this.#active) {
      if (lane.size === 0 && !lane.overflow) this.#active.delete(lane);
      else if (lane.paused === undefined) yield lane.key;
    }
  }

  /** Everything but what is leased is forgotten: the store was reopened. Leased entries keep their lanes. */
  clear(keep: (lane: Lane) => boolean): void {
    this.#active.clear();
    this.total = 0;
    this.reserved = 0;
    for (const lane of this.#lanes.values()) {
      if (!keep(lane)) this.#lanes.delete(lane.key);
      lane.windows = undefined;
      lane.size = 0;
      lane.ready = lane.waiting = lane.held = lane.promoted = 0;
      lane.written = '';
      lane.refilling = false;
      lane.countedIn = 0;
    }
  }
}
