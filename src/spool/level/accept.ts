/**
 * Acceptance: a message, its body and its deliveries in one batch. Reports are accepted the same way, inside the batch of the
 * settlement they belong to.
 */
import { type MergeCopy, PRIORITIES } from '../../core/message.js';
import type { Acceptance } from '../spool.js';
import type { Batch, Operation } from './batch.js';
import { type DeliveryRecord, sealJson, sealReady, sealTimer } from './codec.js';
import { Entry, HotBody, newDelivery } from './entry.js';
import { copyKey, messageKey, ordinal, sequence32, timerKey } from './keys.js';
import type { Ledger } from './ledger.js';
import { putOnce, recipientsOf } from './once.js';
import { putServer } from './own-servers.js';

/** Rough weight of a record with its index entries. */
export const RECORD_WEIGHT = 1200;

export function weightOf(acceptance: Acceptance): number {
  const { body, deliveries, message } = acceptance;
  let weight = (Buffer.isBuffer(body) ? body.length : 0) + deliveries.length * RECORD_WEIGHT;
  if (message.merge !== undefined) for (const { copy } of deliveries) weight += copyWeight(copy);
  return weight;
}

/** Roughly the octets of what a recipient has for a template. */
export function copyWeight(copy: MergeCopy | undefined): number {
  let weight = copy?.name?.length ?? 0;
  for (const [name, value] of Object.entries(copy?.values ?? {}))
    weight += name.length + (typeof value === 'string' ? value : value.raw).length;
  return weight;
}

/** Puts all of it into the batch. What it returns is offered when the batch is durable (`admit`). */
export function buildAcceptance(ledger: Ledger, batch: Batch, acceptance: Acceptance): Entry[] {
  const { message, deliveries, body } = acceptance;
  const place = Buffer.isBuffer(body) ? undefined : body.place;
  const single = deliveries.length === 1;
  if (Buffer.isBuffer(body)) batch.putBody(message.id, body);
  if (!single) {
    const key = messageKey(message.id);
    batch.put(key, sealJson(key, place === undefined ? { m: message } : { m: message, f: place }));
    batch.setOpenCount(message.id, deliveries.length);
  }
  putOnce(batch, message, acceptance.once, acceptance.once === undefined ? 0 : recipientsOf(acceptance));
  if (acceptance.server !== undefined) putServer(ledger, batch, acceptance.server);
  ledger.messages++;
  if (message.id > ledger.lastId) ledger.lastId = message.id;
  const waits = message.notBefore > batch.now;
  const due = waits ? message.notBefore : Math.max(message.acceptedAt, message.notBefore);
  const priority = PRIORITIES.indexOf(message.priority);
  const entries: Entry[] = new Array(deliveries.length);
  for (let n = 0; n < deliveries.length; n++) {
    const fresh = deliveries[n]!;
    const lane = ledger.lanes.make(fresh.lane);
    const sequence = ledger.nextSequence();
    const about = ordinal(message.id, n);
    const indexKey = waits ? timerKey(due, about) : lane.readyPrefix(priority) + sequence32(sequence);
    const delivery = newDelivery(message, fresh, n, due);
    const entry = new Entry(delivery, lane, { priority, n, version: 1, indexKey, sequence, gate: message.notBefore, single, place });
    const record: DeliveryRecord = {
      v: 1,
      x: waits ? 't' : 'r' + sequence32(sequence),
      l: fresh.lane,
      p: priority,
      r: fresh.recipients,
      a: 0,
      g: [],
      n: false,
      d: due,
      // Undefined is not written.
      m: single ? message : undefined,
      f: single ? place : undefined,
    };
    ledger.touch(delivery.key);
    putDelivery(batch, entry, record);
    if (fresh.copy !== undefined) putCopy(batch, about, fresh.copy);
    entries[n] = entry;
  }
  return entries;
}

/** What a recipient has for a template. */
export function putCopy(batch: Batch, about: string, copy: MergeCopy): void {
  batch.needs(2, 'templates');
  const key = copyKey(about);
  batch.put(key, sealJson(key, copy));
}

/** The record and its index entry; counts it. */
export function putDelivery(batch: Batch, entry: Entry, record: DeliveryRecord): void {
  const { lane, indexKey } = entry;
  const { message } = entry.delivery;
  const about = entry.ordinal;
  const key = `d/${about}`;
  batch.put(key, sealJson(key, record));
  batch.count(lane);
  const index = { version: record.v, expiresAt: message.expiresAt, acceptedAt: message.acceptedAt, delayNoticed: record.n };
  if (indexKey === '') {
    lane.held++;
  } else if (entry.byTimer) {
    lane.waiting++;
    batch.put(indexKey, sealTimer(indexKey, lane.escaped, entry.priority, index));
  } else {
    lane.ready++;
    batch.put(indexKey, sealReady(indexKey, about, index));
  }
}

/** Durable now: into the windows, or noted as a timer. */
export function admit(ledger: Ledger, entries: readonly Entry[], hot: HotBody | undefined): void {
  for (const entry of entries) {
    if (entry.byTimer) ledger.timerAdded(entry.delivery.due);
    else if (!entry.delivery.held) ledger.offer(entry, hot);
  }
}

export function hotBody(acceptance: Acceptance): HotBody | undefined {
  const { body, message } = acceptance;
  // What a template makes is not what is accepted.
  if (message.merge !== undefined) return undefined;
  if (Buffer.isBuffer(body)) return new HotBody(body);
  return body.pieces === undefined ? undefined : new HotBody({ sizeBytes: body.sizeBytes, pieces: body.pieces });
}

export class AcceptOperation implements Operation {
  readonly weight: number;
  readonly #ledger: Ledger;
  readonly #acceptance: Acceptance;
  readonly #resolve: () => void;
  readonly #reject: (error: Error) => void;
  /** What must be undone if it was answered as failed and landed all the same. */
  readonly #doubtful: (acceptance: Acceptance) => void;
  #entries: Entry[] | undefined;

  constructor(
    ledger: Ledger,
    acceptance: Acceptance,
    ends: { resolve: () => void; reject: (error: Error) => void; doubtful: (acceptance: Acceptance) => void },
  ) {
    this.#ledger = ledger;
    this.#acceptance = acceptance;
    this.#resolve = ends.resolve;
    this.#reject = ends.reject;
    this.#doubtful = ends.doubtful;
    this.weight = weightOf(acceptance);
  }

  build(batch: Batch): void {
    this.#entries = buildAcceptance(this.#ledger, batch, this.#acceptance);
  }

  committed(): void {
    admit(this.#ledger, this.#entries!, hotBody(this.#acceptance));
    this.#resolve();
  }

  failed(error: Error, written: boolean): 'drop' {
    const { body } = this.#acceptance;
    if (written) this.#doubtful(this.#acceptance);
    else if (!Buffer.isBuffer(body)) this.#ledger.dropBody(body.place);
    this.#reject(error);
    return 'drop';
  }
}
