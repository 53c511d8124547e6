/** The list of mail: filters, search, pages, and what can be done to those that are chosen. */
import type { MessageSummary, QueuePage } from '../control/types.js';
import type { Page } from '../spool/spool.js';
import { type Query, queryString } from './api.js';
import { type Child, h, keyed, replace } from './dom.js';
import { icon, standing } from './icons.js';
import { summariesOf } from './summaries.js';
import { time } from './time.js';
import { type Action, act, VERBS } from './verbs.js';
import { type Room, run, type View } from './view.js';
import { count, counted, few, laneName, size, summaryStanding } from './words.js';

const SHOWN = 50;
/** Requests for one page: a search looks through some thousands of messages with each. */
const MOST_ASKED = 40;
/** A search that took more than this is not made anew with every event. */
const FEW_ASKED = 5;
const DEEP_AGAIN_MS = 20_000;

const FILTERS = [
  { state: 'any', word: 'All' },
  { state: 'queued', word: 'Queued' },
  { state: 'sending', word: 'Sending' },
  { state: 'deferred', word: 'Deferred' },
  { state: 'held', word: 'Held' },
  { state: 'sent', word: 'Sent' },
  { state: 'error', word: 'Error' },
] as const;

export function list(room: Room, query: URLSearchParams): View {
  const state = FILTERS.find((each) => each.state === query.get('state'))?.state ?? 'any';
  const search = query.get('search') ?? '';
  const lane = query.get('lane') ?? undefined;
  const after = query.get('after') ?? undefined;
  const asked: Query = { state, search, lane };
  const choice = new Choice(room, asked, () => describe(state, lane));
  const rows = h('ul', { class: 'messages', 'aria-label': 'Messages' });
  const empty = h('p', { class: 'empty' });
  let notBefore = 0;
  const pager = h('nav', { class: 'pager', 'aria-label': 'Further messages' });
  const element = h(
    'div',
    {},
    h('header', { class: 'head' }, h('div', {}, h('h1', { tabindex: -1 }, 'Messages')), searchForm(state, search)),
    h(
      'div',
      { class: 'toolbar' },
      h(
        'nav',
        { class: 'segments', 'aria-label': 'State' },
        FILTERS.map((each) =>
          h(
            'a',
            { href: listHref({ state: each.state, search, lane }), 'aria-current': each.state === state ? 'true' : undefined },
            each.word,
          ),
        ),
      ),
      lane !== undefined &&
        h(
          'a',
          { class: 'chip', href: listHref({ state, search }), 'aria-label': `Lane ${laneName(lane)}: show all lanes` },
          `Lane: ${laneName(lane)}`,
          h('span', { 'aria-hidden': 'true' }, ' ×'),
        ),
    ),
    h('section', { class: 'card flush', 'aria-label': 'Messages' }, choice.bar, rows, empty),
    pager,
  );
  return {
    title: 'Messages',
    element,
    async refresh() {
      if (Date.now() < notBefore) return;
      const page = lane === undefined ? await found(room, { state, search, after }) : await waiting(room, lane, after);
      const shown = page.items;
      notBefore = page.deep ? Date.now() + DEEP_AGAIN_MS : 0;
      keyed(
        rows,
        shown,
        ({ message }) => message.id,
        makeRow(choice),
        (row, data) => renewRow(row, data),
      );
      choice.shows(shown);
      rows.hidden = shown.length === 0;
      empty.hidden = shown.length > 0;
      replace(empty, emptyWords(state, search, page.next !== undefined));
      replace(
        pager,
        after !== undefined && h('a', { class: 'button', href: listHref(asked) }, 'First page'),
        page.next !== undefined && h('a', { class: 'button', href: listHref({ ...asked, after: page.next }) }, 'Next page'),
      );
    },
  };
}

/** The agent gives each page a bounded time: a short one is filled up from the next, but not for ever. */
async function found({ api }: Room, query: Query): Promise<Page<MessageSummary> & { readonly deep: boolean }> {
  const items: MessageSummary[] = [];
  let { after } = query;
  let asked = 0;
  while (asked++ < MOST_ASKED) {
    const page = await api.get<Page<MessageSummary>>('/v1/messages', { ...query, after, limit: SHOWN - items.length });
    items.push(...page.items);
    after = page.next;
    if (after === undefined || items.length >= SHOWN) break;
  }
  return { items, deep: asked > FEW_ASKED, ...(after === undefined ? {} : { next: after as string }) };
}

/** What waits in a lane; the lane is all that is asked for then. */
async function waiting({ api }: Room, lane: string, after: string | undefined): ReturnType<typeof found> {
  const { items, next } = await api.get<QueuePage>('/v1/queue', { lane, limit: SHOWN, after });
  return { items: summariesOf(items), deep: false, ...(next === undefined ? {} : { next }) };
}

function listHref({ state, ...rest }: Query): string {
  return `#/messages${queryString({ ...(state === 'any' ? {} : { state }), ...rest })}`;
}

function describe(state: string, lane: string | undefined): string {
  if (lane !== undefined) return `all that waits for ${laneName(lane)}`;
  return state === 'held' ? 'all mail that is held' : 'all queued mail';
}

function emptyWords(state: string, search: string, goesOn: boolean): Child {
  if (goesOn) return 'Nothing found so far; the next page looks further.';
  if (search !== '') return ['Nothing matches ', h('b', {}, search), '. Search goes by address, domain, or message id.'];
  if (state === 'any') return 'No mail yet.';
  if (state === 'error') return standing({ tone: 'good', word: 'No mail in trouble.' });
  return `No mail is ${state} now.`;
}

function searchForm(state: string, search: string): HTMLElement {
  const field = h('input', {
    type: 'search',
    value: search,
    placeholder: 'Address, domain or id',
    'aria-label': 'Search by address, domain or id',
    'data-search': true,
    spellcheck: 'false',
    autocapitalize: 'off',
  });
  return h(
    'form',
    {
      class: 'search',
      role: 'search',
      on: {
        submit: (event) => {
          event.preventDefault();
          location.hash = listHref({ state, search: field.value.trim() });
        },
        // The cross in the field empties it, and asks for nothing else.
        search: () => {
          if (field.value === '' && search !== '') location.hash = listHref({ state });
        },
      } as Record<string, (event: Event) => void>,
    },
    icon('search'),
    field,
  );
}

// — rows —

function makeRow(choice: Choice): (row: MessageSummary) => Element {
  return ({ message }) => {
    const box = h('input', { type: 'checkbox', on: { change: () => choice.set(message.id, box.checked) } });
    const link = h('a', { href: `#/messages/${encodeURIComponent(message.id)}`, class: 'subject' });
    return h(
      'li',
      {},
      h('label', { class: 'box' }, box, h('span', { class: 'unseen' })),
      h('div', { class: 'cell how' }),
      h('div', { class: 'cell who' }, h('span', { class: 'to' }, link, h('span', { class: 'others' })), h('span', { class: 'from' })),
      h('div', { class: 'cell words' }),
      h('div', { class: 'cell when' }),
      h('div', { class: 'cell size' }),
    );
  };
}

function renewRow(row: Element, summary: MessageSummary): void {
  const known = JSON.stringify(summary);
  const element = row as HTMLElement & { known?: string };
  if (element.known === known) return;
  element.known = known;
  const { message, recipients, named, trouble } = summary;
  const part = (name: string) => row.querySelector(name)!;
  const first = named[0]?.address ?? '';
  const others = recipients.queued + recipients.delivered + recipients.failed - 1;
  replace(part('.unseen'), `Choose the message to ${few(first, others)}`);
  replace(part('.how'), standing(summaryStanding(summary)));
  replace(part('.subject'), first);
  replace(part('.others'), others > 0 && `+${count(others)}`);
  replace(part('.from'), message.sender === '' ? 'from the mail system itself' : `from ${message.sender}`);
  replace(part('.words'), trouble?.text ?? '');
  replace(part('.when'), when(summary));
  replace(part('.size'), size(message.sizeBytes));
}

function when({ message, deliveries, due, endedAt }: MessageSummary): Child {
  if (endedAt !== undefined) return time(endedAt);
  if (due !== undefined && deliveries.ready + deliveries.sending === 0) return ['next ', time(due)];
  return time(message.acceptedAt);
}

// — choosing —

const ACTIONS: readonly Action[] = ['retry', 'hold', 'release', 'reschedule', 'fail', 'remove'];

/** Which messages are chosen, by id, and the bar that says what can be done to them. */
class Choice {
  readonly bar: HTMLElement;
  readonly #room: Room;
  readonly #asked: Query;
  readonly #describe: () => string;
  readonly #ids = new Set<string>();
  readonly #all: HTMLInputElement;
  #rows: readonly MessageSummary[] = [];
  /** Not only those seen, but all that the filters find. */
  #everything = false;

  constructor(room: Room, asked: Query, describe: () => string) {
    this.#room = room;
    this.#asked = asked;
    this.#describe = describe;
    this.#all = h('input', { type: 'checkbox', on: { change: () => this.#chooseAll(this.#all.checked) } });
    this.bar = h('div', { class: 'choice', role: 'group', 'aria-label': 'Chosen messages' });
  }

  set(id: string, chosen: boolean): void {
    if (chosen) this.#ids.add(id);
    else this.#ids.delete(id);
    this.#everything = false;
    this.#show();
  }

  shows(rows: readonly MessageSummary[]): void {
    this.#rows = rows;
    const there = new Set(rows.map(({ message }) => message.id));
    for (const id of this.#ids) if (!there.has(id)) this.#ids.delete(id);
    this.#show();
  }

  #chooseAll(chosen: boolean): void {
    this.#everything = false;
    this.#ids.clear();
    if (chosen) for (const { message } of this.#rows) this.#ids.add(message.id);
    this.#show();
  }

  #show(): void {
    const chosen = this.#ids.size;
    for (const box of this.bar.parentElement?.querySelectorAll<HTMLInputElement>('.messages input') ?? []) {
      box.checked = this.#ids.has(box.closest('li')?.getAttribute('data-key') ?? '');
    }
    this.#all.checked = chosen > 0 && chosen === this.#rows.length;
    this.#all.indeterminate = chosen > 0 && chosen < this.#rows.length;
    this.#all.disabled = this.#rows.length === 0;
    const words = this.#everything ? this.#describe() : chosen === 0 ? 'Choose all on this page' : counted(chosen, 'message');
    const whole = this.#wholeQuery();
    replace(
      this.bar,
      h('label', { class: 'box' }, this.#all, h('span', { class: chosen > 0 ? 'chosen' : 'muted' }, words)),
      chosen > 0 &&
        chosen === this.#rows.length &&
        !this.#everything &&
        whole !== undefined &&
        h(
          'button',
          { type: 'button', class: 'link', 'data-key': 'everything', on: { click: () => this.#chooseEverything() } },
          `Choose ${this.#describe()}`,
        ),
      chosen > 0 &&
        h(
          'div',
          { class: 'verbs' },
          ACTIONS.map((action) => this.#button(action)),
        ),
    );
  }

  #button(action: Action): HTMLElement {
    const { word, danger } = VERBS[action];
    return h(
      'button',
      {
        type: 'button',
        class: danger ? 'button small danger' : 'button small',
        'data-key': action,
        on: { click: () => void run(this.#room, () => this.#act(action)) },
      },
      word,
    );
  }

  async #act(action: Action): Promise<string | undefined> {
    const chosen = this.#everything
      ? { query: this.#wholeQuery()!, what: this.#describe() }
      : { query: { id: [...this.#ids] }, what: counted(this.#ids.size, 'message') };
    const said = await act(this.#room.api, action, chosen);
    if (said !== undefined) this.#chooseAll(false);
    return said;
  }

  #chooseEverything(): void {
    this.#everything = true;
    this.#show();
  }

  /** The filters as the verbs select, where they can say the same: what has ended is not theirs. */
  #wholeQuery(): Query | undefined {
    const { state, search, lane } = this.#asked;
    if (lane !== undefined) return { lane };
    if (search !== '') return undefined;
    return state === 'queued' ? { all: true } : state === 'held' ? { state } : undefined;
  }
}
