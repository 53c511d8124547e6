/** Moments: when a message is to be sent, as an option tells it, and as a Date field shows it. Pure: now comes from the caller. */
import { type Issues, put } from './checks.js';

/** The largest moment that a Date field can show with four digits of year. */
const LATEST = Date.UTC(9999, 11, 31, 23, 59, 59);
/** Date and time with an offset from UTC: without one, it would mean another moment on each machine. */
const ISO = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?([Zz]|[+-]\d\d:?\d\d)$/;

/** Epoch milliseconds of a Date, a number of them, or ISO 8601 with an offset. */
export function readMoment(value: unknown, path: string, issues: Issues): number | undefined {
  const at = value instanceof Date ? value.getTime() : typeof value === 'number' ? value : fromText(value, path, issues);
  if (at === undefined) return undefined;
  if (Number.isNaN(at)) return put(issues, path, 'INVALID_VALUE', 'is not a date');
  return at >= 0 && at <= LATEST ? at : put(issues, path, 'OUT_OF_RANGE', 'must lie between the years 1970 and 9999');
}

/** Seconds from now, as epoch milliseconds. */
export function readDelay(value: unknown, now: number, path: string, issues: Issues): number | undefined {
  if (typeof value !== 'number') return put(issues, path, 'WRONG_TYPE', 'must be a number of seconds');
  const at = now + value * 1000;
  return value >= 0 && at <= LATEST ? at : put(issues, path, 'OUT_OF_RANGE', 'must not be negative, and lead to no year after 9999');
}

function fromText(value: unknown, path: string, issues: Issues): number | undefined {
  if (typeof value !== 'string') return put(issues, path, 'WRONG_TYPE', 'must be a Date, epoch milliseconds, or ISO 8601 with an offset');
  const match = ISO.exec(value);
  if (match === null)
    return put(issues, path, 'INVALID_VALUE', 'must be ISO 8601 with an offset, such as 2030-01-31T09:00:00+01:00 or 2030-01-31T08:00:00Z');
  const [, day, time, offset] = match as unknown as [string, string, string, string];
  const utc = offset.toUpperCase() === 'Z' ? 'Z' : `${offset.slice(0, 3)}:${offset.slice(-2)}`;
  // Date.parse would take the 30th of February for the 2nd of March.
  const exists = new Date(`${day}T00:00:00Z`);
  const valid = !Number.isNaN(exists.getTime()) && exists.toISOString().startsWith(day);
  return valid ? Date.parse(`${day}T${time}${utc}`) : Number.NaN;
}

/** RFC 5322 §3.3, in UTC. */
export function mailDate(at: number): string {
  return new Date(at).toUTCString().replace('GMT', '+0000');
}
