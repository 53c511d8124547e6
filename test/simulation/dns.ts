/** The DNS of the simulation: domains with one to three exchangers, some of which move, some of which cannot be asked for a while. */
import type { Clock } from '../../src/platform/clock.js';
import type { Random } from '../../src/platform/random.js';
import type { DnsAnswer, MxRecord, Resolver } from '../../src/platform/resolver.js';
import { pick } from './weather.js';

export interface DnsOptions {
  readonly random: Random;
  readonly clock: Clock;
  readonly servers: readonly { readonly host: string; readonly address: string }[];
  /** `gone.test` does not exist, `null.test` takes no mail; `home.test` is added. */
  readonly domains: readonly string[];
  /** From then on everybody can be asked. */
  readonly healsAt: number;
}

interface Zone {
  /** One after the other. */
  readonly records: readonly (readonly MxRecord[])[];
  readonly movesAt: number;
  readonly silentFrom: number;
  readonly silentUntil: number;
  readonly ttlMs: number;
}

const NO_NAME = { kind: 'noName', ttlMs: 300_000 } as const;

export function createDns({ random, clock, servers, domains, healsAt }: DnsOptions): Resolver {
  const zones = new Map([...domains, 'home.test'].map((domain) => [domain, drawZone(random, servers, healsAt)]));
  const soon = <T>(answer: () => DnsAnswer<T>): Promise<DnsAnswer<T>> =>
    new Promise((resolve) => {
      clock.after(5 + Math.floor(random.unit() * 50), () => resolve(answer()));
    });
  const addresses = (host: string): Promise<DnsAnswer<string>> =>
    soon(() => {
      const server = servers.find((one) => one.host === host);
      return server ? { kind: 'found', records: [server.address], ttlMs: 600_000 } : NO_NAME;
    });
  return {
    addresses,
    hostAddresses: addresses,
    mx: (domain) =>
      soon((): DnsAnswer<MxRecord> => {
        const zone = zones.get(domain);
        if (zone === undefined || domain === 'gone.test') return NO_NAME;
        const now = clock.monotonic();
        if (zone.silentFrom <= now && now < zone.silentUntil) return { kind: 'failed', text: 'SERVFAIL' };
        const { ttlMs } = zone;
        if (domain === 'null.test') return { kind: 'found', records: [{ exchange: '', preference: 0 }], ttlMs };
        return { kind: 'found', records: zone.records[now < zone.movesAt ? 0 : 1]!, ttlMs };
      }),
  };
}

function drawZone(random: Random, servers: DnsOptions['servers'], healsAt: number): Zone {
  const exchangers = () =>
    Array.from({ length: 1 + Math.floor(random.unit() * 3) }, () => ({
      exchange: pick(random, servers).host,
      preference: 10 * (1 + Math.floor(random.unit() * 2)),
    }));
  const silentFrom = random.unit() < 0.3 ? random.unit() * healsAt : Number.POSITIVE_INFINITY;
  return {
    records: [exchangers(), exchangers()],
    movesAt: random.unit() < 0.3 ? random.unit() * healsAt : Number.POSITIVE_INFINITY,
    silentFrom,
    silentUntil: Math.min(healsAt, silentFrom + random.unit() * 3_600_000),
    ttlMs: 60_000 + Math.floor(random.unit() * 3_600_000),
  };
}
