/**
 * The agent, put together: the one place that knows every part and wires them. Mail comes in through intake, is kept by
 * the spool, picked by the scheduler, carried by delivery, and what became of it goes through outcome back into the
 * spool. Nothing here decides anything about mail.
 *
 * Starting: first the spool, whose lock makes us its owner; then delivery; then the listeners, so that whoever can hand in
 * mail finds an agent that delivers it. Stopping goes the other way: no new session and no
 * new dot, the answers to dots already sent are waited for, what is known is settled, and the store is closed.
 */
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Mta, StartOptions } from './agent.js';
import { createCopies } from './compose/merge/copies.js';
import { showHostPort } from './config/addresses.js';
import { type Changes, changesBetween } from './config/changes.js';
import type { Config } from './config/config.js';
import { siteReport } from './control/resting.js';
import { controlSocketPaths, surroundings } from './control/socket.js';
import { MtaError } from './core/errors.js';
import type { MailEvent } from './core/event.js';
import { createIdSource } from './core/id.js';
import type { LaneKey } from './core/lane.js';
import { createCarrier, type DeliveryCarrier } from './delivery/carrier.js';
import { createImmediateCarrier, type ImmediateCarrier } from './delivery/immediate.js';
import { createOwnServers } from './delivery/own-servers.js';
import { createRouter, type Router } from './delivery/routes.js';
import { createImmediateIntake } from './intake/immediate.js';
import { createMergeIntake } from './intake/merge.js';
import { createTurns } from './intake/once.js';
import type { SmtpListener } from './intake/smtp/listener.js';
import type { MergeIntake } from './intake/submission.js';
import { tracedBegin } from './intake/traced.js';
import { createMetrics } from './outcome/metrics.js';
import { createOperator } from './outcome/operate.js';
import { createSettler, type Settler } from './outcome/settler.js';
import { type Certificate, carrierLimits, listenerSettings, readCertificate, retryPolicy, routing } from './parts.js';
import { type Clock, systemClock } from './platform/clock.js';
import { systemDialer } from './platform/dialer.js';
import { createDnsResolver, dnsServerAt } from './platform/dns.js';
import { keepHouse } from './platform/housekeeping.js';
import { type Log, silentLog } from './platform/log.js';
import { systemRandom } from './platform/random.js';
import { createSeal, randomKey, readKeyFile, type Seal } from './platform/seal.js';
import { findTracing } from './platform/tracing.js';
import { createScheduler, type Scheduler } from './scheduler/scheduler.js';
import { openLevelSpool } from './spool/level/open.js';
import type { Lease, Spool } from './spool/spool.js';
import { version } from './version.js';

/** More `Received` fields than this are a loop (RFC 5321 §6.3 asks for at least 100 hops to be let through; real ones have ten). */
const MAX_RECEIVED = 50;
/** Once an hour, not on the full hour when everybody's jobs run. */
const TIDY_TIMES = '17 * * * *';

/**
 * Rejects with `MtaError`: `INVALID_OPTIONS`, `SPOOL_LOCKED`, `SPOOL_VERSION`, `SPOOL_FAILED`, `ADDRESS_IN_USE`. Nothing is left
 * open or listening then.
 */
export async function startMta(config: Config, options: StartOptions = {}): Promise<Mta> {
  const tls = readCertificate(config);
  const core = await startCore(config, options);
  let current = config;
  let listener: SmtpListener | undefined;
  let reloading: Promise<unknown> = Promise.resolve();
  let closing: Promise<void> | undefined;
  const reload = async (wanted: Config): Promise<Changes> => {
    const changes = changesBetween(current, wanted);
    listener = await renewAgent(changes, core, listener);
    current = changes.config;
    return changes;
  };
  const mta: Mta = {
    ...core.surface,
    hostname: config.hostname,
    get config() {
      return current;
    },
    listening: () => listener?.addresses ?? [],
    reload(wanted) {
      if (closing !== undefined) return Promise.reject(new MtaError('ABORTED', 'the agent is stopping'));
      const done = reloading.then(() => reload(wanted));
      reloading = done.catch(() => {});
      return done;
    },
    close(signal) {
      closing ??= reloading.then(() => stop(current, core, listener, signal));
      return closing;
    },
  };
  try {
    if (listensAnywhere(config, core)) listener = await listen(config, core, tls);
  } catch (error) {
    await mta.close(AbortSignal.abort());
    throw error;
  }
  return mta;
}

// — the core: everything between the doors —

interface Core {
  readonly surface: Omit<Mta, 'hostname' | 'config' | 'listening' | 'reload' | 'close'>;
  /** Reads what another configuration says of the way out, and returns how to put it in force. Throws `INVALID_OPTIONS`. */
  readonly prepare: (changes: Changes) => () => void;
  readonly clock: Clock;
  readonly log: Log;
  readonly sockets: NonNullable<StartOptions['sockets']>;
  readonly spool: Spool;
  readonly intake: MergeIntake;
  readonly settler: Settler;
  readonly scheduler: Scheduler;
  readonly now: ImmediateCarrier;
  readonly carrier: DeliveryCarrier;
  readonly housekeeping: { stop(): Promise<void> };
}

async function startCore(config: Config, options: StartOptions): Promise<Core> {
  const { clock = systemClock, random = systemRandom, dialer = systemDialer, log = silentLog, onEvent } = options;
  // Renewed in place: whoever holds it sees what holds today.
  const policy = retryPolicy(config);
  const resolver = options.resolver ?? createDnsResolver({ servers: config.dns.servers.map(showHostPort), clock, random });
  const spool = await (options.openSpool ?? (() => openSpool(config, clock, log)))();
  const ownServers = createOwnServers(options.seal ?? sealOf(config, spool), (lane) => spool.server(lane), log);
  const router = createRouter(routing(config, options), (lane) => ownServers.of(lane));

  const metrics = createMetrics();
  const listeners = new Set<(event: MailEvent) => void>();
  const emit = (event: MailEvent) => {
    metrics.observe(event);
    onEvent?.(event);
    if (listeners.size > 0) for (const listener of listeners) listener(event);
  };
  const newId = createIdSource(clock, random, spool.lastId());
  const laneOf = (recipient: string, sender: string) => router.laneOf(recipient, sender);
  const door = { clock, newId, hostname: config.hostname, maxReceived: MAX_RECEIVED, expiryMs: config.retry.expiry, laneOf };
  const tracing = options.tracing ?? (await findTracing(version()));
  const plain = createMergeIntake({
    ...door,
    spool,
    maxMessageSizeBytes: config.spool.maxMessageSize,
    ownServer: (server) => ownServers.admit(server),
    emit,
  });
  const intake = tracing === undefined ? plain : { ...plain, begin: tracedBegin(plain, tracing) };
  const copies = createCopies(spool);
  const body = (lease: Lease) => (lease.delivery.message.merge === undefined ? spool.body(lease) : copies.body(lease.delivery));
  const settler = createSettler({
    spool,
    body,
    clock,
    newId,
    policy,
    hostname: config.hostname,
    laneOf,
    emit,
    log,
    attempted: (ms) => metrics.attempted(ms),
    tracing,
  });
  const reroute = (lane: LaneKey) => rerouteLane(lane, spool, router, log);
  const scheduler = createScheduler({ spool, body, clock, random, log, emit, settling: settler, reroute });
  const now = createImmediateCarrier({ source: scheduler, clock });
  const carrier = createCarrier({
    router,
    resolver,
    dialer,
    clock,
    random,
    log,
    source: now.source,
    ...carrierLimits(config),
    hostname: config.hostname,
    heloName: config.delivery.heloName,
    sourceAddresses: config.delivery.sourceAddresses,
    allowPrivateAddresses: config.delivery.allowPrivateAddresses,
  });
  scheduler.start(carrier);
  now.start(carrier);
  const immediate = createImmediateIntake({
    ...door,
    folder: spool.driver === 'memory' ? tmpdir() : resolve(config.spool.path),
    deliver: (delivery, body, how) => now.deliver(delivery, body, how),
    lend: (server) => ownServers.lend(server),
    log,
  });
  let limits: Pick<Config['delivery'], 'connectionsPerServer'> = config.delivery;
  const surface: Core['surface'] = {
    startedAt: clock.now(),
    spool,
    ...createOperator({ spool, settler, clock, emit }),
    laneOf,
    submit: (envelope) => intake.begin(envelope),
    submitMerge: (envelope) => intake.beginMerge(envelope),
    immediate,
    takeTurn: createTurns(spool),
    async mxLookup(domain, { hostname, ...lookup } = {}) {
      if (hostname === undefined) return carrier.mxLookup(domain, lookup);
      return carrier.mxLookup(domain, { ...lookup, resolver: await dnsServerAt(hostname, { resolver, clock, random }) });
    },
    connections: () => carrier.connections(),
    metrics: () => metrics.snapshot(clock.now()),
    measures: () => metrics.measures(),
    now: () => clock.now(),
    sites: () => scheduler.resting().map(siteReport),
    lane: (lane) => ({ ...scheduler.explain(lane), description: router.describe(lane), connectionsPerServer: limits.connectionsPerServer }),
    flush: () => scheduler.nudge(),
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    idle: (signal) => untilIdle(scheduler, settler, clock, signal),
  };
  const prepare = ({ config: wanted, taken }: Changes) => {
    const route = taken.includes('route') || taken.includes('delivery.tls') ? router.prepare(routing(wanted, options)) : undefined;
    return () => {
      Object.assign(policy, retryPolicy(wanted));
      intake.renew({ maxMessageSizeBytes: wanted.spool.maxMessageSize, expiryMs: wanted.retry.expiry });
      carrier.renew(carrierLimits(wanted));
      limits = wanted.delivery;
      if (route === undefined) return;
      route();
      carrier.rerouted();
      scheduler.rerouted();
    };
  };
  return {
    surface,
    prepare,
    clock,
    log,
    sockets: options.sockets ?? [],
    spool,
    intake,
    settler,
    scheduler,
    now,
    carrier,
    housekeeping: keepHouse(TIDY_TIMES, 'tidy', () => spool.tidy(), log),
  };
}

async function openSpool(config: Config, clock: Clock, log: Log): Promise<Spool> {
  const { spool, delivery, control } = config;
  const path = resolve(spool.path);
  const [socket] = controlSocketPaths(path, control.socket, await surroundings(path));
  return openLevelSpool({
    path,
    clock,
    log,
    socket,
    inlineLimitBytes: spool.inlineLimit,
    minFreeBytes: spool.minFreeSpace,
    historyRetentionMs: spool.historyRetention,
    historyMaxBytes: spool.historyMaxSize,
    promoteAfterMs: delivery.promoteAfter,
  });
}

/** What is only in memory needs no file to be sealed by. */
function sealOf({ spool: { path, keyFile } }: Config, spool: Spool): Seal {
  if (spool.driver === 'memory' && keyFile === '') return createSeal(() => randomKey());
  return createSeal(() => readKeyFile(resolve(keyFile === '' ? join(path, 'key') : keyFile), { make: keyFile === '' }));
}

/** Deliveries rerouted at once: enough to share a commit. */
const REROUTED_AT_ONCE = 256;

/** The configuration does not lead to this lane any more: its mail takes the routes there are, page by page. */
async function rerouteLane(lane: LaneKey, spool: Spool, router: Router, log: Log): Promise<void> {
  let moved = 0;
  for (let after: string | undefined, more = true; more; more = after !== undefined) {
    const page = await spool.list({ lane }, { limit: REROUTED_AT_ONCE, ...(after === undefined ? {} : { after }) });
    await Promise.all(
      page.items.map(({ message, delivery }) =>
        spool.change(delivery.key, { kind: 'reroute', laneOf: (recipient) => router.laneOf(recipient, message.sender) }),
      ),
    );
    moved += page.items.length;
    after = page.next;
  }
  log.info(
    'lane.rerouted',
    { lane, deliveries: moved },
    `no route leads to ${router.describe(lane)} any more: its mail takes the routes there are`,
  );
}

/** How often an agent that is not idle yet is looked at again. */
const IDLE_LOOK_MS = 20;

async function untilIdle(scheduler: Scheduler, settler: Settler, clock: Clock, signal?: AbortSignal): Promise<void> {
  for (;;) {
    if (signal?.aborted) throw new MtaError('ABORTED', 'gave up waiting for the queue to be idle', { cause: signal.reason });
    await settler.idle();
    if (scheduler.quiet && settler.pending() === 0) return;
    await new Promise<void>((done) => clock.after(IDLE_LOOK_MS, done));
  }
}

// — the door —

function listensAnywhere({ submission }: Config, { sockets }: Core): boolean {
  return submission.listen.length + submission.listenTls.length + sockets.length > 0;
}

/** What speaks SMTP as a server is loaded where somebody listens: 12 MB that an agent within a program need not have. */
async function listen(config: Config, core: Core, tls: Certificate | undefined): Promise<SmtpListener> {
  const { startSmtpListener } = await import('./intake/smtp/listener.js');
  const { intake, clock, log } = core;
  return startSmtpListener({ intake, clock, log, hostname: config.hostname, ...listenerSettings(config, core.sockets, tls) });
}

/** Everything that can be wrong is found before anything is changed. Returns the listener there is now. */
async function renewAgent(changes: Changes, core: Core, listener: SmtpListener | undefined): Promise<SmtpListener | undefined> {
  const { config } = changes;
  const tls = readCertificate(config);
  const commit = core.prepare(changes);
  if (listener === undefined) {
    const opened = listensAnywhere(config, core) ? await listen(config, core, tls) : undefined;
    commit();
    return opened;
  }
  await listener.renew(listenerSettings(config, core.sockets, tls));
  commit();
  return listener;
}

async function stop(config: Config, core: Core, listener: SmtpListener | undefined, cut?: AbortSignal): Promise<void> {
  const { clock, scheduler, carrier, settler, housekeeping, spool } = core;
  const over = new AbortController();
  const abort = () => over.abort();
  const timer = clock.after(config.shutdown.timeout, abort);
  if (cut?.aborted) abort();
  cut?.addEventListener('abort', abort, { once: true });
  scheduler.stop();
  core.now.stop();
  await Promise.all([listener?.close(over.signal), carrier.close(over.signal), housekeeping.stop()]);
  await settler.idle();
  await spool.close();
  timer.cancel();
  cut?.removeEventListener('abort', abort);
}
