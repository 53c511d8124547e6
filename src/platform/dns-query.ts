/**
 * One question to one DNS server (RFC 1035, RFC 6891), and its answer.
 *
 * Promises: a fresh socket, and with it a fresh port, and a random id for every question; only what the asked server sends
 * with that id and that question counts as an answer. A truncated answer is fetched again over TCP. Comes to an end
 * within `timeoutMs` for each of the two.
 * What reads and writes packets is loaded with the first question.
 * Trouble rejects with an `Error` of one short plain line; what the answer means is for `dns-answer.ts`.
 */
import { createSocket } from 'node:dgram';
import net from 'node:net';
import type { DecodedPacket, RecordType } from 'dns-packet';
import type { Clock } from './clock.js';
import type { Random } from './random.js';

export interface DnsServer {
  readonly address: string;
  readonly port: number;
}

export interface Question {
  readonly name: string;
  readonly type: RecordType;
}

export interface QueryOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly timeoutMs: number;
}

/** What fits through any path unfragmented, as the operators of resolvers agreed. */
const UDP_PAYLOAD = 1232;
const HEADER_LENGTH = 12;
const TRUNCATED = 0x02;
const FORMERR = 1;
const NOTIMP = 4;

export function serverName({ address, port }: DnsServer): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

export function responseCode(packet: DecodedPacket): number {
  return (packet.flags ?? 0) & 15;
}

export async function queryServer(
  server: DnsServer,
  question: Question,
  options: QueryOptions,
  signal: AbortSignal,
): Promise<DecodedPacket> {
  const answer = await ask(server, question, true, options, signal);
  // A server from before EDNS says so in one of these two ways (RFC 6891 §7).
  const old = responseCode(answer) === FORMERR || responseCode(answer) === NOTIMP;
  return old ? ask(server, question, false, options, signal) : answer;
}

async function ask(
  server: DnsServer,
  question: Question,
  edns: boolean,
  options: QueryOptions,
  signal: AbortSignal,
): Promise<DecodedPacket> {
  const { AUTHENTIC_DATA, decode, encode, RECURSION_DESIRED } = await import('dns-packet');
  const twoBytes = Buffer.alloc(2);
  options.random.fill(twoBytes);
  const id = twoBytes.readUInt16BE();
  const query = encode({
    type: 'query',
    id,
    // AD asks to be told whether the answer was validated (RFC 6840 §5.7).
    flags: RECURSION_DESIRED | AUTHENTIC_DATA,
    questions: [{ ...question, class: 'IN' }],
    additionals: edns
      ? [{ type: 'OPT', name: '.', udpPayloadSize: UDP_PAYLOAD, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: [] }]
      : [],
  });
  const isOurs = (bytes: Buffer) => bytes.length >= HEADER_LENGTH && bytes.readUInt16BE(0) === id;
  const bytes = await overUdp(server, query, isOurs, options, signal);
  const truncated = (bytes[2]! & TRUNCATED) !== 0;
  return read(truncated ? await overTcp(server, query, options, signal) : bytes, id, question, decode);
}

function read(bytes: Buffer, id: number, question: Question, decode: (bytes: Buffer) => DecodedPacket): DecodedPacket {
  let packet: DecodedPacket;
  try {
    packet = decode(bytes);
  } catch {
    throw new Error('an answer that cannot be read');
  }
  const [asked] = packet.questions ?? [];
  // Who could not read the question need not repeat it.
  const same =
    asked === undefined ? responseCode(packet) === FORMERR : asked.type === question.type && asked.name.toLowerCase() === question.name;
  if (packet.id !== id || !packet.flag_qr || !same) throw new Error('an answer to another question');
  return packet;
}

/** Runs `start` until it settles, `timeoutMs` have passed, or `signal` aborts; `stop` is called once in any case. */
function within<T>(
  { clock, timeoutMs }: QueryOptions,
  signal: AbortSignal,
  stop: () => void,
  start: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let over = false;
    const end = (settle: () => void) => {
      if (over) return;
      over = true;
      timer.cancel();
      signal.removeEventListener('abort', aborted);
      stop();
      settle();
    };
    const fail = (error: Error) => end(() => reject(error));
    const aborted = () => fail(signal.reason instanceof Error ? signal.reason : new Error('given up'));
    const timer = clock.after(timeoutMs, () => fail(new Error('no answer')));
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) aborted();
    else start((value) => end(() => resolve(value)), fail);
  });
}

function overUdp(
  server: DnsServer,
  query: Buffer,
  isOurs: (bytes: Buffer) => boolean,
  options: QueryOptions,
  signal: AbortSignal,
): Promise<Buffer> {
  const socket = createSocket(net.isIPv6(server.address) ? 'udp6' : 'udp4');
  return within(
    options,
    signal,
    () => socket.close(),
    (resolve, reject) => {
      socket.on('error', (error) => reject(plain(error)));
      // Anything else that finds its way here is left lying: the true answer may still come.
      socket.on('message', (bytes) => isOurs(bytes) && resolve(bytes));
      // A connected socket hears nobody but the server, and learns at once when nobody listens there.
      socket.connect(server.port, server.address, () => socket.send(query, (error) => error && reject(plain(error))));
    },
  );
}

function overTcp(server: DnsServer, query: Buffer, options: QueryOptions, signal: AbortSignal): Promise<Buffer> {
  const socket = new net.Socket();
  return within(
    options,
    signal,
    () => socket.destroy(),
    (resolve, reject) => {
      let received: Buffer = Buffer.alloc(0);
      socket.on('error', (error) => reject(plain(error)));
      socket.on('close', () => reject(new Error('connection closed without an answer')));
      socket.on('data', (chunk: Buffer) => {
        received = Buffer.concat([received, chunk]);
        if (received.length < 2) return;
        const length = received.readUInt16BE(0);
        if (received.length < length + 2) return;
        if (length < HEADER_LENGTH) reject(new Error('an answer that cannot be read'));
        else resolve(received.subarray(2, length + 2));
      });
      socket.connect({ host: server.address, port: server.port, noDelay: true });
      const length = Buffer.alloc(2);
      length.writeUInt16BE(query.length);
      socket.write(Buffer.concat([length, query]));
    },
  );
}

/** `ECONNREFUSED` says as much as the long text, which repeats the address. */
function plain(error: NodeJS.ErrnoException): Error {
  return new Error(error.code ?? error.message, { cause: error });
}
