/**
 * Where mail comes in over SMTP: listens on the addresses given, and shares the limits among them.
 *
 * Promises: an address that cannot be had is one plain error that names the way out, and leaves nothing listening; `close`
 * takes no new session, tells every client, and lets a message whose content is on its way come to its end.
 */
import type { AddressInfo } from 'node:net';
import { MtaError } from '../../core/errors.js';
import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import type { Intake } from '../submission.js';
import { matchNetworks } from './networks.js';
import { matchSenders } from './senders.js';
import { Server, type SmtpPorts } from './server.js';

export interface ListenAddress {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** TLS from the first octet. */
  readonly implicitTls: boolean;
}

export interface SmtpListenerOptions {
  readonly intake: Intake;
  readonly clock: Clock;
  readonly log: Log;
  readonly hostname: string;
  readonly listen: readonly ListenAddress[];
  /** PEM. With it STARTTLS is offered; `implicitTls` needs it. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** CIDR: who may relay without AUTH. */
  readonly trustedNetworks: readonly string[];
  /** Patterns of envelope senders; none: all are taken. */
  readonly allowedSenders?: readonly string[];
  readonly bareNewlines: 'normalise' | 'refuse';
  readonly maxConnections: number;
  readonly maxRecipients: number;
  readonly maxMessageSizeBytes: number;
  readonly idleTimeoutMs: number;
  /** Default 100. */
  readonly leastBytesPerSecond?: number;
  /** Default 20. */
  readonly maxErrors?: number;
}

export interface SmtpListener {
  /** As bound, in the order asked for. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  connections(): number;
  /** No new sessions; those there are go on. */
  stopAccepting(): void;
  /** Resolves when no session is left. `signal` ends those that still are. */
  close(signal?: AbortSignal): Promise<void>;
}

/** Rejects with `ADDRESS_IN_USE`, or `INVALID_OPTIONS`. */
export async function startSmtpListener(options: SmtpListenerOptions): Promise<SmtpListener> {
  const { clock, log, tls } = options;
  const ports = portsOf(options);
  const servers: Server[] = [];
  const addresses: AddressInfo[] = [];
  try {
    for (const address of options.listen) {
      if (address.implicitTls && !tls) throw noCertificate(address);
      const server = openServer(ports, address, tls);
      server.on('error', (error: Error) => log.debug('smtp.error', { address: `${address.host}:${address.port}` }, error.message));
      addresses.push(await listen(server, address));
      servers.push(server);
    }
  } catch (error) {
    for (const server of servers) server.server.close();
    throw error;
  }
  const stopWatching = watch(ports, clock);
  let closed: Promise<void> | undefined;
  const stopAccepting = () => {
    closed ??= Promise.all(servers.map(shut)).then(() => stopWatching());
  };
  return {
    addresses: addresses.map(({ address, port }) => ({ host: address, port })),
    connections: () => ports.sessions.size,
    stopAccepting,
    close: async (signal) => {
      stopAccepting();
      for (const server of servers) for (const socket of server._pendingSockets.values()) socket.destroy();
      // A server is closed a moment before its last sessions have learnt of their end.
      const ended = Array.from(ports.sessions, (session) => new Promise((resolve) => session.once('ended', resolve)));
      for (const session of ports.sessions) session.drain();
      const drop = () => {
        for (const session of ports.sessions) session.destroy();
      };
      if (signal?.aborted) drop();
      signal?.addEventListener('abort', drop, { once: true });
      await Promise.all([closed, ...ended]);
      signal?.removeEventListener('abort', drop);
    },
  };
}

function portsOf(options: SmtpListenerOptions): SmtpPorts {
  const { intake, clock, log, hostname, bareNewlines, maxConnections, maxRecipients, maxMessageSizeBytes, idleTimeoutMs } = options;
  const { leastBytesPerSecond = 100, maxErrors = 20 } = options;
  return {
    intake,
    clock,
    log,
    hostname,
    bareNewlines,
    limits: { maxConnections, maxRecipients, maxMessageSizeBytes, idleTimeoutMs, leastBytesPerSecond, maxErrors },
    trusts: matchNetworks(options.trustedNetworks, 'submission.trustedNetworks'),
    allowsSender: matchSenders(options.allowedSenders ?? []),
    sessions: new Set(),
  };
}

function openServer(ports: SmtpPorts, { implicitTls }: ListenAddress, tls: SmtpListenerOptions['tls']): Server {
  try {
    return new Server(ports, { implicitTls, ...(tls ? { tls } : {}) });
  } catch (cause) {
    if (!tls) throw cause;
    const message = `the certificate or its key cannot be used (${cause instanceof Error ? cause.message : String(cause)})`;
    throw new MtaError('INVALID_OPTIONS', message, { cause, issues: [{ path: 'submission.tls', code: 'UNUSABLE', message }] });
  }
}

function listen(server: Server, { host, port }: ListenAddress): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => reject(notListening(error, host, port));
    server.once('error', failed);
    server.listen(port, host, () => {
      server.removeListener('error', failed);
      resolve(server.server.address() as AddressInfo);
    });
  });
}

function notListening(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const where = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const setting = 'submission.listen';
  switch (error.code) {
    case 'EADDRINUSE':
      return new MtaError(
        'ADDRESS_IN_USE',
        `cannot listen on ${where}: another program does; stop that one, or choose another port with ${setting}`,
        { cause: error },
      );
    case 'EACCES':
      return new MtaError(
        'ADDRESS_IN_USE',
        `cannot listen on ${where}: ports below 1024 need a privilege here; choose one above with ${setting}, or give the program CAP_NET_BIND_SERVICE`,
        { cause: error },
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new MtaError('ADDRESS_IN_USE', `cannot listen on ${where}: this machine has no such address; change ${setting}`, {
        cause: error,
      });
    default:
      return new MtaError('ADDRESS_IN_USE', `cannot listen on ${where}: ${error.message}`, { cause: error });
  }
}

function noCertificate({ host, port }: ListenAddress): MtaError {
  const message = `TLS on ${host}:${port} needs a certificate: set submission.tls.certFile and keyFile`;
  return new MtaError('INVALID_OPTIONS', message, { issues: [{ path: 'submission.tls', code: 'MISSING_FIELD', message }] });
}

/** Looks at every session now and then. Fine enough that no session outlives its time by more than a tenth, or 5 seconds. */
function watch(ports: SmtpPorts, clock: Clock): () => void {
  const every = Math.max(10, Math.min(5000, ports.limits.idleTimeoutMs / 10));
  let timer = clock.after(every, look);
  function look(): void {
    const now = clock.monotonic();
    for (const session of ports.sessions) session.check(now);
    timer = clock.after(every, look);
  }
  return () => timer.cancel();
}

function shut(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.server.close(() => resolve());
  });
}
