/** Routes about deliveries and lanes: looking at what is queued and what has ended, and changing it. */
import { canonicalAddress } from '../../core/address.js';
import { MtaError } from '../../core/errors.js';
import type { Query } from '../../spool/spool.js';
import { LONGEST_REASON } from '../changing.js';
import { choice, flag, integer, moment, text, texts, type Values } from '../fields.js';
import { readId } from '../reading.js';
import { type ControlRoute, json, MOST_IDS, page, paging, readDomain, route } from '../route.js';
import { ACTIONS, type Action } from '../types.js';

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

function laneSelector<T extends { readonly domain?: string }>({ domain, ...rest }: T) {
  return domain === undefined ? rest : { ...rest, domain: readDomain(domain) };
}

function readAction(given: string): Action {
  const action = ACTIONS.find((each) => each === given);
  if (action !== undefined) return action;
  const message = `${JSON.stringify(given.slice(0, 40))} is not one of ${ACTIONS.join(', ')}`;
  throw new MtaError('INVALID_OPTIONS', message, { issues: [{ path: 'action', code: 'OUT_OF_RANGE', message }] });
}

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

export const QUEUE_ROUTES: readonly ControlRoute[] = [
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
      by: choice('domains of recipients (unless told), or of senders', ['recipient', 'sender']),
      state: filters.state,
      now: moment('ages are reckoned at this; now unless told'),
      domains: integer('so many of the domains that have most', 0, 10_000),
    },
    async ({ verbs, signal }, given) => json(await verbs.shape(given, signal)),
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
    { method: 'GET', path: '/v1/history', verb: 'history', doc: 'Deliveries that have ended, in the order in which they did.' },
    { since: moment('ended at or after this'), ...paging },
    async ({ verbs }, { since, limit, after }) => json(await verbs.history({ since: since ?? 0, ...page(limit, after) })),
  ),
];
