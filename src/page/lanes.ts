/** Where mail waits: every lane with its depth, what is wrong with it, and the means to pause it. */
import type { LaneReport } from '../control/types.js';
import type { Page } from '../spool/spool.js';
import { type Child, h, keyed, replace } from './dom.js';
import { standing } from './icons.js';
import { time, triedAgain } from './time.js';
import { act, pauseLane, resumeLane } from './verbs.js';
import { type Room, run, type View } from './view.js';
import { count, laneName } from './words.js';

const SHOWN = 100;

export function lanes(room: Room, query: URLSearchParams): View {
  const search = query.get('search') ?? '';
  const after = query.get('after') ?? undefined;
  const rows = h('ul', { class: 'lanes', 'aria-label': 'Lanes' });
  const empty = h('p', { class: 'empty' });
  const more = h('p', { class: 'pager' });
  const field = h('input', {
    type: 'search',
    value: search,
    placeholder: 'Search lanes',
    'aria-label': 'Search lanes',
    'data-search': true,
  });
  const form = h(
    'form',
    {
      class: 'search',
      role: 'search',
      on: {
        submit: (event) => {
          event.preventDefault();
          location.hash = field.value.trim() === '' ? '#/lanes' : `#/lanes?search=${encodeURIComponent(field.value.trim())}`;
        },
      },
    },
    field,
  );
  return {
    title: 'Lanes',
    element: h(
      'div',
      {},
      h(
        'header',
        { class: 'head' },
        h(
          'div',
          {},
          h('h1', { tabindex: -1 }, 'Lanes'),
          h('p', { class: 'subtitle' }, 'A lane is where mail waits: a domain, or a fixed server.'),
        ),
        form,
      ),
      h('section', { class: 'card flush', 'aria-label': 'Lanes' }, rows, empty),
      more,
    ),
    async refresh() {
      const page = await room.api.get<Page<LaneReport>>('/v1/lanes', { limit: SHOWN, search, after });
      keyed(
        rows,
        page.items,
        ({ lane }) => lane,
        () => h('li', {}),
        (element, lane) => renew(element, lane, room),
      );
      empty.hidden = page.items.length > 0;
      rows.hidden = page.items.length === 0;
      empty.textContent = search === '' ? 'No mail waits anywhere.' : 'No lane has that in its name.';
      const next = new URLSearchParams({ ...(search === '' ? {} : { search }), ...(page.next === undefined ? {} : { after: page.next }) });
      replace(more, page.next !== undefined && h('a', { class: 'button', href: `#/lanes?${next}` }, 'More lanes'));
    },
  };
}

/** Written anew only where something has changed, so that a button is not taken away from under a finger. */
function renew(element: Element & { known?: string }, lane: LaneReport, room: Room): void {
  const known = JSON.stringify(lane);
  if (element.known === known) return;
  element.known = known;
  const counts = [
    lane.ready > 0 ? `${count(lane.ready)} ready` : '',
    lane.waiting > 0 ? `${count(lane.waiting)} waiting` : '',
    lane.held > 0 ? `${count(lane.held)} held` : '',
  ].filter((each) => each !== '');
  replace(
    element,
    h(
      'div',
      { class: 'cell who' },
      h(
        'a',
        { class: 'name', href: `#/messages?lane=${encodeURIComponent(lane.lane)}`, 'data-key': `lane ${lane.lane}` },
        laneName(lane.lane),
      ),
      lane.lane.startsWith('host:') && h('span', { class: 'muted' }, ' fixed server'),
    ),
    h('div', { class: 'cell counts' }, counts.join(' · ') || 'empty'),
    h('div', { class: 'cell state' }, stateOf(lane)),
    h('div', { class: 'cell actions' }, actionsOf(lane, room)),
  );
}

function stateOf({ paused, resting }: LaneReport): Child {
  if (paused !== undefined) {
    return [
      standing({ tone: 'held', word: 'Paused' }),
      h('p', { class: 'words' }, paused.reason, h('span', { class: 'muted' }, time(paused.at))),
    ];
  }
  if (resting === undefined) return h('span', { class: 'muted' }, 'Open');
  const again = h('span', { class: 'muted' }, triedAgain(resting.until));
  return [standing({ tone: 'wait', word: 'Backing off' }), h('p', { class: 'words' }, resting.trouble, again)];
}

function actionsOf({ lane, waiting, paused }: LaneReport, room: Room): Child {
  const name = laneName(lane);
  const button = (word: string, work: () => Promise<string | undefined>) =>
    h(
      'button',
      {
        type: 'button',
        class: 'button small',
        'data-key': `${word} ${lane}`,
        'aria-label': `${word} ${name}`,
        on: { click: () => void run(room, work) },
      },
      word,
    );
  return [
    waiting > 0 &&
      paused === undefined &&
      button('Retry now', () => act(room.api, 'retry', { query: { lane }, what: `all mail to ${name}` })),
    paused === undefined ? button('Pause…', () => pauseLane(room.api, lane)) : button('Resume', () => resumeLane(room.api, lane)),
  ];
}
