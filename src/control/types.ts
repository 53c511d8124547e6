/**
 * What goes over the control socket: every verb with its request and its answer, as plain JSON, shared by server and client. Fields are
 * only ever added. Moments are epoch milliseconds, sizes octets.
 */
import type { MessageId, TraceContext } from '../core/message.js';
import type { CompactReport, MessageQuery, MessageSummary, MessageView, Page, Query, SnapshotReport } from '../spool/spool.js';
import type { Told } from './feed.js';
import type { Exposition } from './prometheus.js';
import type { AgentReport, HealthReport, MxReport, RecentReport, StatsReport } from './types/agent.js';
import type { HandInBody, HandInReport, HandInRequest, NowReport, SubmitReport, SubmitRequest } from './types/handing-in.js';
import type { RawMessage, StatusReport, ViewPage, WhyReport } from './types/message.js';
import type {
  ChangeReport,
  ChangeRequest,
  LaneQuery,
  LaneReport,
  LaneSelector,
  LanesReport,
  PauseRequest,
  QueuePage,
  ShapeReport,
  ShapeRequest,
} from './types/queue.js';

export type { DeliveryView, LaneCounts, MessageQuery, MessageSummary, MessageView, SpoolCounts } from '../spool/spool.js';
export * from './types/agent.js';
export * from './types/handing-in.js';
export * from './types/message.js';
export * from './types/queue.js';
export type { Exposition, Told };

/** The verbs that only read. They work on a running agent and on a spool at rest. `signal`: nobody waits for the answer any more. */
export interface ReadingVerbs {
  list(query: Query, page: { readonly limit: number; readonly after?: string }, signal?: AbortSignal): Promise<QueuePage>;
  /** Messages of queue and history in a line each. A page may be short or empty, and still have a next one. */
  messages(query: MessageQuery, page: { readonly limit: number; readonly after?: string }): Promise<Page<MessageSummary>>;
  /** Rejects with `NOT_FOUND`. */
  show(id: MessageId, page?: ViewPage, signal?: AbortSignal): Promise<MessageView>;
  /**
   * Of a merge the copy of `recipient`, or else of the first who is still in the queue. Rejects with `NOT_FOUND` where it never was, or its
   * content went with its last delivery.
   */
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
