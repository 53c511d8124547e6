/**
 * What goes over the control socket: requests and answers of every verb, as plain JSON, shared by server and
 * client. Fields are only ever added. Moments are epoch milliseconds, sizes octets.
 */
import type { DeliveryKey, Notify, Recipient, RecipientState } from '../core/delivery.js';
import type { LaneKey } from '../core/lane.js';
import type { Message, MessageId, Priority, TraceContext } from '../core/message.js';
import type { NowOutcome, Trouble } from '../core/outcome.js';
import type {
  CompactReport,
  DeliveryView,
  LaneCounts,
  MessageQuery,
  MessageSummary,
  MessageView,
  Page,
  Query,
  SnapshotReport,
  SpoolCounts,
} from '../spool/spool.js';
import type { Told } from './feed.js';
import type { Exposition } from './prometheus.js';

export type { Exposition, Told };

/** One delivery as the queue lists it. */
export interface QueueEntry {
  readonly message: Message;
  readonly delivery: DeliveryView;
}

export type QueuePage = Page<QueueEntry>;

/** Deliveries to act on: each given field must hold. At least one must be given, or `all`. */
export interface Selector extends Query {
  readonly all?: true;
}

export const ACTIONS = ['remove', 'retry', 'hold', 'release', 'reschedule', 'fail'] as const;
/** `fail`: tried no more, and the sender is told (`remove` tells nobody). `retry`: now, whatever it waits for. */
export type Action = (typeof ACTIONS)[number];

export interface ChangeRequest {
  readonly action: Action;
  readonly selector: Selector;
  /** For `reschedule`, and for nothing else: when it is tried next. What is held stays held. */
  readonly at?: number;
  /** For `fail`: why, in the report to the sender and in the history. */
  readonly reason?: string;
  /** Counts, and changes nothing. */
  readonly dryRun?: boolean;
}

/** What became of a change. Deliveries are counted, and the messages they belong to. */
export interface ChangeReport {
  readonly action: Action;
  readonly messages: number;
  readonly matched: number;
  readonly changed: number;
  /** Being sent at that moment: left alone. */
  readonly inFlight: number;
  /** Ended before it could be changed. */
  readonly gone: number;
  /** Of the ids asked for, those that are not in the queue. */
  readonly unknown: readonly MessageId[];
}

/** One lane by its key, all lanes of a domain that hold mail for it alone, or, to resume, all that are paused. */
export interface LaneSelector {
  readonly lane?: LaneKey;
  readonly domain?: string;
  readonly all?: true;
}

export interface PauseRequest {
  readonly lane?: LaneKey;
  readonly domain?: string;
  /** Shown wherever the lane is. */
  readonly reason?: string;
}

/** The lanes that were paused, or resumed. */
export interface LanesReport {
  readonly lanes: readonly LaneKey[];
}

/** A lane with its depth, and what keeps its mail from going: trouble of its own, or of the servers that it leads to. */
export interface LaneReport extends LaneCounts {
  /** `until`: when it is tried again. A moment that has passed: one connection is being tried. */
  readonly resting?: { readonly until: number; readonly trouble: string };
}

export interface LaneQuery {
  readonly paused?: boolean;
  /** Part of the key. */
  readonly search?: string;
}

/** `queued` while any recipient is open, else `sent` if all were delivered, else `error`. */
export type StatusWord = 'queued' | 'sent' | 'error' | 'unknown';

export interface RecipientStatus {
  readonly address: string;
  readonly state: RecipientState;
  /** When something was last heard of it, and what; absent before the first attempt. */
  readonly last?: NonNullable<Recipient['last']>;
  /** Next attempt; 0 when there is none. */
  readonly due: number;
  readonly attempts: number;
  readonly held: boolean;
}

export interface StatusReport {
  readonly id: MessageId;
  readonly status: StatusWord;
  readonly acceptedAt: number;
  /** Of a merge a page of them. */
  readonly recipients: readonly RecipientStatus[];
  /** Of a merge: how many of all recipients are in which state. */
  readonly tally?: Readonly<Record<RecipientState, number>>;
  /** Pass as `after` to see further ones; absent at the end. */
  readonly next?: string;
}

/** Of the deliveries of one message. */
export interface ViewPage {
  readonly limit?: number;
  readonly after?: string;
}

export type { DeliveryView, LaneCounts, MessageQuery, MessageSummary, MessageView, SpoolCounts };

/** Something that a delivery waits for. */
export interface Wait {
  /**
   * `date`: its time, or the one it was put off to. `retry`: the pause after an attempt. `trouble`: its servers are left alone for a while.
   * `agent`: none runs. `turn`: nothing stands in its way but others of its lane.
   */
  readonly kind: 'sending' | 'held' | 'paused' | 'date' | 'retry' | 'agent' | 'lookup' | 'outage' | 'trouble' | 'connections' | 'turn';
  /** In plain words, without times. */
  readonly text: string;
  readonly since?: number;
  /** When it is over by itself. */
  readonly until?: number;
}

export interface WhyDelivery {
  readonly key: DeliveryKey;
  readonly lane: LaneKey;
  /** The lane in words. */
  readonly description?: string;
  readonly state: DeliveryView['state'];
  readonly recipients: readonly Pick<Recipient, 'address' | 'state' | 'last'>[];
  readonly priority: Priority;
  /** The priority as waiting has raised it. */
  readonly level?: Priority;
  readonly attempts: number;
  /** The one that decides first; none where it is done. */
  readonly waits: readonly Wait[];
  readonly next?: { readonly text: string; readonly at?: number };
  /** When it is given up. */
  readonly expiresAt?: number;
  /** To the servers that its lane leads to. */
  readonly connections?: readonly ConnectionReport[];
}

/** Why a message is where it is. */
export interface WhyReport {
  readonly id: MessageId;
  readonly status: StatusWord;
  /** When this was so. */
  readonly at: number;
  /** False: told from the spool alone. */
  readonly agentRuns: boolean;
  readonly deliveries: readonly WhyDelivery[];
  /** It has more deliveries than these. */
  readonly more?: true;
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

export interface ShapeRequest {
  /** Whose domains: each recipient that is open counts (unless told), or each message once, by its sender. */
  readonly by?: 'recipient' | 'sender';
  readonly state?: Query['state'];
  /** Moment at which ages are reckoned; now unless told. */
  readonly now?: number;
  /** So many of the domains that have most; 20 unless told. */
  readonly domains?: number;
}

export interface ShapeRow {
  readonly domain: string;
  readonly total: number;
  /** As many as `agesMinutes`, and one for what is older. */
  readonly byAge: readonly number[];
}

export interface ShapeReport {
  readonly by: NonNullable<ShapeRequest['by']>;
  /** What is younger than so many minutes is in that column. */
  readonly agesMinutes: readonly number[];
  readonly all: ShapeRow;
  /** Those that have most first. */
  readonly domains: readonly ShapeRow[];
  /** All further domains together, and how many they are. */
  readonly others: ShapeRow & { readonly domains: number };
}

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

/** As the API's `SentNow`. */
export interface NowReport extends HandInReport {
  readonly outcomes: readonly NowOutcome[];
}

/** What another process of the same program hands in: the options of the API's `queue` but for its data, as JSON. */
export interface HandInRequest {
  readonly options: Readonly<Record<string, unknown>>;
  /** Words of the content that were drawn, and say nothing: another key of idempotency is not told by them. */
  readonly chance?: readonly string[];
  /** What whoever hands it in is doing; goes in the header of the request. */
  readonly trace?: TraceContext | undefined;
}

/** What follows the request, to be read in this order. */
export interface HandInBody {
  readonly content: AsyncIterable<Buffer>;
  /** Of a merge: who gets a copy, with which values. */
  readonly rows?: AsyncIterable<unknown> | undefined;
}

/** As the API's `Sent`. */
export interface HandInReport {
  readonly id: MessageId;
  readonly messageId: string;
  readonly recipients: number;
  readonly size: number;
  readonly unknownTokens?: Readonly<Record<string, number>>;
}

/** Envelope of a message handed in over the socket. The content follows it as a stream. */
export interface SubmitRequest {
  /** `''` is the null sender. */
  readonly from: string;
  readonly to: readonly string[];
  readonly priority?: Priority;
  /** Not before this moment. */
  readonly notBefore?: number;
  readonly expiresAt?: number;
  readonly requireTls?: boolean;
  readonly bounces?: 'mail' | 'none';
  readonly tags?: readonly string[];
  /** With the same key within a day nothing is stored, and the first report is given again. */
  readonly idempotencyKey?: string;
  /** RFC 3461, for every recipient. */
  readonly notify?: readonly Notify[];
  readonly ret?: 'full' | 'hdrs';
  /** Printable ASCII, 100 characters at most. */
  readonly envid?: string;
  /** What whoever hands it in is doing; goes in the header of the request. */
  readonly trace?: TraceContext | undefined;
}

export interface SubmitReport {
  readonly id: MessageId;
  readonly messageId: string;
  readonly sizeBytes: number;
  readonly recipients: number;
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

/** The content of a queued message, octet for octet. */
export interface RawMessage {
  readonly sizeBytes: number;
  /** Fails before its end if the stored content is damaged. */
  readonly chunks: AsyncIterable<Buffer>;
}

/** The verbs that only read. They work on a running agent and on a spool at rest. `signal`: nobody waits for the answer any more. */
export interface ReadingVerbs {
  list(query: Query, page: { readonly limit: number; readonly after?: string }, signal?: AbortSignal): Promise<QueuePage>;
  /** Messages of queue and history in a line each. A page may be short or empty, and still have a next one. */
  messages(query: MessageQuery, page: { readonly limit: number; readonly after?: string }): Promise<Page<MessageSummary>>;
  /** Rejects with `NOT_FOUND`. */
  show(id: MessageId, page?: ViewPage, signal?: AbortSignal): Promise<MessageView>;
  /** Rejects with `NOT_FOUND` where it never was, or its content went with its last delivery. */
  /** Of a merge the copy of `recipient`, or else of the first who is still in the queue. */
  raw(id: MessageId, recipient?: string): Promise<RawMessage>;
  status(id: MessageId, page?: ViewPage): Promise<StatusReport>;
  /** What it waits for, and what happens next. Rejects with `NOT_FOUND`. */
  why(id: MessageId, signal?: AbortSignal): Promise<WhyReport>;
  /** Lanes that have mail or are paused, by key. */
  lanes(query: LaneQuery, page: { readonly limit: number; readonly after?: string }, signal?: AbortSignal): Promise<Page<LaneReport>>;
  stats(options?: { readonly lanes?: number }): Promise<StatsReport>;
  /** Looks at the whole queue. */
  shape(request: ShapeRequest, signal?: AbortSignal): Promise<ShapeReport>;
  history(page: { readonly since: number; readonly limit: number; readonly after?: string }): Promise<QueuePage>;
  close(): Promise<void>;
}

/** Everything that can be asked of a running agent: what the server offers and the client passes on. */
export interface ControlVerbs extends ReadingVerbs {
  agent(signal?: AbortSignal): Promise<AgentReport>;
  /** The last hours, as far as this process remembers them: samples from after `since`, and the last troubles. */
  recent(since: number): Promise<RecentReport>;
  change(request: ChangeRequest, signal?: AbortSignal): Promise<ChangeReport>;
  /** Nothing of a lane is sent from when this resolves, but what is on its way: until it is resumed, also after a restart. */
  pause(request: PauseRequest, signal?: AbortSignal): Promise<LanesReport>;
  resume(request: LaneSelector, signal?: AbortSignal): Promise<LanesReport>;
  /** Copies the spool, as it is now, into a folder on the agent's machine, which is not there yet or is empty. Only by its socket. */
  snapshot(folder: string): Promise<SnapshotReport>;
  /** Gives back the space of what was deleted. Only by its socket. */
  compact(): Promise<CompactReport>;
  /** Resolves when durable. Rejects with what intake has against it; nothing is stored then. */
  submit(request: SubmitRequest, content: AsyncIterable<Buffer>): Promise<SubmitReport>;
  /** The same with every option that the API has. Rejects as the API does. */
  handIn(request: HandInRequest, body: HandInBody, signal?: AbortSignal): Promise<HandInReport>;
  /** The same sent at once, ahead of the queue and stored nowhere: resolves when every recipient has its outcome. */
  sendNow(request: HandInRequest, body: HandInBody, signal?: AbortSignal): Promise<NowReport>;
  /** Whether nothing that is due waits or is on its way; waits for it at most `waitMs`. */
  idle(waitMs: number, signal?: AbortSignal): Promise<boolean>;
  /** Options of `send` as JSON, data in base64: composed by the agent. Resolves when durable. */
  send(content: AsyncIterable<Buffer>, idempotencyKey?: string, trace?: TraceContext): Promise<SubmitReport>;
  /** The status as soon as something is known of every recipient, or after `waitMs` what there is. */
  news(id: MessageId, waitMs: number, signal?: AbortSignal): Promise<StatusReport>;
  /** `hostname`: the DNS server to ask. */
  mx(domain: string, options?: { readonly refresh?: boolean; readonly hostname?: string }, signal?: AbortSignal): Promise<MxReport>;
  /**
   * Events, live, until `signal`. `after` (epoch ms, or the `cursor` of an event): first everything that ended since then, from the history;
   * then every end comes at least once. `opened`: from when it is called, nothing is missed.
   */
  events(after: number | undefined, signal: AbortSignal, opened?: () => void): AsyncIterable<Told>;
  /** This API, described: OpenAPI 3.1. */
  openapi(): Promise<object>;
  /** Counters, gauges and histograms in the words of Prometheus. */
  exposition(): Promise<Exposition>;
  /** Rejects with `SPOOL_FAILED` where only a restart may help. */
  alive(): Promise<HealthReport>;
  /** Rejects with `SPOOL_FAILED` or `SPOOL_FULL` where no mail can be taken in now. */
  ready(): Promise<HealthReport>;
  /** What waits because a site is in trouble may be tried now. */
  flush(): Promise<void>;
}
