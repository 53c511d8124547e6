/** What `riata top` shows: one frame, as wide and as high as the screen and no more. Pure. */
import type { AgentReport, LaneReport, RecentReport, Sample, StatsReport, TroubleReport } from '../control/types.js';
import { age, count, duration, number, until } from './format.js';
import { pauseText } from './queue-stats.js';
import type { Palette } from './screen.js';
import { pairs, type Row, table } from './table.js';
import { fit, oneLine, width } from './visible.js';

/** One look at an agent. */
export interface Look {
  readonly at: number;
  readonly agent: AgentReport;
  readonly stats: StatsReport;
  readonly recent: RecentReport;
}

export interface FrameOptions {
  readonly columns: number;
  /** Lines there are; undefined: as many as it takes. */
  readonly rows: number | undefined;
  readonly paint: Palette;
  /** Said on the first line, beside the clock: paused, not reached. */
  readonly note?: string;
  /** The last line. */
  readonly keys?: string;
}

/** `before`: the look that rates are reckoned from; without it they are those of the last minute. */
export function topFrame(look: Look, before: Look | undefined, options: FrameOptions): string[] {
  const { columns, rows, paint } = options;
  const head = [headline(look, options), '', ...summary(look, before, options)];
  const foot = options.keys === undefined ? [] : [paint.dim(fit(options.keys, columns))];
  const parts = [lanes(look, options), servers(look, options), sites(look, options), troubles(look, options)].filter(
    (part) => part.length > 0,
  );
  const room = rows === undefined ? Number.POSITIVE_INFINITY : rows - head.length - foot.length;
  const body = share(parts, room).flatMap((part) => ['', ...part]);
  const lines = [...head, ...body];
  if (rows === undefined) return [...lines, ...foot];
  const shown = lines.slice(0, Math.max(rows - foot.length, 0));
  return [...shown, ...Array<string>(Math.max(rows - foot.length - shown.length, 0)).fill(''), ...foot].slice(0, rows);
}

/** Lines of each part: each has what it needs if all can, else the long ones give to the short ones. */
function share(parts: readonly (readonly string[])[], room: number): readonly (readonly string[])[] {
  let left = room;
  const order = [...parts].sort((a, b) => a.length - b.length);
  const granted = new Map<readonly string[], number>();
  order.forEach((part, i) => {
    // Each has an empty line before it.
    const fair = Math.floor(left / (order.length - i)) - 1;
    const lines = Math.max(Math.min(part.length, fair), 0);
    // A heading alone says nothing.
    granted.set(part, lines < 2 ? 0 : lines);
    left -= lines < 2 ? 0 : lines + 1;
  });
  return parts.map((part) => part.slice(0, granted.get(part))).filter((part) => part.length > 0);
}

function headline({ at, agent, stats }: Look, { columns, paint, note }: FrameOptions): string {
  const date = new Date(at);
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
  const right = note === undefined ? time : `${note}  ${time}`;
  const left = fit(oneLine(`${agent.hostname}  riata ${agent.version}, up ${duration(stats.uptimeMs)}`), columns - width(right) - 2);
  const space = ' '.repeat(Math.max(columns - width(left) - width(right), 1));
  return `${paint.bold(left)}${space}${note === undefined ? time : `${paint.warn(note)}  ${time}`}`;
}

const COUNTED = ['accepted', 'delivered', 'deferred', 'bounced', 'expired'] as const;

function summary(look: Look, before: Look | undefined, { columns, paint }: FrameOptions): string[] {
  const { counts } = look.stats;
  const rates = COUNTED.map((name) => {
    const rate = rateOf(name, look, before);
    const text = `${rateText(rate)} ${name}`;
    return rate > 0 && name !== 'accepted' && name !== 'delivered' ? { text, bad: true } : { text, bad: false };
  });
  const open = look.stats.connections.reduce((sum, each) => sum + each.open, 0);
  const busy = look.stats.connections.reduce((sum, each) => sum + each.busy, 0);
  const line = sparkline(
    look.recent.samples.map((sample) => sample.delivered),
    Math.max(columns - 34, 10),
  );
  return [
    ...pairs(
      [
        [
          'Queue',
          `${count(counts.messages, 'message')}: ${number(counts.ready)} ready, ${number(counts.sending)} being sent, ${number(counts.waiting)} waiting, ${number(counts.held)} held`,
        ],
        ['A second', { text: rates.map(({ text }) => text).join(', '), ...(rates.some(({ bad }) => bad) ? { paint: paint.warn } : {}) }],
        [
          'Connections',
          open === 0 ? 'none' : `${number(open)} open to ${count(look.stats.connections.length, 'server')}, ${number(busy)} busy`,
        ],
      ],
      columns,
    ),
    ...(line === '' ? [] : [`Delivered    ${line} ${paint.dim(spanText(look.recent, line))}`]),
  ];
}

function rateOf(name: (typeof COUNTED)[number], look: Look, before: Look | undefined): number {
  const now = look.stats.metrics;
  if (before === undefined || look.at <= before.at) return (now[`${name}PerMinute`] ?? 0) / 60;
  // Another process counts anew.
  return Math.max((now[name] ?? 0) - (before.stats.metrics[name] ?? 0), 0) / ((look.at - before.at) / 1000);
}

function rateText(rate: number): string {
  return rate >= 9.95 || rate === 0 ? number(Math.round(rate)) : rate < 0.05 ? '<0.1' : rate.toFixed(1);
}

const BARS = '▁▂▃▄▅▆▇█';

/** The newest on the right, as high as the highest of those shown; `''` where nothing was ever more than nothing. */
function sparkline(values: readonly number[], room: number): string {
  const shown = values.slice(-room);
  const most = Math.max(...shown, 0);
  if (most === 0) return '';
  return shown.map((value) => BARS[value === 0 ? 0 : Math.max(Math.ceil((value / most) * BARS.length) - 1, 1)]).join('');
}

function spanText({ samples, everyMs }: RecentReport, line: string): string {
  const shown: readonly Sample[] = samples.slice(-line.length);
  const most = Math.max(...shown.map(({ delivered }) => delivered));
  return `≤ ${rateText(most / (everyMs / 1000))} a second`;
}

function lanes({ stats, at }: Look, { columns, paint }: FrameOptions): string[] {
  if (stats.lanes.length === 0) return [];
  const rows = stats.lanes.map(
    (lane): Row => ({
      cells: [laneCell(lane, at, paint), number(lane.ready), number(lane.waiting), number(lane.held)],
    }),
  );
  return table([{ title: 'LANE', shrink: 10 }, ...rightOf('READY', 'WAITING', 'HELD')], rows, columns, paint.bold);
}

function laneCell({ lane, paused, resting }: LaneReport, at: number, paint: Palette): string | { text: string; paint: Palette['warn'] } {
  if (paused !== undefined) return { text: `${lane} (${pauseText(paused, at)})`, paint: paint.warn };
  return resting === undefined ? lane : { text: `${lane} (its servers rest)`, paint: paint.warn };
}

function servers({ stats }: Look, { columns, paint }: FrameOptions): string[] {
  if (stats.connections.length === 0) return [];
  const busiest = [...stats.connections].sort((a, b) => b.busy - a.busy || b.open - a.open || (a.server < b.server ? -1 : 1));
  const rows = busiest.map(({ server, open, busy }) => ({ cells: [server, number(open), number(busy)] }));
  return table([{ title: 'SERVER', shrink: 10 }, ...rightOf('OPEN', 'BUSY')], rows, columns, paint.bold);
}

function sites({ stats, at }: Look, { columns, paint }: FrameOptions): string[] {
  if (stats.sites.length === 0) return [];
  const rows = stats.sites.map(({ site, backingOffUntil, trouble }) => ({
    cells: [{ text: site, paint: paint.warn }, until(backingOffUntil, at), trouble],
  }));
  return table([{ title: 'SITE IN TROUBLE', shrink: 10 }, { title: 'NEXT' }, { title: 'WHY', shrink: 10 }], rows, columns, paint.bold);
}

function troubles({ recent, at }: Look, { columns, paint }: FrameOptions): string[] {
  if (recent.troubles.length === 0) return [];
  const rows = [...recent.troubles].reverse().map((trouble): Row => {
    const { who, status } = about(trouble);
    const what = trouble.type === 'deferred' ? paint.warn : paint.bad;
    return {
      cells: [{ text: age(at - trouble.at), paint: paint.dim }, { text: trouble.type, paint: what }, who, textOf(trouble, status)],
    };
  });
  const heads = [
    { title: 'AGO', align: 'right' },
    { title: 'TROUBLE' },
    { title: 'WHOM', shrink: 10 },
    { title: 'WHY', shrink: 10 },
  ] as const;
  return table(heads, rows, columns, paint.bold);
}

function about(trouble: TroubleReport): { readonly who: string; readonly status: string } {
  return trouble.type === 'fault' ? { who: trouble.lane ?? trouble.code, status: '' } : { who: trouble.recipient, status: trouble.status };
}

function textOf({ text }: TroubleReport, status: string): string {
  return text.includes(status) ? text : `${status} ${text}`;
}

function rightOf(...titles: readonly string[]) {
  return titles.map((title) => ({ title, align: 'right' as const }));
}
