/** One delivery: its recipients, what was heard of each, and every attempt with what was said on the wire. */
import type { QueueEntry, WhyDelivery } from '../control/types.js';
import { type Child, h } from './dom.js';
import { standing } from './icons.js';
import { time } from './time.js';
import { counted, deliveryStanding, laneName, recipientStanding, span } from './words.js';

type Delivery = QueueEntry['delivery'];
type Attempt = Delivery['log'][number];

export function deliveryCard(delivery: Delivery, why: WhyDelivery | undefined): HTMLElement {
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
    whyOf(delivery, why),
    h(
      'ul',
      { class: 'rows' },
      delivery.recipients.map((recipient) => recipientRow(recipient, delivery)),
    ),
    attemptsOf(delivery),
  );
}

/** What it waits for, the wait that decides first, and what comes then: the agent's own words, with moments that pass. */
function whyOf({ state, settledAt }: Delivery, why: WhyDelivery | undefined): Child {
  if (state === 'done') return h('p', { class: 'why' }, 'Done ', time(settledAt), '.');
  if (why === undefined) return undefined;
  const fact = (name: string, value: Child) => h('div', {}, h('dt', {}, name), h('dd', {}, value));
  return h(
    'dl',
    { class: 'why' },
    why.waits.map(({ text, since, until }, i) =>
      fact(i === 0 ? 'Now' : 'Besides', [
        sentence(text),
        until !== undefined && until !== why.next?.at && h('span', { class: 'muted' }, ' It ends ', time(until), '.'),
        until === undefined && since !== undefined && since > 0 && h('span', { class: 'muted' }, ' Since ', time(since), '.'),
      ]),
    ),
    why.next &&
      fact('Next', [sentence(why.next.text), why.next.at !== undefined && h('span', { class: 'muted' }, ' ', time(why.next.at), '.')]),
    why.expiresAt !== undefined && fact('Given up', time(why.expiresAt)),
  );
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

function sentence(text: string): string {
  return `${capital(text)}${text.endsWith('…') ? '' : '.'}`;
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
