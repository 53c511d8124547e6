/**
 * The slow sweep over everything that is ready, lane served or not: expiry and delay notices while a site is in trouble. What is
 * in memory is looked at there; the rest through the ready index, whose values say enough. A slice is done with before the next is read.
 */
import type { DeliveryKey } from '../../core/delivery.js';
import { type Lease, type Spool, SWEPT_AT_ONCE } from '../spool.js';
import { unsealReady } from './codec.js';
import type { Entry } from './entry.js';
import { AFTER_SLASH, deliveryKeyOf, sequenceOf, unescapeLane } from './keys.js';
import type { Ledger } from './ledger.js';
import { type Found, loadEntries } from './load.js';

type Wants = Parameters<Spool['sweepReady']>[0];
type Take = Parameters<Spool['sweepReady']>[1];

export async function sweepReady(ledger: Ledger, wants: Wants, take: Take): Promise<void> {
  const { generation } = ledger;
  // Once each: `take` may well give it back.
  const passed = new Set<DeliveryKey>();
  const hand = async (leases: readonly Lease[]): Promise<void> => {
    await Promise.all(leases.map(take));
    for (const { delivery } of leases) if (ledger.live.has(delivery.key)) passed.add(delivery.key);
  };
  await sweepMemory(ledger, wants, passed, hand);
  let gte = 'r/';
  for (let done = generation !== ledger.generation; !done; ) {
    const leases: Lease[] = [];
    done = await ledger
      .reading(async (reading) => {
        const page = await ledger.store.entries({ gte, lt: `r${AFTER_SLASH}`, limit: SWEPT_AT_ONCE });
        if (generation !== ledger.generation) return true;
        const found = wanted(ledger, page, wants, reading);
        // Leased at once, without passing through a window.
        if (found.length > 0) await loadEntries(ledger, found, { generation, reading }, (entry) => void leases.push(ledger.lease(entry)));
        if (page.length > 0) gte = `${page[page.length - 1]![0]}\0`;
        return page.length < SWEPT_AT_ONCE;
      })
      .catch((error: Error) => {
        // The store went away under it.
        if (generation !== ledger.generation) return true;
        throw error;
      });
    await hand(leases);
    done ||= generation !== ledger.generation;
  }
  // What came into memory while the disk was read.
  if (generation === ledger.generation) await sweepMemory(ledger, wants, passed, hand);
}

async function sweepMemory(
  ledger: Ledger,
  wants: Wants,
  passed: ReadonlySet<DeliveryKey>,
  hand: (leases: readonly Lease[]) => Promise<void>,
): Promise<void> {
  const overdue: Entry[] = [];
  const now = ledger.clock.now();
  for (const entry of ledger.live.values()) {
    const { message, delayNoticed } = entry.delivery;
    if (entry.state !== 'window' || entry.gate > now || passed.has(entry.delivery.key)) continue;
    if (wants({ expiresAt: message.expiresAt, acceptedAt: message.acceptedAt, delayNoticed })) overdue.push(entry);
  }
  for (let from = 0; from < overdue.length; from += SWEPT_AT_ONCE) {
    // Meanwhile it may have been leased by somebody else, or be gone.
    const still = overdue.slice(from, from + SWEPT_AT_ONCE).filter(({ state }) => state === 'window');
    for (const entry of still) ledger.lanes.take(entry);
    await hand(still.map((entry) => ledger.lease(entry)));
  }
}

function wanted(ledger: Ledger, page: readonly [string, string][], wants: Wants, reading: number): Found[] {
  const found: Found[] = [];
  for (const [indexKey, value] of page) {
    const index = unsealReady(indexKey, value);
    // Damage is reported by whoever fills the window of that lane.
    if (index === undefined || !wants(index)) continue;
    const key = deliveryKeyOf(index.ordinal);
    if (!ledger.unknown(key, reading)) continue;
    const lane = ledger.lanes.make(unescapeLane(indexKey.slice(2, indexKey.indexOf('/', 2))));
    found.push({ key, ordinal: index.ordinal, lane, indexKey, version: index.version, sequence: sequenceOf(indexKey), gate: 0 });
  }
  return found;
}
