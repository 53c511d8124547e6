/**
 * The connections outward: which exist, what each is doing, and which is opened or closed next.
 *
 *   opening ──ready──► busy ──nothing to do──► idle ──asked for──► busy
 *      │                │ worn, broken           │ idle too long, place needed elsewhere, lost
 *      └──trouble───────┴──────────► gone ◄──────┴── closing
 *
 * Promises
 *  - G5 at every instant: opening and closing connections take their place too, and give it back only once closed.
 *  - Connections are opened to the best servers that answer: a worse preference only while no better one does (RFC 5321
 *    §5.1), the least busy of equal ones first. A server that failed lately is tried last, so it does not cost everyone a
 *    timeout. A connection that is open is used as long as it lasts.
 *  - One attempt goes through the servers until one takes it; trouble is told once per site, when the last attempt
 *    under way has failed too and nothing of the site works.
 *  - `serve` calls nothing of the source before it has returned; what it must tell comes later.
 *  - Every `served` is followed by a `next`, a `siteTrouble` or a `room`; every end of a connection by a `room`.
 *
 * It must not: look at replies, decide about mail, wait for anything but sessions.
 */
import type { Served, WorkSource } from '../core/carrier.js';
import type { Server, Trouble } from '../core/outcome.js';
import { createBroadAbort } from '../platform/abort.js';
import type { Clock } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import { Connection } from './connection.js';
import type { ChannelPolicy, Opened } from './contract.js';
import { type ServerLimits, Servers } from './servers.js';
import type { SiteRoute, SiteTarget } from './sites.js';
import { combineTroubles, scopeOf, type Tried, transcriptOf } from './tried.js';

/** One connection, made or not. When `signal` aborts it ends in trouble with the reason `stopped`. */
export type OpenSession = (server: Server, policy: ChannelPolicy, signal: AbortSignal) => Promise<Opened>;

/** What may change while it works. */
export interface PoolLimits {
  readonly limits: ServerLimits;
  /** How long a connection without work is kept. */
  readonly idleTimeoutMs: number;
}

export interface PoolOptions extends PoolLimits {
  readonly clock: Clock;
  readonly log: Log;
  readonly source: WorkSource;
  readonly openSession: OpenSession;
}

/** A connection that could not carry mail. */
type Failed = { readonly trouble: Trouble; readonly transcript?: string };

/** When the cap is reached, this share of it is freed of idle connections at the same time. */
const EVICTED_AT_ONCE = 1 / 20;

export class Pool {
  readonly #options: PoolOptions;
  #limits: PoolLimits;
  readonly #servers: Servers;
  readonly #all = new Set<Connection>();
  /** By channel, the one used last at the end: surplus ones stay unused and end. */
  readonly #idle = new Map<string, Connection[]>();
  /** All idle ones, the longest idle first. */
  readonly #idleOrder = new Set<Connection>();
  /** Attempts under way, by site. */
  readonly #opening = new Map<string, number>();
  /** Sites refused because one attempt has to find out first whether anybody answers. */
  readonly #refusedForProbe = new Set<string>();
  readonly #stopping = createBroadAbort();
  #closing = 0;
  /** Somebody was refused for the cap since `room` was last called. */
  #refusedForCap = false;
  #closed: (() => void) | undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#limits = options;
    this.#servers = new Servers(options.limits, options.clock);
  }

  serve(route: SiteRoute): Served {
    if (this.#stopping.signal.aborted) return 'full';
    const idle = this.#takeIdle(route);
    if (idle !== undefined) {
      idle.phase = 'busy';
      idle.route = route;
      queueMicrotask(() => void this.#run(idle, []));
      return 'served';
    }
    const target = this.#choose(route, []);
    if (typeof target === 'string') {
      this.#waitFor(route);
      return 'full';
    }
    if (this.#servers.capped) {
      this.#evictForCap();
      this.#refusedForCap = true;
      return 'capped';
    }
    void this.#attempt(route, target, []);
    return 'served';
  }

  /** Other limits, at once: a connection above them takes no more work, and ends when what it has begun is done. */
  renew(limits: PoolLimits): void {
    this.#limits = limits;
    this.#servers.renew(limits.limits);
    const { connectionsPerServer, maxConnections } = limits.limits;
    const kept = new Map<string, number>();
    let all = 0;
    // Those that have something to finish are kept before idle ones.
    const working = [...this.#all].filter(({ phase }) => phase === 'busy' || phase === 'opening');
    for (const connection of [...working, ...[...this.#idleOrder].reverse()]) {
      const { server } = connection.target;
      const here = kept.get(server) ?? 0;
      connection.surplus = here >= connectionsPerServer || all >= maxConnections;
      if (!connection.surplus) {
        kept.set(server, here + 1);
        all++;
      } else if (connection.phase === 'idle') this.#retire(connection, 'limit lowered');
    }
    // There may be room where there was none. Whom the cap refused is told with the word to any site.
    const [any] = this.#all;
    const told = new Set(this.#servers.takeAllWaiting());
    if (this.#refusedForCap && any !== undefined) told.add(any.route.site);
    this.#refusedForCap = false;
    for (const site of told) this.#options.source.room(site);
  }

  connections(): Map<string, { open: number; busy: number }> {
    const counts = new Map<string, { open: number; busy: number }>();
    for (const { name, phase } of this.#all) {
      const count = counts.get(name) ?? { open: 0, busy: 0 };
      counts.set(name, count);
      count.open++;
      if (phase === 'busy') count.busy++;
    }
    return counts;
  }

  /** Ends what is idle or opening, lets dots already sent be answered, and at `signal` drops the rest. Resolves when all are gone. */
  async close(signal: AbortSignal): Promise<void> {
    this.#stopping.abort();
    const gone = new Promise<void>((resolve) => {
      const before = this.#closed;
      this.#closed = () => {
        before?.();
        resolve();
      };
    });
    for (const connection of this.#all) {
      if (connection.phase === 'idle') this.#retire(connection, 'stopping');
      else if (connection.phase === 'busy') void connection.session?.drain();
    }
    const drop = () => {
      for (const { session } of this.#all) session?.destroy();
    };
    if (signal.aborted) drop();
    else signal.addEventListener('abort', drop, { once: true });
    if (this.#all.size === 0) this.#closed?.();
    await gone;
    signal.removeEventListener('abort', drop);
  }

  // — choosing —

  #takeIdle(route: SiteRoute): Connection | undefined {
    for (const { channel } of route.targets) {
      const connection = this.#idle.get(channel)?.at(-1);
      if (connection === undefined) continue;
      this.#leaveIdle(connection);
      return connection;
    }
    return undefined;
  }

  /** `full`: there are servers left to try, but no place at them now. `exhausted`: all were tried, none works. */
  #choose(route: SiteRoute, tried: readonly Tried[]): SiteTarget | 'full' | 'exhausted' {
    const servers = this.#servers;
    const wasTried = (target: SiteTarget) => tried.find((one) => one.target === target);
    const best = route.targets.find((target) => !servers.isFailing(target) && wasTried(target)?.crowded !== false);
    if (best === undefined) {
      // Nobody answers: one attempt at a time finds out whether that is over.
      const left = route.targets.filter((target) => wasTried(target) === undefined);
      if (left.length === 0) return 'exhausted';
      if (tried.length === 0 && this.#opening.has(route.site)) {
        this.#refusedForProbe.add(route.site);
        return 'full';
      }
      return left.find((target) => servers.hasRoom(target)) ?? 'full';
    }
    let chosen: SiteTarget | undefined;
    for (const target of route.targets) {
      if (target.preference !== best.preference || servers.isFailing(target) || wasTried(target) || !servers.hasRoom(target)) continue;
      if (chosen === undefined || servers.taken(target) < servers.taken(chosen)) chosen = target;
    }
    return chosen ?? 'full';
  }

  #waitFor(route: SiteRoute): void {
    for (const target of route.targets) {
      if (this.#servers.hasRoom(target)) continue;
      this.#servers.wait(target, route.site);
      this.#evictAt(target);
    }
  }

  /** An idle connection of somebody else's channel keeps a place that is wanted. */
  #evictAt(wanted: SiteTarget): void {
    for (const connection of this.#idleOrder) {
      if (connection.target.server !== wanted.server) continue;
      let closing = 0;
      for (const { phase, target } of this.#all) if (phase === 'closing' && target.server === wanted.server) closing++;
      // Where the limit was lowered, a connection that ends need not leave a place.
      if (!this.#servers.hasRoom(wanted, closing)) this.#retire(connection, 'place needed');
      return;
    }
  }

  #evictForCap(): void {
    const { maxConnections } = this.#limits.limits;
    const wanted = Math.max(1, Math.ceil(maxConnections * EVICTED_AT_ONCE)) + Math.max(0, this.#servers.total - maxConnections);
    for (const connection of this.#idleOrder) {
      if (this.#closing >= wanted) return;
      this.#retire(connection, 'place needed');
    }
  }

  // — the life of a connection —

  async #attempt(route: SiteRoute, target: SiteTarget, tried: readonly Tried[]): Promise<void> {
    const { clock, log, source, openSession } = this.#options;
    this.#servers.take(target);
    const connection = new Connection(route, target, source, clock.monotonic());
    this.#all.add(connection);
    this.#opening.set(route.site, (this.#opening.get(route.site) ?? 0) + 1);

    const { host, address, port } = target;
    const opened = await openSession({ host, address, port }, target.policy, this.#stopping.signal);

    const others = this.#opening.get(route.site)! - 1;
    if (others === 0) this.#opening.delete(route.site);
    else this.#opening.set(route.site, others);
    if (opened.kind === 'trouble') {
      this.#cameToGrief(connection, opened, tried);
      return;
    }
    connection.session = opened.session;
    this.#servers.ready(target);
    log.debug('delivery.open', {
      server: connection.name,
      tls: opened.session.tls,
      ms: Math.round(clock.monotonic() - connection.openedAt),
    });
    if (this.#stopping.signal.aborted) {
      this.#retire(connection, 'stopping');
      return;
    }
    if (this.#refusedForProbe.delete(route.site)) source.room(route.site);
    await this.#run(connection, tried);
  }

  async #run(connection: Connection, tried: readonly Tried[]): Promise<void> {
    connection.phase = 'busy';
    const end = await connection.session!.run(connection);
    switch (end.kind) {
      case 'idle':
        if (this.#stopping.signal.aborted) this.#retire(connection, 'stopping');
        else if (connection.surplus) this.#retire(connection, 'limit lowered');
        else this.#park(connection);
        return;
      case 'worn':
        this.#gone(connection, 'worn');
        this.#tellRoom(connection);
        return;
      case 'broken':
        if (!end.reachedMail) {
          this.#cameToGrief(connection, end, tried);
          return;
        }
        this.#gone(connection, end.trouble.text);
        this.#tellRoom(connection);
    }
  }

  /** Before MAIL: the attempt goes on with the next server, and ends when there is none. */
  #cameToGrief(connection: Connection, { trouble, transcript = '' }: Failed, before: readonly Tried[]): void {
    const { route, target } = connection;
    this.#gone(connection, trouble.text);
    if (this.#stopping.signal.aborted || trouble.reason === 'stopped') {
      this.#tellRoom(connection);
      return;
    }
    const found = this.#servers.failed(target, scopeOf(trouble));
    this.#options.log.debug('delivery.failed', { server: connection.name, stage: trouble.stage, found, error: trouble.text });
    const tried = [...before, { target, trouble, transcript, crowded: found === 'crowded' }];
    const next = this.#choose(route, tried);
    // The place that was given back is no place any more where the cap was lowered meanwhile.
    if (typeof next !== 'string' && !this.#servers.capped) {
      void this.#attempt(route, next, tried);
      this.#tellWaiting(target, () => this.#servers.hasRoom(target));
      return;
    }
    const over = next === 'exhausted' && !this.#opening.has(route.site) && !route.targets.some((one) => this.#servers.works(one));
    if (over) this.#options.source.siteTrouble(route, combineTroubles(tried), transcriptOf(tried));
    this.#tellRoom(connection);
  }

  #park(connection: Connection): void {
    const { channel } = connection.target;
    connection.phase = 'idle';
    const idle = this.#idle.get(channel);
    if (idle === undefined) this.#idle.set(channel, [connection]);
    else idle.push(connection);
    this.#idleOrder.add(connection);
    connection.idleTimer = this.#options.clock.after(this.#limits.idleTimeoutMs, () => this.#retire(connection, 'idle'));
    connection.session!.onLost(() => this.#lost(connection));
    // Those refused may want it, or its place.
    if (this.#refusedForCap) {
      this.#refusedForCap = false;
      this.#options.source.room(connection.route.site);
    }
    this.#tellWaiting(connection.target, () => connection.phase === 'idle');
  }

  #leaveIdle(connection: Connection): void {
    connection.idleTimer?.cancel();
    connection.idleTimer = undefined;
    this.#idleOrder.delete(connection);
    const idle = this.#idle.get(connection.target.channel)!;
    idle.splice(idle.lastIndexOf(connection), 1);
    if (idle.length === 0) this.#idle.delete(connection.target.channel);
  }

  /** From idle, or right after a run or an opening. */
  #retire(connection: Connection, why: string): void {
    if (connection.phase === 'idle') this.#leaveIdle(connection);
    connection.phase = 'closing';
    this.#closing++;
    void connection.session!.quit().then(() => {
      this.#closing--;
      this.#gone(connection, why);
      this.#tellRoom(connection);
    });
  }

  #lost(connection: Connection): void {
    if (connection.phase === 'idle') this.#retire(connection, 'closed by the server');
  }

  #gone(connection: Connection, why: string): void {
    const { session, target, name } = connection;
    this.#all.delete(connection);
    this.#servers.give(target, session !== undefined);
    if (session !== undefined) this.#options.log.debug('delivery.close', { server: name, messages: session.messages, why });
    if (this.#all.size === 0) this.#closed?.();
  }

  #tellRoom({ route, target }: Connection): void {
    this.#refusedForCap = false;
    this.#refusedForProbe.delete(route.site);
    this.#options.source.room(route.site);
    this.#tellWaiting(target, () => this.#servers.hasRoom(target));
  }

  /** Sites that found the server full, in the order of asking, while there is something for them. */
  #tellWaiting(target: SiteTarget, something: () => boolean): void {
    for (let left = this.#servers.waitingAt(target); left > 0 && something(); left--) {
      const site = this.#servers.takeWaiting(target);
      if (site !== undefined) this.#options.source.room(site);
    }
  }
}
