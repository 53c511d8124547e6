/**
 * Whether an agent is alive, and whether it is ready, for whoever restarts agents and sends them mail.
 *
 * Alive: a restart would not help. It is asked of a loop that answers, so a loop that is stuck is found by not answering; besides, a store that
 * could not be reopened for a long time may come back with a new process. Ready: it takes mail in now.
 */
import { MtaError } from '../core/errors.js';
import type { HealthReport } from './types.js';
import type { ControlledAgent } from './verbs.js';

/** A store that is away for longer than this will hardly come back by itself. */
const LONG_MS = 10 * 60_000;

/** Throws `SPOOL_FAILED` where a restart may help. */
export function checkAlive({ spool }: ControlledAgent): HealthReport {
  const ms = spool.failingFor();
  if (ms <= LONG_MS) return { spool: ms > 0 ? 'reopening' : 'open' };
  throw new MtaError('SPOOL_FAILED', `the spool could not be reopened for ${Math.round(ms / 60_000)} minutes`);
}

/** Throws `SPOOL_FAILED` or, where `needsRoom`, `SPOOL_FULL`. */
export function checkReady({ spool }: ControlledAgent, needsRoom: boolean): HealthReport {
  const closed = spool.closedFor(0);
  if (closed === 'SPOOL_FAILED') throw new MtaError(closed, 'the spool is being reopened after a failed write');
  if (closed === 'SPOOL_FULL' && needsRoom)
    throw new MtaError(closed, 'no mail is taken in: the disk of the spool has no more free space than spool.minFreeSpace');
  return { spool: closed === undefined ? 'open' : 'full' };
}
