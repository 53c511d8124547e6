/**
 * The door to an agent in this process.
 *
 * Must not: start anything. What it stands before was started by `createMta`.
 */
import type { Config } from '../config/config.js';
import { controlVerbs } from '../control/verbs.js';
import type { Emit } from '../core/event.js';
import { type Mta, type StartOptions, startMta } from '../mta.js';
import { systemClock } from '../platform/clock.js';
import { silentLog } from '../platform/log.js';
import { version } from '../version.js';
import type { Door } from './door.js';
import { take } from './taking.js';

/** An agent of ours, and the door to it. */
export interface Home extends Door {
  readonly mta: Mta;
  readonly verbs: ReturnType<typeof controlVerbs>;
}

/** Rejects as `startMta` does. */
export async function openHome(config: Config, world: StartOptions): Promise<Home> {
  let emit: Emit = () => {};
  const mta = await startMta(config, {
    ...world,
    onEvent(event) {
      world.onEvent?.(event);
      emit(event);
    },
  });
  const { clock = systemClock, log = silentLog } = world;
  const { maxMessageSize } = config.spool;
  const { maxRecipients } = config.submission;
  const connectMs = config.delivery.timeouts.connect;
  const taking = {
    maxMessageSizeBytes: maxMessageSize,
    closedFor: (sizeBytes: number) => mta.spool.closedFor(sizeBytes),
    submit: (envelope: Parameters<Mta['submit']>[0]) => mta.submit(envelope),
    submitMerge: (envelope: Parameters<Mta['submitMerge']>[0]) => mta.submitMerge(envelope),
    takeTurn: mta.takeTurn,
  };
  return {
    mta,
    about: { hostname: config.hostname, maxRecipients, connectMs, patienceMs: config.shutdown.timeout },
    verbs: controlVerbs(mta, { clock, version: version(), pid: process.pid, maxMessageSize, maxRecipients, log }),
    take: (handed) => take(handed, taking),
    listen(call) {
      emit = call;
    },
    listening: () => mta.listening(),
    idle: (signal) => mta.idle(signal),
    close: () => mta.close(),
  };
}
