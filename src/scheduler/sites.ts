/**
 * The sites that are known, by their key and by the channels whose connections can serve them. Lookup only: what a site is in is its own
 * (`places.ts`).
 */
import type { ChannelKey, Route } from '../core/carrier.js';
import type { Priority } from '../core/message.js';
import { Site } from './places.js';
import { rank } from './rings.js';

export class Sites {
  readonly #byKey = new Map<string, Site>();
  readonly #byChannel = new Map<ChannelKey, Site[]>();

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
      const sites = this.#byChannel.get(channel);
      if (sites === undefined) this.#byChannel.set(channel, [site]);
      else if (!sites.includes(site)) sites.push(site);
    }
    return site;
  }

  /** Those that a connection of this channel can serve; never none. */
  at(channel: ChannelKey): readonly Site[] | undefined {
    return this.#byChannel.get(channel);
  }

  forget(site: Site): void {
    this.#leaveChannels(site);
    this.#byKey.delete(site.key);
    site.forgotten = true;
  }

  #leaveChannels(site: Site): void {
    for (const { channel } of site.route.targets) {
      const left = this.#byChannel.get(channel)?.filter((other) => other !== site);
      if (left === undefined || left.length === 0) this.#byChannel.delete(channel);
      else this.#byChannel.set(channel, left);
    }
  }
}

export function mostUrgent(sites: readonly Site[]): Site {
  let best = sites[0]!;
  let bestRank = Number.POSITIVE_INFINITY;
  for (const site of sites) {
    const top: Priority | undefined = site.lanes.top();
    if (top !== undefined && rank(top) < bestRank) {
      best = site;
      bestRank = rank(top);
    }
  }
  return best;
}
