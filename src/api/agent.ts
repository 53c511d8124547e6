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

import type { StartOptions } from '../agent.js';
import { errorOf, type Issues, isObject } from '../compose/checks.js';
import { createComposer } from '../compose/compose.js';
import { readMoment } from '../compose/moment.js';
import type { Config } from '../config/config.js';
import { parseId, statusOf } from '../control/reading.js';
import type { ChangeReport, ChangeRequest, LanesReport, QueueEntry, StatusWord, WhyReport } from '../control/types.js';
import { MtaError } from '../core/errors.js';
import type { MailEventType } from '../core/event.js';
import type { MessageId } from '../core/message.js';
import { createBroadAbort } from '../platform/abort.js';
import { aliveUntil } from '../platform/alive.js';
import { systemClock } from '../platform/clock.js';
import { silentLog } from '../platform/log.js';
import { systemRandom } from '../platform/random.js';
import type { MessageView, Query } from '../spool/spool.js';
import {
  type EventsOptions,
  type FailOptions,
  type IdleOptions,
  type InspectOptions,
  type LaneOptions,
  type MxLookupOptions,
  type PauseOptions,
  readEvents,
  readFail,
  readIdle,
  readInspect,
  readLanes,
  readMxLookup,
  readWait,
} from './asked.js';
import { openBatch, outsideBatches, runBatch } from './batch.js';
import type { Door, DoorVerbs } from './door.js';
import { createHandIn, type QueueOptions, type SendOptions, type Sent } from './hand-in.js';
import { openHome } from './home.js';
import { Listeners, type MailListener } from './listeners.js';
import type { FollowedEvent, MailAgent, PausedLane } from './mail-agent.js';
import { type MxLookup, mxLookupOf } from './mx.js';
import type { SentNow } from './now.js';
import { type MtaOptions, readMtaOptions } from './options.js';
import { readFilter, readSelection, type Selection } from './selection.js';
import { tellOn } from './telling.js';
import { opened, unlessAborted, type WaitOptions } from './waiting.js';

/**
 * Opens the spool and starts delivering. Rejects with `MtaError`: `INVALID_OPTIONS`, `SPOOL_LOCKED` (it names the owner),
 * `SPOOL_VERSION`, `SPOOL_FAILED`, `ADDRESS_IN_USE`, `ABORTED` with `signal`.
 */
export async function createMta(options: MtaOptions = {}): Promise<MailAgent> {
  const { loaded, log, shared, signal } = readMtaOptions(options);
  for (const { path, code, message } of loaded.warnings) log.warn('config.warning', { path, code }, message);
  const open = async () =>
    shared ? (await import('./shared.js')).openShared(loaded.config, { log }, signal) : openHome(loaded.config, { log });
  return agentBehind(await opened<Door>(signal, open, (door) => door.close(AbortSignal.abort())), { log });
}

/** The same in a world of one's own. */
export async function openAgent(config: Config, world: StartOptions): Promise<MailAgent> {
  return agentBehind(await openHome(config, world), world);
}

/** The API before an agent, wherever it is. */
export function agentBehind(door: Door, world: Pick<StartOptions, 'clock' | 'random' | 'log'>): MailAgent {
  return new Agent(door, world);
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
  /** Closing is cut short. */
  readonly #cut = new AbortController();
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
    return outsideBatches(() => this.#awaited(this.#handIn.now(options, (handed) => this.#door.now(handed))));
  }

  queue(options: QueueOptions & { readonly immediate: true }): Promise<SentNow>;
  queue(options: QueueOptions): Promise<Sent>;
  queue(options: QueueOptions): Promise<Sent> {
    if (isObject(options) && options.immediate === true) return this.immediate(options);
    return this.#handed(() => this.#handIn.queue(options));
  }

  async batch<T>(block: () => T | Promise<T>, options: WaitOptions = {}): Promise<T> {
    this.#open();
    if (typeof block !== 'function') throw errorOf([{ path: 'block', code: 'WRONG_TYPE', message: 'must be a function' }]);
    const { signal } = readWait(options);
    return unlessAborted(signal, () => this.#awaited(runBatch(block)));
  }

  async status(id: MessageId, options: WaitOptions = {}): Promise<StatusWord> {
    const { signal } = readWait(options);
    const view = await this.#known(id, signal, (verbs, parsed) => verbs.show(parsed, {}, signal));
    return view === undefined ? 'unknown' : statusOf(view).status;
  }

  async inspect(id: MessageId, options: InspectOptions = {}): Promise<MessageView | undefined> {
    const { page, signal } = readInspect(options);
    return this.#known(id, signal, (verbs, parsed) => verbs.show(parsed, page, signal));
  }

  async why(id: MessageId, options: WaitOptions = {}): Promise<WhyReport | undefined> {
    const { signal } = readWait(options);
    return this.#known(id, signal, (verbs, parsed) => verbs.why(parsed, signal));
  }

  list(selection: Selection = {}, options: WaitOptions = {}): AsyncIterable<QueueEntry> {
    this.#open();
    return this.#pages(readFilter(selection, this.#clock.now()), readWait(options).signal);
  }

  async hold(selection: Selection, options: WaitOptions = {}): Promise<ChangeReport> {
    return this.#change({ action: 'hold' }, selection, readWait(options));
  }

  async release(selection: Selection, options: WaitOptions = {}): Promise<ChangeReport> {
    return this.#change({ action: 'release' }, selection, readWait(options));
  }

  async retryNow(selection: Selection, options: WaitOptions = {}): Promise<ChangeReport> {
    return this.#change({ action: 'retry' }, selection, readWait(options));
  }

  async reschedule(selection: Selection, at: Date | string | number, options: WaitOptions = {}): Promise<ChangeReport> {
    const issues: Issues = [];
    const moment = readMoment(at, 'at', issues);
    if (moment === undefined) throw errorOf(issues);
    return this.#change({ action: 'reschedule', at: moment }, selection, readWait(options));
  }

  async fail(selection: Selection, options: FailOptions = {}): Promise<ChangeReport> {
    const { signal, ...reason } = readFail(options);
    return this.#change({ action: 'fail', ...reason }, selection, { signal });
  }

  async remove(selection: Selection, options: WaitOptions = {}): Promise<ChangeReport> {
    return this.#change({ action: 'remove' }, selection, readWait(options));
  }

  async pause(options: PauseOptions & WaitOptions): Promise<LanesReport> {
    const { lanes, signal } = readLanes(options, ['lane', 'domain', 'reason']);
    return this.#asked(signal, (verbs) => verbs.pause(lanes, signal));
  }

  async resume(options: LaneOptions & WaitOptions): Promise<LanesReport> {
    const { lanes, signal } = readLanes(options, ['lane', 'domain', 'all']);
    return this.#asked(signal, (verbs) => verbs.resume(lanes, signal));
  }

  async pauses(options: WaitOptions = {}): Promise<readonly PausedLane[]> {
    const { signal } = readWait(options);
    const found: PausedLane[] = [];
    for (let after: string | undefined, more = true; more; more = after !== undefined) {
      const page = await this.#asked(signal, (verbs) => verbs.lanes({ paused: true }, pageOf(after), signal));
      for (const { lane, paused } of page.items) if (paused !== undefined) found.push({ lane, ...paused });
      after = page.next;
    }
    return found;
  }

  async mxLookup(domain: string, options: MxLookupOptions = {}): Promise<MxLookup> {
    const { domain: name, how, signal } = readMxLookup(domain, options);
    const report = await this.#asked(signal, (verbs) => verbs.mx(name, how, signal));
    return mxLookupOf(report, this.#door.about.connectMs);
  }

  on<T extends MailEventType>(type: T, listener: MailListener<T>): this {
    this.#listeners.add(type, listener);
    return this;
  }

  off<T extends MailEventType>(type: T, listener: MailListener<T>): this {
    this.#listeners.remove(type, listener);
    return this;
  }

  /** Listens from now on, not from when the first one is asked for. */
  events(options: EventsOptions = {}): AsyncIterableIterator<FollowedEvent> {
    this.#open();
    const { after, signal } = readEvents(options);
    const ends = signal === undefined ? [this.#over.signal] : [this.#over.signal, signal];
    return tellOn((end) => this.#door.verbs.events(after, end), ends);
  }

  async idle(options: IdleOptions = {}): Promise<void> {
    this.#open();
    const { timeoutMs, signal } = readIdle(options);
    await this.#untilIdle(timeoutMs, signal);
  }

  listening(): readonly { readonly host: string; readonly port: number }[] {
    return this.#door.listening();
  }

  async close(options: WaitOptions = {}): Promise<void> {
    const { signal } = readWait(options);
    const cut = () => this.#cut.abort(signal?.reason);
    if (signal?.aborted) cut();
    signal?.addEventListener('abort', cut, { once: true });
    this.#closing ??= aliveUntil(this.#close());
    await this.#closing.finally(() => signal?.removeEventListener('abort', cut));
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
    if (this.#coming.size > 0) await this.#settled();
    await this.#door.close(this.#cut.signal);
    this.#over.abort();
  }

  /** What is being handed in has come to its end, or was waited for long enough. */
  #settled(): Promise<void> {
    return new Promise<void>((resolve) => {
      const timer = this.#clock.after(this.#door.about.patienceMs, resolve);
      const over = () => {
        timer.cancel();
        resolve();
      };
      if (this.#cut.signal.aborted) over();
      this.#cut.signal.addEventListener('abort', over, { once: true });
      void Promise.allSettled(this.#coming).then(over);
    });
  }

  async #asked<T>(signal: AbortSignal | undefined, ask: (verbs: DoorVerbs) => Promise<T>): Promise<T> {
    this.#open();
    return unlessAborted(signal, () => ask(this.#door.verbs));
  }

  /** Undefined of a message that nothing is known of. */
  async #known<T>(
    id: MessageId,
    signal: AbortSignal | undefined,
    ask: (verbs: DoorVerbs, id: MessageId) => Promise<T>,
  ): Promise<T | undefined> {
    this.#open();
    const parsed = typeof id === 'string' ? parseId(id) : undefined;
    if (parsed === undefined) return undefined;
    try {
      return await this.#asked(signal, (verbs) => ask(verbs, parsed));
    } catch (error) {
      if (error instanceof MtaError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  #change(request: Omit<ChangeRequest, 'selector'>, selection: Selection, { signal }: WaitOptions): Promise<ChangeReport> {
    const selector = readSelection(selection, this.#clock.now());
    return this.#asked(signal, (verbs) => verbs.change({ ...request, selector }, signal));
  }

  async *#pages(query: Query, signal: AbortSignal | undefined): AsyncGenerator<QueueEntry> {
    for (let after: string | undefined, more = true; more; more = after !== undefined) {
      const page = await this.#asked(signal, (verbs) => verbs.list(query, pageOf(after), signal));
      yield* page.items;
      after = page.next;
    }
  }
}
