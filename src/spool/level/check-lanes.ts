/** What was found of each lane, counted for `riata spool check`, and compared with what its counters say. */
import type { ToldProblem } from './check.js';
import { unsealNumbers } from './codec.js';
import { unescapeLane } from './keys.js';

export class LaneTally {
  ready = 0;
  waiting = 0;
  held = 0;
  /** Of `ready`: records whose place in the index they do not know, less the entries found there for them. */
  moved = 0;

  /** A record that came due: it stands somewhere in the ready index. */
  countMoved(): void {
    this.ready++;
    this.moved++;
  }
}

export class LaneCheck {
  readonly #problem: ToldProblem;
  readonly #tallies = new Map<string, LaneTally>();
  /** Lanes that have counters. */
  readonly #counted = new Set<string>();

  constructor(problem: ToldProblem) {
    this.#problem = problem;
  }

  of(lane: string): LaneTally {
    let tally = this.#tallies.get(lane);
    if (tally === undefined) this.#tallies.set(lane, (tally = new LaneTally()));
    return tally;
  }

  names(): Iterable<string> {
    return this.#tallies.keys();
  }

  counters(page: readonly (readonly [string, string])[]): void {
    for (const [key, value] of page) {
      const lane = unescapeLane(key.slice(2));
      const stored = unsealNumbers(key, value);
      if (stored === undefined) this.#problem('checksum', `the counters of lane ${lane} do not match their checksum`);
      this.#compare(lane, stored ?? [0, 0, 0]);
      this.#counted.add(lane);
    }
  }

  /** When all counters have been seen. */
  totals(): { readonly ready: number; readonly waiting: number; readonly held: number; readonly lanes: number } {
    const totals = { ready: 0, waiting: 0, held: 0, lanes: this.#tallies.size };
    for (const [lane, { ready, waiting, held }] of this.#tallies) {
      if (!this.#counted.has(lane)) this.#compare(lane, [0, 0, 0]);
      totals.ready += ready;
      totals.waiting += waiting;
      totals.held += held;
    }
    return totals;
  }

  #compare(lane: string, [ready = 0, waiting = 0, held = 0]: readonly number[]): void {
    const found = this.of(lane);
    if (found.moved !== 0)
      this.#problem(
        'missing',
        `lane ${lane}: ${Math.abs(found.moved)} ${found.moved > 0 ? 'ready deliveries stand in no index: they would never be sent' : 'index entries too many'}`,
      );
    if (found.ready === ready && found.waiting === waiting && found.held === held) return;
    this.#problem(
      'counter',
      `lane ${lane} has ${found.ready} ready, ${found.waiting} waiting, ${found.held} held, and is said to have ${ready}, ${waiting}, ${held}`,
    );
  }
}
