/**
 * The state of an open spool, and those who wait for it to change.
 *
 *   open ⇄ failing ──► closing ──► closed
 *     └───────────────────▲
 */
import { MtaError } from '../../core/errors.js';
import type { Clock } from '../../platform/clock.js';

export class Health {
  readonly #clock: Clock;
  /** Monotonic. */
  #failedAt = 0;
  #state: 'open' | 'failing' | 'closing' | 'closed' = 'open';
  #gates: { open: () => void; refuse: (error: Error) => void }[] = [];
  #pauses = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get open(): boolean {
    return this.#state === 'open';
  }

  get failing(): boolean {
    return this.#state === 'failing';
  }

  /** Closing, or closed already. */
  get ended(): boolean {
    return this.#state === 'closing' || this.#state === 'closed';
  }

  /** True if it was well until now. */
  fail(): boolean {
    const first = this.#state === 'open';
    if (first) {
      this.#state = 'failing';
      this.#failedAt = this.#clock.monotonic();
    }
    return first;
  }

  failingFor(): number {
    return this.failing ? this.#clock.monotonic() - this.#failedAt : 0;
  }

  recover(): void {
    if (this.#state !== 'failing') return;
    this.#state = 'open';
    const gates = this.#gates;
    this.#gates = [];
    for (const gate of gates) gate.open();
  }

  /** Those who wait are refused; pauses end. */
  end(): void {
    if (this.ended) return;
    this.#state = 'closing';
    const gates = this.#gates;
    this.#gates = [];
    for (const gate of gates) gate.refuse(this.refusal());
    for (const stop of [...this.#pauses]) stop();
  }

  closed(): void {
    this.#state = 'closed';
  }

  /** Why nothing can be done now. */
  refusal(): MtaError {
    return this.ended
      ? new MtaError('SPOOL_CLOSED', 'the spool is closed')
      : new MtaError('SPOOL_FAILED', 'a write failed and the spool is being reopened');
  }

  /** Rejects when the spool is closed before that. */
  whenWell(): Promise<void> {
    if (this.open) return Promise.resolve();
    if (this.ended) return Promise.reject(this.refusal());
    return new Promise((open, refuse) => this.#gates.push({ open, refuse }));
  }

  /** Ends early when the spool is closed. */
  pause(ms: number): Promise<void> {
    if (this.ended) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#clock.after(ms, () => stop());
      const stop = () => {
        this.#pauses.delete(stop);
        timer.cancel();
        resolve();
      };
      this.#pauses.add(stop);
    });
  }
}
