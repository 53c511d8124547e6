/**
 * What goes wrong with a connection below SMTP: it is refused, breaks, falls silent, or what comes over it is not SMTP.
 * Values, in words that are stable (`reason`) and words for people (`text`); `classify` says what they mean for mail.
 */

export type FaultReason =
  /** Nobody listens there. */
  | 'refused'
  /** No way to that network from here. */
  | 'noRoute'
  /** No answer in time. */
  | 'timeout'
  /** The connection ended when it should not have. */
  | 'reset'
  | 'tls'
  /** What came is not an answer, or not to what was asked. */
  | 'garbage'
  /** We gave it up ourselves. */
  | 'stopped';

export interface Fault {
  readonly reason: FaultReason;
  /** One plain line. */
  readonly text: string;
}

export const STOPPED: Fault = { reason: 'stopped', text: 'the connection was given up from our side' };

const CONNECT_REASONS: Readonly<Record<string, FaultReason>> = {
  ECONNREFUSED: 'refused',
  ENETUNREACH: 'noRoute',
  EHOSTUNREACH: 'noRoute',
  ENETDOWN: 'noRoute',
  EADDRNOTAVAIL: 'noRoute',
  EACCES: 'noRoute',
  EPERM: 'noRoute',
  ETIMEDOUT: 'timeout',
};

/** Why a connection could not be made, from the system's error. */
export function connectFault(error: unknown): Fault {
  return { reason: CONNECT_REASONS[errorCode(error)] ?? 'reset', text: `could not connect: ${errorText(error)}` };
}

/** Why an open connection ended, from the system's error. */
export function brokenFault(error: unknown): Fault {
  return { reason: errorCode(error) === 'ETIMEDOUT' ? 'timeout' : 'reset', text: `connection lost: ${errorText(error)}` };
}

/** One plain line, whatever was thrown. */
export function errorText(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, ' ').trim().slice(0, 500);
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
