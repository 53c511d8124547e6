/**
 * The lanes that are known, and their way from something ready to their place on a site: quiet → looked up → listed, or into trouble
 * (`places.ts` has the picture).
 *
 * Promises: a lane that rests is not looked up; one that leads nowhere for good fails whole; where the routes have no place for it any more,
 * its mail is given the lanes of today. Lanes with nothing ready are remembered, so many, for their routes.
 */
import type { Route, RouteAnswer } from '../core/carrier.js';
import type { LaneKey } from '../core/lane.js';
import type { Trouble } from '../core/outcome.js';
import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import type { Random } from '../platform/random.js';
import type { Spool } from '../spool/spool.js';
import { Lookups } from './lookups.js';
import { Lane, type Site } from './places.js';
import type { Settling } from './settling.js';
import type { Sites } from './sites.js';

/** Lanes remembered with their route though nothing is ready in them. */
const QUIET_LANES = 10_000;
/** Deliveries of a lane that leads nowhere for good that are settled together. */
const FAILED_AT_ONCE = 100;

export interface LanesOptions {
  readonly spool: Pick<Spool, 'head' | 'pull'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly settling: Pick<Settling, 'settleTrouble'>;
  readonly sites: Sites;
  /** Rejects only when all is over. */
  readonly route: (lane: LaneKey) => Promise<RouteAnswer>;
  /** Gives the mail of a lane that leads nowhere the lanes that it has now. */
  readonly reroute: (lane: LaneKey) => Promise<void>;
  /** Something stands on the list of this site. */
  readonly listed: (site: Site) => void;
  /** Nothing is looked up any more. */
  readonly stopped: AbortSignal;
}

export class Lanes {
  readonly #options: LanesOptions;
  readonly #known = new Map<LaneKey, Lane>();
  readonly #lookups: Lookups;

  constructor(options: LanesOptions) {
    this.#options = options;
    this.#lookups = new Lookups({
      ask: (lane) => options.route(lane.key),
      answered: (lane, answer) => (answer.kind === 'route' ? this.#routed(lane, answer.route) : this.#unroutable(lane, answer.trouble)),
      void: (lane) => this.ready(lane.key),
    });
  }

  get(key: LaneKey): Lane | undefined {
    return this.#known.get(key);
  }

  [Symbol.iterator](): IterableIterator<Lane> {
    return this.#known.values();
  }

  /** Nothing is being looked up. */
  get settled(): boolean {
    return this.#lookups.none;
  }

  /** It may have something ready. */
  ready(key: LaneKey): void {
    if (this.#options.stopped.aborted) return;
    let lane = this.#known.get(key);
    if (lane === undefined) {
      lane = new Lane(key);
      this.#known.set(key, lane);
    }
    const now = this.#options.clock.now();
    if (lane.lookedUp || !lane.rest.over(now)) return;
    if (lane.route !== undefined && lane.route.expiresAt > now) this.#list(lane);
    else this.#lookups.look(lane);
  }

  /** The delivery for which a place was tried is charged the attempt; those behind it wait uncharged. */
  charge(lane: Lane, trouble: Trouble, transcript?: string): void {
    const { spool, settling } = this.#options;
    const lease = spool.pull(lane.key);
    if (lease !== undefined) void settling.settleTrouble(lease, trouble, transcript);
  }

  /** They may lead elsewhere now: each is looked up again before it is served. */
  renew(): void {
    this.#lookups.renew();
    for (const lane of this.#known.values()) lane.leave();
  }

  /** Looks at what rested, and may do so no longer. Where nothing is ready, nothing is asked. */
  lookAtRested(): void {
    const { spool, clock } = this.#options;
    const now = clock.now();
    for (const { key, rest } of this.#known.values())
      if (rest.trouble !== undefined && rest.over(now) && spool.head(key) !== undefined) this.ready(key);
  }

  /** Those whose trouble is long over with nothing to try it for, and of the others those that are too many. */
  forgetQuiet(): void {
    const now = this.#options.clock.now();
    for (const lane of this.#known.values())
      if (lane.level === undefined && !lane.lookedUp && lane.rest.trouble !== undefined && lane.rest.stale(now))
        this.#known.delete(lane.key);
    if (this.#known.size <= QUIET_LANES) return;
    for (const lane of this.#known.values()) {
      if (this.#known.size <= QUIET_LANES / 2) return;
      if (lane.level === undefined && !lane.lookedUp && lane.rest.trouble === undefined) this.#known.delete(lane.key);
    }
  }

  #routed(lane: Lane, route: Route): undefined {
    lane.rest.clear();
    lane.route = route;
    if (lane.site?.key !== route.site) lane.site?.lanes.remove(lane);
    lane.site = this.#options.sites.of(route);
    this.#list(lane);
  }

  #list(lane: Lane): void {
    const { spool, sites, listed } = this.#options;
    const head = spool.head(lane.key);
    if (head === undefined) return;
    if (lane.site!.forgotten) lane.site = sites.of(lane.route!);
    const site = lane.site!;
    site.lanes.add(lane, head.level);
    listed(site);
  }

  #unroutable(lane: Lane, trouble: Trouble): Promise<void> | undefined {
    lane.leave();
    if (trouble.reason === 'unknownLane') this.#reroute(lane, trouble);
    else if (trouble.lasting === 'permanent') return this.#fail(lane, trouble);
    else {
      this.#rest(lane, trouble);
      this.charge(lane, trouble);
    }
    return undefined;
  }

  /** All that is ready, so many at a time. What is not in memory yet comes back, and finds the same. */
  async #fail(lane: Lane, trouble: Trouble): Promise<void> {
    const { spool, settling, stopped } = this.#options;
    lane.lookedUp = true;
    for (let more = true; more && !stopped.aborted; ) {
      const settled: Promise<void>[] = [];
      while (more && settled.length < FAILED_AT_ONCE) {
        const lease = spool.pull(lane.key);
        if (lease === undefined) more = false;
        else settled.push(settling.settleTrouble(lease, trouble));
      }
      await Promise.all(settled);
    }
    lane.lookedUp = false;
    this.#known.delete(lane.key);
    // What came while the last of it was settled.
    if (spool.head(lane.key) !== undefined) this.ready(lane.key);
  }

  #rest(lane: Lane, trouble: Trouble): void {
    const { clock, random, log } = this.#options;
    const now = clock.now();
    lane.rest.begin(now, trouble, random.unit());
    log.warn('lane.resting', {
      lane: lane.key,
      failures: lane.rest.failures,
      seconds: Math.round((lane.rest.until - now) / 1000),
      error: trouble.text,
    });
  }

  #reroute(lane: Lane, trouble: Trouble): void {
    const { clock, random, log, reroute } = this.#options;
    lane.lookedUp = true;
    reroute(lane.key).then(
      () => {
        lane.lookedUp = false;
        this.#known.delete(lane.key);
      },
      (error: Error) => {
        lane.lookedUp = false;
        lane.rest.begin(clock.now(), { ...trouble, text: error.message }, random.unit());
        log.error('lane.rerouteFailed', { lane: lane.key, error: error.message });
      },
    );
  }
}
