/**
 * Work that is done now and then, by the wall clock: node-cron's. Not for mail: nothing is lost if a run is missed.
 *
 *   begun ──a minute──► scheduled ──stop──► over
 *
 * What keeps the time is loaded when the process has lived for a minute: it is no part of a start that others wait for, and who ends before
 * has no need of it.
 */
import type { Log } from './log.js';

export interface Housekeeping {
  stop(): Promise<void>;
}

const FIRST_MS = 60_000;

/**
 * Calls `work` by the cron expression (minute hour day month weekday); a run that is still under way is not joined by
 * another. What it rejects with is logged, and it is called again next time.
 */
export function keepHouse(expression: string, name: string, work: () => Promise<void>, log: Log, firstMs = FIRST_MS): Housekeeping {
  const failed = (error: unknown) =>
    log.error('housekeeping.failed', { work: name, error: error instanceof Error ? error.message : String(error) });
  const run = () => work().catch(failed);
  let scheduled: Promise<{ destroy(): unknown } | undefined> | undefined;
  const timer = setTimeout(() => {
    scheduled = schedule(expression, name, run, log).catch((error: unknown) => void failed(error));
  }, firstMs);
  timer.unref();
  return {
    async stop() {
      clearTimeout(timer);
      await (await scheduled)?.destroy();
    },
  };
}

async function schedule(expression: string, name: string, run: () => Promise<void>, log: Log): Promise<{ destroy(): unknown }> {
  const { default: cron } = await import('node-cron');
  // node-cron writes to the console by itself: all of it goes where our lines go.
  cron.setLogger({
    info: (text) => log.debug('housekeeping.info', { work: name }, text),
    warn: (text) => log.warn('housekeeping.warning', { work: name }, text),
    error: (text) => log.error('housekeeping.error', { work: name }, text instanceof Error ? text.message : text),
    debug: () => {},
  });
  return cron.schedule(expression, run, { name, noOverlap: true });
}
