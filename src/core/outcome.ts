/**
 * What an attempt meant. Remote trouble is a value, never an exception: the wire parses, `classify`
 * (delivery) turns a reply or a fault into outcomes, `decide` (outcome) says what follows. Nothing else
 * looks at reply codes.
 */

/** Where in a conversation something happened, in its order. */
export const STAGES = ['resolve', 'connect', 'greeting', 'ehlo', 'starttls', 'auth', 'mail', 'rcpt', 'data', 'content', 'local'] as const;
/** `content` is the time from the first octet of content to the reply to the final dot; `local` is ours. */
export type Stage = (typeof STAGES)[number];

/** A server's answer, parsed. */
export interface Reply {
  /** 200 to 599. */
  readonly code: number;
  /** `4.2.1` as in RFC 3463, where the text begins with one of the code's own class. It stays in `text`, too. */
  readonly enhanced?: string;
  /** Text of every line as it stands behind the three digits, joined by `\n`; control characters made visible; at most 4 KiB. */
  readonly text: string;
}

/** A server we talked to, or wanted to. */
export interface Server {
  /** The name it was found by (MX host or configured host), or the address. */
  readonly host: string;
  readonly address: string;
  readonly port: number;
}

/** Why something did not work. One shape for all of it, stored and shown as it is. */
export interface Trouble {
  /** `permanent` only where trying again cannot help. */
  readonly lasting: 'permanent' | 'temporary';
  readonly stage: Stage;
  /** RFC 3463 status: the remote's own where it gave one of the right class, else ours. */
  readonly status: string;
  /** One plain line: the remote's words, or ours. */
  readonly text: string;
  /** SMTP code of the reply, where there was one. */
  readonly code?: number;
  readonly server?: Server;
  /** A short stable word for our own findings: `timeout`, `refused`, `reset`, `dns`, `nullMx`, `noHost`, `tls`, `auth`, `garbage`, `noRoute`, `damaged` … */
  readonly reason?: string;
  /** "try again in N seconds" as the remote asked, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** What an attempt meant for one recipient. */
export type RecipientOutcome =
  | { readonly kind: 'delivered'; readonly status: string; readonly text: string; readonly server: Server }
  | { readonly kind: 'deferred'; readonly trouble: Trouble }
  | { readonly kind: 'failed'; readonly trouble: Trouble }
  /** The server wanted no more recipients in this transaction (452 4.5.3): goes at once in the next, charged nothing. */
  | { readonly kind: 'again' };

/** One transaction, as the carrier reports it. */
export interface TransactionResult {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly server: Server;
  /** TLS version and cipher, where the connection had it. */
  readonly tls?: string;
  /** The server speaks DSN (RFC 3461) and was told NOTIFY and its kin: reports of success are its affair from now on. */
  readonly dsnPassedOn?: boolean;
  /** What was said, as `Attempt` keeps it. */
  readonly transcript?: string;
  /** One for each recipient of the job, in its order. */
  readonly outcomes: readonly RecipientOutcome[];
}

/** What became of one recipient of a message that is sent at once, as its sender is told. */
export interface NowOutcome {
  readonly address: string;
  /** `deferred`: it might work later; nobody will try. */
  readonly state: 'delivered' | 'deferred' | 'failed';
  /** RFC 3463. */
  readonly status: string;
  /** In the server's words, or in ours. */
  readonly text: string;
  /** `host[address]:port`, where one was reached. */
  readonly server?: string;
  /** What was said, as far as transcripts are kept. */
  readonly transcript?: string;
}
