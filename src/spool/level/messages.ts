/**
 * Messages as people look for them: those in the queue and those in the history as one list, by id, from either end, with a filter and a
 * search.
 *
 * The deliveries in the queue (`d/`) and the pointers into the history (`i/`) both go by id, so two cursors walk side by side. A search looks at
 * the text of a record first, and reads it only where it has the words: most do not, and that costs a microsecond.
 *
 * Promises: a page takes a bounded time, found or not; where that was not enough it is short, or empty, and says where to go on: behind a
 * message, or, where that is a merge with a hundred thousand recipients, in the middle of it.
 */
import type { MessageId } from '../../core/message.js';
import type { MessageQuery, MessageState, MessageSummary, MessageView, Page } from '../spool.js';
import { isFound, isFoundIn, isInState, summaryOf } from '../summary.js';
import { type DeliveryRecord, type HistoryRecord, type MessageRecord, unsealJson, unsealNumbers } from './codec.js';
import { AFTER_SLASH, historyKey, messageKey } from './keys.js';
import type { Ledger } from './ledger.js';

/** Time for one page, looked at after each message: but so many are looked at whatever it takes, so that a busy machine shows no crumbs. */
const BUDGET_MS = 80;
const LEAST = 500;
const SLICE = 500;
/** Records of one message that are looked at before it is asked whether the rest is needed, and whether there is time. More has only a merge, whose tally knows its state. */
const MANY = 1_000;

type Value = readonly [key: string, value: string];

/** One record of a message, in the queue or in the history. */
interface Piece {
  readonly id: MessageId;
  /** `<id>/<n>`. */
  readonly place: string;
  readonly key: string;
  readonly value: string;
  readonly done: boolean;
}

/** What the pieces of one message came to. */
interface Found {
  readonly id: MessageId;
  pieces: number;
  /** Not all of them: how it stands is not known from these. */
  part: boolean;
  live: number;
  done: number;
  failed: boolean;
  held: boolean;
  troubled: boolean;
  hit: boolean;
  /** The time was over in the middle of it, here. */
  cutAt?: string;
}

export interface MessagesOptions {
  readonly ledger: Ledger;
  /** What is known of a message, and of its first deliveries. */
  readonly inspect: (id: MessageId) => Promise<MessageView | undefined>;
}

export async function listMessages(
  { ledger, inspect }: MessagesOptions,
  query: MessageQuery,
  page: { readonly limit: number; readonly after?: string },
): Promise<Page<MessageSummary>> {
  if (query.state === 'sending') return listSending({ ledger, inspect }, query, page);
  const end = ledger.clock.monotonic() + BUDGET_MS;
  const over = () => ledger.clock.monotonic() > end;
  const needle = query.search?.toLowerCase();
  const items: MessageSummary[] = [];
  let looked = 0;
  for await (const found of walk(ledger, query, page.after, needle, over)) {
    if (wanted(found, query.state, needle)) {
      const view = await inspect(found.id);
      const summary = view && summaryOf(view);
      // What it was may have changed since it was read.
      if (summary && isInState(summary, query.state)) items.push(summary);
    }
    if (found.cutAt !== undefined) return { items, next: found.cutAt };
    if (items.length >= page.limit || (++looked >= LEAST && over())) return { items, next: found.id };
  }
  return { items };
}

/** They are all in memory, and few. */
async function listSending(
  { ledger, inspect }: MessagesOptions,
  query: MessageQuery,
  { limit, after }: { readonly limit: number; readonly after?: string },
): Promise<Page<MessageSummary>> {
  const ids = new Set<MessageId>();
  for (const { state, delivery } of ledger.live.values()) if (state === 'leased' || state === 'settling') ids.add(delivery.message.id);
  const sorted = [...ids].sort();
  if (query.oldestFirst !== true) sorted.reverse();
  const items: MessageSummary[] = [];
  for (const id of sorted) {
    if (after !== undefined && (query.oldestFirst === true ? id <= after : id >= after)) continue;
    const view = await inspect(id);
    const summary = view && summaryOf(view);
    if (view === undefined || summary === undefined || !isInState(summary, 'sending') || !isFound(view, query)) continue;
    items.push(summary);
    if (items.length >= limit) return { items, next: id };
  }
  return { items };
}

function wanted(found: Found, state: MessageState | undefined, needle: string | undefined): boolean {
  if (needle !== undefined && !found.hit) return false;
  if (found.part) return true;
  switch (state) {
    case undefined:
    case 'sending':
      return true;
    case 'queued':
      return found.live > 0;
    case 'held':
      return found.held;
    case 'deferred':
      return found.troubled;
    case 'sent':
      return found.done > 0 && found.live === 0 && !found.failed;
    case 'error':
      return found.done > 0 && found.live === 0 && found.failed;
  }
}

/** Message by message, each as far as it must be read. */
async function* walk(
  ledger: Ledger,
  query: MessageQuery,
  after: string | undefined,
  needle: string | undefined,
  over: () => boolean,
): AsyncGenerator<Found> {
  const live = new Cursor(ledger, 'd', query.oldestFirst === true, after);
  const done = new Cursor(ledger, 'i', query.oldestFirst === true, after);
  const past = query.state !== 'queued' && query.state !== 'held' && query.state !== 'deferred';
  const look = needle === undefined ? undefined : new Search(needle);
  let found: Found | undefined;
  for (;;) {
    const queued = await live.head();
    const ended = past ? await done.head() : undefined;
    const piece = first(queued, ended, query.oldestFirst === true);
    if (piece === undefined) break;
    (piece === queued ? live : done).advance();
    if (found !== undefined && found.id !== piece.id) {
      yield found;
      found = undefined;
    }
    found ??= newlyFound(piece.id, after?.startsWith(`${piece.id}/`) === true, needle);
    add(found, piece);
    if (look !== undefined && !found.hit) found.hit = look.isIn(piece, live.messageOf(piece.id));
    if (found.pieces % MANY !== 0) continue;
    found.part = true;
    if (look === undefined || found.hit) {
      live.pass(piece.id);
      done.pass(piece.id);
    } else if (over()) {
      found.cutAt = piece.place;
      break;
    }
  }
  if (found !== undefined) yield found;
}

function newlyFound(id: MessageId, part: boolean, needle: string | undefined): Found {
  const hit = needle !== undefined && id.toLowerCase().includes(needle);
  return { id, pieces: 0, part, live: 0, done: 0, failed: false, held: false, troubled: false, hit };
}

function first(a: Piece | undefined, b: Piece | undefined, oldestFirst: boolean): Piece | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.place === b.place) return a;
  return a.place < b.place === oldestFirst ? a : b;
}

function add(found: Found, { value, done }: Piece): void {
  found.pieces++;
  if (done) {
    found.done++;
    if (/"state":"(?:bounced|expired|removed)"/.test(value)) found.failed = true;
  } else {
    found.live++;
    if (value.includes('"x":""')) found.held = true;
    if (!value.includes('"g":[]')) found.troubled = true;
  }
}

/** Words looked for in records: in their text first. */
class Search {
  readonly #needle: string;
  /** As JSON has it. */
  readonly #quoted: string;

  constructor(needle: string) {
    this.#needle = needle;
    this.#quoted = JSON.stringify(needle).slice(1, -1);
  }

  isIn({ key, value }: Piece, about: string | undefined): boolean {
    if (!this.#has(value) && !(about !== undefined && this.#has(about))) return false;
    const record = unsealJson<DeliveryRecord | HistoryRecord>(key, value);
    if (record === undefined) return false;
    const id = key.slice(key.length - 31, key.length - 5);
    const message = record.m ?? (about === undefined ? undefined : unsealJson<MessageRecord>(messageKey(id), about)?.m);
    return message !== undefined && isFoundIn(message, record.r, this.#needle);
  }

  #has(text: string): boolean {
    return text.toLowerCase().includes(this.#quoted);
  }
}

/** Reads records by id, a slice at a time, from one end to the other. */
class Cursor {
  readonly #ledger: Ledger;
  readonly #letter: 'd' | 'i';
  readonly #oldestFirst: boolean;
  #gte: string;
  #lt: string;
  #slice: readonly Piece[] = [];
  /** Records of messages with several deliveries, of those in the slice. */
  #messages = new Map<MessageId, string>();
  #at = 0;
  #last = false;

  constructor(ledger: Ledger, letter: 'd' | 'i', oldestFirst: boolean, after: string | undefined) {
    this.#ledger = ledger;
    this.#letter = letter;
    this.#oldestFirst = oldestFirst;
    this.#gte = `${letter}/`;
    this.#lt = `${letter}${AFTER_SLASH}`;
    if (after === undefined) return;
    if (after.includes('/')) this.#startAt(`${letter}/${after}`);
    else this.#startBehind(after);
  }

  async head(): Promise<Piece | undefined> {
    while (this.#at >= this.#slice.length) {
      if (this.#last) return undefined;
      await this.#read();
    }
    return this.#slice[this.#at];
  }

  advance(): void {
    this.#at++;
  }

  /** Nothing more of this message. */
  pass(id: MessageId): void {
    while (this.#at < this.#slice.length && this.#slice[this.#at]!.id === id) this.#at++;
    if (this.#at >= this.#slice.length) this.#startBehind(id);
  }

  #startBehind(id: string): void {
    if (this.#oldestFirst) this.#gte = `${this.#letter}/${id}${AFTER_SLASH}`;
    else this.#lt = `${this.#letter}/${id}/`;
  }

  /** Behind what was read at `key`. */
  #startAt(key: string): void {
    if (this.#oldestFirst) this.#gte = `${key}\0`;
    else this.#lt = key;
  }

  /** Of a message in the queue with several deliveries. */
  messageOf(id: MessageId): string | undefined {
    return this.#messages.get(id);
  }

  async #read(): Promise<void> {
    const { store } = this.#ledger;
    const entries = await store.entries({ gte: this.#gte, lt: this.#lt, limit: SLICE, reverse: !this.#oldestFirst });
    this.#last = entries.length < SLICE;
    this.#at = 0;
    const end = entries.at(-1)?.[0];
    if (end !== undefined) this.#startAt(end);
    this.#slice = this.#letter === 'd' ? entries.map(livePiece) : await this.#pastPieces(entries);
    if (this.#letter === 'd') await this.#readMessages();
  }

  async #pastPieces(entries: readonly Value[]): Promise<Piece[]> {
    const keys = entries.map(([pointer, value]) => {
      const at = unsealNumbers(pointer, value)?.[0];
      return at === undefined ? pointer : historyKey(at, pointer.slice(2));
    });
    const values = await this.#ledger.store.getMany(keys);
    return entries.flatMap(([pointer], i) => {
      const value = values[i];
      return value === undefined ? [] : { id: idOf(pointer), place: pointer.slice(2), key: keys[i]!, value, done: true };
    });
  }

  async #readMessages(): Promise<void> {
    const ids = [...new Set(this.#slice.filter(({ value }) => !value.includes('"m":{')).map(({ id }) => id))];
    const values = ids.length === 0 ? [] : await this.#ledger.store.getMany(ids.map(messageKey));
    this.#messages = new Map(ids.flatMap((id, i) => (values[i] === undefined ? [] : [[id, values[i]]])));
  }
}

function livePiece([key, value]: Value): Piece {
  return { id: idOf(key), place: key.slice(2), key, value, done: false };
}

/** `d/<id>/<n>` and `i/<id>/<n>`. */
function idOf(key: string): MessageId {
  return key.slice(2, key.indexOf('/', 2));
}
