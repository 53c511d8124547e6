/**
 * The door to an agent in this process, and what of it others may use through its control socket.
 *
 * Must not: start anything but the agent.
 */

import type { Mta, StartOptions } from '../agent.js';
import type { Config } from '../config/config.js';
import { controlVerbs, type VerbOptions } from '../control/verbs.js';
import { startMta } from '../mta.js';
import { systemClock } from '../platform/clock.js';
import { silentLog } from '../platform/log.js';
import { systemRandom } from '../platform/random.js';
import { version } from '../version.js';
import type { Door } from './door.js';
import { letterSender } from './letters.js';
import { sendNow } from './now.js';
import { type TakingOptions, take, within } from './taking.js';
import { fromHead } from './taking-over.js';

/** An agent of ours, and the door to it. */
export interface Home extends Door {
  readonly mta: Mta;
  readonly verbs: ReturnType<typeof controlVerbs>;
}

/** Rejects as `startMta` does. */
export async function openHome(config: Config, world: StartOptions): Promise<Home> {
  const mta = await startMta(config, world);
  const taking = takingOf(mta);
  return {
    mta,
    about: {
      hostname: mta.hostname,
      get maxRecipients() {
        return mta.config.submission.maxRecipients;
      },
      get connectMs() {
        return mta.config.delivery.timeouts.connect;
      },
      get patienceMs() {
        return mta.config.shutdown.timeout;
      },
    },
    verbs: verbsOf(mta, world),
    take: (handed) => take(handed, taking),
    now: (handed) => sendNow(handed, mta.immediate),
    listen: (emit) => void mta.subscribe(emit),
    listening: () => mta.listening(),
    idle: (signal) => mta.idle(signal),
    close: (cut) => mta.close(cut),
  };
}

/** Everything that can be asked of an agent in this process. */
export function verbsOf(mta: Mta, world: Pick<StartOptions, 'clock' | 'random' | 'log'> & Pick<VerbOptions, 'recent'>): Home['verbs'] {
  const { clock = systemClock, random = systemRandom, log = silentLog, recent } = world;
  const taking = takingOf(mta);
  const options: VerbOptions = {
    clock,
    version: version(),
    pid: process.pid,
    get maxMessageSize() {
      return mta.config.spool.maxMessageSize;
    },
    get maxRecipients() {
      return mta.config.submission.maxRecipients;
    },
    get connectMs() {
      return mta.config.delivery.timeouts.connect;
    },
    get readyNeedsRoom() {
      return mta.config.control.readyNeedsRoom;
    },
    handIn: async (request, body, signal) => take(within(request.trace, fromHead(request, body, signal, options)), taking),
    sendNow: async (request, body, signal) => sendNow(fromHead(request, body, signal, options, true), mta.immediate),
    sendLetter: letterSender(mta, clock, random, taking),
    log,
    ...(recent === undefined ? {} : { recent }),
  };
  return controlVerbs(mta, options);
}

function takingOf(mta: Mta): TakingOptions {
  return {
    get maxMessageSizeBytes() {
      return mta.config.spool.maxMessageSize;
    },
    closedFor: (sizeBytes) => mta.spool.closedFor(sizeBytes),
    submit: (envelope) => mta.submit(envelope),
    submitMerge: (envelope) => mta.submitMerge(envelope),
    takeTurn: mta.takeTurn,
  };
}
