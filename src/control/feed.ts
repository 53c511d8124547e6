/**
 * What happens to mail as something to read on from: live, and, from a moment on, once more from the history.
 *
 *   replaying ──the history is read──► live ──too much at once for the reader──► replaying
 *
 * Promises: every end of a recipient (delivered, bounced, expired, removed) after the moment is told at least once, over restarts and for
 * readers however slow, as long as the history keeps it; other events are live, and left out where the reader is too slow. Bounded memory.
 * Must not: keep anything when nobody reads.
 */
import type { Emit, MailEvent, RecipientEvent } from '../core/event.js';
import type { MessageId } from '../core/message.js';
import type { Page, Spool } from '../spool/spool.js';
import type { QueueEntry } from './types.js';

export interface FeedSource {
  readonly spool: Pick<Spool, 'history' | 'inspect' | 'lastId'>;
  /** Returns how to stop. */
  subscribe(listener: Emit): () => void;
  readonly clock: { now(): number };
}

export interface Told {
  readonly event: MailEvent;
  /** Handed in as `after`, it tells everything that ended after this event, and perhaps a little of what had been told. Epoch ms. */
  readonly cursor: number;
}

/** Live events kept for a reader who is busy. */
const BEHIND = 2_000;
const PAGE = 200;
const REMEMBERED = 5_000;

/** `after`: epoch ms; without it, from now on. Ends with `signal`. Rejects where the history cannot be read. */
export async function* feed(
  source: FeedSource,
  after: number | undefined,
  signal: AbortSignal,
  opened?: () => void,
): AsyncGenerator<Told, void, undefined> {
  const past = new Past(source, after ?? source.clock.now());
  const ears = new Ears(source, after !== undefined);
  opened?.();
  const ended = () => ears.wake();
  signal.addEventListener('abort', ended);
  try {
    while (!signal.aborted) {
      if (ears.behind) {
        yield* told(past, past.replay(), signal);
        // What ends from here on is heard; what ended while the last page was read is read now.
        ears.behind = false;
        past.caughtUp();
        yield* told(past, past.replay(), signal);
      }
      for (const event of ears.take()) {
        if (past.hasTold(event)) continue;
        yield* told(past, past.before(event), signal);
        if (signal.aborted) return;
        yield { event, cursor: past.passed(event) };
      }
      await ears.more(signal);
    }
  } finally {
    ears.close();
    signal.removeEventListener('abort', ended);
  }
}

async function* told(past: Past, events: AsyncIterable<MailEvent>, signal: AbortSignal): AsyncGenerator<Told, void, undefined> {
  for await (const event of events) {
    if (signal.aborted) return;
    yield { event, cursor: past.passed(event) };
  }
}

/** What is heard live, for a reader who takes it when he can. */
class Ears {
  behind: boolean;
  readonly close: () => void;
  wake: () => void = () => {};
  #waiting: MailEvent[] = [];

  constructor(source: FeedSource, behind: boolean) {
    this.behind = behind;
    this.close = source.subscribe((event) => this.#hear(event));
  }

  #hear(event: MailEvent): void {
    if (this.behind) return;
    if (this.#waiting.length < BEHIND) {
      this.#waiting.push(event);
    } else {
      // The ends among them are in the history.
      this.#waiting = [];
      this.behind = true;
    }
    this.wake();
  }

  take(): readonly MailEvent[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }

  async more(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length > 0 || this.behind || signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
    });
  }
}

/** What has ended, from the history, and how far it has been told. */
class Past {
  readonly #source: FeedSource;
  /** Deliveries told from the history, the newest of them: what is heard of those was told. */
  readonly #told = new Set<string>();
  #cursor: number;
  /** Nothing was heard from the first moment on, until the second. */
  #deaf: { readonly from: number; readonly until: number; readonly lastId: MessageId } | undefined;

  constructor(source: FeedSource, since: number) {
    this.#source = source;
    this.#cursor = since;
  }

  /** Ends are written into the history under a time that is never before their own, so their time is a safe place to read on from. */
  passed(event: MailEvent): number {
    if (isEnd(event)) this.#cursor = Math.max(this.#cursor, event.at);
    return this.#cursor;
  }

  hasTold(event: MailEvent): boolean {
    return isEnd(event) && this.#told.has(event.delivery);
  }

  async *replay(): AsyncGenerator<RecipientEvent> {
    const since = this.#cursor;
    this.#deaf ??= { from: since, until: Number.POSITIVE_INFINITY, lastId: '' };
    let after: string | undefined;
    do {
      const more = after === undefined ? {} : { after };
      const page: Page<QueueEntry> = await this.#source.spool.history({ since, limit: PAGE, ...more });
      for (const entry of page.items) {
        if (this.#told.has(entry.delivery.key)) continue;
        this.#remember(entry.delivery.key);
        yield* endsOf(entry);
      }
      after = page.next;
    } while (after !== undefined);
  }

  #remember(key: string): void {
    this.#told.add(key);
    if (this.#told.size > REMEMBERED) for (const oldest of this.#told) return void this.#told.delete(oldest);
  }

  caughtUp(): void {
    const { spool, clock } = this.#source;
    this.#deaf = { from: this.#deaf?.from ?? this.#cursor, until: clock.now(), lastId: spool.lastId() ?? '' };
  }

  /**
   * A delivery is in the history when the last of its recipients has ended. Those who had ended while nobody listened, and others of it
   * had not, are told with the first end that is heard of it.
   */
  async *before(event: MailEvent): AsyncGenerator<RecipientEvent> {
    const deaf = this.#deaf;
    if (deaf === undefined || !isEnd(event) || event.id > deaf.lastId) return;
    const view = await this.#source.spool.inspect(event.id);
    const delivery = view?.deliveries.find(({ key }) => key === event.delivery);
    if (view === undefined || delivery === undefined || delivery.recipients.length === 1) return;
    for (const end of endsOf({ message: view.message, delivery }))
      if (end.at >= deaf.from && end.at <= deaf.until && end.recipient !== event.recipient) yield end;
  }
}

function isEnd(event: MailEvent): event is RecipientEvent {
  return event.type === 'delivered' || event.type === 'bounced' || event.type === 'expired' || event.type === 'removed';
}

/** The ends of a delivery's recipients, in the words in which they were told. */
export function* endsOf({ message, delivery }: QueueEntry): Generator<RecipientEvent> {
  for (const { address, state, last } of delivery.recipients) {
    if (state === 'queued') continue;
    const { at = delivery.settledAt, server = '', status = '', text = '' } = last ?? {};
    yield {
      type: state,
      at,
      id: message.id,
      delivery: delivery.key,
      lane: delivery.lane,
      sender: message.sender,
      recipient: address,
      server,
      delayMs: Math.max(at - Math.max(message.acceptedAt, message.notBefore), 0),
      status,
      text,
    };
  }
}
