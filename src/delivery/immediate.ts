/**
 * Mail that is sent now and never waits in the queue: it stands before the scheduler as the source of work, so that it leaves over the
 * same connections, within the same limits, ahead of whatever is queued.
 *
 *   routing ──► waiting (for a place) ──next──► sending ──► ended
 *                  ▲        │ siteTrouble, no place in time ─► ended
 *                  └─ untried, or the rest of its recipients ──┘
 *
 * Promises
 *  - Each recipient has exactly one outcome when `deliver` resolves: delivered, deferred or failed as its one attempt went. It rejects only
 *    where it was given up (`signal`, the end of the agent).
 *  - Nothing of it is written anywhere, and the queue's own work is passed on as it is.
 *  - Whoever waits for a place waits no longer than was asked for; a connection that is being opened counts as a place.
 *
 * Must not: retry, decide about mail of the queue, look at replies.
 */
import type { Carrier, ChannelKey, Job, Route, WorkSource } from '../core/carrier.js';
import type { Delivery } from '../core/delivery.js';
import { MtaError } from '../core/errors.js';
import type { Body } from '../core/message.js';
import type { RecipientOutcome, TransactionResult, Trouble } from '../core/outcome.js';
import type { Clock, Timer } from '../platform/clock.js';

export interface ImmediateOptions {
  /** How long a place is waited for. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** One for each recipient, in order. */
export interface ImmediateEnd {
  readonly outcomes: readonly RecipientOutcome[];
  /** Of the attempt, as `Attempt` keeps it; of several transactions the last. */
  readonly transcript?: string;
}

export interface ImmediateCarrier {
  /** What the pool asks for work. */
  readonly source: WorkSource;
  start(carrier: Pick<Carrier, 'route' | 'serve'>): void;
  deliver(delivery: Delivery, body: () => Promise<Body>, options: ImmediateOptions): Promise<ImmediateEnd>;
  /** What waits is given up; what is being sent goes on. */
  stop(): void;
}

class ImmediateJob implements Job {
  readonly delivery: Delivery;
  /** Places of `recipients` among those of the delivery. */
  readonly places: readonly number[];
  readonly bytes = undefined;
  readonly body: () => Promise<Body>;
  readonly sending: Sending;

  constructor(sending: Sending, places: readonly number[]) {
    this.sending = sending;
    this.delivery = sending.delivery;
    this.body = sending.body;
    this.places = places;
  }

  get recipients(): readonly string[] {
    return this.places.map((place) => this.delivery.recipients[place]!.address);
  }
}

/** A delivery on its way, from its route to its end. */
interface Sending {
  readonly delivery: Delivery;
  readonly body: () => Promise<Body>;
  readonly route: Route;
  readonly channels: ReadonlySet<ChannelKey>;
  readonly outcomes: (RecipientOutcome | undefined)[];
  transcript: string | undefined;
  /** What goes next, while it waits. */
  job: ImmediateJob | undefined;
  /** A connection was promised that has not asked yet. */
  served: boolean;
  /** It has waited long enough: the connection promised is the last. */
  late: boolean;
  timer: Timer | undefined;
  readonly resolve: (end: ImmediateEnd) => void;
  readonly reject: (error: Error) => void;
}

/** When a server that took nobody in a transaction is asked again is the caller's affair. */
const CROWDED: Trouble = {
  lasting: 'temporary',
  stage: 'rcpt',
  status: '4.5.3',
  text: 'the server took no more recipients in this transaction',
  reason: 'crowded',
};

export function createImmediateCarrier({ source, clock }: { source: WorkSource; clock: Clock }): ImmediateCarrier {
  return new Immediate(source, clock);
}

class Immediate implements ImmediateCarrier, WorkSource {
  readonly #queue: WorkSource;
  readonly #clock: Clock;
  /** In order of coming. */
  readonly #waiting = new Set<Sending>();
  #carrier: Pick<Carrier, 'route' | 'serve'> | undefined;
  #stopped = false;

  constructor(queue: WorkSource, clock: Clock) {
    this.#queue = queue;
    this.#clock = clock;
  }

  get source(): WorkSource {
    return this;
  }

  start(carrier: Pick<Carrier, 'route' | 'serve'>): void {
    this.#carrier = carrier;
  }

  stop(): void {
    this.#stopped = true;
    for (const sending of [...this.#waiting]) this.#drop(sending, stopping());
  }

  async deliver(delivery: Delivery, body: () => Promise<Body>, { timeoutMs, signal }: ImmediateOptions): Promise<ImmediateEnd> {
    if (signal.aborted) throw given(signal);
    const answer = await this.#carrier!.route(delivery.lane, signal).catch((error: unknown) => {
      throw signal.aborted ? given(signal) : error;
    });
    if (answer.kind === 'trouble') return { outcomes: delivery.recipients.map(() => ofTrouble(answer.trouble)) };
    if (this.#stopped) throw stopping();
    return this.#send(delivery, body, answer.route, timeoutMs, signal);
  }

  #send(delivery: Delivery, body: () => Promise<Body>, route: Route, timeoutMs: number, signal: AbortSignal): Promise<ImmediateEnd> {
    return new Promise<ImmediateEnd>((resolve, reject) => {
      const abort = () => this.#drop(sending, given(signal));
      const over = () => signal.removeEventListener('abort', abort);
      const sending: Sending = {
        delivery,
        body,
        route,
        channels: new Set(route.targets.map(({ channel }) => channel)),
        outcomes: delivery.recipients.map(() => undefined),
        transcript: undefined,
        job: undefined,
        served: false,
        late: false,
        timer: this.#clock.after(timeoutMs, () => this.#late(sending, timeoutMs)),
        resolve(end) {
          over();
          resolve(end);
        },
        reject(error) {
          over();
          reject(error);
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#wait(sending, [...delivery.recipients.keys()]);
    });
  }

  #wait(sending: Sending, places: readonly number[]): void {
    if (this.#stopped) {
      this.#drop(sending, stopping());
      return;
    }
    sending.job = new ImmediateJob(sending, places);
    this.#waiting.add(sending);
    this.#serve(sending);
  }

  #serve(sending: Sending): void {
    if (!sending.served) sending.served = this.#carrier!.serve(sending.route) === 'served';
  }

  #late(sending: Sending, timeoutMs: number): void {
    sending.timer = undefined;
    sending.late = true;
    if (sending.job !== undefined && !sending.served) this.#end(sending, noPlace(timeoutMs));
  }

  /** Those without an outcome get this one. */
  #end(sending: Sending, trouble: Trouble, transcript?: string): void {
    for (let place = 0; place < sending.outcomes.length; place++) sending.outcomes[place] ??= ofTrouble(trouble);
    this.#conclude(sending, transcript);
  }

  #conclude(sending: Sending, transcript: string | undefined): void {
    this.#leave(sending);
    const { outcomes } = sending;
    sending.transcript = transcript ?? sending.transcript;
    sending.resolve({
      outcomes: outcomes as readonly RecipientOutcome[],
      ...(sending.transcript === undefined ? {} : { transcript: sending.transcript }),
    });
  }

  /** What was on its way to a server may still arrive there. */
  #drop(sending: Sending, error: Error): void {
    this.#leave(sending);
    sending.reject(error);
  }

  #leave(sending: Sending): void {
    this.#waiting.delete(sending);
    sending.job = undefined;
    sending.timer?.cancel();
    sending.timer = undefined;
  }

  // — what connections ask and tell —

  next(channel: ChannelKey): Job | undefined {
    if (this.#waiting.size > 0) {
      for (const sending of this.#waiting) {
        if (!sending.channels.has(channel)) continue;
        const { job } = sending;
        this.#leave(sending);
        return job;
      }
    }
    return this.#queue.next(channel);
  }

  done(job: Job, result: TransactionResult): void {
    if (!(job instanceof ImmediateJob)) return this.#queue.done(job, result);
    const { sending, places } = job;
    const rest: number[] = [];
    let got = false;
    for (const [index, place] of places.entries()) {
      const outcome = result.outcomes[index]!;
      if (outcome.kind === 'again') rest.push(place);
      else {
        sending.outcomes[place] = outcome;
        got ||= outcome.kind !== 'deferred';
      }
    }
    if (rest.length === 0) this.#conclude(sending, result.transcript);
    // Who got rid of nobody would not fare better in the next one.
    else if (!got) this.#end(sending, { ...CROWDED, server: result.server }, result.transcript);
    else {
      sending.transcript = result.transcript;
      sending.served = false;
      this.#wait(sending, rest);
    }
  }

  untried(job: Job): void {
    if (!(job instanceof ImmediateJob)) return this.#queue.untried(job);
    job.sending.served = false;
    this.#wait(job.sending, job.places);
  }

  unreadable(job: Job, error: Error): void {
    if (!(job instanceof ImmediateJob)) return this.#queue.unreadable(job, error);
    this.#end(job.sending, {
      lasting: 'temporary',
      stage: 'local',
      status: '4.3.0',
      text: `the content cannot be read: ${error.message}`,
      reason: 'local',
    });
  }

  mayFinish(): true | Promise<void> {
    return this.#queue.mayFinish();
  }

  siteTrouble(route: Route, trouble: Trouble, transcript?: string): void {
    for (const sending of [...this.#waiting]) if (sending.route.site === route.site) this.#end(sending, trouble, transcript);
    this.#queue.siteTrouble(route, trouble, transcript);
  }

  siteWell(route: Route): void {
    this.#queue.siteWell(route);
  }

  /** A place is free: what must not wait asks first. */
  room(site: string): void {
    for (const sending of [...this.#waiting]) {
      if (sending.route.site === site) sending.served = false;
      this.#serve(sending);
      if (sending.late && !sending.served) this.#end(sending, noPlace());
    }
    this.#queue.room(site);
  }
}

function ofTrouble(trouble: Trouble): RecipientOutcome {
  return { kind: trouble.lasting === 'permanent' ? 'failed' : 'deferred', trouble };
}

function noPlace(timeoutMs?: number): Trouble {
  const within = timeoutMs === undefined ? 'in time' : `within ${timeoutMs / 1000} s`;
  return {
    lasting: 'temporary',
    stage: 'connect',
    status: '4.4.5',
    text: `there was no place for a connection to the server ${within}: all it may have are in use`,
    reason: 'noPlace',
  };
}

function given(signal: AbortSignal): MtaError {
  return new MtaError('ABORTED', 'sending was given up; what was on its way may still arrive', { cause: signal.reason });
}

function stopping(): MtaError {
  return new MtaError('ABORTED', 'the agent is stopping');
}
