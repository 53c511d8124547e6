/**
 * IP addresses: one spelling for each, the ones that no answer of somebody else's may make us connect to (G12), and the
 * order in which to try several. Pure; `node:net` is used for its parsing and matching only.
 *
 * Promises: what is judged here is the address that would be connected to. IPv4 that hides in IPv6 (mapped, NAT64, 6to4)
 * is judged as the IPv4 that it is. Of IPv6, what is not global unicast is refused whole, known or not.
 */
import { BlockList, isIP, SocketAddress } from 'node:net';

export interface Ip {
  readonly family: 4 | 6;
  /** The shortest spelling; mapped IPv4 as plain IPv4, so that one server has one name. */
  readonly text: string;
}

/** Undefined for what is not an address. A zone (`fe80::1%eth0`) is kept. */
export function readIp(text: string): Ip | undefined {
  const family = isIP(text);
  if (family === 0) return undefined;
  if (family === 4) return { family, text };
  const percent = text.indexOf('%');
  const zone = percent < 0 ? '' : text.slice(percent);
  const short = new SocketAddress({ address: percent < 0 ? text : text.slice(0, percent), family: 'ipv6' }).address;
  if (/^::ffff:\d+\.\d+\.\d+\.\d+$/.test(short)) return { family: 4, text: short.slice(7) };
  return { family: 6, text: short + zone };
}

/** Kinds of addresses that mail from strangers' DNS has no business at. Words for people. RFC 6890 and IANA's registries. */
const REFUSED_V4: readonly (readonly [why: string, network: string, prefix: number])[] = [
  ['unspecified', '0.0.0.0', 8],
  ['private', '10.0.0.0', 8],
  ['shared', '100.64.0.0', 10],
  ['loopback', '127.0.0.0', 8],
  ['link-local', '169.254.0.0', 16],
  ['private', '172.16.0.0', 12],
  ['reserved', '192.0.0.0', 24],
  ['documentation', '192.0.2.0', 24],
  ['reserved', '192.88.99.0', 24],
  ['private', '192.168.0.0', 16],
  ['benchmark', '198.18.0.0', 15],
  ['documentation', '198.51.100.0', 24],
  ['documentation', '203.0.113.0', 24],
  ['multicast', '224.0.0.0', 4],
  ['reserved', '240.0.0.0', 4],
];

const REFUSED_V6: readonly (readonly [why: string, network: string, prefix: number])[] = [
  ['unspecified', '::', 128],
  ['loopback', '::1', 128],
  ['private', 'fc00::', 7],
  ['link-local', 'fe80::', 10],
  ['site-local', 'fec0::', 10],
  ['multicast', 'ff00::', 8],
  ['discard', '100::', 64],
  ['private', '64:ff9b:1::', 48],
  ['tunnel', '2001::', 32],
  ['benchmark', '2001:2::', 48],
  ['reserved', '2001:10::', 28],
  ['reserved', '2001:20::', 28],
  ['documentation', '2001:db8::', 32],
  ['documentation', '3fff::', 20],
];

const refused = refusedLists();
/** All that was ever given to hosts, and the well-known prefix of translators, whose IPv4 is judged above. */
const global6 = new BlockList();
global6.addSubnet('2000::', 3, 'ipv6');
global6.addSubnet('64:ff9b::', 96, 'ipv6');

function refusedLists(): ReadonlyMap<string, BlockList> {
  const lists = new Map<string, BlockList>();
  const listOf = (why: string): BlockList => {
    const list = lists.get(why) ?? new BlockList();
    lists.set(why, list);
    return list;
  };
  for (const [why, network, prefix] of REFUSED_V4) {
    listOf(why).addSubnet(network, prefix, 'ipv4');
    listOf(why).addSubnet(`64:ff9b::${network}`, 96 + prefix, 'ipv6');
    const [a, b, c, d] = network.split('.').map(Number) as [number, number, number, number];
    listOf(why).addSubnet(`2002:${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}::`, 16 + prefix, 'ipv6');
  }
  for (const [why, network, prefix] of REFUSED_V6) listOf(why).addSubnet(network, prefix, 'ipv6');
  return lists;
}

/** Why mail must not be taken there on the word of DNS: `loopback`, `private`, …; undefined where it may. */
export function whyRefused(ip: Ip): string | undefined {
  const family = ip.family === 4 ? 'ipv4' : 'ipv6';
  // A zone names an interface of ours: no global address has one.
  if (ip.text.includes('%')) return 'link-local';
  for (const [why, list] of refused) if (list.check(ip.text, family)) return why;
  return ip.family === 4 || global6.check(ip.text, family) ? undefined : 'reserved';
}

/**
 * Both families in turn, IPv4 first: its reputation and reverse names are what receivers know best, and a machine without
 * IPv6 loses at most every second try. Within a family the order is kept. No address twice.
 */
export function interleave(ips: readonly Ip[]): Ip[] {
  const seen = new Set<string>();
  const once = ips.filter(({ text }) => !seen.has(text) && seen.add(text));
  const four = once.filter(({ family }) => family === 4);
  const six = once.filter(({ family }) => family === 6);
  const ordered: Ip[] = [];
  for (let at = 0; at < Math.max(four.length, six.length); at++) {
    if (at < four.length) ordered.push(four[at]!);
    if (at < six.length) ordered.push(six[at]!);
  }
  return ordered;
}

/** Fisher and Yates; `unit` gives 0 ≤ x < 1. */
export function shuffled<T>(items: readonly T[], unit: () => number): T[] {
  const all = [...items];
  for (let at = all.length - 1; at > 0; at--) {
    const other = Math.floor(unit() * (at + 1));
    [all[at], all[other]] = [all[other]!, all[at]!];
  }
  return all;
}
