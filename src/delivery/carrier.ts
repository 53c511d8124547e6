/**
 * The carrier: delivery as the scheduler sees it. Routes, sites and the pool put together, and the view of `riata mx`.
 *
 * Promises what `Carrier` says; each part's own promises are told where it is. It must not know the spool or the queue.
 */
import { domainOf, parsePath } from '../core/address.js';
import type { Carrier, Route, WorkSource } from '../core/carrier.js';
import { MtaError } from '../core/errors.js';
import type { LaneKey } from '../core/lane.js';
import type { Trouble } from '../core/outcome.js';
import type { Clock } from '../platform/clock.js';
import type { Dialer } from '../platform/dialer.js';
import type { Log } from '../platform/log.js';
import type { Random } from '../platform/random.js';
import type { Resolver } from '../platform/resolver.js';
import type { ChannelPolicy, Timeouts, TlsMode } from './contract.js';
import type { Survey } from './mx.js';
import { type OpenSession, Pool, type PoolLimits } from './pool.js';
import type { Router } from './routes.js';
import { openSession } from './session.js';
import { SiteRoute, Sites } from './sites.js';
import type { Transcripts } from './transcript.js';

/** Recipients in one transaction: what every server must take (RFC 5321 §4.5.3.1.8). */
const RECIPIENTS_PER_TRANSACTION = 100;

/** What may change while mail is carried. */
export interface CarrierLimits {
  readonly limits: { readonly connectionsPerServer: number; readonly messagesPerConnection: number; readonly maxConnections: number };
  /** How long a connection without work is kept open. */
  readonly idleTimeoutMs: number;
  readonly timeouts: Timeouts;
  readonly transcripts: Transcripts;
}

export interface CarrierOptions extends CarrierLimits {
  readonly router: Router;
  readonly resolver: Resolver;
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly source: WorkSource;
  /** Names of ours: where they stand among a domain's MX, mail would come back. */
  readonly hostname: string;
  readonly heloName: string;
  readonly sourceAddresses: readonly string[];
  readonly allowPrivateAddresses: boolean;
  /** Stands in for the SMTP client under test. */
  readonly openSession?: OpenSession;
}

export interface MxServer {
  readonly host: string;
  readonly port: number;
  readonly preference: number;
  /** In the order of trying. */
  readonly addresses: readonly string[];
  /** Found, but mail is not taken there, and why. */
  readonly refused: readonly { readonly address: string; readonly why: string }[];
  /** Why the host is not used at all. */
  readonly passedBy?: string;
}

/** What would happen to mail for a domain now. */
export interface MxView {
  readonly domain: string;
  readonly lane: LaneKey;
  /** The lane in words. */
  readonly description: string;
  readonly via: Survey['via'];
  readonly tls: TlsMode;
  readonly username?: string;
  readonly hasPassword: boolean;
  readonly heloName: string;
  /** Best first, also those that are of no use. */
  readonly servers: readonly MxServer[];
  /** Why no mail can go there now. */
  readonly trouble?: Trouble;
  /** How long the answer is good for. */
  readonly ttlMs: number;
}

export interface MxLookupOptions {
  /** Ask DNS anew, and let deliveries have the new answer too. */
  readonly refresh?: boolean;
  /** Another DNS to ask; deliveries know nothing of its answer. */
  readonly resolver?: Resolver;
  /** Envelope sender, where routes depend on it. Default: the null sender. */
  readonly sender?: string;
  readonly signal?: AbortSignal;
}

export interface DeliveryCarrier extends Carrier {
  /** `domain`: a name, a literal, or an address at one. Throws `INVALID_ADDRESS`. */
  mxLookup(domain: string, options?: MxLookupOptions): Promise<MxView>;
  /** Other limits. Numbers of connections hold at once, what concerns a single connection holds for new ones. */
  renew(limits: CarrierLimits): void;
  /** The router has other rules: where lanes lead is found out anew. */
  rerouted(): void;
}

export function createCarrier(options: CarrierOptions): DeliveryCarrier {
  const { clock, log, source, hostname, heloName } = options;
  let limits: CarrierLimits = options;
  const sites = new Sites({ ...options, ownNames: [hostname.toLowerCase(), heloName.toLowerCase()] });
  const pool = new Pool({
    ...poolLimits(limits),
    clock,
    log,
    source,
    openSession: options.openSession ?? smtpSessions(options, () => limits),
  });
  return {
    route: (lane, signal) => sites.route(lane, signal),
    serve: (route) => pool.serve(ownRoute(route)),
    connections: () => pool.connections(),
    close: (signal) => pool.close(signal),
    mxLookup: (domain, lookup = {}) => viewMx(domain, lookup, options.router, sites),
    renew: (changed) => {
      limits = changed;
      pool.renew(poolLimits(changed));
    },
    rerouted: () => sites.forgetAll(),
  };
}

function poolLimits({ limits, idleTimeoutMs }: CarrierLimits): PoolLimits {
  return { limits, idleTimeoutMs };
}

function smtpSessions({ dialer, clock, log }: CarrierOptions, limitsNow: () => CarrierLimits): OpenSession {
  const common = { dialer, clock, log, maxRecipients: RECIPIENTS_PER_TRANSACTION };
  let connection = 0;
  return (target, policy, signal) => {
    const { timeouts, transcripts, limits } = limitsNow();
    const maxMessages = limits.messagesPerConnection;
    return openSession(
      { ...common, timeouts: timeoutsOf(policy, timeouts), transcripts, maxMessages, target, policy, connection: ++connection },
      signal,
    );
  };
}

function timeoutsOf({ timeoutMs }: ChannelPolicy, timeouts: Timeouts): Timeouts {
  if (timeoutMs === undefined) return timeouts;
  return { ...timeouts, connect: timeoutMs, greeting: timeoutMs, command: timeoutMs, data: timeoutMs };
}

/** What `route` answered comes back as it was. */
function ownRoute(route: Route): SiteRoute {
  if (!(route instanceof SiteRoute)) throw new TypeError('a route that this carrier did not make');
  return route;
}

async function viewMx(text: string, lookup: MxLookupOptions, router: Router, sites: Sites): Promise<MxView> {
  const path = parsePath(text.includes('@') ? text : `postmaster@${text}`);
  if (path.kind !== 'mailbox')
    throw new MtaError('INVALID_ADDRESS', `${JSON.stringify(text)}: ${path.kind === 'fault' ? path.text : 'a domain is needed'}`);
  const domain = domainOf(path.address);
  const lane = router.laneOf(path.address, lookup.sender ?? '');
  const plan = router.planOf(lane);
  if (plan.kind === 'unknown' || plan.kind === 'sealed') throw new TypeError(`the router does not know its own lane ${lane}`);
  const { refresh = false, signal, resolver } = lookup;
  const survey = await sites.survey(plan, { refresh, ...(signal ? { signal } : {}), ...(resolver ? { resolver } : {}) });
  if (refresh && resolver === undefined) sites.forget(lane);
  const { credentials, tls, heloName } = plan.policy;
  return {
    domain,
    lane,
    description: router.describe(lane),
    via: survey.via,
    tls,
    ...(credentials ? { username: credentials.username } : {}),
    hasPassword: credentials !== undefined,
    heloName,
    servers: survey.hosts.map((host) => ({ ...host, port: plan.port, addresses: host.addresses.map(({ text }) => text) })),
    ...(survey.trouble ? { trouble: survey.trouble } : {}),
    ttlMs: survey.ttlMs,
  };
}
