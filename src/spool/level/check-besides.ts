/** What a spool holds besides mail, verified for `riata spool check`: paused lanes, servers that messages brought along, keys of senders. */
import { isOwnLane } from '../../core/own-server.js';
import type { ToldProblem } from './check.js';
import { unsealJson } from './codec.js';
import { unescapeLane, untilKey } from './keys.js';
import type { OnceRecord } from './once.js';
import type { ServerRecord } from './own-servers.js';
import type { Store } from './store.js';

type Entries = readonly (readonly [string, string])[];

export class BesidesCheck {
  readonly #store: Store;
  readonly #problem: ToldProblem;
  /** Lanes about whose server something is stored. */
  readonly #served = new Set<string>();

  constructor(store: Store, problem: ToldProblem) {
    this.#store = store;
    this.#problem = problem;
  }

  pauses(page: Entries): void {
    for (const [key, value] of page)
      if (unsealJson(key, value) === undefined)
        this.#problem('checksum', `the pause of ${unescapeLane(key.slice(2))} does not match its checksum`);
  }

  servers(page: Entries): void {
    for (const [key, value] of page) {
      const lane = unescapeLane(key.slice(2));
      this.#served.add(lane);
      if (unsealJson<ServerRecord>(key, value) === undefined)
        this.#problem('checksum', `what is stored about the server of ${lane} does not match its checksum`);
    }
  }

  /** Lanes with mail, when all servers have been seen. */
  serversOf(lanes: Iterable<string>): void {
    for (const lane of lanes)
      if (isOwnLane(lane) && !this.#served.has(lane))
        this.#problem('missing', `mail of ${lane} brought its server along, and nothing is stored about it`);
  }

  /** Each is forgotten some day, or it would be kept for ever. */
  async keys(page: Entries): Promise<void> {
    for (const [key, value] of page) {
      const record = unsealJson<OnceRecord>(key, value);
      if (record === undefined) this.#problem('checksum', `what was accepted under the key ${key} does not match its checksum`);
      else if ((await this.#store.get(untilKey(record.u, key.slice(2)))) === undefined)
        this.#problem('missing', `what was accepted under the key ${key} would never be forgotten`, record.i);
    }
  }
}
