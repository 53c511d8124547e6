/**
 * The scheduler: when, and in what order. It knows which lanes have something ready, where they lead, which sites are
 * in trouble, and asks the carrier for connections; the carrier's connections then ask it for work.
 *
 * Promises
 *  - A connection is opened for the highest priority first, and takes all that is due for its channel, highest first,
 *    lanes of one level in turn (G4).
 *  - A site in trouble is left alone for a while, then tried with one connection, then at full width. The one delivery it
 *    was tried for is charged an attempt, those that waited behind it are not.
 *  - A lost wake-up costs a second, not a message: `tick` looks at everything that has work and is not being served.
 *
 * It must not: know SMTP or DNS, decide what an outcome means, write to the spool other than through leases.
 *
 *   lane:  quiet ──ready──► resolving ──route──► listed on its site ──pulled empty──► quiet
 *                              └──trouble──► resting (DNS), failed whole (no such domain), or rerouted (no such lane)
 *   site:  well ──siteTrouble──► resting ──pause over──► probing ──siteWell──► well
 *                                   ▲────────siteTrouble────┘
 */
import type { Carrier, ChannelKey, Job, Route, WorkSource } from '../core/carrier.js';
import type { Delivery } from '../core/delivery.js';
import type { Emit } from '../core/event.js';
import type { LaneKey } from '../core/lane.js';
import type { Body, Priority } from '../core/message.js';
import type { TransactionResult, Trouble } from '../core/outcome.js';
import { createBroadAbort } from '../platform/abort.js';
import type { Clock, Timer } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import type { Random } from '../platform/random.js';
import type { Lease, Pause, Spool } from '../spool/spool.js';
import { type LaneNow, QUIET } from './lane-now.js';
import { Outage } from './outage.js';
import { Rest } from './rest.js';
import { Rings, rank, type Turn } from './rings.js';

/** What becomes of leased work. Implemented by the outcome layer. */
export interface Settling {
  settle(lease: Lease, result: TransactionResult): void;
  /** Trouble that met a delivery before any transaction. Permanent: its recipients fail. */
  settleTrouble(lease: Lease, trouble: Trouble, transcript?: string): void;
  /** Whether a delivery that merely waits must be looked at: it expired, or its sender is owed a word of the delay. */
  isOverdue(about: { readonly expiresAt: number; readonly acceptedAt: number; readonly delayNoticed: boolean }): boolean;
  /** Ends it or sends the word, and says why it waited. */
  settleOverdue(lease: Lease, trouble: Trouble | undefined): void;
}

export interface SchedulerOptions {
  readonly spool: Spool;
  /** The content as it is to be sent. Rejects with `SPOOL_DAMAGED` or `SPOOL_FAILED`. */
  readonly body: (lease: Lease) => Promise<Body>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly emit: Emit;
  readonly settling: Settling;
  /** The lane leads nowhere any more (the configuration has changed): gives its mail the lanes that it has now. */
  readonly reroute: (lane: LaneKey) => Promise<void>;
}

/** Why a lane or a site is left alone now. */
export interface RestView {
  /** Site key, or the lane itself where it could not be resolved. */
  readonly place: string;
  readonly lanes: readonly LaneKey[];
  readonly failures: number;
  /** Epoch ms. */
  readonly until: number;
  readonly trouble: Trouble;
}

export interface Scheduler extends WorkSource {
  /** Begins; the carrier is given here because it is made with this as its source of work. */
  start(carrier: Carrier): void;
  /** Forgets pauses, of one lane or of all: whatever is ready is tried now. */
  nudge(lane?: LaneKey): void;
  /** Mail may lead elsewhere now: every lane asks for its route anew before it is served again, and pauses are over. */
  rerouted(): void;
  /** Places in trouble. */
  resting(): readonly RestView[];
  /** Why mail of a lane goes or does not, at this moment. */
  explain(lane: LaneKey): LaneNow;
  /** Nothing is ready, leased or being looked up. */
  readonly quiet: boolean;
  /** Hands out nothing more. */
  stop(): void;
}

/** How often pauses and due times are looked at, besides the timers for them. */
const TICK_MS = 1_000;
/** The safety net, in ticks: how often everything that has work is looked at again, and raised by its age. */
const SWEEP_TICKS = 10;
/** In ticks: a connection that was asked for and has neither come nor failed by then is taken for lost. */
const LOST_TICKS = 3_600;
/** In ticks: how often what merely waits is searched for what has expired. */
const OVERDUE_TICKS = 300;
/** Names looked up at the same time. */
const LOOKUPS = 64;
/** Lanes remembered with their route though nothing is ready in them. */
const QUIET_LANES = 10_000;

interface LaneState extends Turn {
  readonly key: LaneKey;
  route: Route | undefined;
  site: SiteState | undefined;
  resolving: boolean;
  readonly rest: Rest;
}

interface SiteState extends Turn {
  readonly key: string;
  route: Route;
  readonly lanes: Rings<LaneState>;
  readonly rest: Rest;
  /** Connections asked for that have not come for work yet. */
  asked: number;
  /** When the last was asked for, in ticks. */
  askedTick: number;
  /** Every server has all its connections: nothing to ask for before one ends or runs dry. */
  full: boolean;
  /** No longer registered: a lane that still points here must ask anew. */
  forgotten: boolean;
}

/** A lease on its way, in the carrier's terms. */
class LeasedJob implements Job {
  readonly lease: Lease;
  readonly site: SiteState;
  readonly recipients: readonly string[];
  readonly #body: SchedulerOptions['body'];

  constructor(lease: Lease, site: SiteState, body: SchedulerOptions['body']) {
    this.lease = lease;
    this.site = site;
    this.#body = body;
    this.recipients = queuedAddresses(lease.delivery);
  }

  get delivery(): Delivery {
    return this.lease.delivery;
  }

  get bytes(): Buffer | undefined {
    return this.lease.bytes;
  }

  body(): Promise<Body> {
    return this.#body(this.lease);
  }
}

function queuedAddresses(delivery: Delivery): string[] {
  const queued: string[] = [];
  for (const recipient of delivery.recipients) if (recipient.state === 'queued') queued.push(recipient.address);
  return queued;
}

/** What `next` hands out comes back as it was: this class and no other. */
function leaseOf(job: Job): Lease {
  if (!(job instanceof LeasedJob)) throw new TypeError('a job that the scheduler did not hand out');
  return job.lease;
}

export function createScheduler(options: SchedulerOptions): Scheduler {
  return new SpoolScheduler(options);
}

class SpoolScheduler implements Scheduler {
  readonly #options: SchedulerOptions;
  readonly #lanes = new Map<LaneKey, LaneState>();
  readonly #sites = new Map<string, SiteState>();
  readonly #channels = new Map<ChannelKey, SiteState[]>();
  /** Sites with work that found the cap over all servers reached. */
  readonly #starved = new Rings<SiteState>();
  readonly #toResolve: LaneState[] = [];
  /** By port: a blocked port 25 says nothing of a relay on 587. */
  readonly #outages = new Map<number, Outage>();
  readonly #stopped = createBroadAbort();
  #carrier: Carrier | undefined;
  #lookups = 0;
  #leased = 0;
  #ticks = 0;
  #tick: Timer | undefined;
  #promotion: { at: number; timer: Timer } | undefined;
  #promoting = false;
  /** Counts changes of the routes: an answer that was asked for before one is not used. */
  #edition = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  start(carrier: Carrier): void {
    this.#carrier = carrier;
    const { spool, emit, clock } = this.#options;
    spool.listen({
      onReady: (lane) => this.#ready(lane),
      onWaiting: (due) => this.#promoteAt(due),
      onFault: (fault) => emit({ type: 'fault', at: clock.now(), ...fault }),
    });
    for (const lane of spool.lanes()) this.#ready(lane);
    this.#promoteAt(0);
    this.#armTick();
  }

  stop(): void {
    this.#stopped.abort();
    this.#tick?.cancel();
    this.#promotion?.timer.cancel();
  }

  get quiet(): boolean {
    return this.#leased === 0 && this.#lookups === 0 && [...this.#options.spool.lanes()].length === 0;
  }

  // — lanes: from ready to listed —

  #ready(key: LaneKey): void {
    if (this.#stopped.signal.aborted) return;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = { key, route: undefined, site: undefined, resolving: false, rest: new Rest(), level: undefined, place: 0 };
      this.#lanes.set(key, lane);
    }
    if (lane.resolving || !lane.rest.over(this.#options.clock.now())) return;
    if (lane.route !== undefined && lane.route.expiresAt > this.#options.clock.now()) this.#list(lane);
    else this.#resolve(lane);
  }

  #resolve(lane: LaneState): void {
    lane.resolving = true;
    if (this.#lookups >= LOOKUPS) {
      this.#toResolve.push(lane);
      return;
    }
    this.#lookups++;
    const edition = this.#edition;
    this.#carrier!.route(lane.key, this.#stopped.signal).then(
      (answer) => {
        this.#resolved(lane);
        if (edition !== this.#edition) this.#ready(lane.key);
        else if (answer.kind === 'route') this.#routed(lane, answer.route);
        else this.#unroutable(lane, answer.trouble);
      },
      // Only the end of the agent rejects: leases and lanes are of no more use then.
      () => this.#resolved(lane),
    );
  }

  #resolved(lane: LaneState): void {
    lane.resolving = false;
    this.#lookups--;
    const next = this.#toResolve.shift();
    if (next !== undefined) this.#resolve(next);
  }

  #routed(lane: LaneState, route: Route): void {
    lane.rest.clear();
    lane.route = route;
    if (lane.site?.key !== route.site) lane.site?.lanes.remove(lane);
    lane.site = this.#siteOf(route);
    this.#list(lane);
  }

  #unroutable(lane: LaneState, trouble: Trouble): void {
    lane.route = undefined;
    lane.site?.lanes.remove(lane);
    lane.site = undefined;
    if (trouble.reason === 'unknownLane') {
      this.#reroute(lane, trouble);
      return;
    }
    const { spool, settling, clock, random } = this.#options;
    if (trouble.lasting === 'permanent') {
      for (let lease = spool.pull(lane.key); lease !== undefined; lease = spool.pull(lane.key)) settling.settleTrouble(lease, trouble);
      this.#lanes.delete(lane.key);
      return;
    }
    const now = clock.now();
    lane.rest.begin(now, trouble, random.unit());
    this.#options.log.warn('lane.resting', {
      lane: lane.key,
      failures: lane.rest.failures,
      seconds: Math.round((lane.rest.until - now) / 1000),
      error: trouble.text,
    });
    this.#chargeFront(lane, trouble);
  }

  #reroute(lane: LaneState, trouble: Trouble): void {
    lane.resolving = true;
    this.#options.reroute(lane.key).then(
      () => {
        lane.resolving = false;
        this.#lanes.delete(lane.key);
      },
      (error: Error) => {
        lane.resolving = false;
        lane.rest.begin(this.#options.clock.now(), { ...trouble, text: error.message }, this.#options.random.unit());
        this.#options.log.error('lane.rerouteFailed', { lane: lane.key, error: error.message });
      },
    );
  }

  #list(lane: LaneState): void {
    const head = this.#options.spool.head(lane.key);
    if (head === undefined) return;
    if (lane.site!.forgotten) lane.site = this.#siteOf(lane.route!);
    const site = lane.site!;
    site.lanes.add(lane, head.level);
    if (!site.full) this.#dispatch(site);
  }

  // — sites: connections for what is listed —

  #siteOf(route: Route): SiteState {
    let site = this.#sites.get(route.site);
    if (site === undefined) {
      site = {
        key: route.site,
        route,
        lanes: new Rings(),
        rest: new Rest(),
        asked: 0,
        askedTick: 0,
        full: false,
        forgotten: false,
        level: undefined,
        place: 0,
      };
      this.#sites.set(route.site, site);
    } else if (site.route === route) return site;
    else this.#leaveChannels(site);
    site.route = route;
    for (const { channel } of route.targets) {
      const sites = this.#channels.get(channel);
      if (sites === undefined) this.#channels.set(channel, [site]);
      else if (!sites.includes(site)) sites.push(site);
    }
    return site;
  }

  #leaveChannels(site: SiteState): void {
    for (const { channel } of site.route.targets) {
      const left = this.#channels.get(channel)?.filter((other) => other !== site);
      if (left === undefined || left.length === 0) this.#channels.delete(channel);
      else this.#channels.set(channel, left);
    }
  }

  /** Asks for connections as long as there is more ready than connections on their way to fetch it. */
  #dispatch(site: SiteState): void {
    const { clock } = this.#options;
    if (this.#stopped.signal.aborted || !site.rest.over(clock.now()) || !this.#outageOf(site.route).admits()) return;
    while (site.asked < this.#wanted(site)) {
      const served = this.#carrier!.serve(site.route);
      if (served === 'capped') this.#starved.add(site, site.lanes.top() ?? 'medium');
      if (served === 'full') site.full = true;
      if (served !== 'served') return;
      site.asked++;
      site.askedTick = this.#ticks;
    }
  }

  /** How many connections could be put to use: one for each thing ready, a single one to find out whether trouble is over. */
  #wanted(site: SiteState): number {
    if (site.lanes.size === 0) return 0;
    if (site.rest.failures > 0) return 1;
    let ready = 0;
    for (const lane of site.lanes.waiting()) {
      ready += this.#options.spool.readyNow(lane.key);
      if (ready > site.asked) break;
    }
    return ready;
  }

  // — WorkSource: what connections ask and tell —

  next(channel: ChannelKey): Job | undefined {
    const sites = this.#channels.get(channel);
    if (sites === undefined || this.#stopped.signal.aborted) return undefined;
    const site = sites.length === 1 ? sites[0]! : mostUrgent(sites);
    if (site.asked > 0) site.asked--;
    for (let lane = site.lanes.take(); lane !== undefined; lane = site.lanes.take()) {
      const lease = this.#options.spool.pull(lane.key);
      const head = this.#options.spool.head(lane.key);
      if (head !== undefined) site.lanes.add(lane, head.level);
      if (lease === undefined) {
        if (head !== undefined) break;
        continue;
      }
      this.#leased++;
      return new LeasedJob(lease, site, this.#options.body);
    }
    for (const other of sites) other.full = false;
    return undefined;
  }

  done(job: Job, result: TransactionResult): void {
    this.#leased--;
    this.#options.settling.settle(leaseOf(job), result);
  }

  untried(job: Job): void {
    this.#leased--;
    this.#options.spool.giveBack(leaseOf(job));
    this.#ready(job.delivery.lane);
  }

  unreadable(job: Job, error: Error): void {
    this.#leased--;
    const { spool, log } = this.#options;
    const lease = leaseOf(job);
    log.error('spool.unreadable', { id: job.delivery.message.id, error: error.message });
    if ('code' in error && error.code === 'SPOOL_DAMAGED') {
      spool
        .setAside(lease, error.message)
        .catch((cause: Error) => log.error('spool.setAsideFailed', { id: job.delivery.message.id, error: cause.message }));
    } else if (spool.closedFor(0) === 'SPOOL_FAILED') {
      // The store is being reopened; it calls again when it is back.
      spool.giveBack(lease);
    } else {
      // A file that may not be read, or too many open: given back, it would be asked for again at once, and again.
      const text = `${error.message}; once it can be read, try it with \`riata queue retry ${job.delivery.message.id}\``;
      this.#options.settling.settleTrouble(lease, { lasting: 'temporary', stage: 'local', status: '4.3.0', text, reason: 'unreadable' });
    }
  }

  mayFinish(): true | Promise<void> {
    return this.#options.spool.mayFinish();
  }

  siteTrouble(route: Route, trouble: Trouble, transcript?: string): void {
    const site = this.#sites.get(route.site);
    if (site === undefined) return;
    const { clock, random, log, emit } = this.#options;
    const now = clock.now();
    site.asked = 0;
    site.full = false;
    site.rest.begin(now, trouble, random.unit());
    this.#outageOf(route).failed(site.key, trouble);
    log.warn('site.resting', {
      site: describe(route),
      failures: site.rest.failures,
      seconds: Math.round((site.rest.until - now) / 1000),
      stage: trouble.stage,
      error: trouble.text,
    });
    if (trouble.reason === 'auth') {
      emit({
        type: 'fault',
        at: now,
        code: 'AUTH_REFUSED',
        text: `${describe(route)} refuses the login: ${trouble.text}. Mail for it waits; correct the username or password.`,
      });
    }
    const lane = site.lanes.take();
    if (lane === undefined) return;
    const level = this.#options.spool.head(lane.key)?.level;
    if (!this.#outageOf(route).on) this.#chargeFront(lane, trouble, transcript);
    if (level !== undefined && this.#options.spool.head(lane.key) !== undefined) site.lanes.add(lane, level);
  }

  siteWell(route: Route): void {
    const site = this.#sites.get(route.site);
    this.#outageOf(route).reached();
    if (site === undefined || site.rest.failures === 0) return;
    site.rest.clear();
    this.#options.log.info('site.well', { site: describe(route) });
    this.#dispatch(site);
  }

  room(key: string): void {
    const site = this.#sites.get(key);
    if (site !== undefined) {
      site.full = false;
      if (site.asked > 0) site.asked--;
      const level = site.lanes.top();
      if (level !== undefined) this.#starved.add(site, level);
    }
    this.#feedStarved();
  }

  /** Those whom the cap refused, the most urgent first, until it is reached again. */
  #feedStarved(): void {
    for (let tries = this.#starved.size; tries > 0; tries--) {
      const site = this.#starved.take();
      if (site === undefined) return;
      this.#dispatch(site);
      if (site.level !== undefined) return;
    }
  }

  // — trouble —

  /** The delivery for which a place was tried is charged the attempt; those behind it wait uncharged. */
  #chargeFront(lane: LaneState, trouble: Trouble, transcript?: string): void {
    const lease = this.#options.spool.pull(lane.key);
    if (lease !== undefined) this.#options.settling.settleTrouble(lease, trouble, transcript);
  }

  #outageOf(route: Route): Outage {
    const { port } = route.targets[0]!;
    let outage = this.#outages.get(port);
    if (outage === undefined) {
      outage = new Outage(port, this.#options.clock, this.#options.log, this.#options.emit);
      this.#outages.set(port, outage);
    }
    return outage;
  }

  nudge(key?: LaneKey): void {
    for (const outage of this.#outages.values()) outage.reached();
    if (key === undefined) {
      for (const lane of this.#lanes.values()) lane.rest.end();
      for (const site of this.#sites.values()) site.rest.end();
    } else {
      this.#lanes.get(key)?.rest.end();
      this.#lanes.get(key)?.site?.rest.end();
    }
    this.#sweep();
  }

  rerouted(): void {
    this.#edition++;
    for (const lane of this.#lanes.values()) {
      lane.site?.lanes.remove(lane);
      lane.site = undefined;
      lane.route = undefined;
    }
    // Connections that were asked for come from servers of before.
    for (const site of this.#sites.values()) site.asked = 0;
    this.nudge();
  }

  resting(): readonly RestView[] {
    const lanesOf = new Map<SiteState, LaneKey[]>();
    const views: RestView[] = [];
    const view = (place: string, lanes: readonly LaneKey[], rest: Rest) => {
      if (rest.trouble !== undefined) views.push({ place, lanes, failures: rest.failures, until: rest.until, trouble: rest.trouble });
    };
    for (const lane of this.#lanes.values()) {
      view(lane.key, [lane.key], lane.rest);
      if (lane.site === undefined || lane.site.rest.trouble === undefined) continue;
      const lanes = lanesOf.get(lane.site) ?? [];
      lanes.push(lane.key);
      lanesOf.set(lane.site, lanes);
    }
    for (const site of this.#sites.values()) view(describe(site.route), lanesOf.get(site) ?? [], site.rest);
    return views;
  }

  explain(key: LaneKey): LaneNow {
    const lane = this.#lanes.get(key);
    if (lane === undefined) return QUIET;
    const { site, route } = lane;
    const rest = lane.rest.trouble !== undefined ? lane.rest : site?.rest;
    const outage = route === undefined ? undefined : this.#outages.get(route.targets[0]!.port);
    return {
      lookingUp: lane.resolving,
      ...(rest?.trouble === undefined ? {} : { rest: { until: rest.until, failures: rest.failures, trouble: rest.trouble } }),
      ...(outage?.on ? { outagePort: route!.targets[0]!.port } : {}),
      servers: route?.targets.map(({ host, address, port }) => `${host}[${address}]:${port}`) ?? [],
      coming: site?.asked ?? 0,
      full: site?.full ?? false,
      capped: site?.level !== undefined,
    };
  }

  // — time —

  #promoteAt(due: number): void {
    if (this.#stopped.signal.aborted || (this.#promotion !== undefined && this.#promotion.at <= due)) return;
    this.#promotion?.timer.cancel();
    const { clock } = this.#options;
    this.#promotion = { at: due, timer: clock.after(Math.max(0, due - clock.now()), () => this.#promote()) };
  }

  #promote(): void {
    this.#promotion = undefined;
    if (this.#promoting) return;
    this.#promoting = true;
    this.#options.spool.promote().then(
      (due) => {
        this.#promoting = false;
        if (due !== undefined) this.#promoteAt(due);
      },
      (error: Error) => {
        this.#promoting = false;
        this.#options.log.error('spool.promoteFailed', { error: error.message });
      },
    );
  }

  #armTick(): void {
    this.#tick = this.#options.clock.after(TICK_MS, () => {
      this.#ticks++;
      if (this.#ticks % SWEEP_TICKS === 0) this.#sweep();
      else this.#look();
      if (this.#ticks % OVERDUE_TICKS === 0) this.#sweepOverdue();
      this.#promoteAt(0);
      this.#armTick();
    });
  }

  /** Pauses that are over. */
  #look(): void {
    for (const site of this.#sites.values()) if (site.lanes.size > 0) this.#dispatch(site);
    for (const lane of this.#lanes.values()) if (lane.rest.trouble !== undefined) this.#ready(lane.key);
    this.#feedStarved();
  }

  /** What wake-ups may have missed: lanes that became ready, deliveries that waiting has raised, answers that never came. */
  #sweep(): void {
    for (const lane of this.#options.spool.lanes()) this.#ready(lane);
    for (const site of this.#sites.values()) {
      if (site.lanes.size === 0 && site.asked === 0 && site.rest.failures === 0) this.#forgetSite(site);
      if (site.asked > 0 && this.#ticks - site.askedTick > LOST_TICKS) site.asked = 0;
      site.full = false;
    }
    this.#look();
    if (this.#lanes.size > QUIET_LANES) this.#forgetQuietLanes();
  }

  /** Deliveries behind a place in trouble are not tried, but they expire, and their senders hear of the delay. */
  #sweepOverdue(): void {
    const { spool, settling, log } = this.#options;
    const take = (lease: Lease) => settling.settleOverdue(lease, this.#troubleOf(lease.delivery.lane));
    spool
      .sweepReady((about) => settling.isOverdue(about), take)
      .catch((error: Error) => log.error('spool.sweepFailed', { error: error.message }));
  }

  /** What a lane's mail waits for, if it is not its turn. */
  #troubleOf(key: LaneKey): Trouble | undefined {
    const pause = this.#options.spool.pauses().get(key);
    const lane = this.#lanes.get(key);
    return pause === undefined ? (lane?.rest.trouble ?? lane?.site?.rest.trouble) : pausedTrouble(pause);
  }

  #forgetSite(site: SiteState): void {
    this.#leaveChannels(site);
    this.#sites.delete(site.key);
    this.#starved.remove(site);
    site.forgotten = true;
  }

  #forgetQuietLanes(): void {
    for (const lane of this.#lanes.values()) {
      if (this.#lanes.size <= QUIET_LANES / 2) return;
      if (lane.level === undefined && !lane.resolving && lane.rest.trouble === undefined) this.#lanes.delete(lane.key);
    }
  }
}

/** RFC 3463 §3.4: 4.3.2, the system does not take part now. */
function pausedTrouble({ reason }: Pause): Trouble {
  const text = reason === '' ? 'its lane is paused' : `its lane is paused: ${reason}`;
  return { lasting: 'temporary', stage: 'local', status: '4.3.2', text, reason: 'paused' };
}

function mostUrgent(sites: readonly SiteState[]): SiteState {
  let best = sites[0]!;
  let bestRank = Number.POSITIVE_INFINITY;
  for (const site of sites) {
    const top: Priority | undefined = site.lanes.top();
    if (top !== undefined && rank(top) < bestRank) {
      best = site;
      bestRank = rank(top);
    }
  }
  return best;
}

/** The site in words: its first server, and how many more. */
function describe(route: Route): string {
  const [first] = route.targets;
  const name = `${first!.host}:${first!.port}`;
  const hosts = new Set(route.targets.map((target) => target.host));
  return hosts.size > 1 ? `${name} and ${hosts.size - 1} more` : name;
}
