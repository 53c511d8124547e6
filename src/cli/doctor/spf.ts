/**
 * SPF (RFC 7208) as a receiver would read it, for the address that we send from: whether it passes, and what is wrong with the record.
 * Macros, `exists` and `ptr` are not computed: what depends on them is not known.
 */
import { BlockList, isIP } from 'node:net';
import type { Patient } from './finding.js';

export type SpfResult = 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'unknown' | 'error';

export interface SpfVerdict {
  readonly result: SpfResult;
  /** Why it is an error, or not known. */
  readonly text: string;
  /** Anybody passes: `+all`. */
  readonly everybody: boolean;
}

/** RFC 7208 §4.6.4. */
const MOST_LOOKUPS = 10;
const QUALIFIERS: Readonly<Record<string, SpfResult>> = { '+': 'pass', '-': 'fail', '~': 'softfail', '?': 'neutral' };

export async function checkSpf(domain: string, address: string, patient: Pick<Patient, 'resolver' | 'records'>): Promise<SpfVerdict> {
  return new Spf(address, patient).check(domain);
}

class Spf {
  readonly #address: string;
  readonly #patient: Pick<Patient, 'resolver' | 'records'>;
  #lookups = 0;
  #everybody = false;

  constructor(address: string, patient: Pick<Patient, 'resolver' | 'records'>) {
    this.#address = address;
    this.#patient = patient;
  }

  async check(domain: string): Promise<SpfVerdict> {
    const answer = await this.#patient.records.texts(domain);
    if (answer.kind === 'failed') return this.#verdict('unknown', answer.text);
    const records = (answer.kind === 'found' ? answer.records : []).filter((text) => /^v=spf1(?: |$)/i.test(text));
    if (records.length === 0) return this.#verdict('none', `${domain} has no SPF record`);
    if (records.length > 1) return this.#verdict('error', `${domain} has ${records.length} SPF records, and may have one`);
    return this.#record(domain, records[0]!);
  }

  async #record(domain: string, record: string): Promise<SpfVerdict> {
    let redirect: string | undefined;
    for (const term of record.split(/ +/).slice(1)) {
      if (term === '') continue;
      const modifier = /^([a-z][\w.-]*)=(.*)$/i.exec(term);
      if (modifier !== null) {
        if (modifier[1]!.toLowerCase() === 'redirect') redirect = modifier[2]!;
        continue;
      }
      const [, qualifier = '', name = '', rest = ''] = /^([+?~-]?)([a-z0-9]+)(.*)$/i.exec(term) ?? [];
      const matched = await this.#mechanism(name.toLowerCase(), rest, domain);
      if (typeof matched === 'object') return matched;
      if (!matched) continue;
      if (name.toLowerCase() === 'all' && (qualifier === '' || qualifier === '+')) this.#everybody = true;
      return this.#verdict(QUALIFIERS[qualifier || '+']!, `${domain} says ${term}`);
    }
    if (redirect === undefined) return this.#verdict('neutral', `${domain} names no rule for this address`);
    return this.#counted() ?? this.check(redirect);
  }

  /** Whether it matches, or why the whole cannot be decided. */
  async #mechanism(name: string, rest: string, domain: string): Promise<boolean | SpfVerdict> {
    const target = /^:([^/]+)/.exec(rest)?.[1] ?? domain;
    if (rest.includes('%{')) return this.#verdict('unknown', `${domain} uses a macro, ${name}${rest}`);
    switch (name) {
      case 'all':
        return true;
      case 'ip4':
      case 'ip6':
        return within(this.#address, rest.slice(1)) ?? this.#verdict('error', `${name}${rest} of ${domain} is no network`);
      case 'a':
      case 'mx':
        return this.#counted() ?? this.#hosts(name, target, /((?:\/\d+)?(?:\/\/\d+)?)$/.exec(rest)![1]!);
      case 'include': {
        const over = this.#counted();
        if (over !== undefined) return over;
        const everybody = this.#everybody;
        const { result, text } = await this.check(target);
        // What `+all` says in an included record counts there only, but it does let everybody pass.
        if (result !== 'pass') this.#everybody = everybody;
        if (result === 'none') return this.#verdict('error', `${domain} includes ${target}, which has no SPF record`);
        return result === 'error' || result === 'unknown' ? this.#verdict(result, text) : result === 'pass';
      }
      case 'exists':
      case 'ptr':
        return this.#counted() ?? this.#verdict('unknown', `${domain} uses ${name}, which is not computed here`);
      default:
        return this.#verdict('error', `${name}${rest} of ${domain} is no rule of SPF`);
    }
  }

  async #hosts(name: 'a' | 'mx', target: string, prefix: string): Promise<boolean | SpfVerdict> {
    const { resolver } = this.#patient;
    const exchangers = name === 'mx' ? await resolver.mx(target) : undefined;
    if (exchangers?.kind === 'failed') return this.#verdict('unknown', exchangers.text);
    const hosts =
      exchangers === undefined ? [target] : exchangers.kind === 'found' ? exchangers.records.map(({ exchange }) => exchange) : [];
    const [four = '', six = ''] = prefix.split('//');
    for (const host of hosts.filter((each) => each !== '')) {
      const found = await resolver.addresses(host);
      if (found.kind === 'failed') return this.#verdict('unknown', found.text);
      const bits = (address: string) => (isIP(address) === 6 ? (six === '' ? '' : `/${six}`) : four);
      if (found.kind === 'found' && found.records.some((address) => within(this.#address, `${address}${bits(address)}`))) return true;
    }
    return false;
  }

  #counted(): SpfVerdict | undefined {
    if (++this.#lookups <= MOST_LOOKUPS) return undefined;
    return this.#verdict('error', `it needs more than ${MOST_LOOKUPS} look-ups, at which receivers give up`);
  }

  #verdict(result: SpfResult, text: string): SpfVerdict {
    return { result, text, everybody: this.#everybody };
  }
}

/** Undefined for what is no network. */
function within(address: string, network: string): boolean | undefined {
  const [base = '', bits] = network.split('/');
  const family = isIP(base);
  const width = family === 6 ? 128 : 32;
  const prefix = bits === undefined ? width : Number(bits);
  if (family === 0 || !(prefix >= 0 && prefix <= width)) return undefined;
  if (isIP(address) !== family) return false;
  const list = new BlockList();
  list.addSubnet(base, prefix, family === 6 ? 'ipv6' : 'ipv4');
  return list.check(address, family === 6 ? 'ipv6' : 'ipv4');
}
