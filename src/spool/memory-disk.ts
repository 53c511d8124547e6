/**
 * What survives the end of a memory spool, as a disk would, and what can be seen of it. Plain data: the rules are the
 * spool's (`memory.ts`).
 */
import { type Delivery, type DeliveryKey, type RecipientState, splitDeliveryKey } from '../core/delivery.js';
import type { LaneKey } from '../core/lane.js';
import { type Body, type MergeCopy, type Message, type MessageId, withoutDefaults } from '../core/message.js';
import { matches } from './query.js';
import {
  type AcceptedOnce,
  type BodyWriter,
  type DeliveryView,
  type MessageQuery,
  type MessageSummary,
  type MessageView,
  type Page,
  type Pause,
  type Query,
  type Spool,
  type StoredBody,
  VIEWED,
} from './spool.js';
import { isFound, isInState, summaryOf } from './summary.js';
import type { Noted } from './versions.js';

export interface Item {
  delivery: Delivery;
  version: number;
  sequence: number;
  state: 'ready' | 'waiting' | 'held';
  /** Not before this by the wall clock; 0: no matter. */
  gate: number;
  /** Of the lease; 0: not leased. */
  token: number;
  settling: boolean;
}

export interface Past {
  readonly message: Message;
  readonly delivery: DeliveryView;
  readonly sequence: number;
}

export interface Stored {
  readonly message: Message;
  readonly body: Buffer;
  open: number;
}

type Shown = { readonly message: Message; readonly delivery: DeliveryView };

/** Hand the same one to the next spool, and it goes on from there. */
export class MemoryDisk {
  readonly messages = new Map<MessageId, Stored>();
  readonly items = new Map<DeliveryKey, Item>();
  readonly copies = new Map<DeliveryKey, MergeCopy>();
  readonly bodies = new Map<string, Buffer>();
  readonly notes = new Map<DeliveryKey, Noted & { readonly version: number }>();
  readonly pauses = new Map<LaneKey, Pause>();
  /** What is known of servers that messages brought along, by lane. */
  readonly servers = new Map<LaneKey, string>();
  readonly once = new Map<string, { readonly until: number; readonly accepted: AcceptedOnce }>();
  past: Past[] = [];
  sequence = 0;
  lastId: MessageId = '';
  owned = false;

  /** What another process would find if the one that has it died now; `notes` are the journal's, which a loss of power takes along. */
  remains(how: { readonly notes: boolean }): MemoryDisk {
    const found = new MemoryDisk();
    for (const [id, stored] of this.messages) found.messages.set(id, { ...stored });
    for (const [key, item] of this.items) found.items.set(key, { ...item });
    for (const [key, copy] of this.copies) found.copies.set(key, copy);
    for (const [place, body] of this.bodies) found.bodies.set(place, body);
    if (how.notes) for (const [key, note] of this.notes) found.notes.set(key, note);
    for (const [lane, pause] of this.pauses) found.pauses.set(lane, pause);
    for (const [lane, about] of this.servers) found.servers.set(lane, about);
    for (const [key, kept] of this.once) found.once.set(key, kept);
    found.past = [...this.past];
    found.sequence = this.sequence;
    found.lastId = this.lastId;
    return found;
  }

  /** Keeps what is too large for memory at `place`. */
  writer(place: string, inlineLimitBytes: number): BodyWriter {
    const chunks: Buffer[] = [];
    return {
      write(chunk) {
        chunks.push(chunk);
        return true;
      },
      finish: async (): Promise<Buffer | StoredBody> => {
        const bytes = Buffer.concat(chunks);
        if (bytes.length <= inlineLimitBytes) return bytes;
        this.bodies.set(place, bytes);
        return { sizeBytes: bytes.length, place };
      },
      abort: () => void (chunks.length = 0),
    };
  }

  inspect(id: MessageId, page: Parameters<Spool['inspect']>[1] = {}): MessageView | undefined {
    const past = this.past.filter((one) => one.message.id === id);
    const message = this.messages.get(id)?.message ?? past[0]?.message;
    if (message === undefined) return undefined;
    const live = [...this.items.values()].filter((item) => item.delivery.message.id === id).map(viewOf);
    const deliveries = [...live, ...past.map((one) => one.delivery)];
    const from = page.after === undefined ? 0 : Number(page.after) + 1;
    const limit = page.limit ?? (message.merge === undefined ? Number.POSITIVE_INFINITY : VIEWED);
    const found = deliveries.filter((one) => numberOf(one) >= from).sort((a, b) => numberOf(a) - numberOf(b));
    const shown = found.slice(0, limit);
    return {
      message,
      deliveries: shown,
      ...(found.length > limit ? { next: String(numberOf(shown[limit - 1]!)) } : {}),
      ...(message.merge === undefined ? {} : { tally: tallyOf(deliveries) }),
    };
  }

  list(query: Query, page: { readonly limit: number; readonly after?: string }): Page<Shown> {
    const sorted = [...this.items.values()]
      .map((item) => ({ place: placeOf(item.delivery.key), item }))
      .sort((a, b) => (a.place < b.place ? -1 : 1));
    const items: Shown[] = [];
    for (const { place, item } of sorted) {
      if (page.after !== undefined && place <= page.after) continue;
      const delivery = viewOf(item);
      if (matches(query, item.delivery.message, delivery)) items.push({ message: withoutDefaults(item.delivery.message), delivery });
      if (items.length >= page.limit) return { items, next: place };
    }
    return { items };
  }

  listMessages(query: MessageQuery, page: { readonly limit: number; readonly after?: string }): Page<MessageSummary> {
    const ids = [...new Set([...this.messages.keys(), ...this.past.map(({ message }) => message.id)])].sort();
    if (query.oldestFirst !== true) ids.reverse();
    const items: MessageSummary[] = [];
    for (const id of ids) {
      if (page.after !== undefined && (query.oldestFirst === true ? id <= page.after : id >= page.after)) continue;
      const view = this.inspect(id, { limit: Number.POSITIVE_INFINITY })!;
      const summary = summaryOf(view);
      if (!isInState(summary, query.state) || !isFound(view, query)) continue;
      items.push(summary);
      if (items.length >= page.limit) return { items, next: id };
    }
    return { items };
  }

  history(page: Parameters<Spool['history']>[0]): Page<Shown> {
    const after = page.after === undefined ? 0 : Number(page.after);
    const items = this.past.filter((one) => one.sequence > after && (after > 0 || one.delivery.settledAt >= page.since));
    const shown = items.slice(0, page.limit).map(({ message, delivery }) => ({ message, delivery }));
    const last = items[page.limit - 1];
    return last ? { items: shown, next: String(last.sequence) } : { items: shown };
  }
}

/** One page of memory: bodies that are streamed come in pieces of this. */
const PIECE = 64 * 1024;

/** As who delivers wants to have it: in one piece, or as a stream. */
export function bodyOf({ body }: Stored, inlineLimitBytes: number): Body {
  if (body.length <= inlineLimitBytes) return { kind: 'bytes', bytes: body };
  return {
    kind: 'stream',
    sizeBytes: body.length,
    open: async function* () {
      for (let at = 0; at < body.length; at += PIECE) yield body.subarray(at, at + PIECE);
    },
  };
}

function viewOf({ delivery, state, token }: Item): DeliveryView {
  const { key, lane, priority, recipients, attempts, log, due } = delivery;
  return { key, lane, priority, state: token === 0 ? state : 'sending', recipients, attempts, log, due, settledAt: 0 };
}

function numberOf(delivery: DeliveryView): number {
  return splitDeliveryKey(delivery.key).n;
}

function tallyOf(deliveries: readonly DeliveryView[]): Record<RecipientState, number> {
  const tally = { queued: 0, delivered: 0, bounced: 0, expired: 0, removed: 0 };
  for (const { state } of deliveries.flatMap(({ recipients }) => recipients)) tally[state]++;
  return tally;
}

/** Sorts as (id, n). */
function placeOf(key: DeliveryKey): string {
  const { id, n } = splitDeliveryKey(key);
  return `${id}.${String(n).padStart(7, '0')}`;
}
