/**
 * The options of whatever is asked of an agent besides handing in: how long somebody waits for it, and what more there is to say. Each
 * reader throws one error that names all that is wrong.
 */
import { boolean, errorOf, type Issues, isObject, line, onlyKnown, put } from '../compose/checks.js';
import { readMoment } from '../compose/moment.js';
import type { LaneSelector, ViewPage } from '../control/types.js';
import type { LaneKey } from '../core/lane.js';
import { VIEWED } from '../spool/spool.js';
import { readDomainName, readSpan } from './selection.js';
import { readSignal, type WaitOptions } from './waiting.js';

export interface InspectOptions extends WaitOptions, ViewPage {}

export interface FailOptions extends WaitOptions {
  /** Told to the sender, and kept in the history. */
  readonly reason?: string | undefined;
}

export interface MxLookupOptions extends WaitOptions {
  /** Asks the DNS, not the cache. */
  readonly refresh?: boolean | undefined;
  /** The DNS server to ask: a name or an address, with `:port` where it is not 53. */
  readonly hostname?: string | undefined;
}

export interface IdleOptions {
  /** Rejects with `ABORTED` after so many seconds, or so long as `'30s'` says. */
  readonly timeout?: number | string | undefined;
  /** Rejects with `ABORTED`. */
  readonly signal?: AbortSignal | undefined;
}

export interface EventsOptions {
  /** The `cursor` of an event, or a moment: a Date, epoch milliseconds, or ISO 8601 with an offset. Default: nothing of before. */
  readonly after?: Date | string | number | undefined;
  /** Ends the reading. */
  readonly signal?: AbortSignal | undefined;
}

/** One lane by its key, or all lanes of a domain; to resume, `all` for every one that is paused. */
export interface LaneOptions {
  /** Its key, as `mx:example.com`. */
  readonly lane?: LaneKey | undefined;
  /** All lanes that hold mail for this domain alone. */
  readonly domain?: string | undefined;
  /** To resume: every lane that is paused. */
  readonly all?: true | undefined;
}

export interface PauseOptions extends Omit<LaneOptions, 'all'> {
  /** Shown wherever the lane is. */
  readonly reason?: string | undefined;
}

type Given = Readonly<Record<string, unknown>>;
type Wait = { readonly signal: AbortSignal | undefined };

export function readWait(options: unknown): Wait {
  return reading(options, ['signal'], () => ({}));
}

export function readInspect(options: unknown): Wait & { readonly page: ViewPage } {
  return reading(options, ['limit', 'after', 'signal'], ({ limit, after }, issues) => {
    if (limit !== undefined && !(Number.isInteger(limit) && (limit as number) >= 1 && (limit as number) <= VIEWED))
      put(issues, 'limit', 'OUT_OF_RANGE', `must be a whole number from 1 to ${VIEWED}`);
    if (after !== undefined && !(typeof after === 'string' && /^\d{1,9}$/.test(after)))
      put(issues, 'after', 'INVALID_VALUE', 'must be the next of the page before');
    return {
      page: { ...(limit === undefined ? {} : { limit: limit as number }), ...(after === undefined ? {} : { after: after as string }) },
    };
  });
}

export function readFail(options: unknown): Wait & { readonly reason?: string } {
  return reading(options, ['reason', 'signal'], ({ reason }, issues) => {
    const text = reason === undefined ? undefined : line(reason, 'reason', issues);
    return text === undefined ? {} : { reason: text };
  });
}

export function readLanes(
  options: unknown,
  names: readonly ('lane' | 'domain' | 'all' | 'reason')[],
): Wait & { readonly lanes: LaneSelector & { readonly reason?: string } } {
  return reading(options, [...names, 'signal'], ({ lane, domain, all, reason }, issues) => {
    if (!(all === undefined || all === true)) put(issues, 'all', 'INVALID_VALUE', 'must be true where it is given');
    const read = {
      lane: lane === undefined ? undefined : line(lane, 'lane', issues),
      domain: domain === undefined ? undefined : readDomainName(domain, 'domain', issues),
      reason: reason === undefined ? undefined : line(reason, 'reason', issues),
      all: all === true ? all : undefined,
    };
    return { lanes: Object.fromEntries(Object.entries(read).filter(([, value]) => value !== undefined)) };
  });
}

/** `domain`: the one that is asked for, told of in the same error. */
export function readMxLookup(
  domain: unknown,
  options: unknown,
): Wait & { readonly domain: string; readonly how: { readonly refresh: boolean; readonly hostname?: string } } {
  return reading(options, ['refresh', 'hostname', 'signal'], ({ refresh, hostname }, issues) => {
    const server = hostname === undefined ? undefined : line(hostname, 'hostname', issues);
    const anew = refresh === undefined ? false : boolean(refresh, 'refresh', issues);
    return {
      domain: readDomainName(domain, 'domain', issues) ?? '',
      how: { refresh: anew === true, ...(server === undefined ? {} : { hostname: server }) },
    };
  });
}

export function readIdle(options: unknown): Wait & { readonly timeoutMs: number | undefined } {
  return reading(options, ['timeout', 'signal'], ({ timeout }, issues) => ({
    timeoutMs: timeout === undefined ? undefined : readSpan(timeout, 'timeout', issues),
  }));
}

export function readEvents(options: unknown): Wait & { readonly after: number | undefined } {
  return reading(options, ['after', 'signal'], ({ after }, issues) => ({
    after: after === undefined ? undefined : readMoment(after, 'after', issues),
  }));
}

/** An object of options, of which no other is given, with the signal that any of them may have. */
function reading<T extends object>(options: unknown, names: readonly string[], read: (given: Given, issues: Issues) => T): Wait & T {
  const issues: Issues = [];
  if (isObject(options)) onlyKnown(options, names, '', issues);
  else put(issues, 'options', 'WRONG_TYPE', 'must be an object');
  const given = isObject(options) ? options : {};
  const found = read(given, issues);
  const signal = given['signal'] === undefined ? undefined : readSignal(given['signal'], 'signal', issues);
  if (issues.length > 0) throw errorOf(issues);
  return { ...found, signal };
}
