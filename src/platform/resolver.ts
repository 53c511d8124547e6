/**
 * Names to addresses, with what the answer is good for. Implementations: `dns.ts` (real), and scripted ones
 * in tests and simulation. A failure is a value: the caller must tell "there is none" from "ask later".
 */

export interface MxRecord {
  /** Lower case A-labels, no final dot; `''` is the null MX (RFC 7505). */
  readonly exchange: string;
  readonly preference: number;
}

export type DnsAnswer<T> =
  | { readonly kind: 'found'; readonly records: readonly T[]; readonly ttlMs: number }
  /** The name exists, records of this type do not. */
  | { readonly kind: 'noData'; readonly ttlMs: number }
  /** NXDOMAIN: there is no such name. */
  | { readonly kind: 'noName'; readonly ttlMs: number }
  /** Nobody answered, or SERVFAIL, REFUSED, a broken answer: ask later. */
  | { readonly kind: 'failed'; readonly text: string };

export interface Resolver {
  /** CNAMEs are followed. `refresh` passes the cache by. */
  mx(domain: string, options?: { refresh?: boolean; signal?: AbortSignal }): Promise<DnsAnswer<MxRecord>>;
  /** IPv4 and IPv6 addresses of a mail host by DNS; `noData` only if neither exists. */
  addresses(host: string, options?: { refresh?: boolean; signal?: AbortSignal }): Promise<DnsAnswer<string>>;
  /** Addresses of a configured host as the system sees it: hosts file, search domains, then DNS. */
  hostAddresses(host: string, options?: { signal?: AbortSignal }): Promise<DnsAnswer<string>>;
}
