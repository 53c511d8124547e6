/**
 * Servers that messages brought along: what is stored about a lane of theirs, by the same write as the first of its mail, until a
 * tidying finds the lane empty. The word itself is sealed, and opaque here.
 */
import type { LaneKey } from '../../core/lane.js';
import type { Acceptance } from '../spool.js';
import type { Batch, Operation } from './batch.js';
import { sealJson, unsealJson } from './codec.js';
import { AFTER_SLASH, serverKey, unescapeLane } from './keys.js';
import type { Ledger } from './ledger.js';

export interface ServerRecord {
  /** About. */
  readonly a: string;
}

const PAGE = 10_000;

/** Once for each lane. A batch that fails is made good by reading all of them anew. */
export function putServer(ledger: Ledger, batch: Batch, server: NonNullable<Acceptance['server']>): void {
  if (ledger.servers.has(server.lane)) return;
  ledger.servers.set(server.lane, server.about);
  batch.needs(2, 'servers of messages');
  const key = serverKey(server.lane);
  const record: ServerRecord = { a: server.about };
  batch.put(key, sealJson(key, record));
}

/** One that cannot be read is left out: its mail waits, and says why. */
export async function readServers(ledger: Ledger): Promise<void> {
  ledger.servers.clear();
  let gte = 's/';
  for (;;) {
    const page = await ledger.store.entries({ gte, lt: `s${AFTER_SLASH}`, limit: PAGE });
    for (const [key, value] of page) {
      const lane = unescapeLane(key.slice(2));
      const record = unsealJson<ServerRecord>(key, value);
      if (record !== undefined) ledger.servers.set(lane, record.a);
      else
        ledger.faultOnce({
          code: 'SPOOL_DAMAGED',
          text: `what is stored about the server of ${lane} does not match its checksum: mail for it waits; remove it, or hand it in again`,
          lane,
        });
    }
    if (page.length < PAGE) return;
    gte = `${page[page.length - 1]![0]}\0`;
  }
}

/** Forgets those of whose mail nothing is left. */
export async function forgetServers(ledger: Ledger): Promise<void> {
  const empty = [...ledger.servers.keys()].filter((lane) => isEmpty(ledger, lane));
  if (empty.length === 0) return;
  await new Promise<void>((resolve) => ledger.submit(new ForgetServers(ledger, empty, resolve)));
}

function isEmpty(ledger: Ledger, lane: LaneKey): boolean {
  return ledger.lanes.get(lane)?.empty !== false;
}

class ForgetServers implements Operation {
  readonly weight: number;
  readonly #ledger: Ledger;
  readonly #lanes: readonly LaneKey[];
  readonly #resolve: () => void;

  constructor(ledger: Ledger, lanes: readonly LaneKey[], resolve: () => void) {
    this.#ledger = ledger;
    this.#lanes = lanes;
    this.#resolve = resolve;
    this.weight = lanes.length * 100;
  }

  build(batch: Batch): void {
    // Deliveries of a large message are counted when they are indexed.
    if (this.#ledger.indexing.size > 0) return;
    for (const lane of this.#lanes) {
      if (!isEmpty(this.#ledger, lane)) continue;
      this.#ledger.servers.delete(lane);
      batch.del(serverKey(lane));
    }
  }

  committed(): void {
    this.#resolve();
  }

  failed(): 'drop' {
    this.#resolve();
    return 'drop';
  }
}
