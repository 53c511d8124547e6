/**
 * Repair: what can be verified of a damaged spool goes into a new store, with new indexes and counters, and that takes the place of the
 * old one. Nothing of the old one is deleted: it is kept in `damaged-<time>/`, and contents whose records are gone in `lost/`.
 *
 *   open, or a copy put in order by LevelDB's own repair ──► salvage ──► `store.new` ──► checked in place of `store`
 *
 * Promises: until the exchange, which is a few renames at the end, the spool is as it was; what cannot be saved is told, each with those
 * whom it concerns as far as that is known.
 */
import fsp from 'node:fs/promises';
import path from 'node:path';
import { MtaError } from '../../core/errors.js';
import type { Clock } from '../../platform/clock.js';
import { type Loss, type MovedCounts, noneMoved } from '../moving.js';
import { Batch } from './batch.js';
import { Bodies } from './bodies.js';
import { beginEpoch, FORMAT, readEpoch, readFormat, readRing, takeRing } from './books.js';
import { checkSpool } from './check.js';
import { unsealBody } from './codec.js';
import { JOURNAL_FILES } from './journal.js';
import { bodyKey } from './keys.js';
import type { Ledger } from './ledger.js';
import { bookkeeping, type MoveOptions, missingBatches } from './moves.js';
import { claimForReading } from './reading.js';
import { Rebuild } from './rebuild.js';
import { envelopeOf, type Orphan, Salvage } from './salvage.js';
import { openLevelStore, repairLevelStore, type Store } from './store.js';

export interface RepairReport {
  /** Nothing was wrong, and nothing was changed. */
  readonly sound: boolean;
  readonly saved: MovedCounts;
  /** Folder in which the damaged store is kept. */
  readonly kept?: string;
  /** Contents without a record, in `lost/`. */
  readonly contentsKept: number;
}

/** Rejects with `NOT_FOUND`, `SPOOL_LOCKED`, `SPOOL_VERSION`, `SPOOL_FAILED`. */
export async function repairSpool(given: string, options: MoveOptions): Promise<RepairReport> {
  if (await isSound(given, options)) return { sound: true, saved: noneMoved(), contentsKept: 0 };
  const source = await openDamaged(given, options);
  try {
    return await rebuild(source, options);
  } finally {
    await source.close();
    for (const name of ['store.new', 'store.salvage']) await fsp.rm(path.join(source.folder, name), { recursive: true, force: true });
  }
}

async function isSound(given: string, { clock }: MoveOptions): Promise<boolean> {
  try {
    return (await checkSpool(given, { clock })).problemCount === 0;
  } catch (error) {
    if (error instanceof MtaError && ['NOT_FOUND', 'SPOOL_LOCKED', 'SPOOL_VERSION', 'INVALID_OPTIONS'].includes(error.code)) throw error;
    return false;
  }
}

// — the damaged store —

interface Source {
  readonly store: Store;
  readonly folder: string;
  close(): Promise<void>;
}

/** Itself, if it can be read from end to end; else a copy that LevelDB has put in order. */
async function openDamaged(given: string, { clock, lost }: MoveOptions): Promise<Source> {
  try {
    const claim = await claimForReading(given, clock);
    const close = () => claim.release(claim.store);
    try {
      await readThrough(claim.store);
      return { store: claim.store, folder: claim.folder, close };
    } catch {
      await close();
    }
  } catch (error) {
    if (error instanceof MtaError && error.code !== 'SPOOL_FAILED' && error.code !== 'SPOOL_DAMAGED') throw error;
  }
  const folder = await fsp.realpath(given);
  const copy = path.join(folder, 'store.salvage');
  await fsp.rm(copy, { recursive: true, force: true });
  await fsp.cp(path.join(folder, 'store'), copy, { recursive: true });
  try {
    await repairLevelStore(copy);
    const store = await openLevelStore(copy);
    await readThrough(store);
    lost({ text: 'the store itself was damaged: what LevelDB left out when it put its files in order cannot be named' });
    return { store, folder, close: () => store.close() };
  } catch (error) {
    throw new MtaError('SPOOL_FAILED', `nothing can be read of the store in ${folder}: ${(error as Error).message}`, { cause: error });
  }
}

/** Every value of it, which LevelDB verifies only as far as it has to decompress it. */
async function readThrough(store: Store): Promise<void> {
  const PAGE = 2000;
  for (let gte = ' '; ; ) {
    const page = await store.entries({ gte, lt: '~', limit: PAGE });
    if (page.length < PAGE) return;
    gte = `${page[page.length - 1]![0]}\0`;
  }
}

// — the new one —

async function rebuild({ store, folder }: Source, options: MoveOptions): Promise<RepairReport> {
  const { clock, lost } = options;
  await refuseNewer(store, folder);
  const gap = await missingBatches(store, folder);
  if (gap !== undefined) lost({ text: gap });
  const fresh = path.join(folder, 'store.new');
  await fsp.rm(fresh, { recursive: true, force: true });
  const into = await openLevelStore(fresh);
  let saved: MovedCounts;
  const salvage = new Salvage({ store, folder, now: clock.now(), lost, filesStay: true });
  try {
    saved = await fill(into, store, folder, salvage, options);
  } finally {
    await into.close();
  }
  const orphans: Orphan[] = [];
  for await (const orphan of salvage.orphans()) orphans.push(orphan);
  if (orphans.length > 0) await fsp.mkdir(path.join(folder, 'lost'), { recursive: true, mode: 0o700 });
  let contentsKept = 0;
  for (const orphan of orphans) if (await keepOrphan(store, folder, orphan, lost)) contentsKept++;
  const kept = await exchange(folder, clock);
  // Files last: as long as the old store is the spool's, they may be its own.
  for (const { id, place } of orphans)
    if (place !== undefined) await fsp.rename(path.join(folder, 'bodies', place), path.join(folder, 'lost', id));
  return { sound: false, saved, contentsKept, kept };
}

async function refuseNewer(store: Store, folder: string): Promise<void> {
  const format = await readFormat(store);
  if (format !== undefined && format > FORMAT)
    throw new MtaError('SPOOL_VERSION', `the spool ${folder} has format ${format}, and this release repairs up to ${FORMAT}`);
}

async function fill(into: Store, old: Store, folder: string, salvage: Salvage, options: MoveOptions): Promise<MovedCounts> {
  const { clock, lost, progress } = options;
  const ring = await readRing(old);
  const ledger: Ledger = bookkeeping(into, clock);
  takeRing(ledger, ring);
  Object.assign(ledger, { batches: 0, messages: 0 });
  // Files of contents stay where they are: the sweep of orphans looks only at epochs before its own.
  const epoch = Math.max(await readEpoch(old), ...(await epochs(folder))) + 1;
  await beginEpoch(into, ledger.format, epoch, { ...ring, missing: [] });
  const bodies = new Bodies({ folder: path.join(folder, 'bodies'), epoch, inlineLimitBytes: Number.POSITIVE_INFINITY, fs: fsp });
  const rebuild = new Rebuild({ ledger, bodies, durable: () => {}, fresh: true, lost, known: () => {}, progress });
  await rebuild.take(salvage.pieces());
  // Also where nothing was saved: the greatest id stays known.
  const last = new Batch(into, ledger.batches + 1, clock.now());
  await last.finish(ledger);
  return rebuild.counts;
}

async function epochs(folder: string): Promise<number[]> {
  const names = await fsp.readdir(path.join(folder, 'bodies')).catch(() => []);
  return names.map(Number).filter(Number.isInteger);
}

// — the rest —

/** Tells of it; a content that is in the store is written to `lost/` now. False: it is damaged as well. */
async function keepOrphan(store: Store, folder: string, { id, place }: Orphan, lost: (loss: Loss) => void): Promise<boolean> {
  if (place !== undefined) {
    const about = await envelopeOf(path.join(folder, 'bodies', place));
    lost({ text: `the record of message ${id} is gone; its content is kept in lost/${id}`, id, ...about });
    return true;
  }
  const key = bodyKey(id);
  const value = await store.getBytes(key);
  const body = value && unsealBody(key, value);
  const content = body ? `is kept in lost/${id}.eml` : 'does not match its checksum either';
  lost({ text: `the record of message ${id} is gone; its content ${content}`, id });
  if (body) await fsp.writeFile(path.join(folder, 'lost', `${id}.eml`), body, { mode: 0o600 });
  return body !== undefined;
}

/** Returns the folder in which the old one is kept. */
async function exchange(folder: string, clock: Clock): Promise<string> {
  const stamp = new Date(clock.now()).toISOString().replace(/[-:]|\.\d+/g, '');
  const kept = path.join(folder, `damaged-${stamp}`);
  await fsp.mkdir(kept, { mode: 0o700 });
  // The mark of durable batches first: the new store counts them anew. Notes of the journal are in it already, and fit no record of it.
  await move(folder, kept, 'high-water');
  await move(folder, kept, 'store');
  await fsp.rename(path.join(folder, 'store.new'), path.join(folder, 'store'));
  for (const name of JOURNAL_FILES) await move(folder, kept, name);
  return kept;
}

async function move(from: string, to: string, name: string): Promise<void> {
  await fsp.rename(path.join(from, name), path.join(to, name)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
