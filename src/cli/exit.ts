/** Exit codes: those of sysexits, which scripts and mail programs know, and which of our errors ends with which. */
import type { ErrorCode } from '../core/errors.js';
import { MtaError } from '../core/errors.js';

export const EXIT = {
  ok: 0,
  /** The command line is wrong. */
  usage: 64,
  /** What was given to work on is wrong: a message, an address; or damage was found. */
  data: 65,
  /** What was asked for is not there: a file, a message. */
  noInput: 66,
  /** What is needed does not run, or did not work. */
  unavailable: 69,
  /** A fault of our own. */
  software: 70,
  io: 74,
  /** Not now: try again later. */
  tryLater: 75,
  noPermission: 77,
  config: 78,
} as const;

const BY_CODE: Readonly<Record<ErrorCode, number>> = {
  INVALID_OPTIONS: EXIT.usage,
  INVALID_ADDRESS: EXIT.data,
  HEADER_INJECTION: EXIT.data,
  UNENCODABLE: EXIT.data,
  MESSAGE_TOO_LARGE: EXIT.data,
  MESSAGE_REFUSED: EXIT.data,
  CONNECTION_FAILED: EXIT.unavailable,
  REMOTE_REJECTED: EXIT.unavailable,
  IDEMPOTENCY_CONFLICT: EXIT.data,
  SPOOL_LOCKED: EXIT.tryLater,
  SPOOL_FULL: EXIT.tryLater,
  SPOOL_FAILED: EXIT.tryLater,
  SPOOL_DAMAGED: EXIT.io,
  SPOOL_VERSION: EXIT.config,
  SPOOL_CLOSED: EXIT.tryLater,
  ADDRESS_IN_USE: EXIT.unavailable,
  NOT_FOUND: EXIT.noInput,
  NOT_RUNNING: EXIT.unavailable,
  STREAM_CONSUMED: EXIT.software,
  ABORTED: EXIT.tryLater,
};

/** An end of the command line's own making: a message for people, and the code to end with. */
export class CliError extends Error {
  override readonly name = 'CliError';
  constructor(
    readonly exit: number,
    message: string,
    more: { readonly cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
  }
}

/** The system's word for an error (`EACCES`), of it or of what caused it. */
export function systemCode(error: unknown): string | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    const { code } = each as NodeJS.ErrnoException;
    if (code !== undefined && !(each instanceof MtaError)) return code;
  }
  return undefined;
}

export function exitCode(error: unknown): number {
  if (error instanceof CliError) return error.exit;
  const system = systemCode(error);
  if (system === 'EACCES' || system === 'EPERM') return EXIT.noPermission;
  if (error instanceof MtaError) return BY_CODE[error.code];
  if (system === 'ENOENT') return EXIT.noInput;
  if (system === 'ENOSPC' || system === 'EIO' || system === 'EROFS') return EXIT.io;
  return EXIT.software;
}
