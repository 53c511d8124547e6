/** Numbers as people read them: ages, sizes, moments. Pure; every unit is in the name of the argument. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A span in at most four columns: `45s`, `12m`, `36h`, `5d`. Never negative. */
export function age(ms: number): string {
  const span = Math.max(ms, 0);
  if (span < MINUTE) return `${Math.floor(span / SECOND)}s`;
  if (span < HOUR) return `${Math.floor(span / MINUTE)}m`;
  if (span < 2 * DAY) return `${Math.floor(span / HOUR)}h`;
  return `${Math.floor(span / DAY)}d`;
}

/** A span told exactly enough: `350 ms`, `1.2 s`, `2 min 5 s`, `3 h 20 min`, `4 d 1 h`. */
export function duration(ms: number): string {
  const span = Math.max(ms, 0);
  if (span < SECOND) return `${Math.round(span)} ms`;
  if (span < 10 * SECOND) return `${(span / SECOND).toFixed(1)} s`;
  const pair = (unit: number, name: string, smaller: number, smallerName: string) => {
    const whole = Math.floor(span / unit);
    const rest = Math.floor((span - whole * unit) / smaller);
    return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${smallerName}`;
  };
  if (span < MINUTE) return `${Math.floor(span / SECOND)} s`;
  if (span < HOUR) return pair(MINUTE, 'min', SECOND, 's');
  if (span < DAY) return pair(HOUR, 'h', MINUTE, 'min');
  return pair(DAY, 'd', HOUR, 'h');
}

/** Of a merge, the states that somebody is in: `97 delivered, 3 queued`. */
export function tallyText(tally: Readonly<Record<string, number>>): string {
  return Object.entries(tally)
    .filter(([, many]) => many > 0)
    .map(([state, many]) => `${many} ${state}`)
    .join(', ');
}

/** Where `atMs` lies seen from `nowMs`: `in 4m`, `2h ago`, `now` (within a second). */
export function relative(atMs: number, nowMs: number): string {
  const distance = atMs - nowMs;
  if (Math.abs(distance) < SECOND) return 'now';
  return distance > 0 ? `in ${age(distance)}` : `${age(-distance)} ago`;
}

/** When it is tried next, in few columns: `now` if that moment has come, else the span until then. */
export function until(atMs: number, nowMs: number): string {
  return atMs <= nowMs ? 'now' : age(atMs - nowMs);
}

/** Octets in at most five columns, in powers of 1024: `512`, `1.2K`, `38K`, `1.0M`, `12G`. */
export function size(bytes: number): string {
  if (bytes < 1024) return String(bytes);
  let value = bytes;
  let unit = '';
  for (const next of ['K', 'M', 'G', 'T', 'P']) {
    value /= 1024;
    unit = next;
    // 1023.6 would be rounded up to `1024K`.
    if (value < 1023.5) break;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)}${unit}`;
}

/** `12,345`. */
export function number(value: number): string {
  return value.toLocaleString('en-US');
}

/** `1 message`, `2,000 messages`; `plural` where an s does not do. */
export function count(value: number, noun: string, plural = `${noun}s`): string {
  return `${number(value)} ${value === 1 ? noun : plural}`;
}

/** A moment in local time with its offset: `2026-11-22 10:21:49 +0100`. */
export function moment(atMs: number): string {
  const date = new Date(atMs);
  const two = (value: number) => String(value).padStart(2, '0');
  const offset = -date.getTimezoneOffset();
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}${two(Math.abs(offset) % 60)}`;
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${zone}`;
}
