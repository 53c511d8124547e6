/** Promotes what comes due, at its moment: one timer for the earliest time that was told, and never two promotions at once. */
import type { Clock, Timer } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import type { Spool } from '../spool/spool.js';

export class Promotion {
  readonly #spool: Pick<Spool, 'promote'>;
  readonly #clock: Clock;
  readonly #log: Log;
  #next: { readonly at: number; readonly timer: Timer } | undefined;
  #underWay = false;
  #stopped = false;

  constructor(spool: Pick<Spool, 'promote'>, clock: Clock, log: Log) {
    this.#spool = spool;
    this.#clock = clock;
    this.#log = log;
  }

  /** Something is due then (epoch ms), or before. */
  at(due: number): void {
    if (this.#stopped || (this.#next !== undefined && this.#next.at <= due)) return;
    this.#next?.timer.cancel();
    this.#next = { at: due, timer: this.#clock.after(Math.max(0, due - this.#clock.now()), () => this.#promote()) };
  }

  /** Whatever is due by now has been promoted. */
  get settled(): boolean {
    return !this.#underWay && (this.#next === undefined || this.#next.at > this.#clock.now());
  }

  stop(): void {
    this.#stopped = true;
    this.#next?.timer.cancel();
  }

  #promote(): void {
    this.#next = undefined;
    if (this.#underWay) return;
    this.#underWay = true;
    this.#spool.promote().then(
      (due) => {
        this.#underWay = false;
        if (due !== undefined) this.at(due);
      },
      (error: Error) => {
        this.#underWay = false;
        this.#log.error('spool.promoteFailed', { error: error.message });
      },
    );
  }
}
