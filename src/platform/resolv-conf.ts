/** What the system says about name servers (resolv.conf(5)) and hosts (hosts(5)). Parsing is pure; reading is not cached here. */

import dns from 'node:dns';
import { readFile } from 'node:fs/promises';
import net from 'node:net';
import { MtaError } from '../core/errors.js';
import type { DnsServer } from './dns-query.js';

export interface ResolvConf {
  readonly servers: readonly DnsServer[];
  readonly timeoutMs?: number;
  readonly attempts?: number;
  readonly rotate: boolean;
}

const DNS_PORT = 53;
/** The resolver of the C library looks at no more. */
const MAX_SERVERS = 3;

/** `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:5353`. Names are not taken: who would resolve them? */
export function parseServer(text: string): DnsServer {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text);
  const address = net.isIP(text) ? text : (match?.[1] ?? match?.[2] ?? '');
  const port = net.isIP(text) ? DNS_PORT : Number(match?.[3] ?? DNS_PORT);
  if (net.isIP(address) && port > 0 && port < 65536) return { address, port };
  const message = `a DNS server is an IP address, with or without a port: ${JSON.stringify(text.slice(0, 80))}`;
  throw new MtaError('INVALID_OPTIONS', message, { issues: [{ path: 'dns.servers', code: 'WRONG_TYPE', message }] });
}

export function parseResolvConf(text: string): ResolvConf {
  const servers: DnsServer[] = [];
  const options = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === 'nameserver' && values[0] !== undefined && net.isIP(values[0]) && servers.length < MAX_SERVERS) {
      servers.push({ address: values[0], port: DNS_PORT });
    }
    if (keyword === 'options') for (const option of values) options.set(option.split(':')[0]!, option.split(':')[1] ?? '');
  }
  const timeout = Number(options.get('timeout'));
  const attempts = Number(options.get('attempts'));
  return {
    servers,
    ...(timeout >= 1 ? { timeoutMs: Math.min(timeout, 30) * 1000 } : {}),
    ...(attempts >= 1 ? { attempts: Math.min(attempts, 5) } : {}),
    rotate: options.has('rotate'),
  };
}

/** As the file says; where there is none, or it names nobody, as Node knows. */
export async function readResolvConf(path: string): Promise<ResolvConf> {
  const conf = parseResolvConf(await readFile(path, 'utf8').catch(() => ''));
  return conf.servers.length > 0 ? conf : { ...conf, servers: dns.getServers().map(parseServer) };
}

/** Addresses that the hosts file has for a name, in its order. A file that cannot be read has none. */
export async function readHosts(path: string, name: string): Promise<readonly string[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const found: string[] = [];
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (net.isIP(address) && names.some((each) => each.toLowerCase() === name)) found.push(address);
  }
  return found;
}
