/**
 * What an operator or a tool can ask of a running agent, in one place: plain asynchronous functions from
 * JSON to JSON. The server and the web page only carry them; the client offers the same ones from afar.
 *
 * Promises: a change is durable when its verb resolves. Work is done page by page, so no verb holds the
 * queue in memory. Must not: know HTTP, print, or decide anything about delivery.
 */
import { parsePath } from '../core/address.js';
import type { Notify } from '../core/delivery.js';
import { type Issue, MtaError } from '../core/errors.js';
import type { Emit } from '../core/event.js';
import type { LaneKey } from '../core/lane.js';
import type { Message, MessageId, Origin, Priority } from '../core/message.js';
import { tagFault } from '../core/tag.js';
import type { Clock } from '../platform/clock.js';
import type { HistogramView } from '../platform/histogram.js';
import type { Log } from '../platform/log.js';
import type { LaneNow } from '../scheduler/lane-now.js';
import type { AcceptedOnce, Change, ChangeResult, GiveUp, SnapshotReport, Spool, Upkeep } from '../spool/spool.js';
import { changeDeliveries } from './changing.js';
import { feed } from './feed.js';
import { checkAlive, checkReady } from './health.js';
import { createLetters, type SendLetter } from './letter.js';
import { pauseLanes, resumeLanes } from './pausing.js';
import { createExposition } from './prometheus.js';
import { deepestLanes, LANES_SHOWN, readingVerbs, whyOf } from './reading.js';
import type { Recent } from './recent.js';
import { laneReport } from './resting.js';
import type {
  ControlVerbs,
  MxReport,
  QueueEntry,
  RecipientStatus,
  SiteReport,
  StatsReport,
  StatusReport,
  SubmitReport,
  SubmitRequest,
} from './types.js';
import type { WhyKnown } from './why.js';

/** A message on its way into the agent; as `Submission` of intake. */
export interface ControlledSubmission {
  readonly id: MessageId;
  write(chunk: Buffer): true | Promise<void>;
  finish(once?: {
    readonly key: string;
    readonly digest: string;
  }): Promise<{ readonly id: MessageId; readonly messageId: string; readonly sizeBytes: number }>;
  abort(): void;
}

/** As `SubmissionEnvelope` of intake. */
export interface ControlledEnvelope {
  readonly sender: string;
  readonly recipients: readonly { readonly address: string; readonly notify?: readonly Notify[] }[];
  readonly smtpUtf8: boolean;
  readonly requireTls: boolean;
  readonly origin: Origin;
  readonly priority: Priority;
  readonly notBefore: number;
  readonly expiresAt?: number;
  readonly bounces: Message['bounces'];
  readonly tags?: readonly string[];
  readonly dsn?: Message['dsn'];
  readonly received: string;
}

/** As `ContentDigest` of intake. */
export interface ControlledDigest {
  update(chunk: Buffer): void;
  text(): string;
}

/** As `Turn` of intake: of one who came with an idempotency key. */
export interface ControlledTurn {
  readonly taken: boolean;
  digest(envelope: ControlledEnvelope): ControlledDigest;
  first(digest: string): AcceptedOnce;
  leave(): void;
}

/** A lane at this moment. */
export interface LaneView extends LaneNow {
  /** In words. */
  readonly description: string;
  readonly connectionsPerServer: number;
}

/** What the control verbs need of an agent. */
export interface ControlledAgent {
  /** To look at only: changes go through `operate`. */
  readonly spool: Spool;
  /** Changes a delivery, durably, and lets those hear of it who listen. */
  operate(listed: QueueEntry, change: Change | GiveUp): Promise<ChangeResult>;
  /** Durable, and told. */
  pauseLane(lane: LaneKey, reason: string): Promise<void>;
  resumeLane(lane: LaneKey): Promise<boolean>;
  /** Where mail for a recipient waits. */
  laneOf(recipient: string, sender: string): LaneKey;
  readonly hostname: string;
  readonly startedAt: number;
  submit(envelope: ControlledEnvelope): ControlledSubmission;
  takeTurn(key: string): Promise<ControlledTurn>;
  mxLookup(
    domain: string,
    options?: { readonly refresh?: boolean; readonly hostname?: string; readonly signal?: AbortSignal },
  ): Promise<MxReport>;
  connections(): ReadonlyMap<string, { readonly open: number; readonly busy: number }>;
  listening(): readonly { readonly host: string; readonly port: number }[];
  /** Epoch ms. */
  now(): number;
  /** How long deliveries and attempts take, in milliseconds. */
  measures(): { readonly delivery: HistogramView; readonly attempt: HistogramView };
  /** Plain counters since the start; what is no number is not told. */
  metrics(): object;
  sites(): readonly SiteReport[];
  /** What is known of a lane at this moment. */
  lane(lane: LaneKey): LaneView;
  flush(): void;
  /** Hears every event, live, until what is returned is called. */
  subscribe(listener: Emit): () => void;
  /** Resolves when nothing that is due waits or is on its way. Rejects with `ABORTED`. */
  idle(signal: AbortSignal): Promise<void>;
}

export interface VerbOptions {
  readonly clock: Clock;
  readonly version: string;
  readonly pid: number;
  /** Octets of content taken over the socket; intake's own limit. */
  readonly maxMessageSize: number;
  readonly maxRecipients: number;
  /** Whether an agent that takes no mail for want of room counts as not ready. Default: it does. */
  readonly readyNeedsRoom?: boolean;
  /** How long a connection outward is waited for. */
  readonly connectMs: number;
  /** Takes in what comes with the options of the API. */
  readonly handIn: ControlVerbs['handIn'];
  /** Sends it at once. */
  readonly sendNow: ControlVerbs['sendNow'];
  /** Composes what comes as JSON. Absent: only formatted messages are taken. */
  readonly sendLetter?: SendLetter;
  /** Told of every change an operator makes. */
  readonly log: Log;
  /** Absent: the last hours are not kept. */
  readonly recent?: Pick<Recent, 'report'>;
}

export function controlVerbs(agent: ControlledAgent, options: VerbOptions): ControlVerbs {
  const reading = readingVerbs(agent.spool, options.clock);
  return {
    ...reading,
    lanes: async (query, page) => {
      const found = await reading.lanes(query, page);
      return { ...found, items: found.items.map((counts) => laneReport(counts, agent.lane(counts.lane))) };
    },
    why: (id) => whyOf(agent.spool, id, knownNow(agent, options.clock.now())),
    news: (id, waitMs, signal) => news(reading.status, options.clock, id, waitMs, signal),
    stats: async (asked) => stats(agent, options, asked?.lanes ?? LANES_SHOWN),
    change: (request, signal) => changeDeliveries(agent, options.log, request, signal),
    pause: (request) => pauseLanes(agent, request),
    resume: (request) => resumeLanes(agent, request),
    send: createLetters(options.sendLetter, () => options.maxMessageSize),
    submit: (request, content) => submit(agent, options, request, content),
    handIn: options.handIn,
    sendNow: options.sendNow,
    idle: (waitMs, signal) => untilIdle(agent, options.clock, waitMs, signal),
    mx: (domain, asked, signal) => agent.mxLookup(domain, { ...asked, ...(signal === undefined ? {} : { signal }) }),
    flush: async () => agent.flush(),
    snapshot: (folder) => snapshot(agent, options.log, folder),
    compact: () => upkeepOf(agent).compact(),
    // With it come all routes and schemas, which an agent within a program has no use for.
    openapi: async () => (await import('./openapi.js')).describeApi(options.version),
    exposition: createExposition(agent, options.version),
    alive: async () => checkAlive(agent),
    ready: async () => checkReady(agent, options.readyNeedsRoom ?? true),
    recent: async (since) => options.recent?.report(since) ?? { everyMs: 0, samples: [], troubles: [] },
    events: (after, signal, opened) =>
      feed({ spool: agent.spool, clock: options.clock, subscribe: agent.subscribe }, after, signal, opened),
    agent: async () => ({
      hostname: agent.hostname,
      version: options.version,
      pid: options.pid,
      startedAt: agent.startedAt,
      driver: agent.spool.driver,
      listening: agent.listening(),
      limits: { maxMessageSize: options.maxMessageSize, maxRecipients: options.maxRecipients, connectMs: options.connectMs },
    }),
    close: async () => {},
  };
}

function knownNow(agent: ControlledAgent, now: number): WhyKnown {
  const connections = agent.connections();
  return {
    now,
    agentRuns: true,
    lane(key) {
      const lane = agent.lane(key);
      return {
        pause: agent.spool.pauses().get(key),
        description: lane.description,
        now: lane,
        connectionsPerServer: lane.connectionsPerServer,
        connections: lane.servers.map((server) => ({ server, open: 0, busy: 0, ...connections.get(server) })),
      };
    },
    place: ({ key }) => agent.spool.place(key),
  };
}

function upkeepOf({ spool }: ControlledAgent): Upkeep {
  if (spool.upkeep === undefined) throw new MtaError('INVALID_OPTIONS', `a ${spool.driver} spool has no folder to look after`);
  return spool.upkeep;
}

async function snapshot(agent: ControlledAgent, log: Log, folder: string): Promise<SnapshotReport> {
  const report = await upkeepOf(agent).snapshot(folder);
  log.info('control.snapshot', { folder, entries: report.entries, bodyFiles: report.bodyFiles });
  return report;
}

function stats(agent: ControlledAgent, options: VerbOptions, lanes: number): StatsReport {
  const metrics: Record<string, number> = {};
  for (const [name, value] of Object.entries(agent.metrics())) if (typeof value === 'number') metrics[name] = value;
  return {
    counts: agent.spool.counts(),
    lanes: deepestLanes(agent.spool.laneCounts(), lanes).map((counts) => laneReport(counts, agent.lane(counts.lane))),
    connections: [...agent.connections()].map(([server, { open, busy }]) => ({ server, open, busy })),
    sites: agent.sites(),
    metrics,
    uptimeMs: options.clock.now() - agent.startedAt,
  };
}

async function untilIdle(agent: ControlledAgent, clock: Clock, waitMs: number, signal?: AbortSignal): Promise<boolean> {
  const over = new AbortController();
  const abort = () => over.abort();
  const timer = clock.after(waitMs, abort);
  signal?.addEventListener('abort', abort, { once: true });
  try {
    await agent.idle(over.signal);
    return true;
  } catch (error) {
    if (over.signal.aborted) return false;
    throw error;
  } finally {
    timer.cancel();
    signal?.removeEventListener('abort', abort);
  }
}

const LOOK_FIRST_MS = 5;
const LOOK_LAST_MS = 1_000;

/** Looks again, less and less often: an attempt takes milliseconds, or long. */
async function news(
  status: ControlVerbs['status'],
  clock: Clock,
  id: MessageId,
  waitMs: number,
  signal?: AbortSignal,
): Promise<StatusReport> {
  const until = clock.monotonic() + waitMs;
  let report = await status(id);
  for (let pause = LOOK_FIRST_MS; isOpenStill(report) && clock.monotonic() < until && !signal?.aborted; pause *= 1.5) {
    await new Promise<void>((resolve) => clock.after(Math.min(pause, LOOK_LAST_MS), resolve));
    report = await status(id);
  }
  return report;
}

function isOpenStill({ recipients, tally }: StatusReport): boolean {
  return tally === undefined ? recipients.some(isOpen) : tally.queued > 0;
}

/** Queued, and nothing has been heard of it yet; what is held will not be. */
function isOpen({ state, last, held }: RecipientStatus): boolean {
  return state === 'queued' && last === undefined && !held;
}

async function submit(
  agent: ControlledAgent,
  options: VerbOptions,
  request: SubmitRequest,
  content: AsyncIterable<Buffer>,
): Promise<SubmitReport> {
  const { envelope, recipients } = readEnvelope(agent.hostname, options, request);
  const { idempotencyKey: key } = request;
  if (key === undefined) return { ...(await store(agent, options, envelope, content)), recipients };
  const turn = await agent.takeTurn(key);
  try {
    const digest = turn.digest(envelope);
    if (!turn.taken) return { ...(await store(agent, options, envelope, content, { key, digest })), recipients };
    for await (const chunk of content) digest.update(chunk);
    const first = turn.first(digest.text());
    return { id: first.id, messageId: first.messageId, sizeBytes: first.size, recipients: first.recipients };
  } finally {
    turn.leave();
  }
}

async function store(
  agent: ControlledAgent,
  options: VerbOptions,
  envelope: ControlledEnvelope,
  content: AsyncIterable<Buffer>,
  once?: { readonly key: string; readonly digest: ControlledDigest },
): Promise<Omit<SubmitReport, 'recipients'>> {
  const closed = agent.spool.closedFor(0);
  if (closed !== undefined) throw new MtaError(closed, CLOSED[closed]);
  const submission = agent.submit(envelope);
  try {
    let size = 0;
    for await (const chunk of content) {
      size += chunk.length;
      if (size > options.maxMessageSize) throw tooLarge(options.maxMessageSize);
      once?.digest.update(chunk);
      const taken = submission.write(chunk);
      if (taken !== true) await taken;
    }
    if (size === 0) throw new MtaError('MESSAGE_REFUSED', 'the message is empty');
  } catch (error) {
    submission.abort();
    throw error;
  }
  return submission.finish(once && { key: once.key, digest: once.digest.text() });
}

const CLOSED = {
  SPOOL_FULL:
    'no mail can be taken in: the disk of the spool has no more free space than spool.minFreeSpace. Make room there, and try again',
  SPOOL_FAILED:
    'no mail can be taken in now: the spool is being reopened after a failed write, and the log of the agent says which. Try again in a moment',
} as const;

export function tooLarge(limit: number): MtaError {
  return new MtaError('MESSAGE_TOO_LARGE', `the message is larger than ${limit} octets, the limit of this agent`);
}

/** All that is wrong with an envelope at once. */
function readEnvelope(
  hostname: string,
  options: VerbOptions,
  request: SubmitRequest,
): { envelope: ControlledEnvelope; recipients: number } {
  const issues: Issue[] = [];
  const fault = (path: string, message: string) => void issues.push({ path, code: 'INVALID_ADDRESS', message });
  let utf8 = false;
  const read = (path: string, text: string): string => {
    const parsed = parsePath(text);
    if (parsed.kind === 'mailbox') {
      utf8 ||= parsed.utf8;
      return parsed.address;
    }
    if (parsed.kind === 'postmaster') return `${parsed.localPart}@${hostname}`;
    fault(
      path,
      parsed.kind === 'fault' ? `${JSON.stringify(text)}: ${parsed.text}` : `${JSON.stringify(text)}: the null sender receives no mail`,
    );
    return '';
  };
  const sender = request.from === '' || request.from === '<>' ? '' : read('from', request.from);
  const addresses = request.to.map((address, i) => read(`to[${i}]`, address));
  if (addresses.length === 0) issues.push({ path: 'to', code: 'MISSING_FIELD', message: 'there is no recipient' });
  if (addresses.length > options.maxRecipients) {
    issues.push({ path: 'to', code: 'OUT_OF_RANGE', message: `more than ${options.maxRecipients} recipients in one message` });
  }
  const now = options.clock.now();
  if (request.expiresAt !== undefined && request.expiresAt <= Math.max(now, request.notBefore ?? 0)) {
    issues.push({ path: 'expiresAt', code: 'OUT_OF_RANGE', message: 'it would expire before it is sent' });
  }
  const tags = [...new Set(request.tags)];
  for (const [i, tag] of tags.entries()) {
    const wrong = tagFault(tag);
    if (wrong !== undefined) issues.push({ path: `tags[${i}]`, code: 'OUT_OF_RANGE', message: wrong });
  }
  const { notify, ret, envid } = request;
  if (notify?.includes('never') && notify.length > 1) issues.push({ path: 'notify', code: 'CONFLICT', message: 'never stands alone' });
  if (envid !== undefined && !/^[\x20-\x7e]{1,100}$/.test(envid))
    issues.push({ path: 'envid', code: 'INVALID_VALUE', message: 'envid must be printable ASCII, 100 characters at most' });
  if (issues.length > 0) {
    const code = issues.every((issue) => issue.code === 'INVALID_ADDRESS') ? 'INVALID_ADDRESS' : 'INVALID_OPTIONS';
    throw new MtaError(code, issues.map((issue) => issue.message).join('; '), { issues });
  }
  const envelope: ControlledEnvelope = {
    sender,
    recipients: addresses.map((address) => (notify === undefined ? { address } : { address, notify })),
    smtpUtf8: utf8,
    requireTls: request.requireTls ?? false,
    origin: { kind: 'api' },
    priority: request.priority ?? 'medium',
    notBefore: request.notBefore ?? 0,
    ...(request.expiresAt === undefined ? {} : { expiresAt: request.expiresAt }),
    bounces: request.bounces ?? 'mail',
    ...(tags.length === 0 ? {} : { tags }),
    ...(request.trace === undefined ? {} : { trace: request.trace }),
    ...(ret === undefined && envid === undefined ? {} : { dsn: { ...(ret && { ret }), ...(envid !== undefined && { envid }) } }),
    received: '',
  };
  return { envelope, recipients: new Set(addresses).size };
}
