/** Routes about the agent itself: who it is, how it is, what happens in it, and where mail would go. */
import { isAbsolute } from 'node:path';
import { MtaError } from '../../core/errors.js';
import { flag, integer, moment, required, text } from '../fields.js';
import { HttpError } from '../problem.js';
import { type Access, type ControlRoute, json, readDomain, route } from '../route.js';
import { SSE_TYPE } from '../sse.js';

function gated(access: Access | undefined): Access {
  if (access !== undefined) return access;
  throw new HttpError(404, 'No such path', 'sessions and tickets are for control.http; this socket asks for none');
}

/** What names paths of this machine, or takes its disk for minutes, is for whoever may open the socket. */
function onlyHere(access: Access | undefined): void {
  if (access !== undefined) throw new HttpError(403, 'Not from afar', 'this is done through the Unix socket of the agent only');
}

export const AGENT_ROUTES: readonly ControlRoute[] = [
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
    { method: 'GET', path: '/v1/idle', verb: 'idle', doc: 'Whether nothing that is due waits or is on its way.' },
    { wait: integer('wait for it at most so many milliseconds', 0, 3_600_000) },
    async ({ verbs, signal }, { wait }) => json({ idle: await verbs.idle(wait ?? 0, signal) }),
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
    { method: 'GET', path: '/v1/mx/:domain', verb: 'mx', doc: 'Where mail for a domain would go now.' },
    {
      refresh: flag('ask the DNS, not the cache'),
      hostname: text('the DNS server to ask: a name or an address, with `:port` where it is not 53'),
    },
    async ({ verbs, params, signal }, { refresh, hostname }) => {
      const how = { ...(refresh === undefined ? {} : { refresh }), ...(hostname === undefined ? {} : { hostname }) };
      return json(await verbs.mx(readDomain(params['domain']!), how, signal));
    },
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
