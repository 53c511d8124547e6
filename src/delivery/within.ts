/** A bound in time on something that takes an AbortSignal. The timer and the listener are gone when it settles. */
import type { Clock } from '../platform/clock.js';

export type Within<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'error'; readonly error: unknown }
  /** The time was over first. */
  | { readonly kind: 'late' };

/** Never rejects. An abort of `signal` comes back as the error that `call` made of it. */
export async function within<T>(
  clock: Clock,
  ms: number,
  signal: AbortSignal,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<Within<T>> {
  const limit = new AbortController();
  let late = false;
  const abort = () => limit.abort(signal.reason);
  const timer = clock.after(ms, () => {
    late = true;
    limit.abort();
  });
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  try {
    return { kind: 'value', value: await call(limit.signal) };
  } catch (error) {
    return late ? { kind: 'late' } : { kind: 'error', error };
  } finally {
    timer.cancel();
    signal.removeEventListener('abort', abort);
  }
}
