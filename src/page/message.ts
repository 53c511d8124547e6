/** One message: how it stands, why, what was tried, and what is in it. */
import type { MessageView, WhyDelivery, WhyReport } from '../control/types.js';
import { Refusal } from './api.js';
import { deliveryCard } from './delivery.js';
import { type Child, h, replace } from './dom.js';
import { icon, standing } from './icons.js';
import { Look } from './look.js';
import { time } from './time.js';
import { type Action, act, VERBS } from './verbs.js';
import { type Room, run, type View } from './view.js';
import { count, messageStanding, size } from './words.js';

/** Deliveries on one page. */
const SHOWN = 50;

export function message(room: Room, id: string, query: URLSearchParams): View {
  const after = query.get('after') ?? undefined;
  const head = h('div', {});
  const facts = h('dl', { class: 'facts' });
  const deliveries = h('div', { class: 'deliveries' });
  const look = new Look(room.api, id);
  const body = h('div', {}, h('section', { class: 'card', 'aria-label': 'About the message' }, facts), deliveries, look.element);
  const missing = h('p', { class: 'empty card' });
  missing.hidden = true;
  let known = '';
  return {
    title: `Message ${id}`,
    element: h(
      'div',
      { class: 'message' },
      h('a', { class: 'backward', href: '#/messages' }, icon('back'), 'Messages'),
      head,
      body,
      missing,
    ),
    async refresh() {
      const view = await found(room, id, after);
      body.hidden = view === undefined;
      missing.hidden = view !== undefined;
      if (view === undefined) {
        replace(head, h('h1', { tabindex: -1 }, 'No such message'));
        missing.textContent = `Neither the queue nor its history knows ${id}. What ended long ago is forgotten.`;
        return;
      }
      const why = await whyOf(room, view);
      const now = JSON.stringify([view, [...why.values()]]);
      if (now === known) return;
      known = now;
      replace(head, headOf(view, room));
      replace(facts, factsOf(view));
      replace(
        deliveries,
        view.deliveries.map((delivery) => deliveryCard(delivery, why.get(delivery.key))),
        h(
          'p',
          { class: 'pager' },
          after !== undefined && h('a', { class: 'button', href: hrefOf(id) }, 'First deliveries'),
          view.next !== undefined &&
            h('a', { class: 'button', href: `${hrefOf(id)}?after=${encodeURIComponent(view.next)}` }, 'Next deliveries'),
        ),
      );
      await look.renew(isOpen(view));
    },
  };
}

function hrefOf(id: string): string {
  return `#/messages/${encodeURIComponent(id)}`;
}

function isOpen({ deliveries, tally }: MessageView): boolean {
  return tally === undefined ? deliveries.some(({ state }) => state !== 'done') : tally.queued > 0;
}

/** A merge to many has as many deliveries: page by page, then. */
async function found(room: Room, id: string, after: string | undefined): Promise<MessageView | undefined> {
  try {
    return await room.api.get<MessageView>(`/v1/messages/${encodeURIComponent(id)}`, { limit: SHOWN, after });
  } catch (error) {
    if (error instanceof Refusal && (error.status === 404 || error.status === 400)) return undefined;
    throw error;
  }
}

function headOf(view: MessageView, room: Room): Child {
  const { message: about, deliveries, tally } = view;
  const held = deliveries.some(({ state }) => state === 'held');
  const actions: readonly Action[] = !isOpen(view) ? [] : ['retry', held ? 'release' : 'hold', 'reschedule', 'fail', 'remove'];
  const recipients = deliveries.flatMap((each) => each.recipients);
  const [first] = recipients;
  const others = (tally === undefined ? recipients.length : Object.values(tally).reduce((sum, each) => sum + each, 0)) - 1;
  return [
    h(
      'header',
      { class: 'head' },
      h(
        'div',
        {},
        h(
          'h1',
          { tabindex: -1 },
          `To ${first?.address ?? 'nobody'}`,
          others > 0 && h('span', { class: 'muted' }, ` and ${count(others)} more`),
        ),
        h('p', { class: 'subtitle' }, standing(messageStanding(deliveries)), h('code', { class: 'id' }, about.id)),
      ),
    ),
    actions.length > 0 &&
      h(
        'div',
        { class: 'verbs', role: 'group', 'aria-label': 'What can be done' },
        actions.map((action) => verb(action, about.id, room)),
      ),
  ];
}

function verb(action: Action, id: string, room: Room): HTMLElement {
  const { word, danger } = VERBS[action];
  // One takes the place of the other, and the focus stays.
  const key = action === 'release' ? 'hold' : action;
  const work = () => act(room.api, action, { query: { id }, what: 'this message' });
  return h(
    'button',
    { type: 'button', class: danger ? 'button danger' : 'button', 'data-key': key, on: { click: () => void run(room, work) } },
    word,
  );
}

function factsOf(view: MessageView): Child {
  const { message: about, tally } = view;
  const fact = (name: string, value: Child) => h('div', {}, h('dt', {}, name), h('dd', {}, value));
  return [
    fact('From', about.sender === '' ? 'the mail system itself (null sender)' : about.sender),
    fact('Accepted', [time(about.acceptedAt), h('span', { class: 'muted' }, ` ${origin(about)}`)]),
    about.notBefore > about.acceptedAt && fact('Not before', time(about.notBefore)),
    isOpen(view) && fact('Given up', time(about.expiresAt)),
    tally && fact('Recipients', tallied(tally)),
    fact('Size', size(about.sizeBytes)),
    fact('Priority', about.priority),
    about.tags !== undefined &&
      about.tags.length > 0 &&
      fact(
        'Tags',
        about.tags.map((tag) => h('span', { class: 'chip' }, tag)),
      ),
    about.requireTls && fact('TLS', 'required, verified'),
    about.bounces === 'none' && fact('Reports', 'none are sent'),
    about.messageId !== '' && fact('Message-ID', h('code', {}, about.messageId)),
  ];
}

function tallied(tally: NonNullable<MessageView['tally']>): string {
  return Object.entries(tally)
    .filter(([, many]) => many > 0)
    .map(([state, many]) => `${count(many)} ${state}`)
    .join(', ');
}

function origin({ origin: from }: MessageView['message']): Child {
  switch (from.kind) {
    case 'smtp':
      return `over SMTP from ${from.client}${from.user === undefined ? '' : `, logged in as ${from.user}`}`;
    case 'report':
      return ['as a report about ', h('a', { href: hrefOf(from.of) }, from.of)];
    default:
      return 'over the API';
  }
}

/** By the key of the delivery; what has ended waits for nothing. */
async function whyOf({ api }: Room, { message: about, deliveries }: MessageView): Promise<ReadonlyMap<string, WhyDelivery>> {
  if (deliveries.every(({ state }) => state === 'done')) return new Map();
  const report = await api.get<WhyReport>(`/v1/messages/${encodeURIComponent(about.id)}/why`);
  return new Map(report.deliveries.map((each) => [each.key, each]));
}
