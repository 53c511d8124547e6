/** The places in trouble, as values: for statistics, and for people. */
import type { LaneKey } from '../core/lane.js';
import type { Trouble } from '../core/outcome.js';
import { describe, type Lane, type Site } from './places.js';
import type { Rest } from './rest.js';

/** Why a lane or a site is left alone now. */
export interface RestView {
  /** The site in words, or the lane itself where it could not be looked up. */
  readonly place: string;
  readonly lanes: readonly LaneKey[];
  readonly failures: number;
  /** Epoch ms. */
  readonly until: number;
  readonly trouble: Trouble;
}

export function restViews(lanes: Iterable<Lane>, sites: Iterable<Site>): RestView[] {
  const lanesOf = new Map<Site, LaneKey[]>();
  const views: RestView[] = [];
  const view = (place: string, behind: readonly LaneKey[], { trouble, failures, until }: Rest) => {
    if (trouble !== undefined) views.push({ place, lanes: behind, failures, until, trouble });
  };
  for (const { key, rest, site } of lanes) {
    view(key, [key], rest);
    if (site?.rest.trouble === undefined) continue;
    const behind = lanesOf.get(site);
    if (behind === undefined) lanesOf.set(site, [key]);
    else behind.push(key);
  }
  for (const site of sites) view(describe(site.route), lanesOf.get(site) ?? [], site.rest);
  return views;
}
