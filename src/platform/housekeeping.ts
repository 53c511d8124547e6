/** Work that is done now and then, by the wall clock: node-cron's. Not for mail: nothing is lost if a run is missed. */
import cron from 'node-cron';
import type { Log } from './log.js';

export interface Housekeeping {
  stop(): Promise<void>;
}

/**
 * Calls `work` by the cron expression (minute hour day month weekday); a run that is still under way is not joined by
 * another. What it rejects with is logged, and it is called again next time.
 */
export function keepHouse(expression: string, name: string, work: () => Promise<void>, log: Log): Housekeeping {
  const run = async () => {
    try {
      await work();
    } catch (error) {
      log.error('housekeeping.failed', { work: name, error: error instanceof Error ? error.message : String(error) });
    }
  };
  // node-cron writes to the console by itself: all of it goes where our lines go.
  cron.setLogger({
    info: (text) => log.debug('housekeeping.info', { work: name }, text),
    warn: (text) => log.warn('housekeeping.warning', { work: name }, text),
    error: (text) => log.error('housekeeping.error', { work: name }, text instanceof Error ? text.message : text),
    debug: () => {},
  });
  const task = cron.schedule(expression, run, { name, noOverlap: true });
  return { stop: async () => void (await task.destroy()) };
}
