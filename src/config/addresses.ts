/**
 * Kinds of value that name a place in the network: our own name, hosts, addresses, networks, and the patterns that
 * routes match with. Normalised when read: lower case, A-labels, no final dot, no brackets around addresses.
 *
 * Nothing is looked up here; what a name leads to is found out when mail goes there.
 */
import { isIP, isIPv6 } from 'node:net';
import { normalizeDomain } from '../core/address.js';
import { good, type Kind, list, outOfRange, stringKind, wrongType } from './values.js';

export interface HostPort {
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

/** With or without the final dot. */
function domainName(given: string): string | undefined {
  return normalizeDomain(given.endsWith('.') ? given.slice(0, -1) : given);
}

/** What we call ourselves in EHLO and trace headers; empty: a default of its own. RFC 5321 §4.1.3 for the literal. */
export const ownName = stringKind(
  'host name',
  'a host name such as "mail.example.com", or an address literal such as "[192.0.2.1]"',
  (given) => {
    if (given === '') return given;
    const literal = /^\[(?:IPv6:([^\]]*)|([^\]]*))\]$/i.exec(given);
    if (!literal) return domainName(given);
    if (literal[1] === undefined) return isIP(literal[2]!) === 4 ? given : undefined;
    return isIPv6(literal[1]) ? `[IPv6:${literal[1]}]` : undefined;
  },
);

/** A server to connect to, by name or address. */
export const host = stringKind('host', 'a host name or an IP address', (given) => {
  if (given === '' || isIP(given)) return given;
  const bracketed = /^\[(.*)\]$/.exec(given);
  if (bracketed) return isIPv6(bracketed[1]!) ? bracketed[1]! : undefined;
  return domainName(given);
});

/** A local address to send from; empty: the system's choice. */
export const address = stringKind('IP address', 'an IP address', (given) =>
  given === '' || isIP(given) ? given.toLowerCase() : undefined,
);
const presentAddress = stringKind('IP address', 'an IP address', (given) => (isIP(given) ? given.toLowerCase() : undefined));

/** `*`, `example.com`, `*.example.com` (any name below it), or an address literal. */
export const domainPattern = stringKind(
  'pattern',
  '"*", a domain such as "example.com", or all names below one: "*.example.com"',
  (given) => {
    if (given === '*') return given;
    if (/^\[[^\]]+\]$/.test(given)) return given.toLowerCase();
    const below = given.startsWith('*.');
    const name = domainName(below ? given.slice(2) : given);
    return name && (below ? `*.${name}` : name);
  },
);

/**
 * `*`, `user@example.com`, `@example.com`, `@*.example.com` (the `@` may be left out, or have a `*` before it), or `<>` for
 * the null sender.
 */
export const senderPattern = stringKind(
  'pattern',
  '"*", an address, all of a domain as "@example.com" or "*.example.com", or "<>" for the null sender',
  (given) => {
    if (given === '*' || given === '<>') return given;
    const at = given.lastIndexOf('@');
    const domain = given.slice(at + 1);
    const read = domainPattern.read(domain, 'text');
    if (domain === '*' || !read.ok) return undefined;
    const localPart = given.slice(0, Math.max(at, 0));
    return `${localPart === '*' ? '' : localPart}@${read.value}`;
  },
);

export const senderPatterns = list('patterns', senderPattern);

/** `host:port` with an IPv6 host in brackets, as URLs have it. */
export function showHostPort({ host: name, port }: HostPort): string {
  return `${name.includes(':') ? `[${name}]` : name}:${port}`;
}

function hostPortKind(allowed: string, defaultPort: number | undefined, names: boolean): Kind<HostPort> {
  return {
    name: 'host:port',
    allowed,
    read(given) {
      if (typeof given !== 'string') return wrongType(given);
      const bare = defaultPort !== undefined && isIP(given) ? given : undefined;
      const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(given);
      const name = bare ?? match?.[1] ?? match?.[2];
      const port = bare === undefined && match?.[3] !== undefined ? Number(match[3]) : defaultPort;
      if (name === undefined || port === undefined || port > 65535) return outOfRange(given);
      if (match?.[1] !== undefined ? isIPv6(name) : isIP(name)) return good({ host: name, port });
      const known = names ? domainName(name) : undefined;
      return known === undefined ? outOfRange(given) : good({ host: known, port });
    },
    show: (value) => JSON.stringify(showHostPort(value)),
  };
}

/** Port 0 lets the system choose. */
export const listenAddresses = list('host:port', hostPortKind('"host:port", such as "127.0.0.1:587" or "[::1]:587"', undefined, true));

/** The same, where most have just one: it may stand alone, and an empty one is none. */
export const fewListenAddresses: typeof listenAddresses = {
  ...listenAddresses,
  read: (given, form) =>
    listenAddresses.read(form !== 'text' && typeof given === 'string' ? [given].filter((each) => each !== '') : given, form),
};

/** Names of hosts, without ports. */
export const hostNames = list(
  'host names',
  stringKind('host name', 'a host name such as "mail.example.com"', (given) => (isIP(given) ? undefined : domainName(given))),
);

export const dnsServers = list(
  'IP addresses',
  hostPortKind('an IP address, with ":port" where it is not 53, such as "127.0.0.1:5353"', 53, false),
);

export const addresses = list('IP addresses', presentAddress);

/** CIDR, normalised to `address/prefix`; a bare address stands for itself alone. */
const network = stringKind('network', 'a network such as "192.0.2.0/24" or "2001:db8::/32", or one address', (given) => {
  const match = /^([0-9a-f:.]+)(?:\/(\d{1,3}))?$/i.exec(given.trim());
  const family = match ? isIP(match[1]!) : 0;
  if (!match || family === 0) return undefined;
  const bits = family === 4 ? 32 : 128;
  const prefix = match[2] === undefined ? bits : Number(match[2]);
  return prefix <= bits ? `${match[1]!.toLowerCase()}/${prefix}` : undefined;
});

export const networks = list('networks', network);
