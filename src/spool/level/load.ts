/**
 * Reading deliveries back: from keys found in an index to entries in memory. The record is the truth: where it is gone or has
 * another version, the index entry was stale and is dropped without a word. A damaged one is reported and taken out of the
 * index, so that it is neither sent nor looked at over and over (G9).
 */
import type { DeliveryKey } from '../../core/delivery.js';
import type { Message } from '../../core/message.js';
import type { Batch, Operation } from './batch.js';
import { type DeliveryRecord, type MessageRecord, unsealJson } from './codec.js';
import { deliveryOf, Entry } from './entry.js';
import { messageKey, parse32 } from './keys.js';
import type { Lane } from './lanes.js';
import type { Ledger } from './ledger.js';

/** A delivery as an index tells of it. */
export interface Found {
  readonly key: DeliveryKey;
  readonly ordinal: string;
  readonly lane: Lane;
  readonly indexKey: string;
  readonly version: number;
  /** 0: it draws a new one. */
  readonly sequence: number;
  readonly gate: number;
}

/** Where it was read: from which opening of the store, in which reading. */
export interface Within {
  readonly generation: number;
  readonly reading: number;
}

interface Loaded {
  readonly message: Message;
  readonly place: string | undefined;
}

/**
 * Reads them and calls `take` for each that is still what the index says, in order. Nothing is called after a
 * reopening. Inside `ledger.reading`.
 */
export async function loadEntries(
  ledger: Ledger,
  found: readonly Found[],
  { generation, reading }: Within,
  take: (entry: Entry) => void,
): Promise<void> {
  const recordKeys = found.map((one) => `d/${one.ordinal}`);
  const values = await ledger.store.getMany(recordKeys);
  const records = values.map((value, i) =>
    value === undefined ? undefined : (unsealJson<DeliveryRecord>(recordKeys[i]!, value) ?? 'damaged'),
  );
  const messages = await loadMessages(ledger, found, records);
  if (generation !== ledger.generation) return;
  for (let i = 0; i < found.length; i++) {
    const one = found[i]!;
    const record = records[i];
    if (!ledger.unknown(one.key, reading)) continue;
    if (record === undefined || (record !== 'damaged' && record.v !== one.version)) {
      ledger.rubbish.push(one.indexKey);
      continue;
    }
    const id = one.key.slice(0, one.key.indexOf('.'));
    const loaded = record === 'damaged' ? undefined : record.m ? { message: record.m, place: record.f } : messages.get(id);
    if (record === 'damaged' || loaded === undefined) {
      const why = record === 'damaged' ? 'its record does not match its checksum' : 'the record of its message is missing or damaged';
      ledger.fault({ code: 'SPOOL_DAMAGED', text: `delivery ${one.key} is set aside: ${why}`, lane: one.lane.key, id });
      ledger.submit(new UnindexOperation(ledger, one));
      continue;
    }
    const entry = new Entry(deliveryOf(one.key, record, loaded.message), one.lane, {
      priority: record.p,
      n: parse32(one.ordinal.slice(one.ordinal.indexOf('/') + 1)),
      version: record.v,
      indexKey: one.indexKey,
      sequence: one.sequence || ledger.nextSequence(),
      gate: one.gate || (record.x === 't' ? record.d : 0),
      single: record.m !== undefined,
      place: loaded.place,
    });
    ledger.live.set(one.key, entry);
    take(entry);
  }
}

async function loadMessages(
  ledger: Ledger,
  found: readonly Found[],
  records: readonly (DeliveryRecord | 'damaged' | undefined)[],
): Promise<Map<string, Loaded>> {
  const messages = new Map<string, Loaded>();
  const wanted = new Set<string>();
  for (let i = 0; i < found.length; i++) {
    const record = records[i];
    if (record !== undefined && record !== 'damaged' && !record.m) wanted.add(found[i]!.key.slice(0, found[i]!.key.indexOf('.')));
  }
  if (wanted.size === 0) return messages;
  const ids = [...wanted];
  const keys = ids.map(messageKey);
  const values = await ledger.store.getMany(keys);
  for (let i = 0; i < ids.length; i++) {
    const value = values[i];
    const record = value === undefined ? undefined : unsealJson<MessageRecord>(keys[i]!, value);
    if (record) messages.set(ids[i]!, { message: record.m, place: record.f });
  }
  return messages;
}

/** Takes a damaged delivery out of the index; what is left of its record stays for `riata spool check`. It counts as held. */
class UnindexOperation implements Operation {
  readonly weight = 200;
  readonly #ledger: Ledger;
  readonly #found: Found;

  constructor(ledger: Ledger, found: Found) {
    this.#ledger = ledger;
    this.#found = found;
  }

  build(batch: Batch): void {
    const { key, ordinal, lane, indexKey } = this.#found;
    if (this.#ledger.live.has(key) || !batch.claim(ordinal) || batch.current(indexKey) === undefined) return;
    batch.del(indexKey);
    if (indexKey.startsWith('t')) lane.waiting--;
    else lane.ready--;
    lane.held++;
    batch.count(lane);
  }

  committed(): void {}

  failed(): 'drop' {
    return 'drop';
  }
}
