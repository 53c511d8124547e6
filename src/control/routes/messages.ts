/** Routes about messages: handing them in, and looking at one or at many. */
import { NOTIFY } from '../../core/delivery.js';
import { MtaError } from '../../core/errors.js';
import { PRIORITIES } from '../../core/message.js';
import { MOST_TAGS } from '../../core/tag.js';
import { MESSAGE_STATES, VIEWED } from '../../spool/spool.js';
import { lookInto, readPage, readPart } from '../content.js';
import { choice, choices, type Field, flag, integer, moment, required, text, texts } from '../fields.js';
import { FRAMED_TYPE, unframe } from '../framing.js';
import { LETTER_TYPE } from '../letter.js';
import { readId } from '../reading.js';
import { type Answer, type ControlRoute, json, page, paging, route } from '../route.js';
import type { HandInRequest, SubmitReport } from '../types.js';

const taken = (report: SubmitReport): Answer => ({ kind: 'json', status: 201, value: report, location: `/v1/messages/${report.id}` });

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

const HOSTILE_FILE = "sandbox; default-src 'none'; frame-ancestors 'none'";

async function* bytes(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}

export const MESSAGE_ROUTES: readonly ControlRoute[] = [
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
    async ({ verbs, content, idempotencyKey: header, trace }, given) => {
      const idempotencyKey = given.idempotencyKey ?? header;
      const key = idempotencyKey === undefined ? {} : { idempotencyKey };
      return taken(await verbs.submit({ ...given, from: given.from!, to: given.to!, ...key, trace }, content));
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
    async ({ verbs, content, idempotencyKey: header, trace }, { idempotencyKey }) =>
      taken(await verbs.send(content, idempotencyKey ?? header, trace)),
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
    async ({ verbs, content, signal, trace }) => {
      const framed = await unframe(content);
      const report = await verbs.handIn(
        { ...readHandIn(framed.head), trace },
        { content: framed.content(), rows: framed.rows?.() },
        signal,
      );
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
];
