/**
 * The two kinds of places that mail waits at: lanes, and the sites they lead to. Each can be in trouble by itself, and then rests.
 *
 *   lane:  quiet ──ready──► looked up ──route──► listed on its site ──pulled empty──► quiet
 *                               └──trouble──► resting (DNS), failed whole (no such domain), or rerouted (no such lane)
 *   site:  well ──trouble──► resting ──pause over──► probed ──well──► well
 *                               ▲────────trouble───────┘
 *
 * State only: who moves them is in `lanes.ts` (lanes), `demand.ts` and `scheduler.ts` (sites).
 */
import type { Route } from '../core/carrier.js';
import type { LaneKey } from '../core/lane.js';
import type { Priority } from '../core/message.js';
import { Rest } from './rest.js';
import { Rings, type Turn } from './rings.js';

export class Lane implements Turn {
  readonly key: LaneKey;
  /** Where it leads, as far as that was asked; its life may be over. */
  route: Route | undefined;
  /** That of the route. */
  site: Site | undefined;
  /** Its route is being asked for, or waits to be. */
  lookedUp = false;
  readonly rest = new Rest();
  /** On its site: listed there, or not. */
  level: Priority | undefined;
  place = 0;

  constructor(key: LaneKey) {
    this.key = key;
  }

  /** Where it led is not true any more. */
  leave(): void {
    this.site?.lanes.remove(this);
    this.site = undefined;
    this.route = undefined;
  }
}

export class Site implements Turn {
  readonly key: string;
  route: Route;
  /** Those with something ready. */
  readonly lanes = new Rings<Lane>();
  readonly rest = new Rest();
  /** Connections asked for that have not come for work yet. */
  asked = 0;
  /** When the last was asked for, monotonic ms. */
  askedAt = 0;
  /** Every server has all its connections: nothing to ask for before one ends or runs dry. */
  full = false;
  /** No longer registered: a lane that still points here must ask anew. */
  forgotten = false;
  /** Among those that found the cap over all servers reached. */
  level: Priority | undefined;
  place = 0;

  constructor(route: Route) {
    this.key = route.site;
    this.route = route;
  }

  /** One of those asked for has come, or will not come any more. */
  came(): void {
    if (this.asked > 0) this.asked--;
  }
}

/** A site in words: its first server, and how many more. */
export function describe(route: Route): string {
  const [first] = route.targets;
  const name = `${first!.host}:${first!.port}`;
  const hosts = new Set(route.targets.map((target) => target.host));
  return hosts.size > 1 ? `${name} and ${hosts.size - 1} more` : name;
}
