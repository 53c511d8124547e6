/**
 * The resolver of the agent: DNS by our own queries, because Node's tells neither how long an answer is good for nor
 * "there is no such name" from "there is none of that type", and both decide what becomes of mail.
 *
 * Promises: an answer is kept as long as its TTL says, within bounds; failures are not kept. The same question asked by
 * many at once is asked once. Memory is bounded. Nothing rejects but a wait whose `signal` aborts.
 */
import { lookup } from 'node:dns/promises';
import net from 'node:net';
import { normalizeDomain } from '../core/address.js';
import { MtaError } from '../core/errors.js';
import type { AskedType, RecordOf } from './dns-answer.js';
import { type Ask, type AskerOptions, createAsker } from './dns-asker.js';
import { createDnsCache } from './dns-cache.js';
import { readHosts } from './resolv-conf.js';
import type { DnsAnswer, Resolver } from './resolver.js';

export interface DnsOptions extends AskerOptions {
  /** Answers kept at most. Default 10,000. */
  readonly maxEntries?: number;
  readonly hostsFile?: string;
}

const DNS_PORT = 53;
const MIN_TTL_MS = 5_000;
const MAX_TTL_MS = 86_400_000;
const MAX_ABSENCE_MS = 900_000;
const MAX_ALIASES = 8;
/** How long the system's hosts file and its own resolver are believed. */
const SYSTEM_TTL_MS = 30_000;

export function createDnsResolver(options: DnsOptions): Resolver {
  const { maxEntries = 10_000, hostsFile = '/etc/hosts' } = options;
  const ask = createAsker(options);
  const cache = createDnsCache(options.clock, maxEntries);

  const find = async <T extends AskedType>(
    text: string,
    type: T,
    { refresh = false, signal }: { refresh?: boolean; signal?: AbortSignal },
  ): Promise<DnsAnswer<RecordOf[T]>> => {
    const name = normalizeDomain(text.endsWith('.') ? text.slice(0, -1) : text);
    if (name === undefined) return { kind: 'noName', ttlMs: MAX_TTL_MS };
    const key = `${type} ${name}`;
    const known = refresh ? undefined : cache.get(key);
    const answer = known ?? (await cache.share(key, (stop) => follow(ask, name, type, stop), signal));
    return answer as DnsAnswer<RecordOf[T]>;
  };

  const addresses: Resolver['addresses'] = async (host, asked = {}) => {
    const [four, six] = await Promise.all([find(host, 'A', asked), find(host, 'AAAA', asked)]);
    return both(four, six);
  };

  return {
    mx: (domain, asked = {}) => find(domain, 'MX', asked),
    addresses,
    async hostAddresses(host, asked = {}) {
      asked.signal?.throwIfAborted();
      if (net.isIP(host)) return { kind: 'found', records: [host], ttlMs: MAX_TTL_MS };
      const name = host.toLowerCase().replace(/\.$/, '');
      // RFC 6761 §6.3: not a question for anybody else.
      if (name === 'localhost' || name.endsWith('.localhost')) return { kind: 'found', records: ['127.0.0.1', '::1'], ttlMs: MAX_TTL_MS };
      if (!options.servers?.length) {
        const key = `system ${name}`;
        return (cache.get(key) ?? (await cache.share(key, () => bySystem(name), asked.signal))) as DnsAnswer<string>;
      }
      const listed = await readHosts(hostsFile, name);
      return listed.length > 0 ? { kind: 'found', records: listed, ttlMs: SYSTEM_TTL_MS } : addresses(name, asked);
    },
  };
}

/**
 * The DNS as one server tells it: by name or address, with `:port` where it is not 53. Its name is looked up as any host's. Throws
 * `INVALID_OPTIONS` where it has no address.
 */
export async function dnsServerAt(
  hostname: string,
  { resolver, ...options }: Omit<DnsOptions, 'servers'> & { readonly resolver: Pick<Resolver, 'hostAddresses'> },
): Promise<Resolver> {
  const [, bracketed, name, port = String(DNS_PORT)] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(hostname) ?? [];
  const found = await resolver.hostAddresses(bracketed ?? name ?? hostname);
  if (found.kind !== 'found') {
    const message = `the DNS server ${hostname} has no address`;
    throw new MtaError('INVALID_OPTIONS', `hostname: ${message}`, { issues: [{ path: 'hostname', code: 'INVALID_VALUE', message }] });
  }
  return createDnsResolver({
    ...options,
    servers: found.records.map((address) => (net.isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`)),
  });
}

/** Asks on where an answer only says that the name stands for another one. */
export async function follow<T extends AskedType>(ask: Ask, name: string, type: T, signal: AbortSignal): Promise<DnsAnswer<RecordOf[T]>> {
  let asked = name;
  let ttlMs = MAX_TTL_MS;
  const failed = (text: string) => ({ kind: 'failed', text: `DNS, ${type} of ${name}: ${text}` }) as const;
  for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
    const reading = await ask(asked, type, signal);
    if (reading.kind === 'failed') return failed(reading.text);
    ttlMs = Math.min(ttlMs, reading.ttlMs);
    if (reading.kind === 'found') return { ...reading, ttlMs: Math.max(MIN_TTL_MS, ttlMs) };
    if (reading.kind !== 'alias') return { ...reading, ttlMs: Math.max(MIN_TTL_MS, Math.min(ttlMs, MAX_ABSENCE_MS)) };
    asked = reading.target;
  }
  return failed('CNAMEs without an end');
}

/** What IPv4 and IPv6 together say about a host. One family that cannot be asked for does not hide the other. */
function both(four: DnsAnswer<string>, six: DnsAnswer<string>): DnsAnswer<string> {
  const found = [four, six].filter((answer) => answer.kind === 'found');
  if (found.length > 0)
    return { kind: 'found', records: found.flatMap(({ records }) => records), ttlMs: Math.min(...found.map(({ ttlMs }) => ttlMs)) };
  if (four.kind === 'failed') return four;
  if (six.kind === 'failed') return six;
  const ttlMs = Math.min(four.ttlMs, six.ttlMs);
  return { kind: four.kind === 'noName' && six.kind === 'noName' ? 'noName' : 'noData', ttlMs };
}

async function bySystem(name: string): Promise<DnsAnswer<string>> {
  try {
    const found = await lookup(name, { all: true });
    return { kind: 'found', records: found.map(({ address }) => address), ttlMs: SYSTEM_TTL_MS };
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    return code === 'ENOTFOUND' ? { kind: 'noName', ttlMs: SYSTEM_TTL_MS } : { kind: 'failed', text: `${name}: ${code}` };
  }
}
