/**
 * Trace: the `Received` line that this agent puts on top (RFC 5321 §4.4), and the date as mail writes it.
 *
 * Promises: what a client says of itself cannot break out of its place: a name that is neither a domain nor an address
 * literal is left out. Lines are folded at 78 columns where their words allow it. Pure.
 */
import type { MessageId } from '../core/message.js';

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const WIDTH = 78;

/** `Sun, 22 Nov 2026 09:05:07 +0000` (RFC 5322 §3.3), in UTC. */
export function mailDate(epochMs: number): string {
  const date = new Date(epochMs);
  const two = (n: number) => String(n).padStart(2, '0');
  const day = `${DAYS[date.getUTCDay()]}, ${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
  return `${day} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
}

/** `mailDate` that remembers the second it was last asked for. */
export function createMailDate(): (epochMs: number) => string {
  let second = Number.NaN;
  let text = '';
  return (epochMs) => {
    const asked = Math.floor(epochMs / 1000);
    if (asked !== second) {
      second = asked;
      text = mailDate(epochMs);
    }
    return text;
  };
}

/** Registered for `with` (RFC 3848, RFC 6531): S for TLS, A for a login. */
export type TransmissionType = 'SMTP' | `${'E' | 'UTF8'}SMTP${'' | 'S'}${'' | 'A'}`;

export interface TraceFrom {
  /** As the client gave it with HELO or EHLO. */
  readonly helo: string;
  /** Its address, IPv4 or IPv6. */
  readonly client: string;
  readonly hostname: string;
  readonly type: TransmissionType;
}

/** The trace line up to the id: the same for every message of a session. */
export function receivedPrefix({ helo, client, hostname, type }: TraceFrom): string {
  const literal = client.includes(':') ? `[IPv6:${client}]` : `[${client}]`;
  const name = /^(?:[\w.-]+|\[[\w.:-]+\])$/.test(helo) ? helo : literal;
  const words = [`from ${name}`, `(${literal})`, `by ${hostname}`, `with ${type}`];
  let text = 'Received:';
  let column = text.length;
  for (const word of words) {
    // `by` begins a line, as everybody writes it; the rest folds where it must.
    const fold = word.startsWith('by ') || column + 1 + word.length > WIDTH;
    text += `${fold ? '\r\n\t' : ' '}${word}`;
    column = (fold ? 1 : column + 1) + word.length;
  }
  return `${text}${column + ID_WIDTH > WIDTH ? '\r\n\t' : ' '}id `;
}

/** What a session's trace lines are made of. */
export interface TraceSession extends Omit<TraceFrom, 'type'> {
  /** It said EHLO. */
  readonly extended: boolean;
  readonly secure: boolean;
  readonly authenticated: boolean;
}

function typeOf(kind: 'E' | 'UTF8', { secure, authenticated }: TraceSession): TransmissionType {
  return `${kind}SMTP${secure ? 'S' : ''}${authenticated ? 'A' : ''}`;
}

/** The trace lines of one session, which differ in little. */
export class TraceLines {
  readonly #session: () => TraceSession;
  #prefix = '';

  constructor(session: () => TraceSession) {
    this.#session = session;
  }

  /** The client said another name, went over to TLS, or logged in. */
  forget(): void {
    this.#prefix = '';
  }

  readonly ascii = (id: MessageId, date: string): string => {
    if (this.#prefix === '') {
      const session = this.#session();
      this.#prefix = receivedPrefix({ ...session, type: session.extended ? typeOf('E', session) : 'SMTP' });
    }
    return receivedLine(this.#prefix, id, date);
  };

  /** For a message given with SMTPUTF8. */
  readonly utf8 = (id: MessageId, date: string): string => {
    const session = this.#session();
    return receivedLine(receivedPrefix({ ...session, type: typeOf('UTF8', session) }), id, date);
  };
}

/** ` id `, 26 characters, `;` */
const ID_WIDTH = 31;

/** The whole line, with its CRLF. */
export function receivedLine(prefix: string, id: MessageId, date: string): string {
  return `${prefix}${id};\r\n\t${date}\r\n`;
}
