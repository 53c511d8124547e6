/**
 * A delivery in memory: the value that others see, and what the driver must know to find its keys again.
 *
 *   window ──pull──► leased ──settle──► settling ──committed──► gone, or in a window again as a new entry
 *      ▲                │  ▲ change
 *      └──── giveBack ──┘  └─ changing (operator) ──► gone or a new entry
 *
 * An entry stands for one version of one delivery and never changes that; a new version is a new entry.
 */
import { type Delivery, type DeliveryKey, deliveryKey, type NewDelivery } from '../../core/delivery.js';
import { type Message, PRIORITIES } from '../../core/message.js';
import type { DeliveryRecord } from './codec.js';
import type { JournalFile } from './journal.js';
import { ordinal } from './keys.js';
import type { Lane } from './lanes.js';

/** A body that is still in memory; deliveries of one message share it. */
export class HotBody {
  /** In one piece, where it is small. */
  readonly bytes: Buffer | undefined;
  /** In several, where it is in a file as well. */
  readonly pieces: readonly Buffer[] | undefined;
  readonly sizeBytes: number;
  holders = 0;

  constructor(body: Buffer | { readonly sizeBytes: number; readonly pieces: readonly Buffer[] }) {
    const whole = Buffer.isBuffer(body);
    this.bytes = whole ? body : undefined;
    this.pieces = whole ? undefined : body.pieces;
    this.sizeBytes = whole ? body.length : body.sizeBytes;
  }
}

/** Index key of what came due and was moved to the ready index, by somebody who does not know its sequence. */
export const MOVED = 'r';

export type EntryState = 'window' | 'leased' | 'settling' | 'gone';

export class Entry {
  readonly delivery: Delivery;
  readonly lane: Lane;
  /** Place in `PRIORITIES`. */
  readonly priority: number;
  readonly n: number;
  readonly version: number;
  /** The index key it has on disk: a ready or a timer key, or '' while held. */
  readonly indexKey: string;
  /** Order within its priority; 0: read back without its place in the ready index, so not for a window yet. */
  sequence: number;
  /** Not before this by the wall clock, read again when it is pulled (G6); 0: no matter. */
  readonly gate: number;
  /** The only delivery of its message: the record carries the message. */
  readonly single: boolean;
  /** Body file, where it is not inline. */
  readonly place: string | undefined;
  hot: HotBody | undefined;
  state: EntryState = 'window';
  /** Counted in its lane's `promoted`. */
  promoted = false;
  token = 0;
  /** Leased for itself, and not through its lane's window. */
  taken = false;
  /** Journal files that hold notes about it, one for each note. */
  noted: JournalFile[] | undefined;

  constructor(delivery: Delivery, lane: Lane, more: EntryPlace) {
    this.delivery = delivery;
    this.lane = lane;
    this.priority = more.priority;
    this.n = more.n;
    this.version = more.version;
    this.indexKey = more.indexKey;
    this.sequence = more.sequence;
    this.gate = more.gate;
    this.single = more.single;
    this.place = more.place;
    this.hot = undefined;
  }

  /** Came due and went straight into the window: its index entry on disk is still the timer's. */
  get byTimer(): boolean {
    return this.indexKey.charCodeAt(0) === 0x74;
  }

  get ordinal(): string {
    return ordinal(this.delivery.message.id, this.n);
  }
}

export interface EntryPlace {
  readonly priority: number;
  readonly n: number;
  readonly version: number;
  readonly indexKey: string;
  readonly sequence: number;
  readonly gate: number;
  readonly single: boolean;
  readonly place: string | undefined;
}

export function newDelivery(message: Message, fresh: NewDelivery, n: number, due: number): Delivery {
  return {
    key: deliveryKey(message.id, n),
    message,
    lane: fresh.lane,
    priority: message.priority,
    recipients: fresh.recipients,
    attempts: 0,
    log: [],
    delayNoticed: false,
    held: false,
    due,
  };
}

/** What is read back; `message` from the record itself or from its own. */
export function deliveryOf(key: DeliveryKey, record: DeliveryRecord, message: Message): Delivery {
  return {
    key,
    message,
    lane: record.l,
    priority: PRIORITIES[record.p] ?? 'low',
    recipients: record.r,
    attempts: record.a,
    log: record.g,
    delayNoticed: record.n,
    held: record.x === '',
    due: record.d,
  };
}
