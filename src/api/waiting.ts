/** Waiting for an answer of the API, for as long as somebody wants to have it: one `signal`, the same wherever something is waited for. */
import { type Issues, put } from '../compose/checks.js';
import { MtaError } from '../core/errors.js';
import { allowMany, orAborted } from '../platform/abort.js';

export interface WaitOptions {
  /** Nobody waits any more: rejects with `ABORTED`. Of a change it is not known then whether it was made. */
  readonly signal?: AbortSignal | undefined;
}

export function readSignal(value: unknown, path: string, issues: Issues): AbortSignal | undefined {
  if (!(value instanceof AbortSignal)) return put(issues, path, 'WRONG_TYPE', 'must be an AbortSignal');
  // One signal may end all that a program waits for.
  allowMany(value);
  return value;
}

const GIVEN_UP = 'nobody waits for it any more';

/** Throws `ABORTED` where the signal was given. */
export function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new MtaError('ABORTED', GIVEN_UP, { cause: signal.reason });
}

/** Asks nothing where the signal was given already. Rejects with `ABORTED` as soon as it is; what was asked may be done all the same. */
export async function unlessAborted<T>(signal: AbortSignal | undefined, ask: () => Promise<T>): Promise<T> {
  refuseAborted(signal);
  return orAborted(ask(), signal, GIVEN_UP);
}

/** Opens something, and closes it again where nobody waits for it any more when it is open. */
export async function opened<T>(signal: AbortSignal | undefined, open: () => Promise<T>, close: (opened: T) => Promise<void>): Promise<T> {
  let opening: Promise<T> | undefined;
  try {
    return await unlessAborted(signal, () => {
      opening = open();
      return opening;
    });
  } catch (error) {
    void opening?.then(close).catch(() => {});
    throw error;
  }
}
