/**
 * `control.http`: the control API and the web page over TCP. The same routes as on the Unix socket, behind a gate.
 *
 * Promises: nobody gets past the gate without proof; a client that is slow to ask, to send or to take is dropped, and so is one too
 * many; what is under way at `close` may finish for a moment. Must not: answer anything that does not stand in the table of routes
 * or among the files of the page.
 */
import type http from 'node:http';
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
import { type HttpCertificate, type ListenOptions, listenHttp } from './listening.js';
import { createTries } from './tries.js';

const GRACE_MS = 2_000;

/** Who is let in; may be exchanged at any time. */
export interface HttpControlKeys {
  /** Empty: none, and then only loopback is listened on. */
  readonly token: string;
  readonly trustLoopback: boolean;
  /** By which names we may be called, besides addresses and `localhost`. */
  readonly names: readonly string[];
}

/** What may be exchanged while it serves. */
export interface HttpControlSettings extends HttpControlKeys {
  /** With it HTTPS is served, and nothing else. */
  readonly tls?: HttpCertificate | undefined;
}

export interface HttpControlOptions extends HttpControlSettings, ListenOptions {
  readonly verbs: ControlVerbs;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  /** Folder with the files of the page. Default: the one beside the compiled code. */
  readonly page?: string;
}

export interface HttpControl {
  /** As bound, in the order asked for. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** Whether HTTPS is served. */
  readonly secure: boolean;
  /** Wrong tokens since the start. */
  denied(): number;
  /**
   * Another token, other names: from the next request on. Sessions made with another token end. Another certificate: from the next
   * handshake on. Rejects with `INVALID_OPTIONS` where that cannot be used, and has changed nothing then.
   */
  renew(settings: HttpControlSettings): Promise<void>;
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
  let keys = keysOf(options);
  let gate = await gateFor(options);
  const files = pageFiles(options.page ?? PAGE);
  const ending = new AbortController();
  const listening = await listenHttp(
    options,
    (request, response) => void serve({ ...options, ending: ending.signal }, gate, files, request, response),
  );
  const open = options.token === '' ? listening.addresses.findIndex(({ host }) => !isLoopbackAddress(host)) : -1;
  if (open >= 0) {
    await listening.close(0);
    throw unprotected(options.listen[open]!.host, listening.addresses[open]!.host);
  }
  let closing: Promise<void> | undefined;
  return {
    get addresses() {
      return listening.addresses;
    },
    get secure() {
      return listening.secure;
    },
    denied: () => tries.denied(),
    async renew(settings) {
      await listening.renew(settings.tls);
      if (keysOf(settings) === keys) return;
      keys = keysOf(settings);
      gate = await gateFor(settings);
    },
    close(graceMs = GRACE_MS) {
      ending.abort();
      closing ??= listening.close(graceMs);
      return closing;
    },
  };
}

function keysOf({ token, trustLoopback, names }: HttpControlKeys): string {
  return JSON.stringify([token, trustLoopback, names]);
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

/** The name looked like this machine, and was not. */
function unprotected(host: string, address: string): MtaError {
  const message = `control.http: ${host} is ${address}, which others can reach: set control.token`;
  return new MtaError('INVALID_OPTIONS', message, { issues: [{ path: 'control.token', code: 'MISSING_FIELD', message }] });
}
