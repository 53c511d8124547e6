/**
 * What an agent is to whoever holds it, and what it takes from outside. Types only: `mta.ts` makes it.
 */
import type { Changes } from './config/changes.js';
import type { Config } from './config/config.js';
import type { SiteReport } from './control/types.js';
import type { MailEvent } from './core/event.js';
import type { LaneKey } from './core/lane.js';
import type { MxLookupOptions, MxView } from './delivery/carrier.js';
import type { ImmediateIntake } from './intake/immediate.js';
import type { TakeTurn } from './intake/once.js';
import type { MergeEnvelope, MergeSubmission, Submission, SubmissionEnvelope } from './intake/submission.js';
import type { Measures } from './outcome/metrics.js';
import type { Operator } from './outcome/operate.js';
import type { Clock } from './platform/clock.js';
import type { Dialer } from './platform/dialer.js';
import type { Log } from './platform/log.js';
import type { Random } from './platform/random.js';
import type { Resolver } from './platform/resolver.js';
import type { Seal } from './platform/seal.js';
import type { Tracing } from './platform/tracing.js';
import type { LaneNow } from './scheduler/lane-now.js';
import type { Spool } from './spool/spool.js';

/** What the agent takes from outside: the system's, unless told otherwise. */
export interface World {
  readonly clock: Clock;
  readonly random: Random;
  readonly dialer: Dialer;
  readonly resolver: Resolver;
  readonly log: Log;
  /** Seals logins at rest. */
  readonly seal: Seal;
  /** Stands in for the LevelDB spool. */
  readonly openSpool: () => Promise<Spool>;
}

export interface StartOptions extends Partial<World> {
  /** Port of mail exchangers: 25, but on a network of one's own. */
  readonly mxPort?: number;
  /** Sockets that listen already, handed to us by the service manager: mail is taken on them besides what the configuration says. */
  readonly sockets?: readonly { readonly fd: number; readonly implicitTls: boolean }[];
  /** Default: OpenTelemetry, where this process has a provider of traces registered. */
  readonly tracing?: Tracing;
  /** Hears every event, live. Must not throw. */
  readonly onEvent?: (event: MailEvent) => void;
}

/** `hostname`: the DNS server to ask, by name or address, with `:port` where it is not 53. */
export interface MxLookup extends Omit<MxLookupOptions, 'resolver'> {
  readonly hostname?: string;
}

/** Besides what stands here: what an operator does to deliveries and lanes. */
export interface Mta extends Operator {
  readonly hostname: string;
  /** In force now. */
  readonly config: Config;
  /** Epoch ms. */
  readonly startedAt: number;
  /** To look at; changes go through `operate`. */
  readonly spool: Spool;
  submit(envelope: SubmissionEnvelope): Submission;
  /** A template, of which each recipient gets a copy. */
  submitMerge(envelope: MergeEnvelope): MergeSubmission;
  /** For what is sent now and never stored. */
  readonly immediate: ImmediateIntake;
  /** For what is handed in under a key. */
  readonly takeTurn: TakeTurn;
  mxLookup(domain: string, options?: MxLookup): Promise<MxView>;
  /** Where mail for a recipient waits, by the routes there are. */
  laneOf(recipient: string, sender: string): LaneKey;
  /** Connections outward, by `host[address]:port`. */
  connections(): ReadonlyMap<string, { readonly open: number; readonly busy: number }>;
  /** As bound. */
  listening(): readonly { readonly host: string; readonly port: number }[];
  metrics(): Readonly<Record<string, number>>;
  /** How long deliveries and attempts take. */
  measures(): Measures;
  /** The agent's clock, epoch ms. */
  now(): number;
  /** Sites (and lanes that cannot be looked up) that are left alone because of trouble. */
  sites(): readonly SiteReport[];
  /** A lane at this moment: where it leads, and what keeps its mail from going. */
  lane(lane: LaneKey): LaneNow & { readonly description: string; readonly connectionsPerServer: number };
  /** Whatever waits for a site in trouble may be tried now. */
  flush(): void;
  /** Hears every event, live, until what is returned is called. Must not throw. */
  subscribe(listener: (event: MailEvent) => void): () => void;
  /** Resolves when nothing that is due is waiting or on its way. */
  idle(signal?: AbortSignal): Promise<void>;
  /**
   * Takes another configuration while mail flows: listeners, certificates, routes, limits, retries. No session is dropped, mail that waits
   * follows the new routes. Resolves with what was taken and what counts from the next start only. Rejects as starting does, and has
   * changed nothing then.
   */
  reload(wanted: Config): Promise<Changes>;
  /** Within `shutdown.timeout`; a `signal` cuts the waiting short. Idempotent. */
  close(signal?: AbortSignal): Promise<void>;
}
