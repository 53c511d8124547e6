/**
 * What an operator does to one delivery, wherever it is: in a window, on disk, waiting. A delivery that is leased at this moment
 * is left alone.
 *
 * What the delivery is, is decided when the batch is built: then nothing else is under way, and the store tells the truth.
 */
import { type DeliveryKey, splitDeliveryKey } from '../../core/delivery.js';
import { MtaError } from '../../core/errors.js';
import type { Message, MessageId } from '../../core/message.js';
import type { Change, ChangeResult } from '../spool.js';
import { changedVersion, type Part, reroutedParts } from '../versions.js';
import { admit, RECORD_WEIGHT } from './accept.js';
import type { Batch, Operation } from './batch.js';
import { type DeliveryRecord, type MessageRecord, sealJson, unsealJson } from './codec.js';
import { deliveryOf, Entry, MOVED } from './entry.js';
import { messageKey, ordinal, timerKey } from './keys.js';
import type { Ledger } from './ledger.js';
import { buildEnd, buildNext, unindex } from './settle.js';

export class ChangeOperation implements Operation {
  readonly weight = RECORD_WEIGHT;
  readonly #ledger: Ledger;
  readonly #key: DeliveryKey;
  readonly #change: Change;
  readonly #resolve: (result: ChangeResult) => void;
  readonly #reject: (error: Error) => void;
  #result: ChangeResult | 'again' | MtaError = 'gone';
  #entry: Entry | undefined;
  #next: readonly Entry[] = [];
  #place: string | undefined;

  constructor(
    ledger: Ledger,
    key: DeliveryKey,
    change: Change,
    ends: { resolve: (result: ChangeResult) => void; reject: (error: Error) => void },
  ) {
    this.#ledger = ledger;
    this.#key = key;
    this.#change = change;
    this.#resolve = ends.resolve;
    this.#reject = ends.reject;
  }

  build(batch: Batch): void {
    const ledger = this.#ledger;
    const found = findEntry(ledger, batch, this.#key);
    if (!(found instanceof Entry)) {
      this.#result = found;
      return;
    }
    const known = ledger.live.get(this.#key);
    this.#result = 'done';
    const change = this.#change;
    const state = stateOf(found);
    if (change.kind === 'reroute') {
      const parts = reroutedParts(found.delivery, state, change.laneOf);
      if (parts === undefined) return;
      this.#takeOut(batch, found, known);
      this.#next = buildParts(ledger, batch, found, parts);
      return;
    }
    const to = changedVersion(found.delivery, state, change, batch.now);
    if (to === undefined) return;
    this.#takeOut(batch, found, known);
    if (to.next.kind === 'done') this.#place = buildEnd(ledger, batch, found, to);
    else this.#next = [buildNext(ledger, batch, found, to)];
  }

  #takeOut(batch: Batch, found: Entry, known: Entry | undefined): void {
    const ledger = this.#ledger;
    this.#entry = found;
    if (known !== undefined) {
      ledger.lanes.take(known);
      known.state = 'settling';
    }
    ledger.touch(this.#key);
    unindex(ledger, batch, found);
  }

  committed(): void {
    const ledger = this.#ledger;
    const result = this.#result;
    if (result === 'again') {
      ledger.submit(this);
      return;
    }
    const entry = this.#entry;
    if (entry !== undefined) {
      if (this.#next.length > 0) admit(ledger, this.#next, entry.hot);
      ledger.forget(entry);
      if (this.#place !== undefined) ledger.dropBody(this.#place);
      ledger.lanes.release(entry.lane);
    }
    if (result instanceof MtaError) this.#reject(result);
    else this.#resolve(result);
  }

  /** The operator is told; whether it landed shows when he looks. */
  failed(error: Error): 'drop' {
    if (this.#entry !== undefined) this.#ledger.forget(this.#entry);
    this.#reject(error);
    return 'drop';
  }
}

/**
 * A delivery that nobody has leased, from memory or from the store. `again`: something else of this batch changes it, and what comes of
 * that cannot be seen yet.
 */
export function findEntry(ledger: Ledger, batch: Batch, key: DeliveryKey): Entry | 'again' | 'inFlight' | 'gone' | MtaError {
  const { id, n } = splitDeliveryKey(key);
  const about = ordinal(id, n);
  if (!batch.claim(about)) return 'again';
  const known = ledger.live.get(key);
  if (n >= (ledger.indexing.get(id) ?? Number.POSITIVE_INFINITY)) return 'inFlight';
  if (known !== undefined) return known.state === 'window' ? known : 'inFlight';
  return readEntry(ledger, batch, key, about) ?? 'gone';
}

/** The first part keeps the number of the delivery, the others get numbers that nothing of the message has. */
function buildParts(ledger: Ledger, batch: Batch, entry: Entry, parts: readonly Part[]): Entry[] {
  const { message } = entry.delivery;
  const alone = entry.single && parts.length === 1;
  if (!alone) {
    if (entry.single) {
      const key = messageKey(message.id);
      batch.put(key, sealJson(key, entry.place === undefined ? { m: message } : { m: message, f: entry.place }));
    }
    const open = entry.single ? 1 : batch.openCount(message.id);
    // Where the count is damaged, the body stays whatever happens: `buildEnd` says so at the end of each.
    if (open !== undefined) batch.setOpenCount(message.id, open + parts.length - 1);
  }
  let n = entry.n;
  return parts.map(({ lane, to }, part) => {
    if (part > 0) n = freeNumber(batch, message.id, n);
    const fresh = buildNext(ledger, batch, entry, to, { lane: ledger.lanes.make(lane), n, single: alone });
    ledger.touch(fresh.delivery.key);
    return fresh;
  });
}

/** The next number after `n` that no delivery of the message has, in the queue or in the history, nor gets by this batch. */
function freeNumber(batch: Batch, id: MessageId, n: number): number {
  for (let free = n + 1; ; free++) {
    const about = ordinal(id, free);
    if (batch.current(`d/${about}`) === undefined && batch.current(`i/${about}`) === undefined && batch.claim(about)) return free;
  }
}

/** A delivery that is on disk only. */
export function readEntry(ledger: Ledger, batch: Batch, key: DeliveryKey, about: string): Entry | MtaError | undefined {
  const recordKey = `d/${about}`;
  const value = batch.current(recordKey);
  if (value === undefined) return undefined;
  const record = unsealJson<DeliveryRecord>(recordKey, value);
  const { id, n } = splitDeliveryKey(key);
  const message = record && (record.m ? { message: record.m, place: record.f } : readMessage(batch, id));
  if (!record || !message)
    return new MtaError('SPOOL_DAMAGED', `delivery ${key} cannot be changed: its record does not match its checksum`);
  const lane = ledger.lanes.make(record.l);
  return new Entry(deliveryOf(key, record, message.message), lane, {
    priority: record.p,
    n,
    version: record.v,
    indexKey: indexKeyOf(record, about, lane.readyPrefix(record.p), batch),
    sequence: 0,
    gate: record.x === 't' ? record.d : 0,
    single: record.m !== undefined,
    place: message.place,
  });
}

function readMessage(batch: Batch, id: string): { message: Message; place: string | undefined } | undefined {
  const key = messageKey(id);
  const value = batch.current(key);
  const record = value === undefined ? undefined : unsealJson<MessageRecord>(key, value);
  return record && { message: record.m, place: record.f };
}

/** Where the index entry of a record is; what came due may have been moved to the ready index, at a place unknown. */
export function indexKeyOf(record: DeliveryRecord, about: string, readyPrefix: string, batch: Pick<Batch, 'current'>): string {
  if (record.x === '') return '';
  if (record.x.startsWith('r')) return readyPrefix + record.x.slice(1);
  const timer = timerKey(record.d, about);
  return record.x === 't' && batch.current(timer) !== undefined ? timer : MOVED;
}

function stateOf(entry: Entry): 'ready' | 'waiting' | 'held' {
  if (entry.delivery.held) return 'held';
  return entry.byTimer && !entry.promoted ? 'waiting' : 'ready';
}
