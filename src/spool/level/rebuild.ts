/**
 * Writing pieces (`moving.ts`) into a store that no agent has open: records, indexes and counters are made anew, each message in one
 * synced batch, so that it is there whole or not at all. One with very many deliveries goes in parts, as in `large.ts`, which also
 * finishes or removes it at the next start if we die in between.
 *
 * Must not: send, promote, or change what the store holds already. A message or history that it knows is left as it is.
 */
import { type Message, type MessageId, PRIORITIES } from '../../core/message.js';
import { countPiece, type Loss, type MovedCounts, type MovedDelivery, noneMoved, type PastDelivery, type Piece } from '../moving.js';
import type { BodyWriter, StoredBody } from '../spool.js';
import { putCopy, putDelivery, RECORD_WEIGHT } from './accept.js';
import { Batch } from './batch.js';
import type { Bodies } from './bodies.js';
import { type DeliveryRecord, type HistoryRecord, sealJson, sealNumbers } from './codec.js';
import { deliveryOf, Entry } from './entry.js';
import {
  AFTER_SLASH,
  deliveryKeyOf,
  historyKey,
  messageKey,
  onceKey,
  ordinal,
  partialKey,
  pauseKey,
  sequence32,
  serverKey,
  tallyKey,
  timerKey,
} from './keys.js';
import { indexOne, PART } from './large.js';
import type { Ledger } from './ledger.js';
import { putKey, recordOfOnce } from './once.js';
import { putServer } from './own-servers.js';

/** A batch is closed at about this size. */
const BATCH_BYTES = 512 * 1024;

export interface RebuildOptions {
  readonly ledger: Ledger;
  readonly bodies: Bodies;
  /** Batches up to this number are durable. */
  readonly durable: (batch: number) => void;
  /** The store was empty when this began: nothing can be there twice but by the pieces themselves. */
  readonly fresh: boolean;
  readonly lost: (loss: Loss) => void;
  /** It was there already, and stays as it is. */
  readonly known: (id: MessageId) => void;
  readonly progress: (counts: Readonly<MovedCounts>) => void;
}

/** A message on its way in. */
interface Coming {
  readonly message: Message;
  readonly deliveries: MovedDelivery[];
  writer: BodyWriter | undefined;
  sizeBytes: number;
}

/** A delivery of a large message. */
type Part = { readonly about: string; readonly n: number; readonly copy: MovedDelivery['copy']; readonly record: DeliveryRecord };

type Write = { readonly weight: number; readonly put: (batch: Batch) => void };

export class Rebuild {
  readonly #options: RebuildOptions;
  readonly counts = noneMoved();
  #coming: Coming | undefined;
  #group: Write[] = [];
  #weight = 0;
  #lastId = '';

  constructor(options: RebuildOptions) {
    this.#options = options;
  }

  /** Takes all. What came whole is durable when this ends, also where it ends with an error. */
  async take(pieces: AsyncIterable<Piece>): Promise<void> {
    try {
      for await (const piece of pieces) await this.#take(piece);
    } finally {
      this.#coming?.writer?.abort();
      await this.#flush();
    }
  }

  async #take(piece: Piece): Promise<void> {
    const coming = this.#coming;
    switch (piece.kind) {
      case 'message':
        coming?.writer?.abort();
        this.#coming = { message: piece.message, deliveries: [], writer: undefined, sizeBytes: 0 };
        return;
      case 'delivery':
        coming?.deliveries.push(piece.delivery);
        return;
      case 'content':
        if (coming) await this.#content(coming, piece.bytes);
        return;
      case 'void':
        coming?.writer?.abort();
        this.#coming = undefined;
        return;
      case 'whole':
        this.#coming = undefined;
        if (coming) await this.#whole(coming, piece.place);
        return;
      case 'pause':
        return this.#putUnlessThere(pauseKey(piece.lane), piece, (batch, key) => {
          batch.needs(2, 'pauses of lanes');
          batch.put(key, sealJson(key, piece.pause));
        });
      case 'server':
        return this.#putUnlessThere(serverKey(piece.lane), piece, (batch) => putServer(this.#options.ledger, batch, piece));
      case 'key':
        return this.#putUnlessThere(onceKey(piece.key.hash), piece, (batch) =>
          putKey(batch, piece.key.hash, recordOfOnce(piece.key.accepted, piece.key.until)),
        );
      case 'tally':
        return this.#putUnlessThere(tallyKey(piece.id), piece, (batch, key) => batch.put(key, sealNumbers(key, piece.ends)));
      default:
        return this.#past(piece.message, piece.delivery);
    }
  }

  async #content(coming: Coming, bytes: Buffer): Promise<void> {
    const { id, sender } = coming.message;
    coming.writer ??= this.#options.bodies.writer({ id, sender, recipients: addressesOf(coming.deliveries) });
    coming.sizeBytes += bytes.length;
    const taken = coming.writer.write(bytes);
    if (taken !== true) await taken;
  }

  async #whole({ message, deliveries, writer, sizeBytes }: Coming, place: string | undefined): Promise<void> {
    const wrong = deliveries.length === 0 ? 'it has no deliveries' : place === undefined ? sizeFault(message, sizeBytes) : undefined;
    if (wrong !== undefined || (await this.#knows(message.id))) {
      writer?.abort();
      if (wrong === undefined) this.#options.known(message.id);
      else this.#options.lost({ text: `message ${message.id} is not taken: ${wrong}`, id: message.id, sender: message.sender });
      return;
    }
    const body = place === undefined ? ((await writer?.finish()) ?? Buffer.alloc(0)) : { place, sizeBytes: message.sizeBytes };
    this.#count({ kind: 'whole' });
    for (const delivery of deliveries) this.#count({ kind: 'delivery', delivery });
    this.counts.contentBytes += message.sizeBytes;
    if (deliveries.length > PART) return this.#putLarge(message, deliveries, body);
    const weight = deliveries.length * RECORD_WEIGHT + (Buffer.isBuffer(body) ? body.length : 0);
    await this.#add({ weight, put: (batch) => this.#putMessage(batch, message, deliveries, body) });
  }

  #count(piece: Piece): void {
    countPiece(this.counts, piece);
    this.#options.progress(this.counts);
  }

  async #knows(id: MessageId): Promise<boolean> {
    const ascends = id > this.#lastId;
    if (ascends) this.#lastId = id;
    if (this.#options.fresh && ascends) return false;
    // What waits to be written is looked for as well.
    await this.#flush();
    const { store } = this.#options.ledger;
    for (const letter of ['d', 'i']) {
      const [key] = await store.keys({ gte: `${letter}/${id}/`, lt: `${letter}/${id}${AFTER_SLASH}`, limit: 1 });
      if (key !== undefined) return true;
    }
    return false;
  }

  // — batches —

  async #add(write: Write): Promise<void> {
    this.#group.push(write);
    this.#weight += write.weight;
    if (this.#weight >= BATCH_BYTES) await this.#flush();
  }

  async #flush(): Promise<void> {
    const group = this.#group;
    if (group.length === 0) return;
    this.#group = [];
    this.#weight = 0;
    await this.#write((batch) => {
      for (const { put } of group) put(batch);
    });
  }

  async #write(put: (batch: Batch) => void): Promise<void> {
    const { ledger, durable } = this.#options;
    const batch = new Batch(ledger.store, ledger.batches + 1, ledger.clock.now());
    put(batch);
    ledger.batches = batch.number;
    await batch.finish(ledger);
    durable(batch.number);
  }

  // — messages —

  #putMessage(batch: Batch, message: Message, deliveries: readonly MovedDelivery[], body: Buffer | StoredBody): void {
    const { ledger } = this.#options;
    const place = Buffer.isBuffer(body) ? undefined : body.place;
    const single = deliveries.length === 1;
    if (!single) putShared(batch, message, deliveries.length, place);
    if (Buffer.isBuffer(body)) batch.putBody(message.id, body);
    this.#accepted(message);
    for (const moved of deliveries) {
      const lane = ledger.lanes.make(moved.lane);
      const sequence = ledger.nextSequence();
      const about = ordinal(message.id, moved.n);
      const record = { ...recordOf(moved, sequence), m: single ? message : undefined, f: single ? place : undefined };
      const indexKey =
        moved.state === 'held'
          ? ''
          : moved.state === 'waiting'
            ? timerKey(moved.due, about)
            : lane.readyPrefix(record.p) + sequence32(sequence);
      const entry = new Entry(deliveryOf(deliveryKeyOf(about), record, message), lane, {
        priority: record.p,
        n: moved.n,
        version: record.v,
        indexKey,
        sequence,
        gate: 0,
        single,
        place,
      });
      putDelivery(batch, entry, record);
      if (moved.copy !== undefined) putCopy(batch, about, moved.copy);
    }
  }

  #accepted({ id }: Message): void {
    const { ledger } = this.#options;
    ledger.messages++;
    if (id > ledger.lastId) ledger.lastId = id;
  }

  /** Records first, in no index; then what makes the message be there; then the indexes. */
  async #putLarge(message: Message, deliveries: readonly MovedDelivery[], body: Buffer | StoredBody): Promise<void> {
    await this.#flush();
    const { ledger } = this.#options;
    const place = Buffer.isBuffer(body) ? undefined : body.place;
    const mark = partialKey(message.id);
    const parts: Part[][] = [];
    for (let from = 0; from < deliveries.length; from += PART)
      parts.push(
        deliveries
          .slice(from, from + PART)
          .map((moved) => ({ about: ordinal(message.id, moved.n), n: moved.n, copy: moved.copy, record: recordOf(moved) })),
      );
    for (const part of parts)
      await this.#write((batch) => {
        batch.put(mark, sealNumbers(mark, [0]));
        for (const { about, copy, record } of part) {
          batch.put(`d/${about}`, sealJson(`d/${about}`, record));
          if (copy !== undefined) putCopy(batch, about, copy);
        }
      });
    await this.#write((batch) => {
      putShared(batch, message, deliveries.length, place);
      if (Buffer.isBuffer(body)) batch.putBody(message.id, body);
      batch.put(mark, sealNumbers(mark, [1]));
      this.#accepted(message);
    });
    for (const [at, part] of parts.entries())
      await this.#write((batch) => {
        for (const { about, n, record } of part) indexOne(ledger, batch, message, place, record, about, n);
        if (at === parts.length - 1) batch.del(mark);
        else batch.put(mark, sealNumbers(mark, [part[part.length - 1]!.n + 2]));
      });
  }

  // — history, and what is neither —

  /** What the spool says already holds. */
  async #putUnlessThere(key: string, piece: Piece, put: (batch: Batch, key: string) => void): Promise<void> {
    if (!this.#options.fresh && (await this.#options.ledger.store.get(key)) !== undefined) return;
    this.#count(piece);
    await this.#add({ weight: RECORD_WEIGHT, put: (batch) => put(batch, key) });
  }

  async #past(message: Message, delivery: PastDelivery): Promise<void> {
    const { ledger, fresh } = this.#options;
    const about = ordinal(message.id, delivery.n);
    const pointer = `i/${about}`;
    if (!fresh && (await ledger.store.get(pointer)) !== undefined) return this.#options.known(message.id);
    this.#count({ kind: 'past', message, delivery });
    const { lane: l, recipients: r, attempts: a, log: g, at: t } = delivery;
    const key = historyKey(t, about);
    const record: HistoryRecord = { m: message, l, p: PRIORITIES.indexOf(delivery.priority), r, a, g, t };
    await this.#add({
      weight: RECORD_WEIGHT,
      put: (batch) => {
        batch.put(key, sealJson(key, record));
        batch.put(pointer, sealNumbers(pointer, [t]));
        if (t > ledger.historyTime) ledger.historyTime = t;
        if (message.id > ledger.lastId) ledger.lastId = message.id;
      },
    });
  }
}

/** Without `sequence`: it is not in the ready index yet. */
function recordOf(moved: MovedDelivery, sequence?: number): DeliveryRecord {
  const ready = sequence === undefined ? 'm' : `r${sequence32(sequence)}`;
  return {
    // Notes of the journal about the record that it comes from are of no concern to this one.
    v: moved.version + 1,
    x: moved.state === 'held' ? '' : moved.state === 'waiting' ? 't' : ready,
    l: moved.lane,
    p: PRIORITIES.indexOf(moved.priority),
    r: moved.recipients,
    a: moved.attempts,
    g: moved.log,
    n: moved.delayNoticed,
    d: moved.due,
  };
}

function putShared(batch: Batch, message: Message, deliveries: number, place: string | undefined): void {
  const key = messageKey(message.id);
  batch.put(key, sealJson(key, { m: message, f: place }));
  batch.setOpenCount(message.id, deliveries);
}

function addressesOf(deliveries: readonly MovedDelivery[]): string[] {
  return deliveries.flatMap(({ recipients }) => recipients.map(({ address }) => address));
}

function sizeFault({ sizeBytes }: Message, came: number): string | undefined {
  return came === sizeBytes ? undefined : `its content has ${came} octets instead of ${sizeBytes}`;
}
