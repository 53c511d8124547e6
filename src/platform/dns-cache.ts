/**
 * DNS answers that are still good, and questions that are under way: many ask the same at once, one question goes out.
 * Bounded by the number of answers; what was not used longest goes first. Failures are not kept.
 */
import type { Clock } from './clock.js';
import type { DnsAnswer } from './resolver.js';

type Lasting = Exclude<DnsAnswer<unknown>, { kind: 'failed' }>;

interface UnderWay {
  readonly answer: Promise<DnsAnswer<unknown>>;
  readonly stop: AbortController;
  waiting: number;
}

export interface DnsCache {
  /** A good answer, with the time that is left of it. The key tells the type of its records. */
  get(key: string): Lasting | undefined;
  /**
   * The answer to the question of this key: `ask` is called if nobody asks it already, and what it gives is kept. Whose
   * `signal` aborts waits no longer (rejects); when nobody waits any more, the signal given to `ask` aborts.
   */
  share(
    key: string,
    ask: (signal: AbortSignal) => Promise<DnsAnswer<unknown>>,
    signal: AbortSignal | undefined,
  ): Promise<DnsAnswer<unknown>>;
}

export function createDnsCache(clock: Pick<Clock, 'monotonic'>, maxEntries: number): DnsCache {
  /** In the order of use. */
  const kept = new Map<string, { readonly answer: Lasting; readonly expiresAt: number }>();
  const underWay = new Map<string, UnderWay>();

  const keep = (key: string, answer: Lasting) => {
    kept.delete(key);
    kept.set(key, { answer, expiresAt: clock.monotonic() + answer.ttlMs });
    if (kept.size > maxEntries) kept.delete(kept.keys().next().value!);
  };
  const forget = (key: string, question: UnderWay) => {
    if (underWay.get(key) === question) underWay.delete(key);
  };
  const begin = (key: string, ask: (signal: AbortSignal) => Promise<DnsAnswer<unknown>>): UnderWay => {
    const stop = new AbortController();
    const answer = ask(stop.signal)
      .then((got) => {
        if (got.kind !== 'failed') keep(key, got);
        return got;
      })
      .finally(() => forget(key, question));
    const question: UnderWay = { answer, stop, waiting: 0 };
    underWay.set(key, question);
    return question;
  };

  return {
    get(key) {
      const found = kept.get(key);
      const leftMs = found ? found.expiresAt - clock.monotonic() : 0;
      if (!found || leftMs <= 0) return undefined;
      kept.delete(key);
      kept.set(key, found);
      return { ...found.answer, ttlMs: leftMs };
    },
    share(key, ask, signal) {
      const question = underWay.get(key) ?? begin(key, ask);
      question.waiting++;
      if (!signal) return question.answer;
      return new Promise((resolve, reject) => {
        const aborted = () => {
          reject(signal.reason);
          if (--question.waiting > 0) return;
          forget(key, question);
          question.stop.abort();
        };
        question.answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
        if (signal.aborted) aborted();
        else signal.addEventListener('abort', aborted, { once: true });
      });
    },
  };
}
