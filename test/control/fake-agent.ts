/** An agent of plain objects for the control verbs: a queue in an array, submissions in another. */

import type { MxReport, SiteReport } from '../../src/control/types.js';
import type { ControlledAgent, ControlledEnvelope } from '../../src/control/verbs.js';
import { domainOf } from '../../src/core/address.js';
import type { Recipient } from '../../src/core/delivery.js';
import { MtaError } from '../../src/core/errors.js';
import type { Emit } from '../../src/core/event.js';
import { createIdSource } from '../../src/core/id.js';
import type { Body, Message } from '../../src/core/message.js';
import { createTurns } from '../../src/intake/once.js';
import { Histogram } from '../../src/platform/histogram.js';
import { systemRandom } from '../../src/platform/random.js';
import { type LaneNow, QUIET } from '../../src/scheduler/lane-now.js';
import type { AcceptedOnce, Change, ChangeResult, DeliveryView, Pause, Query, Spool } from '../../src/spool/spool.js';

export const NOW = Date.UTC(2026, 10, 22, 12, 0, 0);

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
export type FakeDelivery = Mutable<DeliveryView>;
export interface FakeEntry {
  readonly message: Message;
  readonly deliveries: FakeDelivery[];
  body: Body | undefined;
}

const nextId = createIdSource({ now: () => NOW - 3_600_000 }, systemRandom);

export function fakeMessage(more: Partial<Message> = {}): Message {
  return {
    id: nextId(),
    acceptedAt: NOW - 3_600_000,
    sender: 'alice@example.com',
    sizeBytes: 1234,
    content: { eightBit: false, dotted: false, utf8Headers: false },
    smtpUtf8: false,
    requireTls: false,
    priority: 'medium',
    notBefore: 0,
    expiresAt: NOW + 4 * 86_400_000,
    origin: { kind: 'smtp', client: '127.0.0.1', helo: 'client.test' },
    messageId: '<1@example.com>',
    bounces: 'mail',
    ...more,
  };
}

export function fakeDelivery(
  message: Message,
  n: number,
  recipients: readonly (string | Recipient)[],
  more: Partial<DeliveryView> = {},
): FakeDelivery {
  const list = recipients.map((each): Recipient => (typeof each === 'string' ? { address: each, state: 'queued' } : each));
  return {
    key: `${message.id}.${n}`,
    lane: `mx:${domainOf(list[0]!.address)}`,
    priority: message.priority,
    state: 'ready',
    recipients: list,
    attempts: 0,
    log: [],
    due: NOW,
    settledAt: 0,
    ...more,
  };
}

export interface FakeSubmission {
  readonly envelope: ControlledEnvelope;
  content: Buffer;
  end: 'open' | 'finished' | 'aborted';
}

/** Options of the verbs that these tests have nothing to do with: only a whole agent hands in. */
export const UNUSED = {
  connectMs: 30_000,
  handIn: (): Promise<never> => Promise.reject(new Error('nothing is handed in here')),
  sendNow: (): Promise<never> => Promise.reject(new Error('nothing is handed in here')),
};

export class FakeAgent implements ControlledAgent {
  readonly hostname = 'mail.example.test';
  readonly startedAt = NOW - 60_000;
  readonly entries: FakeEntry[] = [];
  readonly submissions: FakeSubmission[] = [];
  readonly lookups: { domain: string; refresh: boolean | undefined }[] = [];
  /** Deliveries that a change finds being sent, or ended. */
  readonly inFlight = new Set<string>();
  flushes = 0;
  failingFor = 0;
  closed: ReturnType<Spool['closedFor']>;
  mx: MxReport | undefined;
  siteReports: readonly SiteReport[] = [];
  readonly spool: Spool;
  readonly #once = new Map<string, AcceptedOnce>();
  readonly takeTurn = createTurns({ once: async (key) => this.#once.get(key) });

  constructor() {
    this.spool = this.#spool() as Spool;
  }

  readonly pauses = new Map<string, Pause>();
  readonly givenUp: { readonly key: string; readonly reason: string }[] = [];

  operate: ControlledAgent['operate'] = async ({ delivery }, change) => {
    if (change.kind !== 'fail') return this.spool.change(delivery.key, change);
    if (this.inFlight.has(delivery.key)) return 'inFlight';
    this.givenUp.push({ key: delivery.key, reason: change.reason });
    return this.spool.change(delivery.key, { kind: 'remove' });
  };

  async pauseLane(lane: string, reason: string): Promise<void> {
    this.pauses.set(lane, { at: NOW, reason });
  }

  async resumeLane(lane: string): Promise<boolean> {
    return this.pauses.delete(lane);
  }

  /** Mail for relayed.test leaves through a relay. */
  laneOf(recipient: string): string {
    return domainOf(recipient) === 'relayed.test' ? 'host:relay.test:587:0' : `mx:${domainOf(recipient)}`;
  }

  add(message: Message, deliveries: FakeDelivery[], body?: Buffer | Body): FakeEntry {
    const entry: FakeEntry = { message, deliveries, body: Buffer.isBuffer(body) ? { kind: 'bytes', bytes: body } : body };
    this.entries.push(entry);
    return entry;
  }

  submit(envelope: ControlledEnvelope) {
    const id = nextId();
    const chunks: Buffer[] = [];
    let paused = false;
    const kept: FakeSubmission = { envelope, content: Buffer.alloc(0), end: 'open' };
    this.submissions.push(kept);
    return {
      id,
      // Every other chunk asks for a pause, as a disk would, and means it.
      write: (chunk: Buffer) => {
        if (paused) throw new Error('written to during a pause');
        if (chunks.push(chunk) % 2 === 1) return true as const;
        paused = true;
        return new Promise<void>((resolve) =>
          setImmediate(() => {
            paused = false;
            resolve();
          }),
        );
      },
      finish: async (once?: { readonly key: string; readonly digest: string }) => {
        kept.content = Buffer.concat(chunks);
        kept.end = 'finished';
        if (kept.content.includes(0)) throw new MtaError('MESSAGE_REFUSED', 'the message contains NUL');
        const size = kept.content.length;
        const { length: recipients } = envelope.recipients;
        if (once) this.#once.set(once.key, { id, messageId: '<made@up>', recipients, size, digest: once.digest });
        return { id, messageId: '<made@up>', sizeBytes: size };
      },
      abort: () => {
        kept.end = 'aborted';
      },
    };
  }

  async mxLookup(domain: string, options?: { readonly refresh?: boolean }): Promise<MxReport> {
    this.lookups.push({ domain, refresh: options?.refresh });
    if (this.mx === undefined) throw new TypeError('no answer was scripted');
    return { ...this.mx, domain };
  }

  now = () => NOW;
  measures() {
    const delivery = new Histogram([10, 100]);
    for (const ms of [5, 50, 500]) delivery.observe(ms);
    return { delivery: delivery.view(), attempt: new Histogram([1]).view() };
  }
  connections = () => new Map([['mx.example.net[192.0.2.1]:25', { open: 2, busy: 1 }]]);
  listening = () => [{ host: '127.0.0.1', port: 2587 }];
  metrics = () => ({
    accepted: 7,
    acceptedPerMinute: 3,
    acceptedPerMinuteOverHour: 0.05,
    delivered: 5,
    'deferred.4.7': 2,
    name: 'not a number',
  });
  sites = () => this.siteReports;
  /** What the scheduler would say of a lane. */
  readonly lanesNow = new Map<string, LaneNow>();
  lane = (lane: string) => ({ ...(this.lanesNow.get(lane) ?? QUIET), description: `the servers of ${lane}`, connectionsPerServer: 5 });
  flush = () => void this.flushes++;
  idle = async () => {};
  readonly listeners = new Set<Emit>();
  subscribe = (listener: Emit) => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };

  #spool(): Partial<Spool> {
    return {
      driver: 'fake',
      closedFor: () => this.closed,
      inspect: async (id) => this.entries.find((entry) => entry.message.id === id),
      readBody: async (id) => this.entries.find((entry) => entry.message.id === id)?.body,
      list: async (query, { limit, after }) => this.#list(query, limit, Number(after ?? 0)),
      change: async (key, change) => this.#change(key, change),
      lastId: () => undefined,
      oldest: async () => ({ ready: NOW - 5000, held: NOW - 90_000 }),
      failingFor: () => this.failingFor,
      commits: () => ({ commitMs: new Histogram([1]).view(), commitOperations: new Histogram([1, 10]).view() }),
      place: () => ({ level: 'medium', before: 3, exactly: true }),
      pauses: () => this.pauses,
      counts: () => ({ messages: this.entries.length, ready: 1, waiting: 2, held: 3, sending: 0, lanes: 4, freeBytes: 2 ** 30 }),
      laneCounts: () =>
        [
          { lane: 'mx:small.test', ready: 1, waiting: 0, held: 0 },
          { lane: 'mx:deep.test', ready: 5, waiting: 90, held: 1 },
          { lane: 'mx:middle.test', ready: 0, waiting: 9, held: 0 },
        ].map((counts) => {
          const paused = this.pauses.get(counts.lane);
          return paused === undefined ? counts : { ...counts, paused };
        }),
      history: async ({ since }) => ({
        items: this.entries.flatMap(({ message, deliveries }) =>
          deliveries.filter((each) => each.state === 'done' && each.settledAt >= since).map((delivery) => ({ message, delivery })),
        ),
      }),
      close: async () => {},
    };
  }

  #list(query: Query, limit: number, from: number) {
    const live = this.entries.flatMap(({ message, deliveries }) =>
      deliveries.filter((each) => each.state !== 'done').map((delivery) => ({ message, delivery })),
    );
    const matching = live.filter(({ message, delivery }) => matches(query, message, delivery));
    // The cursor counts deliveries of the whole queue, so that removing some on the way skips none.
    const all = this.entries.flatMap(({ message, deliveries }) => deliveries.map((delivery) => ({ message, delivery })));
    const place = new Map(all.map(({ delivery }, i) => [delivery.key, i]));
    const rest = matching.filter(({ delivery }) => place.get(delivery.key)! >= from);
    const items = rest.slice(0, limit);
    return { items, ...(rest.length > limit ? { next: String(place.get(items.at(-1)!.delivery.key)! + 1) } : {}) };
  }

  #change(key: string, change: Change): ChangeResult {
    const delivery = this.entries.flatMap((entry) => entry.deliveries).find((each) => each.key === key);
    if (delivery === undefined || delivery.state === 'done') return 'gone';
    if (this.inFlight.has(key)) return 'inFlight';
    switch (change.kind) {
      case 'remove':
        delivery.state = 'done';
        delivery.settledAt = NOW;
        delivery.recipients = delivery.recipients.map((each) => ({ ...each, state: 'removed' }));
        break;
      case 'retryNow':
      case 'release':
        delivery.state = 'ready';
        delivery.due = NOW;
        break;
      case 'hold':
        delivery.state = 'held';
        break;
      case 'reschedule':
        delivery.state = 'waiting';
        delivery.due = change.due;
        break;
    }
    return 'done';
  }
}

function matches(query: Query, message: Message, delivery: DeliveryView): boolean {
  return (
    (query.ids === undefined || query.ids.includes(message.id)) &&
    (query.lane === undefined || query.lane === delivery.lane) &&
    (query.state === undefined || query.state === delivery.state) &&
    (query.sender === undefined || query.sender === message.sender) &&
    (query.recipient === undefined || delivery.recipients.some((each) => each.address === query.recipient)) &&
    (query.domain === undefined || delivery.recipients.some((each) => domainOf(each.address) === query.domain)) &&
    (query.tag === undefined || message.tags?.includes(query.tag) === true) &&
    (query.acceptedBefore === undefined || message.acceptedAt < query.acceptedBefore) &&
    (query.error === undefined || delivery.recipients.some((each) => each.last?.text.toLowerCase().includes(query.error!.toLowerCase())))
  );
}
