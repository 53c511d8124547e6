/**
 * Asking where lanes lead: so many at the same time, the others in their turn. An answer that was asked for before the routes changed is
 * not used.
 *
 * It must not: know what an answer means (`lanes.ts`).
 */
import type { RouteAnswer } from '../core/carrier.js';
import type { Lane } from './places.js';

/** Names looked up at the same time. */
const AT_ONCE = 64;

export interface LookupsOptions {
  /** Rejects only when all is over. */
  readonly ask: (lane: Lane) => Promise<RouteAnswer>;
  /** What must be done about it first holds up the next: it never rejects. */
  readonly answered: (lane: Lane, answer: RouteAnswer) => Promise<void> | undefined;
  /** What was asked holds no more: it may be asked again. */
  readonly void: (lane: Lane) => void;
}

export class Lookups {
  readonly #options: LookupsOptions;
  readonly #waiting: Lane[] = [];
  #underWay = 0;
  /** Counts changes of the routes. */
  #edition = 0;

  constructor(options: LookupsOptions) {
    this.#options = options;
  }

  get none(): boolean {
    return this.#underWay === 0;
  }

  look(lane: Lane): void {
    lane.lookedUp = true;
    if (this.#underWay >= AT_ONCE) {
      this.#waiting.push(lane);
      return;
    }
    this.#underWay++;
    const edition = this.#edition;
    this.#options.ask(lane).then(
      (answer) => {
        lane.lookedUp = false;
        if (edition !== this.#edition) {
          this.#next();
          this.#options.void(lane);
          return;
        }
        const toDo = this.#options.answered(lane, answer);
        if (toDo === undefined) this.#next();
        else void toDo.then(() => this.#next());
      },
      // Only the end of the agent rejects: lanes are of no more use then.
      () => {
        lane.lookedUp = false;
        this.#next();
      },
    );
  }

  /** The routes have changed. */
  renew(): void {
    this.#edition++;
  }

  #next(): void {
    this.#underWay--;
    const next = this.#waiting.shift();
    if (next !== undefined) this.look(next);
  }
}
