/**
 * The scheduler: when, and in what order. It knows which lanes have something ready, where they lead, which sites are
 * in trouble, and asks the carrier for connections; the carrier's connections then ask it for work.
 *
 * Promises
 *  - A connection is opened for the highest priority first, and takes all that is due for its channel, highest first,
 *    lanes of one level in turn (G4).
 *  - A site in trouble is left alone for a while, then tried with one connection, then at full width. The one delivery it
 *    was tried for is charged an attempt, those that waited behind it are not.
 *  - A lost wake-up costs a second, not a message: every second it looks at everything that has work and is not being served.
 *
 * It must not: know SMTP or DNS, decide what an outcome means, write to the spool other than through leases.
 *
 * Beside it: `places.ts` the states of lanes and sites, `lanes.ts` from ready to listed, `demand.ts` connections for what is listed,
 * `rings.ts` whose turn it is, `rest.ts` and `outage.ts` trouble, `promotion.ts` what comes due.
 */
import type { Carrier, ChannelKey, Job, Route, WorkSource } from '../core/carrier.js';
import type { Emit } from '../core/event.js';
import type { LaneKey } from '../core/lane.js';
import type { TransactionResult, Trouble } from '../core/outcome.js';
import { createBroadAbort } from '../platform/abort.js';
import type { Clock, Timer } from '../platform/clock.js';
import type { Log } from '../platform/log.js';
import type { Random } from '../platform/random.js';
import type { Lease, Pause, Spool } from '../spool/spool.js';
import { Demand } from './demand.js';
import { LeasedJob, leaseOf, type ReadBody } from './job.js';
import { type LaneNow, laneNow } from './lane-now.js';
import { Lanes } from './lanes.js';
import { Outages } from './outage.js';
import { describe, type Site } from './places.js';
import { Promotion } from './promotion.js';
import type { Rest } from './rest.js';
import { type RestView, restViews } from './resting.js';
import type { Settling } from './settling.js';
import { Sites } from './sites.js';

export interface SchedulerOptions {
  readonly spool: Spool;
  /** The content as it is to be sent. Rejects with `SPOOL_DAMAGED` or `SPOOL_FAILED`. */
  readonly body: ReadBody;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly emit: Emit;
  readonly settling: Settling;
  /** The lane leads nowhere any more (the configuration has changed): gives its mail the lanes that it has now. */
  readonly reroute: (lane: LaneKey) => Promise<void>;
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
  /** Nothing is due, ready, leased or being looked up. */
  readonly quiet: boolean;
  /** Hands out nothing more. */
  stop(): void;
}

/** How often pauses and due times are looked at, besides the timers for them. */
const TICK_MS = 1_000;
/** The safety net, in ticks: how often everything that has work is looked at again, and raised by its age. */
const SWEEP_TICKS = 10;
/** In ticks: how often what merely waits is searched for what has expired. */
const OVERDUE_TICKS = 300;

export function createScheduler(options: SchedulerOptions): Scheduler {
  return new SpoolScheduler(options);
}

class SpoolScheduler implements Scheduler {
  readonly #options: SchedulerOptions;
  readonly #sites = new Sites();
  readonly #lanes: Lanes;
  readonly #demand: Demand;
  readonly #outages: Outages;
  readonly #promotion: Promotion;
  readonly #stopped = createBroadAbort();
  #carrier: Carrier | undefined;
  #leased = 0;
  #ticks = 0;
  #tick: Timer | undefined;
  /** What is overdue is being searched for. */
  #sweeping = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    const { spool, clock, random, log, emit, settling, reroute } = options;
    const stopped = this.#stopped.signal;
    this.#outages = new Outages(clock, log, emit);
    this.#promotion = new Promotion(spool, clock, log);
    this.#demand = new Demand({ spool, clock, outages: this.#outages, serve: (route) => this.#carrier!.serve(route), stopped });
    this.#lanes = new Lanes({
      spool,
      clock,
      random,
      log,
      settling,
      sites: this.#sites,
      route: (lane) => this.#carrier!.route(lane, stopped),
      reroute,
      listed: (site) => {
        if (!site.full) this.#demand.ask(site);
      },
      stopped,
    });
  }

  start(carrier: Carrier): void {
    this.#carrier = carrier;
    const { spool, emit, clock } = this.#options;
    spool.listen({
      onReady: (lane) => this.#lanes.ready(lane),
      onWaiting: (due) => this.#promotion.at(due),
      onFault: (fault) => emit({ type: 'fault', at: clock.now(), ...fault }),
    });
    for (const lane of spool.lanes()) this.#lanes.ready(lane);
    this.#promotion.at(0);
    this.#armTick();
  }

  stop(): void {
    this.#stopped.abort();
    this.#tick?.cancel();
    this.#promotion.stop();
  }

  get quiet(): boolean {
    return this.#leased === 0 && this.#promotion.settled && this.#lanes.settled && [...this.#options.spool.lanes()].length === 0;
  }

  // — what connections ask and tell —

  next(channel: ChannelKey): Job | undefined {
    const served = this.#sites.at(channel);
    if (served === undefined || this.#stopped.signal.aborted) return undefined;
    for (let site = served.mostUrgent(); site !== undefined; site = served.mostUrgent()) {
      const lease = this.#pull(site);
      if (lease === 'notNow') break;
      if (lease === undefined) continue;
      site.came();
      this.#leased++;
      return new LeasedJob(lease, this.#options.body);
    }
    served.ranDry();
    return undefined;
  }

  /** The first of the lane whose turn it is. Lanes that have nothing any more are no longer listed then. */
  #pull(site: Site): Lease | 'notNow' | undefined {
    const { spool } = this.#options;
    for (let lane = site.lanes.take(); lane !== undefined; lane = site.lanes.take()) {
      const lease = spool.pull(lane.key);
      const head = spool.head(lane.key);
      if (head !== undefined) site.lanes.add(lane, head.level);
      if (lease !== undefined) return lease;
      if (head !== undefined) return 'notNow';
    }
    return undefined;
  }

  done(job: Job, result: TransactionResult): void {
    this.#leased--;
    this.#options.settling.settle(leaseOf(job), result);
  }

  untried(job: Job): void {
    this.#leased--;
    this.#options.spool.giveBack(leaseOf(job));
    this.#lanes.ready(job.delivery.lane);
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
      const trouble: Trouble = { lasting: 'temporary', stage: 'local', status: '4.3.0', text, reason: 'unreadable' };
      void this.#options.settling.settleTrouble(lease, trouble);
    }
  }

  mayFinish(): true | Promise<void> {
    return this.#options.spool.mayFinish();
  }

  siteTrouble(route: Route, trouble: Trouble, transcript?: string): void {
    const site = this.#sites.get(route.site);
    if (site === undefined) return;
    const { spool, clock, random } = this.#options;
    site.asked = 0;
    site.full = false;
    site.rest.begin(clock.now(), trouble, random.unit());
    const outage = this.#outages.of(route);
    outage.failed(site.key, trouble);
    this.#tellTrouble(route, site.rest, trouble);
    const lane = site.lanes.take();
    if (lane === undefined) return;
    const level = spool.head(lane.key)?.level;
    if (!outage.on) this.#lanes.charge(lane, trouble, transcript);
    if (level !== undefined && spool.head(lane.key) !== undefined) site.lanes.add(lane, level);
  }

  #tellTrouble(route: Route, { failures, until }: Rest, trouble: Trouble): void {
    const { clock, log, emit } = this.#options;
    const at = clock.now();
    const site = describe(route);
    log.warn('site.resting', {
      site,
      failures,
      seconds: Math.round((until - at) / 1000),
      stage: trouble.stage,
      error: trouble.text,
    });
    if (trouble.reason !== 'auth') return;
    const text = `${site} refuses the login: ${trouble.text}. Mail for it waits; correct the username or password.`;
    emit({ type: 'fault', at, code: 'AUTH_REFUSED', text });
  }

  siteWell(route: Route): void {
    const site = this.#sites.get(route.site);
    this.#outages.of(route).reached();
    if (site === undefined || site.rest.failures === 0) return;
    site.rest.clear();
    this.#options.log.info('site.well', { site: describe(route) });
    this.#demand.ask(site);
  }

  room(key: string): void {
    const site = this.#sites.get(key);
    if (site !== undefined) this.#demand.room(site);
    this.#demand.feedCapped();
  }

  // — what people ask and tell —

  nudge(key?: LaneKey): void {
    for (const outage of this.#outages) outage.reached();
    if (key === undefined) {
      for (const lane of this.#lanes) lane.rest.end();
      for (const site of this.#sites) site.rest.end();
    } else {
      const lane = this.#lanes.get(key);
      lane?.rest.end();
      lane?.site?.rest.end();
    }
    this.#sweep();
  }

  rerouted(): void {
    this.#lanes.renew();
    // Connections that were asked for come from servers of before.
    for (const site of this.#sites) site.asked = 0;
    this.nudge();
  }

  resting(): readonly RestView[] {
    return restViews(this.#lanes, this.#sites);
  }

  explain(key: LaneKey): LaneNow {
    return laneNow(this.#lanes.get(key), this.#outages);
  }

  // — time —

  #armTick(): void {
    this.#tick = this.#options.clock.after(TICK_MS, () => {
      this.#ticks++;
      if (this.#ticks % SWEEP_TICKS === 0) this.#sweep();
      else this.#look();
      if (this.#ticks % OVERDUE_TICKS === 0) this.#sweepOverdue();
      this.#promotion.at(0);
      this.#armTick();
    });
  }

  /** Pauses that are over. */
  #look(): void {
    for (const site of this.#sites) if (site.lanes.size > 0) this.#demand.ask(site);
    this.#lanes.lookAtRested();
    this.#demand.feedCapped();
  }

  /** What wake-ups may have missed: lanes that became ready, deliveries that waiting has raised, answers that never came. */
  #sweep(): void {
    const { spool, clock } = this.#options;
    for (const lane of spool.lanes()) this.#lanes.ready(lane);
    const now = clock.now();
    for (const site of this.#sites) {
      if (site.lanes.size === 0 && site.asked === 0 && site.rest.stale(now)) {
        this.#sites.forget(site);
        this.#demand.forget(site);
      }
      this.#demand.forgetLost(site);
    }
    this.#look();
    this.#lanes.forgetQuiet();
  }

  /** Deliveries behind a place in trouble are not tried, but they expire, and their senders hear of the delay. */
  #sweepOverdue(): void {
    if (this.#sweeping) return;
    this.#sweeping = true;
    const { spool, settling, log } = this.#options;
    spool
      .sweepReady(
        (about) => settling.isOverdue(about),
        (lease) => settling.settleOverdue(lease, this.#troubleOf(lease.delivery.lane)),
      )
      .catch((error: Error) => log.error('spool.sweepFailed', { error: error.message }))
      .finally(() => {
        this.#sweeping = false;
      });
  }

  /** What a lane's mail waits for, if it is not its turn. */
  #troubleOf(key: LaneKey): Trouble | undefined {
    const pause = this.#options.spool.pauses().get(key);
    const lane = this.#lanes.get(key);
    return pause === undefined ? (lane?.rest.trouble ?? lane?.site?.rest.trouble) : pausedTrouble(pause);
  }
}

/** RFC 3463 §3.4: 4.3.2, the system does not take part now. */
function pausedTrouble({ reason }: Pause): Trouble {
  const text = reason === '' ? 'its lane is paused' : `its lane is paused: ${reason}`;
  return { lasting: 'temporary', stage: 'local', status: '4.3.2', text, reason: 'paused' };
}
