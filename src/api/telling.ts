/** Events as something to read: from the moment on in which they are asked for, until somebody ends it. */
import type { Told } from '../control/types.js';
import { aliveUntil } from '../platform/alive.js';
import type { FollowedEvent } from './mail-agent.js';

/** Ends with any of the signals. The process lives on while the next event is waited for. */
export function tellOn(
  follow: (end: AbortSignal) => AsyncIterable<Told>,
  ends: readonly AbortSignal[],
): AsyncIterableIterator<FollowedEvent> {
  const over = new AbortController();
  const end = () => over.abort();
  if (ends.some(({ aborted }) => aborted)) end();
  for (const one of ends) one.addEventListener('abort', end, { once: true });
  const told = follow(over.signal)[Symbol.asyncIterator]();
  const first = told.next();
  first.catch(() => {});
  return (async function* () {
    try {
      for (let next = await aliveUntil(first); !next.done; next = await aliveUntil(told.next())) {
        const { event, cursor } = next.value;
        yield { ...event, cursor };
      }
    } finally {
      end();
      for (const one of ends) one.removeEventListener('abort', end);
    }
  })();
}
