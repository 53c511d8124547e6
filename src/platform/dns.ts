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
import type { Clock } from './clock.js';
import { readAnswer, type AskedType, type RecordOf } from './dns-answer.js';
import { queryServer, serverName } from './dns-query.js';
import type { Random } from './random.js';
import { parseServer, readHosts, readResolvConf, type ResolvConf } from './resolv-conf.js';
import type { DnsAnswer, Resolver } from './resolver.js';

export interface DnsOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** `address`, `address:port`, `[address]:port`. Default: the system's. */
  readonly servers?: readonly string[];
  /** For one try at one server. Default: the system's, else 5 seconds. */
  readonly timeoutMs?: number;
  /** Rounds over all servers. Default: the system's, else 2. */
  readonly attempts?: number;
  /** Answers kept at most. Default 10,000. */
  readonly maxEntries?: number;
  readonly resolvConf?: string;
  readonly hostsFile?: string;
}

const MIN_TTL_MS = 5_000;
const MAX_TTL_MS = 86_400_000;
const MAX_ABSENCE_MS = 900_000;
const MAX_ALIASES = 8;
/** How long the system's servers, its hosts file and its resolver are believed. */
const SYSTEM_TTL_MS = 30_000;
const TIMEOUT_MS = 5_000;
const ATTEMPTS = 2;
/** Questions on the wire at one time. A burst of more is mostly dropped on the way, and each loss costs a timeout. */
const MAX_AT_ONCE = 100;

type Lasting<T> = Exclude<DnsAnswer<T>, { kind: 'failed' }>;

interface UnderWay {
  readonly answer: Promise<DnsAnswer<unknown>>;
  readonly stop: AbortController;
  waiting: number;
}

export function createDnsResolver(options: DnsOptions): Resolver {
  const { clock, random, maxEntries = 10_000, hostsFile = '/etc/hosts' } = options;
  const configured = options.servers?.length ? options.servers.map(parseServer) : undefined;
  /** In the order of use, the longest unused first. */
  const cache = new Map<string, { readonly answer: Lasting<unknown>; readonly expiresAt: number }>();
  const underWay = new Map<string, UnderWay>();
  let system: { readonly conf: Promise<ResolvConf>; readonly readAt: number } | undefined;
  const places = createPlaces(MAX_AT_ONCE);
  let turn = 0;

  const servers = (): Promise<ResolvConf> => {
    if (configured) return Promise.resolve({ servers: configured, rotate: false });
    if (!system || clock.monotonic() - system.readAt >= SYSTEM_TTL_MS) {
      system = { conf: readResolvConf(options.resolvConf ?? '/etc/resolv.conf'), readAt: clock.monotonic() };
    }
    return system.conf;
  };

  /** Asks server after server until one gives an answer that says something. */
  const ask = async <T extends AskedType>(name: string, type: T, signal: AbortSignal) => {
    const conf = await servers();
    const timeoutMs = options.timeoutMs ?? conf.timeoutMs ?? TIMEOUT_MS;
    const attempts = options.attempts ?? conf.attempts ?? ATTEMPTS;
    const first = conf.rotate ? turn++ : 0;
    const troubles = new Set<string>();
    for (let attempt = 0; attempt < attempts; attempt++) {
      for (let i = 0; i < conf.servers.length; i++) {
        const server = conf.servers[(first + i) % conf.servers.length]!;
        await places.take();
        try {
          signal.throwIfAborted();
          const reading = readAnswer(await queryServer(server, { name, type }, { clock, random, timeoutMs }, signal), name, type);
          if (reading.kind !== 'failed') return reading;
          troubles.add(`${reading.text} from ${serverName(server)}`);
        } catch (error) {
          signal.throwIfAborted();
          troubles.add(`${(error as Error).message} from ${serverName(server)}`);
        } finally {
          places.give();
        }
      }
    }
    return { kind: 'failed', text: `DNS, ${type} of ${name}: ${[...troubles].join(', ') || 'no server is known'}` } as const;
  };

  const resolve = async <T extends AskedType>(name: string, type: T, signal: AbortSignal): Promise<DnsAnswer<RecordOf[T]>> => {
    let asked = name;
    let ttlMs = MAX_TTL_MS;
    for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
      const reading = await ask(asked, type, signal);
      if (reading.kind === 'failed') return reading;
      ttlMs = Math.min(ttlMs, reading.ttlMs);
      if (reading.kind !== 'alias') return { ...reading, ttlMs: Math.max(MIN_TTL_MS, reading.kind === 'found' ? ttlMs : Math.min(ttlMs, MAX_ABSENCE_MS)) };
      asked = reading.target;
    }
    return { kind: 'failed', text: `DNS, ${type} of ${name}: CNAMEs without an end` };
  };

  const keep = (key: string, answer: Lasting<unknown>) => {
    cache.delete(key);
    cache.set(key, { answer, expiresAt: clock.monotonic() + answer.ttlMs });
    if (cache.size > maxEntries) cache.delete(cache.keys().next().value!);
  };

  const begin = (key: string, name: string, type: AskedType): UnderWay => {
    const stop = new AbortController();
    const answer = resolve(name, type, stop.signal)
      .then((got) => {
        if (got.kind !== 'failed') keep(key, got);
        return got;
      })
      .finally(() => underWay.get(key)?.stop === stop && underWay.delete(key));
    const made: UnderWay = { answer, stop, waiting: 0 };
    underWay.set(key, made);
    return made;
  };

  const find = async <T extends AskedType>(text: string, type: T, { refresh = false, signal }: { refresh?: boolean; signal?: AbortSignal }): Promise<DnsAnswer<RecordOf[T]>> => {
    const name = normalizeDomain(text.endsWith('.') ? text.slice(0, -1) : text);
    if (name === undefined) return { kind: 'noName', ttlMs: MAX_TTL_MS };
    const key = `${type} ${name}`;
    const known = refresh ? undefined : cache.get(key);
    if (known && known.expiresAt > clock.monotonic()) {
      cache.delete(key);
      cache.set(key, known);
      return { ...(known.answer as Lasting<RecordOf[T]>), ttlMs: known.expiresAt - clock.monotonic() };
    }
    const shared = underWay.get(key) ?? begin(key, name, type);
    return (await join(shared, signal, () => underWay.delete(key))) as DnsAnswer<RecordOf[T]>;
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
      if (!configured) return bySystem(name);
      const listed = await readHosts(hostsFile, name);
      return listed.length > 0 ? { kind: 'found', records: listed, ttlMs: SYSTEM_TTL_MS } : addresses(name, asked);
    },
  };
}

/** Waits for a question that others may wait for, too. When nobody does any more, it is given up. */
function join(shared: UnderWay, signal: AbortSignal | undefined, forget: () => void): Promise<DnsAnswer<unknown>> {
  shared.waiting++;
  if (!signal) return shared.answer;
  return new Promise((resolve, reject) => {
    const aborted = () => {
      reject(signal.reason);
      if (--shared.waiting > 0) return;
      shared.stop.abort();
      forget();
    };
    shared.answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
    if (signal.aborted) aborted();
    else signal.addEventListener('abort', aborted, { once: true });
  });
}

/** So many at a time, the others in the order in which they came. */
function createPlaces(free: number): { take(): Promise<void>; give(): void } {
  const waiting: (() => void)[] = [];
  return {
    take() {
      if (free === 0) return new Promise((resolve) => waiting.push(resolve));
      free--;
      return Promise.resolve();
    },
    give() {
      const next = waiting.shift();
      if (next) next();
      else free++;
    },
  };
}

/** What IPv4 and IPv6 together say about a host. One family that cannot be asked for does not hide the other. */
function both(four: DnsAnswer<string>, six: DnsAnswer<string>): DnsAnswer<string> {
  const found = [four, six].filter((answer) => answer.kind === 'found');
  if (found.length > 0) return { kind: 'found', records: found.flatMap(({ records }) => records), ttlMs: Math.min(...found.map(({ ttlMs }) => ttlMs)) };
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
