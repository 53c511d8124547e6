/**
 * The sockets of `control.http`: HTTP, or HTTPS where there is a certificate, on several addresses at once.
 *
 * Promises: there is a bound to connections and to the patience with each; another certificate is shown from the next handshake on, and
 * no connection ends for it. Must not: know what is served.
 */
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { MtaError } from '../../core/errors.js';

/** A request names up to 1,000 ids in its line. */
const MAX_REQUEST_HEAD = 64 * 1024;
const MAX_CONNECTIONS = 256;
const HEAD_TIMEOUT_MS = 10_000;
/** For a whole request, a message of any allowed size included. */
const REQUEST_TIMEOUT_MS = 5 * 60_000;
const IDLE_TIMEOUT_MS = 15_000;
const STALL_MS = 30_000;
/** What is under way on addresses that are bound anew may finish. */
const REBIND_GRACE_MS = 2_000;
const MIN_TLS = 'TLSv1.2';

type Address = { readonly host: string; readonly port: number };

/** PEM. */
export interface HttpCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface ListenOptions {
  readonly listen: readonly Address[];
  /** Undefined: plain HTTP. */
  readonly tls?: HttpCertificate | undefined;
  /** For the head of a request, and for a handshake; default 10 s. */
  readonly headTimeoutMs?: number;
  /** A client that neither sends nor takes anything for so long, while it is its turn, is dropped; default 30 s. */
  readonly stallMs?: number;
}

export interface Listening {
  /** As bound, in the order asked for. */
  readonly addresses: readonly Address[];
  readonly secure: boolean;
  /**
   * Another certificate. Where there was none before, or is none any more, the addresses are bound anew.
   * Rejects with `INVALID_OPTIONS` where it cannot be used, and has changed nothing then.
   */
  renew(tls: HttpCertificate | undefined): Promise<void>;
  close(graceMs: number): Promise<void>;
}

/** Rejects with `ADDRESS_IN_USE` or `INVALID_OPTIONS`; nothing listens then. */
export async function listenHttp(options: ListenOptions, onRequest: http.RequestListener): Promise<Listening> {
  let { tls } = options;
  checkCertificate(tls);
  const open = async (listen: readonly Address[]): Promise<{ servers: Server[]; addresses: Address[] }> => {
    const servers: Server[] = [];
    const addresses: Address[] = [];
    try {
      for (const where of listen) {
        const server = boundedServer(options, tls, onRequest);
        servers.push(server);
        const { address, port } = await bind(server, where);
        addresses.push({ host: address, port });
      }
    } catch (error) {
      await closeAll(servers, 0);
      throw error;
    }
    return { servers, addresses };
  };
  let { servers, addresses } = await open(options.listen);
  return {
    get addresses() {
      return addresses;
    },
    get secure() {
      return tls !== undefined;
    },
    async renew(wanted) {
      checkCertificate(wanted);
      const same = (wanted === undefined) === (tls === undefined);
      tls = wanted;
      if (same) {
        if (tls !== undefined) for (const server of servers) if (server instanceof https.Server) server.setSecureContext(secure(tls));
        return;
      }
      // An address is free as soon as nobody listens there; connections that are open end by themselves.
      const ended = closeAll(servers, REBIND_GRACE_MS);
      ({ servers, addresses } = await open(addresses));
      void ended;
    },
    close: (graceMs) => closeAll(servers, graceMs),
  };
}

type Server = http.Server | https.Server;

function secure({ cert, key }: HttpCertificate) {
  return { cert, key, minVersion: MIN_TLS } as const;
}

/** Throws `INVALID_OPTIONS` where it cannot be used. */
export function checkCertificate(tls: HttpCertificate | undefined): void {
  if (tls === undefined) return;
  try {
    createSecureContext(secure(tls));
  } catch (cause) {
    const message = `control.tls: the certificate or its key cannot be used: ${(cause as Error).message}`;
    throw new MtaError('INVALID_OPTIONS', message, { cause, issues: [{ path: 'control.tls', code: 'UNUSABLE', message }] });
  }
}

function boundedServer(
  { headTimeoutMs = HEAD_TIMEOUT_MS, stallMs = STALL_MS }: ListenOptions,
  tls: HttpCertificate | undefined,
  onRequest: http.RequestListener,
): Server {
  const bounds = {
    maxHeaderSize: MAX_REQUEST_HEAD,
    headersTimeout: headTimeoutMs,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    connectionsCheckingInterval: headTimeoutMs / 2,
  };
  const server =
    tls === undefined
      ? http.createServer(bounds)
      : https.createServer({ ...bounds, ...secure(tls), handshakeTimeout: headTimeoutMs, ALPNProtocols: ['http/1.1'] });
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = stallMs;
  const underWay = new WeakMap<Socket, http.IncomingMessage>();
  server.on('request', (request: http.IncomingMessage, response: http.ServerResponse) => {
    underWay.set(request.socket, request);
    response.once('close', () => underWay.delete(request.socket));
    onRequest(request, response as Parameters<http.RequestListener>[1]);
  });
  server.on('timeout', (socket: Socket) => {
    const request = underWay.get(socket);
    // All was read and all is taken: it waits for us, as whoever asks for news does.
    if (request?.complete && socket.writableLength === 0) return;
    socket.destroy();
  });
  return server;
}

async function closeAll(servers: readonly Server[], graceMs: number): Promise<void> {
  await Promise.all(servers.map((server) => closeServer(server, graceMs)));
}

function closeServer(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
  });
}

function bind(server: Server, { host, port }: Address): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException) => reject(notListening(cause, host, port));
    server.once('error', failed);
    server.listen(port, host, () => {
      server.removeListener('error', failed);
      resolve(server.address() as AddressInfo);
    });
  });
}

function notListening(cause: NodeJS.ErrnoException, host: string, port: number): MtaError {
  const where = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const why = {
    EADDRINUSE: 'another program does; stop that one, or choose another port with control.http',
    EACCES: 'ports below 1024 need a privilege here; choose one above with control.http',
  }[cause.code ?? ''];
  return new MtaError('ADDRESS_IN_USE', `cannot serve the page on ${where}: ${why ?? cause.message}`, { cause });
}
