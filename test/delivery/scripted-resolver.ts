/** A resolver that answers from a script, and counts what it was asked. */
import type { DnsAnswer, MxRecord, Resolver } from '../../src/platform/resolver.js';

export interface Script {
  /** `[preference, exchange]`, or the answer itself. */
  readonly mx?: Record<string, readonly (readonly [number, string])[] | DnsAnswer<MxRecord>>;
  readonly addresses?: Record<string, readonly string[] | DnsAnswer<string>>;
  readonly hosts?: Record<string, readonly string[] | DnsAnswer<string>>;
  readonly ttlMs?: number;
}

export interface ScriptedResolver extends Resolver {
  readonly asked: string[];
  /** Called for each question, before it is answered. */
  gate: (() => Promise<void>) | undefined;
}

export const NO_DATA = { kind: 'noData', ttlMs: 300_000 } as const;
export const NO_NAME = { kind: 'noName', ttlMs: 300_000 } as const;
export const FAILED = { kind: 'failed', text: 'SERVFAIL' } as const;

export function scriptedResolver(script: Script): ScriptedResolver {
  const ttlMs = script.ttlMs ?? 300_000;
  const answer = async <T>(question: string, entry: readonly T[] | DnsAnswer<T> | undefined): Promise<DnsAnswer<T>> => {
    resolver.asked.push(question);
    await resolver.gate?.();
    if (entry === undefined) return NO_NAME;
    return 'kind' in entry ? entry : { kind: 'found', records: entry, ttlMs };
  };
  const resolver: ScriptedResolver = {
    asked: [],
    gate: undefined,
    mx(domain, options) {
      const entry = script.mx?.[domain];
      const records = entry === undefined || 'kind' in entry ? entry : entry.map(([preference, exchange]) => ({ preference, exchange }));
      return answer(`mx ${domain}${options?.refresh ? ' anew' : ''}`, records);
    },
    addresses: (host, options) => answer(`a ${host}${options?.refresh ? ' anew' : ''}`, script.addresses?.[host]),
    hostAddresses: (host) => answer(`host ${host}`, script.hosts?.[host]),
  };
  return resolver;
}
