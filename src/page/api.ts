/**
 * The agent, asked over its control API. A session stands for the token, which is typed in once and kept nowhere. Who listens is told
 * when the agent can be reached no more, when it can again, and when it wants the token.
 */
import type { Session, Ticket } from '../control/route.js';

export type Standing = 'asking' | 'online' | 'offline' | 'locked';

/** What the agent has against a request, in its own words. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Nobody answered. */
export class Unreachable extends Error {}

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

const STORED = 'riata.session';

export class Api {
  #session: string | undefined;
  #standing: Standing = 'asking';
  readonly #told: (standing: Standing) => void;

  constructor(told: (standing: Standing) => void) {
    this.#told = told;
    this.#session = readSession();
  }

  get standing(): Standing {
    return this.#standing;
  }

  /** Whether there is a session to end. */
  get loggedIn(): boolean {
    return this.#session !== undefined;
  }

  /** Throws `Refusal` where the token is wrong. */
  async logIn(token: string): Promise<void> {
    const response = await this.#fetch('POST', '/v1/session', {}, token);
    const given = (await this.#read(response)) as Session;
    this.#session = given.session;
    localStorage.setItem(STORED, JSON.stringify(given));
    this.#stand('online');
  }

  logOut(): void {
    this.#forget();
    this.#stand('locked');
  }

  get<T>(path: string, query: Query = {}): Promise<T> {
    return this.#ask<T>('GET', path, query);
  }

  post<T>(path: string, query: Query = {}): Promise<T> {
    return this.#ask<T>('POST', path, query);
  }

  /** A path that a frame or a link may open within the next minute. */
  async ticketFor(path: string): Promise<string> {
    const { ticket } = await this.post<Ticket>('/v1/ticket', { path });
    return `${path}?ticket=${ticket}`;
  }

  /** The beginning of something large, as text. */
  async beginning(path: string, most: number): Promise<{ readonly text: string; readonly cut: boolean }> {
    const response = await this.#fetch('GET', path, {});
    if (!response.ok || response.body === null) return this.#read(response) as never;
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let text = '';
    for (let size = 0; ; ) {
      const { done, value } = await reader.read();
      if (done) return { text: text + decoder.decode(), cut: false };
      size += value.length;
      text += decoder.decode(value, { stream: true });
      if (size < most) continue;
      await reader.cancel();
      return { text: text.slice(0, most), cut: true };
    }
  }

  /** What the agent tells as it happens, until `signal` or the connection ends. */
  async *stream(path: string, signal: AbortSignal): AsyncGenerator<string> {
    const response = await this.#fetch('GET', path, {}, undefined, signal);
    if (!response.ok || response.body === null) await this.#read(response);
    const reader = response.body!.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array<ArrayBuffer>>).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  }

  async #ask<T>(method: string, path: string, query: Query): Promise<T> {
    const response = await this.#fetch(method, path, query);
    return (await this.#read(response)) as T;
  }

  async #fetch(method: string, path: string, query: Query, token?: string, signal?: AbortSignal): Promise<Response> {
    const bearer = token ?? this.#session;
    try {
      return await fetch(path + queryString(query), {
        method,
        cache: 'no-store',
        credentials: 'omit',
        redirect: 'error',
        ...(bearer === undefined ? {} : { headers: { authorization: `Bearer ${bearer}` } }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      this.#stand('offline');
      throw new Unreachable('the agent does not answer');
    }
  }

  async #read(response: Response): Promise<unknown> {
    if (response.status === 401) {
      this.#forget();
      this.#stand('locked');
    } else if (this.#standing !== 'locked') {
      this.#stand('online');
    }
    if (response.status === 204) return undefined;
    const body: unknown = await response.json().catch(() => undefined);
    if (response.ok) return body;
    const detail = (body as { readonly detail?: unknown } | undefined)?.detail;
    throw new Refusal(response.status, typeof detail === 'string' ? detail : `the agent answered ${response.status}`);
  }

  #forget(): void {
    this.#session = undefined;
    localStorage.removeItem(STORED);
  }

  #stand(standing: Standing): void {
    if (standing === this.#standing) return;
    this.#standing = standing;
    this.#told(standing);
  }
}

function readSession(): string | undefined {
  try {
    const { session, expiresAt } = JSON.parse(localStorage.getItem(STORED) ?? '{}') as Partial<Session>;
    return typeof session === 'string' && (expiresAt ?? 0) > Date.now() ? session : undefined;
  } catch {
    return undefined;
  }
}

export function queryString(query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === '') continue;
    for (const each of Array.isArray(value) ? (value as readonly string[]) : [value]) search.append(name, String(each));
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}
