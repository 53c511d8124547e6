/**
 * Errors on the control socket: `application/problem+json` (RFC 9457) with our own code and issues as
 * extension members, made on one side and turned back into the same `MtaError` on the other.
 */
import { ERROR_CODES, type ErrorCode, type Issue, MtaError } from '../core/errors.js';

export const PROBLEM_TYPE = 'application/problem+json';

export interface Problem {
  /** `urn:riata:error:NOT_FOUND`, or `about:blank` where the HTTP status says it all. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code?: ErrorCode;
  readonly issues?: readonly Issue[];
}

const STATUS: Readonly<Record<ErrorCode, number>> = {
  INVALID_OPTIONS: 400,
  INVALID_ADDRESS: 400,
  HEADER_INJECTION: 422,
  UNENCODABLE: 422,
  MESSAGE_TOO_LARGE: 413,
  MESSAGE_REFUSED: 422,
  CONNECTION_FAILED: 502,
  REMOTE_REJECTED: 502,
  IDEMPOTENCY_CONFLICT: 409,
  SPOOL_LOCKED: 423,
  SPOOL_FULL: 507,
  SPOOL_FAILED: 503,
  SPOOL_DAMAGED: 500,
  SPOOL_VERSION: 500,
  SPOOL_CLOSED: 503,
  ADDRESS_IN_USE: 409,
  NOT_FOUND: 404,
  NOT_RUNNING: 503,
  STREAM_CONSUMED: 400,
  ABORTED: 503,
};

/** What is wrong with the request itself, below the verbs: no such path, wrong method. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  constructor(
    readonly status: number,
    readonly title: string,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
  }
}

/** An unknown error says nothing of itself: what it was belongs into the log, not on the wire. */
export function toProblem(error: unknown): Problem {
  if (error instanceof HttpError) return { type: 'about:blank', title: error.title, status: error.status, detail: error.message };
  if (error instanceof MtaError) {
    return {
      type: `urn:riata:error:${error.code}`,
      title: ERROR_CODES[error.code],
      status: STATUS[error.code],
      detail: error.message,
      code: error.code,
      ...(error.issues.length > 0 ? { issues: error.issues } : {}),
    };
  }
  return { type: 'about:blank', title: 'Internal error', status: 500, detail: 'an error of the agent itself; its log says more' };
}

function isIssue(value: unknown): value is Issue {
  if (typeof value !== 'object' || value === null) return false;
  const { path, code, message } = value as Record<string, unknown>;
  return typeof path === 'string' && typeof code === 'string' && typeof message === 'string';
}

/** The error that an answer with this status and body stands for. A body that is no problem document still makes one. */
export function fromProblem(status: number, body: string): Error {
  let problem: Record<string, unknown> = {};
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === 'object' && parsed !== null) problem = parsed as Record<string, unknown>;
  } catch {
    // Not ours, or cut off: the status is all there is.
  }
  const detail = typeof problem['detail'] === 'string' ? problem['detail'] : `the agent answered ${status}`;
  const code = problem['code'];
  if (typeof code !== 'string' || !Object.hasOwn(ERROR_CODES, code)) return new Error(detail);
  const issues = Array.isArray(problem['issues']) ? problem['issues'].filter(isIssue) : [];
  return new MtaError(code as ErrorCode, detail, { issues });
}
