/**
 * The control API as a table: method, path, parameters, verb, words. The server answers from it, and a
 * description of the API (OpenAPI) can be made from it; so nothing is served that does not stand here.
 *
 * Everything but the content of a message travels in the query string: what a request does can be read in
 * one line, and tried with `curl --unix-socket`.
 */
import { isAbsolute } from 'node:path';
import { canonicalAddress, normalizeDomain } from '../core/address.js';
import { NOTIFY } from '../core/delivery.js';
import { MtaError } from '../core/errors.js';
import { PRIORITIES } from '../core/message.js';
import { MOST_TAGS } from '../core/tag.js';
import { MESSAGE_STATES, type Query, VIEWED } from '../spool/spool.js';
import { LONGEST_REASON } from './changing.js';
import { lookInto, readPage, readPart } from './content.js';
import type { Told } from './feed.js';
import {
  choice,
  choices,
  type Field,
  type Fields,
  flag,
  integer,
  moment,
  readFields,
  required,
  text,
  texts,
  type Values,
} from './fields.js';
import { FRAMED_TYPE, unframe } from './framing.js';
import { LETTER_TYPE } from './letter.js';
import { HttpError } from './problem.js';
import { readId } from './reading.js';
import { SSE_TYPE } from './sse.js';
import { ACTIONS, type Action, type ControlVerbs, type HandInRequest, type RawMessage, type SubmitReport } from './types.js';

export type Answer =
  | { readonly kind: 'json'; readonly status: 200 | 201; readonly value: unknown; readonly location?: string }
  | { readonly kind: 'content'; readonly content: RawMessage; readonly filename: string }
  /** For a browser. `filename`: to be saved, not shown; else `policy` says what it may do. */
  | {
      readonly kind: 'file';
      readonly type: string;
      readonly filename?: string;
      readonly policy: string;
      readonly chunks: AsyncIterable<Buffer>;
    }
  | { readonly kind: 'text'; readonly type: string; readonly text: string }
  | { readonly kind: 'nothing' }
  /** Ends when `signal` aborts, or the caller has gone. */
  | { readonly kind: 'events'; readonly open: (signal: AbortSignal) => AsyncIterable<Told> };

/** Stands for the token where the page calls. */
export interface Session {
  /** Goes where the token would: `Authorization: Bearer …`. */
  readonly session: string;
  readonly expiresAt: number;
}

/** Opens one path, to look at, where no header can be sent: a frame, a download. */
export interface Ticket {
  /** Goes into the query as `ticket`, and nothing else may stand there. */
  readonly ticket: string;
  readonly expiresAt: number;
}

/** What the gate of `control.http` gives to callers whom it let in. */
export interface Access {
  /** Throws 403 for callers who have but a session: it would last for ever. */
  session(): Session;
  ticket(path: string): Ticket;
}

export interface Call {
  readonly verbs: ControlVerbs;
  /** Absent on the Unix socket, which has no gate. */
  readonly access?: Access;
  /** What stands for `:name` in the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly content: AsyncIterable<Buffer>;
  /** As the header `Idempotency-Key` has it. */
  readonly idempotencyKey?: string;
  /** Where a reader of events goes on. */
  readonly lastEventId?: number;
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal;
}

export interface ControlRoute {
  readonly method: 'GET' | 'POST';
  /** `/v1/messages/:id`. */
  readonly path: string;
  /** Name of the operation, unique. */
  readonly verb: string;
  readonly doc: string;
  readonly query: Fields;
  /** Needs no token over HTTP: it tells nothing of mail. */
  readonly open?: true;
  /** Media type of the request's content, where it has one. */
  readonly takes?: 'message/rfc822' | typeof LETTER_TYPE | typeof FRAMED_TYPE;
  /** Media type of the answer, where it is not JSON. */
  readonly gives?: 'message/rfc822' | 'text/plain' | 'text/html' | 'application/octet-stream' | typeof SSE_TYPE;
  readonly call: (call: Call) => Promise<Answer>;
}

/** Binds the parameters' types to the call. */
function route<const F extends Fields>(
  about: Omit<ControlRoute, 'query' | 'call'>,
  query: F,
  call: (call: Call, given: Values<F>) => Promise<Answer>,
): ControlRoute {
  return { ...about, query, call: (each) => call(each, readFields(query, each.query)) };
}

const taken = (report: SubmitReport): Answer => ({ kind: 'json', status: 201, value: report, location: `/v1/messages/${report.id}` });
const json = (value: unknown): Answer => ({ kind: 'json', status: 200, value });

/** Ids in one request; callers with more ask several times. */
export const MOST_IDS = 1000;
const MOST_LISTED = 1000;
const LISTED = 100;

const filters = {
  id: texts('ids of messages', MOST_IDS),
  lane: text('key of a lane, as `mx:example.com`'),
  state: choice('what the delivery does now', ['ready', 'waiting', 'held', 'sending']),
  domain: text('domain of a recipient'),
  sender: text('envelope sender'),
  recipient: text('address of a recipient'),
  tag: text('one of the tags it was given'),
  acceptedBefore: moment('accepted before this'),
  error: text('part of the last error, in any letter case'),
} as const;

const paging = {
  limit: integer(`at most so many on one page; ${LISTED} unless told`, 1, MOST_LISTED),
  after: text('the `next` of the page before', 2000),
} as const;

/** As the spool compares: addresses and domains in the spelling in which they are stored. */
function filterQuery({ id, domain, sender, recipient, ...given }: Values<typeof filters>): Query {
  return {
    ...given,
    ...(id === undefined ? {} : { ids: [...new Set(id.map(readId))] }),
    ...(domain === undefined ? {} : { domain: readDomain(domain) }),
    ...(sender === undefined ? {} : { sender: sender === '<>' ? '' : canonicalAddress(sender) }),
    ...(recipient === undefined ? {} : { recipient: canonicalAddress(recipient) }),
  };
}

function page(limit = LISTED, after?: string): { limit: number; after?: string } {
  return { limit, ...(after === undefined ? {} : { after }) };
}

/** Throws `INVALID_OPTIONS`. */
export function readDomain(given: string): string {
  const domain = given.startsWith('[') ? given : normalizeDomain(given);
  if (domain !== undefined) return domain;
  const message = `${JSON.stringify(given.slice(0, 100))} is not a domain name`;
  throw new MtaError('INVALID_OPTIONS', message, { issues: [{ path: 'domain', code: 'OUT_OF_RANGE', message }] });
}

function laneSelector<T extends { readonly domain?: string }>({ domain, ...rest }: T) {
  return domain === undefined ? rest : { ...rest, domain: readDomain(domain) };
}

function readAction(given: string): Action {
  const action = ACTIONS.find((each) => each === given);
  if (action !== undefined) return action;
  const message = `${JSON.stringify(given.slice(0, 40))} is not one of ${ACTIONS.join(', ')}`;
  throw new MtaError('INVALID_OPTIONS', message, { issues: [{ path: 'action', code: 'OUT_OF_RANGE', message }] });
}

function gated(access: Access | undefined): Access {
  if (access !== undefined) return access;
  throw new HttpError(404, 'No such path', 'sessions and tickets are for control.http; this socket asks for none');
}

/** Of deliveries of one message: of a merge there may be very many. */
const viewing = {
  limit: integer(`at most so many deliveries; of a merge ${VIEWED} unless told, of other messages all`, 1, VIEWED),
  after: text('the `next` of the page before', 20),
} as const;

/** Whose copy of a merge is meant. */
const copying = { recipient: text('of a merge: whose copy; default: the first who is still in the queue') } as const;

/** The options themselves are read by whoever takes them. */
function readHandIn({ options, chance = [], ...others }: Readonly<Record<string, unknown>>): HandInRequest {
  const wrong = (path: string, message: string): never => {
    throw new MtaError('INVALID_OPTIONS', message, { issues: [{ path, code: 'WRONG_TYPE', message }] });
  };
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return wrong(unknown, `there is no ${JSON.stringify(unknown)} beside options and chance`);
  if (typeof options !== 'object' || options === null || Array.isArray(options)) return wrong('options', 'options must be an object');
  if (!Array.isArray(chance) || chance.length > MOST_CHANCE || !chance.every((word) => typeof word === 'string' && word !== ''))
    return wrong('chance', `chance must be a list of words, ${MOST_CHANCE} at most`);
  return { options: options as HandInRequest['options'], chance };
}

/** A message has a few: its id, its boundaries. */
const MOST_CHANCE = 100;

const listing = { ...filters, ...paging };
const changing = {
  ...filters,
  all: flag('every delivery there is'),
  dryRun: flag('count, and change nothing'),
  at: moment('for reschedule: when it is tried next'),
  reason: text('for fail: why, in the report to the sender', LONGEST_REASON),
};
const laneChoice = {
  lane: text('key of a lane, as `mx:example.com`'),
  domain: text('domain whose lanes are meant: those that hold mail for it alone'),
};
const submission = {
  from: required(text('envelope sender; empty for the null sender')),
  to: required(texts('recipients', 10_000)),
  priority: choice('medium unless told', PRIORITIES),
  notBefore: moment('not sent before this'),
  expiresAt: moment('given up after this'),
  requireTls: flag('only over verified TLS (RFC 8689)'),
  bounces: choice('whether a failure is reported by mail', ['mail', 'none']),
  tags: texts('words to find it again by, 20 at most', MOST_TAGS),
  idempotencyKey: text('with the same key within a day nothing is stored, and the first answer is given again', 255),
  notify: choices('of what the servers on the way are to tell the sender (RFC 3461); never stands alone', NOTIFY),
  ret: choice('how much of the message a report is to bring back (RFC 3461)', ['full', 'hdrs']),
  envid: text('printable ASCII that a report names again (RFC 3461)', 100),
} as const satisfies Record<string, Field<unknown>>;

/** Of what came by mail, shown by itself or in a frame of our page: no script, no form, no request, an origin of its own. */
const HOSTILE_PAGE =
  "sandbox; default-src 'none'; img-src data: cid:; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'";
/** What names paths of this machine, or takes its disk for minutes, is for whoever may open the socket. */
function onlyHere(access: Access | undefined): void {
  if (access !== undefined) throw new HttpError(403, 'Not from afar', 'this is done through the Unix socket of the agent only');
}

const HOSTILE_FILE = "sandbox; default-src 'none'; frame-ancestors 'none'";

async function* bytes(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}

export const CONTROL_ROUTES: readonly ControlRoute[] = [
  route(
    { method: 'GET', path: '/v1/agent', verb: 'agent', doc: 'Who answers here: name, version, process, what it listens on.' },
    {},
    async ({ verbs }) => json(await verbs.agent()),
  ),
  route(
    {
      method: 'GET',
      path: '/v1/stats',
      verb: 'stats',
      doc: 'Depth of the queue, the deepest lanes, connections, sites in trouble, counters.',
    },
    { lanes: integer('so many of the deepest lanes', 0, 10_000) },
    async ({ verbs }, { lanes }) => json(await verbs.stats(lanes === undefined ? {} : { lanes })),
  ),
  route(
    {
      method: 'GET',
      path: '/v1/queue',
      verb: 'list',
      doc: 'Deliveries in the queue, oldest message first. A page may be empty and still have a next one.',
    },
    listing,
    async ({ verbs }, { limit, after, ...given }) => json(await verbs.list(filterQuery(given), page(limit, after))),
  ),
  route(
    {
      method: 'GET',
      path: '/v1/queue/shape',
      verb: 'shape',
      doc: 'How old what waits is, by domain. Looks at the whole queue.',
    },
    {
      by: required(choice('domains of recipients, or of senders', ['recipient', 'sender'])),
      state: filters.state,
      now: required(moment('ages are reckoned at this')),
      domains: integer('so many of the domains that have most', 0, 10_000),
    },
    async ({ verbs, signal }, { by, now, ...more }) => json(await verbs.shape({ ...more, by: by!, now: now! }, signal)),
  ),
  route(
    {
      method: 'POST',
      path: '/v1/spool/snapshot',
      verb: 'snapshot',
      doc: 'Copies the spool into a folder on this machine. By the Unix socket only.',
    },
    { folder: required(text('absolute path; not there yet, or empty', 4096)) },
    async ({ verbs, access }, { folder }) => {
      onlyHere(access);
      if (!isAbsolute(folder!)) throw new MtaError('INVALID_OPTIONS', `not an absolute path: ${JSON.stringify(folder)}`);
      return json(await verbs.snapshot(folder!));
    },
  ),
  route(
    {
      method: 'POST',
      path: '/v1/spool/compact',
      verb: 'compact',
      doc: 'Gives back the space of what was deleted. By the Unix socket only.',
    },
    {},
    async ({ verbs, access }) => {
      onlyHere(access);
      return json(await verbs.compact());
    },
  ),
  route(
    { method: 'POST', path: '/v1/queue/flush', verb: 'flush', doc: 'What waits because a site is in trouble may be tried now.' },
    {},
    async ({ verbs }) => {
      await verbs.flush();
      return { kind: 'nothing' };
    },
  ),
  route(
    {
      method: 'POST',
      path: '/v1/queue/:action',
      verb: 'change',
      doc: 'Remove, retry, hold, release, reschedule or fail (with a report to the sender) the deliveries selected. Nothing selected is an error; `all` must be said.',
    },
    changing,
    async ({ verbs, params, signal }, { all, dryRun, at, reason, ...rest }) => {
      const action = readAction(params['action']!);
      const selector = { ...filterQuery(rest), ...(all === true ? { all } : {}) };
      const more = { ...(at === undefined ? {} : { at }), ...(reason === undefined ? {} : { reason }) };
      return json(await verbs.change({ action, selector, dryRun: dryRun ?? false, ...more }, signal));
    },
  ),
  route(
    { method: 'GET', path: '/v1/lanes', verb: 'lanes', doc: 'Lanes that have mail or are paused, by key.' },
    { paused: flag('only those that are paused, or only those that are not'), search: text('part of the key'), ...paging },
    async ({ verbs }, { limit, after, ...query }) => json(await verbs.lanes(query, page(limit, after))),
  ),
  route(
    {
      method: 'POST',
      path: '/v1/lanes/pause',
      verb: 'pause',
      doc: 'Nothing of a lane is sent any more, but what is on its way, until it is resumed: also after a restart.',
    },
    { ...laneChoice, reason: text('why, shown wherever the lane is', LONGEST_REASON) },
    async ({ verbs }, given) => json(await verbs.pause(laneSelector(given))),
  ),
  route(
    { method: 'POST', path: '/v1/lanes/resume', verb: 'resume', doc: 'What is paused goes on. Answers with the lanes that were paused.' },
    { ...laneChoice, all: flag('every lane that is paused') },
    async ({ verbs }, { all, ...given }) => json(await verbs.resume({ ...laneSelector(given), ...(all === true ? { all } : {}) })),
  ),
  route(
    {
      method: 'GET',
      path: '/v1/messages',
      verb: 'messages',
      doc: 'Messages of queue and history in a line each, the newest first. A page may be short or empty, and still have a next one.',
    },
    {
      state: choice('what became of it so far: any unless told', ['any', ...MESSAGE_STATES]),
      search: text('part of the id, the sender, a recipient, the Message-ID or a tag, in any letter case'),
      oldestFirst: flag('the oldest first'),
      ...paging,
    },
    async ({ verbs }, { state, limit, after, ...query }) =>
      json(await verbs.messages({ ...query, ...(state === undefined || state === 'any' ? {} : { state }) }, page(limit, after))),
  ),
  route(
    {
      method: 'POST',
      path: '/v1/messages',
      verb: 'submit',
      takes: 'message/rfc822',
      doc: 'Takes in a message; the answer comes when it is safe on disk.',
    },
    submission,
    async ({ verbs, content, idempotencyKey: header }, given) => {
      const idempotencyKey = given.idempotencyKey ?? header;
      const key = idempotencyKey === undefined ? {} : { idempotencyKey };
      return taken(await verbs.submit({ ...given, from: given.from!, to: given.to!, ...key }, content));
    },
  ),
  route(
    {
      method: 'POST',
      path: '/v1/messages',
      verb: 'send',
      takes: LETTER_TYPE,
      doc: 'Composes a message from the options of `send` as JSON, attachments in base64, and takes it in.',
    },
    { idempotencyKey: submission.idempotencyKey },
    async ({ verbs, content, idempotencyKey: header }, { idempotencyKey }) => taken(await verbs.send(content, idempotencyKey ?? header)),
  ),
  route(
    {
      method: 'POST',
      path: '/v1/submissions',
      verb: 'handIn',
      takes: FRAMED_TYPE,
      doc: 'Takes in a message with any option of the API: a line of JSON with them, then the message.',
    },
    {},
    async ({ verbs, content, signal }) => {
      const framed = await unframe(content);
      const report = await verbs.handIn(readHandIn(framed.head), { content: framed.content(), rows: framed.rows?.() }, signal);
      return { kind: 'json', status: 201, value: report, location: `/v1/messages/${report.id}` };
    },
  ),
  route(
    {
      method: 'POST',
      path: '/v1/submissions/now',
      verb: 'sendNow',
      takes: FRAMED_TYPE,
      doc: 'Sends a message at once, ahead of the queue and stored nowhere; the answer comes when every recipient has its outcome.',
    },
    {},
    async ({ verbs, content, signal }) => {
      const framed = await unframe(content);
      return json(await verbs.sendNow(readHandIn(framed.head), { content: framed.content(), rows: framed.rows?.() }, signal));
    },
  ),
  route(
    { method: 'GET', path: '/v1/idle', verb: 'idle', doc: 'Whether nothing that is due waits or is on its way.' },
    { wait: integer('wait for it at most so many milliseconds', 0, 3_600_000) },
    async ({ verbs, signal }, { wait }) => json({ idle: await verbs.idle(wait ?? 0, signal) }),
  ),
  route(
    { method: 'GET', path: '/v1/messages/:id', verb: 'show', doc: 'Everything about a message: envelope, deliveries, attempts.' },
    viewing,
    async ({ verbs, params }, given) => json(await verbs.show(readId(params['id']!), given)),
  ),
  route(
    {
      method: 'GET',
      path: '/v1/messages/:id/status',
      verb: 'status',
      doc: 'What became of a message in one word, and of each recipient. `unknown` for an id never seen.',
    },
    viewing,
    async ({ verbs, params }, given) => json(await verbs.status(readId(params['id']!), given)),
  ),
  route(
    {
      method: 'GET',
      path: '/v1/messages/:id/why',
      verb: 'why',
      doc: 'Why a message is where it is: what each of its deliveries waits for, the wait that decides first, and what happens next.',
    },
    {},
    async ({ verbs, params }) => json(await verbs.why(readId(params['id']!))),
  ),
  route(
    {
      method: 'GET',
      path: '/v1/messages/:id/news',
      verb: 'news',
      doc: 'The status, as soon as something is known of every recipient or the time is up.',
    },
    { wait: required(integer('wait at most so many milliseconds', 0, 3_600_000)) },
    async ({ verbs, params, signal }, { wait }) => json(await verbs.news(readId(params['id']!), wait!, signal)),
  ),
  route(
    {
      method: 'GET',
      path: '/v1/messages/:id/content',
      verb: 'raw',
      doc: 'The content of a queued message, octet for octet.',
      gives: 'message/rfc822',
    },
    copying,
    async ({ verbs, params }, { recipient }) => {
      const id = readId(params['id']!);
      return { kind: 'content', content: await verbs.raw(id, recipient), filename: `${id}.eml` };
    },
  ),
  route(
    {
      method: 'GET',
      path: '/v1/messages/:id/look',
      verb: 'look',
      doc: 'The content of a queued message as people read it: header fields, structure, text.',
    },
    copying,
    async ({ verbs, params }, { recipient }) => json(await lookInto(await verbs.raw(readId(params['id']!), recipient))),
  ),
  route(
    {
      method: 'GET',
      path: '/v1/messages/:id/page',
      verb: 'page',
      doc: 'The HTML of a queued message, in a sandbox: it runs nothing and loads nothing.',
      gives: 'text/html',
    },
    copying,
    async ({ verbs, params }, { recipient }) => {
      const id = readId(params['id']!);
      const html = await readPage(await verbs.raw(id, recipient));
      if (html === undefined) throw new MtaError('NOT_FOUND', `the message ${id} has no HTML`);
      return { kind: 'file', type: 'text/html; charset=utf-8', policy: HOSTILE_PAGE, chunks: bytes(html) };
    },
  ),
  route(
    {
      method: 'GET',
      path: '/v1/messages/:id/parts/:part',
      verb: 'part',
      doc: 'One part of a queued message, decoded, as a file.',
      gives: 'application/octet-stream',
    },
    copying,
    async ({ verbs, params }, { recipient }) => {
      const id = readId(params['id']!);
      const part = await readPart(() => verbs.raw(id, recipient), params['part']!);
      if (part === undefined)
        throw new MtaError('NOT_FOUND', `the message ${id} has no part ${JSON.stringify(params['part']!.slice(0, 40))}`);
      return { kind: 'file', type: 'application/octet-stream', policy: HOSTILE_FILE, ...part };
    },
  ),
  route(
    { method: 'GET', path: '/v1/recent', verb: 'recent', doc: 'The last hours, every ten seconds, and the last troubles.' },
    { since: moment('samples from after this') },
    async ({ verbs }, { since }) => json(await verbs.recent(since ?? 0)),
  ),
  route(
    {
      method: 'GET',
      path: '/v1/events',
      verb: 'events',
      doc: 'What happens to mail, as server-sent events. With `after`, or the header `Last-Event-ID`: first what has ended since then.',
      gives: SSE_TYPE,
    },
    { after: moment('what ended since this is told first') },
    async ({ verbs, lastEventId }, { after }) => ({ kind: 'events', open: (signal) => verbs.events(lastEventId ?? after, signal) }),
  ),
  route(
    { method: 'GET', path: '/v1/history', verb: 'history', doc: 'Deliveries that have ended, in the order in which they did.' },
    { since: moment('ended at or after this'), ...paging },
    async ({ verbs }, { since, limit, after }) => json(await verbs.history({ since: since ?? 0, ...page(limit, after) })),
  ),
  route(
    { method: 'GET', path: '/v1/mx/:domain', verb: 'mx', doc: 'Where mail for a domain would go now.' },
    {
      refresh: flag('ask the DNS, not the cache'),
      hostname: text('the DNS server to ask: a name or an address, with `:port` where it is not 53'),
    },
    async ({ verbs, params }, { refresh, hostname }) =>
      json(
        await verbs.mx(readDomain(params['domain']!), {
          ...(refresh === undefined ? {} : { refresh }),
          ...(hostname === undefined ? {} : { hostname }),
        }),
      ),
  ),
  route(
    { method: 'GET', path: '/metrics', verb: 'exposition', doc: 'Counters, gauges and histograms for Prometheus.', gives: 'text/plain' },
    {},
    async ({ verbs }) => ({ kind: 'text', ...(await verbs.exposition()) }),
  ),
  route(
    { method: 'GET', path: '/v1/openapi.json', verb: 'openapi', doc: 'This API, described (OpenAPI 3.1).', open: true },
    {},
    async ({ verbs }) => json(await verbs.openapi()),
  ),
  route(
    { method: 'GET', path: '/livez', verb: 'alive', doc: 'Answers 503 where a restart may help, and 200 otherwise.', open: true },
    {},
    async ({ verbs }) => json(await verbs.alive()),
  ),
  route(
    {
      method: 'GET',
      path: '/readyz',
      verb: 'ready',
      doc: 'Answers 200 while mail is taken in; 503 or 507 while it is not. `control.readyNeedsRoom` says whether a full disk counts.',
      open: true,
    },
    {},
    async ({ verbs }) => json(await verbs.ready()),
  ),
  route(
    { method: 'POST', path: '/v1/session', verb: 'session', doc: 'A session of some hours in exchange for the token (over HTTP only).' },
    {},
    async ({ access }) => json(gated(access).session()),
  ),
  route(
    { method: 'POST', path: '/v1/ticket', verb: 'ticket', doc: 'Opens one path for a minute, for links and frames (over HTTP only).' },
    { path: required(text('the path to be read, without its query')) },
    async ({ access }, { path }) => json(gated(access).ticket(path!)),
  ),
];

export type Match =
  | { readonly kind: 'route'; readonly route: ControlRoute; readonly params: Readonly<Record<string, string>> }
  /** The path exists, for these methods. */
  | { readonly kind: 'method'; readonly allowed: readonly string[] }
  | { readonly kind: 'none' };

/** Names of path segments by position, ready to compare. */
const SEGMENTS = CONTROL_ROUTES.map((each) => ({ route: each, segments: each.path.split('/').slice(1) }));

/** Finds the route for a path (without query). The first that fits wins; of those that take content, the one that takes this type. */
export function matchRoute(method: string, path: string, type?: string): Match {
  const given = path.split('/').slice(1);
  const allowed = new Set<string>();
  let first: Match | undefined;
  for (const { route: candidate, segments } of SEGMENTS) {
    const params = matchSegments(segments, given);
    if (params === undefined) continue;
    allowed.add(candidate.method);
    if (candidate.method !== method) continue;
    const match = { kind: 'route', route: candidate, params } as const;
    if (candidate.takes === undefined || candidate.takes === type) return match;
    first ??= match;
  }
  if (first !== undefined) return first;
  return allowed.size > 0 ? { kind: 'method', allowed: [...allowed] } : { kind: 'none' };
}

function matchSegments(segments: readonly string[], given: readonly string[]): Record<string, string> | undefined {
  if (segments.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (let i = 0; i < segments.length; i++) {
    const segment = segments[i]!;
    if (!segment.startsWith(':')) {
      if (segment !== given[i]) return undefined;
      continue;
    }
    try {
      params[segment.slice(1)] = decodeURIComponent(given[i]!);
    } catch {
      return undefined;
    }
  }
  return params;
}
