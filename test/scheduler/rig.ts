/** A scheduler on a memory spool, with a carrier whose connections the test moves by hand. */
import type { Carrier, Job, Route, RouteAnswer, Served, Target } from '../../src/core/carrier.js';
import type { MailEvent } from '../../src/core/event.js';
import type { LaneKey } from '../../src/core/lane.js';
import type { Message } from '../../src/core/message.js';
import type { RecipientOutcome, TransactionResult, Trouble } from '../../src/core/outcome.js';
import { silentLog } from '../../src/platform/log.js';
import { createScheduler, type Scheduler } from '../../src/scheduler/scheduler.js';
import type { Settling } from '../../src/scheduler/settling.js';
import { createMemorySpool } from '../../src/spool/memory.js';
import type { Lease, Spool } from '../../src/spool/spool.js';
import { acceptance, deferred, delivered } from '../support/mail.js';
import { createSeededRandom } from '../support/seeded-random.js';
import { createVirtualClock, settle, type VirtualClock } from '../support/virtual-clock.js';

export const PROMOTE_AFTER_MS = 15 * 60_000;
/** What a deferred delivery waits in these tests. */
export const RETRY_MS = 5 * 60_000;

export const refused: Trouble = { lasting: 'temporary', stage: 'connect', status: '4.4.1', text: 'connection refused', reason: 'refused' };

export interface Rig {
  readonly clock: VirtualClock;
  readonly spool: Spool;
  readonly scheduler: Scheduler;
  readonly events: MailEvent[];
  /** Lanes looked up, in order. */
  readonly lookedUp: LaneKey[];
  /** Routes asked for with `serve`, in order. */
  readonly served: string[];
  /** What `settleTrouble` was told, by message id. */
  readonly troubled: { readonly id: string; readonly trouble: Trouble }[];
  /** The most that were leased at a time when `settleTrouble` was told of one. */
  mostLeased: number;
  readonly overdue: string[];
  /** Why those waited. */
  readonly overdueFor: (string | undefined)[];
  /** Lanes to be rerouted. */
  readonly rerouted: LaneKey[];
  /** Answers by lane; default: one server named as the lane's domain. */
  readonly routes: Map<LaneKey, RouteAnswer>;
  /** What `serve` says; default `served`. */
  answer: (route: Route) => Served;
  /** Messages for which `isOverdue` says yes, by expiry. */
  overdueFrom: number;
  accept(given?: Partial<Message>, lanes?: readonly LaneKey[]): Promise<string>;
  /** A connection of the channel asks for work. */
  take(channel: string): Job | undefined;
  deliver(job: Job): Promise<void>;
  close(): Promise<void>;
}

export function routeTo(site: string, channels: readonly string[] = [site], expiresAt = Number.MAX_SAFE_INTEGER): Route {
  return {
    site,
    expiresAt,
    targets: channels.map((channel): Target => ({ host: channel, address: '192.0.2.1', port: 25, preference: 10, channel })),
  };
}

export async function makeRig(): Promise<Rig> {
  const clock = createVirtualClock();
  const spool = await createMemorySpool({ clock, promoteAfterMs: PROMOTE_AFTER_MS, historyRetentionMs: 0, inlineLimitBytes: 16_384 });
  const troubled: Rig['troubled'] = [];
  const overdue: string[] = [];
  const overdueFor: (string | undefined)[] = [];
  const rerouted: LaneKey[] = [];
  const events: MailEvent[] = [];
  const settling: Settling = {
    settle: (lease, result) => void settleAll(spool, clock, lease, result.outcomes),
    async settleTrouble(lease, trouble) {
      troubled.push({ id: lease.delivery.message.id, trouble });
      rig.mostLeased = Math.max(rig.mostLeased, spool.counts().sending);
      await spool.settle(
        lease,
        trouble.lasting === 'permanent'
          ? delivered(lease.delivery, clock.now())
          : deferred(lease.delivery, clock.now(), clock.now() + RETRY_MS),
      );
    },
    isOverdue: (about) => about.expiresAt <= rig.overdueFrom,
    async settleOverdue(lease, trouble) {
      overdueFor.push(trouble?.text);
      overdue.push(lease.delivery.message.id);
      await spool.settle(lease, delivered(lease.delivery, clock.now()));
    },
  };
  const reroute = async (lane: LaneKey) => {
    rerouted.push(lane);
    for (const { delivery } of (await spool.list({ lane }, { limit: 100 })).items)
      await spool.change(delivery.key, { kind: 'reroute', laneOf: () => 'mx:new.test' });
  };
  const scheduler = createScheduler({
    spool,
    body: (lease) => spool.body(lease),
    clock,
    random: createSeededRandom(1),
    log: silentLog,
    emit: (event) => events.push(event),
    settling,
    reroute,
  });
  const served: string[] = [];
  const carrier: Carrier = {
    route: (lane) => (
      rig.lookedUp.push(lane), Promise.resolve(rig.routes.get(lane) ?? { kind: 'route', route: routeTo(lane.replace('mx:', '')) })
    ),
    serve(route) {
      const answer = rig.answer(route);
      if (answer === 'served') served.push(route.site);
      return answer;
    },
    connections: () => new Map(),
    close: () => Promise.resolve(),
  };
  const rig: Rig = {
    clock,
    spool,
    scheduler,
    events,
    lookedUp: [],
    served,
    troubled,
    mostLeased: 0,
    overdue,
    overdueFor,
    rerouted,
    routes: new Map(),
    answer: () => 'served',
    overdueFrom: 0,
    async accept(given = {}, lanes = ['mx:one.test']) {
      const entry = acceptance({ acceptedAt: clock.now(), ...given }, lanes);
      await spool.accept(entry);
      await settle();
      return entry.message.id;
    },
    take: (channel) => scheduler.next(channel),
    async deliver(job) {
      scheduler.done(job, resultOf(job, clock.now()));
      await settle();
    },
    async close() {
      scheduler.stop();
      await spool.close();
    },
  };
  scheduler.start(carrier);
  // What was due before the start is looked for.
  await clock.advance(0);
  await settle();
  return rig;
}

function resultOf(job: Job, at: number): TransactionResult {
  const server = { host: 'mx.test', address: '192.0.2.1', port: 25 };
  return {
    startedAt: at,
    endedAt: at,
    server,
    outcomes: job.recipients.map((): RecipientOutcome => ({ kind: 'delivered', status: '2.0.0', text: 'Ok', server })),
  };
}

function settleAll(spool: Spool, clock: VirtualClock, lease: Lease, outcomes: readonly RecipientOutcome[]): Promise<boolean> {
  const all = outcomes.every((outcome) => outcome.kind === 'delivered');
  return spool.settle(lease, all ? delivered(lease.delivery, clock.now()) : deferred(lease.delivery, clock.now(), clock.now() + RETRY_MS));
}
