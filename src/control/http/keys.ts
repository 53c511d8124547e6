/**
 * What proves that a caller of `control.http` may do what it asks for:
 *
 *   token    the setting itself, for programs: lasts until it is changed
 *   session  what the page gets in exchange for the token, so that no browser keeps the token itself
 *   ticket   opens one path, to look at, for a minute: for what a browser fetches without headers (a frame, a download)
 *
 * Sessions and tickets are signed, not kept: they hold over a restart, end by themselves, and all at once when the token changes.
 * Promises: comparisons take the same time whatever differs; nothing here can be turned back into the token.
 */
import { createHash, createHmac, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Clock } from '../../platform/clock.js';
import type { Random } from '../../platform/random.js';
import type { Session, Ticket } from '../route.js';

export const SESSION_MS = 12 * 3_600_000;
export const TICKET_MS = 60_000;

export interface Keys {
  /** False where no token is set. */
  isToken(given: string): boolean;
  isSession(given: string): boolean;
  isTicket(given: string, path: string): boolean;
  newSession(): Session;
  newTicket(path: string): Ticket;
}

/** `token`: empty where there is none; what is signed then ends with the process. */
export async function createKeys(token: string, clock: Pick<Clock, 'now'>, random: Random): Promise<Keys> {
  const secret = token === '' ? randomKey(random) : await slowKey(token);
  const sign = (text: string) => createHmac('sha256', secret).update(text).digest('base64url');
  const expected = digest(token);
  /** The moment until which `given` holds, where it was signed by us for `about`. */
  const holds = (given: string, kind: string, about: string): boolean => {
    const [, until = '', signature = ''] = /^([0-9a-z]{1,12})\.([\w-]{43})$/.exec(given) ?? [];
    const right = timingSafeEqual(digest(signature), digest(sign(`${kind} ${until} ${about}`)));
    return right && Number.parseInt(until, 36) > clock.now();
  };
  const make = (kind: string, forMs: number, about: string) => {
    const expiresAt = clock.now() + forMs;
    const until = expiresAt.toString(36);
    return { signed: `${until}.${sign(`${kind} ${until} ${about}`)}`, expiresAt };
  };
  return {
    isToken: (given) => timingSafeEqual(digest(given), expected) && token !== '',
    isSession: (given) => holds(given, 'session', ''),
    isTicket: (given, path) => holds(given, 'ticket', path),
    newSession() {
      const { signed, expiresAt } = make('session', SESSION_MS, '');
      return { session: signed, expiresAt };
    },
    newTicket(path) {
      const { signed, expiresAt } = make('ticket', TICKET_MS, path);
      return { ticket: signed, expiresAt };
    },
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function randomKey(random: Random): Buffer {
  const key = Buffer.alloc(32);
  random.fill(key);
  return key;
}

/** Costs some 50 ms, once: whoever sees a session cannot try tokens against it at any speed. */
function slowKey(token: string): Promise<Buffer> {
  return promisify<string, string, number, Buffer>(scrypt)(token, 'riata control sessions', 32);
}
