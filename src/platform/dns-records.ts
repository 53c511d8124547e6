/** What the DNS says beside where mail goes: policies (TXT) and reverse names (PTR), for those who look whether all is set up well. Not cached. */
import net from 'node:net';
import { follow } from './dns.js';
import { type AskerOptions, createAsker } from './dns-asker.js';
import type { DnsAnswer } from './resolver.js';

export interface DnsRecords {
  /** `_dmarc.example.com`: names may have underscores. CNAMEs are followed. */
  texts(name: string, signal?: AbortSignal): Promise<DnsAnswer<string>>;
  /** The names that an address is said to have. */
  names(address: string, signal?: AbortSignal): Promise<DnsAnswer<string>>;
}

export function createDnsRecords(options: AskerOptions): DnsRecords {
  const ask = createAsker(options);
  const never = new AbortController().signal;
  return {
    texts: (name, signal = never) => follow(ask, name.toLowerCase(), 'TXT', signal),
    names: (address, signal = never) => follow(ask, reverseName(address), 'PTR', signal),
  };
}

/** `192.0.2.1` is `1.2.0.192.in-addr.arpa` (RFC 1035 §3.5), IPv6 nibble by nibble under `ip6.arpa` (RFC 3596 §2.5). */
export function reverseName(address: string): string {
  if (net.isIPv4(address)) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  const [head = '', tail] = address.toLowerCase().split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...first, ...Array<string>(Math.max(8 - first.length - last.length, 0)).fill('0'), ...last];
  const nibbles = groups.map((group) => group.padStart(4, '0')).join('');
  return `${[...nibbles].reverse().join('.')}.ip6.arpa`;
}
