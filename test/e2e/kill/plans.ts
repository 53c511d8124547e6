/** When to kill: at a moment that is met in the way of the mail, or some time after it. */
import type { Random } from '../../../src/platform/random.js';

/**
 * `spawned`: at any time of the start. `half`: a client has written half of a message. `acknowledged`: a client has read a 250.
 * `dot`: a remote has taken a message and holds its answer. `answered`: a remote has just written its answer to a dot.
 * `refused`: a remote has just refused a recipient. `report`: a report goes out. `stopping`: on the way out after a SIGTERM.
 */
export const MOMENTS = ['spawned', 'half', 'acknowledged', 'dot', 'answered', 'refused', 'report', 'stopping'] as const;
export type Moment = (typeof MOMENTS)[number];

export interface Plan {
  readonly moment: Moment;
  /** The how manieth of them, counted from 1. */
  readonly nth: number;
  /** 0: within that very turn of the event loop. */
  readonly afterMs: number;
  /** For this life: what makes connections short or long. */
  readonly settings: Readonly<Record<string, string>>;
}

export function draw(random: Random, startMs: number): Plan {
  const below = (limit: number) => Math.floor(random.unit() * limit);
  const moment = MOMENTS[below(MOMENTS.length)]!;
  const settings = {
    RIATA_DELIVERY_MESSAGES_PER_CONNECTION: String([1, 3, 100][below(3)]),
    RIATA_DELIVERY_IDLE_TIMEOUT: random.unit() < 0.3 ? '0s' : '5s',
  };
  switch (moment) {
    case 'spawned':
      return { moment, nth: 1, afterMs: random.unit() * startMs * 1.2, settings };
    case 'refused':
    case 'report':
    case 'stopping':
      return { moment, nth: 1 + below(3), afterMs: [0, 0, random.unit() * 10][below(3)]!, settings };
    default:
      return { moment, nth: 1 + below(40), afterMs: [0, 0, random.unit() * 3, random.unit() * 50][below(4)]!, settings };
  }
}
