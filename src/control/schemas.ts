/** What the control API answers with, as JSON Schemas: the named parts, and the answer of each verb. */
import type { Attempt, Recipient } from '../core/delivery.js';
import type { ContentFacts, Message, Origin, TraceContext } from '../core/message.js';
import { PRIORITIES } from '../core/message.js';
import { type NowOutcome, type Server, STAGES, type Trouble } from '../core/outcome.js';
import type { CompactReport, MessageSummary, Pause, SnapshotReport, SpoolCounts } from '../spool/spool.js';
import type { ContentLook, HeaderField, PartView } from './content.js';
import type { Problem } from './problem.js';
import type { Session, Ticket } from './route.js';
import {
  anyOf,
  boolean,
  byName,
  integer,
  type JsonSchema,
  list,
  maybe,
  milliseconds,
  moment,
  momentOrNone,
  named,
  noted,
  number,
  numbersBy,
  object,
  octets,
  page,
  type Required,
  string,
  truth,
  word,
} from './schema.js';
import type {
  AgentLimits,
  AgentReport,
  ChangeReport,
  ConnectionReport,
  DeliveryView,
  HandInReport,
  HealthReport,
  LaneReport,
  LanesReport,
  MessageView,
  MxReport,
  MxServerReport,
  NowReport,
  QueueEntry,
  RecentReport,
  RecipientStatus,
  Sample,
  ShapeReport,
  ShapeRow,
  SiteReport,
  StatsReport,
  StatusReport,
  SubmitReport,
  TroubleReport,
  Wait,
  WhyDelivery,
  WhyReport,
} from './types.js';
import { ACTIONS } from './types.js';

const STATES = ['queued', 'delivered', 'bounced', 'expired', 'removed'] as const;
const DOES = ['ready', 'sending', 'waiting', 'held', 'done'] as const;
const state = word(...STATES);
const does = word(...DOES);
const priority = word(...PRIORITIES);
const status = noted(string, 'RFC 3463');
const serverName = noted(string, '`host[address]:port`');
const lane = noted(string, 'key of a lane, as `mx:example.com`');
const id = noted(string, '26 characters of Crockford base 32; sorts by time');

type Last = NonNullable<Recipient['last']>;
const last = object<Last>({ at: moment, status, text: string, server: maybe(serverName) }, 'what was heard of it last');

const origin = anyOf(
  object<Extract<Origin, { kind: 'smtp' }>>({ kind: word('smtp'), client: string, helo: string, user: maybe(string) }),
  object<Extract<Origin, { kind: 'api' }>>({ kind: word('api'), user: maybe(string) }),
  object<Extract<Origin, { kind: 'report' }>>({ kind: word('report'), of: id }),
);

const mergeValues = byName(anyOf(string, object<{ readonly raw: string }>({ raw: string })));

export const COMPONENTS: Readonly<Record<string, JsonSchema>> = schemasOf({
  Problem: object<Problem>(
    {
      type: string,
      title: string,
      status: integer,
      detail: string,
      code: maybe(noted(string, 'stable, as in the in-process API')),
      issues: maybe(list(object<{ path: string; code: string; message: string }>({ path: string, code: string, message: string }))),
    },
    'RFC 9457',
  ),
  Message: object<Message>({
    id,
    acceptedAt: moment,
    sender: noted(string, 'envelope sender; empty for the null sender'),
    sizeBytes: octets,
    content: object<ContentFacts>({ eightBit: boolean, dotted: boolean, utf8Headers: boolean }),
    smtpUtf8: boolean,
    requireTls: boolean,
    priority,
    notBefore: momentOrNone,
    expiresAt: moment,
    origin,
    messageId: string,
    bounces: word('mail', 'none'),
    tags: maybe(list(string)),
    trace: maybe(object<TraceContext>({ traceparent: string, tracestate: maybe(string) }, 'W3C Trace Context')),
    merge: maybe(object<NonNullable<Message['merge']>>({ defaults: mergeValues })),
    dsn: maybe(object<NonNullable<Message['dsn']>>({ ret: maybe(word('full', 'hdrs')), envid: maybe(string) })),
  }),
  Trouble: object<Trouble>({
    lasting: word('permanent', 'temporary'),
    stage: word(...STAGES),
    status,
    text: string,
    code: maybe(integer),
    server: maybe(object<Server>({ host: string, address: string, port: integer })),
    reason: maybe(string),
    retryAfterMs: maybe(milliseconds),
  }),
  Attempt: object<Attempt>({
    at: moment,
    durationMs: milliseconds,
    server: maybe(serverName),
    tls: maybe(string),
    stage: word(...STAGES),
    delivered: integer,
    deferred: integer,
    failed: integer,
    trouble: maybe(named('Trouble')),
    transcript: maybe(noted(string, 'what was said, a line for each command and reply, with its milliseconds')),
  }),
  Recipient: object<Recipient>({
    address: string,
    state,
    notify: maybe(list(word('never', 'success', 'failure', 'delay'))),
    orcpt: maybe(string),
    last: maybe(last),
  }),
  Delivery: object<DeliveryView>({
    key: string,
    lane,
    priority,
    state: does,
    recipients: list(named('Recipient')),
    attempts: integer,
    log: list(named('Attempt')),
    due: noted(momentOrNone, 'next attempt; 0 when done'),
    settledAt: noted(momentOrNone, 'when it was done; 0 while it is not'),
  }),
  QueueEntry: object<QueueEntry>({ message: named('Message'), delivery: named('Delivery') }),
  Lane: object<LaneReport>({
    lane,
    ready: integer,
    waiting: integer,
    held: integer,
    paused: maybe(object<Pause>({ at: moment, reason: string })),
    resting: maybe(object<NonNullable<LaneReport['resting']>>({ until: momentOrNone, trouble: string })),
  }),
  Connection: object<ConnectionReport>({ server: serverName, open: integer, busy: integer }),
  MessageSummary: object<MessageSummary>({
    message: named('Message'),
    status: word('queued', 'sent', 'error'),
    deliveries: numbersBy(...DOES),
    recipients: numbersBy('queued', 'delivered', 'failed'),
    named: list(object<MessageSummary['named'][number]>({ address: string, state })),
    due: maybe(moment),
    endedAt: maybe(moment),
    trouble: maybe(
      object<Last & { readonly recipient: string }>({ at: moment, status, text: string, server: maybe(serverName), recipient: string }),
    ),
    more: maybe(truth),
  }),
  Part: object<PartView>({
    path: string,
    type: string,
    charset: maybe(string),
    encoding: maybe(string),
    disposition: maybe(string),
    filename: maybe(string),
    parts: list(named('Part')),
    sizeBytes: maybe(octets),
  }),
});

const shapeRow = { domain: string, total: integer, byAge: list(integer) };

const handedIn = { id, messageId: string, recipients: integer, size: octets, unknownTokens: maybe(byName(integer)) } as const;
const submitted = object<SubmitReport>({ id, messageId: string, sizeBytes: octets, recipients: integer });
const statusReport = object<StatusReport>({
  id,
  status: word('queued', 'sent', 'error', 'unknown'),
  acceptedAt: momentOrNone,
  recipients: list(
    object<RecipientStatus>({ address: string, state, last: maybe(last), due: momentOrNone, attempts: integer, held: boolean }),
  ),
  tally: maybe(numbersBy(...STATES)),
  next: maybe(string),
});
const lanesReport = object<LanesReport>({ lanes: list(lane) });
const health = object<HealthReport>({ spool: word('open', 'reopening', 'full') });
const queuePage = page<QueueEntry>(named('QueueEntry'));
type Told = Extract<TroubleReport, { type: 'deferred' | 'bounced' | 'expired' }>;
type Fault = Extract<TroubleReport, { type: 'fault' }>;

/** By verb; those that answer with JSON. */
export const ANSWERS: Readonly<Record<string, JsonSchema>> = schemasOf({
  agent: object<AgentReport>({
    hostname: string,
    version: string,
    pid: integer,
    startedAt: moment,
    driver: string,
    listening: list(object<{ host: string; port: number }>({ host: string, port: integer })),
    limits: object<AgentLimits>({ maxMessageSize: octets, maxRecipients: integer, connectMs: milliseconds }),
  }),
  stats: object<StatsReport>({
    counts: object<SpoolCounts>({
      messages: integer,
      ready: integer,
      waiting: integer,
      held: integer,
      sending: integer,
      lanes: integer,
      freeBytes: maybe(octets),
    }),
    lanes: list(named('Lane')),
    connections: list(named('Connection')),
    sites: list(
      object<SiteReport>({ site: string, lanes: list(lane), laneCount: integer, backingOffUntil: momentOrNone, trouble: string }),
    ),
    metrics: byName(number),
    uptimeMs: milliseconds,
  }),
  list: queuePage,
  history: queuePage,
  shape: object<ShapeReport>({
    by: word('recipient', 'sender'),
    agesMinutes: list(integer),
    all: object<ShapeRow>(shapeRow),
    domains: list(object<ShapeRow>(shapeRow)),
    others: object<ShapeReport['others']>({ ...shapeRow, domains: integer }),
  }),
  snapshot: object<SnapshotReport>({ folder: string, entries: integer, bodyFiles: integer, bodyBytes: octets }),
  compact: object<CompactReport>({ before: octets, after: octets }),
  change: object<ChangeReport>({
    action: word(...ACTIONS),
    messages: integer,
    matched: integer,
    changed: integer,
    inFlight: integer,
    gone: integer,
    unknown: list(id),
  }),
  lanes: page<LaneReport>(named('Lane')),
  pause: lanesReport,
  resume: lanesReport,
  messages: page<MessageSummary>(named('MessageSummary')),
  submit: submitted,
  send: submitted,
  handIn: object<HandInReport>(handedIn),
  sendNow: object<NowReport>({
    ...handedIn,
    outcomes: list(
      object<NowOutcome>({
        address: string,
        state: word('delivered', 'deferred', 'failed'),
        status: string,
        text: string,
        server: maybe(string),
        transcript: maybe(string),
      }),
    ),
  }),
  idle: object<{ idle: boolean }>({ idle: boolean }),
  show: object<MessageView>({
    message: named('Message'),
    deliveries: list(named('Delivery')),
    next: maybe(string),
    tally: maybe(numbersBy(...STATES)),
  }),
  status: statusReport,
  news: statusReport,
  why: object<WhyReport>({
    id,
    status: word('queued', 'sent', 'error', 'unknown'),
    at: moment,
    agentRuns: boolean,
    deliveries: list(
      object<WhyDelivery>({
        key: string,
        lane,
        description: maybe(string),
        state: does,
        recipients: list(object<WhyDelivery['recipients'][number]>({ address: string, state, last: maybe(last) })),
        priority,
        level: maybe(priority),
        attempts: integer,
        waits: list(
          object<Wait>({
            kind: word('sending', 'held', 'paused', 'date', 'retry', 'agent', 'lookup', 'outage', 'trouble', 'connections', 'turn'),
            text: string,
            since: maybe(moment),
            until: maybe(moment),
          }),
        ),
        next: maybe(object<NonNullable<WhyDelivery['next']>>({ text: string, at: maybe(moment) })),
        expiresAt: maybe(moment),
        connections: maybe(list(named('Connection'))),
      }),
    ),
    more: maybe(truth),
  }),
  look: object<ContentLook>({
    subject: maybe(string),
    headers: list(object<HeaderField>({ name: string, value: string })),
    structure: maybe(named('Part')),
    incomplete: maybe(string),
    text: maybe(object<NonNullable<ContentLook['text']>>({ path: string, content: string, cut: boolean })),
    html: maybe(string),
  }),
  recent: object<RecentReport>({
    everyMs: milliseconds,
    samples: list(
      object<Sample>({
        at: moment,
        ready: integer,
        waiting: integer,
        held: integer,
        sending: integer,
        connections: integer,
        accepted: integer,
        delivered: integer,
        deferred: integer,
        failed: integer,
      }),
    ),
    troubles: list(
      anyOf(
        object<Told>({
          type: word('deferred', 'bounced', 'expired'),
          at: moment,
          id,
          lane,
          recipient: string,
          status,
          text: string,
          server: string,
        }),
        object<Fault>({ type: word('fault'), at: moment, code: string, text: string, lane: maybe(lane), id: maybe(id) }),
      ),
    ),
  }),
  mx: object<MxReport>({
    domain: string,
    lane,
    description: string,
    via: word('relay', 'mx', 'implicit', 'literal'),
    tls: word('off', 'opportunistic', 'starttls', 'implicit'),
    username: maybe(string),
    hasPassword: boolean,
    heloName: string,
    servers: list(
      object<MxServerReport>({
        host: string,
        port: integer,
        preference: integer,
        addresses: list(string),
        refused: list(object<{ address: string; why: string }>({ address: string, why: string })),
        passedBy: maybe(string),
      }),
    ),
    trouble: maybe(named('Trouble')),
    ttlMs: milliseconds,
  }),
  alive: health,
  ready: health,
  session: object<Session>({ session: string, expiresAt: moment }),
  ticket: object<Ticket>({ ticket: string, expiresAt: moment }),
  openapi: { schema: { type: 'object' } },
});

function schemasOf(named: Readonly<Record<string, Required>>): Readonly<Record<string, JsonSchema>> {
  return Object.fromEntries(Object.entries(named).map(([name, { schema }]) => [name, schema]));
}
