/**
 * Opening a spool only to look, where no agent runs. LevelDB knows no reading without the lock, so an agent that starts meanwhile
 * waits some seconds. Nothing is changed: what is due is not promoted, and the journal is left for the next start.
 */
import fsp from 'node:fs/promises';
import path from 'node:path';
import { MtaError } from '../../core/errors.js';
import { type Clock, systemClock } from '../../platform/clock.js';
import { silentLog } from '../../platform/log.js';
import type { Spool } from '../spool.js';
import { Bodies } from './bodies.js';
import { checkFormat, readCounters, readPauses, readRing, takeRing } from './books.js';
import { LaneTable } from './lanes.js';
import { Ledger } from './ledger.js';
import { Looking } from './looking.js';
import { type Claim, claimSpool } from './owner.js';

export type ReadingSpool = Pick<
  Spool,
  'inspect' | 'copy' | 'list' | 'messages' | 'history' | 'laneCounts' | 'pauses' | 'counts' | 'readBody' | 'close'
>;

/** The lock on a spool that is there: `NOT_FOUND` where there is none, else what `openLevelSpool` rejects with. */
export async function claimForReading(folder: string, clock: Clock): Promise<Claim> {
  const there = await fsp.stat(path.join(folder, 'store')).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw new MtaError('SPOOL_FAILED', `the spool ${folder} cannot be read: ${error.message}`, { cause: error });
  });
  if (!there) throw new MtaError('NOT_FOUND', `there is no spool in ${folder}`);
  return claimSpool(folder, { clock, reading: true });
}

export async function openLevelSpoolForReading(given: string, clock: Clock = systemClock): Promise<ReadingSpool> {
  const claim = await claimForReading(given, clock);
  const { folder, store } = claim;
  try {
    await checkFormat(store, folder);
    const lanes = new LaneTable({ windowSize: 0, windowTotal: 0, promoteAfterMs: Number.POSITIVE_INFINITY });
    const ledger = new Ledger(store, lanes, { clock, log: silentLog, hotBodyBytes: 0, keepHistory: true });
    takeRing(ledger, await readRing(store));
    await readPauses(ledger);
    await readCounters(ledger);
    const bodies = new Bodies({ folder: path.join(folder, 'bodies'), epoch: 0, inlineLimitBytes: 0, fs: fsp });
    const looking = new Looking(ledger, bodies);
    return {
      inspect: (id, page) => looking.inspect(id, page),
      copy: (key) => looking.copy(key),
      list: (query, page) => looking.list(query, page),
      messages: (query, page) => looking.messages(query, page),
      history: (page) => looking.history(page),
      readBody: (id) => looking.readBody(id),
      laneCounts: () => lanes.counts(),
      pauses: () => lanes.pauses,
      counts: () => ({ messages: ledger.messages, ...lanes.totals(), sending: 0, lanes: lanes.size }),
      close: () => claim.release(store),
    };
  } catch (error) {
    await claim.release(store);
    throw error;
  }
}
