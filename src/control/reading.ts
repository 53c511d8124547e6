/**
 * The verbs that only read, over any spool: an agent's own, or one at rest that was opened to look at it.
 * What they answer is plain data; nothing here changes anything.
 */

import { type Copies, createCopies } from '../compose/merge/copies.js';
import { canonicalAddress } from '../core/address.js';
import { MtaError } from '../core/errors.js';
import { isMessageId } from '../core/id.js';
import type { Body, MessageId } from '../core/message.js';
import type { LaneCounts, MessageView, Page, Spool } from '../spool/spool.js';
import { shapeOf } from './shape.js';
import type { LaneQuery, ReadingVerbs, RecipientStatus, StatusReport, StatusWord, ViewPage, WhyReport } from './types.js';
import { explain, type WhyKnown } from './why.js';

/** As much of a spool as reading needs. */
export type ReadableSpool = Pick<
  Spool,
  'inspect' | 'readBody' | 'copy' | 'list' | 'messages' | 'counts' | 'laneCounts' | 'pauses' | 'history' | 'close'
>;

/** Lanes told of by `stats` unless more are asked for. */
export const LANES_SHOWN = 20;
const CHUNK = 64 * 1024;

/** Undefined for what cannot be an id. Letter case and the digits that look like letters are forgiven. */
export function parseId(text: string): MessageId | undefined {
  const id = text.trim().toUpperCase().replaceAll('O', '0').replace(/[IL]/g, '1');
  return isMessageId(id) ? id : undefined;
}

/** Throws `INVALID_OPTIONS` for what cannot be an id. */
export function readId(text: string): MessageId {
  const id = parseId(text);
  if (id !== undefined) return id;
  const message = `${JSON.stringify(text.slice(0, 60))} is not a message id: it has 26 letters and digits`;
  throw new MtaError('INVALID_OPTIONS', message, { issues: [{ path: 'id', code: 'OUT_OF_RANGE', message }] });
}

export function readingVerbs(spool: ReadableSpool, clock: { now(): number }): Omit<ReadingVerbs, 'stats' | 'why' | 'close'> {
  const copies = createCopies(spool, 0);
  return {
    list: (query, page) => spool.list(query, page),
    messages: (query, page) => spool.messages(query, page),
    history: (page) => spool.history(page),
    lanes: async (query, page) => lanePage(spool, query, page),
    shape: ({ state, by = 'recipient', now = clock.now(), ...request }, signal) =>
      shapeOf((page) => spool.list(state === undefined ? {} : { state }, page), { ...request, by, now }, signal),

    show: (id, page) => show(spool, id, page),

    async raw(id, recipient) {
      const body = await contentOf(spool, copies, id, recipient);
      if (body === undefined)
        throw new MtaError('NOT_FOUND', `no message ${id} is in the queue; content goes when the last delivery is done`);
      if (body.kind === 'stream') return { sizeBytes: body.sizeBytes, chunks: body.open() };
      return { sizeBytes: body.bytes.length, chunks: slices(body.bytes) };
    },

    async status(id, page) {
      const view = await spool.inspect(id, page);
      return view === undefined ? { id, status: 'unknown', acceptedAt: 0, recipients: [] } : statusOf(view);
    },
  };
}

/** Rejects with `NOT_FOUND`. */
export async function whyOf(spool: ReadableSpool, id: MessageId, known: WhyKnown): Promise<WhyReport> {
  const view = await show(spool, id);
  return explain(view, statusOf(view).status, known);
}

/** Where no agent runs, the spool alone tells. */
function knownAtRest(spool: ReadableSpool, now: number): WhyKnown {
  return { now, agentRuns: false, lane: (key) => ({ pause: spool.pauses().get(key) }), place: () => undefined };
}

/** Of a merge the copy of `recipient`, else that of the first who is still open: a template is nothing that anybody gets. */
async function contentOf(spool: ReadableSpool, copies: Copies, id: MessageId, recipient: string | undefined): Promise<Body | undefined> {
  const view = await spool.inspect(id, { limit: 1 });
  if (view?.message.merge === undefined) return spool.readBody(id);
  const query = { ids: [id], ...(recipient === undefined ? {} : { recipient: canonicalAddress(recipient) }) };
  for (let after: string | undefined, more = true; more; more = after !== undefined) {
    const { items, next } = await spool.list(query, { limit: 1, ...(after === undefined ? {} : { after }) });
    if (items[0] !== undefined) return copies.body({ ...items[0].delivery, message: view.message });
    after = next;
  }
  return undefined;
}

/** The reading verbs of a spool at rest; closing them closes it. */
export function readingOnly(spool: ReadableSpool, clock: { now(): number }): ReadingVerbs {
  return {
    ...readingVerbs(spool, clock),
    why: (id) => whyOf(spool, id, knownAtRest(spool, clock.now())),
    stats: async (options) => ({
      counts: spool.counts(),
      lanes: deepestLanes(spool.laneCounts(), options?.lanes ?? LANES_SHOWN),
      connections: [],
      sites: [],
      metrics: {},
      uptimeMs: 0,
    }),
    close: () => spool.close(),
  };
}

async function show(spool: ReadableSpool, id: MessageId, page?: ViewPage): Promise<MessageView> {
  const view = await spool.inspect(id, page);
  if (view === undefined) throw new MtaError('NOT_FOUND', `no message ${id} is in the queue or its history`);
  return view;
}

/** A message in one word, and each of its recipients. */
export function statusOf(view: MessageView): StatusReport {
  const recipients = view.deliveries.flatMap((delivery) =>
    delivery.recipients.map(
      (recipient): RecipientStatus => ({
        address: recipient.address,
        state: recipient.state,
        ...(recipient.last === undefined ? {} : { last: recipient.last }),
        due: recipient.state === 'queued' ? delivery.due : 0,
        attempts: delivery.attempts,
        held: delivery.state === 'held',
      }),
    ),
  );
  const { message, tally, next } = view;
  return {
    id: message.id,
    status: tally === undefined ? statusWord(recipients) : tallyWord(tally),
    acceptedAt: message.acceptedAt,
    recipients,
    ...(tally === undefined ? {} : { tally }),
    ...(next === undefined ? {} : { next }),
  };
}

function statusWord(recipients: readonly RecipientStatus[]): StatusWord {
  if (recipients.some((recipient) => recipient.state === 'queued')) return 'queued';
  return recipients.every((recipient) => recipient.state === 'delivered') ? 'sent' : 'error';
}

function tallyWord({ queued, delivered, ...ends }: NonNullable<MessageView['tally']>): StatusWord {
  if (queued > 0) return 'queued';
  return delivered > 0 && Object.values(ends).every((count) => count === 0) ? 'sent' : 'error';
}

/** Lanes by key; those that are paused are there also while they are empty. */
function lanePage(spool: ReadableSpool, query: LaneQuery, { limit, after = '' }: { limit: number; after?: string }): Page<LaneCounts> {
  const lanes = new Map<string, LaneCounts>();
  for (const [lane, paused] of spool.pauses()) lanes.set(lane, { lane, ready: 0, waiting: 0, held: 0, paused });
  for (const counts of spool.laneCounts()) lanes.set(counts.lane, counts);
  const wanted = [...lanes.values()].filter(
    ({ lane, paused }) =>
      lane > after &&
      (query.paused === undefined || query.paused === (paused !== undefined)) &&
      (query.search === undefined || lane.includes(query.search.toLowerCase())),
  );
  const items = wanted.sort((a, b) => (a.lane < b.lane ? -1 : 1)).slice(0, limit);
  return wanted.length > limit ? { items, next: items[limit - 1]!.lane } : { items };
}

/** The deepest lanes first; equal ones by name, so that the order holds still. */
export function deepestLanes(lanes: Iterable<LaneCounts>, most: number): readonly LaneCounts[] {
  const depth = (lane: LaneCounts) => lane.ready + lane.waiting + lane.held;
  return [...lanes].sort((a, b) => depth(b) - depth(a) || (a.lane < b.lane ? -1 : 1)).slice(0, most);
}

async function* slices(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK);
}
