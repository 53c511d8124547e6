/** One delivery: its recipients, what was heard of each, and every attempt with what was said on the wire. */
import type { QueueEntry } from '../control/types.js';
import { type Child, h } from './dom.js';
import { standing } from './icons.js';
import { time } from './time.js';
import { counted, deliveryStanding, laneName, recipientStanding, span } from './words.js';

type Delivery = QueueEntry['delivery'];
type Attempt = Delivery['log'][number] & { readonly transcript?: string };

export function deliveryCard(message: QueueEntry['message'], delivery: Delivery): HTMLElement {
  const title = `delivery-${delivery.key}`;
  return h(
    'section',
    { class: 'card', 'aria-labelledby': title },
    h(
      'header',
      {},
      h('h2', { id: title }, h('a', { href: `#/messages?lane=${encodeURIComponent(delivery.lane)}` }, laneName(delivery.lane))),
      standing(deliveryStanding(delivery)),
    ),
    nextOf(message, delivery),
    h(
      'ul',
      { class: 'rows' },
      delivery.recipients.map((recipient) => recipientRow(recipient, delivery)),
    ),
    attemptsOf(delivery),
  );
}

function nextOf(message: QueueEntry['message'], { state, due, settledAt }: Delivery): Child {
  switch (state) {
    case 'waiting':
      return h('p', { class: 'why' }, 'Tried next ', time(due), '. Given up ', time(message.expiresAt), '.');
    case 'held':
      return h('p', { class: 'why' }, 'Held: not tried until it is released. Given up ', time(message.expiresAt), ' all the same.');
    case 'ready':
      return h('p', { class: 'why' }, 'Its turn comes as soon as a connection is free.');
    case 'sending':
      return h('p', { class: 'why' }, 'It is on its way at this moment.');
    default:
      return h('p', { class: 'why' }, 'Done ', time(settledAt), '.');
  }
}

function recipientRow({ address, state, last }: Delivery['recipients'][number], delivery: Delivery): HTMLElement {
  return h(
    'li',
    {},
    h(
      'div',
      { class: 'row-head' },
      standing(recipientStanding(state, delivery)),
      h('span', { class: 'name' }, address),
      last && h('span', { class: 'muted' }, time(last.at)),
    ),
    last &&
      h('p', { class: 'words' }, last.text, last.server !== undefined && last.server !== '' && h('span', { class: 'muted' }, last.server)),
  );
}

function attemptsOf({ key, log, attempts }: Delivery): Child {
  if (log.length === 0) return undefined;
  return h(
    'details',
    { class: 'more', 'data-key': `attempts ${key}` },
    h('summary', {}, counted(Math.max(attempts, log.length), 'attempt')),
    h(
      'ol',
      { class: 'attempts' },
      [...log].reverse().map((attempt: Attempt) => h('li', {}, attemptHead(attempt), attemptWords(attempt, key))),
    ),
  );
}

function attemptHead({ at, durationMs, server, tls, delivered, deferred, failed }: Attempt): HTMLElement {
  const came = [
    delivered > 0 ? `${delivered} delivered` : '',
    deferred > 0 ? `${deferred} deferred` : '',
    failed > 0 ? `${failed} failed` : '',
  ].filter((each) => each !== '');
  const took = durationMs < 1_000 ? `${Math.round(durationMs)} ms` : span(durationMs);
  return h(
    'div',
    { class: 'row-head' },
    h('span', { class: 'name' }, time(at)),
    h('span', {}, came.join(', ') || 'nobody was reached'),
    h('span', { class: 'muted' }, `${server ?? 'no server'} · ${took}${tls === undefined ? '' : ` · ${tls}`}`),
  );
}

function attemptWords({ trouble, transcript, at, stage }: Attempt, key: string): Child {
  return [
    trouble && h('p', { class: 'words' }, trouble.text, h('span', { class: 'muted' }, ` (${trouble.status}, at ${stage})`)),
    transcript !== undefined &&
      h(
        'details',
        { class: 'more', 'data-key': `transcript ${key} ${at}` },
        h('summary', {}, 'Transcript'),
        h('pre', { class: 'code', tabindex: 0 }, transcript),
      ),
  ];
}
