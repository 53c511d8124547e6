/** How numbers, moments and states are said. Pure, so that it can be tested without a browser. */
import type { MessageSummary, QueueEntry, TroubleReport } from '../control/types.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const UNITS = [
  [DAY, 'd'],
  [HOUR, 'h'],
  [MINUTE, 'min'],
  [SECOND, 's'],
] as const;

/** `45 s`, `12 min`, `3 h`, `5 d`; with the next smaller unit where `exact`. */
export function span(ms: number, exact = false): string {
  const whole = Math.max(0, ms);
  const at = UNITS.findIndex(([unit]) => whole >= unit);
  if (at < 0) return '0 s';
  const [unit, name] = UNITS[at]!;
  const count = Math.floor(whole / unit);
  const smaller = UNITS[at + 1];
  const rest = smaller === undefined ? 0 : Math.floor((whole - count * unit) / smaller[0]);
  return exact && smaller !== undefined && rest > 0 ? `${count} ${name} ${rest} ${smaller[1]}` : `${count} ${name}`;
}

/** `in 4 min`, `2 h ago`, `now`. */
export function relative(at: number, now: number): string {
  const distance = at - now;
  if (Math.abs(distance) < SECOND) return 'now';
  return distance > 0 ? `in ${nearest(distance)}` : `${span(-distance)} ago`;
}

/** What is to come is rounded, so that what is due in five minutes is not said to be due in four. */
function nearest(ms: number): string {
  const [unit] = UNITS.find(([each]) => ms >= each)!;
  return span(ms + unit / 2);
}

const EXACT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

export function moment(at: number): string {
  return EXACT.format(at);
}

export function clockTime(at: number): string {
  return CLOCK.format(at);
}

const NUMBER = new Intl.NumberFormat('en');

export function count(value: number): string {
  return NUMBER.format(value);
}

export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `512 B`, `1.2 KB`, `38 MB`: powers of 1024, as `riata` counts. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes;
  let unit = '';
  for (const next of ['KB', 'MB', 'GB', 'TB']) {
    value /= 1024;
    unit = next;
    if (value < 1023.5) break;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** What `mx:example.com` and `host:smtp.example.net:587:…` stand for. */
export function laneName(lane: string): string {
  const [kind = '', host = '', port = ''] = /^(mx|host):(\[[^\]]*\]|[^:]*)(?::(\d+))?/.exec(lane)?.slice(1) ?? [];
  if (kind === 'mx') return host;
  if (kind === 'host') return `${host}:${port}`;
  return lane;
}

/** How something stands, for its colour and its sign; never told by colour alone. */
export type Tone = 'good' | 'busy' | 'idle' | 'wait' | 'held' | 'bad' | 'gone';

export interface Standing {
  readonly tone: Tone;
  readonly word: string;
}

const STANDINGS = {
  sending: { tone: 'busy', word: 'Sending' },
  retrying: { tone: 'wait', word: 'Retrying' },
  held: { tone: 'held', word: 'Held' },
  queued: { tone: 'idle', word: 'Queued' },
  scheduled: { tone: 'idle', word: 'Scheduled' },
  failed: { tone: 'bad', word: 'Failed' },
  removed: { tone: 'gone', word: 'Removed' },
  sent: { tone: 'good', word: 'Sent' },
} as const satisfies Record<string, Standing>;

type StandingName = keyof typeof STANDINGS;

/** In the order in which they stand for a message of which parts differ. */
const FIRST: readonly StandingName[] = ['sending', 'retrying', 'held', 'queued', 'scheduled', 'failed', 'removed', 'sent'];

export function deliveryStanding({ state, recipients, attempts }: QueueEntry['delivery']): Standing {
  return STANDINGS[standingName(state, recipients, attempts)];
}

function standingName(state: string, recipients: QueueEntry['delivery']['recipients'], attempts: number): StandingName {
  switch (state) {
    case 'sending':
      return 'sending';
    case 'held':
      return 'held';
    case 'ready':
      return attempts > 0 ? 'retrying' : 'queued';
    case 'waiting':
      return attempts > 0 ? 'retrying' : 'scheduled';
    default:
      if (recipients.some((each) => each.state === 'bounced' || each.state === 'expired')) return 'failed';
      return recipients.some((each) => each.state === 'removed') ? 'removed' : 'sent';
  }
}

export function messageStanding(deliveries: readonly QueueEntry['delivery'][]): Standing {
  const names = deliveries.map(({ state, recipients, attempts }) => standingName(state, recipients, attempts));
  return STANDINGS[FIRST.find((name) => names.includes(name)) ?? 'queued'];
}

export function summaryStanding({ status, deliveries, trouble, named }: MessageSummary): Standing {
  if (status === 'sent') return STANDINGS.sent;
  if (status === 'error')
    return named.every(({ state }) => state === 'removed' || state === 'delivered') ? STANDINGS.removed : STANDINGS.failed;
  if (deliveries.sending > 0) return STANDINGS.sending;
  if (trouble !== undefined && deliveries.held === 0) return STANDINGS.retrying;
  if (deliveries.held > 0) return STANDINGS.held;
  return deliveries.ready > 0 ? STANDINGS.queued : STANDINGS.scheduled;
}

export function recipientStanding(state: string, delivery: QueueEntry['delivery']): Standing {
  switch (state) {
    case 'delivered':
      return STANDINGS.sent;
    case 'bounced':
      return STANDINGS.failed;
    case 'expired':
      return { tone: 'bad', word: 'Expired' };
    case 'removed':
      return STANDINGS.removed;
    default:
      return deliveryStanding({ ...delivery, recipients: [] });
  }
}

export function troubleStanding({ type }: TroubleReport): Standing {
  switch (type) {
    case 'deferred':
      return { tone: 'wait', word: 'Deferred' };
    case 'bounced':
      return { tone: 'bad', word: 'Bounced' };
    case 'expired':
      return { tone: 'bad', word: 'Expired' };
    default:
      return { tone: 'held', word: 'Notice' };
  }
}

/** `ann@x.example` and how many others there are besides. */
export function few(first: string, others: number): string {
  return others <= 0 ? first : `${first} and ${counted(others, 'other')}`;
}
