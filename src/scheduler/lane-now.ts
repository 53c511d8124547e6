/** Why mail of a lane goes, or does not, at this moment: what the scheduler knows, as a value. */
import type { Trouble } from '../core/outcome.js';
import type { Outages } from './outage.js';
import type { Lane } from './places.js';

export interface LaneNow {
  /** The DNS is being asked where it leads. */
  readonly lookingUp: boolean;
  /** Trouble that is not over. `until` (epoch ms) may have passed: then one connection is tried. */
  readonly rest?: { readonly until: number; readonly failures: number; readonly trouble: Trouble };
  /** No server at all can be reached on this port: the cause is sought here, and one site a minute is tried. */
  readonly outagePort?: number;
  /** `host[address]:port`, in the order in which they are tried; empty while it is not known where it leads. */
  readonly servers: readonly string[];
  /** Connections on their way. */
  readonly coming: number;
  /** Each of its servers has all the connections that it may have. */
  readonly full: boolean;
  /** There are as many connections as there may be over all servers. */
  readonly capped: boolean;
}

export const QUIET: LaneNow = { lookingUp: false, servers: [], coming: 0, full: false, capped: false };

export function laneNow(lane: Lane | undefined, outages: Outages): LaneNow {
  if (lane === undefined) return QUIET;
  const { site, route } = lane;
  const rest = lane.rest.trouble !== undefined ? lane.rest : site?.rest;
  return {
    lookingUp: lane.lookedUp,
    ...(rest?.trouble === undefined ? {} : { rest: { until: rest.until, failures: rest.failures, trouble: rest.trouble } }),
    ...(route !== undefined && outages.of(route).on ? { outagePort: route.targets[0]!.port } : {}),
    servers: route?.targets.map(({ host, address, port }) => `${host}[${address}]:${port}`) ?? [],
    coming: site?.asked ?? 0,
    full: site?.full ?? false,
    capped: site?.level !== undefined,
  };
}
