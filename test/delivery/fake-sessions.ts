/** Connections and work that tests command: nothing here is a socket, everything is counted. */
import type { Job, Route, WorkSource } from '../../src/core/carrier.js';
import type { Delivery } from '../../src/core/delivery.js';
import type { Server, TransactionResult, Trouble } from '../../src/core/outcome.js';
import type { ChannelPolicy, Opened, RunEnd, Session, SessionWork } from '../../src/delivery/contract.js';

export function trouble(stage: Trouble['stage'], more: Partial<Trouble> = {}): Trouble {
  return { lasting: 'temporary', stage, status: '4.4.1', text: `no ${stage}`, ...more };
}

/** A session whose every step a test takes. */
export class FakeSession implements Session {
  readonly tls = undefined;
  messages = 0;
  runs = 0;
  /** What the last `next` gave. */
  job: Job | undefined;
  state: 'idle' | 'running' | 'closing' | 'closed' = 'idle';
  draining = false;
  work: SessionWork | undefined;
  readonly server: Server;
  readonly policy: ChannelPolicy;
  readonly #world: FakeWorld;
  #end: ((end: RunEnd) => void) | undefined;
  #closed: (() => void) | undefined;
  #lost: (() => void) | undefined;

  constructor(server: Server, policy: ChannelPolicy, world: FakeWorld) {
    this.server = server;
    this.policy = policy;
    this.#world = world;
  }

  run(work: SessionWork): Promise<RunEnd> {
    if (this.state === 'closed')
      return Promise.resolve({ kind: 'broken', trouble: trouble('mail', { reason: 'reset' }), reachedMail: true });
    if (this.state !== 'idle') throw new Error(`run while ${this.state}`);
    this.state = 'running';
    this.work = work;
    this.runs++;
    return new Promise((resolve) => {
      this.#end = resolve;
      if (this.#world.automatic) this.takeAll();
    });
  }

  /** Asks for a job. */
  take(): Job | undefined {
    this.job = this.work!.next();
    if (this.job !== undefined) this.messages++;
    return this.job;
  }

  /** Takes and delivers until there is nothing, or the connection is worn. */
  takeAll(): void {
    while (this.take() !== undefined) {
      this.deliver();
      if (this.messages >= this.#world.messagesPerConnection) {
        this.worn();
        return;
      }
    }
    this.idle();
  }

  deliver(outcomes?: TransactionResult['outcomes']): void {
    const job = this.job!;
    this.job = undefined;
    const delivered = job.recipients.map(() => ({ kind: 'delivered', status: '2.0.0', text: 'ok', server: this.server }) as const);
    this.work!.done(job, { startedAt: 0, endedAt: 0, server: this.server, outcomes: outcomes ?? delivered });
  }

  idle(): void {
    this.#finish('idle', { kind: 'idle' });
  }

  worn(): void {
    this.#finish('closed', { kind: 'worn' });
  }

  break(reachedMail: boolean, why: Trouble = trouble('mail', { reason: 'reset' })): void {
    if (this.job !== undefined) {
      const job = this.job;
      this.job = undefined;
      this.work!.untried(job);
    }
    this.#finish('closed', { kind: 'broken', trouble: why, reachedMail });
  }

  /** The peer closes while it is idle. */
  lose(): void {
    this.state = 'closed';
    this.#world.closed(this);
    this.#lost?.();
  }

  onLost(call: () => void): void {
    if (this.state === 'closed') call();
    else this.#lost = call;
  }

  quit(): Promise<void> {
    if (this.state === 'closed') return Promise.resolve();
    if (this.state !== 'idle') throw new Error(`quit while ${this.state}`);
    this.state = 'closing';
    return new Promise((resolve) => {
      this.#closed = resolve;
      if (this.#world.automatic) this.closed();
    });
  }

  /** The QUIT is answered. */
  closed(): void {
    this.state = 'closed';
    this.#world.closed(this);
    this.#closed?.();
  }

  destroy(): void {
    if (this.state === 'running') this.break(true, trouble('content', { reason: 'stopped' }));
    else if (this.state === 'closing') this.closed();
  }

  drain(): Promise<void> {
    this.draining = true;
    return Promise.resolve();
  }

  #finish(state: 'idle' | 'closed', end: RunEnd): void {
    this.state = state;
    if (state === 'closed') this.#world.closed(this);
    this.#end!(end);
  }
}

export interface Opening {
  readonly server: Server;
  readonly policy: ChannelPolicy;
  accept(): FakeSession;
  refuse(why: Trouble): void;
}

export interface WorldOptions {
  /** Sessions take and deliver by themselves, and quit at once. */
  readonly automatic?: boolean;
  readonly messagesPerConnection?: number;
  /** Called after every change in what is open, to check limits at every instant. */
  readonly onChange?: (world: FakeWorld) => void;
}

/** All servers there are: connections wait here to be accepted or refused, and are counted. */
export class FakeWorld {
  readonly automatic: boolean;
  readonly messagesPerConnection: number;
  readonly openings: Opening[] = [];
  readonly sessions: FakeSession[] = [];
  /** Open or opening now, by `address:port`. */
  readonly open = new Map<string, number>();
  readonly #onChange: (world: FakeWorld) => void;

  constructor(options: WorldOptions = {}) {
    this.automatic = options.automatic ?? false;
    this.messagesPerConnection = options.messagesPerConnection ?? 100;
    this.#onChange = options.onChange ?? (() => {});
  }

  get total(): number {
    let total = 0;
    for (const count of this.open.values()) total += count;
    return total;
  }

  get live(): FakeSession[] {
    return this.sessions.filter(({ state }) => state !== 'closed');
  }

  readonly openSession = (server: Server, policy: ChannelPolicy, signal: AbortSignal): Promise<Opened> => {
    this.#count(server, 1);
    return new Promise((resolve) => {
      const settle = (opened: Opened) => {
        this.openings.splice(this.openings.indexOf(opening), 1);
        signal.removeEventListener('abort', aborted);
        resolve(opened);
      };
      const opening: Opening = {
        server,
        policy,
        accept: () => {
          const session = new FakeSession(server, policy, this);
          this.sessions.push(session);
          settle({ kind: 'open', session });
          return session;
        },
        refuse: (why) => {
          this.#count(server, -1);
          settle({ kind: 'trouble', trouble: why });
        },
      };
      const aborted = () => opening.refuse(trouble('connect', { reason: 'stopped' }));
      this.openings.push(opening);
      signal.addEventListener('abort', aborted, { once: true });
    });
  };

  closed(session: FakeSession): void {
    this.#count(session.server, -1);
  }

  #count({ address, port }: Server, by: number): void {
    const key = `${address}:${port}`;
    this.open.set(key, (this.open.get(key) ?? 0) + by);
    this.#onChange(this);
  }
}

/** Work by channel, and a record of what was told. */
export class FakeSource implements WorkSource {
  readonly jobs = new Map<string, Job[]>();
  readonly told: string[] = [];
  readonly troubles: { route: Route; trouble: Trouble }[] = [];
  readonly outcomes: TransactionResult[] = [];
  onRoom: ((site: string) => void) | undefined;
  asked = 0;

  add(channel: string, count = 1): void {
    const queue = this.jobs.get(channel) ?? [];
    this.jobs.set(channel, queue);
    for (let n = 0; n < count; n++) queue.push(fakeJob());
  }

  next(channel: string): Job | undefined {
    this.asked++;
    return this.jobs.get(channel)?.shift();
  }

  done(_job: Job, result: TransactionResult): void {
    this.outcomes.push(result);
    this.told.push('done');
  }

  untried(): void {
    this.told.push('untried');
  }

  unreadable(): void {
    this.told.push('unreadable');
  }

  mayFinish(): true {
    return true;
  }

  siteTrouble(route: Route, why: Trouble): void {
    this.troubles.push({ route, trouble: why });
    this.told.push(`trouble ${route.site}`);
  }

  siteWell(route: Route): void {
    this.told.push(`well ${route.site}`);
  }

  room(site: string): void {
    this.told.push(`room ${site}`);
    this.onRoom?.(site);
  }
}

let counter = 0;

export function fakeJob(recipients: readonly string[] = ['a@example.com']): Job {
  const delivery = { key: `fake.${counter++}` } as Delivery;
  return { delivery, recipients, bytes: Buffer.from('x'), body: () => Promise.reject(new Error('in memory')) };
}
