/** Giving up: the end of something large for which many small waits listen, and one wait that may be given up. */
import { setMaxListeners } from 'node:events';
import { MtaError } from '../core/errors.js';

/** Node takes the eleventh listener of a signal for a leak, and says so on standard error; here there are as many as there are waits. */
export function allowMany(signal: AbortSignal): void {
  setMaxListeners(0, signal);
}

export function createBroadAbort(): AbortController {
  const controller = new AbortController();
  allowMany(controller.signal);
  return controller;
}

/** What the work comes to, or `ABORTED` with this text as soon as the signal says so; the work itself goes on. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined, text: string): Promise<T> {
  if (signal === undefined) return work;
  const aborted = () => new MtaError('ABORTED', text, { cause: signal.reason });
  if (signal.aborted) {
    // Nobody hears of it any more.
    work.catch(() => {});
    throw aborted();
  }
  return new Promise<T>((resolve, reject) => {
    const give = () => reject(aborted());
    signal.addEventListener('abort', give, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', give));
  });
}
