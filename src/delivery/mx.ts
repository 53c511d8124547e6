/**
 * Which servers take a domain's mail (RFC 5321 §5.1): its MX by preference, else its own addresses; and the same survey
 * for a configured host and for an address literal, so that routing and `riata mx` look at one picture.
 *
 * Promises
 *  - Nothing that DNS says makes us connect to a loopback, private or otherwise unfit address (G12), unless the operator
 *    allows it; a configured host is the operator's own word and not judged.
 *  - "There is none" and "ask later" are kept apart: only the first is permanent.
 *  - Names of ours among the exchangers: only strictly better ones are used, so that mail cannot circle.
 *  - At most `MX_HOSTS` hosts are looked up, at most `ADDRESSES_PER_HOST` addresses of each are used.
 *
 * | what DNS says                                       | what follows                                        |
 * |-----------------------------------------------------|-----------------------------------------------------|
 * | no such domain; neither MX nor address              | permanent 5.1.2                                     |
 * | null MX (RFC 7505)                                  | permanent 5.1.10; beside others it is passed over   |
 * | no answer                                           | temporary 4.4.3                                     |
 * | exchangers, none of which has an address            | permanent 5.4.4, as Postfix does; 4.4.3 if any lookup failed |
 * | exchangers, all with unfit addresses                | permanent 5.4.4                                     |
 * | ours is the best exchanger                          | permanent 5.4.6                                     |
 */
import { normalizeDomain } from '../core/address.js';
import type { Trouble } from '../core/outcome.js';
import type { Random } from '../platform/random.js';
import type { DnsAnswer, MxRecord, Resolver } from '../platform/resolver.js';
import { type Ip, interleave, readIp, shuffled, whyRefused } from './addresses.js';

/** The largest providers name five. */
export const MX_HOSTS = 10;
export const ADDRESSES_PER_HOST = 4;
/** What a fixed address is good for: it does not change, but the configuration may. */
const FIXED_TTL_MS = 60 * 60_000;
/** Where only a part of the answer could be had. */
const PARTIAL_TTL_MS = 60_000;

export interface MailHost {
  readonly host: string;
  readonly preference: number;
  /** In the order in which they are tried. Empty: the host is of no use. */
  readonly addresses: readonly Ip[];
  readonly refused: readonly { readonly address: string; readonly why: string }[];
  /** Why the host is not used at all, in words. */
  readonly passedBy?: string;
}

export interface Survey {
  /** `implicit`: the domain has no MX, its own addresses stand in. */
  readonly via: 'relay' | 'mx' | 'implicit' | 'literal';
  /** Best first, also those that are of no use. */
  readonly hosts: readonly MailHost[];
  /** Present exactly if no host has an address. */
  readonly trouble?: Trouble;
  readonly ttlMs: number;
}

export interface SurveyOptions {
  readonly resolver: Resolver;
  readonly random: Random;
  /** Names this agent goes by. */
  readonly ownNames: readonly string[];
  readonly allowPrivateAddresses: boolean;
}

export interface LookupOptions {
  /** Asked instead of the one that deliveries ask. */
  readonly resolver?: Resolver;
  readonly refresh?: boolean;
  readonly signal?: AbortSignal;
}

export async function surveyMx(domain: string, options: SurveyOptions, lookup: LookupOptions = {}): Promise<Survey> {
  const answer = await (lookup.resolver ?? options.resolver).mx(domain, asked(lookup));
  switch (answer.kind) {
    case 'failed':
      return none('mx', temporary('4.4.3', 'dns', `the mail servers of ${domain} could not be looked up: ${answer.text}`), 0);
    case 'noName':
      return none('mx', permanent('5.1.2', 'noHost', `there is no domain ${domain}`), answer.ttlMs);
    case 'noData':
      return surveyExchangers(domain, 'implicit', [{ exchange: domain, preference: 0 }], answer.ttlMs, options, lookup);
    case 'found':
      break;
  }
  const named = answer.records.filter(({ exchange }) => exchange !== '');
  if (named.length === 0) return none('mx', permanent('5.1.10', 'nullMx', `${domain} takes no mail (null MX)`), answer.ttlMs);
  return surveyExchangers(domain, 'mx', named, answer.ttlMs, options, lookup);
}

/** `user@[192.0.2.1]`: whoever wrote the address is a stranger as DNS is. */
export function surveyLiteral(address: string, options: SurveyOptions): Survey {
  const ip = readIp(address);
  if (ip === undefined) return none('literal', permanent('5.1.2', 'noHost', `[${address}] is not an address`), FIXED_TTL_MS);
  const host = judge(address, 0, [ip], options);
  if (host.addresses.length > 0) return { via: 'literal', hosts: [host], ttlMs: FIXED_TTL_MS };
  return {
    via: 'literal',
    hosts: [host],
    trouble: permanent('5.4.4', 'refusedAddress', refusedText(`[${address}]`, [host])),
    ttlMs: FIXED_TTL_MS,
  };
}

/** A configured host: as the system finds it. Its trouble is never permanent: a slip in the settings must not bounce the queue. */
export async function surveyHost(host: string, options: SurveyOptions, lookup: LookupOptions = {}): Promise<Survey> {
  const ip = readIp(host);
  if (ip !== undefined) return { via: 'relay', hosts: [{ host, preference: 0, addresses: [ip], refused: [] }], ttlMs: FIXED_TTL_MS };
  const answer = await (lookup.resolver ?? options.resolver).hostAddresses(host, lookup.signal ? { signal: lookup.signal } : {});
  if (answer.kind === 'found') {
    const addresses = inOrder(readIps(answer.records), options.random);
    if (addresses.length > 0) return { via: 'relay', hosts: [{ host, preference: 0, addresses, refused: [] }], ttlMs: answer.ttlMs };
  }
  const trouble =
    answer.kind === 'failed'
      ? temporary('4.4.3', 'dns', `the address of ${host} could not be looked up: ${answer.text}`)
      : temporary(
          '4.4.4',
          'noHost',
          `${host} has no address: correct the name where it is given (in a [[route]], or with the message), or the DNS`,
        );
  return none('relay', trouble, 'ttlMs' in answer ? answer.ttlMs : 0);
}

function asked({ refresh, signal }: LookupOptions): { refresh?: boolean; signal?: AbortSignal } {
  return { ...(refresh === undefined ? {} : { refresh }), ...(signal === undefined ? {} : { signal }) };
}

// — exchangers —

async function surveyExchangers(
  domain: string,
  via: 'mx' | 'implicit',
  records: readonly MxRecord[],
  ttlMs: number,
  options: SurveyOptions,
  lookup: LookupOptions,
): Promise<Survey> {
  const sorted = byPreference(records, options.random);
  const ours = sorted.find(({ exchange }) => options.ownNames.includes(exchange));
  const better = ours ? sorted.filter(({ preference }) => preference < ours.preference) : sorted;
  if (better.length === 0) {
    const text = `mail for ${domain} comes back to this server, which is its best mail exchanger but does not keep mail for it`;
    return {
      via,
      hosts: sorted.map((record) => passed(record, 'is this server, or no better')),
      trouble: permanent('5.4.6', 'loop', text),
      ttlMs,
    };
  }
  const found = await Promise.all(better.slice(0, MX_HOSTS).map((record) => surveyExchanger(record, options, lookup)));
  const hosts = [
    ...found.map(({ host }) => host),
    ...sorted.slice(better.length).map((record) => passed(record, 'is this server, or no better')),
  ];
  const ttl = Math.min(ttlMs, ...found.map((one) => one.ttlMs));
  if (hosts.some(({ addresses }) => addresses.length > 0)) return { via, hosts, ttlMs: ttl };
  return { via, hosts, trouble: noneUsable(domain, via, hosts, found), ttlMs: ttl };
}

interface Exchanger {
  readonly host: MailHost;
  readonly ttlMs: number;
  /** The lookup failed: what is missing may be there. */
  readonly failure?: string;
}

async function surveyExchanger({ exchange, preference }: MxRecord, options: SurveyOptions, lookup: LookupOptions): Promise<Exchanger> {
  const record = { exchange, preference };
  if (normalizeDomain(exchange) === undefined) return { host: passed(record, 'is not a host name'), ttlMs: Number.POSITIVE_INFINITY };
  if (!options.allowPrivateAddresses && /(^|\.)localhost$/.test(exchange)) {
    return {
      host: { host: exchange, preference, addresses: [], refused: [{ address: exchange, why: 'loopback' }] },
      ttlMs: Number.POSITIVE_INFINITY,
    };
  }
  const answer: DnsAnswer<string> = await (lookup.resolver ?? options.resolver).addresses(exchange, asked(lookup));
  switch (answer.kind) {
    case 'found':
      return { host: judge(exchange, preference, readIps(answer.records), options), ttlMs: answer.ttlMs };
    case 'failed':
      return { host: passed(record, `could not be looked up: ${answer.text}`), ttlMs: PARTIAL_TTL_MS, failure: answer.text };
    default:
      return { host: passed(record, 'has no address'), ttlMs: answer.ttlMs };
  }
}

function noneUsable(domain: string, via: 'mx' | 'implicit', hosts: readonly MailHost[], found: readonly Exchanger[]): Trouble {
  const failed = found.find(({ failure }) => failure !== undefined);
  if (failed)
    return temporary(
      '4.4.3',
      'dns',
      `the address of ${failed.host.host}, mail server of ${domain}, could not be looked up: ${failed.failure}`,
    );
  if (hosts.some(({ refused }) => refused.length > 0)) return permanent('5.4.4', 'refusedAddress', refusedText(domain, hosts));
  if (via === 'implicit') return permanent('5.1.2', 'noHost', `${domain} has no mail server: neither MX nor address`);
  return permanent('5.4.4', 'noHost', `no mail server of ${domain} has an address: ${hosts.map(({ host }) => host).join(', ')}`);
}

function judge(host: string, preference: number, ips: readonly Ip[], options: SurveyOptions): MailHost {
  const fit: Ip[] = [];
  const refused: { address: string; why: string }[] = [];
  for (const ip of ips) {
    const why = options.allowPrivateAddresses ? undefined : whyRefused(ip);
    if (why === undefined) fit.push(ip);
    else refused.push({ address: ip.text, why });
  }
  return { host, preference, addresses: inOrder(fit, options.random), refused };
}

function inOrder(ips: readonly Ip[], random: Random): Ip[] {
  return interleave(shuffled(ips, () => random.unit())).slice(0, ADDRESSES_PER_HOST);
}

/** Equal ones in random order (RFC 5321 §5.1), each host once, at its best. */
function byPreference(records: readonly MxRecord[], random: Random): MxRecord[] {
  const best = new Map<string, MxRecord>();
  for (const record of shuffled(records, () => random.unit()).sort((a, b) => a.preference - b.preference)) {
    if (!best.has(record.exchange)) best.set(record.exchange, record);
  }
  return [...best.values()];
}

function readIps(texts: readonly string[]): Ip[] {
  return texts.map(readIp).filter((ip) => ip !== undefined);
}

function passed({ exchange, preference }: MxRecord, passedBy: string): MailHost {
  return { host: exchange, preference, addresses: [], refused: [], passedBy };
}

function refusedText(destination: string, hosts: readonly MailHost[]): string {
  const list = hosts.flatMap(({ host, refused }) =>
    refused.map(({ address, why }) => `${host === address ? address : `${host} is ${address}`}, ${why}`),
  );
  return (
    `no mail is taken to the servers of ${destination} at such addresses (${list.slice(0, 5).join('; ')}); ` +
    'if it is meant, name the server in a [[route]], or set delivery.allowPrivateAddresses'
  );
}

function none(via: Survey['via'], trouble: Trouble, ttlMs: number): Survey {
  return { via, hosts: [], trouble, ttlMs };
}

function permanent(status: string, reason: string, text: string): Trouble {
  return { lasting: 'permanent', stage: 'resolve', status, text, reason };
}

function temporary(status: string, reason: string, text: string): Trouble {
  return { lasting: 'temporary', stage: 'resolve', status, text, reason };
}
