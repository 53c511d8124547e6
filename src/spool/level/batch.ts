/**
 * One batch on its way to the store: operations put their keys into it, and it adds what every batch carries: the
 * counters of the lanes it touched, and its number.
 *
 * A batch is built only when the one before it is durable, so what the store answers while building (`openCount`,
 * `current`) is the truth, but for what this batch itself has changed.
 */
import type { RecipientState } from '../../core/delivery.js';
import type { MessageId } from '../../core/message.js';
import { BODY_PREFIX, seal, sealBody, sealNumbers, unsealNumbers } from './codec.js';
import { bodyKey, openCountKey, ringKey, tallyKey } from './keys.js';
import type { Lane } from './lanes.js';
import type { Store, StoreBatch } from './store.js';

/** Something that is written as a whole, in one batch. */
export interface Operation {
  /** Roughly its bytes. */
  readonly weight: number;
  build(batch: Batch): void;
  committed(): void;
  /** `written`: it was in the batch that failed, which may have landed. `keep`: it is written again, first, when the store is back. */
  failed(error: Error, written: boolean): 'keep' | 'drop';
  /** Kept, but the spool is closed before the store came back. */
  abandoned?(error: Error): void;
}

let scratch = Buffer.allocUnsafeSlow(64 * 1024);

/** Ends in the order in which a tally counts them. */
export const TALLIED: readonly RecipientState[] = ['delivered', 'bounced', 'expired', 'removed'];

export class Batch {
  readonly number: number;
  /** Wall clock, read once. */
  readonly now: number;
  readonly #store: Store;
  readonly #batch: StoreBatch;
  readonly #lanes: Lane[] = [];
  #openCounts: Map<MessageId, number> | undefined;
  #tallies: Map<MessageId, number[]> | undefined;
  #changed: Set<string> | undefined;
  readonly #claims: ((ordinal: string) => boolean)[] = [];
  bytes = 0;
  #format = 0;
  #formatFor = '';

  constructor(store: Store, number: number, now: number) {
    this.#store = store;
    this.number = number;
    this.now = now;
    this.#batch = store.batch();
  }

  /** What it holds needs this format of the store; `what`, for people. */
  needs(format: number, what: string): void {
    if (format <= this.#format) return;
    this.#format = format;
    this.#formatFor = what;
  }

  put(key: string, value: string): void {
    this.bytes += key.length + value.length;
    this.#batch.put(key, value);
  }

  del(key: string): void {
    this.bytes += key.length;
    this.#batch.del(key);
  }

  putBody(id: MessageId, body: Buffer): void {
    const needed = body.length + BODY_PREFIX;
    if (scratch.length < needed) scratch = Buffer.allocUnsafeSlow(needed * 2);
    const key = bodyKey(id);
    this.bytes += needed;
    this.#batch.putBytes(key, sealBody(key, body, scratch));
  }

  /** The counters of this lane are changed by this batch. */
  count(lane: Lane): void {
    if (lane.countedIn === this.number) return;
    lane.countedIn = this.number;
    this.#lanes.push(lane);
  }

  /** Open deliveries of a message that has several; undefined: damaged. */
  openCount(id: MessageId): number | undefined {
    const mine = this.#openCounts?.get(id);
    if (mine !== undefined) return mine;
    const key = openCountKey(id);
    const value = this.#store.getSync(key);
    return value === undefined ? undefined : unsealNumbers(key, value)?.[0];
  }

  setOpenCount(id: MessageId, count: number): void {
    this.#openCounts ??= new Map();
    this.#openCounts.set(id, count);
  }

  /** One recipient of a merge has come to an end. A tally that is damaged begins anew. */
  tally(id: MessageId, state: RecipientState): void {
    this.#tallies ??= new Map();
    let tally = this.#tallies.get(id);
    if (tally === undefined) {
      const key = tallyKey(id);
      const value = this.#store.getSync(key);
      tally = (value === undefined ? undefined : unsealNumbers(key, value)) ?? TALLIED.map(() => 0);
      this.#tallies.set(id, tally);
    }
    tally[TALLIED.indexOf(state)]!++;
  }

  /** What the store says now. */
  current(key: string): string | undefined {
    return this.#store.getSync(key);
  }

  /** True the first time a delivery is changed from outside its lease in this batch; the second has to wait for the next one. */
  claim(ordinal: string): boolean {
    if (this.isClaimed(ordinal) || this.#claims.some((has) => has(ordinal))) return false;
    this.#changed ??= new Set();
    this.#changed.add(ordinal);
    return true;
  }

  isClaimed(ordinal: string): boolean {
    return this.#changed?.has(ordinal) === true;
  }

  /** Claims very many at once, for those that come later. */
  claimAll(has: (ordinal: string) => boolean): void {
    this.#claims.push(has);
  }

  /** Adds what every batch carries, and writes. */
  finish(books: {
    readonly sequence: number;
    readonly messages: number;
    readonly historyTime: number;
    readonly lastId: MessageId;
    readonly format: number;
    raiseFormat(batch: Batch, format: number, what: string): void;
  }): Promise<void> {
    if (this.#format > books.format) books.raiseFormat(this, this.#format, this.#formatFor);
    for (const lane of this.#lanes) {
      const key = lane.counterKey;
      const value = lane.empty ? '' : sealNumbers(key, [lane.ready, lane.waiting, lane.held]);
      if (value === lane.written) continue;
      lane.written = value;
      if (value === '') this.del(key);
      else this.put(key, value);
    }
    if (this.#openCounts) {
      for (const [id, count] of this.#openCounts) {
        const key = openCountKey(id);
        if (count === 0) this.del(key);
        else this.put(key, sealNumbers(key, [count]));
      }
    }
    if (this.#tallies) for (const [id, tally] of this.#tallies) this.put(tallyKey(id), sealNumbers(tallyKey(id), tally));
    const ring = ringKey(this.number);
    this.put(ring, seal(ring, `${this.number} ${books.sequence} ${books.messages} ${books.historyTime} ${books.lastId}`));
    return this.#batch.write();
  }
}
