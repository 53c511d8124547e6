/**
 * Where mail comes in over SMTP: listens on the addresses given, and shares the limits among them.
 *
 * Promises: an address that cannot be had is one plain error that names the way out, and leaves nothing listening; `close`
 * takes no new session, tells every client, and lets a message whose content is on its way come to its end.
 */
import type { AddressInfo } from 'node:net';
import { createSecureContext } from 'node:tls';
import { MtaError } from '../../core/errors.js';
import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import { createTries } from '../../platform/tries.js';
import type { Intake } from '../submission.js';
import { matchNetworks } from './networks.js';
import { matchSenders } from './senders.js';
import { type Certificate, Server, type SmtpPorts, type SmtpRules } from './server.js';
import { openUsers } from './users.js';

export interface ListenAddress {
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** TLS from the first octet. */
  readonly implicitTls: boolean;
  /** Number of a socket that listens already and was handed to us: what counts instead of host and port. */
  readonly fd?: number;
}

/** What may be exchanged while sessions last. */
export interface SmtpListenerSettings {
  readonly listen: readonly ListenAddress[];
  /** PEM. With it STARTTLS is offered; `implicitTls` needs it. */
  readonly tls?: Certificate;
  /** CIDR: who may relay without AUTH. */
  readonly trustedNetworks: readonly string[];
  /** Patterns of envelope senders; none: all are taken. */
  readonly allowedSenders?: readonly string[];
  /** Of those who may log in; `''`: nobody may. */
  readonly usersFile?: string;
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

export interface SmtpListenerOptions extends SmtpListenerSettings {
  readonly intake: Intake;
  readonly clock: Clock;
  readonly log: Log;
  readonly hostname: string;
}

export interface SmtpListener {
  /** As bound, in the order asked for. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  connections(): number;
  /**
   * Takes other settings: what is newly listened on is bound, what is not any more is given up. Rejects as starting does, and has
   * changed nothing then. Sessions go on under the new rules, on an address that was given up as well.
   */
  renew(settings: SmtpListenerSettings): Promise<void>;
  /** No new sessions; those there are go on. */
  stopAccepting(): void;
  /** Resolves when no session is left. `signal` ends those that still are. */
  close(signal?: AbortSignal): Promise<void>;
}

/** A server on its address. */
interface Door {
  readonly server: Server;
  readonly asked: ListenAddress;
  readonly bound: AddressInfo;
}

/** Rejects with `ADDRESS_IN_USE`, or `INVALID_OPTIONS`. */
export async function startSmtpListener(options: SmtpListenerOptions): Promise<SmtpListener> {
  const { clock, log } = options;
  const { intake, hostname } = options;
  const ports: SmtpPorts = {
    intake,
    clock,
    log,
    hostname,
    ...rulesOf(options, log),
    tries: createTries(clock, tellWrong(log)),
    sessions: new Set(),
  };
  let doors = await openDoors(ports, options.listen, options.tls, log);
  const stopWatching = watch(ports, clock);
  /** Those that accept no more, until their last session has ended. */
  const closing = new Map<Server, Promise<void>>();
  const shut = ({ server }: Door) => {
    if (!closing.has(server))
      closing.set(
        server,
        closeServer(server).then(() => void closing.delete(server)),
      );
  };
  const stopAccepting = () => doors.forEach(shut);
  return {
    get addresses() {
      return doors.map(({ bound }) => ({ host: bound.address, port: bound.port }));
    },
    connections: () => ports.sessions.size,
    renew: async (settings) => {
      const rules = rulesOf(settings, log);
      const next = await doorsFor(settings, doors, ports, log);
      Object.assign(ports, rules);
      const left = doors.filter((door) => !next.includes(door));
      doors = next;
      for (const { server } of doors) server.renew(settings.tls);
      left.forEach(shut);
    },
    stopAccepting,
    close: async (signal) => {
      stopAccepting();
      for (const server of closing.keys()) for (const socket of server._pendingSockets.values()) socket.destroy();
      // A server is closed a moment before its last sessions have learnt of their end.
      const ended = Array.from(ports.sessions, (session) => new Promise((resolve) => session.once('ended', resolve)));
      for (const session of ports.sessions) session.drain();
      const drop = () => {
        for (const session of ports.sessions) session.destroy();
      };
      if (signal?.aborted) drop();
      signal?.addEventListener('abort', drop, { once: true });
      await Promise.all([...closing.values(), ...ended]);
      stopWatching();
      signal?.removeEventListener('abort', drop);
    },
  };
}

function tellWrong(log: Log): (address: string, wrong: number) => void {
  return (client, wrong) =>
    log.warn('smtp.wrongLogin', { client, wrong }, `a wrong name or password from ${client}, number ${wrong} of late`);
}

function rulesOf(settings: SmtpListenerSettings, log: Log): SmtpRules {
  const { bareNewlines, maxConnections, maxRecipients, maxMessageSizeBytes, idleTimeoutMs } = settings;
  const { leastBytesPerSecond = 100, maxErrors = 20 } = settings;
  return {
    bareNewlines,
    limits: { maxConnections, maxRecipients, maxMessageSizeBytes, idleTimeoutMs, leastBytesPerSecond, maxErrors },
    trusts: matchNetworks(settings.trustedNetworks, 'submission.trustedNetworks'),
    allowsSender: matchSenders(settings.allowedSenders ?? []),
    users: settings.usersFile ? openUsers(settings.usersFile, log) : undefined,
  };
}

/** All of them, or none. */
async function openDoors(
  ports: SmtpPorts,
  listen: readonly ListenAddress[],
  tls: Certificate | undefined,
  log: Log,
): Promise<readonly Door[]> {
  const doors: Door[] = [];
  try {
    for (const asked of listen) {
      if (asked.implicitTls && !tls) throw noCertificate(asked);
      const server = openServer(ports, asked, tls);
      server.on('error', (error: Error) => log.debug('smtp.error', { address: `${asked.host}:${asked.port}` }, error.message));
      doors.push({ server, asked, bound: await listenOn(server, asked) });
    }
  } catch (error) {
    for (const { server } of doors) server.server.close();
    throw error;
  }
  return doors;
}

/** Addresses that stay keep their server, and so their sessions; only the others are opened. */
async function doorsFor(
  { listen, tls }: SmtpListenerSettings,
  doors: readonly Door[],
  ports: SmtpPorts,
  log: Log,
): Promise<readonly Door[]> {
  if (tls !== undefined) usable(() => createSecureContext(tls));
  const left = [...doors];
  const kept = listen.map((asked) => {
    const at = left.findIndex((door) => isSame(door.asked, asked));
    if (at < 0) return undefined;
    if (asked.implicitTls && tls === undefined) throw noCertificate(asked);
    return left.splice(at, 1)[0];
  });
  const missing = listen.filter((_, at) => kept[at] === undefined);
  const opened = [...(await openDoors(ports, missing, tls, log))];
  return kept.map((door) => door ?? opened.shift()!);
}

function isSame(a: ListenAddress, b: ListenAddress): boolean {
  return a.host === b.host && a.port === b.port && a.implicitTls === b.implicitTls && a.fd === b.fd;
}

function openServer(ports: SmtpPorts, { implicitTls }: ListenAddress, tls: Certificate | undefined): Server {
  return tls === undefined ? new Server(ports, { implicitTls }) : usable(() => new Server(ports, { implicitTls, tls }));
}

/** What only a bad certificate can make fail. */
function usable<T>(call: () => T): T {
  try {
    return call();
  } catch (cause) {
    const message = `the certificate or its key cannot be used (${cause instanceof Error ? cause.message : String(cause)})`;
    throw new MtaError('INVALID_OPTIONS', message, { cause, issues: [{ path: 'submission.tls', code: 'UNUSABLE', message }] });
  }
}

function listenOn(server: Server, address: ListenAddress): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => reject(notListening(error, address));
    const { host, port, fd } = address;
    server.once('error', failed);
    const bound = () => {
      server.removeListener('error', failed);
      resolve(server.server.address() as AddressInfo);
    };
    if (fd === undefined) server.listen(port, host, bound);
    else server.listen({ fd }, bound);
  });
}

function notListening(error: NodeJS.ErrnoException, { host, port, fd }: ListenAddress): Error {
  if (fd !== undefined)
    return new MtaError(
      'ADDRESS_IN_USE',
      `socket number ${fd}, which was handed over by the service manager, is none to listen on: ${error.message}`,
      {
        cause: error,
      },
    );
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
  const every = () => Math.max(10, Math.min(5000, ports.limits.idleTimeoutMs / 10));
  let timer = clock.after(every(), look);
  function look(): void {
    const now = clock.monotonic();
    for (const session of ports.sessions) session.check(now);
    timer = clock.after(every(), look);
  }
  return () => timer.cancel();
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.server.close(() => resolve());
  });
}
