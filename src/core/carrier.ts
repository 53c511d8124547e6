/**
 * The seam between the scheduler, which decides when and in what order, and delivery, which knows how.
 * Neither imports the other: both import this. Nothing here is shared state; jobs and results are values.
 *
 * The dance: a lane has something ready → the scheduler asks `route(lane)` once per answer's life →
 * `serve(route)` for every delivery that no connection will come for by itself → the carrier wakes an idle
 * connection, or opens one, → each connection asks `next(channel)` as often as it can send (also ahead of
 * the reply to the last dot) and reports `done` or `untried`, → when it has nothing left it idles, then quits.
 */
import type { Delivery } from './delivery.js';
import type { LaneKey } from './lane.js';
import type { Body } from './message.js';
import type { Server, TransactionResult, Trouble } from './outcome.js';

/** What a connection is good for: server, TLS policy, credentials, source address, EHLO name, in one key. */
export type ChannelKey = string;

/** A server of a route, in the order in which they are tried (preference, equal ones shuffled). */
export interface Target extends Server {
  readonly preference: number;
  readonly channel: ChannelKey;
}

/** Where a lane's mail goes now. Lanes with the same `site` share backoff; with the same channel, connections. */
export interface Route {
  /** Key of the set of servers with policy and credentials. */
  readonly site: string;
  /** Never empty. */
  readonly targets: readonly Target[];
  /** When to ask again (epoch ms), from the DNS answers' TTL. */
  readonly expiresAt: number;
}

export type RouteAnswer =
  | { readonly kind: 'route'; readonly route: Route }
  /** `permanent`: every recipient of the lane fails (null MX, no such domain). */
  | { readonly kind: 'trouble'; readonly trouble: Trouble };

/** One delivery on its way. The carrier sends to exactly `recipients`, those still queued. */
export interface Job {
  readonly delivery: Delivery;
  /** Addresses still queued, in order; `TransactionResult.outcomes` answers in this order. */
  readonly recipients: readonly string[];
  /** The content, if it is still in memory. */
  readonly bytes: Buffer | undefined;
  /** The content, wherever it is. Rejects with `SPOOL_DAMAGED` or `SPOOL_FAILED`. */
  readonly body: () => Promise<Body>;
}

/** What the carrier asks of and tells to the one who gives it work. All are called synchronously and must not throw. */
export interface WorkSource {
  /** The next job for this channel, highest priority first, or nothing. A job handed out ends in exactly one of the three below. */
  next(channel: ChannelKey): Job | undefined;
  /** A transaction was completed or came to grief; told before any later dot on that connection is written (G3). */
  done(job: Job, result: TransactionResult): void;
  /** Nothing of it was tried: it waits on, charged no attempt. */
  untried(job: Job): void;
  /** The content could not be read: not sent, not tried again until looked at (G9). */
  unreadable(job: Job, error: Error): void;
  /** Asked right before every final dot. `true`: go on. A promise: wait for it first (G3's journal, G10's closed gate). */
  mayFinish(): true | Promise<void>;
  /**
   * No server of the site got as far as MAIL. The site backs off; `retryAfterMs` of the trouble is heeded. `transcript`: what was said on
   * the way there, as `Attempt` keeps it.
   */
  siteTrouble(route: Route, trouble: Trouble, transcript?: string): void;
  /** A connection of the site reached MAIL: its trouble is over. */
  siteWell(route: Route): void;
  /** A connection of this site has ended and its place is free: those refused by `serve` may ask again. */
  room(site: string): void;
}

/** `full`: every server of the route has all its connections. `capped`: the cap over all servers is reached. */
export type Served = 'served' | 'full' | 'capped';

export interface Carrier {
  /** Where the lane's mail goes now. Cached by TTL; never rejects but for `signal`. */
  route(lane: LaneKey, signal: AbortSignal): Promise<RouteAnswer>;
  /**
   * There is work for this route: wake an idle connection or open one. Refusals end with a later `room`.
   * Every `served` is followed by at least one `next` on a channel of the route, or by `siteTrouble`, or by `room`.
   */
  serve(route: Route): Served;
  /** Connections now, for statistics: by server `host[address]:port`. */
  connections(): ReadonlyMap<string, { open: number; busy: number }>;
  /** No new transactions; waits for those whose dot was sent, at most until `signal`; then drops all. */
  close(signal: AbortSignal): Promise<void>;
}
