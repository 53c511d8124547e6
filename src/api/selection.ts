/** Which deliveries a caller means: filters as options, read into the query that the spool answers. */
import { errorOf, type Issues, isObject, line, onlyKnown, put, word } from '../compose/checks.js';
import { readEnvelopeAddress } from '../compose/mailboxes.js';
import { parseDuration } from '../config/values.js';
import { selected } from '../control/changing.js';
import { parseId } from '../control/reading.js';
import type { Selector } from '../control/types.js';
import { canonicalAddress, normalizeDomain } from '../core/address.js';
import type { LaneKey } from '../core/lane.js';
import type { MessageId } from '../core/message.js';
import type { Query } from '../spool/spool.js';
import { readTag } from './terms.js';

const STATES = ['ready', 'waiting', 'held', 'sending'] as const;

/** Every given field must hold. To change deliveries, one must be given, or `all`. */
export interface Selection {
  /** Of messages, one or several. */
  readonly id?: MessageId | readonly MessageId[] | undefined;
  /** `ready` to be sent, `waiting` for its time, `held` by an operator, `sending` at this moment. */
  readonly state?: (typeof STATES)[number] | undefined;
  /** Key of a lane, as `mx:example.com`. */
  readonly lane?: LaneKey | undefined;
  /** Of a recipient, exact. */
  readonly domain?: string | undefined;
  /** Envelope sender; `''` for the null sender. */
  readonly sender?: string | undefined;
  /** Address of a recipient. */
  readonly recipient?: string | undefined;
  /** One of the tags it was given, exact. */
  readonly tag?: string | undefined;
  /** Accepted longer ago than this: seconds, or text such as `'2h'`. */
  readonly olderThan?: number | string | undefined;
  /** The last error contains this, in any letter case. */
  readonly error?: string | undefined;
  /** Every delivery there is: nothing else may be given then. */
  readonly all?: true | undefined;
}

const NAMES = [
  'id',
  'state',
  'lane',
  'domain',
  'sender',
  'recipient',
  'tag',
  'olderThan',
  'error',
  'all',
] as const satisfies (keyof Selection)[];

/** For looking: an empty selection means all. */
export function readFilter(given: unknown, now: number): Query {
  const selector = readSelection(given, now);
  return Object.keys(selector).length === 0 ? {} : selected(selector);
}

/** Throws `INVALID_OPTIONS` or `INVALID_ADDRESS`, for all that is wrong. Whether anything is selected is not looked at. */
export function readSelection(given: unknown, now: number): Selector {
  const issues: Issues = [];
  if (!isObject(given)) {
    put(issues, 'selector', 'WRONG_TYPE', 'must be an object');
    throw errorOf(issues);
  }
  onlyKnown(given, NAMES, '', issues);
  const option = <T>(name: keyof Selection, reader: (value: unknown, path: string, issues: Issues) => T | undefined) =>
    given[name] === undefined ? undefined : reader(given[name], name, issues);
  const query = {
    ids: option('id', readIds),
    state: option('state', (value, path) => word(value, STATES, path, issues)),
    lane: option('lane', line),
    domain: option('domain', readDomainName),
    sender: canonical(option('sender', readEnvelopeAddress)),
    recipient: canonical(option('recipient', readEnvelopeAddress)),
    tag: option('tag', readTag),
    acceptedBefore: option('olderThan', (value, path) => {
      const span = readSpan(value, path, issues);
      return span === undefined ? undefined : now - span;
    }),
    error: option('error', line),
    all: option('all', (value, path) => (value === true ? value : put(issues, path, 'INVALID_VALUE', 'must be true where it is given'))),
  };
  if (issues.length > 0) throw errorOf(issues);
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
}

/** As `matches` of the spool wants it. */
function canonical(address: string | undefined): string | undefined {
  return address ? canonicalAddress(address) : address;
}

function readIds(value: unknown, path: string, issues: Issues): MessageId[] {
  const given: readonly unknown[] = Array.isArray(value) ? value : [value];
  return given.flatMap((one) => {
    const id = typeof one === 'string' ? parseId(one) : undefined;
    if (id === undefined) put(issues, path, 'INVALID_VALUE', 'is not a message id: it has 26 letters and digits');
    return id ?? [];
  });
}

export function readDomainName(value: unknown, path: string, issues: Issues): string | undefined {
  const text = line(value, path, issues);
  if (text === undefined) return undefined;
  return (text.startsWith('[') ? text : normalizeDomain(text)) ?? put(issues, path, 'INVALID_VALUE', 'is not a domain name');
}

/** Milliseconds of seconds, or of text with units. */
export function readSpan(value: unknown, path: string, issues: Issues): number | undefined {
  const ms = typeof value === 'number' ? value * 1000 : typeof value === 'string' ? parseDuration(value) : undefined;
  if (ms !== undefined && ms >= 0 && Number.isFinite(ms)) return ms;
  return put(issues, path, 'INVALID_VALUE', 'must be a number of seconds, or a duration such as "30s", "5m" or "2h"');
}
