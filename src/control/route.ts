/**
 * A route of the control API: what it is, what a call of it brings along, what it answers with, and the parameters that many of them have.
 */
import { normalizeDomain } from '../core/address.js';
import { MtaError } from '../core/errors.js';
import type { TraceContext } from '../core/message.js';
import type { Told } from './feed.js';
import { type Fields, integer, readFields, text, type Values } from './fields.js';
import type { FRAMED_TYPE } from './framing.js';
import type { LETTER_TYPE } from './letter.js';
import type { SSE_TYPE } from './sse.js';
import type { ControlVerbs, RawMessage } from './types.js';

export type Answer =
  | { readonly kind: 'json'; readonly status: 200 | 201; readonly value: unknown; readonly location?: string }
  | { readonly kind: 'content'; readonly content: RawMessage; readonly filename: string }
  /** For a browser. `filename`: to be saved, not shown; else `policy` says what it may do. */
  | {
      readonly kind: 'file';
      readonly type: string;
      readonly filename?: string;
      readonly policy: string;
      readonly chunks: AsyncIterable<Buffer>;
    }
  | { readonly kind: 'text'; readonly type: string; readonly text: string }
  | { readonly kind: 'nothing' }
  /** Ends when `signal` aborts, or the caller has gone. */
  | { readonly kind: 'events'; readonly open: (signal: AbortSignal) => AsyncIterable<Told> };

/** Stands for the token where the page calls. */
export interface Session {
  /** Goes where the token would: `Authorization: Bearer …`. */
  readonly session: string;
  readonly expiresAt: number;
}

/** Opens one path, to look at, where no header can be sent: a frame, a download. */
export interface Ticket {
  /** Goes into the query as `ticket`, and nothing else may stand there. */
  readonly ticket: string;
  readonly expiresAt: number;
}

/** What the gate of `control.http` gives to callers whom it let in. */
export interface Access {
  /** Throws 403 for callers who have but a session: it would last for ever. */
  session(): Session;
  ticket(path: string): Ticket;
}

export interface Call {
  readonly verbs: ControlVerbs;
  /** Absent on the Unix socket, which has no gate. */
  readonly access?: Access;
  /** What stands for `:name` in the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly content: AsyncIterable<Buffer>;
  /** As the header `Idempotency-Key` has it. */
  readonly idempotencyKey?: string;
  /** As the headers `traceparent` and `tracestate` have it. */
  readonly trace?: TraceContext;
  /** Where a reader of events goes on. */
  readonly lastEventId?: number;
  /** Aborts when the caller has gone. */
  readonly signal: AbortSignal;
}

export interface ControlRoute {
  readonly method: 'GET' | 'POST';
  /** `/v1/messages/:id`. */
  readonly path: string;
  /** Name of the operation, unique. */
  readonly verb: string;
  readonly doc: string;
  readonly query: Fields;
  /** Needs no token over HTTP: it tells nothing of mail. */
  readonly open?: true;
  /** Media type of the request's content, where it has one. */
  readonly takes?: 'message/rfc822' | typeof LETTER_TYPE | typeof FRAMED_TYPE;
  /** Media type of the answer, where it is not JSON. */
  readonly gives?: 'message/rfc822' | 'text/plain' | 'text/html' | 'application/octet-stream' | typeof SSE_TYPE;
  readonly call: (call: Call) => Promise<Answer>;
}

/** Binds the parameters' types to the call. */
export function route<const F extends Fields>(
  about: Omit<ControlRoute, 'query' | 'call'>,
  query: F,
  call: (call: Call, given: Values<F>) => Promise<Answer>,
): ControlRoute {
  return { ...about, query, call: (each) => call(each, readFields(query, each.query)) };
}

export const json = (value: unknown): Answer => ({ kind: 'json', status: 200, value });

/** Ids in one request; callers with more ask several times. */
export const MOST_IDS = 1000;

const MOST_LISTED = 1000;

const LISTED = 100;

export const paging = {
  limit: integer(`at most so many on one page; ${LISTED} unless told`, 1, MOST_LISTED),
  after: text('the `next` of the page before', 2000),
} as const;

export function page(limit = LISTED, after?: string): { limit: number; after?: string } {
  return { limit, ...(after === undefined ? {} : { after }) };
}

/** Throws `INVALID_OPTIONS`. */
export function readDomain(given: string): string {
  const domain = given.startsWith('[') ? given : normalizeDomain(given);
  if (domain !== undefined) return domain;
  const message = `${JSON.stringify(given.slice(0, 100))} is not a domain name`;
  throw new MtaError('INVALID_OPTIONS', message, { issues: [{ path: 'domain', code: 'OUT_OF_RANGE', message }] });
}
