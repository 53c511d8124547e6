/**
 * The servers that messages brought along: from what was handed in to a lane and the sealed word about it, and back.
 *
 * Promises
 *  - Two messages share a lane only if they go to the same server by the same login in the same way, down to the password: never may
 *    mail of one leave on another's login.
 *  - No password stands in a lane's key, nor anything from which it could be guessed without the key of the spool.
 *  - A word that cannot be opened (another key, damage) is never guessed at: its mail waits, and says why.
 */
import { hostLane, type LaneKey } from '../core/lane.js';
import { OWN_DIGEST, type OwnServer } from '../core/own-server.js';
import type { Log } from '../platform/log.js';
import type { Seal } from '../platform/seal.js';

export interface OwnServers {
  /** The lane of mail for this server, and what is to be stored about it. */
  admit(server: OwnServer): { readonly lane: LaneKey; readonly about: string };
  /** The lane of mail that is never stored: the server is known of it until it is released. */
  lend(server: OwnServer): { readonly lane: LaneKey; readonly release: () => void };
  /** The server of a lane; undefined where what is stored about it is gone or cannot be opened. */
  of(lane: LaneKey): OwnServer | undefined;
}

/** `about`: what is stored about a lane. `admit` throws what the key file throws; `of` tells the log. */
export function createOwnServers(seal: Seal, about: (lane: LaneKey) => string | undefined, log: Log): OwnServers {
  const laneOf = ({ host, port, tls, credentials, timeoutMs }: OwnServer): LaneKey => {
    const told = JSON.stringify([host, port, tls, credentials?.username, credentials?.password, timeoutMs]);
    return hostLane(host, port, OWN_DIGEST + seal.digest(told));
  };
  const lent = new Map<LaneKey, { readonly server: OwnServer; count: number }>();
  return {
    admit(server) {
      const lane = laneOf(server);
      return { lane, about: seal.seal(JSON.stringify(server), lane) };
    },
    lend(server) {
      const lane = laneOf(server);
      const loan = lent.get(lane) ?? { server, count: 0 };
      lent.set(lane, loan);
      loan.count++;
      return {
        lane,
        release() {
          if (--loan.count === 0) lent.delete(lane);
        },
      };
    },
    of(lane) {
      const loan = lent.get(lane);
      if (loan !== undefined) return loan.server;
      const sealed = about(lane);
      if (sealed === undefined) return undefined;
      try {
        const opened = seal.open(sealed, lane);
        // Sealed by us for this very lane: it has the shape we gave it.
        return opened === undefined ? undefined : (JSON.parse(opened) as OwnServer);
      } catch (error) {
        log.error('ownServer.sealed', { lane, error: (error as Error).message });
        return undefined;
      }
    },
  };
}
