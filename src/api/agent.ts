/**
 * The agent inside another program: what `createMta` gives.
 *
 *   open ──close()──► closing (what was being handed in is stored, what is on its way is finished) ──► closed
 *
 * Promises
 *  - No listener, environment, signal handler, control socket or output but what the options ask for.
 *  - Options that there are not are errors, named; none is passed over.
 *  - `send` and `queue` resolve when the message is durable (G1), and what rejects has stored nothing.
 *  - The process lives on while something is waited for here; waiting mail alone does not keep it.
 *
 * Must not: hold anything of the queue; every answer is the spool's.
 */
import { boolean, errorOf, type Issues, isObject, line, onlyKnown, put } from '../compose/checks.js';
import { createComposer } from '../compose/compose.js';
import { readMoment } from '../compose/moment.js';
import type { ConfigOptions, LoadedConfig } from '../config/config.js';
import { configFromOptions } from '../config/load.js';
import { parseId, statusOf } from '../control/reading.js';
import type { ChangeReport, ChangeRequest, LaneSelector, LanesReport, QueueEntry, StatusWord, ViewPage } from '../control/types.js';
import { MtaError } from '../core/errors.js';
import type { MailEvent, MailEventType } from '../core/event.js';
import type { LaneKey } from '../core/lane.js';
import type { MessageId } from '../core/message.js';
import type { StartOptions } from '../mta.js';
import { createBroadAbort } from '../platform/abort.js';
import { aliveUntil } from '../platform/alive.js';
import { systemClock } from '../platform/clock.js';
import { type Log, silentLog } from '../platform/log.js';
import { systemRandom } from '../platform/random.js';
import { type MessageView, type Pause, type Query, VIEWED } from '../spool/spool.js';
import { openBatch, outsideBatches, runBatch } from './batch.js';
import type { Door } from './door.js';
import { createHandIn, type QueueOptions, readSignal, type SendOptions, type Sent } from './hand-in.js';
import { openHome } from './home.js';
import { Listeners, type MailListener } from './listeners.js';
import { type MxLookup, mxLookupOf } from './mx.js';
import type { SentNow } from './now.js';
import { readDomainName, readFilter, readSelection, readSpan, type Selection } from './selection.js';
import { openShared } from './shared.js';

/** The configuration as an object: durations may be bare milliseconds, sizes bare octets. */
export interface MtaOptions extends Omit<ConfigOptions, 'log' | 'control'> {
  /** Told what the agent does. Default: nobody is. */
  readonly log?: Log | undefined;
  /**
   * Other processes of the same program may open the same spool: one of them owns it, the others work through its control socket, and
   * when it ends, one of them takes its place. Default: a second one gets `SPOOL_LOCKED`.
   */
  readonly shared?: boolean | undefined;
}

export interface MxLookupOptions {
  readonly refresh?: boolean | undefined;
  readonly hostname?: string | undefined;
}

export interface IdleOptions {
  /** Rejects with `ABORTED` after so many seconds, or so long as `'30s'` says. */
  readonly timeout?: number | string | undefined;
  /** Rejects with `ABORTED`. */
  readonly signal?: AbortSignal | undefined;
}

export interface EventsOptions {
  /** The `cursor` of an event, or a moment: a Date, epoch milliseconds, or ISO 8601 with an offset. Default: nothing of before. */
  readonly after?: Date | string | number | undefined;
  /** Ends the reading. */
  readonly signal?: AbortSignal | undefined;
}

/** `cursor`: handed in as `after`, it brings whatever was not told before this event, and perhaps a little of what was. */
export type FollowedEvent = MailEvent & { readonly cursor: number };

/** One lane by its key, or all lanes of a domain; to resume, `all` for every one that is paused. */
export interface LaneOptions {
  /** Its key, as `mx:example.com`. */
  readonly lane?: LaneKey | undefined;
  /** All lanes that hold mail for this domain alone. */
  readonly domain?: string | undefined;
  /** To resume: every lane that is paused. */
  readonly all?: true | undefined;
}

export interface PauseOptions extends Omit<LaneOptions, 'all'> {
  /** Shown wherever the lane is. */
  readonly reason?: string | undefined;
}

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
   * when it is durable.
   */
  batch<T>(block: () => T | Promise<T>): Promise<T>;
  /** `queued` while a recipient is open, else `sent` if all were delivered, else `error`; `unknown` for an id never seen, or long ago. */
  status(id: MessageId): Promise<StatusWord>;
  /**
   * Everything that is known of a message: recipients, attempts, errors, next attempt. Undefined where its status is `unknown`. Of a merge, with its thousands of recipients, the first of them and how many are in which state; those that follow with the `next` of
   * what came before.
   */
  inspect(id: MessageId, page?: ViewPage): Promise<MessageView | undefined>;
  /** Deliveries in the queue, read page by page; what comes or goes meanwhile may be shown or not. */
  list(selection?: Selection): AsyncIterable<QueueEntry>;
  /** Nothing of it is sent until it is released. */
  hold(selection: Selection): Promise<ChangeReport>;
  /** What was held goes on: at once, or when it is due. */
  release(selection: Selection): Promise<ChangeReport>;
  /** What waits is tried now. */
  retryNow(selection: Selection): Promise<ChangeReport>;
  /** Tried next at that moment: a Date, epoch milliseconds, or ISO 8601 with an offset. What is held stays held; a past moment is now. */
  reschedule(selection: Selection, at: Date | string | number): Promise<ChangeReport>;
  /** Tried no more: its recipients have failed, and the sender is told so, with the reason and with what was heard last. */
  fail(selection: Selection, options?: { readonly reason?: string | undefined }): Promise<ChangeReport>;
  /** Takes them out of the queue for good. No bounce is sent. */
  remove(selection: Selection): Promise<ChangeReport>;
  /**
   * Nothing of these lanes is sent from when this resolves, but what is on its way, until they are resumed: also after a restart. A
   * domain stands for the lanes that hold mail for it alone; where its mail goes through a relay, that lane must be named.
   */
  pause(lanes: PauseOptions): Promise<LanesReport>;
  /** Names the lanes that were paused. */
  resume(lanes: LaneOptions): Promise<LanesReport>;
  /** The lanes that are paused, since when, and why. */
  pauses(): Promise<readonly PausedLane[]>;
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
  /** Finishes what is on its way, within `shutdown.timeout`, and keeps the queue. Idempotent. */
  close(): Promise<void>;
}

/**
 * Opens the spool and starts delivering. Rejects with `MtaError`: `INVALID_OPTIONS`, `SPOOL_LOCKED` (it names the owner),
 * `SPOOL_VERSION`, `SPOOL_FAILED`, `ADDRESS_IN_USE`.
 */
export async function createMta(options: MtaOptions = {}): Promise<MailAgent> {
  const { loaded, log, shared } = readOptions(options);
  for (const { path, code, message } of loaded.warnings) log.warn('config.warning', { path, code }, message);
  return shared ? agentBehind(await openShared(loaded.config, { log }), { log }) : openAgent(loaded.config, { log });
}

/** The same in a world of one's own. */
export async function openAgent(config: LoadedConfig['config'], world: StartOptions): Promise<MailAgent> {
  return agentBehind(await openHome(config, world), world);
}

/** The API before an agent, wherever it is. */
export function agentBehind(door: Door, world: Pick<StartOptions, 'clock' | 'random' | 'log'>): MailAgent {
  return new Agent(door, world);
}

/** All that is wrong at once, whichever side found it. */
function readOptions(options: unknown): { readonly loaded: LoadedConfig; readonly log: Log; readonly shared: boolean } {
  const issues: Issues = [];
  if (!isObject(options)) {
    put(issues, 'options', 'WRONG_TYPE', 'must be an object');
    throw errorOf(issues);
  }
  const { log, control, shared: given, ...settings } = options;
  const shared = given === undefined ? false : boolean(given, 'shared', issues);
  if (control !== undefined) put(issues, 'control', 'UNKNOWN_FIELD', 'an agent within a program has no control socket');
  if (log !== undefined && !isLog(log))
    put(issues, 'log', 'WRONG_TYPE', 'must be an object with the functions debug, info, warn and error');
  let loaded: LoadedConfig | undefined;
  try {
    loaded = configFromOptions(settings);
  } catch (error) {
    if (!(error instanceof MtaError)) throw error;
    issues.push(...error.issues);
  }
  if (loaded === undefined || issues.length > 0) throw errorOf(issues);
  return { loaded, log: isLog(log) ? log : silentLog, shared: shared === true };
}

/** An object of options, of which no other is given. */
function known(options: unknown, names: readonly string[], issues: Issues): Readonly<Record<string, unknown>> {
  if (!isObject(options)) {
    put(issues, 'options', 'WRONG_TYPE', 'must be an object');
    return {};
  }
  onlyKnown(options, names, '', issues);
  return options;
}

function readLanes(given: unknown, names: readonly ('lane' | 'domain' | 'all' | 'reason')[]): LaneSelector & { readonly reason?: string } {
  const issues: Issues = [];
  const { lane, domain, all, reason } = known(given, names, issues);
  if (!(all === undefined || all === true)) put(issues, 'all', 'INVALID_VALUE', 'must be true where it is given');
  const read = {
    lane: lane === undefined ? undefined : line(lane, 'lane', issues),
    domain: domain === undefined ? undefined : readDomainName(domain, 'domain', issues),
    reason: reason === undefined ? undefined : line(reason, 'reason', issues),
    all: all === true ? all : undefined,
  };
  if (issues.length > 0) throw errorOf(issues);
  return Object.fromEntries(Object.entries(read).filter(([, value]) => value !== undefined));
}

function isLog(log: unknown): log is Log {
  return isObject(log) && ['debug', 'info', 'warn', 'error'].every((level) => typeof log[level] === 'function');
}

function readPage(given: unknown): ViewPage {
  const issues: Issues = [];
  const { limit, after } = known(given, ['limit', 'after'], issues);
  if (limit !== undefined && !(Number.isInteger(limit) && (limit as number) >= 1 && (limit as number) <= VIEWED))
    put(issues, 'limit', 'OUT_OF_RANGE', `must be a whole number from 1 to ${VIEWED}`);
  if (after !== undefined && !(typeof after === 'string' && /^\d{1,9}$/.test(after)))
    put(issues, 'after', 'INVALID_VALUE', 'must be the next of the page before');
  if (issues.length > 0) throw errorOf(issues);
  return { ...(limit === undefined ? {} : { limit: limit as number }), ...(after === undefined ? {} : { after: after as string }) };
}

function closed(): MtaError {
  return new MtaError('SPOOL_CLOSED', 'the agent was closed');
}

/** Deliveries, or lanes, read at once by a listing. */
const PAGE = 256;

function pageOf(after: string | undefined): { readonly limit: number; readonly after?: string } {
  return { limit: PAGE, ...(after === undefined ? {} : { after }) };
}

class Agent implements MailAgent {
  readonly #door: Door;
  readonly #clock: NonNullable<StartOptions['clock']>;
  readonly #listeners: Listeners;
  readonly #handIn: ReturnType<typeof createHandIn>;
  /** What is being handed in. */
  readonly #coming = new Set<Promise<unknown>>();
  /** For those who read events: nothing comes any more. */
  readonly #over = createBroadAbort();
  #closing: Promise<void> | undefined;

  constructor(door: Door, { clock = systemClock, random = systemRandom, log = silentLog }: Pick<StartOptions, 'clock' | 'random' | 'log'>) {
    const { hostname, maxRecipients } = door.about;
    this.#door = door;
    this.#clock = clock;
    this.#listeners = new Listeners(log);
    this.#handIn = createHandIn({
      composer: createComposer({ now: () => clock.now(), random, hostname }),
      clock,
      maxRecipients,
      take: (handed) => door.take(handed),
    });
    door.listen((event) => this.#listeners.tell(event));
  }

  send(options: SendOptions & { readonly immediate: true }): Promise<SentNow>;
  send(options: SendOptions): Promise<Sent>;
  send(options: SendOptions): Promise<Sent> {
    if (isObject(options) && options.immediate === true) return this.immediate(options);
    return this.#handed(() => this.#handIn.send(options));
  }

  async immediate(options: SendOptions | QueueOptions): Promise<SentNow> {
    this.#open();
    const handed = this.#handIn.now(options);
    return outsideBatches(() => this.#awaited(this.#door.now(handed)));
  }

  queue(options: QueueOptions & { readonly immediate: true }): Promise<SentNow>;
  queue(options: QueueOptions): Promise<Sent>;
  queue(options: QueueOptions): Promise<Sent> {
    if (isObject(options) && options.immediate === true) return this.immediate(options);
    return this.#handed(() => this.#handIn.queue(options));
  }

  async batch<T>(block: () => T | Promise<T>): Promise<T> {
    this.#open();
    if (typeof block !== 'function') throw errorOf([{ path: 'block', code: 'WRONG_TYPE', message: 'must be a function' }]);
    return this.#awaited(runBatch(block));
  }

  async status(id: MessageId): Promise<StatusWord> {
    const view = await this.inspect(id);
    return view === undefined ? 'unknown' : statusOf(view).status;
  }

  async inspect(id: MessageId, page: ViewPage = {}): Promise<MessageView | undefined> {
    this.#open();
    const after = readPage(page);
    const parsed = typeof id === 'string' ? parseId(id) : undefined;
    if (parsed === undefined) return undefined;
    try {
      return await this.#door.verbs.show(parsed, after);
    } catch (error) {
      if (error instanceof MtaError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  list(selection: Selection = {}): AsyncIterable<QueueEntry> {
    this.#open();
    return this.#pages(readFilter(selection, this.#clock.now()));
  }

  hold(selection: Selection): Promise<ChangeReport> {
    return this.#change({ action: 'hold' }, selection);
  }

  release(selection: Selection): Promise<ChangeReport> {
    return this.#change({ action: 'release' }, selection);
  }

  retryNow(selection: Selection): Promise<ChangeReport> {
    return this.#change({ action: 'retry' }, selection);
  }

  async reschedule(selection: Selection, at: Date | string | number): Promise<ChangeReport> {
    const issues: Issues = [];
    const moment = readMoment(at, 'at', issues);
    if (moment === undefined) throw errorOf(issues);
    return this.#change({ action: 'reschedule', at: moment }, selection);
  }

  async fail(selection: Selection, options: { readonly reason?: string | undefined } = {}): Promise<ChangeReport> {
    const issues: Issues = [];
    const given = known(options, ['reason'], issues)['reason'];
    const reason = given === undefined ? undefined : line(given, 'reason', issues);
    if (issues.length > 0) throw errorOf(issues);
    return this.#change({ action: 'fail', ...(reason === undefined ? {} : { reason }) }, selection);
  }

  remove(selection: Selection): Promise<ChangeReport> {
    return this.#change({ action: 'remove' }, selection);
  }

  async pause(lanes: PauseOptions): Promise<LanesReport> {
    this.#open();
    return this.#door.verbs.pause(readLanes(lanes, ['lane', 'domain', 'reason']));
  }

  async resume(lanes: LaneOptions): Promise<LanesReport> {
    this.#open();
    return this.#door.verbs.resume(readLanes(lanes, ['lane', 'domain', 'all']));
  }

  async pauses(): Promise<readonly PausedLane[]> {
    const found: PausedLane[] = [];
    for (let after: string | undefined, more = true; more; more = after !== undefined) {
      this.#open();
      const page = await this.#door.verbs.lanes({ paused: true }, pageOf(after));
      for (const { lane, paused } of page.items) if (paused !== undefined) found.push({ lane, ...paused });
      after = page.next;
    }
    return found;
  }

  async mxLookup(domain: string, options: MxLookupOptions = {}): Promise<MxLookup> {
    this.#open();
    const issues: Issues = [];
    const name = readDomainName(domain, 'domain', issues);
    const given = known(options, ['refresh', 'hostname'], issues);
    const refresh = given['refresh'] === undefined ? false : boolean(given['refresh'], 'refresh', issues);
    const hostname = given['hostname'] === undefined ? undefined : line(given['hostname'], 'hostname', issues);
    if (name === undefined || refresh === undefined || issues.length > 0) throw errorOf(issues);
    return mxLookupOf(
      await this.#door.verbs.mx(name, { refresh, ...(hostname === undefined ? {} : { hostname }) }),
      this.#door.about.connectMs,
    );
  }

  on<T extends MailEventType>(type: T, listener: MailListener<T>): this {
    this.#listeners.add(type, listener);
    return this;
  }

  off<T extends MailEventType>(type: T, listener: MailListener<T>): this {
    this.#listeners.remove(type, listener);
    return this;
  }

  events(options: EventsOptions = {}): AsyncIterableIterator<FollowedEvent> {
    this.#open();
    const issues: Issues = [];
    const { after, signal } = known(options, ['after', 'signal'], issues);
    const from = after === undefined ? undefined : readMoment(after, 'after', issues);
    const until = signal === undefined ? undefined : readSignal(signal, 'signal', issues);
    if (issues.length > 0) throw errorOf(issues);
    return this.#told(from, until);
  }

  async idle(options: IdleOptions = {}): Promise<void> {
    this.#open();
    const issues: Issues = [];
    const { timeout, signal } = known(options, ['timeout', 'signal'], issues);
    const ms = timeout === undefined ? undefined : readSpan(timeout, 'timeout', issues);
    const until = signal === undefined ? undefined : readSignal(signal, 'signal', issues);
    if (issues.length > 0) throw errorOf(issues);
    await this.#untilIdle(ms, until);
  }

  listening(): readonly { readonly host: string; readonly port: number }[] {
    return this.#door.listening();
  }

  close(): Promise<void> {
    this.#closing ??= aliveUntil(this.#close());
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #untilIdle(ms: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    const over = new AbortController();
    const abort = () => over.abort(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    const timer = ms === undefined ? undefined : this.#clock.after(ms, () => over.abort());
    try {
      await aliveUntil(this.#door.idle(over.signal));
    } finally {
      timer?.cancel();
      signal?.removeEventListener('abort', abort);
    }
  }

  #open(): void {
    if (this.#closing !== undefined) throw closed();
  }

  /** The very promise that the caller has is what a batch waits for. */
  #handed(handIn: () => Promise<Sent>): Promise<Sent> {
    const work = this.#closing === undefined ? this.#awaited(handIn()) : Promise.reject<Sent>(closed());
    openBatch()?.follow(work);
    return work;
  }

  async #awaited<T>(work: Promise<T>): Promise<T> {
    this.#coming.add(work);
    try {
      return await work;
    } finally {
      this.#coming.delete(work);
    }
  }

  async #close(): Promise<void> {
    if (this.#coming.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.after(this.#door.about.patienceMs, resolve);
        const over = () => {
          timer.cancel();
          resolve();
        };
        void Promise.allSettled(this.#coming).then(over);
      });
    }
    await this.#door.close();
    this.#over.abort();
  }

  async #change(request: Omit<ChangeRequest, 'selector'>, selection: Selection): Promise<ChangeReport> {
    this.#open();
    return this.#door.verbs.change({ ...request, selector: readSelection(selection, this.#clock.now()) });
  }

  /** Listens from now on, not from when the first one is asked for. */
  #told(after: number | undefined, signal: AbortSignal | undefined): AsyncIterableIterator<FollowedEvent> {
    const over = new AbortController();
    const end = () => over.abort();
    const signals = signal === undefined ? [this.#over.signal] : [this.#over.signal, signal];
    if (signals.some(({ aborted }) => aborted)) end();
    for (const one of signals) one.addEventListener('abort', end, { once: true });
    const told = this.#door.verbs.events(after, over.signal)[Symbol.asyncIterator]();
    const first = told.next();
    first.catch(() => {});
    return (async function* () {
      try {
        for (let next = await aliveUntil(first); !next.done; next = await aliveUntil(told.next())) {
          const { event, cursor } = next.value;
          yield { ...event, cursor };
        }
      } finally {
        end();
        for (const one of signals) one.removeEventListener('abort', end);
      }
    })();
  }

  async *#pages(query: Query): AsyncGenerator<QueueEntry> {
    for (let after: string | undefined, more = true; more; more = after !== undefined) {
      this.#open();
      const page = await this.#door.verbs.list(query, pageOf(after));
      yield* page.items;
      after = page.next;
    }
  }
}
