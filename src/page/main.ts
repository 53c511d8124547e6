/**
 * The page: a frame with the way around, and in it one view at a time, which the address says. Views come and go with the address;
 * whatever the agent tells is looked at anew by the one that is shown.
 */
import { Api, type Standing, Unreachable } from './api.js';
import { h, replace } from './dom.js';
import { type Icon, icon } from './icons.js';
import { lanes } from './lanes.js';
import { list } from './list.js';
import { Live } from './live.js';
import { login } from './login.js';
import { message } from './message.js';
import { overview } from './overview.js';
import { keepTime } from './time.js';
import type { Room, View } from './view.js';

const SAID_MS = 6_000;

const PLACES: readonly { readonly path: string; readonly word: string; readonly sign: Icon }[] = [
  { path: '', word: 'Overview', sign: 'overview' },
  { path: 'messages', word: 'Messages', sign: 'messages' },
  { path: 'lanes', word: 'Lanes', sign: 'lanes' },
];

class Frame {
  readonly #api = new Api((standing) => this.#stands(standing));
  readonly #live = new Live(this.#api, () => void this.#refresh());
  readonly #main = h('main', { id: 'main', tabindex: -1 });
  readonly #nav = h('nav', { class: 'places', 'aria-label': 'Pages' });
  readonly #notice = h('div', { class: 'offline', role: 'status' });
  readonly #said = h('div', { class: 'said', role: 'status', 'aria-live': 'polite' });
  readonly #end = h('button', { type: 'button', class: 'link', on: { click: () => this.#api.logOut() } }, 'Log out');
  readonly #room: Room = { api: this.#api, say: (text, bad) => this.#say(text, bad), look: () => this.#live.now() };
  #view: View | undefined;
  #saidUntil: number | undefined;
  #busy = false;
  #again = false;

  start(): void {
    this.#notice.hidden = true;
    const skip = h('button', { type: 'button', class: 'skip', on: { click: () => this.#main.focus() } }, 'Skip to content');
    document.body.append(
      skip,
      h(
        'header',
        { class: 'frame' },
        h('a', { class: 'brand', href: '#/' }, h('span', { class: 'brand-sign', 'aria-hidden': 'true' }), 'Riata'),
        this.#nav,
        this.#end,
      ),
      h('div', { class: 'room' }, this.#notice, this.#main),
      this.#said,
    );
    addEventListener('hashchange', () => this.#go());
    addEventListener('keydown', (event) => this.#key(event));
    keepTime();
    void this.#begin();
  }

  /** One question first: whether we are let in. */
  async #begin(): Promise<void> {
    await this.#api.get('/v1/agent').catch(() => {});
    this.#go();
    this.#live.start();
  }

  #go(): void {
    const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2);
    const [place = '', rest = ''] = path.split('/', 2);
    this.#view = viewFor(this.#room, place, decode(rest), new URLSearchParams(query));
    replace(
      this.#nav,
      PLACES.map(({ path: to, word, sign }) =>
        h('a', { href: `#/${to}`, 'aria-current': to === place ? 'page' : undefined }, icon(sign), h('span', {}, word)),
      ),
    );
    if (this.#api.standing === 'locked') return;
    this.#show(this.#view);
    this.#live.now();
  }

  #show(view: View): void {
    document.title = `${view.title} · Riata`;
    this.#end.hidden = !this.#api.loggedIn;
    replace(this.#main, view.element);
    scrollTo(0, 0);
    this.#main.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true });
  }

  /** One look at a time; what is asked for meanwhile is one more. */
  async #refresh(): Promise<void> {
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    const view = this.#view;
    try {
      await view?.refresh();
    } catch (error) {
      if (view === this.#view && !(error instanceof Unreachable) && this.#api.standing !== 'locked')
        this.#say(error instanceof Error ? error.message : String(error), true);
    }
    this.#busy = false;
    if (!this.#again) return;
    this.#again = false;
    void this.#refresh();
  }

  #stands(standing: Standing): void {
    this.#notice.hidden = standing !== 'offline';
    document.body.classList.toggle('is-offline', standing === 'offline');
    document.body.classList.toggle('is-locked', standing === 'locked');
    if (standing === 'offline') replace(this.#notice, 'The agent does not answer. What you see is what was last known; trying again…');
    if (standing === 'locked') this.#lock();
    if (standing === 'online') {
      this.#end.hidden = !this.#api.loggedIn;
      this.#live.start();
    }
  }

  #lock(): void {
    document.title = 'Riata';
    const form = login(this.#api, () => {
      if (this.#view !== undefined) this.#show(this.#view);
      this.#live.now();
    });
    replace(this.#main, form);
    form.querySelector('input')?.focus();
  }

  #say(text: string, bad = false): void {
    clearTimeout(this.#saidUntil);
    replace(this.#said, h('p', { class: bad ? 'bad' : undefined }, text));
    this.#saidUntil = setTimeout(() => replace(this.#said), SAID_MS) as unknown as number;
  }

  /** `/` leads to the search, as in many places. */
  #key(event: KeyboardEvent): void {
    if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]') !== null) return;
    if (document.activeElement?.matches('input, textarea, select')) return;
    const field = this.#main.querySelector<HTMLElement>('[data-search]');
    if (field === null) return;
    event.preventDefault();
    field.focus();
  }
}

function viewFor(room: Room, place: string, rest: string, query: URLSearchParams): View {
  switch (place) {
    case '':
      return overview(room);
    case 'messages':
      return rest === '' ? list(room, query) : message(room, rest, query);
    case 'lanes':
      return lanes(room, query);
    default:
      return { title: 'Not found', element: h('div', {}, h('h1', { tabindex: -1 }, 'There is no such page')), refresh: async () => {} };
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

new Frame().start();
