/**
 * A lane is paused, or goes on: one key, written like everything else, so that it holds across a restart. While it is paused nothing of it
 * need be in memory: what is, is left to the disk, and the places go to lanes that are served (G8).
 */
import type { LaneKey } from '../../core/lane.js';
import type { Pause } from '../spool.js';
import type { Batch, Operation } from './batch.js';
import { sealJson } from './codec.js';
import { MOVED } from './entry.js';
import { pauseKey, sequenceOf } from './keys.js';
import type { Lane } from './lanes.js';
import type { Ledger } from './ledger.js';

export class PauseOperation implements Operation {
  readonly weight = 200;
  readonly #ledger: Ledger;
  readonly #lane: LaneKey;
  readonly #pause: Pause | undefined;
  readonly #ends: { resolve: (wasPaused: boolean) => void; reject: (error: Error) => void };

  /** Without a pause the lane is resumed. */
  constructor(
    ledger: Ledger,
    lane: LaneKey,
    pause: Pause | undefined,
    ends: { resolve: (wasPaused: boolean) => void; reject: (error: Error) => void },
  ) {
    this.#ledger = ledger;
    this.#lane = lane;
    this.#pause = pause;
    this.#ends = ends;
  }

  build(batch: Batch): void {
    const key = pauseKey(this.#lane);
    if (this.#pause === undefined) return batch.del(key);
    batch.needs(2, 'pauses of lanes');
    batch.put(key, sealJson(key, this.#pause));
  }

  committed(): void {
    const { lanes, woken } = this.#ledger;
    const wasPaused = lanes.pauses.has(this.#lane);
    lanes.pause(this.#lane, this.#pause);
    const lane = lanes.get(this.#lane);
    if (lane !== undefined && this.#pause !== undefined) leaveToDisk(this.#ledger, lane);
    else if (lane !== undefined && (lane.size > 0 || lane.overflow)) woken.add(this.#lane);
    this.#ends.resolve(wasPaused);
  }

  /** Whether it landed shows when the store has been reopened: pauses are read again then. */
  failed(error: Error): 'drop' {
    this.#ends.reject(error);
    return 'drop';
  }
}

/** Each is found again by its index entry: in the ready index when the lane is read, in the timers at once, and moved to the ready index. */
function leaveToDisk(ledger: Ledger, lane: Lane): void {
  for (const entry of ledger.lanes.takeAll(lane)) {
    const { priority, indexKey, gate } = entry;
    ledger.lanes.demoted(entry);
    ledger.forget(entry);
    if (entry.byTimer) ledger.timerAdded(gate);
    // Where it stands there is not known: the lane is read from its start.
    else ledger.lanes.spill(lane, priority, indexKey === MOVED ? 0 : sequenceOf(indexKey));
  }
  ledger.lanes.release(lane);
}
