/**
 * Kinds of value that an option may have: how each is read, from text (environment, command line), from TOML and
 * from an object of the in-process API, what is allowed, and how it is written back as TOML.
 *
 * Promises: reading never throws, and what `show` writes reads back as the same value. Units are fixed here and
 * nowhere else: durations are milliseconds, sizes are octets. Knows no option by name, and touches no file.
 */
/** Where a value comes from: text has no types, TOML has, and an object of the API may give bare numbers (ms, octets). */
export type Form = 'text' | 'toml' | 'object';

export type Read<T> =
  | { readonly ok: true; readonly value: T }
  /** `found` is the part that is wrong: one element of a list, or all of it. */
  | { readonly ok: false; readonly code: 'WRONG_TYPE' | 'OUT_OF_RANGE'; readonly found: unknown };

export interface Kind<T> {
  /** One word or two for the reference page: `duration`, `list of networks`. */
  readonly name: string;
  /** What may stand there, to follow "must be". */
  readonly allowed: string;
  read(given: unknown, form: Form): Read<T>;
  /** As TOML. */
  show(value: T): string;
}

export interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

/** A kind whose option may be left unset, with no default of its own: what holds then depends on other options. */
export function maybe<T>(of: Kind<T>): Kind<T | undefined> {
  return { ...of, show: (value) => (value === undefined ? 'not set' : of.show(value)) };
}

export const good = <T>(value: T): Read<T> => ({ ok: true, value });
export const wrongType = (found: unknown): Read<never> => ({ ok: false, code: 'WRONG_TYPE', found });
export const outOfRange = (found: unknown): Read<never> => ({ ok: false, code: 'OUT_OF_RANGE', found });

// — text —

/** A kind that is a string in every form, with a rule; `rule` gives the normalised value, or undefined where it is broken. */
export function stringKind(name: string, allowed: string, rule: (text: string) => string | undefined): Kind<string> {
  return {
    name,
    allowed,
    read(given) {
      if (typeof given !== 'string') return wrongType(given);
      const value = rule(given);
      return value === undefined ? outOfRange(given) : good(value);
    },
    show: (value) => JSON.stringify(value),
  };
}

/** Any text without NUL. */
export const text = stringKind('text', 'text', (given) => (given.includes('\0') ? undefined : given));

/** One line without control characters: what goes into a protocol. */
export const line = stringKind('text', 'one line of text', (given) => (/[\0-\x1f\x7f]/.test(given) ? undefined : given));

/** Path of a file or folder; relative ones count from the working directory. May be empty: none. */
export const path = stringKind('path', 'a path', (given) => (given.includes('\0') ? undefined : given));

/** The same, where there must be one. */
export const requiredPath = stringKind('path', 'a path', (given) => (given === '' || given.includes('\0') ? undefined : given));

/** Least characters of a token: what is made by chance has more, and what people think of is too short below. */
const SHORTEST_TOKEN = 16;

/** As a bearer token travels (RFC 6750): visible ASCII without blanks. Empty: none. */
export const token = stringKind('token', `${SHORTEST_TOKEN} to 512 letters, digits or any of -._~+/=`, (given) =>
  given === '' || (/^[A-Za-z0-9\-._~+/]+=*$/.test(given) && given.length >= SHORTEST_TOKEN && given.length <= 512) ? given : undefined,
);

export function oneOf<const W extends string>(words: readonly W[]): Kind<W> {
  return {
    name: words.join(' | '),
    allowed: `one of ${words.map((word) => JSON.stringify(word)).join(', ')}`,
    read(given) {
      if (typeof given !== 'string') return wrongType(given);
      const word = words.find((each) => each === given.trim().toLowerCase());
      return word === undefined ? outOfRange(given) : good(word);
    },
    show: (value) => JSON.stringify(value),
  };
}

// — yes and no, numbers —

const YES = new Set(['true', 'yes', 'on', '1']);
const NO = new Set(['false', 'no', 'off', '0']);

export const boolean: Kind<boolean> = {
  name: 'true | false',
  allowed: 'true or false',
  read(given, form) {
    if (typeof given === 'boolean') return good(given);
    if (form !== 'text' || typeof given !== 'string') return wrongType(given);
    const word = given.trim().toLowerCase();
    return YES.has(word) ? good(true) : NO.has(word) ? good(false) : outOfRange(given);
  },
  show: String,
};

function within<T extends number>(value: T, bounds: Bounds, given: unknown): Read<T> {
  return value >= (bounds.min ?? 0) && value <= (bounds.max ?? Number.MAX_SAFE_INTEGER) ? good(value) : outOfRange(given);
}

/** `, from 1 up to 100`, without what is not given. */
function range({ min, max }: Bounds, show: (value: number) => string): string {
  const ends = [min === undefined ? '' : ` from ${show(min)}`, max === undefined ? '' : ` up to ${show(max)}`].join('');
  return ends && `,${ends}`;
}

function numberKind(name: string, article: string, bounds: Bounds, pattern: RegExp, fits: (value: number) => boolean): Kind<number> {
  return {
    name,
    allowed: `${article} ${name}${range(bounds, String)}`,
    read(given, form) {
      const value = form === 'text' && typeof given === 'string' && pattern.test(given.trim()) ? Number(given) : given;
      return typeof value === 'number' && fits(value) ? within(value, bounds, given) : wrongType(given);
    },
    show: String,
  };
}

export const integer = (bounds: Bounds): Kind<number> => numberKind('whole number', 'a', bounds, /^-?\d+$/, Number.isSafeInteger);
export const number = (bounds: Bounds): Kind<number> => numberKind('number', 'a', bounds, /^-?\d+(\.\d+)?$/, Number.isFinite);

// — units —

const DURATION_UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
];
const SIZE_UNITS: readonly (readonly [string, number])[] = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
];
const DECIMAL_SIZES: Readonly<Record<string, number>> = { TB: 1e12, GB: 1e9, MB: 1e6, KB: 1e3, B: 1 };

/** In the largest unit that leaves no rest; undefined where none does. */
function inUnits(value: number, units: readonly (readonly [string, number])[]): string | undefined {
  const unit = units.find(([, factor]) => value >= factor && value % factor === 0);
  return unit && `${value / unit[1]}${unit[0]}`;
}

/** `"30s"`, `"1h30m"`, `"1.5h"`, `"0"` as milliseconds; undefined for anything else. */
export function parseDuration(given: string): number | undefined {
  const compact = given.trim();
  if (compact === '0') return 0;
  if (!/^(?:\d{1,12}(?:\.\d{1,6})?(?:ms|s|m|h|d) ?){1,5}$/.test(compact)) return undefined;
  let total = 0;
  for (const [, amount, unit] of compact.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    total += Number(amount) * DURATION_UNITS.find(([name]) => name === unit)![1];
  }
  return Math.round(total);
}

export function showDuration(ms: number): string {
  return inUnits(ms, DURATION_UNITS) ?? (ms === 0 ? '0s' : `${ms}ms`);
}

/** `"8MiB"`, `"1.5 GB"`, `"8388608"` as octets; undefined for anything else. */
export function parseSize(given: string): number | undefined {
  const match = /^(\d{1,16}(?:\.\d{1,6})?) ?(|B|[KMGT]i?B)$/i.exec(given.trim());
  if (!match) return undefined;
  const unit = match[2]!.toUpperCase();
  const factor = unit === '' ? 1 : (SIZE_UNITS.find(([name]) => name.toUpperCase() === unit)?.[1] ?? DECIMAL_SIZES[unit]!);
  return Math.round(Number(match[1]) * factor);
}

export function showSize(octets: number): string {
  return inUnits(octets, SIZE_UNITS) ?? `${octets}B`;
}

/** A bare number is taken only from the API: in a file nobody can tell 30 seconds from 30 minutes. */
export function duration(bounds: Bounds): Kind<number> {
  const quoted = (ms: number) => JSON.stringify(showDuration(ms));
  return {
    name: 'duration',
    allowed: `a duration with its unit (ms, s, m, h, d), such as "30s" or "1h30m"${range(bounds, quoted)}`,
    read(given, form) {
      const bare = typeof given === 'number' && (form === 'object' || given === 0) ? given : undefined;
      const value = typeof given === 'string' ? parseDuration(given) : bare;
      return value === undefined || !Number.isFinite(value) ? wrongType(given) : within(value, bounds, given);
    },
    show: quoted,
  };
}

export function size(bounds: Bounds): Kind<number> {
  const quoted = (octets: number) => JSON.stringify(showSize(octets));
  return {
    name: 'size',
    allowed: `a size such as "64KiB", "8MiB" or "1GiB"${range(bounds, quoted)}`,
    read(given) {
      const value = typeof given === 'string' ? parseSize(given) : given;
      return typeof value === 'number' && Number.isSafeInteger(value) ? within(value, bounds, given) : wrongType(given);
    },
    show: quoted,
  };
}

// — lists —

/** The word that empties a list from the environment or the command line, where an empty value means "not set". */
export const EMPTY_LIST = 'none';

export function list<T>(plural: string, item: Kind<T>): Kind<readonly T[]> {
  return {
    name: `list of ${plural}`,
    allowed: `a list, each ${item.allowed}`,
    read(given, form) {
      const parts: unknown = form === 'text' && typeof given === 'string' ? splitList(given) : given;
      if (!Array.isArray(parts)) return wrongType(given);
      const values: T[] = [];
      for (const part of parts) {
        const read = item.read(part, form);
        if (!read.ok) return read;
        values.push(read.value);
      }
      return good(values);
    },
    show: (values) => `[${values.map((value) => item.show(value)).join(', ')}]`,
  };
}

function splitList(given: string): string[] {
  if (given.trim().toLowerCase() === EMPTY_LIST) return [];
  return given
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
