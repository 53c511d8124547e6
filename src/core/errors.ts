/**
 * Our own errors: one class, a stable `code`, and the original as `cause`. What a remote server answers is
 * never one of these: it is an outcome (`outcome.ts`).
 */

/** Every code there is, with what it means. Codes never change their meaning. */
export const ERROR_CODES = {
  INVALID_OPTIONS: 'options or settings are wrong; `issues` names each',
  INVALID_ADDRESS: 'an address cannot be read',
  HEADER_INJECTION: 'a header name or value contains CR, LF or NUL',
  UNENCODABLE: 'text does not fit its character set or transfer encoding',
  MESSAGE_TOO_LARGE: 'the message exceeds the size limit',
  MESSAGE_REFUSED: 'the content breaks a rule (NUL, too many Received, header too large)',
  CONNECTION_FAILED: 'a server could not be reached, refused the connection, or broke it off',
  REMOTE_REJECTED: 'no recipient of an immediate message was accepted',
  IDEMPOTENCY_CONFLICT: 'the same idempotency key was used with other content',
  SPOOL_LOCKED: 'another process owns the spool',
  SPOOL_FULL: 'too little free space to accept mail',
  SPOOL_FAILED: 'a write or read failed; the spool is being reopened',
  SPOOL_DAMAGED: 'stored data does not match its checksum',
  SPOOL_VERSION: 'the spool was written by a newer release',
  SPOOL_CLOSED: 'the spool is closed',
  ADDRESS_IN_USE: 'a port or socket to listen on is taken or not permitted',
  NOT_FOUND: 'no such message',
  NOT_RUNNING: 'no agent answers on the control socket',
  STREAM_CONSUMED: 'a stream was already read',
  ABORTED: 'the wait was given up',
} as const;
export type ErrorCode = keyof typeof ERROR_CODES;

/** One wrong option, for errors that tell of all of them at once. */
export interface Issue {
  /** Dotted path of the option: `spool.maxMessageSize`, `route[0].host`. */
  readonly path: string;
  /** `MISSING_FIELD`, `UNKNOWN_FIELD`, `WRONG_TYPE`, `OUT_OF_RANGE`, … */
  readonly code: string;
  /** One plain line with the way out. */
  readonly message: string;
}

export class MtaError extends Error {
  override readonly name = 'MtaError';
  readonly code: ErrorCode;
  readonly issues: readonly Issue[];

  constructor(code: ErrorCode, message: string, more: { cause?: unknown; issues?: readonly Issue[] } = {}) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.issues = more.issues ?? [];
  }
}

/** For the end of a `switch` over a union: a new member makes this line fail to compile. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected value: ${JSON.stringify(value)}`);
}
