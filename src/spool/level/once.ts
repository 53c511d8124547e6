/**
 * What was handed in under a key, so that it is not taken twice: written by the batch that accepts the message, forgotten by tidying.
 *
 *   k/<hash of the key>            what the first one became
 *   w/<until>/<hash of the key>    when that is forgotten
 *
 * A key that is used again after its time writes `k/` anew; the old `w/` says nothing any more, and goes in its time.
 */
import { createHash } from 'node:crypto';
import type { Message } from '../../core/message.js';
import type { Acceptance, AcceptedOnce } from '../spool.js';
import type { Batch, Operation } from './batch.js';
import { sealJson, sealNumbers, unsealJson } from './codec.js';
import { onceKey, splitTimed, time32, untilKey } from './keys.js';
import type { Ledger } from './ledger.js';
import type { Store } from './store.js';

export interface OnceRecord {
  readonly i: AcceptedOnce['id'];
  readonly m: string;
  /** Recipients. */
  readonly r: number;
  readonly s: number;
  readonly d: string;
  /** Of a template: tokens without a value. */
  readonly t?: AcceptedOnce['unknownTokens'];
  /** Epoch ms: from then on it says nothing. */
  readonly u: number;
}

const SLICE = 500;

export function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

export function putOnce(batch: Batch, message: Message, once: Acceptance['once'], recipients: number): void {
  if (once === undefined) return;
  const { key, until, ...told } = once;
  const { id, messageId, sizeBytes: size } = message;
  putKey(batch, hashOf(key), recordOfOnce({ id, messageId, recipients, size, ...told }, until));
}

export function putKey(batch: Batch, hash: string, record: OnceRecord): void {
  batch.needs(2, 'keys of senders');
  const key = onceKey(hash);
  batch.put(key, sealJson(key, record));
  const until = untilKey(record.u, hash);
  batch.put(until, sealNumbers(until, [record.u]));
}

/** In all deliveries together. */
export function recipientsOf({ deliveries }: Acceptance): number {
  return deliveries.reduce((sum, delivery) => sum + delivery.recipients.length, 0);
}

/** Undone with the accept it belongs to, if that is what stands there. */
export function dropOnce(batch: Batch, hash: string, id: AcceptedOnce['id']): void {
  const key = onceKey(hash);
  const value = batch.current(key);
  const record = value === undefined ? undefined : unsealJson<OnceRecord>(key, value);
  if (record?.i !== id) return;
  batch.del(key);
  batch.del(untilKey(record.u, hash));
}

/** `damaged`: something stands there that cannot be read. */
export async function readOnce(store: Store, key: string, now: number): Promise<AcceptedOnce | 'damaged' | undefined> {
  const at = onceKey(hashOf(key));
  const value = await store.get(at);
  if (value === undefined) return undefined;
  const record = unsealJson<OnceRecord>(at, value);
  if (record === undefined) return 'damaged';
  if (record.u <= now) return undefined;
  return acceptedOf(record);
}

export function acceptedOf({ i, m, r, s, d, t }: OnceRecord): AcceptedOnce {
  return { id: i, messageId: m, recipients: r, size: s, digest: d, ...(t === undefined ? {} : { unknownTokens: t }) };
}

export function recordOfOnce({ id, messageId, recipients, size, digest, unknownTokens }: AcceptedOnce, until: number): OnceRecord {
  return { i: id, m: messageId, r: recipients, s: size, d: digest, u: until, ...(unknownTokens === undefined ? {} : { t: unknownTokens }) };
}

/** Deletes what says nothing any more, in slices. */
export async function forgetOnce(ledger: Ledger): Promise<void> {
  const { generation } = ledger;
  const lt = `w/${time32(ledger.clock.now())}`;
  for (;;) {
    const keys = await ledger.store.keys({ gte: 'w/', lt, limit: SLICE });
    if (keys.length === 0 || generation !== ledger.generation) return;
    const done = await new Promise<boolean>((resolve) => ledger.submit(new ForgetOnce(keys, resolve)));
    if (!done) return;
  }
}

class ForgetOnce implements Operation {
  readonly weight: number;
  readonly #keys: readonly string[];
  readonly #resolve: (done: boolean) => void;

  constructor(keys: readonly string[], resolve: (done: boolean) => void) {
    this.#keys = keys;
    this.#resolve = resolve;
    this.weight = keys.length * 150;
  }

  build(batch: Batch): void {
    for (const key of this.#keys) {
      batch.del(key);
      const { ordinal: hash } = splitTimed(key);
      const at = onceKey(hash);
      const value = batch.current(at);
      const record = value === undefined ? undefined : unsealJson<OnceRecord>(at, value);
      // Used again since: then another `w/` will end it.
      if (value !== undefined && (record === undefined || record.u <= batch.now)) batch.del(at);
    }
  }

  committed(): void {
    this.#resolve(true);
  }

  failed(): 'drop' {
    this.#resolve(false);
    return 'drop';
  }
}
