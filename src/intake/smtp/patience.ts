/**
 * How long a client may take. Looked at now and then instead of set anew with every octet: a timer that each octet restarts
 * would let a client that sends one a second stay for ever.
 *
 * A session ends when no whole command and no octet of content came for `idleTimeoutMs`, or when content has been coming
 * for longer than `idleTimeoutMs` and what its octets take at `leastBytesPerSecond`. Time that is ours does not count.
 */
export interface PatienceLimits {
  readonly idleTimeoutMs: number;
  readonly leastBytesPerSecond: number;
}

export class Patience {
  /** Octets of the present content so far, dots included. */
  contentOctets = 0;
  #progress = 0;
  #progressSeen = 0;
  #since: number;
  #lookedAt: number;
  /** When the present content was first seen to come in. */
  #contentSince: number | undefined;

  constructor(now: number) {
    this.#since = now;
    this.#lookedAt = now;
  }

  command(): void {
    this.#progress++;
  }

  contentBegins(): void {
    this.contentOctets = 0;
    this.#contentSince = undefined;
  }

  content(octets: number): void {
    this.#progress += octets;
    this.contentOctets += octets;
  }

  /** `ours`: the client waits for us. */
  look(now: number, state: { readonly inContent: boolean; readonly ours: boolean }, limits: PatienceLimits): 'idle' | 'slow' | 'well' {
    const oursMs = state.ours ? now - this.#lookedAt : 0;
    this.#lookedAt = now;
    if (this.#progress !== this.#progressSeen) {
      this.#progressSeen = this.#progress;
      this.#since = now;
    } else {
      this.#since += oursMs;
      if (now - this.#since >= limits.idleTimeoutMs) return 'idle';
    }
    if (!state.inContent) return 'well';
    this.#contentSince = this.#contentSince === undefined ? now : this.#contentSince + oursMs;
    const allowedMs = limits.idleTimeoutMs + (this.contentOctets / limits.leastBytesPerSecond) * 1000;
    return now - this.#contentSince > allowedMs ? 'slow' : 'well';
  }
}
