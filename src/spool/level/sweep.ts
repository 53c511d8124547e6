/**
 * The slow sweep over everything that is ready, lane served or not: expiry and delay notices while a site is in trouble. What is
 * in memory is looked at there; the rest through the ready index, whose values say enough.
 */
import type { DeliveryKey } from '../../core/delivery.js';
import type { Lease, Spool } from '../spool.js';
import { unsealReady } from './codec.js';
import type { Entry } from './entry.js';
import { AFTER_SLASH, deliveryKeyOf, sequenceOf, unescapeLane } from './keys.js';
import type { Ledger } from './ledger.js';
import { type Found, loadEntries } from './load.js';

const SLICE = 500;

type Wants = Parameters<Spool['sweepReady']>[0];

export async function sweepReady(ledger: Ledger, wants: Wants, take: (lease: Lease) => void): Promise<void> {
  const { generation } = ledger;
  // Once each: `take` may well give it back.
  const taken = new Set<DeliveryKey>();
  const takeOnce = (entry: Entry) => {
    taken.add(entry.delivery.key);
    take(ledger.lease(entry));
  };
  sweepMemory(ledger, wants, taken, takeOnce);
  let gte = 'r/';
  for (let done = false; !done; ) {
    done = await ledger
      .reading(async (reading) => {
        const page = await ledger.store.entries({ gte, lt: `r${AFTER_SLASH}`, limit: SLICE });
        if (generation !== ledger.generation) return true;
        const found = wanted(ledger, page, wants, reading);
        // Leased at once, without passing through a window.
        if (found.length > 0) await loadEntries(ledger, found, { generation, reading }, takeOnce);
        if (page.length > 0) gte = `${page[page.length - 1]![0]}\0`;
        return page.length < SLICE || generation !== ledger.generation;
      })
      .catch((error: Error) => {
        // The store went away under it.
        if (generation !== ledger.generation) return true;
        throw error;
      });
  }
  // What came into memory while the disk was read.
  if (generation === ledger.generation) sweepMemory(ledger, wants, taken, takeOnce);
}

function sweepMemory(ledger: Ledger, wants: Wants, taken: ReadonlySet<DeliveryKey>, take: (entry: Entry) => void): void {
  const inMemory: Entry[] = [];
  const now = ledger.clock.now();
  for (const entry of ledger.live.values()) {
    const { message, delayNoticed } = entry.delivery;
    if (entry.state !== 'window' || entry.gate > now || taken.has(entry.delivery.key)) continue;
    if (wants({ expiresAt: message.expiresAt, acceptedAt: message.acceptedAt, delayNoticed })) inMemory.push(entry);
  }
  for (const entry of inMemory) {
    // Taking one may have changed another.
    if (entry.state !== 'window') continue;
    ledger.lanes.take(entry);
    take(entry);
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
