/**
 * What a DNS answer says about one name and type. Pure. Nothing of an answer is believed that is not about the name
 * asked for, or what its CNAMEs lead to; and no name or address leaves here that is not written as one: an answer can hold any octets.
 */
import net from 'node:net';
import type { Answer, DecodedPacket } from 'dns-packet';
import { normalizeDomain } from '../core/address.js';
import { responseCode } from './dns-query.js';
import type { MxRecord } from './resolver.js';

/** The types that can be asked for, and what their records are. */
export interface RecordOf {
  MX: MxRecord;
  A: string;
  AAAA: string;
  /** Its strings joined, as SPF, DKIM and DMARC want them. */
  TXT: string;
  /** A name, lower case, no final dot. */
  PTR: string;
}
export type AskedType = keyof RecordOf;

export type Reading<T> =
  | { readonly kind: 'found'; readonly records: readonly T[]; readonly ttlMs: number }
  | { readonly kind: 'noData'; readonly ttlMs: number }
  | { readonly kind: 'noName'; readonly ttlMs: number }
  /** The name is another name for `target`, and the answer does not say what that has. */
  | { readonly kind: 'alias'; readonly target: string; readonly ttlMs: number }
  | { readonly kind: 'failed'; readonly text: string };

const MAX_ALIASES = 8;
/** RFC 2308: an absence counts as long as the SOA says; without one, hardly at all. */
const ABSENCE_WITHOUT_SOA_MS = 5_000;

const NOERROR = 0;
const NXDOMAIN = 3;
const CODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

export function readAnswer<T extends AskedType>(packet: DecodedPacket, name: string, type: T): Reading<RecordOf[T]> {
  const code = responseCode(packet);
  if (code !== NOERROR && code !== NXDOMAIN) return { kind: 'failed', text: CODES[code] ?? `response code ${code}` };

  const answers = packet.answers ?? [];
  let owner = name;
  let ttl = Number.POSITIVE_INFINITY;
  for (let aliases = 0; ; aliases++) {
    const own = answers.filter((answer) => answer.name.toLowerCase() === owner);
    const matching = own.filter((answer) => answer.type === type);
    if (matching.length > 0) {
      const records = matching.map((answer) => recordOf(type, answer)).filter((record) => record !== undefined);
      if (records.length === 0) return { kind: 'failed', text: `no usable ${type} record` };
      return { kind: 'found', records, ttlMs: Math.min(ttl, ...matching.map(seconds)) * 1000 };
    }
    const alias = own.find((answer) => answer.type === 'CNAME');
    if (alias?.type !== 'CNAME') break;
    if (aliases === MAX_ALIASES) return { kind: 'failed', text: 'too many CNAMEs' };
    // Policies stand at names with underscores, which no host has.
    const target = type === 'TXT' ? withoutDot(alias.data).toLowerCase() : normalizeDomain(withoutDot(alias.data));
    if (target === undefined) return { kind: 'failed', text: 'a CNAME that is not a name' };
    ttl = Math.min(ttl, seconds(alias));
    owner = target;
  }

  const authorities = packet.authorities ?? [];
  const soa = authorities.find((answer) => answer.type === 'SOA');
  const absence = soa?.type === 'SOA' ? Math.min(ttl, seconds(soa), soa.data.minimum ?? 0) * 1000 : ABSENCE_WITHOUT_SOA_MS;
  if (code === NXDOMAIN) return { kind: 'noName', ttlMs: absence };
  if (soa) return { kind: 'noData', ttlMs: absence };
  if (owner !== name) return { kind: 'alias', target: owner, ttlMs: ttl * 1000 };
  // A server that only knows where to ask further does not say that there is nothing.
  if (!packet.flag_aa && authorities.some((answer) => answer.type === 'NS')) return { kind: 'failed', text: 'a referral' };
  return { kind: 'noData', ttlMs: absence };
}

function recordOf<T extends AskedType>(type: T, answer: Answer): RecordOf[T] | undefined {
  const readers: { [K in AskedType]: (answer: Answer) => RecordOf[K] | undefined } = {
    MX: mxOf,
    A: (a) => addressOf(a, 4),
    AAAA: (a) => addressOf(a, 6),
    TXT: textOf,
    PTR: (a) => (a.type === 'PTR' ? normalizeDomain(withoutDot(a.data)) : undefined),
  };
  return readers[type](answer);
}

function mxOf(answer: Answer): MxRecord | undefined {
  if (answer.type !== 'MX') return undefined;
  const { exchange, preference = 0 } = answer.data;
  const host = exchange === '.' ? '' : normalizeDomain(withoutDot(exchange));
  return host === undefined ? undefined : { exchange: host, preference };
}

function textOf(answer: Answer): string | undefined {
  if (answer.type !== 'TXT') return undefined;
  return [answer.data]
    .flat()
    .map((part) => part.toString())
    .join('');
}

function addressOf(answer: Answer, family: 4 | 6): string | undefined {
  if (answer.type !== 'A' && answer.type !== 'AAAA') return undefined;
  return net.isIP(answer.data) === family ? answer.data : undefined;
}

function seconds(answer: Answer): number {
  // The highest bit set counts as zero (RFC 2181 §8).
  const ttl = 'ttl' in answer ? (answer.ttl ?? 0) : 0;
  return ttl > 0x7fffffff ? 0 : ttl;
}

function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
