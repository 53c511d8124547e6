/**
 * The seam inside delivery: the pool decides which connections exist, a session is one of them. A session is
 * one SMTP connection, from the dial to the end; it takes jobs while there are any, and reports each.
 */
import type { Job } from '../core/carrier.js';
import type { Server, TransactionResult, Trouble } from '../core/outcome.js';

/**
 * `off`: never TLS. `opportunistic`: STARTTLS where offered, unverified, in the clear where it fails.
 * `starttls`: STARTTLS demanded and verified. `implicit`: TLS from the first octet, verified.
 */
export type TlsMode = 'off' | 'opportunistic' | 'starttls' | 'implicit';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** How a connection is to be made: everything that a channel key stands for, and the limits. */
export interface ChannelPolicy {
  readonly tls: TlsMode;
  /** Name to verify the certificate against, and SNI. */
  readonly tlsName: string;
  /** Extra trusted roots, PEM. */
  readonly ca?: string;
  readonly credentials?: Credentials;
  /** AUTH without verified TLS on a server that is not loopback. */
  readonly allowInsecureAuth: boolean;
  readonly localAddress?: string;
  readonly heloName: string;
  /** Instead of the timeouts that hold for all, but for the final dot: giving up there makes second copies. */
  readonly timeoutMs?: number;
}

/** Milliseconds; RFC 5321 §4.5.3.2. */
export interface Timeouts {
  readonly connect: number;
  readonly greeting: number;
  readonly command: number;
  /** One block of content to be taken. */
  readonly data: number;
  readonly finalDot: number;
}

/** Where a session gets its work and tells of it: `WorkSource` of the carrier, bound to one channel. */
export interface SessionWork {
  next(): Job | undefined;
  done(job: Job, result: TransactionResult): void;
  untried(job: Job): void;
  unreadable(job: Job, error: Error): void;
  mayFinish(): true | Promise<void>;
}

export type RunEnd =
  /** `next` had nothing more; the connection is good and can `run` again. */
  | { readonly kind: 'idle' }
  /** Its number of messages is used up, or the peer asked for an end: QUIT was sent, it is closed. */
  | { readonly kind: 'worn' }
  /** It broke, or the peer closed. What was under way has been reported. `reachedMail` false: trouble of the site. */
  | { readonly kind: 'broken'; readonly trouble: Trouble; readonly reachedMail: boolean; readonly transcript?: string };

export interface Session {
  readonly server: Server;
  /** TLS version and cipher, or undefined in the clear. */
  readonly tls: string | undefined;
  /** Transactions begun. */
  readonly messages: number;
  /** Takes jobs until there are none, the limit is reached, or the connection ends. One run at a time. */
  run(work: SessionWork): Promise<RunEnd>;
  /** While idle: called once when the peer closes or says something unasked (421). The session has closed by itself then. */
  onLost(call: () => void): void;
  /** QUIT and close, not waiting long. Only while idle. Resolves when the connection is closed: only then its place is free (G5). */
  quit(): Promise<void>;
  /**
   * Ends at once. Jobs whose final dot was not sent are reported `untried`; the one that waits for the reply to its
   * dot is reported `done`, deferred.
   */
  destroy(): void;
  /** From now on no new job, no new dot; resolves when the reply to a dot already sent is in. */
  drain(): Promise<void>;
}

export type Opened =
  | { readonly kind: 'open'; readonly session: Session }
  | { readonly kind: 'trouble'; readonly trouble: Trouble; readonly transcript?: string };
