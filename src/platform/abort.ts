/** The end of something large, for which many small waits listen. */
import { setMaxListeners } from 'node:events';

/** Node takes the eleventh listener of a signal for a leak, and says so on standard error; here there are as many as there are waits. */
export function createBroadAbort(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}
