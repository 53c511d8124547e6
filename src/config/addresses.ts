/**
 * Kinds of value that name a place in the network: our own name, hosts, addresses, networks, and the patterns that
 * routes match with. Normalised when read: lower case, A-labels, no final dot, no brackets around addresses.
 *
 * Nothing is looked up here; what a name leads to is found out when mail goes there.
 */
import { isIP, isIPv6 } from 'node:net';
import { domainToASCII } from 'node:url';
import { good, type Kind, list, outOfRange, stringKind, wrongType } from './values.js';

export interface HostPort {
  /** A name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
}

const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;
const LOOSE_LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/** Lower case A-labels without the final dot, or undefined where it is no domain name. */
function domainName(given: string, label: RegExp): string | undefined {
  const bare = given.endsWith('.') ? given.slice(0, -1) : given;
  const ascii = /^[\x21-\x7e]*$/.test(bare) ? bare.toLowerCase() : domainToASCII(bare);
  return ascii.length > 0 && ascii.length <= 253 && ascii.split('.').every((part) => label.test(part)) ? ascii : undefined;
}

/** What we call ourselves in EHLO and trace headers; empty: a default of its own. RFC 5321 §4.1.3 for the literal. */
export const ownName = stringKind(
  'host name',
  'a host name such as "mail.example.com", or an address literal such as "[192.0.2.1]"',
  (given) => {
    if (given === '') return given;
    const literal = /^\[(?:IPv6:([^\]]*)|([^\]]*))\]$/i.exec(given);
    if (!literal) return domainName(given, LABEL);
    if (literal[1] === undefined) return isIP(literal[2]!) === 4 ? given : undefined;
    return isIPv6(literal[1]) ? `[IPv6:${literal[1]}]` : undefined;
  },
);

/** A server to connect to: a name, which may have underscores as container networks like them, or an address. */
export const host = stringKind('host', 'a host name or an IP address', (given) => {
  if (given === '' || isIP(given)) return given;
  const bracketed = /^\[(.*)\]$/.exec(given);
  if (bracketed) return isIPv6(bracketed[1]!) ? bracketed[1]! : undefined;
  return domainName(given, LOOSE_LABEL);
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
    const name = domainName(below ? given.slice(2) : given, LOOSE_LABEL);
    return name && (below ? `*.${name}` : name);
  },
);

/** `*`, `user@example.com`, `*@example.com`, `*@*.example.com`, or `<>` for the null sender. */
export const senderPattern = stringKind(
  'pattern',
  '"*", an address, all of a domain as "*@example.com", or "<>" for the null sender',
  (given) => {
    if (given === '*' || given === '<>') return given;
    const at = given.lastIndexOf('@');
    const domain = given.slice(at + 1);
    const read = domainPattern.read(domain, 'text');
    return at > 0 && domain !== '*' && read.ok ? `${given.slice(0, at)}@${read.value}` : undefined;
  },
);

/** `host:port` with an IPv6 host in brackets, the way URLs have it. */
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
      const known = names && !/^[\d.]+$/.test(name) ? domainName(name, LOOSE_LABEL) : undefined;
      return known === undefined ? outOfRange(given) : good({ host: known, port });
    },
    show: (value) => JSON.stringify(showHostPort(value)),
  };
}

/** Port 0 lets the system choose. */
export const listenAddresses = list('host:port', hostPortKind('"host:port", such as "127.0.0.1:587" or "[::1]:587"', undefined, true));

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
