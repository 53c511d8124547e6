/**
 * The world that mail of a test goes into: every domain has a server of its own, which takes what it is given unless it was scripted
 * otherwise. There are no sockets; names are looked up and connections made as the agent does in earnest.
 */
import type { Duplex } from 'node:stream';
import type { SinkContext, SinkMessage } from '../dev/sink.js';
import { SinkSession } from '../dev/sink-session.js';
import type { Clock } from '../platform/clock.js';
import type { Dialer } from '../platform/dialer.js';
import type { DnsAnswer, MxRecord, Resolver } from '../platform/resolver.js';
import type { Fates } from './fates.js';
import { createPipe } from './pipe.js';

export interface Network {
  readonly resolver: Resolver;
  readonly dialer: Dialer;
  /** Grows with everything that happens on connections. */
  readonly moves: () => number;
  /** Whatever is open to the server of this domain, or to any, is lost. */
  cut(domain?: string): void;
}

/** Any login is good; who may send is not what a test of a sender is about. */
const ALWAYS: Readonly<Record<string, string>> = { STARTTLS: '220 2.0.0 Go ahead', AUTH: '235 2.7.0 Logged in' };
const MOST_OCTETS = 2 ** 31;

export interface NetworkOptions {
  readonly clock: Clock;
  readonly fates: Fates;
  /** `server`: the domain whose server took it. */
  readonly accepted: (message: SinkMessage, server: string) => void;
}

export function createNetwork({ clock, fates, accepted }: NetworkOptions): Network {
  const names = new Map<string, string>();
  const domains = new Map<string, string>();
  const open = new Map<Duplex, string>();
  let moves = 0;
  let connections = 0;
  const moved = () => void moves++;

  /** One for each name, for as long as the test lasts. */
  const addressOf = (host: string): string => {
    let address = names.get(host);
    if (address === undefined) {
      const number = names.size + 1;
      address = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
      names.set(host, address);
      domains.set(address, host.replace(/^mx\./, ''));
    }
    return address;
  };

  const addresses = async (host: string): Promise<DnsAnswer<string>> => ({ kind: 'found', records: [addressOf(host)], ttlMs: 0 });
  const resolver: Resolver = {
    async mx(domain): Promise<DnsAnswer<MxRecord>> {
      moved();
      switch (fates.ofDomain(domain, ['noDomain', 'nullMx', 'dnsFails'])) {
        case 'noDomain':
          return { kind: 'noName', ttlMs: 0 };
        case 'nullMx':
          return { kind: 'found', records: [{ exchange: '', preference: 0 }], ttlMs: 0 };
        case 'dnsFails':
          return { kind: 'failed', text: 'SERVFAIL' };
        case undefined:
          return { kind: 'found', records: [{ exchange: `mx.${domain}`, preference: 10 }], ttlMs: 0 };
      }
    },
    addresses,
    hostAddresses: addresses,
  };

  const connect = (server: string): Duplex => {
    const { near, far } = createPipe(moved);
    const context: SinkContext = {
      options: {
        hostname: `mx.${server}`,
        extensions: ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'SIZE', 'ENHANCEDSTATUSCODES', 'DSN', 'REQUIRETLS', 'STARTTLS', 'AUTH PLAIN'],
        heloOnly: false,
        fates: true,
        slowMs: 2000,
        maxBytes: MOST_OCTETS,
        keep: 1,
        keepBytes: MOST_OCTETS,
        clock,
        script: (command, session) => ALWAYS[command.verb] ?? fates.script(command, session),
      },
      secureContext: undefined,
      accepted: (message) => accepted(message, server),
      violation() {},
      repeated: createMemory(),
    };
    new SinkSession(far, context, ++connections).greet();
    open.set(far, server);
    far.once('close', () => void open.delete(far));
    return near;
  };

  const remembered = new Set<string>();
  /** `once-450@…` is deferred the first time only. */
  function createMemory(): (recipient: string) => boolean {
    return (recipient) => remembered.size === remembered.add(recipient).size;
  }

  const dialer: Dialer = {
    async connect({ address }) {
      moved();
      const server = domains.get(address) ?? address;
      switch (fates.ofDomain(server, ['refuse', 'unreachable'])) {
        case 'refuse':
          throw systemError('ECONNREFUSED');
        case 'unreachable':
          throw systemError('EHOSTUNREACH');
        case undefined:
          return connect(server);
      }
    },
    /** Nobody listens here: what TLS adds is that the certificate holds. */
    async secure(stream) {
      moved();
      return { stream, description: 'TLSv1.3', verified: true };
    },
  };
  return {
    resolver,
    dialer,
    moves: () => moves,
    cut(domain) {
      for (const [end, server] of open) if (domain === undefined || server === domain) end.destroy();
    },
  };
}

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}
