/**
 * Opening a spool: lock, format, counters, journal, then the first batch. Nothing here depends on the depth of the queue.
 */
import fsp from 'node:fs/promises';
import path from 'node:path';
import { Bodies } from './bodies.js';
import {
  beginEpoch,
  checkFormat,
  HighWater,
  type Ring,
  readCounters,
  readEpoch,
  readHighWater,
  readPauses,
  readRing,
  takeRing,
} from './books.js';
import { openJournal } from './journal.js';
import { LaneTable } from './lanes.js';
import { LargeAcceptances } from './large.js';
import { Ledger } from './ledger.js';
import { LevelSpool } from './level-spool.js';
import type { LevelSpoolOptions } from './options.js';
import { readServers } from './own-servers.js';
import { claimSpool, failedToOpen, syncFolder } from './owner.js';
import { recount } from './recount.js';
import { applyJournal } from './recover.js';
import { Space } from './space.js';
import { Tidy } from './tidy.js';

const DEFAULTS = { windowSize: 1000, windowTotal: 20_000, hotBodyBytes: 32 * 1024 * 1024 } as const;

/**
 * Rejects with `SPOOL_LOCKED` (somebody has it; the message says who), `SPOOL_VERSION`, `SPOOL_DAMAGED`, `SPOOL_FAILED`, or
 * `INVALID_OPTIONS` where the folder cannot be used.
 */
export async function openLevelSpool(given: LevelSpoolOptions): Promise<LevelSpool> {
  const options = { ...DEFAULTS, ...given };
  const claim = await claimSpool(options.path, options);
  const { folder, store } = claim;
  try {
    const { format, isNew } = await checkFormat(store, folder);
    if (isNew) await syncFolder(folder);
    const ledger = new Ledger(store, new LaneTable(options), {
      clock: options.clock,
      log: options.log,
      hotBodyBytes: options.hotBodyBytes,
      keepHistory: options.historyRetentionMs > 0,
    });
    ledger.format = format;
    const ring = await readRing(store);
    takeRing(ledger, ring);
    const whole = checkRing(ledger, ring, folder);
    await readPauses(ledger);
    await readServers(ledger);
    const counted = await readCounters(ledger);
    if (!whole || !counted) await recount(ledger);
    const epoch = (await readEpoch(store)) + 1;
    await beginEpoch(store, format, epoch, ring);
    const files = options.fs ?? fsp;
    const bodyFolder = path.join(folder, 'bodies');
    await fsp.mkdir(bodyFolder, { recursive: true, mode: 0o700 });
    const space = new Space({
      folder,
      fs: files,
      clock: options.clock,
      minFreeBytes: options.minFreeBytes,
      told(full) {
        tellRoom(ledger, full);
        if (full) spool.makeRoom();
      },
    });
    const bodies = new Bodies({
      folder: bodyFolder,
      epoch,
      inlineLimitBytes: options.inlineLimitBytes,
      keepBytes: options.hotBodyBytes,
      fs: files,
      wrote: (bytes) => space.wrote(bytes),
    });
    const settled = await applyJournal(ledger, folder, (place) => bodies.remove(place));
    if (settled > 0) options.log.info('spool.journal', { deliveries: settled }, 'settled what the journal knew to be delivered');
    ledger.lanes.reveal();
    await space.measure();
    const tidy = new Tidy(ledger, bodies, space, {
      folder,
      epoch,
      historyRetentionMs: options.historyRetentionMs,
      historyMaxBytes: options.historyMaxBytes,
    });
    const large = new LargeAcceptances(ledger);
    await large.prepare();
    const spool: LevelSpool = new LevelSpool({
      folder,
      ledger,
      bodies,
      large,
      space,
      journal: openJournal(folder),
      highWater: new HighWater(folder),
      reopen: claim.reopen,
      tidy,
      release: () => claim.release(ledger.store),
    });
    spool.start();
    return spool;
  } catch (error) {
    await claim.release(store);
    throw failedToOpen(folder, error);
  }
}

/** False: batches that should be there are not (G9). */
function checkRing(ledger: Ledger, ring: Ring, folder: string): boolean {
  const mark = readHighWater(folder);
  const lost = mark > ring.batch ? mark - ring.batch : 0;
  if (ring.missing.length === 0 && lost === 0) return true;
  const what = [
    ...(ring.missing.length > 0 ? [`${ring.missing.length} batches before number ${ring.batch} are missing`] : []),
    ...(lost > 0 ? [`the last ${lost} batches, which were durable, are missing`] : []),
  ];
  ledger.fault({
    code: 'SPOOL_DAMAGED',
    text: `the spool ${folder} is damaged: ${what.join(', and ')}; mail accepted in them may be lost: run \`riata spool check\``,
  });
  return false;
}

function tellRoom(ledger: Ledger, full: boolean): void {
  const text = 'the disk of the spool has no more free space than spool.minFreeSpace: no new mail is taken in';
  if (full) ledger.fault({ code: 'SPOOL_FULL', text });
  else ledger.log.info('spool.room', {}, 'the disk of the spool has room again: mail is taken in');
}
