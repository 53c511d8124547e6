/** What keeps mail of a lane from going, as the control verbs tell it: sites in trouble with the lanes that lead there. Pure. */
import type { LaneNow } from '../scheduler/lane-now.js';
import type { RestView } from '../scheduler/resting.js';
import type { LaneCounts, LaneReport, SiteReport } from './types.js';

/** Lanes that a site names one by one. */
const NAMED = 10;

export function siteReport({ place, lanes, until, trouble }: RestView): SiteReport {
  return { site: place, lanes: lanes.slice(0, NAMED), laneCount: lanes.length, backingOffUntil: until, trouble: trouble.text };
}

export function laneReport(counts: LaneCounts, { rest }: Pick<LaneNow, 'rest'>): LaneReport {
  return rest === undefined ? counts : { ...counts, resting: { until: rest.until, trouble: rest.trouble.text } };
}
