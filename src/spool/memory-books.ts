/**
 * What a write to a memory spool does: the one place where deliveries come to be, change, and end. Each is whole when it returns, so that
 * nothing can come between.
 */
import { type Delivery, deliveryKey, splitDeliveryKey } from '../core/delivery.js';
import { withoutDefaults } from '../core/message.js';
import type { Clock } from '../platform/clock.js';
import type { Item, MemoryDisk } from './memory-disk.js';
import type { MemoryLanes } from './memory-lanes.js';
import type { Acceptance, DeliveryView } from './spool.js';
import { type NextVersion, notedVersion, type Part } from './versions.js';

export interface MemoryBooksOptions {
  readonly disk: MemoryDisk;
  readonly lanes: MemoryLanes;
  readonly clock: Clock;
  readonly keepHistory: boolean;
  /** Told of each that is new, or another than before, and not done. */
  readonly changed: (item: Item) => void;
}

export class MemoryBooks {
  readonly #options: MemoryBooksOptions;
  readonly #disk: MemoryDisk;

  constructor(options: MemoryBooksOptions) {
    this.#options = options;
    this.#disk = options.disk;
  }

  /** Leases ended with the spool before; the journal comes first (G3). */
  recover(): void {
    for (const item of this.#disk.items.values()) {
      item.token = 0;
      item.settling = false;
      // What had come due waits again until it is promoted.
      if (item.gate > 0 && item.state === 'ready') item.state = 'waiting';
      this.#options.lanes.add(item);
    }
    for (const [key, note] of this.#disk.notes) {
      const item = this.#disk.items.get(key);
      const to = item?.version === note.version ? notedVersion(item.delivery, note) : undefined;
      if (item && to) this.become(item, to);
    }
    this.#disk.notes.clear();
  }

  accept({ message, deliveries, body, once, server }: Acceptance): void {
    if (server !== undefined) this.#disk.servers.set(server.lane, server.about);
    const bytes = Buffer.isBuffer(body) ? body : this.#disk.bodies.get(body.place)!;
    if (!Buffer.isBuffer(body)) this.#disk.bodies.delete(body.place);
    this.#disk.messages.set(message.id, { message, body: bytes, open: deliveries.length });
    if (once !== undefined) {
      const recipients = deliveries.reduce((sum, delivery) => sum + delivery.recipients.length, 0);
      const { id, messageId, sizeBytes: size } = message;
      const { key, until, ...told } = once;
      this.#disk.once.set(key, { until, accepted: { id, messageId, recipients, size, ...told } });
    }
    if (message.id > this.#disk.lastId) this.#disk.lastId = message.id;
    const waits = message.notBefore > this.#options.clock.now();
    const due = waits ? message.notBefore : Math.max(message.acceptedAt, message.notBefore);
    const fresh = { priority: message.priority, attempts: 0, log: [], delayNoticed: false, held: false, due };
    for (const [n, { lane, recipients, copy }] of deliveries.entries()) {
      const key = deliveryKey(message.id, n);
      const state = waits ? 'waiting' : 'ready';
      const item: Item = {
        delivery: { ...fresh, key, message, lane, recipients },
        version: 1,
        sequence: ++this.#disk.sequence,
        state,
        gate: message.notBefore,
        token: 0,
        settling: false,
      };
      this.#disk.items.set(key, item);
      if (copy !== undefined) this.#disk.copies.set(key, copy);
      this.#options.lanes.add(item);
      this.#options.changed(item);
    }
  }

  /** Its next version, or its end. */
  become(item: Item, to: NextVersion, move?: Pick<Delivery, 'lane' | 'key'>): void {
    const delivery = move ? { ...item.delivery, ...move } : item.delivery;
    this.#disk.notes.delete(delivery.key);
    this.#disk.items.delete(delivery.key);
    this.#options.lanes.leave(item);
    const { next, recipients, attempts, log, delayNoticed } = to;
    if (next.kind === 'done') {
      this.#finish({ ...delivery, recipients, attempts, log, delayNoticed });
      return;
    }
    const now = this.#options.clock.now();
    const due = next.kind === 'ready' ? Math.min(delivery.due, now) : next.due;
    const state = next.kind === 'ready' ? 'ready' : next.kind === 'retry' ? 'waiting' : 'held';
    const changed: Item = {
      delivery: { ...delivery, recipients, attempts, log, delayNoticed, held: state === 'held', due },
      version: item.version + 1,
      sequence: ++this.#disk.sequence,
      state,
      gate: next.kind === 'retry' ? due : 0,
      token: 0,
      settling: false,
    };
    this.#disk.items.set(delivery.key, changed);
    this.#options.lanes.add(changed);
    this.#options.changed(changed);
  }

  /** Its parts go to lanes of their own. */
  split(item: Item, parts: readonly Part[]): void {
    const { message, key } = item.delivery;
    const taken = (n: number) => {
      const other = deliveryKey(message.id, n);
      return this.#disk.items.has(other) || this.#disk.past.some((one) => one.delivery.key === other);
    };
    let { n } = splitDeliveryKey(key);
    this.#disk.messages.get(message.id)!.open += parts.length - 1;
    for (const [part, { lane, to }] of parts.entries()) {
      if (part > 0)
        do n++;
        while (taken(n));
      this.become(item, to, { lane, key: deliveryKey(message.id, n) });
    }
  }

  #finish(delivery: Delivery): void {
    const { message } = delivery;
    this.#disk.copies.delete(delivery.key);
    const stored = this.#disk.messages.get(message.id)!;
    if (--stored.open === 0) this.#disk.messages.delete(message.id);
    if (!this.#options.keepHistory) return;
    const sequence = ++this.#disk.sequence;
    const { key, lane, priority, recipients, attempts, log } = delivery;
    const view: DeliveryView = {
      key,
      lane,
      priority,
      state: 'done',
      recipients,
      attempts,
      log,
      due: 0,
      settledAt: this.#options.clock.now(),
    };
    this.#disk.past.push({ message: withoutDefaults(message), delivery: view, sequence });
  }
}
