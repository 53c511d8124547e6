/** `riata queue stats`: how deep the queue is, what it waits for, what is connected. */
import type { LaneCounts, LaneReport, ReadingVerbs, StatsReport } from '../control/types.js';
import type { Cli, Command, Globals } from './command.js';
import { EXIT } from './exit.js';
import { count, duration, number, relative, size, until } from './format.js';
import { withQueue } from './reach.js';
import { wholeNumber } from './selection.js';
import { pairs, table } from './table.js';

export const queueStats: Command<Globals & { readonly lanes: string }> = async (args, cli) => {
  const lanes = wholeNumber('--lanes', args.lanes, 10_000);
  return withQueue(args, cli, async (verbs) => {
    const report = await statsWithPauses(verbs, lanes);
    if (args.json) cli.screen.json(report);
    else cli.screen.print(...lines(report, cli));
    return EXIT.ok;
  });
};

/** Lanes without mail are not counted, but a pause must not be overlooked. */
export async function statsWithPauses(verbs: ReadingVerbs, lanes: number): Promise<StatsReport> {
  const [report, { items: paused }] = await Promise.all([
    verbs.stats({ lanes }),
    verbs.lanes({ paused: true }, { limit: Math.max(lanes, 1) }),
  ]);
  return { ...report, lanes: [...report.lanes, ...paused.filter(({ lane }) => !report.lanes.some((each) => each.lane === lane))] };
}

function lines(report: StatsReport, cli: Cli): string[] {
  return [depth, counters, lanes, connections, sites]
    .map((part) => part(report, cli))
    .filter((part) => part.length > 0)
    .flatMap((part, i) => (i === 0 ? part : ['', ...part]));
}

function depth({ counts, uptimeMs, metrics }: StatsReport, { screen }: Cli): string[] {
  const reasons = Object.entries(metrics).filter(([name]) => name.includes('.'));
  return pairs(
    [
      ['Messages', number(counts.messages)],
      [
        'Deliveries',
        `${number(counts.ready)} ready, ${number(counts.sending)} being sent, ${number(counts.waiting)} waiting, ${number(counts.held)} held`,
      ],
      ['Lanes', number(counts.lanes)],
      ...(counts.freeBytes === undefined ? [] : ([['Room', `${size(counts.freeBytes)} until intake closes`]] as const)),
      ['Agent', uptimeMs > 0 ? `up ${duration(uptimeMs)}` : 'none runs: the spool was read'],
      ...(reasons.length > 0
        ? ([['Trouble', reasons.map(([name, value]) => `${name.replace('.', ' ')}: ${number(value)}`).join(', ')]] as const)
        : []),
    ],
    screen.columns,
  );
}

/** Counters since the start, with their rates where they have any (`delivered`, `deliveredPerMinute`, `deliveredPerMinuteOverHour`). */
function counters({ metrics }: StatsReport, { screen }: Cli): string[] {
  const names = Object.keys(metrics).filter((name) => !name.includes('.') && !/PerMinute(OverHour)?$/.test(name));
  if (names.length === 0) return [];
  const rate = (value: number | undefined) =>
    value === undefined ? '' : value < 10 ? String(Math.round(value * 10) / 10) : number(Math.round(value));
  const heads = [
    { title: 'SINCE THE START' },
    { title: 'IN ALL', align: 'right' },
    { title: 'LAST MINUTE', align: 'right' },
    { title: 'A MINUTE, LAST HOUR', align: 'right' },
  ] as const;
  const rows = names.map((name) => ({
    cells: [
      name.charAt(0).toUpperCase() + name.slice(1),
      number(metrics[name]!),
      rate(metrics[`${name}PerMinute`]),
      rate(metrics[`${name}PerMinuteOverHour`]),
    ],
  }));
  return table(heads, rows, screen.columns, screen.paint.bold);
}

function lanes({ lanes: shown, counts }: StatsReport, { screen, clock }: Cli): string[] {
  if (shown.length === 0) return [];
  const heads = [
    { title: 'LANE', shrink: 20 },
    { title: 'READY', align: 'right' },
    { title: 'WAITING', align: 'right' },
    { title: 'HELD', align: 'right' },
  ] as const;
  const rows = shown.map((lane) => ({
    cells: [lane.lane, number(lane.ready), number(lane.waiting), number(lane.held)],
    below: standing(lane, clock.now()).map((text) => ({ text, indent: 4, paint: screen.paint.warn })),
  }));
  const more = counts.lanes - shown.filter((lane) => lane.ready + lane.waiting + lane.held > 0).length;
  return [
    ...table(heads, rows, screen.columns, screen.paint.bold),
    ...(more > 0 ? [screen.paint.dim(`and ${count(more, 'more lane')}: --lanes ${counts.lanes} shows all`)] : []),
  ];
}

function standing({ paused, resting }: LaneReport, now: number): string[] {
  if (paused !== undefined) return [pauseText(paused, now)];
  if (resting === undefined) return [];
  return [`its servers rest, ${resting.until > now ? `tried again ${relative(resting.until, now)}` : 'being tried now'}`];
}

export function pauseText({ at, reason }: NonNullable<LaneCounts['paused']>, now: number): string {
  return `paused ${relative(at, now)}${reason === '' ? '' : `: ${reason}`}`;
}

function connections({ connections: open }: StatsReport, { screen }: Cli): string[] {
  if (open.length === 0) return [];
  const heads = [
    { title: 'SERVER', shrink: 20 },
    { title: 'CONNECTIONS', align: 'right' },
    { title: 'BUSY', align: 'right' },
  ] as const;
  const rows = open.map((server) => ({ cells: [server.server, number(server.open), number(server.busy)] }));
  return table(heads, rows, screen.columns, screen.paint.bold);
}

function sites({ sites: resting }: StatsReport, { screen, clock }: Cli): string[] {
  if (resting.length === 0) return [];
  const now = clock.now();
  const rows = resting.map(({ site, backingOffUntil, trouble }) => ({
    cells: [site, until(backingOffUntil, now)],
    below: [{ text: trouble, indent: 4, paint: screen.paint.dim }],
  }));
  return table(
    [
      { title: 'SITE IN TROUBLE', shrink: 20 },
      { title: 'NEXT', align: 'right' },
    ],
    rows,
    screen.columns,
    screen.paint.bold,
  );
}
