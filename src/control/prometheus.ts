/**
 * What `/metrics` tells, in Prometheus' words. Everything is a plain number that somebody keeps anyway, or is looked at when it is asked for:
 * an agent that nobody scrapes does nothing for this, and does not even load the library.
 *
 * Promises: labels are bounded whatever remotes say: no names of servers, domains or addresses.
 */
import type { Registry } from 'prom-client';
import type { HistogramView } from '../platform/histogram.js';
import type { ControlledAgent } from './verbs.js';

export interface Exposition {
  /** Media type. */
  readonly type: string;
  readonly text: string;
}

interface Value {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string | number>>;
  readonly metricName?: string;
}

/** As the registry asks of its metrics. */
interface Shown {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly values: readonly Value[];
}

export function createExposition(agent: ControlledAgent, version: string): () => Promise<Exposition> {
  let registry: Registry | undefined;
  return async () => {
    const { Registry, collectDefaultMetrics } = await import('prom-client');
    if (registry === undefined) {
      registry = new Registry();
      // Memory, CPU, the lag of the event loop, garbage collection: measured from the first time on that somebody asks.
      collectDefaultMetrics({ register: registry });
      // Sums of others that are there by kind, under the name of a counter, which promtool objects to.
      for (const each of ['handles', 'requests', 'resources']) registry.removeSingleMetric(`nodejs_active_${each}_total`);
    }
    const own = new Registry();
    for (const shown of await shownBy(agent, version)) register(own, shown);
    return { type: registry.contentType, text: `${await own.metrics()}\n${await registry.metrics()}` };
  };
}

/** The library's own classes count for themselves; these numbers are counted elsewhere. */
function register(registry: Registry, shown: Shown): void {
  const metric = { name: shown.name, get: async () => ({ ...shown, aggregator: 'sum' }) };
  registry.registerMetric(metric as never);
}

const MS = 1000;

async function shownBy(agent: ControlledAgent, version: string): Promise<readonly Shown[]> {
  const { spool } = agent;
  const counts = spool.counts();
  const oldest = await spool.oldest();
  const now = agent.now();
  const counters = agent.metrics() as Readonly<Record<string, number>>;
  const { delivery, attempt } = agent.measures();
  const { commitMs, commitOperations } = spool.commits();
  const connections = [...agent.connections().values()];
  const gauge = (name: string, help: string, ...values: Value[]): Shown => ({ name: `riata_${name}`, help, type: 'gauge', values });
  const counter = (name: string, help: string, ...values: Value[]): Shown => ({
    name: `riata_${name}_total`,
    help,
    type: 'counter',
    values,
  });
  const sum = (pick: (one: { open: number; busy: number }) => number) => connections.reduce((all, one) => all + pick(one), 0);
  return [
    gauge('build_info', 'The release that runs.', { value: 1, labels: { version } }),
    gauge('start_time_seconds', 'When the agent was started, in seconds since 1970.', { value: agent.startedAt / MS }),
    gauge('queue_messages', 'Messages in the queue.', { value: counts.messages }),
    gauge(
      'queue_deliveries',
      'Deliveries in the queue by what they do: ready includes those that are being sent.',
      ...(['ready', 'waiting', 'held', 'sending'] as const).map((state) => ({ value: counts[state], labels: { state } })),
    ),
    gauge(
      'queue_oldest_seconds',
      'Age of the oldest message of which a delivery is in this state; not told where it is not among the oldest of the queue.',
      ...Object.entries(oldest).map(([state, at]) => ({ value: Math.max(now - at, 0) / MS, labels: { state } })),
    ),
    gauge('lanes', 'Lanes that have mail.', { value: counts.lanes }),
    gauge('lanes_paused', 'Lanes that an operator has paused.', { value: spool.pauses().size }),
    gauge('sites_in_trouble', 'Sets of servers that are left alone for a while, and names that cannot be looked up.', {
      value: agent.sites().length,
    }),
    gauge(
      'connections',
      'Connections to other servers: open, and those of them that are busy.',
      { value: sum(({ open }) => open), labels: { state: 'open' } },
      { value: sum(({ busy }) => busy), labels: { state: 'busy' } },
    ),
    gauge('intake_open', '1 while mail is taken in, 0 while it is refused for want of room or a failed spool.', {
      value: spool.closedFor(0) === undefined ? 1 : 0,
    }),
    ...(counts.freeBytes === undefined
      ? []
      : [gauge('spool_free_bytes', 'Octets that can be written before no more mail is taken in.', { value: counts.freeBytes })]),
    counter('accepted', 'Messages taken in, reports of our own included.', { value: counters['accepted'] ?? 0 }),
    counter('delivered', 'Recipients delivered to.', { value: counters['delivered'] ?? 0 }),
    counter(
      'deferred',
      'Attempts for a recipient that are tried again, by class and subject of the status.',
      ...byStatus(counters, 'deferred'),
    ),
    counter('bounced', 'Recipients that failed, by class and subject of the status.', ...byStatus(counters, 'bounced')),
    counter('expired', 'Recipients given up after their time, by class and subject of the last status.', ...byStatus(counters, 'expired')),
    counter('removed', 'Recipients removed by an operator.', { value: counters['removed'] ?? 0 }),
    counter('faults', 'Words to the operator: sites in trouble, refused logins, damage, a full disk.', { value: counters['fault'] ?? 0 }),
    histogram('delivery_seconds', 'From when a message was accepted, or became due, to its delivery to a recipient.', delivery, MS),
    histogram('attempt_seconds', 'What a transaction with a server took.', attempt, MS),
    histogram('commit_seconds', 'What a write to the spool took until it was safe on disk.', commitMs, MS),
    histogram('commit_operations', 'What shared one write: messages taken in, outcomes, changes.', commitOperations, 1),
  ];
}

/** `deferred.4.7` and its like. */
function byStatus(counters: Readonly<Record<string, number>>, name: string): readonly Value[] {
  const values = Object.entries(counters)
    .filter(([key]) => key.startsWith(`${name}.`))
    .map(([key, value]) => ({ value, labels: { status: key.slice(name.length + 1) } }));
  return values.length > 0 ? values : [{ value: 0, labels: { status: 'other' } }];
}

function histogram(name: string, help: string, { bounds, upTo, count, sum }: HistogramView, unit: number): Shown {
  const full = `riata_${name}`;
  return {
    name: full,
    help,
    type: 'histogram',
    values: [
      ...bounds.map((bound, at) => ({ metricName: `${full}_bucket`, labels: { le: bound / unit }, value: upTo[at]! })),
      { metricName: `${full}_bucket`, labels: { le: '+Inf' }, value: count },
      { metricName: `${full}_sum`, value: sum / unit },
      { metricName: `${full}_count`, value: count },
    ],
  };
}
