/** What an agent tells of itself: how it is, what goes through it, where mail would go. */
import type { LaneKey } from '../../core/lane.js';
import type { MessageId } from '../../core/message.js';
import type { Trouble } from '../../core/outcome.js';
import type { SpoolCounts } from '../../spool/spool.js';
import type { LaneReport } from './queue.js';

export interface AgentReport {
  readonly hostname: string;
  readonly version: string;
  readonly pid: number;
  readonly startedAt: number;
  readonly driver: string;
  readonly listening: readonly { readonly host: string; readonly port: number }[];
  /** What whoever hands in must know. */
  readonly limits: AgentLimits;
}

export interface AgentLimits {
  /** Octets. */
  readonly maxMessageSize: number;
  readonly maxRecipients: number;
  /** How long a connection outward is waited for. */
  readonly connectMs: number;
}

export interface HealthReport {
  readonly spool: 'open' | 'reopening' | 'full';
}

export interface SiteReport {
  readonly site: string;
  /** Those that lead there, ten at most, and how many they are. */
  readonly lanes: readonly LaneKey[];
  readonly laneCount: number;
  readonly backingOffUntil: number;
  readonly trouble: string;
}

export interface ConnectionReport {
  /** `host[address]:port`. */
  readonly server: string;
  readonly open: number;
  readonly busy: number;
}

export interface StatsReport {
  readonly counts: SpoolCounts;
  /** The deepest lanes first. */
  readonly lanes: readonly LaneReport[];
  readonly connections: readonly ConnectionReport[];
  readonly sites: readonly SiteReport[];
  /** Counters since the start. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Milliseconds since the start; 0 when no agent runs. */
  readonly uptimeMs: number;
}

/** The queue at one moment, and what went through it in the ten seconds before. */
export interface Sample {
  readonly at: number;
  readonly ready: number;
  readonly waiting: number;
  readonly held: number;
  readonly sending: number;
  /** Open, outward. */
  readonly connections: number;
  readonly accepted: number;
  readonly delivered: number;
  readonly deferred: number;
  /** Bounced or expired. */
  readonly failed: number;
}

/** Something that did not go well, in the words of whoever said so. */
export type TroubleReport =
  | {
      readonly type: 'deferred' | 'bounced' | 'expired';
      readonly at: number;
      readonly id: MessageId;
      readonly lane: LaneKey;
      readonly recipient: string;
      /** RFC 3463. */
      readonly status: string;
      readonly text: string;
      /** `''` where none was reached. */
      readonly server: string;
    }
  | {
      readonly type: 'fault';
      readonly at: number;
      readonly code: string;
      readonly text: string;
      readonly lane?: LaneKey;
      readonly id?: MessageId;
    };

/** The last hours. */
export interface RecentReport {
  /** Between two samples. */
  readonly everyMs: number;
  /** Oldest first. */
  readonly samples: readonly Sample[];
  /** Oldest first. */
  readonly troubles: readonly TroubleReport[];
}

export interface MxServerReport {
  readonly host: string;
  readonly port: number;
  readonly preference: number;
  /** In the order in which they are tried. */
  readonly addresses: readonly string[];
  /** Found, but mail is not taken there, and why. */
  readonly refused: readonly { readonly address: string; readonly why: string }[];
  /** Why the host is not used at all. */
  readonly passedBy?: string;
}

/** Where mail for a domain would go now. */
export interface MxReport {
  readonly domain: string;
  readonly lane: LaneKey;
  /** The lane in words. */
  readonly description: string;
  /** `relay`: a configured route; `implicit`: the domain has no MX, and takes its mail itself. */
  readonly via: 'relay' | 'mx' | 'implicit' | 'literal';
  readonly tls: 'off' | 'opportunistic' | 'starttls' | 'implicit';
  readonly username?: string;
  readonly hasPassword: boolean;
  readonly heloName: string;
  /** Best first, also those that are of no use. */
  readonly servers: readonly MxServerReport[];
  /** Why no mail can go there now. */
  readonly trouble?: Trouble;
  /** How long the answer is good for. */
  readonly ttlMs: number;
}
