/**
 * Messages with very many deliveries: written in parts of a bounded size, so that neither a batch nor the event loop grows with
 * them, and invisible until the record that completes them.
 *
 *   writing: `p/<id>` = 0, delivery records part by part, not in any index
 *   complete: message record, body, open count, `p/<id>` = 1 in one batch: now it is accepted (G1)
 *   indexing: part by part into ready or timer index, `p/<id>` = how far; it goes with the last part
 *
 * After a crash or a failed write, what was being written is removed, and what was being indexed goes on.
 */
import type { NewDelivery } from '../../core/delivery.js';
import { MtaError } from '../../core/errors.js';
import type { Message, MessageId } from '../../core/message.js';
import { PRIORITIES } from '../../core/message.js';
import type { Acceptance, StoredBody } from '../spool.js';
import { admit, copyWeight, putCopy, RECORD_WEIGHT } from './accept.js';
import type { Batch, Operation } from './batch.js';
import {
  type DeliveryRecord,
  type MessageRecord,
  sealJson,
  sealNumbers,
  sealReady,
  sealTimer,
  unsealJson,
  unsealNumbers,
} from './codec.js';
import { deliveryOf, Entry } from './entry.js';
import {
  AFTER_SLASH,
  bodyKey,
  copyKey,
  deliveryKeyOf,
  MAX_DELIVERIES,
  messageKey,
  openCountKey,
  ordinal,
  parse32,
  partialKey,
  sequence32,
  timerKey,
} from './keys.js';
import type { Ledger } from './ledger.js';
import { dropOnce, hashOf, putOnce } from './once.js';
import { putServer } from './own-servers.js';

/** Deliveries written in one part; a message with no more than this needs none of it. */
export const PART = 250;
/** And about so many octets of what recipients have for a template. */
const PART_WEIGHT = 512 * 1024;

/** What `p/<id>` says: 0 while it is being written, else one more than the number of deliveries indexed. */
const WRITING = 0;

/** More than could ever be under way. */
const MAX_UNFINISHED = 100_000;

/** A message whose deliveries come one after the other. */
export interface Large {
  readonly message: Message;
  readonly body: Buffer | StoredBody;
  readonly deliveries: Iterable<NewDelivery> | AsyncIterable<NewDelivery>;
  readonly server?: NonNullable<Acceptance['server']>;
  /** Asked when all deliveries have come. */
  readonly once: () => Acceptance['once'];
  /** Default: one for each delivery. */
  readonly recipients?: number;
}

/** Deliveries that are written together: those from number `from` on. */
class Part {
  readonly from: number;
  readonly deliveries: NewDelivery[] = [];
  #weight = 0;

  constructor(from: number) {
    this.from = from;
  }

  get full(): boolean {
    return this.deliveries.length >= PART || this.#weight >= PART_WEIGHT;
  }

  add(delivery: NewDelivery): void {
    if (this.from + this.deliveries.length >= MAX_DELIVERIES) throw new RangeError(`a message has at most ${MAX_DELIVERIES} deliveries`);
    this.deliveries.push(delivery);
    this.#weight += copyWeight(delivery.copy);
  }
}

export class LargeAcceptances {
  readonly #ledger: Ledger;
  /** Answered as failed; may be complete in the store until it has been removed. With its body file, if it has one. */
  readonly #doubtful = new Map<MessageId, string | undefined>();
  #unfinished: { readonly id: MessageId; readonly state: number }[] = [];

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /**
   * Resolves with the number of deliveries when they are durable and will be delivered, whatever happens; its lanes fill after that. Where
   * there are few of them, nothing is written here and all are handed to `few`. What the source throws it rejects with, and what was
   * written is removed.
   */
  async accept(large: Large, few: (deliveries: readonly NewDelivery[]) => Promise<void>): Promise<number> {
    const { message, body } = large;
    const ledger = this.#ledger;
    const { generation } = ledger;
    let part = new Part(0);
    const commit = (build: (batch: Batch) => void) => {
      // What was written before the store was reopened is being removed.
      if (generation !== ledger.generation) throw new MtaError('SPOOL_FAILED', 'a write failed while a large message was coming in');
      return this.#commit(build);
    };
    try {
      for await (const delivery of large.deliveries) {
        if (part.full) {
          const { from, deliveries } = part;
          await commit((batch) => this.#putPart(batch, message, deliveries, from));
          part = new Part(from + deliveries.length);
        }
        part.add(delivery);
      }
      if (part.from > 0) await commit((batch) => this.#putPart(batch, message, part.deliveries, part.from));
    } catch (error) {
      if (part.from > 0 && generation === ledger.generation) await this.#remove(message.id).catch(() => {});
      if (!Buffer.isBuffer(body)) ledger.dropBody(body.place);
      throw error;
    }
    const count = part.from + part.deliveries.length;
    if (part.from === 0) await few(part.deliveries);
    else await this.#complete(large, count, commit);
    return count;
  }

  async #complete(large: Large, count: number, commit: (build: (batch: Batch) => void) => Promise<void>): Promise<void> {
    const { id } = large.message;
    const { body } = large;
    const once = large.once();
    try {
      await commit((batch) => this.#putWhole(batch, large, count, once));
    } catch (error) {
      // It may have landed; whoever handed it in is told that it failed.
      this.#doubtful.set(id, Buffer.isBuffer(body) ? undefined : body.place);
      throw error;
    }
    this.#index(id, 0).catch((error: Error) => this.#ledger.log.warn('spool.indexing', { id }, error.message));
  }

  /** Reads what an earlier start, or the store that failed, left unfinished: until it is finished its deliveries cannot be changed. */
  async prepare(): Promise<void> {
    const ledger = this.#ledger;
    this.#unfinished = [];
    // What was being written when the store failed goes on no more.
    ledger.indexing.clear();
    for (const [key, value] of await ledger.store.entries({ gte: 'p/', lt: `p${AFTER_SLASH}`, limit: MAX_UNFINISHED })) {
      const id = key.slice(2);
      const state = unsealNumbers(key, value)?.[0];
      if (state === undefined)
        ledger.fault({
          code: 'SPOOL_DAMAGED',
          text: `the mark of the unfinished message ${id} does not match its checksum: see \`riata spool check\``,
          id,
        });
      else this.#unfinished.push({ id, state: this.#doubtful.has(id) ? WRITING : state });
      ledger.indexing.set(id, Math.max(0, (state ?? 0) - 1));
    }
  }

  /** Finishes that. One that cannot be is told of, and does not keep the others from it. */
  async resume(): Promise<void> {
    const ledger = this.#ledger;
    const unfinished = this.#unfinished;
    this.#unfinished = [];
    for (const { id, state } of unfinished) {
      try {
        if (state === WRITING) await this.#remove(id);
        else await this.#index(id, state - 1);
      } catch (error) {
        if (!(error instanceof MtaError) || error.code !== 'SPOOL_DAMAGED') throw error;
        ledger.fault({ code: error.code, text: `a large message cannot be finished: ${error.message}: see \`riata spool check\``, id });
      }
    }
  }

  #putPart(batch: Batch, message: Message, deliveries: readonly NewDelivery[], from: number): void {
    if (from === 0) {
      const mark = partialKey(message.id);
      batch.put(mark, sealNumbers(mark, [WRITING]));
      this.#ledger.indexing.set(message.id, 0);
    }
    const waits = message.notBefore > batch.now;
    for (const [i, { lane, recipients, copy }] of deliveries.entries()) {
      const about = ordinal(message.id, from + i);
      const due = waits ? message.notBefore : Math.max(message.acceptedAt, message.notBefore);
      const record: DeliveryRecord = {
        v: 1,
        x: waits ? 't' : 'm',
        l: lane,
        p: PRIORITIES.indexOf(message.priority),
        r: recipients,
        a: 0,
        g: [],
        n: false,
        d: due,
      };
      const key = `d/${about}`;
      batch.put(key, sealJson(key, record));
      if (copy !== undefined) putCopy(batch, about, copy);
    }
  }

  #putWhole(batch: Batch, large: Large, count: number, once: Acceptance['once']): void {
    const { message, body } = large;
    const key = messageKey(message.id);
    const record: MessageRecord = {
      m: message,
      ...(Buffer.isBuffer(body) ? {} : { f: body.place }),
      ...(once === undefined ? {} : { k: hashOf(once.key) }),
    };
    putOnce(batch, message, once, large.recipients ?? count);
    if (large.server !== undefined) putServer(this.#ledger, batch, large.server);
    batch.put(key, sealJson(key, record));
    if (Buffer.isBuffer(body)) batch.putBody(message.id, body);
    batch.setOpenCount(message.id, count);
    const mark = partialKey(message.id);
    batch.put(mark, sealNumbers(mark, [WRITING + 1]));
    this.#ledger.indexing.set(message.id, 0);
    this.#ledger.messages++;
    if (message.id > this.#ledger.lastId) this.#ledger.lastId = message.id;
  }

  /** Puts the deliveries from number `from` on into their indexes. */
  async #index(id: MessageId, from: number): Promise<void> {
    const ledger = this.#ledger;
    const { generation } = ledger;
    ledger.indexing.set(id, from);
    const key = messageKey(id);
    const value = await ledger.store.get(key);
    const about = value === undefined ? undefined : unsealJson<MessageRecord>(key, value);
    if (about === undefined) throw new MtaError('SPOOL_DAMAGED', `the record of message ${id} is missing or does not match its checksum`);
    for (let next = from; ; ) {
      const page = await ledger.store.entries({ gte: `d/${ordinal(id, next)}`, lt: `d/${id}${AFTER_SLASH}`, limit: PART });
      if (generation !== ledger.generation) return;
      const last = page.length < PART;
      const entries: Entry[] = [];
      await this.#commit(
        (batch) => this.#indexPart(batch, about, page, entries, last),
        () => this.#admit(id, entries, last),
      );
      if (last) return;
      // Numbers may have gaps: those done before the message came here from another spool.
      next = ledger.indexing.get(id)!;
    }
  }

  #indexPart(
    batch: Batch,
    { m: message, f: place }: MessageRecord,
    page: readonly [string, string][],
    entries: Entry[],
    last: boolean,
  ): void {
    const ledger = this.#ledger;
    let n = 0;
    for (const [key, value] of page) {
      const record = unsealJson<DeliveryRecord>(key, value);
      const about = key.slice(2);
      n = parse32(about.slice(about.indexOf('/') + 1));
      if (record === undefined) {
        ledger.fault({
          code: 'SPOOL_DAMAGED',
          text: `the record of delivery ${deliveryKeyOf(about)} does not match its checksum: it is set aside`,
          id: message.id,
        });
        continue;
      }
      const entry = indexOne(ledger, batch, message, place, record, about, n);
      ledger.touch(entry.delivery.key);
      entries.push(entry);
    }
    const mark = partialKey(message.id);
    if (last) batch.del(mark);
    else batch.put(mark, sealNumbers(mark, [n + 2]));
    ledger.indexing.set(message.id, n + 1);
  }

  #admit(id: MessageId, entries: readonly Entry[], last: boolean): void {
    const ledger = this.#ledger;
    if (last) ledger.indexing.delete(id);
    admit(ledger, entries, undefined);
  }

  /** It was never acknowledged. From the first write on its mark says so, though it was complete: what is left of it is sent to nobody. */
  async #remove(id: MessageId): Promise<void> {
    const ledger = this.#ledger;
    const { generation } = ledger;
    const key = messageKey(id);
    const value = await ledger.store.get(key);
    const whole = value === undefined ? undefined : unsealJson<MessageRecord>(key, value);
    for (let last = false; !last; ) {
      const keys = await ledger.store.keys({ gte: `d/${id}/`, lt: `d/${id}${AFTER_SLASH}`, limit: PART });
      if (generation !== ledger.generation) return;
      last = keys.length < PART;
      await this.#commit((batch) => {
        for (const key of keys) {
          batch.del(key);
          batch.del(copyKey(key.slice(2)));
        }
        if (!last) {
          batch.put(partialKey(id), sealNumbers(partialKey(id), [WRITING]));
          return;
        }
        for (const key of [messageKey(id), bodyKey(id), openCountKey(id), partialKey(id)]) batch.del(key);
        if (whole?.k !== undefined) dropOnce(batch, whole.k, id);
        if (value !== undefined) ledger.messages--;
      });
    }
    const place = whole?.f ?? this.#doubtful.get(id);
    if (place !== undefined) ledger.dropBody(place);
    this.#doubtful.delete(id);
    ledger.indexing.delete(id);
  }

  #commit(build: (batch: Batch) => void, committed: () => void = () => {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const operation: Operation = {
        weight: PART * RECORD_WEIGHT,
        build,
        committed() {
          committed();
          resolve();
        },
        failed(error) {
          reject(error);
          return 'drop';
        },
      };
      this.#ledger.submit(operation);
    });
  }
}

/** Puts one of them into the index where its record says that it belongs; what is held belongs into none. */
export function indexOne(
  ledger: Ledger,
  batch: Batch,
  message: Message,
  place: string | undefined,
  record: DeliveryRecord,
  about: string,
  n: number,
): Entry {
  const lane = ledger.lanes.make(record.l);
  const sequence = ledger.nextSequence();
  const waits = record.x === 't';
  const held = record.x === '';
  const indexKey = held ? '' : waits ? timerKey(record.d, about) : lane.readyPrefix(record.p) + sequence32(sequence);
  const index = { version: record.v, expiresAt: message.expiresAt, acceptedAt: message.acceptedAt, delayNoticed: record.n };
  if (held) lane.held++;
  else if (waits) lane.waiting++;
  else lane.ready++;
  if (waits) batch.put(indexKey, sealTimer(indexKey, lane.escaped, record.p, index));
  else if (!held) batch.put(indexKey, sealReady(indexKey, about, index));
  batch.count(lane);
  return new Entry(deliveryOf(deliveryKeyOf(about), record, message), lane, {
    priority: record.p,
    n,
    version: record.v,
    indexKey,
    sequence,
    gate: waits ? record.d : 0,
    single: false,
    place,
  });
}
