/**
 * Pausing lanes and letting them go on. A lane is named by its key, or by a domain, which stands for the lanes that hold mail for that
 * domain and no other. Where a domain's mail goes through a relay its lane carries other mail, too: that lane must be named itself.
 */
import { MtaError } from '../core/errors.js';
import { type LaneKey, parseLane } from '../core/lane.js';
import { oneLine } from './changing.js';
import type { LaneSelector, LanesReport, PauseRequest } from './types.js';
import type { ControlledAgent } from './verbs.js';

type Lanes = Pick<ControlledAgent, 'spool' | 'laneOf' | 'pauseLane' | 'resumeLane'>;

/** Throws `INVALID_OPTIONS`. */
export async function pauseLanes(agent: Lanes, request: PauseRequest): Promise<LanesReport> {
  const lanes = lanesOf(agent, request);
  await Promise.all(lanes.map((lane) => agent.pauseLane(lane, oneLine(request.reason ?? ''))));
  return { lanes };
}

/** Names those that were paused. Throws `INVALID_OPTIONS`. */
export async function resumeLanes(agent: Lanes, { all, ...request }: LaneSelector): Promise<LanesReport> {
  if (all === true && (request.lane ?? request.domain) !== undefined) throw wrong('all', 'either all, or which one: not both');
  const lanes = all === true ? [...agent.spool.pauses().keys()] : lanesOf(agent, request, agent.spool.pauses().keys());
  const paused = await Promise.all(lanes.map((lane) => agent.resumeLane(lane)));
  return { lanes: lanes.filter((_, i) => paused[i]) };
}

function lanesOf(agent: Lanes, { lane, domain }: LaneSelector, also: Iterable<LaneKey> = []): readonly LaneKey[] {
  if ((lane === undefined) === (domain === undefined)) throw wrong('lane', 'name a lane or a domain, and not both');
  if (lane !== undefined) {
    checkLane(lane);
    return [lane];
  }
  const found = new Set<LaneKey>();
  const routed = agent.laneOf(`postmaster@${domain}`, '');
  for (const key of [routed, ...also, ...laneKeys(agent)]) if (isOf(key, domain!)) found.add(key);
  if (found.size > 0) return [...found];
  throw wrong('domain', `mail for ${domain} waits in the lane ${routed}, together with other mail: name that lane`);
}

function* laneKeys({ spool }: Lanes): Iterable<LaneKey> {
  for (const { lane } of spool.laneCounts()) yield lane;
}

function isOf(key: LaneKey, domain: string): boolean {
  const lane = parseLane(key);
  return lane.kind === 'mx' && lane.domain === domain;
}

function checkLane(key: LaneKey): void {
  try {
    parseLane(key);
  } catch {
    throw wrong('lane', `${JSON.stringify(key.slice(0, 100))} is not the key of a lane, such as "mx:example.com"`);
  }
}

function wrong(path: string, message: string): MtaError {
  return new MtaError('INVALID_OPTIONS', message, { issues: [{ path, code: 'OUT_OF_RANGE', message }] });
}
