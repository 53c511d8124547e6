/**
 * A DNS server for made-up domains, for tests and for `riata dev`: authoritative for whatever it is asked, over UDP and
 * TCP on one port of loopback, with all the troubles that real ones have.
 */
import { createSocket, type RemoteInfo } from 'node:dgram';
import net from 'node:net';
import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  type DecodedPacket,
  decode,
  encode,
  type Packet,
  RECURSION_AVAILABLE,
  TRUNCATED_RESPONSE,
} from 'dns-packet';

/** Instead of an answer: an error, silence, octets that cannot be read, an answer with a wrong id or to another question, a referral. */
export type DnsTrouble = 'nxdomain' | 'servfail' | 'refused' | 'formerr' | 'drop' | 'garbage' | 'wrongId' | 'wrongName' | 'referral';

/** What a name has. One that is there with nothing answers "no data". */
export interface DnsName {
  /** Preference and host; `[[0, '']]` is the null MX. */
  readonly mx?: readonly (readonly [preference: number, exchange: string])[];
  readonly a?: readonly string[];
  readonly aaaa?: readonly string[];
  readonly txt?: readonly string[];
  readonly ptr?: readonly string[];
  readonly cname?: string;
  /** Seconds. Default 300. */
  readonly ttl?: number;
  /** Over UDP only that it does not fit. */
  readonly truncate?: boolean;
  /** For every type, or for one. */
  readonly trouble?: DnsTrouble | Readonly<Record<string, DnsTrouble>>;
}

/** By name, lower case, without a final dot; `*.example` for every name below that is not there itself. */
export type DnsZones = Readonly<Record<string, DnsName>>;

export interface DnsQuery {
  readonly name: string;
  readonly type: string;
  readonly transport: 'udp' | 'tcp';
  readonly edns: boolean;
}

export interface DnsServerOptions {
  readonly zones: DnsZones;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any free one. */
  readonly port?: number;
  /** How long an absence may be believed, in seconds. Default 60. */
  readonly negativeTtl?: number;
  /** Whether what a CNAME leads to is told along with it. Default true. */
  readonly chase?: boolean;
  /** Asked before anything else, at every query. */
  readonly trouble?: (query: DnsQuery) => DnsTrouble | undefined;
}

export interface DevDnsServer {
  /** `127.0.0.1:5353`, as the setting `dns.servers` takes it. */
  readonly address: string;
  /** The newest 10,000. */
  readonly queries: readonly DnsQuery[];
  /** From now on the name has this; undefined: there is no such name. */
  set(name: string, data: DnsName | undefined): void;
  close(): Promise<void>;
}

const MAX_QUERIES = 10_000;
const MAX_PLAIN_UDP = 512;
const MAX_ALIASES = 12;
const NXDOMAIN = 3;
const CODES: Readonly<Partial<Record<DnsTrouble, number>>> = { formerr: 1, servfail: 2, nxdomain: NXDOMAIN, refused: 5 };

export async function startDnsServer(options: DnsServerOptions): Promise<DevDnsServer> {
  const { host = '127.0.0.1' } = options;
  const names = new Map(Object.entries(options.zones));
  const queries: DnsQuery[] = [];

  const respond = (bytes: Buffer, transport: 'udp' | 'tcp'): Buffer | undefined => {
    const asked = readQuery(bytes);
    const question = asked?.questions?.[0];
    if (!asked || !question) return undefined;
    const opt = asked.additionals?.find((record) => record.type === 'OPT');
    const query: DnsQuery = { name: question.name.toLowerCase(), type: question.type, transport, edns: opt !== undefined };
    if (queries.push(query) > MAX_QUERIES) queries.shift();
    const found = lookUp(names, query.name);
    const own = typeof found?.trouble === 'string' ? found.trouble : found?.trouble?.[query.type];
    const trouble = options.trouble?.(query) ?? own;
    if (trouble === 'drop') return undefined;
    if (trouble === 'garbage') return Buffer.concat([bytes.subarray(0, 2), Buffer.from('8180000100ff000000003fff', 'hex')]);
    const packet = { ...answerTo(names, query, trouble, options), id: trouble === 'wrongId' ? (asked.id ?? 0) ^ 1 : (asked.id ?? 0) };
    packet.questions = [trouble === 'wrongName' ? { ...question, name: `x${question.name}` } : question];
    const response = encode(packet);
    const room = opt?.type === 'OPT' ? Math.max(MAX_PLAIN_UDP, opt.udpPayloadSize) : MAX_PLAIN_UDP;
    if (transport === 'tcp' || (response.length <= room && found?.truncate !== true)) return response;
    return encode({ ...packet, flags: (packet.flags ?? 0) | TRUNCATED_RESPONSE, answers: [], authorities: [] });
  };

  const { udp, tcp, port } = await bind(host, options.port ?? 0);
  udp.on('message', (bytes: Buffer, from: RemoteInfo) => {
    const response = respond(bytes, 'udp');
    if (response) udp.send(response, from.port, from.address);
  });
  const sockets = new Set<net.Socket>();
  tcp.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
    serveTcp(socket, (bytes) => respond(bytes, 'tcp'));
  });

  return {
    address: `${net.isIPv6(host) ? `[${host}]` : host}:${port}`,
    queries,
    set(name, data) {
      if (data) names.set(name, data);
      else names.delete(name);
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all([new Promise<void>((resolve) => udp.close(() => resolve())), new Promise((resolve) => tcp.close(resolve))]);
    },
  };
}

/** Both on one port. One that is free for UDP may be taken for TCP: then another is tried. */
async function bind(host: string, wanted: number) {
  for (let left = 20; ; left--) {
    const udp = createSocket(net.isIPv6(host) ? 'udp6' : 'udp4');
    await new Promise<void>((resolve, reject) => udp.once('error', reject).bind(wanted, host, resolve));
    const { port } = udp.address();
    const tcp = net.createServer();
    try {
      await new Promise<void>((resolve, reject) => tcp.once('error', reject).listen(port, host, resolve));
      return { udp, tcp, port };
    } catch (error) {
      udp.close();
      if (wanted !== 0 || left === 0) throw error;
    }
  }
}

function serveTcp(socket: net.Socket, respond: (bytes: Buffer) => Buffer | undefined): void {
  let received: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) {
      const end = received.readUInt16BE(0) + 2;
      const response = respond(received.subarray(2, end));
      received = received.subarray(end);
      if (!response) continue;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(response.length);
      socket.write(Buffer.concat([length, response]));
    }
  });
}

function readQuery(bytes: Buffer): DecodedPacket | undefined {
  try {
    return decode(bytes);
  } catch {
    return undefined;
  }
}

function lookUp(names: ReadonlyMap<string, DnsName>, name: string): DnsName | undefined {
  const own = names.get(name);
  if (own) return own;
  // A name that others are below of is there, though it has nothing (RFC 8020).
  for (const known of names.keys()) if (known.endsWith(`.${name}`)) return {};
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const wild = names.get(`*${name.slice(dot)}`);
    if (wild) return wild;
  }
  return undefined;
}

function answerTo(
  names: ReadonlyMap<string, DnsName>,
  query: DnsQuery,
  trouble: DnsTrouble | undefined,
  options: DnsServerOptions,
): Packet {
  const flags = AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE;
  const code = trouble && CODES[trouble];
  if (code !== undefined) return { type: 'response', flags: flags | code };
  if (trouble === 'referral')
    return { type: 'response', flags: 0, authorities: [{ type: 'NS', name: query.name, ttl: 60, data: 'ns.elsewhere.test' }] };

  const answers: Answer[] = [];
  let owner = query.name;
  let data = lookUp(names, owner);
  for (let i = 0; i < MAX_ALIASES && data?.cname !== undefined && query.type !== 'CNAME'; i++) {
    answers.push({ type: 'CNAME', name: owner, ttl: data.ttl ?? 300, data: data.cname });
    if (options.chase === false) return { type: 'response', flags, answers };
    owner = data.cname.toLowerCase();
    data = lookUp(names, owner);
  }
  const own = data ? recordsOf(data, owner, query.type) : [];
  answers.push(...own);
  if (own.length > 0 || data?.cname !== undefined) return { type: 'response', flags, answers };
  const negativeTtl = options.negativeTtl ?? 60;
  const soa: Answer = {
    type: 'SOA',
    name: owner.slice(owner.lastIndexOf('.') + 1),
    ttl: negativeTtl,
    data: { mname: 'ns.test', rname: 'root.test', serial: 1, refresh: 3600, retry: 600, expire: 86_400, minimum: negativeTtl },
  };
  return { type: 'response', flags: data ? flags : flags | NXDOMAIN, answers, authorities: [soa] };
}

function recordsOf(data: DnsName, name: string, type: string): Answer[] {
  const ttl = data.ttl ?? 300;
  switch (type) {
    case 'MX':
      return (data.mx ?? []).map(([preference, exchange]) => ({ type, name, ttl, data: { preference, exchange: exchange || '.' } }));
    case 'A':
      return (data.a ?? []).map((address) => ({ type, name, ttl, data: address }));
    case 'AAAA':
      return (data.aaaa ?? []).map((address) => ({ type, name, ttl, data: address }));
    case 'TXT':
      return (data.txt ?? []).map((text) => ({ type, name, ttl, data: text.match(/[^]{1,255}/g) ?? '' }));
    case 'PTR':
      return (data.ptr ?? []).map((host) => ({ type, name, ttl, data: host }));
    case 'CNAME':
      return data.cname === undefined ? [] : [{ type, name, ttl, data: data.cname }];
    default:
      return [];
  }
}
