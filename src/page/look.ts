/** What is in a message: its text, its page in a sandbox, its files, its fields, its source. Asked for only when somebody looks. */
import type { ContentLook, PartView } from '../control/content.js';
import { type Api, Refusal } from './api.js';
import { type Child, h, replace } from './dom.js';
import { icon } from './icons.js';
import { size } from './words.js';

const SOURCE_SHOWN = 256 * 1024;

const TABS = ['Text', 'HTML', 'Headers', 'Structure', 'Source'] as const;
type Tab = (typeof TABS)[number];

export class Look {
  readonly element: HTMLElement;
  readonly #api: Api;
  readonly #path: string;
  readonly #shown = h('div', { class: 'look-shown' });
  readonly #tabs = h('div', { class: 'segments', role: 'tablist', 'aria-label': 'Content' });
  #look: ContentLook | undefined;
  #tab: Tab = 'Text';
  #asked = false;

  constructor(api: Api, id: string) {
    this.#api = api;
    this.#path = `/v1/messages/${encodeURIComponent(id)}`;
    this.element = h(
      'section',
      { class: 'card look', 'aria-labelledby': 'content' },
      h('header', {}, h('h2', { id: 'content' }, 'Content'), this.#tabs),
      this.#shown,
    );
  }

  /** `queued`: content is kept as long as somebody is to get it. */
  async renew(queued: boolean): Promise<void> {
    if (!queued) return this.#gone();
    if (this.#asked) return;
    this.#asked = true;
    try {
      this.#look = await this.#api.get<ContentLook>(`${this.#path}/look`);
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) return this.#gone();
      this.#asked = false;
      replace(this.#shown, h('p', { class: 'error' }, error instanceof Error ? error.message : String(error)));
      return;
    }
    await this.#open(this.#look.text === undefined ? (this.#look.html === undefined ? 'Structure' : 'HTML') : 'Text');
  }

  #gone(): void {
    this.#tabs.hidden = true;
    replace(this.#shown, h('p', { class: 'muted' }, 'The content went with the last delivery. Only what became of it is remembered.'));
  }

  async #open(tab: Tab): Promise<void> {
    this.#tab = tab;
    const { text, html } = this.#look!;
    const there = TABS.filter((each) => (each !== 'Text' || text !== undefined) && (each !== 'HTML' || html !== undefined));
    replace(
      this.#tabs,
      there.map((each) =>
        h(
          'button',
          {
            type: 'button',
            role: 'tab',
            id: `tab-${each}`,
            'data-key': each,
            'aria-selected': String(each === tab),
            'aria-controls': 'look',
            tabindex: each === tab ? 0 : -1,
            on: { click: () => void this.#open(each), keydown: (event) => this.#turn(event, there) },
          },
          each,
        ),
      ),
    );
    const panel = h('div', { id: 'look', role: 'tabpanel', tabindex: 0, 'aria-labelledby': `tab-${tab}` });
    replace(
      this.#shown,
      this.#look!.subject !== undefined && h('h3', {}, this.#look!.subject),
      this.#look!.incomplete !== undefined && h('p', { class: 'notice' }, `Not all of it: ${this.#look!.incomplete}.`),
      panel,
      this.#files(),
    );
    const content = await this.#contentOf(tab).catch((error: unknown) =>
      h('p', { class: 'error' }, error instanceof Error ? error.message : String(error)),
    );
    if (this.#tab === tab) replace(panel, content);
  }

  #turn(event: KeyboardEvent, there: readonly Tab[]): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = there[(there.indexOf(this.#tab) + step + there.length) % there.length]!;
    void this.#open(next);
    this.#tabs.querySelector<HTMLElement>(`#tab-${next}`)?.focus();
  }

  async #contentOf(tab: Tab): Promise<Child> {
    const { text, headers, structure } = this.#look!;
    switch (tab) {
      case 'Text':
        return [
          h('pre', { class: 'text', tabindex: 0 }, text?.content ?? ''),
          text?.cut && h('p', { class: 'muted' }, 'It goes on; the source has all of it.'),
        ];
      case 'HTML': {
        const src = await this.#api.ticketFor(`${this.#path}/page`);
        return [
          h('p', { class: 'muted' }, 'As it came, but nothing in it runs and nothing is fetched: remote images stay empty.'),
          h('iframe', { src, sandbox: '', title: 'The message as HTML', referrerpolicy: 'no-referrer', class: 'preview' }),
        ];
      }
      case 'Headers':
        return h(
          'dl',
          { class: 'fields' },
          headers.map(({ name, value }) => h('div', {}, h('dt', {}, name), h('dd', {}, value))),
        );
      case 'Structure':
        return structure === undefined
          ? h('p', { class: 'muted' }, 'It cannot be read.')
          : h('ul', { class: 'tree' }, this.#branch(structure));
      case 'Source':
        return this.#source();
    }
  }

  async #source(): Promise<Child> {
    const { text, cut } = await this.#api.beginning(`${this.#path}/content`, SOURCE_SHOWN);
    const href = await this.#api.ticketFor(`${this.#path}/content`);
    return [
      h('p', {}, h('a', { class: 'button small', href, download: true }, icon('save'), 'Save the source')),
      h('pre', { class: 'code', tabindex: 0 }, text),
      cut && h('p', { class: 'muted' }, `Only the first ${size(SOURCE_SHOWN)} are shown.`),
    ];
  }

  #branch(part: PartView): HTMLElement {
    const about = [part.filename, part.charset, part.encoding, part.sizeBytes === undefined ? undefined : size(part.sizeBytes)].filter(
      (each) => each !== undefined,
    );
    return h(
      'li',
      {},
      h('code', {}, part.type),
      h('span', { class: 'muted' }, about.length > 0 ? ` ${about.join(' · ')}` : ''),
      part.parts.length > 0 &&
        h(
          'ul',
          {},
          part.parts.map((each) => this.#branch(each)),
        ),
    );
  }

  /** Parts that came as files. */
  #files(): Child {
    const files = [...leaves(this.#look!.structure)].filter((part) => part.disposition === 'attachment' || part.filename !== undefined);
    if (files.length === 0) return undefined;
    return h(
      'ul',
      { class: 'files', 'aria-label': 'Files' },
      files.map((part) =>
        h(
          'li',
          {},
          h(
            'button',
            { type: 'button', class: 'file', on: { click: () => void this.#save(part) } },
            icon('save'),
            h('span', { class: 'name' }, part.filename ?? `part ${part.path}`),
            h('span', { class: 'muted' }, `${part.type}${part.sizeBytes === undefined ? '' : ` · ${size(part.sizeBytes)}`}`),
          ),
        ),
      ),
    );
  }

  async #save(part: PartView): Promise<void> {
    const href = await this.#api.ticketFor(`${this.#path}/parts/${encodeURIComponent(part.path)}`);
    h('a', { href, download: true }).click();
  }
}

function* leaves(part: PartView | undefined): Generator<PartView> {
  if (part === undefined) return;
  if (part.parts.length === 0) yield part;
  for (const each of part.parts) yield* leaves(each);
}
