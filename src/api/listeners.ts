/**
 * Those who listen to what happens to mail. Live, at most once, in the order in which they asked.
 *
 * Promises: what a listener throws, or rejects with, ends with it: the agent goes on, the others are told, and the log (where there is
 * one) says what it was.
 */
import type { MailEvent, MailEventType } from '../core/event.js';
import type { Log } from '../platform/log.js';
import { outsideBatches } from './batch.js';

/** Called from within the agent's work: what takes long belongs elsewhere. What is returned is not waited for. */
export type MailListener<T extends MailEventType> = (event: Extract<MailEvent, { readonly type: T }>) => unknown;

type Call = (event: MailEvent) => unknown;

export class Listeners {
  readonly #log: Log;
  readonly #calls = new Map<MailEventType, Set<Call>>();

  constructor(log: Log) {
    this.#log = log;
  }

  add<T extends MailEventType>(type: T, listener: MailListener<T>): void {
    const calls = this.#calls.get(type);
    if (calls === undefined) this.#calls.set(type, new Set([listener as Call]));
    else calls.add(listener as Call);
  }

  remove<T extends MailEventType>(type: T, listener: MailListener<T>): void {
    this.#calls.get(type)?.delete(listener as Call);
  }

  tell(event: MailEvent): void {
    const calls = this.#calls.get(event.type);
    if (calls === undefined) return;
    for (const call of calls) {
      try {
        const returned = outsideBatches(() => call(event));
        if (returned instanceof Promise) returned.catch((error: unknown) => this.#failed(event, error));
      } catch (error) {
        this.#failed(event, error);
      }
    }
  }

  #failed({ type }: MailEvent, error: unknown): void {
    this.#log.error(
      'listener.failed',
      { type },
      `a listener to "${type}" failed: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
