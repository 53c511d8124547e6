/**
 * Moving a spool that no agent has: out of it into an archive, out of an archive into it.
 *
 * Promises: an export changes nothing; an import adds what the spool does not know, each message whole or not at all, and can be
 * repeated after whatever interrupted it.
 */
import fsp from 'node:fs/promises';
import path from 'node:path';
import { MtaError } from '../../core/errors.js';
import type { Clock } from '../../platform/clock.js';
import { type Log, silentLog } from '../../platform/log.js';
import { readArchive, writeArchive } from '../archive.js';
import { countPiece, type Loss, type MovedCounts, noneMoved, type Piece } from '../moving.js';
import { Batch, type Operation } from './batch.js';
import { Bodies } from './bodies.js';
import { beginEpoch, checkFormat, HighWater, readCounters, readEpoch, readHighWater, readRing, takeRing } from './books.js';
import { AFTER_SLASH } from './keys.js';
import { LaneTable } from './lanes.js';
import { LargeAcceptances } from './large.js';
import { Ledger } from './ledger.js';
import { type Claim, claimSpool, syncFolder } from './owner.js';
import { claimForReading } from './reading.js';
import { Rebuild, type RebuildOptions } from './rebuild.js';
import { Salvage } from './salvage.js';
import type { Store } from './store.js';

export interface MoveOptions {
  readonly clock: Clock;
  readonly lost: (loss: Loss) => void;
  readonly progress: (counts: Readonly<MovedCounts>) => void;
}

/** The octets of an archive. Throws `NOT_FOUND`, `SPOOL_LOCKED`, `SPOOL_VERSION`, `SPOOL_DAMAGED`; damage to a part of it goes to `lost`. */
export async function* exportSpool(given: string, options: MoveOptions): AsyncGenerator<Buffer> {
  const { clock, lost, progress } = options;
  const claim = await claimForReading(given, clock);
  const { store, folder } = claim;
  try {
    await checkFormat(store, folder);
    const gap = await missingBatches(store, folder);
    if (gap !== undefined) lost({ text: gap });
    yield* writeArchive(counted(new Salvage({ store, folder, now: clock.now(), lost }).pieces(), progress));
  } finally {
    await claim.release(store);
  }
}

async function* counted(pieces: AsyncIterable<Piece>, progress: MoveOptions['progress']): AsyncGenerator<Piece> {
  const counts = noneMoved();
  for await (const piece of pieces) {
    countPiece(counts, piece);
    progress(counts);
    yield piece;
  }
}

/** In words, where durable batches are gone: what was in them cannot be known. */
export async function missingBatches(store: Store, folder: string): Promise<string | undefined> {
  const ring = await readRing(store);
  const missing = ring.missing.length + Math.max(0, readHighWater(folder) - ring.batch);
  return missing === 0 ? undefined : `${missing} durable batches are missing: mail accepted in them is lost`;
}

export interface ImportOptions extends MoveOptions {
  /** Bodies above this go to files. */
  readonly inlineLimitBytes: number;
  readonly known: RebuildOptions['known'];
  /** Told what an agent would log: that the format of the store is about to be raised. */
  readonly log: Log;
}

/**
 * Rejects with `SPOOL_LOCKED`, `SPOOL_VERSION`, `INVALID_OPTIONS` (the folder), and `SPOOL_DAMAGED` where the spool or the archive is: what
 * came whole before that has been taken, and is not taken again.
 */
export async function importSpool(given: string, octets: AsyncIterable<Buffer>, options: ImportOptions): Promise<MovedCounts> {
  const { clock, lost, known, progress } = options;
  const claim = await claimSpool(given, { clock });
  const { folder, store } = claim;
  const highWater = new HighWater(folder);
  try {
    const { ledger, bodies, fresh } = await openToWrite(claim, highWater, options);
    const rebuild = new Rebuild({ ledger, bodies, durable: (batch) => highWater.write(batch), fresh, lost, known, progress });
    await rebuild.take(readArchive(octets));
    return rebuild.counts;
  } catch (error) {
    if (error instanceof MtaError) throw error;
    throw new MtaError('SPOOL_FAILED', `the import has stopped: ${(error as Error).message}; repeat it to go on from there`, {
      cause: error,
    });
  } finally {
    highWater.close();
    await claim.release(store);
  }
}

async function openToWrite({ folder, store }: Claim, highWater: HighWater, { clock, inlineLimitBytes, log }: ImportOptions) {
  const { format, isNew } = await checkFormat(store, folder);
  if (isNew) await syncFolder(folder);
  const gap = await missingBatches(store, folder);
  if (gap !== undefined) throw new MtaError('SPOOL_DAMAGED', `the spool ${folder} is damaged: ${gap}; run \`riata spool repair\` first`);
  const ledger = bookkeeping(store, clock, log);
  ledger.format = format;
  const ring = await readRing(store);
  takeRing(ledger, ring);
  await readCounters(ledger);
  const epoch = (await readEpoch(store)) + 1;
  await beginEpoch(store, format, epoch, ring);
  const bodyFolder = path.join(folder, 'bodies');
  await fsp.mkdir(bodyFolder, { recursive: true, mode: 0o700 });
  const bodies = new Bodies({ folder: bodyFolder, epoch, inlineLimitBytes, fs: fsp });
  await finishLarge(ledger, highWater);
  return { ledger, bodies, fresh: await isEmpty(store) };
}

/** The books of a store in which nothing is sent: no windows, no history of its own. */
export function bookkeeping(store: Store, clock: Clock, log = silentLog): Ledger {
  const lanes = new LaneTable({ windowSize: 0, windowTotal: 0, promoteAfterMs: Number.POSITIVE_INFINITY });
  return new Ledger(store, lanes, { clock, log, hotBodyBytes: 0, keepHistory: true });
}

/** What an import, or an agent, was interrupted in. */
async function finishLarge(ledger: Ledger, highWater: HighWater): Promise<void> {
  let writing = Promise.resolve();
  const write = async (operation: Operation): Promise<void> => {
    const batch = new Batch(ledger.store, ledger.batches + 1, ledger.clock.now());
    operation.build(batch);
    ledger.batches = batch.number;
    try {
      await batch.finish(ledger);
    } catch (error) {
      operation.failed(error as Error, true);
      return;
    }
    ledger.landed();
    highWater.write(batch.number);
    operation.committed();
  };
  ledger.submit = (operation) => void (writing = writing.then(() => write(operation)));
  const large = new LargeAcceptances(ledger);
  await large.prepare();
  await large.resume();
}

async function isEmpty(store: Store): Promise<boolean> {
  for (const letter of ['d', 'h', 'i', 'k', 'n', 'q', 's']) {
    const [key] = await store.keys({ gte: `${letter}/`, lt: `${letter}${AFTER_SLASH}`, limit: 1 });
    if (key !== undefined) return false;
  }
  return true;
}
