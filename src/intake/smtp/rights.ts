/**
 * What a client may do: relay, log in, send as somebody. The one place that decides (G12), by the rules and by who it is at that
 * moment: where it comes from, who has logged in, whether TLS hides it. Where it may not, there is the reply to give.
 */
import { isLoopback } from '../../core/loopback.js';
import type { SmtpPorts } from './server.js';
import type { User } from './users.js';

/** Of a session, what rights depend on. */
export interface RightsHolder {
  readonly id: string;
  readonly remoteAddress: string;
  readonly secure: boolean;
  /** The library forgets the user where STARTTLS begins a session anew (RFC 3207 §4.2). */
  readonly session: { readonly user?: User | undefined };
}

export class Rights {
  readonly #holder: RightsHolder;
  readonly #ports: Pick<SmtpPorts, 'trusts' | 'users' | 'allowsSender' | 'log'>;
  readonly #trusted: boolean;
  /** Was told so: one line of log is enough. */
  #relayDenied = false;

  constructor(holder: RightsHolder, ports: SmtpPorts) {
    this.#holder = holder;
    this.#ports = ports;
    this.#trusted = ports.trusts(holder.remoteAddress);
  }

  /** Who has logged in. */
  get user(): User | undefined {
    return this.#holder.session.user || undefined;
  }

  /** The one question of G12. */
  get mayRelay(): boolean {
    return this.#trusted || this.user !== undefined;
  }

  /** No password travels in the clear but within this machine. */
  get mayLogIn(): boolean {
    return this.#ports.users !== undefined && (this.#holder.secure || isLoopback(this.#holder.remoteAddress));
  }

  /** The reply to whoever may not relay. */
  denyRelay(): string {
    const { id, remoteAddress } = this.#holder;
    if (!this.#relayDenied) this.#ports.log.warn('smtp.relayDenied', { session: id, client: remoteAddress });
    this.#relayDenied = true;
    if (this.#ports.users === undefined) return '550 5.7.1 This server relays only for its own networks';
    return this.mayLogIn ? '530 5.7.0 Log in first' : '530 5.7.0 STARTTLS first, then log in';
  }

  /** Undefined: may send as this one. */
  denySender(sender: string): string | undefined {
    const { user } = this;
    if (this.#ports.allowsSender?.(sender) !== false && user?.allowsSender?.(sender) !== false) return undefined;
    const { id, remoteAddress } = this.#holder;
    this.#ports.log.warn('smtp.senderDenied', { session: id, client: remoteAddress, ...(user && { user: user.name }), sender });
    return '550 5.7.1 Mail from this sender is not taken here';
  }

  /** Before AUTH is looked at. Undefined where it is offered, and where it is unknown altogether. */
  denyLogin(inTransaction: boolean): string | undefined {
    // RFC 4954 §4.
    if (inTransaction) return '503 5.5.1 Not within a transaction';
    if (this.#ports.users === undefined || this.mayLogIn) return undefined;
    return '538 5.7.11 STARTTLS first: passwords do not travel in the clear';
  }
}
