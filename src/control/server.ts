/**
 * The control socket: the verbs over HTTP on a Unix socket. Whoever may open the socket may do everything, so
 * it has mode 0600; there is no other check here.
 *
 * Promises: requests and answers are streamed where they are large, everything else is bounded; an error is a
 * problem document; a caller that goes away ends what it asked for. `close` lets answers under way finish.
 * Must not: be started before the spool is ours; a socket found in our place is taken for a dead one's only then.
 */
import http from 'node:http';
import { finished, pipeline } from 'node:stream/promises';
import type { TraceContext } from '../core/message.js';
import { readTraceContext } from '../core/trace-context.js';
import type { Log } from '../platform/log.js';
import { HttpError, PROBLEM_TYPE, type Problem, toProblem } from './problem.js';
import type { Access, Answer, Call } from './route.js';
import { CONTROL_ROUTES, matchRoute } from './routes.js';
import { type BoundSocket, bindSocket } from './socket.js';
import { writeEvents } from './sse.js';
import type { ControlVerbs } from './types.js';

/** An envelope of 1,000 long addresses fits into the request line. */
const MAX_REQUEST_HEAD = 1024 * 1024;
const MAX_CONNECTIONS = 128;
const HEAD_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 60_000;

export interface ControlServerOptions {
  readonly verbs: ControlVerbs;
  /** Path of the socket, from `controlSocketPath`. */
  readonly path: string;
  readonly log: Log;
}

export interface ControlServer {
  readonly path: string;
  /** Takes no new requests, lets those under way finish for at most `graceMs`, then cuts them. */
  close(graceMs?: number): Promise<void>;
}

/** Rejects with `ADDRESS_IN_USE` where somebody alive answers on that socket, or it cannot be made. */
export async function startControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const server = http.createServer({
    maxHeaderSize: MAX_REQUEST_HEAD,
    headersTimeout: HEAD_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    // A message may be written by hand into the other end.
    requestTimeout: 0,
  });
  server.maxConnections = MAX_CONNECTIONS;
  const ending = new AbortController();
  const answering = { ...options, ending: ending.signal };
  server.on('request', (request, response) => void answerRequest(answering, request, response));
  const socket: BoundSocket = await bindSocket(server, options.path);
  let closing: Promise<void> | undefined;
  return {
    path: options.path,
    close(graceMs = 2_000) {
      ending.abort();
      closing ??= closeServer(server, socket, graceMs);
      return closing;
    },
  };
}

async function closeServer(server: http.Server, socket: BoundSocket, graceMs: number): Promise<void> {
  await socket.remove();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(cut);
}

export interface Answering {
  readonly verbs: ControlVerbs;
  readonly log: Log;
  /** Throws what the caller is refused with. */
  readonly admit?: (request: http.IncomingMessage) => Promise<Access>;
  /** Ends answers that have no end of their own. */
  readonly ending: AbortSignal;
}

/** Answers one request from the table of routes. Never rejects. */
export async function answerRequest(options: Answering, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  // What breaks the connection breaks the reading or writing that is under way, and is told there.
  request.on('error', () => {});
  response.on('error', () => {});
  try {
    const access = await options.admit?.(request);
    const answer = await answerOf(options.verbs, request, gone.signal, access);
    await write(response, answer, AbortSignal.any([gone.signal, options.ending]));
  } catch (error) {
    fail(options.log, request, response, error);
  }
}

function answerOf(verbs: ControlVerbs, request: http.IncomingMessage, signal: AbortSignal, access?: Access): Promise<Answer> {
  const [path = '', query = ''] = splitOnce(request.url ?? '', '?');
  const method = request.method ?? '';
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]!.trim().toLowerCase();
  const match = matchRoute(method === 'HEAD' ? 'GET' : method, path, type);
  if (match.kind === 'none') throw new HttpError(404, 'No such path', `there is nothing at ${JSON.stringify(path.slice(0, 200))}`);
  if (match.kind === 'method') {
    const allow = match.allowed.join(', ');
    throw new HttpError(405, 'Wrong method', `${path} takes ${allow}`, { allow });
  }
  const { route, params } = match;
  if (route.takes !== undefined && type !== route.takes) {
    const takes = takenBy(route.method, route.path);
    throw new HttpError(415, 'Wrong type of content', `${path} takes ${takes}, not ${JSON.stringify(type.slice(0, 100))}`);
  }
  const call: Call = {
    verbs,
    params,
    query: new URLSearchParams(query),
    content: request,
    signal,
    ...(access === undefined ? {} : { access }),
    ...lastEventId(request),
    ...idempotencyKey(request),
    ...traceContext(request),
  };
  return route.call(call);
}

function lastEventId({ headers }: http.IncomingMessage): { lastEventId?: number } {
  const given = headers['last-event-id'];
  return typeof given === 'string' && /^\d{1,16}$/.test(given) ? { lastEventId: Number(given) } : {};
}

/** A structured field (RFC 8941) is a string in quotes; most send it bare. */
function idempotencyKey({ headers }: http.IncomingMessage): { idempotencyKey?: string } {
  const given = headers['idempotency-key'];
  if (typeof given !== 'string') return {};
  return { idempotencyKey: /^"([^"\\]*)"$/.exec(given)?.[1] ?? given };
}

function traceContext({ headers }: http.IncomingMessage): { trace?: TraceContext } {
  const trace = readTraceContext(headers['traceparent'], headers['tracestate']);
  return trace === undefined ? {} : { trace };
}

function takenBy(method: string, path: string): string {
  const routes = CONTROL_ROUTES.filter((each) => each.method === method && each.path === path);
  return routes.map(({ takes }) => takes).join(' or ');
}

function splitOnce(text: string, at: string): [string, string?] {
  const i = text.indexOf(at);
  return i < 0 ? [text] : [text.slice(0, i), text.slice(i + 1)];
}

async function write(response: http.ServerResponse, answer: Answer, ending: AbortSignal): Promise<void> {
  switch (answer.kind) {
    case 'json': {
      const body = Buffer.from(`${JSON.stringify(answer.value)}\n`);
      if (answer.location !== undefined) response.setHeader('location', answer.location);
      response.writeHead(answer.status, { 'content-type': 'application/json', 'content-length': body.length, 'cache-control': 'no-store' });
      response.end(body);
      break;
    }
    case 'text': {
      const body = Buffer.from(answer.text);
      response.writeHead(200, { 'content-type': answer.type, 'content-length': body.length, 'cache-control': 'no-store' });
      response.end(body);
      break;
    }
    case 'nothing':
      response.writeHead(204).end();
      break;
    case 'events':
      await writeEvents(response, answer.open(ending));
      return;
    case 'content':
      response.writeHead(200, {
        'content-type': 'message/rfc822',
        'content-length': answer.content.sizeBytes,
        'content-disposition': `attachment; filename="${answer.filename}"`,
        'cache-control': 'no-store',
      });
      // The length is told first, and goes out at once: a reader knows when the content ended early.
      response.flushHeaders();
      await pipeline(answer.content.chunks, response);
      return;
    case 'file':
      if (answer.filename === undefined) response.setHeader('x-frame-options', 'SAMEORIGIN');
      else response.setHeader('content-disposition', saveAs(answer.filename));
      response.setHeader('content-security-policy', answer.policy);
      response.setHeader('x-content-type-options', 'nosniff');
      response.writeHead(200, { 'content-type': answer.type, 'cache-control': 'no-store' });
      await pipeline(answer.chunks, response);
      return;
  }
  await finished(response);
}

/** RFC 6266: a name in any script, without what could be taken for a path or end the field. */
function saveAs(filename: string): string {
  const name = [...filename.replace(/[\p{C}\p{Zl}\p{Zp}/\\:*?"<>|]/gu, '_')].slice(0, 200).join('');
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
  return `attachment; filename*=UTF-8''${encoded}`;
}

function fail(log: Log, request: http.IncomingMessage, response: http.ServerResponse, error: unknown): void {
  const problem: Problem = toProblem(error);
  const fields = { method: request.method, path: request.url?.slice(0, 200), status: problem.status };
  if (response.destroyed) {
    log.debug('control.gone', fields);
    return;
  }
  if (problem.status === 500)
    log.error('control.failed', { ...fields, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  if (response.headersSent) {
    // Too late for words: the missing octets say it.
    response.destroy();
    return;
  }
  refuse(response, problem, error);
}

/** The problem as the answer; `error` is what it was made of. */
export function refuse(response: http.ServerResponse, problem: Problem, error: unknown): void {
  const body = Buffer.from(`${JSON.stringify(problem)}\n`);
  if (error instanceof HttpError) for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
  response.writeHead(problem.status, { 'content-type': PROBLEM_TYPE, 'content-length': body.length, 'cache-control': 'no-store' });
  response.end(body);
}
