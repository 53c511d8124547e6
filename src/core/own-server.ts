/**
 * A server that a message brings along: it is delivered there and nowhere else, by whoever's login it says. Such mail waits in a lane
 * of its own, whose key tells nothing of the login; what it takes to connect is kept sealed beside it.
 */
import { type LaneKey, parseLane } from './lane.js';

export interface OwnServer {
  /** A name (lower case, A-labels) or an address without brackets. */
  readonly host: string;
  readonly port: number;
  /** As a route's: `starttls` and `implicit` are verified; under `opportunistic` a login needs a certificate that holds, too. */
  readonly tls: 'opportunistic' | 'starttls' | 'implicit';
  readonly credentials?: { readonly username: string; readonly password: string };
  /** How long each step of a conversation may take, but for the answer to the final dot. */
  readonly timeoutMs?: number;
}

/** Begins the digest of such a lane. Digests of routes are hexadecimal: they never begin so. */
export const OWN_DIGEST = 'o';

/** Whether the mail of a lane brought its server along. */
export function isOwnLane(lane: LaneKey): boolean {
  const parsed = parseLane(lane);
  return parsed.kind === 'host' && parsed.digest.startsWith(OWN_DIGEST);
}
