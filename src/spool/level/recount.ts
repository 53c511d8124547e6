/**
 * Counting anew, after damage: the counters decide which lanes are looked at, so a wrong one could leave mail lying. Reads both
 * indexes and all records; only ever done where batches or counters are damaged.
 */
import { type DeliveryRecord, sealNumbers, unsealJson, unsealTimer } from './codec.js';
import { AFTER_SLASH, unescapeLane } from './keys.js';
import type { Lane } from './lanes.js';
import type { Ledger } from './ledger.js';

const PAGE = 1000;

export async function recount(ledger: Ledger): Promise<void> {
  const { lanes, store } = ledger;
  const written: string[] = [];
  await walk(ledger, 'l', (key) => written.push(key));
  lanes.clear(() => false);
  await walk(ledger, 'r', (key) => {
    lanes.make(unescapeLane(key.slice(2, key.indexOf('/', 2)))).ready++;
  });
  await walk(ledger, 't', (key, value) => {
    const timer = unsealTimer(key, value);
    if (timer) lanes.make(unescapeLane(timer.lane)).waiting++;
  });
  let messages = 0;
  let last = '';
  await walk(ledger, 'd', (key, value) => {
    const record = unsealJson<DeliveryRecord>(key, value);
    if (record?.x === '') lanes.make(record.l).held++;
    const id = key.slice(2, key.indexOf('/', 2));
    // Keys come sorted by message.
    if (id !== last) messages++;
    last = id;
  });
  ledger.messages = messages;
  const batch = store.batch();
  for (const key of written) batch.del(key);
  for (const { lane } of [...lanes.counts()]) write(batch, lanes.make(lane));
  await batch.write();
  ledger.log.warn('spool.recounted', { messages, lanes: lanes.size }, 'the counters of the spool were damaged and have been counted anew');
}

function write(batch: { put(key: string, value: string): void }, lane: Lane): void {
  lane.written = sealNumbers(lane.counterKey, [lane.ready, lane.waiting, lane.held]);
  batch.put(lane.counterKey, lane.written);
}

async function walk(ledger: Ledger, letter: string, see: (key: string, value: string) => void): Promise<void> {
  let gte = `${letter}/`;
  for (;;) {
    const page = await ledger.store.entries({ gte, lt: `${letter}${AFTER_SLASH}`, limit: PAGE });
    for (const [key, value] of page) see(key, value);
    if (page.length < PAGE) return;
    gte = `${page[page.length - 1]![0]}\0`;
  }
}
