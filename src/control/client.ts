/**
 * The control verbs of a running agent, from another process: the same functions with the same types, carried
 * over its socket. Errors arrive as the `MtaError` they were.
 *
 * Promises: `NOT_RUNNING` where nobody answers; content is streamed both ways; what was cut short is an error,
 * never taken for complete. Bound by nothing but the caller's patience: a verb ends when the agent answers.
 */
import { lstat } from 'node:fs/promises';
import http from 'node:http';
import { MtaError } from '../core/errors.js';
import type { TraceContext } from '../core/message.js';
import type { Query } from '../spool/spool.js';
import { FRAMED_TYPE, frame } from './framing.js';
import { LETTER_TYPE } from './letter.js';
import { fromProblem } from './problem.js';
import { MOST_IDS } from './route.js';
import { controlSocketPaths, surroundings } from './socket.js';
import { readEvents } from './sse.js';
import type {
  ChangeReport,
  ChangeRequest,
  ControlVerbs,
  Exposition,
  HandInBody,
  HandInRequest,
  RawMessage,
  SubmitRequest,
  Told,
} from './types.js';

/** JSON answers are pages and reports; more than this is none of ours. */
const MAX_ANSWER = 64 * 1024 * 1024;

type Params = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

/** The socket of the agent that owns a spool. Throws `NOT_RUNNING` where there is none. */
export async function findControlSocket(spoolPath: string, socket: string, env?: NodeJS.ProcessEnv): Promise<string> {
  const around = await surroundings(spoolPath, env);
  for (const candidate of controlSocketPaths(spoolPath, socket, around)) {
    const there = await lstat(candidate).catch(() => undefined);
    // In a temporary folder anybody can put something of that name: only the spool's owner, or root, is its agent.
    if (there?.isSocket() && (there.uid === around.uid || there.uid === 0)) return candidate;
  }
  throw new MtaError('NOT_RUNNING', `no agent runs on the spool ${spoolPath}`);
}

/**
 * Rejects with `NOT_RUNNING` where nothing listens on that socket. Close it, or the process lives on for some seconds. `holds` false: who
 * merely waits for events does not keep the process. `signal`: connecting is given up.
 */
export async function connectControl(
  socketPath: string,
  { holds = true, signal }: { readonly holds?: boolean; readonly signal?: AbortSignal | undefined } = {},
): Promise<ControlVerbs> {
  const wire = new Wire(socketPath, holds);
  try {
    await wire.json('GET', '/v1/agent', {}, signal);
  } catch (error) {
    wire.close();
    throw error;
  }
  return {
    agent: (signal) => wire.json('GET', '/v1/agent', {}, signal),
    recent: (since) => wire.json('GET', '/v1/recent', { since }),
    stats: (options) => wire.json('GET', '/v1/stats', { lanes: options?.lanes }),
    shape: (request, signal) => wire.json('GET', '/v1/queue/shape', { ...request }, signal),
    list: (query, page, signal) => wire.json('GET', '/v1/queue', { ...filterParams(query), ...page }, signal),
    lanes: (query, page, signal) => wire.json('GET', '/v1/lanes', { ...query, ...page }, signal),
    pause: (request, signal) => wire.json('POST', '/v1/lanes/pause', { ...request }, signal),
    resume: (request, signal) => wire.json('POST', '/v1/lanes/resume', { ...request }, signal),
    messages: (query, page) => wire.json('GET', '/v1/messages', { ...query, ...page }),
    history: (page) => wire.json('GET', '/v1/history', { ...page }),
    show: (id, page, signal) => wire.json('GET', `/v1/messages/${encodeURIComponent(id)}`, { ...page }, signal),
    status: (id, page) => wire.json('GET', `/v1/messages/${encodeURIComponent(id)}/status`, { ...page }),
    why: (id, signal) => wire.json('GET', `/v1/messages/${encodeURIComponent(id)}/why`, {}, signal),
    news: (id, waitMs, signal) => wire.json('GET', `/v1/messages/${encodeURIComponent(id)}/news`, { wait: waitMs }, signal),
    raw: (id, recipient) => wire.content(`/v1/messages/${encodeURIComponent(id)}/content${queryString({ recipient })}`),
    mx: (domain, options, signal) =>
      wire.json('GET', `/v1/mx/${encodeURIComponent(domain)}`, { refresh: options?.refresh, hostname: options?.hostname }, signal),
    change: (request, signal) => change(wire, request, signal),
    submit: (request, content) =>
      wire.upload(`/v1/messages${queryString(submitParams(request))}`, 'message/rfc822', content, { trace: request.trace }),
    handIn: (request, body, signal) => wire.upload('/v1/submissions', FRAMED_TYPE, framed(request, body), { signal, trace: request.trace }),
    sendNow: (request, body, signal) => wire.upload('/v1/submissions/now', FRAMED_TYPE, framed(request, body), { signal }),
    idle: async (waitMs, signal) => (await wire.json<{ idle: boolean }>('GET', '/v1/idle', { wait: waitMs }, signal)).idle,
    events: (after, signal, opened) => wire.events({ after }, signal, opened),
    send: (content, idempotencyKey, trace) =>
      wire.upload(`/v1/messages${queryString({ idempotencyKey })}`, LETTER_TYPE, content, { trace }),
    openapi: () => wire.json('GET', '/v1/openapi.json', {}),
    exposition: () => wire.text('/metrics'),
    alive: () => wire.json('GET', '/livez', {}),
    ready: () => wire.json('GET', '/readyz', {}),
    flush: () => wire.json('POST', '/v1/queue/flush', {}),
    snapshot: (folder) => wire.json('POST', '/v1/spool/snapshot', { folder }),
    compact: () => wire.json('POST', '/v1/spool/compact', {}),
    close: async () => wire.close(),
  };
}

function framed({ trace: _inTheHeader, ...request }: HandInRequest, { content, rows }: HandInBody): AsyncIterable<Buffer> {
  return frame(request, content, rows as AsyncIterable<object> | undefined);
}

function filterParams({ ids, ...query }: Query): Params {
  return { ...query, id: ids };
}

function submitParams({ to, from, trace: _inTheHeader, ...rest }: SubmitRequest): Params {
  return { from, to, ...rest };
}

/** Many ids go in several requests; the reports are added up. */
async function change(wire: Wire, request: ChangeRequest, signal?: AbortSignal): Promise<ChangeReport> {
  const { ids, all, ...selector } = request.selector;
  const { dryRun, at: due, reason } = request;
  let sum: ChangeReport | undefined;
  for (let at = 0; at === 0 || at < (ids?.length ?? 0); at += MOST_IDS) {
    const some = ids?.slice(at, at + MOST_IDS);
    const params = { ...filterParams({ ...selector, ...(some === undefined ? {} : { ids: some }) }), all, dryRun, at: due, reason };
    const report = await wire.json<ChangeReport>('POST', `/v1/queue/${request.action}`, params, signal);
    sum = sum === undefined ? report : added(sum, report);
  }
  return sum!;
}

function added(a: ChangeReport, b: ChangeReport): ChangeReport {
  return {
    action: a.action,
    messages: a.messages + b.messages,
    matched: a.matched + b.matched,
    changed: a.changed + b.changed,
    inFlight: a.inFlight + b.inFlight,
    gone: a.gone + b.gone,
    unknown: [...a.unknown, ...b.unknown],
  };
}

function queryString(params: Params): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined) continue;
    for (const each of Array.isArray(value) ? (value as readonly string[]) : [value]) query.append(name, String(each));
  }
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

/** HTTP over one Unix socket path. */
class Wire {
  readonly #socketPath: string;
  readonly #holds: boolean;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  /** For streams of events, which would take the places of short requests for as long as they last. */
  readonly #lasting = new http.Agent();

  constructor(socketPath: string, holds: boolean) {
    this.#socketPath = socketPath;
    this.#holds = holds;
  }

  close(): void {
    this.#agent.destroy();
    this.#lasting.destroy();
  }

  async json<T>(method: string, target: string, params: Params, signal?: AbortSignal): Promise<T> {
    const request = this.#request(method, target + queryString(params), {}, signal);
    const response = this.#response(request);
    request.end();
    return read<T>(await response);
  }

  async text(target: string): Promise<Exposition> {
    const request = this.#request('GET', target, {});
    const answered = this.#response(request);
    request.end();
    const response = await answered;
    if (response.statusCode !== 200) throw await failure(response);
    return { type: response.headers['content-type'] ?? '', text: await text(response) };
  }

  async content(target: string): Promise<RawMessage> {
    const request = this.#request('GET', target, {});
    const answered = this.#response(request);
    request.end();
    const response = await answered;
    if (response.statusCode !== 200) throw await failure(response);
    return { sizeBytes: Number(response.headers['content-length']), chunks: whole(response) };
  }

  async *events(params: Params, signal: AbortSignal, opened?: () => void): AsyncGenerator<Told> {
    if (signal.aborted) return;
    const request = this.#request('GET', `/v1/events${queryString(params)}`, {}, signal, this.#lasting);
    if (!this.#holds) request.once('socket', (socket) => socket.unref());
    const answered = this.#response(request);
    request.end();
    try {
      const response = await answered;
      if (response.statusCode !== 200) throw await failure(response);
      opened?.();
      yield* readEvents(response);
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      request.destroy();
    }
  }

  async upload<T>(
    target: string,
    type: string,
    content: AsyncIterable<Buffer>,
    { signal, trace }: { readonly signal?: AbortSignal | undefined; readonly trace?: TraceContext | undefined } = {},
  ): Promise<T> {
    const request = this.#request('POST', target, { 'content-type': type, ...trace }, signal);
    let answered = false;
    const response = this.#response(request).finally(() => {
      answered = true;
    });
    const sent = upload(request, content, () => answered);
    // A refusal comes before the content has ended: then the rest need not be sent.
    const first = await Promise.race([response, sent.then(() => response)]);
    try {
      return await read<T>(first);
    } finally {
      // The source may have nothing to give for as long as it likes; nobody waits for it any more.
      sent.catch(() => {});
      if (!request.writableEnded) request.destroy();
    }
  }

  #request(
    method: string,
    target: string,
    headers: http.OutgoingHttpHeaders,
    signal?: AbortSignal,
    agent = this.#agent,
  ): http.ClientRequest {
    return http.request({
      socketPath: this.#socketPath,
      agent,
      method,
      path: target,
      headers: { host: 'riata', ...headers },
      ...(signal === undefined ? {} : { signal }),
    });
  }

  #response(request: http.ClientRequest): Promise<http.IncomingMessage> {
    return new Promise((resolve, reject) => {
      request.once('response', resolve);
      request.on('error', (error) => reject(this.#unreachable(error)));
    });
  }

  #unreachable(cause: NodeJS.ErrnoException): Error {
    switch (cause.code) {
      case 'ENOENT':
      case 'ECONNREFUSED':
      case 'ENOTSOCK':
        return new MtaError('NOT_RUNNING', `no agent answers on ${this.#socketPath}`, { cause });
      case 'EACCES':
      case 'EPERM':
        return new MtaError('NOT_RUNNING', `${this.#socketPath} may be opened only by the user who runs the agent, and by root`, { cause });
      case 'ABORT_ERR':
        return new MtaError('ABORTED', 'nobody waits for it any more', { cause: cause.cause ?? cause });
      default:
        return new MtaError('NOT_RUNNING', `the agent on ${this.#socketPath} went away: ${cause.message}`, { cause });
    }
  }
}

async function upload(request: http.ClientRequest, content: AsyncIterable<Buffer>, answered: () => boolean): Promise<void> {
  try {
    for await (const chunk of content) {
      if (answered() || request.destroyed) break;
      if (!request.write(chunk)) await writable(request);
    }
  } catch (error) {
    // Cut, not ended: half a message must not be taken for a whole one.
    request.destroy();
    throw error;
  }
  request.end();
}

/** Until there is room again, or no reason to go on. */
function writable(request: http.ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      for (const event of ['drain', 'response', 'close']) request.removeListener(event, go);
      resolve();
    };
    for (const event of ['drain', 'response', 'close']) request.once(event, go);
  });
}

async function text(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of whole(response)) {
    size += chunk.length;
    if (size > MAX_ANSWER) {
      response.destroy();
      throw new Error('the answer of the agent is far too large');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function failure(response: http.IncomingMessage): Promise<Error> {
  return fromProblem(response.statusCode ?? 500, await text(response));
}

async function read<T>(response: http.IncomingMessage): Promise<T> {
  const status = response.statusCode ?? 500;
  if (status >= 400) throw await failure(response);
  const body = await text(response);
  return (status === 204 ? undefined : JSON.parse(body)) as T;
}

/** The chunks of an answer; throws where it ends before its end. */
async function* whole(response: http.IncomingMessage): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response) yield chunk as Buffer;
  } catch (cause) {
    throw new MtaError('SPOOL_FAILED', 'the answer ended early: the agent stopped, or its stored content is damaged', { cause });
  }
}
