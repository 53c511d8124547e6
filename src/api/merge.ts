/**
 * The options of a merge: values for all, and a list of who gets which of their own, in whatever it comes.
 *
 * Promises: a list that is given as it comes is read as it is needed, and never held; what it throws is the caller's fault, and told as
 * such. What is wrong with a row is found where the template is (`intake/merge.ts`).
 */
import { errorOf, type Issues, isObject, put } from '../compose/checks.js';
import { type NamedRecipient, type RawRow, readValues } from '../compose/merge/rows.js';
import type { Tokens } from '../compose/merge/tokens.js';
import { MtaError } from '../core/errors.js';
import type { MergeValues } from '../core/message.js';
import { orAborted } from '../platform/abort.js';

/** By address, with or without a name before it: `joe@example.com`, `Joe <joe@example.com>`. */
export type MergeInput =
  | Readonly<Record<string, Tokens>>
  | Iterable<readonly [address: string, values: Tokens]>
  | AsyncIterable<readonly [address: string, values: Tokens]>;

export interface MergeOptions {
  /**
   * Values for the tokens (`#name#`) in subject, header, text and page, for each recipient that has none of its own in `merge`. With
   * either of the two every recipient gets a copy of their own, whose To names them alone.
   */
  readonly tokens?: Tokens | undefined;
  /**
   * Values of the recipients' own: an object, a Map, or anything that gives pairs of address and values, also asynchronously. Without
   * other recipients those in it get the message; else each must be one of them. Domains are compared without letter case, local parts
   * exactly or else without it. `submission.maxRecipients` does not count here: a million copies are possible.
   */
  readonly merge?: MergeInput | undefined;
}

export const MERGE_OPTIONS = ['tokens', 'merge'] as const satisfies readonly (keyof MergeOptions)[];

/** A list that came with a message. */
export interface Merge {
  readonly defaults: MergeValues;
  /** Who gets a copy; undefined: those in the list. */
  readonly recipients: readonly NamedRecipient[] | undefined;
  /** To be read once; again only where they do not come from something that is used up, else that is `STREAM_CONSUMED`. */
  readonly rows: (signal: AbortSignal | undefined) => AsyncIterable<RawRow>;
}

export function isMerge(given: Readonly<Record<string, unknown>>): boolean {
  return MERGE_OPTIONS.some((name) => given[name] !== undefined);
}

/** `recipients`: those given beside it. */
export function readMerge(
  given: Readonly<Record<string, unknown>>,
  recipients: readonly NamedRecipient[],
  issues: Issues,
): Merge | undefined {
  const { tokens, merge } = given;
  const defaults = tokens === undefined ? {} : readValues(tokens, 'tokens', issues);
  const pairs = merge === undefined ? [] : pairsOf(merge, issues);
  if (defaults === undefined || pairs === undefined) return undefined;
  return { defaults, recipients: recipients.length === 0 ? undefined : recipients, rows: rowsOf(pairs) };
}

type Pairs = Iterable<unknown> | AsyncIterable<unknown>;

function pairsOf(merge: unknown, issues: Issues): Pairs | undefined {
  if (typeof merge === 'object' && merge !== null) {
    if (Symbol.asyncIterator in merge) return merge as AsyncIterable<unknown>;
    if (Symbol.iterator in merge) return merge as Iterable<unknown>;
    if (isObject(merge)) return Object.entries(merge);
  }
  return put(issues, 'merge', 'WRONG_TYPE', 'must be an object with values by address, a Map, or something that gives pairs of both');
}

function rowsOf(pairs: Pairs): Merge['rows'] {
  const begin = () => (Symbol.asyncIterator in pairs ? pairs[Symbol.asyncIterator]() : pairs[Symbol.iterator]());
  let used = false;
  return (signal) => {
    const iterator = begin();
    // A generator gives itself: what it has given is gone.
    if (used && (iterator as unknown) === pairs) throw new MtaError('STREAM_CONSUMED', 'the list of the merge was read already');
    used = true;
    return eachRow(iterator, signal);
  };
}

async function* eachRow(iterator: Iterator<unknown> | AsyncIterator<unknown>, signal: AbortSignal | undefined): AsyncGenerator<RawRow> {
  let over = false;
  try {
    for (let number = 0; ; number++) {
      const next = await nextOf(iterator, signal);
      over = next.done === true;
      if (next.done === true) return;
      const pair: unknown = next.value;
      if (!Array.isArray(pair) || pair.length !== 2)
        throw errorOf([{ path: `merge[${number}]`, code: 'WRONG_TYPE', message: 'must be a pair of address and values' }]);
      yield { to: pair[0] as unknown, values: pair[1] as unknown };
    }
  } finally {
    // Whoever gives what nobody reads on is told so, and not waited for.
    if (!over) void Promise.resolve(iterator.return?.()).catch(() => {});
  }
}

async function nextOf(
  iterator: Iterator<unknown> | AsyncIterator<unknown>,
  signal: AbortSignal | undefined,
): Promise<IteratorResult<unknown>> {
  try {
    const next = iterator.next();
    return await (signal === undefined ? next : orAborted(Promise.resolve(next), signal, 'the merge was given up before it was stored'));
  } catch (cause) {
    if (cause instanceof MtaError) throw cause;
    const message = `cannot be read to its end: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw errorOf([{ path: 'merge', code: 'UNREADABLE', message }], cause);
  }
}
