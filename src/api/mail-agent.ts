/**
 * The methods of an agent, as a program sees them: the same ones before an agent in this process (`createMta`), one in another (`connectMta`),
 * and whichever of both there is (`shared`).
 *
 * Whatever waits takes a `signal` among its options: those of `send` and its like, or the object that follows what is asked about.
 */
import type { ChangeReport, LanesReport, QueueEntry, StatusWord, WhyReport } from '../control/types.js';
import type { MailEvent, MailEventType } from '../core/event.js';
import type { LaneKey } from '../core/lane.js';
import type { MessageId } from '../core/message.js';
import type { MessageView, Pause } from '../spool/spool.js';
import type { EventsOptions, FailOptions, IdleOptions, InspectOptions, LaneOptions, MxLookupOptions, PauseOptions } from './asked.js';
import type { QueueOptions, SendOptions, Sent } from './hand-in.js';
import type { MailListener } from './listeners.js';
import type { MxLookup } from './mx.js';
import type { SentNow } from './now.js';
import type { Selection } from './selection.js';
import type { WaitOptions } from './waiting.js';

/** `cursor`: handed in as `after`, it brings whatever was not told before this event, and perhaps a little of what was. */
export type FollowedEvent = MailEvent & { readonly cursor: number };

export interface PausedLane extends Pause {
  readonly lane: LaneKey;
}

/** An agent in this process. Made by `createMta`. After `close` everything rejects with `SPOOL_CLOSED`. */
export interface MailAgent extends AsyncDisposable {
  /**
   * Composes a message and queues it. Rejects with `MtaError`: one that names every wrong option (`INVALID_OPTIONS`, or the code
   * that all of them share), `MESSAGE_TOO_LARGE`, `SPOOL_FULL`, `SPOOL_FAILED`.
   */
  send(options: SendOptions & { readonly immediate: true }): Promise<SentNow>;
  send(options: SendOptions): Promise<Sent>;
  /**
   * Sends at once what `send`, or with `data` `queue`, would queue: over the same connections and within the same limits, ahead of all that
   * is queued, stored nowhere, of any size. Resolves with each recipient's outcome; nothing is tried again, and no bounce is sent. Rejects with
   * `REMOTE_REJECTED` where no recipient was accepted, `ABORTED` with `signal`.
   */
  immediate(options: SendOptions | QueueOptions): Promise<SentNow>;
  /** Queues a message that is formatted already, or what `compose` returned. Rejects as `send` does. */
  queue(options: QueueOptions & { readonly immediate: true }): Promise<SentNow>;
  queue(options: QueueOptions): Promise<Sent>;
  /**
   * Many messages, few commits. Within the block `send` and `queue` resolve when the message is staged, and `batch` itself, with what the
   * block returns, when all of them are durable. Where the block throws, what it queued stays queued, and its error is passed on.
   * What cannot be stored rejects the batch, named in `issues`. Through the socket of an agent in another process each message resolves
   * when it is durable. Given up by `signal`, the block goes on all the same.
   */
  batch<T>(block: () => T | Promise<T>, options?: WaitOptions): Promise<T>;
  /** `queued` while a recipient is open, else `sent` if all were delivered, else `error`; `unknown` for an id never seen, or long ago. */
  status(id: MessageId, options?: WaitOptions): Promise<StatusWord>;
  /**
   * Everything that is known of a message: recipients, attempts with their errors and what was said (`transcript`), next attempt. Undefined where
   * its status is `unknown`. Of a merge, with its thousands of recipients, the first of them (`limit`) and how many are in which state;
   * those that follow with the `next` of what came before (`after`).
   */
  inspect(id: MessageId, options?: InspectOptions): Promise<MessageView | undefined>;
  /**
   * Why a message is where it is: what each of its deliveries waits for, the wait that decides first, and what happens next. Undefined where
   * its status is `unknown`.
   */
  why(id: MessageId, options?: WaitOptions): Promise<WhyReport | undefined>;
  /** Deliveries in the queue, read page by page; what comes or goes meanwhile may be shown or not. */
  list(selection?: Selection, options?: WaitOptions): AsyncIterable<QueueEntry>;
  /** Nothing of it is sent until it is released. */
  hold(selection: Selection, options?: WaitOptions): Promise<ChangeReport>;
  /** What was held goes on: at once, or when it is due. */
  release(selection: Selection, options?: WaitOptions): Promise<ChangeReport>;
  /** What waits is tried now. */
  retryNow(selection: Selection, options?: WaitOptions): Promise<ChangeReport>;
  /** Tried next at that moment: a Date, epoch milliseconds, or ISO 8601 with an offset. What is held stays held; a past moment is now. */
  reschedule(selection: Selection, at: Date | string | number, options?: WaitOptions): Promise<ChangeReport>;
  /** Tried no more: its recipients have failed, and the sender is told so, with the reason and with what was heard last. */
  fail(selection: Selection, options?: FailOptions): Promise<ChangeReport>;
  /** Takes them out of the queue for good. No bounce is sent. */
  remove(selection: Selection, options?: WaitOptions): Promise<ChangeReport>;
  /**
   * Nothing of these lanes is sent from when this resolves, but what is on its way, until they are resumed: also after a restart. A
   * domain stands for the lanes that hold mail for it alone; where its mail goes through a relay, that lane must be named.
   */
  pause(lanes: PauseOptions & WaitOptions): Promise<LanesReport>;
  /** Names the lanes that were paused. */
  resume(lanes: LaneOptions & WaitOptions): Promise<LanesReport>;
  /** The lanes that are paused, since when, and why. */
  pauses(options?: WaitOptions): Promise<readonly PausedLane[]>;
  /**
   * Where mail for a domain would go; `refresh` asks DNS anew. `hostname`: the DNS server to ask, by name or address, with `:port` where it is
   * not 53; deliveries know nothing of its answer.
   */
  mxLookup(domain: string, options?: MxLookupOptions): Promise<MxLookup>;
  /** Live events, at most once each. A listener that throws is told of in the log, and hurts nobody else. */
  on<T extends MailEventType>(type: T, listener: MailListener<T>): this;
  /** The listener hears nothing of it any more. */
  off<T extends MailEventType>(type: T, listener: MailListener<T>): this;
  /**
   * Every event from when it is asked for, and with `after` first those that ended a recipient's way since then, from the history: at
   * least once, over restarts, for as long as the history reaches. Ends with the agent, or with `signal`. A reader who is too slow for
   * all that happens misses nothing but live events that are not in the history. To go on later, keep the `cursor` of the last event.
   */
  events(options?: EventsOptions): AsyncIterableIterator<FollowedEvent>;
  /** Resolves when nothing that is due waits or is on its way. What waits for its time, or for another try, is not due. */
  idle(options?: IdleOptions): Promise<void>;
  /** Where SMTP is spoken, if `submission.listen` asks for it; as bound. */
  listening(): readonly { readonly host: string; readonly port: number }[];
  /**
   * Finishes what is on its way, within `shutdown.timeout`, and keeps the queue. Idempotent. With `signal` it is cut short: what is on its way
   * is broken off, stays queued, and goes out when the spool is opened again.
   */
  close(options?: WaitOptions): Promise<void>;
}
