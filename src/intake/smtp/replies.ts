/** What is answered where it is not the answer to one command alone: status codes of the library's replies, and refused content. */
import { MtaError } from '../../core/errors.js';
import type { RefusalCode } from '../submit.js';

/**
 * RFC 3463 statuses of the replies that smtp-server makes, by code. `''`: none is given (RFC 2034: greeting, EHLO, 3xx).
 * Ours are written out where they are made.
 */
export function enhancedStatus(code: number, context: string | false | undefined): string {
  if (context === false || context === 'EHLO' || context === 'HELO' || (code >= 300 && code < 400)) return '';
  return STATUSES[code] ?? `${Math.floor(code / 100)}.0.0`;
}

const STATUSES: Readonly<Record<number, string>> = {
  235: '2.7.0',
  421: '4.7.0',
  454: '4.7.0',
  500: '5.5.2',
  501: '5.5.4',
  503: '5.5.1',
  504: '5.5.4',
  535: '5.7.8',
};

const REFUSED: Readonly<Record<RefusalCode, string>> = {
  TOO_LARGE: '552 5.3.4',
  NUL: '554 5.6.0',
  LOOP: '554 5.4.6',
  HEADER_TOO_LARGE: '552 5.3.4',
};

/** The reply to a dot whose message was not accepted; `ours`: the client can do nothing about it. */
export function refusalReply(error: unknown): { readonly reply: string; readonly ours: boolean } {
  if (error instanceof MtaError) {
    const code = error.issues[0]?.code;
    if (code !== undefined && code in REFUSED) return { reply: `${REFUSED[code as RefusalCode]} ${capital(error.message)}`, ours: false };
    if (error.code === 'SPOOL_FULL') return { reply: CLOSED.SPOOL_FULL, ours: true };
  }
  return { reply: CLOSED.SPOOL_FAILED, ours: true };
}

/** Why no mail can come in now. */
export const CLOSED = {
  SPOOL_FULL: '452 4.3.1 Insufficient system storage, try again later',
  SPOOL_FAILED: '451 4.3.0 The mail store is not available, try again later',
} as const;

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
