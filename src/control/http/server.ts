/**
 * `control.http`: the control API and the web page over TCP. The same routes as on the Unix socket, behind a gate.
 *
 * Promises: nobody gets past the gate without proof; a client that is slow to ask, to send or to take is dropped, and so is one too
 * many; what is under way at `close` may finish for a moment. Must not: answer anything that does not stand in the table of routes
 * or among the files of the page.
 */
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { MtaError } from '../../core/errors.js';
import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import type { Random } from '../../platform/random.js';
import { toProblem } from '../problem.js';
import { matchRoute } from '../routes.js';
import { answerRequest, refuse } from '../server.js';
import type { ControlVerbs } from '../types.js';
import { type PageFiles, pageFiles } from './files.js';
import { createGate, type Gate, isLoopbackAddress } from './gate.js';
import { secure } from './headers.js';
import { createKeys } from './keys.js';
import { createTries } from './tries.js';

/** A request names up to 1,000 ids in its line. */
const MAX_REQUEST_HEAD = 64 * 1024;
const MAX_CONNECTIONS = 256;
const HEAD_TIMEOUT_MS = 10_000;
/** For a whole request, a message of any allowed size included. */
const REQUEST_TIMEOUT_MS = 5 * 60_000;
const IDLE_TIMEOUT_MS = 15_000;
const STALL_MS = 30_000;
const GRACE_MS = 2_000;

/** Who is let in; may be exchanged at any time. */
export interface HttpControlKeys {
  /** Empty: none, and then only loopback is listened on. */
  readonly token: string;
  readonly trustLoopback: boolean;
  /** By which names we may be called, besides addresses and `localhost`. */
  readonly names: readonly string[];
}

export interface HttpControlOptions extends HttpControlKeys {
  readonly verbs: ControlVerbs;
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  /** Folder with the files of the page. Default: the one beside the compiled code. */
  readonly page?: string;
  /** For the head of a request; default 10 s. */
  readonly headTimeoutMs?: number;
  /** A client that neither sends nor takes anything for so long, while it is its turn, is dropped; default 30 s. */
  readonly stallMs?: number;
}

export interface HttpControl {
  /** As bound, in the order asked for. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** Wrong tokens since the start. */
  denied(): number;
  /** Another token, other names: from the next request on. Sessions made with another token end. */
  renew(keys: HttpControlKeys): Promise<void>;
  /** Takes no new requests, lets those under way finish for at most `graceMs`, then cuts them. */
  close(graceMs?: number): Promise<void>;
}

const PAGE = fileURLToPath(new URL('../../page/', import.meta.url));

/** Rejects with `ADDRESS_IN_USE` or `INVALID_OPTIONS`; nothing listens then. */
export async function startHttpControl(options: HttpControlOptions): Promise<HttpControl> {
  const { log, clock, random } = options;
  const tries = createTries(clock, log);
  const gateFor = async ({ token, trustLoopback, names }: HttpControlKeys) =>
    createGate({ keys: await createKeys(token, clock, random), tries, trustLoopback, names });
  let gate = await gateFor(options);
  const files = pageFiles(options.page ?? PAGE);
  const servers: http.Server[] = [];
  const addresses: { host: string; port: number }[] = [];
  const ending = new AbortController();
  const close = async (graceMs = GRACE_MS) => void (await Promise.all(servers.map((server) => closeServer(server, graceMs))));
  try {
    for (const where of options.listen) {
      const server = boundedServer(
        options,
        (request, response) => void serve({ ...options, ending: ending.signal }, gate, files, request, response),
      );
      servers.push(server);
      const { address, port } = await listen(server, where);
      addresses.push({ host: address, port });
      if (options.token === '' && !isLoopbackAddress(address)) throw unprotected(where.host, address);
    }
  } catch (error) {
    await close(0);
    throw error;
  }
  let closing: Promise<void> | undefined;
  return {
    addresses,
    denied: () => tries.denied(),
    async renew(keys) {
      gate = await gateFor(keys);
    },
    close(graceMs) {
      ending.abort();
      closing ??= close(graceMs);
      return closing;
    },
  };
}

async function serve(
  { verbs, log, ending }: HttpControlOptions & { readonly ending: AbortSignal },
  gate: Gate,
  files: PageFiles,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  secure(response);
  try {
    gate.checkHost(request);
  } catch (error) {
    refuse(response, toProblem(error), error);
    return;
  }
  if (files.serve(request, response)) return;
  const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
  const match = matchRoute(method, (request.url ?? '').split('?', 1)[0]!);
  const route = match.kind === 'route' ? match.route : undefined;
  await answerRequest({ verbs, log, ending, admit: (asked) => gate.admit(asked, route) }, request, response);
}

// — connections —

function boundedServer(
  { headTimeoutMs = HEAD_TIMEOUT_MS, stallMs = STALL_MS }: HttpControlOptions,
  onRequest: http.RequestListener,
): http.Server {
  const server = http.createServer({
    maxHeaderSize: MAX_REQUEST_HEAD,
    headersTimeout: headTimeoutMs,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    connectionsCheckingInterval: headTimeoutMs / 2,
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = stallMs;
  const underWay = new WeakMap<Socket, http.IncomingMessage>();
  server.on('request', (request, response) => {
    underWay.set(request.socket, request);
    response.once('close', () => underWay.delete(request.socket));
    onRequest(request, response);
  });
  server.on('timeout', (socket: Socket) => {
    const request = underWay.get(socket);
    // All was read and all is taken: it waits for us, as whoever asks for news does.
    if (request?.complete && socket.writableLength === 0) return;
    socket.destroy();
  });
  return server;
}

function closeServer(server: http.Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
  });
}

function listen(server: http.Server, { host, port }: { readonly host: string; readonly port: number }): Promise<AddressInfo> {
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

/** The name looked like this machine, and was not. */
function unprotected(host: string, address: string): MtaError {
  const message = `control.http: ${host} is ${address}, which others can reach: set control.token`;
  return new MtaError('INVALID_OPTIONS', message, { issues: [{ path: 'control.token', code: 'MISSING_FIELD', message }] });
}
