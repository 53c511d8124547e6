/**
 * Places for connections: how many there are at each server and over all, how many are taken, and what was learnt of a
 * server lately: that it does not answer, or that it wants fewer connections than we would open. Counting only; no I/O.
 *
 * Promises
 *  - `take` never lets a server, or all together, above its limit (G5). A place is free only after `give`.
 *  - What was learnt is forgotten: trouble after `FAILING_MS`, a lowered limit one by one every `RAISE_MS`.
 *  - Memory is bounded: servers without connections are dropped when more than `SERVERS_REMEMBERED` are known.
 *
 * Trouble is kept under the server where nobody answered properly, and under the channel where only this login or this
 * TLS policy found no way in.
 */
import type { Clock } from '../platform/clock.js';
import type { SiteTarget } from './sites.js';

/** How long other servers are tried before one that failed. */
export const FAILING_MS = 60_000;
/** How long until one more connection is tried at a server that refused it. */
export const RAISE_MS = 120_000;
export const SERVERS_REMEMBERED = 10_000;
/** Sites that are told when a place at one server gets free. */
const WAITING_SITES = 1_000;
/** The network as a whole: where there is no way to any IPv6 address, only one connection has to find out. */
const IPV6 = 'IPv6';

interface ServerState {
  /** Opening, open, and closing. */
  taken: number;
  /** Of these, ready for mail. */
  working: number;
  /** Learnt: no more than this until `raiseAt` (monotonic). */
  limit: number;
  raiseAt: number;
  /** Sites that found it full, the longest waiting first. */
  readonly waiting: Set<string>;
}

export interface ServerLimits {
  readonly connectionsPerServer: number;
  readonly maxConnections: number;
}

export class Servers {
  #limits: ServerLimits;
  readonly #clock: Clock;
  readonly #servers = new Map<string, ServerState>();
  /** Server or channel key, and until when (monotonic) it is tried last. */
  readonly #failing = new Map<string, number>();
  /** Connections ready for mail, by channel. */
  readonly #workingChannels = new Map<string, number>();
  #total = 0;

  constructor(limits: ServerLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Other limits; places that are taken stay taken, also above them. */
  renew(limits: ServerLimits): void {
    this.#limits = limits;
  }

  get total(): number {
    return this.#total;
  }

  get capped(): boolean {
    return this.#total >= this.#limits.maxConnections;
  }

  taken({ server }: SiteTarget): number {
    return this.#servers.get(server)?.taken ?? 0;
  }

  /** Whether there is a place, now or once so many connections there have ended. */
  hasRoom(target: SiteTarget, ending = 0): boolean {
    const state = this.#servers.get(target.server);
    return state === undefined || state.taken - ending < this.#limitOf(state);
  }

  /** Throws where there is no place: the caller asked before. */
  take(target: SiteTarget): void {
    if (this.capped || !this.hasRoom(target)) throw new RangeError(`no place for a connection to ${target.server}`);
    this.#stateOf(target.server).taken++;
    this.#total++;
  }

  give(target: SiteTarget, wasWorking: boolean): void {
    const state = this.#stateOf(target.server);
    state.taken--;
    this.#total--;
    if (!wasWorking) return;
    state.working--;
    const left = (this.#workingChannels.get(target.channel) ?? 1) - 1;
    if (left === 0) this.#workingChannels.delete(target.channel);
    else this.#workingChannels.set(target.channel, left);
  }

  /** A connection got as far as being ready for mail: what was held against the server is forgotten. */
  ready(target: SiteTarget): void {
    this.#stateOf(target.server).working++;
    this.#workingChannels.set(target.channel, (this.#workingChannels.get(target.channel) ?? 0) + 1);
    this.#failing.delete(target.server);
    this.#failing.delete(target.channel);
    if (target.family === 6) this.#failing.delete(IPV6);
  }

  /** Mail can go this way at this moment. */
  works(target: SiteTarget): boolean {
    return this.#workingChannels.has(target.channel);
  }

  isFailing(target: SiteTarget): boolean {
    return this.#isFailing(target.server) || this.#isFailing(target.channel) || (target.family === 6 && this.#isFailing(IPV6));
  }

  /**
   * A connection came to grief before it could carry mail. While others to the same place work, it was one too many: fewer
   * are opened for a while, and that is no trouble of the server. `scope`: how far the trouble reaches.
   */
  failed(target: SiteTarget, scope: 'server' | 'channel' | 'network'): 'crowded' | 'failing' {
    const state = this.#stateOf(target.server);
    if (scope === 'channel' ? this.#workingChannels.has(target.channel) : state.working > 0) {
      state.limit = state.working;
      state.raiseAt = this.#clock.monotonic() + RAISE_MS;
      return 'crowded';
    }
    const until = this.#clock.monotonic() + FAILING_MS;
    this.#keepFailing(scope === 'channel' ? target.channel : target.server, until);
    if (scope === 'network' && target.family === 6) this.#keepFailing(IPV6, until);
    return 'failing';
  }

  /** Remembers who found the server full. */
  wait({ server }: SiteTarget, site: string): void {
    const { waiting } = this.#stateOf(server);
    if (waiting.size < WAITING_SITES) waiting.add(site);
  }

  waitingAt({ server }: SiteTarget): number {
    return this.#servers.get(server)?.waiting.size ?? 0;
  }

  /** The site that has waited longest at a server, taken off its list. */
  takeWaiting({ server }: SiteTarget): string | undefined {
    const waiting = this.#servers.get(server)?.waiting;
    if (waiting === undefined) return undefined;
    const [site] = waiting;
    if (site !== undefined) waiting.delete(site);
    return site;
  }

  /** All who found a server full, each once; taken off the lists. */
  takeAllWaiting(): ReadonlySet<string> {
    const sites = new Set<string>();
    for (const { waiting } of this.#servers.values()) {
      for (const site of waiting) sites.add(site);
      waiting.clear();
    }
    return sites;
  }

  #limitOf(state: ServerState): number {
    const most = this.#limits.connectionsPerServer;
    if (state.limit >= most) return most;
    const now = this.#clock.monotonic();
    while (state.limit < most && now >= state.raiseAt) {
      state.limit++;
      state.raiseAt += RAISE_MS;
    }
    return state.limit;
  }

  #stateOf(server: string): ServerState {
    let state = this.#servers.get(server);
    if (state === undefined) {
      if (this.#servers.size >= SERVERS_REMEMBERED) this.#dropQuiet();
      state = { taken: 0, working: 0, limit: Number.POSITIVE_INFINITY, raiseAt: 0, waiting: new Set() };
      this.#servers.set(server, state);
    }
    return state;
  }

  /** Those with connections stay: they are no more than `maxConnections`. */
  #dropQuiet(): void {
    for (const [server, { taken }] of this.#servers) if (taken === 0) this.#servers.delete(server);
  }

  #isFailing(key: string): boolean {
    const until = this.#failing.get(key);
    if (until === undefined) return false;
    if (until > this.#clock.monotonic()) return true;
    this.#failing.delete(key);
    return false;
  }

  #keepFailing(key: string, until: number): void {
    this.#failing.delete(key);
    if (this.#failing.size >= SERVERS_REMEMBERED) this.#failing.delete(this.#failing.keys().next().value!);
    this.#failing.set(key, until);
  }
}
