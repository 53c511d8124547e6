/**
 * The sites that are known, by their key and by the channels whose connections can serve them. Lookup only: what a site is in is its own
 * (`places.ts`).
 */
import type { ChannelKey, Route } from '../core/carrier.js';
import { Site } from './places.js';
import { rank } from './rings.js';

/** The sites that connections of one channel can serve; never none. */
export class Served {
  readonly #sites: Site[] = [];
  /** Where to begin looking for the next. */
  #turn = 0;

  get none(): boolean {
    return this.#sites.length === 0;
  }

  join(site: Site): void {
    if (!this.#sites.includes(site)) this.#sites.push(site);
  }

  leave(site: Site): void {
    const at = this.#sites.indexOf(site);
    if (at >= 0) this.#sites.splice(at, 1);
  }

  /** The one with the most urgent mail listed, those of one level in turn; undefined where none has any. */
  mostUrgent(): Site | undefined {
    const sites = this.#sites;
    const count = sites.length;
    if (count === 1) return sites[0]!.lanes.top() === undefined ? undefined : sites[0];
    const from = this.#turn % count;
    let best: number | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let i = 0; i < count && bestRank > 0; i++) {
      const at = (from + i) % count;
      const top = sites[at]!.lanes.top();
      if (top === undefined || rank(top) >= bestRank) continue;
      best = at;
      bestRank = rank(top);
    }
    if (best === undefined) return undefined;
    this.#turn = best + 1;
    return sites[best];
  }

  /** A connection has found nothing. Each of them may be the one that asked for it. */
  ranDry(): void {
    for (const site of this.#sites) {
      site.full = false;
      site.came();
    }
  }
}

export class Sites {
  readonly #byKey = new Map<string, Site>();
  readonly #byChannel = new Map<ChannelKey, Served>();

  get(key: string): Site | undefined {
    return this.#byKey.get(key);
  }

  [Symbol.iterator](): IterableIterator<Site> {
    return this.#byKey.values();
  }

  /** The site of a route, which is its route from now on. */
  of(route: Route): Site {
    let site = this.#byKey.get(route.site);
    if (site?.route === route) return site;
    if (site === undefined) {
      site = new Site(route);
      this.#byKey.set(site.key, site);
    } else {
      this.#leaveChannels(site);
      site.route = route;
    }
    for (const { channel } of route.targets) {
      let served = this.#byChannel.get(channel);
      if (served === undefined) this.#byChannel.set(channel, (served = new Served()));
      served.join(site);
    }
    return site;
  }

  at(channel: ChannelKey): Served | undefined {
    return this.#byChannel.get(channel);
  }

  forget(site: Site): void {
    this.#leaveChannels(site);
    this.#byKey.delete(site.key);
    site.forgotten = true;
  }

  #leaveChannels(site: Site): void {
    for (const { channel } of site.route.targets) {
      const served = this.#byChannel.get(channel);
      served?.leave(site);
      if (served?.none) this.#byChannel.delete(channel);
    }
  }
}
