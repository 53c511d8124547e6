/** The first page: whether all is well, and if not, what needs somebody. */
import type { AgentReport, LaneCounts, QueuePage, RecentReport, Sample, SiteReport, StatsReport, TroubleReport } from '../control/types.js';
import type { Page } from '../spool/spool.js';
import type { Api } from './api.js';
import { Chart } from './chart.js';
import { type Child, h, replace } from './dom.js';
import { standing } from './icons.js';
import { time, triedAgain } from './time.js';
import { resumeLane } from './verbs.js';
import { type Room, run, type View } from './view.js';
import { count, counted, laneName, size, span, troubleStanding } from './words.js';

const RANGES = [
  { word: '15 min', ms: 15 * 60_000 },
  { word: '1 h', ms: 3_600_000 },
  { word: '3 h', ms: 3 * 3_600_000 },
] as const;
const TROUBLES_SHOWN = 8;
const PAUSES_SHOWN = 100;
const LANES_NAMED = 3;
/** Below this much free space somebody should look, although mail is still taken. */
const LITTLE_SPACE = 256 * 1024 * 1024;

interface Seen {
  readonly agent: AgentReport;
  readonly stats: StatsReport;
  readonly oldest: QueuePage;
  readonly paused: Page<LaneCounts>;
}

export function overview(room: Room): View {
  const recent = new RecentKeeper(room.api);
  const chart = new Chart();
  /** Until somebody chooses: an hour, or less where the agent is young. */
  let overMs: number | undefined;
  let stats: StatsReport | undefined;
  const chosenMs = () => overMs ?? ((stats?.uptimeMs ?? 0) < RANGES[0].ms ? RANGES[0].ms : RANGES[1].ms);
  const about = h('p', { class: 'subtitle' });
  const figures = h('dl', { class: 'figures' });
  const attention = h('div', {});
  const troubles = h('div', {});
  const connections = h('div', {});
  const ranges = h('div', { class: 'segments', role: 'group', 'aria-label': 'Span of the chart' });
  const drawRanges = () =>
    replace(
      ranges,
      RANGES.map(({ word, ms }) =>
        h('button', { type: 'button', 'data-key': word, 'aria-pressed': String(ms === chosenMs()), on: { click: () => choose(ms) } }, word),
      ),
    );
  const draw = () => {
    if (stats === undefined) return;
    const { counts, metrics } = stats;
    chart.draw({
      samples: recent.samples,
      everyMs: recent.everyMs,
      overMs: chosenMs(),
      now: Date.now(),
      depth: depthOf(counts),
      perMinute: Math.round(metrics['deliveredPerMinute'] ?? 0),
    });
  };
  const choose = (ms: number) => {
    overMs = ms;
    drawRanges();
    draw();
  };
  drawRanges();
  const element = h(
    'div',
    { class: 'overview' },
    h('header', { class: 'head' }, h('div', {}, h('h1', { tabindex: -1 }, 'Overview'), about)),
    figures,
    h('section', { class: 'card', 'aria-labelledby': 'flow' }, h('header', {}, h('h2', { id: 'flow' }, 'Queue'), ranges), chart.element),
    h(
      'div',
      { class: 'columns' },
      h(
        'section',
        { class: 'card', 'aria-labelledby': 'attention' },
        h('header', {}, h('h2', { id: 'attention' }, 'Needs attention')),
        attention,
      ),
      h('section', { class: 'card', 'aria-labelledby': 'troubles' }, h('header', {}, h('h2', { id: 'troubles' }, 'Last errors')), troubles),
    ),
    h(
      'section',
      { class: 'card', 'aria-labelledby': 'connections' },
      h('header', {}, h('h2', { id: 'connections' }, 'Connections')),
      connections,
    ),
  );
  return {
    title: 'Overview',
    element,
    async refresh() {
      const { api } = room;
      const [agent, now, oldest, paused] = await Promise.all([
        api.get<AgentReport>('/v1/agent'),
        api.get<StatsReport>('/v1/stats', { lanes: 0 }),
        api.get<QueuePage>('/v1/queue', { limit: 1 }),
        api.get<Page<LaneCounts>>('/v1/lanes', { paused: true, limit: PAUSES_SHOWN }),
        recent.renew(),
      ]);
      stats = now;
      const seen = { agent, stats, oldest, paused };
      drawRanges();
      replace(about, aboutAgent(seen));
      replace(figures, figuresOf(seen));
      draw();
      replace(attention, attentionOf(seen, room));
      replace(troubles, troublesOf(recent.troubles));
      replace(connections, connectionsOf(stats));
    },
  };
}

/** Samples are asked for once, then only the new ones. */
class RecentKeeper {
  readonly #api: Api;
  samples: readonly Sample[] = [];
  troubles: readonly TroubleReport[] = [];
  everyMs = 10_000;

  constructor(api: Api) {
    this.#api = api;
  }

  async renew(): Promise<void> {
    const since = this.samples.at(-1)?.at ?? 0;
    const { samples, troubles, everyMs } = await this.#api.get<RecentReport>('/v1/recent', { since });
    const longest = RANGES.at(-1)!.ms;
    this.samples = [...this.samples, ...samples].filter(({ at }) => at > Date.now() - longest);
    this.troubles = troubles;
    this.everyMs = everyMs || 10_000;
  }
}

function aboutAgent({ agent, stats }: Seen): Child {
  const listening = agent.listening.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(', ');
  return [
    h('b', {}, agent.hostname),
    ` · Riata ${agent.version} · up ${span(stats.uptimeMs, true)}`,
    listening === '' ? ' · takes no mail over SMTP' : ` · takes mail on ${listening}`,
  ];
}

function figuresOf({ stats, oldest }: Seen): Child {
  const { counts, metrics } = stats;
  const waitsSince = oldest.items[0]?.message.acceptedAt;
  const rate = (name: string) => Math.round(metrics[`${name}PerMinute`] ?? 0);
  const open = stats.connections.reduce((sum, each) => sum + each.open, 0);
  return [
    figure(
      'Queued',
      count(depthOf(counts)),
      counts.held > 0 ? `${count(counts.held)} held` : `${count(counts.waiting)} wait for their time`,
      '#/messages?state=queued',
    ),
    figure(
      'Sending',
      count(counts.sending),
      open === 0 ? 'no connection open' : `over ${counted(open, 'connection')}`,
      '#/messages?state=sending',
    ),
    figure('Accepted', count(rate('accepted')), 'in the last minute'),
    figure('Delivered', count(rate('delivered')), 'in the last minute', '#/messages?state=sent'),
    figure('Deferred', count(rate('deferred')), 'in the last minute', '#/messages?state=error'),
    figure(
      'Oldest',
      waitsSince === undefined ? '–' : time(waitsSince, 'since'),
      waitsSince === undefined ? 'nothing waits' : 'in the queue',
    ),
  ];
}

function depthOf({ ready, waiting, held }: StatsReport['counts']): number {
  return ready + waiting + held;
}

function figure(name: string, value: Child, note: string, href?: string): HTMLElement {
  const label = href === undefined ? name : h('a', { href, 'data-key': name }, name);
  return h('div', {}, h('dt', {}, label), h('dd', { class: 'value' }, value), h('dd', { class: 'note' }, note));
}

function attentionOf({ stats, paused }: Seen, room: Room): Child {
  const { freeBytes } = stats.counts;
  const rows: Child[] = [
    freeBytes !== undefined &&
      freeBytes < LITTLE_SPACE &&
      row(
        freeBytes <= 0 ? { tone: 'bad', word: 'Disk full' } : { tone: 'wait', word: 'Little space' },
        'Disk of the spool',
        freeBytes <= 0
          ? 'No mail is taken in until there is room again.'
          : `${size(freeBytes)} more can be taken in; then clients are told to come back.`,
      ),
    ...stats.sites.map((site) =>
      row({ tone: 'wait', word: 'Backing off' }, laneName(site.site), [
        site.trouble,
        h('span', { class: 'muted' }, ' ', triedAgain(site.backingOffUntil), '.', lanesOf(site)),
      ]),
    ),
    ...paused.items.map((each) =>
      row(
        { tone: 'held', word: 'Paused' },
        h('a', { href: `#/messages?lane=${encodeURIComponent(each.lane)}`, 'data-key': `lane ${each.lane}` }, laneName(each.lane)),
        [
          each.paused?.reason || 'No reason was given.',
          h(
            'span',
            { class: 'muted' },
            counted(each.ready + each.waiting + each.held, 'delivery waits', 'deliveries wait'),
            each.paused && [', paused ', time(each.paused.at)],
          ),
        ],
        h(
          'button',
          {
            type: 'button',
            class: 'button small',
            'data-key': `resume ${each.lane}`,
            on: { click: () => void run(room, () => resumeLane(room.api, each.lane)) },
          },
          'Resume',
        ),
      ),
    ),
  ];
  const told = rows.filter(Boolean);
  if (told.length === 0) return h('p', { class: 'empty' }, standing({ tone: 'good', word: 'All is well.' }));
  const flush = async () => {
    await room.api.post('/v1/queue/flush');
    return 'Whatever waits for a site in trouble is tried now.';
  };
  return [
    h('ul', { class: 'rows' }, told),
    stats.sites.length > 0 &&
      h(
        'button',
        { type: 'button', class: 'button small', 'data-key': 'flush', on: { click: () => void run(room, flush) } },
        'Try all of them now',
      ),
  ];
}

function row(how: Parameters<typeof standing>[0], name: Child, words: Child, button?: Child): HTMLElement {
  return h(
    'li',
    {},
    h('div', { class: 'row-head' }, standing(how), h('span', { class: 'name' }, name), button),
    h('p', { class: 'words' }, words),
  );
}

/** Whose mail waits for a site, where its name does not say so. */
function lanesOf({ site, lanes, laneCount }: SiteReport): Child {
  const names = lanes.slice(0, LANES_NAMED).map(laneName);
  if (laneCount === 0 || (laneCount === 1 && names[0] === laneName(site))) return undefined;
  const others = laneCount - names.length;
  return ` Lanes: ${names.join(', ')}${others > 0 ? ` and ${counted(others, 'other')}` : ''}.`;
}

function troublesOf(troubles: readonly TroubleReport[]): Child {
  if (troubles.length === 0) return h('p', { class: 'empty' }, standing({ tone: 'good', word: 'No errors of late.' }));
  const newest = troubles.slice(-TROUBLES_SHOWN).reverse();
  return h(
    'ul',
    { class: 'rows' },
    newest.map((trouble, i) => {
      const { id, at, text } = trouble;
      const about = trouble.type === 'fault' ? (trouble.lane === undefined ? 'The agent' : laneName(trouble.lane)) : trouble.recipient;
      const name =
        id === undefined ? about : h('a', { href: `#/messages/${encodeURIComponent(id)}`, 'data-key': `trouble ${id} ${i}` }, about);
      return row(troubleStanding(trouble), name, text, h('span', { class: 'muted' }, time(at)));
    }),
  );
}

function connectionsOf({ connections }: StatsReport): Child {
  if (connections.length === 0) return h('p', { class: 'empty muted' }, 'None is open: nothing is being sent.');
  return h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'group', 'aria-labelledby': 'connections' },
    h(
      'table',
      {},
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          h('th', { scope: 'col' }, 'Server'),
          h('th', { scope: 'col', class: 'number' }, 'Open'),
          h('th', { scope: 'col', class: 'number' }, 'Busy'),
        ),
      ),
      h(
        'tbody',
        {},
        connections.map(({ server, open, busy }) =>
          h('tr', {}, h('td', {}, server), h('td', { class: 'number' }, count(open)), h('td', { class: 'number' }, count(busy))),
        ),
      ),
    ),
  );
}
