/**
 * The reading verbs on a spool at rest, opened by ourselves because no agent runs.
 *
 * Must not: open a spool that belongs to another user. The store writes files of its own even when it is only
 * read, and root's would be closed to the agent afterwards.
 */
import { stat } from 'node:fs/promises';
import { MtaError } from '../core/errors.js';
import { systemClock } from '../platform/clock.js';
import { openLevelSpoolForReading } from '../spool/level/reading.js';
import { readingOnly } from './reading.js';
import type { ReadingVerbs } from './types.js';

/** Rejects with `NOT_RUNNING` (there is no spool, or it is another's), or with what opening it has against it. */
export async function openAtRest(spoolPath: string): Promise<ReadingVerbs> {
  await mayOpen(spoolPath);
  return readingOnly(await openLevelSpoolForReading(spoolPath), systemClock);
}

/** Rejects where there is no spool, or it is not for this user to open. */
export async function mayOpen(spoolPath: string): Promise<void> {
  const there = await stat(spoolPath).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') throw new MtaError('NOT_RUNNING', `no agent runs on ${spoolPath}, and there is no spool`);
    throw new MtaError('NOT_RUNNING', `no agent runs on ${spoolPath}, and it cannot be looked at: ${cause.message}`, { cause });
  });
  const us = process.getuid?.();
  if (us === undefined || there.uid === us) return;
  const cause = Object.assign(new Error('not the owner'), { code: 'EACCES' });
  const message = `no agent runs on ${spoolPath}, and only its owner, user ${there.uid}, may open it: run this as that user`;
  throw new MtaError('NOT_RUNNING', message, { cause });
}
