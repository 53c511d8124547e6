/**
 * What is read when a store is opened, or opened again: format, epoch, the ring of batch numbers, the counters of lanes. Never the
 * queue itself: a million waiting deliveries cost nothing here.
 */
import fs from 'node:fs';
import path from 'node:path';
import { MtaError } from '../../core/errors.js';
import type { MessageId } from '../../core/message.js';
import type { Pause } from '../spool.js';
import { seal, sealNumbers, unseal, unsealJson, unsealNumbers } from './codec.js';
import { AFTER_SLASH, EPOCH_KEY, FORMAT_KEY, RING_SLOTS, ringKey, unescapeLane } from './keys.js';
import type { Ledger } from './ledger.js';
import type { Store } from './store.js';

/**
 * The newest format, and all this release reads. A store has the lowest format that can say what is in it: it is raised by the first batch
 * that writes what a release of the format before would not heed.
 *
 *   1   messages, deliveries, history
 *   2   pauses of lanes (`q/`), keys of senders (`k/`, `w/`), templates with their copies (`v/`, `n/`),
 *       servers that messages brought along (`s/`)
 */
export const FORMAT = 2;
const FIRST_FORMAT = 1;
/** Sequences left out at each start, in case the ring was damaged. */
const SEQUENCE_GAP = 1024;

/** As it stands there; undefined where nothing does, or what does is damaged. */
export async function readFormat(store: Store): Promise<number | undefined> {
  const value = await store.get(FORMAT_KEY);
  return value === undefined ? undefined : unsealNumbers(FORMAT_KEY, value)?.[0];
}

/** The format that a store has, or is given because it is new. Throws `SPOOL_VERSION` for one from a newer release. */
export async function checkFormat(store: Store, folder: string): Promise<{ readonly format: number; readonly isNew: boolean }> {
  const value = await store.get(FORMAT_KEY);
  if (value === undefined) {
    const [any] = await store.keys({ gte: 'a', lt: '{', limit: 1 });
    if (any === undefined) return { format: FIRST_FORMAT, isNew: true };
    throw new MtaError('SPOOL_DAMAGED', `the spool ${folder} holds data but no format number: run \`riata spool check\``);
  }
  const format = unsealNumbers(FORMAT_KEY, value)?.[0];
  if (format === undefined)
    throw new MtaError('SPOOL_DAMAGED', `the format number of the spool ${folder} does not match its checksum: run \`riata spool check\``);
  if (format > FORMAT)
    throw new MtaError(
      'SPOOL_VERSION',
      `the spool ${folder} has format ${format}, and this release reads up to ${FORMAT}: run the newer release that wrote it`,
    );
  return { format, isNew: false };
}

export async function readEpoch(store: Store): Promise<number> {
  const value = await store.get(EPOCH_KEY);
  return (value === undefined ? undefined : unsealNumbers(EPOCH_KEY, value)?.[0]) ?? 0;
}

export interface Ring {
  readonly batch: number;
  readonly sequence: number;
  readonly messages: number;
  readonly historyTime: number;
  /** The greatest message id accepted. */
  readonly lastId: MessageId | undefined;
  /** Batch numbers that should be there and are not. */
  readonly missing: readonly number[];
}

/** The newest batch, and which of those before it are missing: a hole in the log shows here (G9). */
export async function readRing(store: Store): Promise<Ring> {
  const entries = await store.entries({ gte: 'x/ring/', lt: `x/ring${AFTER_SLASH}`, limit: RING_SLOTS });
  const slots = new Map<number, readonly string[]>();
  for (const [key, value] of entries) {
    const words = unseal(key, value)?.split(' ');
    if (words) slots.set(Number(words[0]), words);
  }
  if (slots.size === 0) return { batch: 0, sequence: 0, messages: 0, historyTime: 0, lastId: undefined, missing: [] };
  const batch = Math.max(...slots.keys());
  const missing: number[] = [];
  for (let number = Math.max(1, batch - RING_SLOTS + 1); number < batch; number++) if (!slots.has(number)) missing.push(number);
  const [, sequence, messages, historyTime, lastId] = slots.get(batch)!;
  return {
    batch,
    sequence: Number(sequence),
    messages: Number(messages),
    historyTime: Number(historyTime),
    lastId: lastId || undefined,
    missing,
  };
}

/** The counters, into the books; false if one of them is damaged. `reveal` of the lanes comes later, when nothing of the past is left to be settled. */
export async function readCounters(ledger: Ledger): Promise<boolean> {
  const PAGE = 10_000;
  let sound = true;
  let gte = 'l/';
  for (;;) {
    const page = await ledger.store.entries({ gte, lt: `l${AFTER_SLASH}`, limit: PAGE });
    for (const [key, value] of page) {
      const numbers = unsealNumbers(key, value);
      if (numbers === undefined) sound = false;
      const lane = ledger.lanes.make(unescapeLane(key.slice(2)));
      lane.written = value;
      lane.ready = numbers?.[0] ?? 0;
      lane.waiting = numbers?.[1] ?? 0;
      lane.held = numbers?.[2] ?? 0;
    }
    if (page.length < PAGE) return sound;
    gte = `${page[page.length - 1]![0]}\0`;
  }
}

/** The lanes that are paused. One that cannot be read stays paused: better mail that waits than mail that must not go. */
export async function readPauses(ledger: Ledger): Promise<void> {
  const PAGE = 10_000;
  for (const lane of [...ledger.lanes.pauses.keys()]) ledger.lanes.pause(lane, undefined);
  let gte = 'q/';
  for (;;) {
    const page = await ledger.store.entries({ gte, lt: `q${AFTER_SLASH}`, limit: PAGE });
    for (const [key, value] of page) {
      const lane = unescapeLane(key.slice(2));
      const pause = unsealJson<Pause>(key, value);
      ledger.lanes.pause(lane, pause ?? { at: 0, reason: 'the record of this pause does not match its checksum' });
      if (pause === undefined)
        ledger.faultOnce({
          code: 'SPOOL_DAMAGED',
          text: `the pause of ${lane} does not match its checksum: it stays paused until it is resumed`,
          lane,
        });
    }
    if (page.length < PAGE) return;
    gte = `${page[page.length - 1]![0]}\0`;
  }
}

export function takeRing(ledger: Ledger, ring: Ring): void {
  // As the store has it: a failed batch that did not land gives its number to the next one, so that there is no gap.
  ledger.batches = ring.batch;
  ledger.sequence = Math.max(ledger.sequence, ring.sequence + SEQUENCE_GAP);
  ledger.messages = ring.messages;
  ledger.historyTime = Math.max(ledger.historyTime, ring.historyTime);
  if (ring.lastId !== undefined && ring.lastId > ledger.lastId) ledger.lastId = ring.lastId;
}

/** The first write of a start: format and epoch. Numbers that were missing are filled in, so that they are told once. */
export async function beginEpoch(store: Store, format: number, epoch: number, ring: Ring): Promise<void> {
  const batch = store.batch();
  batch.put(FORMAT_KEY, sealNumbers(FORMAT_KEY, [format]));
  batch.put(EPOCH_KEY, sealNumbers(EPOCH_KEY, [epoch]));
  for (const number of ring.missing) {
    const key = ringKey(number);
    batch.put(key, seal(key, `${number} ${ring.sequence} ${ring.messages} ${ring.historyTime} ${ring.lastId ?? ''}`));
  }
  await batch.write();
}

const HIGH_WATER = 'high-water';

/**
 * The number of the last durable batch, in a file beside the store, by a plain write after each. LevelDB loses the rest of its
 * log behind a damaged place without a word: a store that is behind this mark has lost batches.
 */
export class HighWater {
  readonly #fd: number;
  readonly #bytes = Buffer.alloc(16);

  constructor(folder: string) {
    this.#fd = fs.openSync(path.join(folder, HIGH_WATER), fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
  }

  /** A mark that cannot be written is only older than it could be. */
  write(batch: number): void {
    this.#bytes.writeDoubleLE(batch, 0);
    this.#bytes.writeDoubleLE(-batch, 8);
    try {
      fs.writeSync(this.#fd, this.#bytes, 0, 16, 0);
    } catch {
      // The disk is full: the store itself is told of by its own writes.
    }
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

/** 0 where there is none that can be trusted. */
export function readHighWater(folder: string): number {
  try {
    const bytes = fs.readFileSync(path.join(folder, HIGH_WATER));
    const number = bytes.length === 16 ? bytes.readDoubleLE(0) : 0;
    return number > 0 && bytes.readDoubleLE(8) === -number ? number : 0;
  } catch {
    return 0;
  }
}
