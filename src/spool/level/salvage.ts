/**
 * Reading a store that nobody has open, to move what is in it elsewhere: every message whose record, deliveries and content can be
 * verified, whatever the indexes say; and the history. What the journal knows to be delivered counts as delivered.
 *
 * Promises: nothing unverified is handed on as whole; what is left out is told, with those whom it concerns as far as that is known;
 * one message's deliveries are in memory at a time, and a chunk of its content. Changes nothing.
 */
import fsp from 'node:fs/promises';
import path from 'node:path';
import { type Delivery, deliveryKey } from '../../core/delivery.js';
import type { MtaError } from '../../core/errors.js';
import { type MergeCopy, type Message, type MessageId, PRIORITIES, withoutDefaults } from '../../core/message.js';
import type { Loss, MovedDelivery, Piece } from '../moving.js';
import type { Pause } from '../spool.js';
import { notedVersion } from '../versions.js';
import { TALLIED } from './batch.js';
import { readBodyFile, readEnvelope } from './body-file.js';
import { type DeliveryRecord, type HistoryRecord, type MessageRecord, unsealBody, unsealJson, unsealNumbers } from './codec.js';
import { deliveryOf } from './entry.js';
import { type Note, readJournal } from './journal.js';
import { AFTER_SLASH, bodyKey, copyKey, deliveryKeyOf, messageKey, parse32, partialKey, splitTimed, unescapeLane } from './keys.js';
import { acceptedOf, type OnceRecord } from './once.js';
import type { ServerRecord } from './own-servers.js';
import { mergeNotes } from './recover.js';
import type { Store } from './store.js';

const PAGE = 500;
/** Addresses named with what is lost. */
const NAMED = 100;

export interface SalvageOptions {
  readonly store: Store;
  /** The spool's. */
  readonly folder: string;
  /** Epoch ms: what ends by the journal ended now. */
  readonly now: number;
  readonly lost: (loss: Loss) => void;
  /** Files of contents are not read, only verified: the taker leaves them where they are. */
  readonly filesStay?: boolean;
}

/** Content that no readable record belongs to. */
export interface Orphan {
  readonly id: MessageId;
  /** Its file under `bodies/`; undefined: it is in the store. */
  readonly place?: string;
}

export class Salvage {
  readonly #options: SalvageOptions;
  readonly #notes: ReadonlyMap<string, Note>;
  /** Deliveries that the journal ends. */
  #ended: Extract<Piece, { kind: 'past' }>[] = [];

  constructor(options: SalvageOptions) {
    this.#options = options;
    this.#notes = new Map(mergeNotes(readJournal(options.folder)).map((note) => [`${note.key} ${note.version}`, note]));
  }

  async *pieces(): AsyncGenerator<Piece> {
    yield* this.#pauses();
    yield* this.#servers();
    let id = '';
    let records: [string, string][] = [];
    for await (const entry of this.#walk('d')) {
      const its = entry[0].slice(2, entry[0].indexOf('/', 2));
      if (its !== id && records.length > 0) {
        yield* this.#message(id, records);
        records = [];
      }
      id = its;
      records.push(entry);
    }
    if (records.length > 0) yield* this.#message(id, records);
    yield* this.#keys();
    yield* this.#ended;
    yield* this.#history();
    yield* this.#tallies();
  }

  async *#walk(letter: string): AsyncGenerator<[string, string]> {
    for (let gte = `${letter}/`; ; ) {
      const page = await this.#options.store.entries({ gte, lt: `${letter}${AFTER_SLASH}`, limit: PAGE });
      yield* page;
      if (page.length < PAGE) return;
      gte = `${page[page.length - 1]![0]}\0`;
    }
  }

  /** One that cannot be read stays: better mail that waits than mail that must not go. */
  async *#pauses(): AsyncGenerator<Piece> {
    for await (const [key, value] of this.#walk('q')) {
      const lane = unescapeLane(key.slice(2));
      const pause = unsealJson<Pause>(key, value);
      if (pause === undefined) this.#lose(`why lane ${lane} is paused does not match its checksum: it stays paused`);
      yield { kind: 'pause', lane, pause: pause ?? { at: this.#options.now, reason: 'the record of this pause was damaged' } };
    }
  }

  async *#servers(): AsyncGenerator<Piece> {
    for await (const [key, value] of this.#walk('s')) {
      const lane = unescapeLane(key.slice(2));
      const record = unsealJson<ServerRecord>(key, value);
      if (record === undefined) this.#lose(`what is stored about the server of ${lane} does not match its checksum: mail for it will wait`);
      else yield { kind: 'server', lane, about: record.a };
    }
  }

  async *#keys(): AsyncGenerator<Piece> {
    for await (const [key, value] of this.#walk('k')) {
      const record = unsealJson<OnceRecord>(key, value);
      if (record === undefined) this.#lose(`what was accepted under the key ${key} does not match its checksum`);
      else yield { kind: 'key', key: { hash: key.slice(2), accepted: acceptedOf(record), until: record.u } };
    }
  }

  async *#message(id: MessageId, entries: readonly [string, string][]): AsyncGenerator<Piece> {
    // It was never acknowledged.
    if (await this.#isUnfinished(id)) return;
    const read = entries.map(([key, value]) => ({ key, record: unsealJson<DeliveryRecord>(key, value) }));
    for (const { key, record } of read)
      if (record === undefined) this.#lose(`the record of delivery ${deliveryKeyOf(key.slice(2))} does not match its checksum`, id);
    const records = read.filter((one): one is { key: string; record: DeliveryRecord } => one.record !== undefined);
    if (records.length === 0) return;
    const about = records[0]!.record.m ? { m: records[0]!.record.m, f: records[0]!.record.f } : await this.#messageRecord(id);
    if (about === undefined) return this.#lose(`the record of message ${id} is missing or does not match its checksum`, id, '', records);
    const deliveries: MovedDelivery[] = [];
    for (const { key, record } of records) {
      const moved = this.#noted(about.m, key, record);
      const copy = moved && about.m.merge ? await this.#copy(key) : undefined;
      if (moved !== undefined && about.m.merge !== undefined && copy === undefined)
        this.#lose(`what the template needs for delivery ${deliveryKeyOf(key.slice(2))} is missing or damaged`, id, about.m.sender, [
          { record },
        ]);
      else if (moved !== undefined) deliveries.push(copy === undefined ? moved : { ...moved, copy });
    }
    if (deliveries.length === 0) return;
    yield { kind: 'message', message: about.m };
    for (const delivery of deliveries) yield { kind: 'delivery', delivery };
    try {
      for await (const bytes of this.#content(about)) yield { kind: 'content', bytes };
      yield { kind: 'whole', ...(about.f === undefined ? {} : { place: about.f }) };
    } catch (error) {
      this.#lose((error as MtaError).message, id, about.m.sender, records);
      yield { kind: 'void' };
    }
  }

  async #isUnfinished(id: MessageId): Promise<boolean> {
    const key = partialKey(id);
    const value = await this.#options.store.get(key);
    return value !== undefined && unsealNumbers(key, value)?.[0] === 0;
  }

  async #messageRecord(id: MessageId): Promise<MessageRecord | undefined> {
    const key = messageKey(id);
    const value = await this.#options.store.get(key);
    return value === undefined ? undefined : unsealJson<MessageRecord>(key, value);
  }

  /** With what the journal knows; undefined: that has ended it. */
  #noted(message: Message, key: string, record: DeliveryRecord): MovedDelivery | undefined {
    const n = parse32(key.slice(key.lastIndexOf('/') + 1));
    const delivery = deliveryOf(deliveryKey(message.id, n), record, message);
    const state = record.x === '' ? 'held' : record.x === 't' && record.d > this.#options.now ? 'waiting' : 'ready';
    const note = this.#notes.get(`${delivery.key} ${record.v}`);
    const to = note && notedVersion(delivery, note);
    if (to === undefined) return moved(delivery, n, record.v, state);
    if (to.next.kind !== 'done') return moved({ ...delivery, ...to }, n, record.v, 'ready');
    const { recipients, attempts, log } = to;
    const { lane, priority } = delivery;
    this.#ended.push({
      kind: 'past',
      message: withoutDefaults(message),
      delivery: { n, lane, priority, recipients, attempts, log, at: this.#options.now },
    });
    return undefined;
  }

  async #copy(key: string): Promise<MergeCopy | undefined> {
    const at = copyKey(key.slice(2));
    const value = await this.#options.store.get(at);
    return value === undefined ? undefined : unsealJson<MergeCopy>(at, value);
  }

  async *#content({ m: message, f: place }: MessageRecord): AsyncGenerator<Buffer> {
    const { store, folder, filesStay } = this.#options;
    if (place !== undefined) {
      const chunks = readBodyFile(fsp, path.join(folder, 'bodies', place), message.sizeBytes);
      for await (const bytes of chunks) if (!filesStay) yield bytes;
      return;
    }
    const key = bodyKey(message.id);
    const value = await store.getBytes(key);
    const body = value && unsealBody(key, value);
    if (!body) throw new Error(`the content of message ${message.id} ${value ? 'does not match its checksum' : 'is missing'}`);
    yield body;
  }

  async *#history(): AsyncGenerator<Piece> {
    for await (const [key, value] of this.#walk('h')) {
      const { ordinal } = splitTimed(key);
      const record = unsealJson<HistoryRecord>(key, value);
      if (record === undefined) this.#lose(`the history of delivery ${deliveryKeyOf(ordinal)} does not match its checksum`);
      else yield { kind: 'past', message: record.m, delivery: past(record, parse32(ordinal.slice(ordinal.indexOf('/') + 1))) };
    }
  }

  /** With what the journal has ended. */
  async *#tallies(): AsyncGenerator<Piece> {
    for await (const [key, value] of this.#walk('n')) {
      const id = key.slice(2);
      const ends = unsealNumbers(key, value);
      if (ends === undefined) {
        this.#lose(`how the recipients of template ${id} ended does not match its checksum`, id);
        continue;
      }
      for (const { message, delivery } of this.#ended)
        if (message.id === id) for (const { state } of delivery.recipients) ends[TALLIED.indexOf(state)]!++;
      yield { kind: 'tally', id, ends };
    }
  }

  /** Contents whose records are damaged or gone: in the store, and in files. */
  async *orphans(): AsyncGenerator<Orphan> {
    const { store, folder } = this.#options;
    for (let gte = 'b/'; ; ) {
      const keys = await store.keys({ gte, lt: `b${AFTER_SLASH}`, limit: PAGE });
      for (const key of keys) if ((await this.#placeOf(key.slice(2))) !== '') yield { id: key.slice(2) };
      if (keys.length < PAGE) break;
      gte = `${keys[keys.length - 1]!}\0`;
    }
    const root = path.join(folder, 'bodies');
    for (const epoch of await fsp.readdir(root).catch(() => [])) {
      for (const id of await fsp.readdir(path.join(root, epoch))) {
        const place = `${epoch}/${id}`;
        if (id.endsWith('.tmp') || (await store.get(`g/${place}`)) !== undefined) continue;
        if ((await this.#placeOf(id)) !== place) yield { id, place };
      }
    }
  }

  /** Where the records say that a message's content is: '' for the store; undefined where no readable record says anything. */
  async #placeOf(id: MessageId): Promise<string | undefined> {
    const { store } = this.#options;
    for (const entry of await store.entries({ gte: `d/${id}/`, lt: `d/${id}${AFTER_SLASH}`, limit: PAGE })) {
      const record = unsealJson<DeliveryRecord>(...entry);
      if (record === undefined) continue;
      if (record.m) return record.f ?? '';
      const about = await this.#messageRecord(id);
      return about && (about.f ?? '');
    }
    return undefined;
  }

  #lose(text: string, id?: MessageId, sender = '', records: readonly { readonly record: DeliveryRecord }[] = []): void {
    const recipients = records.flatMap(({ record }) => record.r.filter((one) => one.state === 'queued').map((one) => one.address));
    this.#options.lost({
      text,
      ...(id === undefined ? {} : { id }),
      ...(sender === '' ? {} : { sender }),
      ...(recipients.length === 0 ? {} : { recipients: recipients.slice(0, NAMED) }),
    });
  }
}

/** Whom a content without a record was for, where its file says so. */
export async function envelopeOf(file: string): Promise<Pick<Loss, 'sender' | 'recipients'>> {
  const handle = await fsp.open(file, 'r');
  const head = await readEnvelope(handle).finally(() => handle.close());
  return head ? { sender: head.envelope.sender, recipients: head.envelope.recipients.slice(0, NAMED) } : {};
}

function moved(delivery: Delivery, n: number, version: number, state: MovedDelivery['state']): MovedDelivery {
  const { lane, priority, due, recipients, attempts, log, delayNoticed } = delivery;
  return { n, version, lane, priority, state, due, recipients, attempts, log, delayNoticed };
}

function past({ l: lane, p, r: recipients, a: attempts, g: log, t: at }: HistoryRecord, n: number) {
  return { n, lane, priority: PRIORITIES[p] ?? ('low' as const), recipients, attempts, log, at };
}
