/**
 * Looking: one message, pages of what is queued, pages of what is done. Reads only, and never more than a bounded number of
 * records at a time.
 *
 * What it finds damaged is reported and left out of the page; it cannot be shown, and it must not stop the rest.
 */
import { type DeliveryKey, type RecipientState, splitDeliveryKey } from '../../core/delivery.js';
import { MtaError } from '../../core/errors.js';
import { idTime } from '../../core/id.js';
import { type Body, type MergeCopy, type Message, type MessageId, PRIORITIES, withoutDefaults } from '../../core/message.js';
import { matches } from '../query.js';
import {
  type AcceptedOnce,
  type DeliveryView,
  type MessageQuery,
  type MessageSummary,
  type MessageView,
  type Page,
  type Query,
  type Spool,
  VIEWED,
} from '../spool.js';
import type { Bodies } from './bodies.js';
import { type DeliveryRecord, type HistoryRecord, type MessageRecord, unsealBody, unsealJson, unsealNumbers } from './codec.js';
import {
  AFTER_SLASH,
  bodyKey,
  copyKey,
  deliveryKeyOf,
  historyKey,
  messageKey,
  openCountKey,
  ordinal,
  splitTimed,
  tallyKey,
  time32,
} from './keys.js';
import type { Ledger } from './ledger.js';
import { listMessages } from './messages.js';
import { readOnce } from './once.js';

/** Records looked at for one page. */
const WORK = 10_000;
const SLICE = 500;
/** Deliveries of one message looked at for a line about it. */
/** Records looked at for the age of the oldest. */
const OLDEST = 2_000;
const GLANCE = 200;

type Item = { readonly message: Message; readonly delivery: DeliveryView };
type History = Parameters<Spool['history']>[0];

export class Looking {
  readonly #ledger: Ledger;
  readonly #bodies: Pick<Bodies, 'read'>;

  constructor(ledger: Ledger, bodies: Pick<Bodies, 'read'>) {
    this.#ledger = ledger;
    this.#bodies = bodies;
  }

  async inspect(id: MessageId, page: Parameters<Spool['inspect']>[1] = {}): Promise<MessageView | undefined> {
    const message = await this.#messageOf(id);
    if (message === undefined) return undefined;
    const limit = page.limit ?? (message.merge === undefined ? Number.POSITIVE_INFINITY : VIEWED);
    const from = page.after === undefined ? 0 : Number(page.after) + 1;
    // One more than is shown, to know whether there are more.
    const live = await this.#live(id, from, limit + 1);
    const done = await this.#done(id, from, limit + 1);
    // A delivery that ended between the two readings is in both: the later reading tells of it.
    const ended = new Set(done.map((one) => one.key));
    const found = [...live.filter((one) => !ended.has(one.key)), ...done].sort((a, b) => numberOf(a) - numberOf(b));
    const deliveries = found.slice(0, limit);
    return {
      message,
      deliveries,
      ...(found.length > limit ? { next: String(numberOf(deliveries[limit - 1]!)) } : {}),
      ...(message.merge === undefined ? {} : { tally: await this.#tally(id) }),
    };
  }

  /** As its first delivery knows it, in the queue or in the history; undefined while a large one is not complete. */
  async #messageOf(id: MessageId): Promise<Message | undefined> {
    for await (const [key, value] of this.#walk(`d/${id}/`, `d/${id}${AFTER_SLASH}`)) {
      const record = this.#record(key, value);
      const message = record && (record.m ?? (await this.#message(id))?.m);
      if (message !== undefined) return message;
      if (record !== undefined) break;
    }
    for await (const [pointer, value] of this.#walk(`i/${id}/`, `i/${id}${AFTER_SLASH}`)) {
      const message = (await this.#past(pointer, value))?.m;
      if (message !== undefined) return message;
    }
    return undefined;
  }

  async #live(id: MessageId, from: number, limit: number): Promise<DeliveryView[]> {
    const live: DeliveryView[] = [];
    for await (const [key, value] of this.#walk(`d/${ordinal(id, from)}`, `d/${id}${AFTER_SLASH}`)) {
      const record = this.#record(key, value);
      if (record !== undefined) live.push(this.#view(key.slice(2), record));
      if (live.length >= limit) break;
    }
    return live;
  }

  async #done(id: MessageId, from: number, limit: number): Promise<DeliveryView[]> {
    const done: DeliveryView[] = [];
    for await (const [pointer, value] of this.#walk(`i/${ordinal(id, from)}`, `i/${id}${AFTER_SLASH}`)) {
      const record = await this.#past(pointer, value);
      if (record !== undefined) done.push(viewDone(pointer.slice(2), record));
      if (done.length >= limit) break;
    }
    return done;
  }

  async #past(pointer: string, value: string): Promise<HistoryRecord | undefined> {
    const at = unsealNumbers(pointer, value)?.[0];
    if (at === undefined) return undefined;
    const key = historyKey(at, pointer.slice(2));
    const stored = await this.#ledger.store.get(key);
    return stored === undefined ? undefined : this.#historyRecord(key, stored);
  }

  async #tally(id: MessageId): Promise<Record<RecipientState, number>> {
    // What is open first: what ends between the readings may be told twice, and must not be told by neither.
    const open = await this.#numbers(openCountKey(id));
    // Where it has one delivery only, its record is the count.
    const first = await this.#ledger.store.keys({ gte: `d/${id}/`, lt: `d/${id}${AFTER_SLASH}`, limit: 1 });
    const ends = await this.#numbers(tallyKey(id));
    const queued = open?.[0] ?? first.length;
    const [delivered = 0, bounced = 0, expired = 0, removed = 0] = ends ?? [];
    return { queued, delivered, bounced, expired, removed };
  }

  async #numbers(key: string): Promise<number[] | undefined> {
    const value = await this.#ledger.store.get(key);
    return value === undefined ? undefined : unsealNumbers(key, value);
  }

  async oldest(): ReturnType<Spool['oldest']> {
    const oldest: { ready?: number; waiting?: number; held?: number } = {};
    const counts = this.#ledger.lanes.totals();
    const wanted = new Set((['ready', 'waiting', 'held'] as const).filter((state) => counts[state] > 0));
    let looked = 0;
    for await (const [key, value] of this.#walk('d/', `d${AFTER_SLASH}`)) {
      if (wanted.size === 0 || looked++ >= OLDEST) break;
      const record = this.#record(key, value);
      if (record === undefined) continue;
      const state = this.#state(record, undefined);
      if (state === 'sending' || state === 'done' || !wanted.delete(state)) continue;
      oldest[state] = idTime(key.slice(2, key.indexOf('/', 2)));
    }
    return oldest;
  }

  messages(query: MessageQuery, page: { readonly limit: number; readonly after?: string }): Promise<Page<MessageSummary>> {
    return listMessages({ ledger: this.#ledger, inspect: (id) => this.inspect(id, { limit: GLANCE }) }, query, page);
  }

  async copy(key: DeliveryKey): Promise<MergeCopy | undefined> {
    const { id, n } = splitDeliveryKey(key);
    const about = ordinal(id, n);
    const copy = this.#copy(about);
    // Every copy of a delivery that is still there is there.
    if (copy !== undefined || !(await this.#lacksCopy(id, about))) return copy;
    throw new MtaError('SPOOL_DAMAGED', `what the template needs for delivery ${key} is missing`);
  }

  #copy(about: string): MergeCopy | undefined {
    const key = copyKey(about);
    // One for each copy that is sent: a way through the thread pool costs more than the rest of it, and most are in memory.
    const value = this.#ledger.store.getSync(key);
    if (value === undefined) return undefined;
    const copy = unsealJson<MergeCopy>(key, value);
    if (copy === undefined)
      throw new MtaError('SPOOL_DAMAGED', `what the template needs for delivery ${deliveryKeyOf(about)} does not match its checksum`);
    return copy;
  }

  async #lacksCopy(id: MessageId, about: string): Promise<boolean> {
    const key = `d/${about}`;
    const value = await this.#ledger.store.get(key);
    const record = value === undefined ? undefined : unsealJson<DeliveryRecord>(key, value);
    const message = record && (record.m ?? (await this.#message(id))?.m);
    return message?.merge !== undefined;
  }

  /** What cannot be read is reported, and counts as never seen: better a second copy than mail that is refused for a day. */
  async once(key: string): Promise<AcceptedOnce | undefined> {
    const found = await readOnce(this.#ledger.store, key, this.#ledger.clock.now());
    if (found !== 'damaged') return found;
    this.#damaged('what was accepted under the key of a sender does not match its checksum');
    return undefined;
  }

  async readBody(id: MessageId): Promise<Body | undefined> {
    const { store } = this.#ledger;
    const [first] = await store.entries({ gte: `d/${id}/`, lt: `d/${id}${AFTER_SLASH}`, limit: 1 });
    if (first === undefined) return undefined;
    const record = unsealJson<DeliveryRecord>(...first);
    const about = record?.m ? { m: record.m, f: record.f } : await this.#message(id);
    // Of a large message that is not complete yet, or is being removed, there is nothing to see; and any one may end between two readings.
    if (about === undefined && (this.#ledger.indexing.has(id) || (await store.get(first[0])) === undefined)) return undefined;
    if (about === undefined) throw new MtaError('SPOOL_DAMAGED', `the record of message ${id} does not match its checksum`);
    const { f: place } = about;
    const { sizeBytes } = about.m;
    if (place !== undefined) return { kind: 'stream', sizeBytes, open: () => this.#bodies.read(place, sizeBytes, false) };
    return { kind: 'bytes', bytes: await this.inlineBody(id) };
  }

  /** Rejects with `SPOOL_DAMAGED` or `SPOOL_FAILED`. */
  async inlineBody(id: MessageId): Promise<Buffer> {
    const key = bodyKey(id);
    let value: Buffer | undefined;
    try {
      value = await this.#ledger.store.getBytes(key);
    } catch (error) {
      throw new MtaError('SPOOL_FAILED', `the body of ${id} cannot be read: ${(error as Error).message}`, { cause: error });
    }
    const body = value && unsealBody(key, value);
    if (!body) throw new MtaError('SPOOL_DAMAGED', `the body of ${id} ${value ? 'does not match its checksum' : 'is missing'}`);
    return body;
  }

  async list(query: Query, page: { readonly limit: number; readonly after?: string }): Promise<Page<Item>> {
    if (query.ids) return this.#listIds(query, query.ids, page);
    const items: Item[] = [];
    let looked = 0;
    let gte = page.after === undefined ? 'd/' : `d/${page.after}\0`;
    let messages = new Map<MessageId, Message | undefined>();
    for (;;) {
      const entries = await this.#ledger.store.entries({ gte, lt: `d${AFTER_SLASH}`, limit: SLICE });
      for (const [key, value] of entries) {
        looked++;
        const item = await this.#item(key, value, messages);
        if (item && matches(query, item.message, item.delivery)) items.push(item);
        if (items.length >= page.limit || looked >= WORK) return { items, next: key.slice(2) };
      }
      if (entries.length < SLICE) return { items };
      gte = `${entries[entries.length - 1]![0]}\0`;
      messages = new Map();
    }
  }

  async #listIds(query: Query, ids: readonly MessageId[], page: { readonly limit: number; readonly after?: string }): Promise<Page<Item>> {
    const items: Item[] = [];
    const after = page.after ?? '';
    let looked = 0;
    for (const id of [...new Set(ids)].sort()) {
      if (`${id}0` <= after) continue;
      const messages = new Map<MessageId, Message | undefined>();
      const from = after.startsWith(`${id}/`) ? `d/${after}\0` : `d/${id}/`;
      for await (const [key, value] of this.#walk(from, `d/${id}${AFTER_SLASH}`)) {
        looked++;
        const item = await this.#item(key, value, messages);
        if (item && matches(query, item.message, item.delivery)) items.push(item);
        if (items.length >= page.limit || looked >= WORK) return { items, next: key.slice(2) };
      }
    }
    return { items };
  }

  async history(page: History): Promise<Page<Item>> {
    const items: Item[] = [];
    const gte = page.after === undefined ? `h/${time32(page.since)}` : `h/${page.after}\0`;
    for await (const [key, value] of this.#walk(gte, `h${AFTER_SLASH}`)) {
      const record = this.#historyRecord(key, value);
      if (record) items.push({ message: record.m, delivery: viewDone(splitTimed(key).ordinal, record) });
      if (items.length >= page.limit) return { items, next: key.slice(2) };
    }
    return { items };
  }

  async *#walk(from: string, lt: string): AsyncGenerator<[string, string]> {
    let gte = from;
    for (;;) {
      const page = await this.#ledger.store.entries({ gte, lt, limit: SLICE });
      yield* page;
      if (page.length < SLICE) return;
      gte = `${page[page.length - 1]![0]}\0`;
    }
  }

  async #item(key: string, value: string, messages: Map<MessageId, Message | undefined>): Promise<Item | undefined> {
    const record = this.#record(key, value);
    if (record === undefined) return undefined;
    const about = key.slice(2);
    const id = about.slice(0, about.indexOf('/'));
    if (!record.m && !messages.has(id)) {
      const found = (await this.#message(id))?.m;
      messages.set(id, found && withoutDefaults(found));
    }
    const message = record.m === undefined ? messages.get(id) : withoutDefaults(record.m);
    return message && { message, delivery: this.#view(about, record) };
  }

  async #message(id: MessageId): Promise<MessageRecord | undefined> {
    const key = messageKey(id);
    const value = await this.#ledger.store.get(key);
    const record = value === undefined ? undefined : unsealJson<MessageRecord>(key, value);
    if (value !== undefined && record === undefined) this.#damaged(`the record of message ${id} does not match its checksum`, id);
    return record;
  }

  #record(key: string, value: string): DeliveryRecord | undefined {
    const record = unsealJson<DeliveryRecord>(key, value);
    if (record === undefined)
      this.#damaged(`the record of delivery ${deliveryKeyOf(key.slice(2))} does not match its checksum`, key.slice(2, key.indexOf('/', 2)));
    return record;
  }

  #historyRecord(key: string, value: string): HistoryRecord | undefined {
    const record = unsealJson<HistoryRecord>(key, value);
    if (record === undefined)
      this.#damaged(`the history of delivery ${deliveryKeyOf(splitTimed(key).ordinal)} does not match its checksum`);
    return record;
  }

  #damaged(text: string, id?: MessageId): void {
    this.#ledger.faultOnce({ code: 'SPOOL_DAMAGED', text: `${text}: see \`riata spool check\``, ...(id === undefined ? {} : { id }) });
  }

  #view(about: string, record: DeliveryRecord): DeliveryView {
    const key = deliveryKeyOf(about);
    const entry = this.#ledger.live.get(key);
    return {
      key,
      lane: record.l,
      priority: PRIORITIES[record.p] ?? 'low',
      state: this.#state(record, entry?.state),
      recipients: record.r,
      attempts: record.a,
      log: record.g,
      due: record.d,
      settledAt: 0,
    };
  }

  #state(record: DeliveryRecord, inMemory: string | undefined): DeliveryView['state'] {
    if (inMemory === 'leased' || inMemory === 'settling') return 'sending';
    if (record.x === '') return 'held';
    return record.x === 't' && record.d > this.#ledger.clock.now() ? 'waiting' : 'ready';
  }
}

function numberOf(delivery: DeliveryView): number {
  return splitDeliveryKey(delivery.key).n;
}

function viewDone(about: string, record: HistoryRecord): DeliveryView {
  return {
    key: deliveryKeyOf(about),
    lane: record.l,
    priority: PRIORITIES[record.p] ?? 'low',
    state: 'done',
    recipients: record.r,
    attempts: record.a,
    log: record.g,
    due: 0,
    settledAt: record.t,
  };
}
