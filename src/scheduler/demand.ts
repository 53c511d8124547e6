/**
 * Connections for what is listed: how many a site could put to use, and when the carrier is asked for one.
 *
 * Promises: as many are asked for as there are things ready that no connection on its way will fetch; a site in trouble gets a single one,
 * to find out; during an outage of our own one site a minute. Whom the cap over all servers refused is the first to get what becomes free,
 * the most urgent before the others (G4).
 */
import type { Route, Served } from '../core/carrier.js';
import type { Clock } from '../platform/clock.js';
import type { Spool } from '../spool/spool.js';
import type { Outages } from './outage.js';
import type { Site } from './places.js';
import { Rings } from './rings.js';

/** A connection that was asked for and has neither come nor failed by then is taken for lost. */
const LOST_MS = 3_600_000;

export interface DemandOptions {
  readonly spool: Pick<Spool, 'readyNow'>;
  readonly clock: Clock;
  readonly outages: Outages;
  readonly serve: (route: Route) => Served;
  /** Nothing is asked for any more. */
  readonly stopped: AbortSignal;
}

export class Demand {
  readonly #options: DemandOptions;
  /** Sites with work that found the cap reached. */
  readonly #capped = new Rings<Site>();

  constructor(options: DemandOptions) {
    this.#options = options;
  }

  /** Asks for connections as long as there is more ready than connections on their way to fetch it. */
  ask(site: Site): void {
    const { clock, outages, serve, stopped } = this.#options;
    if (stopped.aborted || !site.rest.over(clock.now())) return;
    const outage = outages.of(site.route);
    while (outage.admits() && site.asked < this.#wanted(site)) {
      const served = serve(site.route);
      if (served === 'capped') this.#capped.add(site, site.lanes.top() ?? 'medium');
      if (served === 'full') site.full = true;
      if (served !== 'served') return;
      outage.tried();
      site.asked++;
      site.askedAt = clock.monotonic();
    }
  }

  /** A connection of it has ended. */
  room(site: Site): void {
    site.full = false;
    site.came();
    const level = site.lanes.top();
    if (level !== undefined) this.#capped.add(site, level);
  }

  /** Those whom the cap refused, the most urgent first, until it is reached again. */
  feedCapped(): void {
    for (let tries = this.#capped.size; tries > 0; tries--) {
      const site = this.#capped.take();
      if (site === undefined) return;
      this.ask(site);
      if (site.level !== undefined) return;
    }
  }

  /** What answers may have been missed: none, if this is asked now and then. */
  forgetLost(site: Site): void {
    if (site.asked > 0 && this.#options.clock.monotonic() - site.askedAt > LOST_MS) site.asked = 0;
    site.full = false;
  }

  /** It is no longer there. */
  forget(site: Site): void {
    this.#capped.remove(site);
  }

  /** How many connections could be put to use: one for each thing ready, a single one to find out whether trouble is over. */
  #wanted(site: Site): number {
    if (site.lanes.size === 0) return 0;
    if (site.rest.failures > 0) return 1;
    let ready = 0;
    for (const lane of site.lanes.waiting()) {
      ready += this.#options.spool.readyNow(lane.key);
      if (ready > site.asked) break;
    }
    return ready;
  }
}
