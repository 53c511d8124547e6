/** Somebody with a key: holds and releases, hurries, puts off, gives up, removes; pauses a lane for a while. */

import type { Mta } from '../../src/agent.js';
import { splitDeliveryKey } from '../../src/core/delivery.js';
import type { Clock } from '../../src/platform/clock.js';
import type { Random } from '../../src/platform/random.js';
import type { MemoryDisk } from '../../src/spool/memory.js';
import { pick } from './weather.js';
import type { Witness } from './witness.js';

const MINUTE = 60_000;
const WHILE_MS = 10 * MINUTE;
const ACTS = ['remove', 'retryNow', 'hold', 'reschedule', 'fail', 'pause'] as const;

/** An agent that runs, and its disk. */
interface Running {
  readonly mta: Mta;
  readonly disk: MemoryDisk;
  readonly over: boolean;
}

export interface OperatorOptions {
  readonly random: Random;
  readonly clock: Clock;
  readonly witness: Witness;
  readonly trace: string[];
  /** Lanes that he has paused and not resumed yet. */
  readonly paused: Set<string>;
  /** Undefined while none runs. */
  readonly running: () => Running | undefined;
}

/** Does something to something, and takes it back later where it must not last. */
export async function meddle(options: OperatorOptions): Promise<void> {
  const { random, clock, witness, trace } = options;
  const life = options.running();
  const items = [...(life?.disk.items.values() ?? [])];
  if (life === undefined || items.length === 0) return;
  const { key, lane, message, recipients } = pick(random, items).delivery;
  const act = pick(random, ACTS);
  trace.push(`${clock.monotonic()} ${act} ${act === 'pause' ? lane : splitDeliveryKey(key).id}`);
  try {
    if (act === 'pause') return await pause(options, life, lane);
    witness.meddled(recipients.map(({ address }) => address));
    const listed = (await life.mta.spool.list({ ids: [message.id] }, { limit: 100 })).items.find(({ delivery }) => delivery.key === key);
    if (listed === undefined) return;
    if (act === 'fail') await life.mta.operate(listed, { kind: act, reason: 'an operator' });
    else if (act === 'reschedule') await life.mta.operate(listed, { kind: act, due: clock.now() + WHILE_MS });
    else await life.mta.operate(listed, { kind: act });
  } catch {
    // The agent was killed, or its disk fails: whether it was done shows.
  }
  if (act === 'hold') later(options, ({ mta }) => mta.spool.change(key, { kind: 'release' }));
}

/**
 * What waits there now must not be tried before the lane is resumed; what is on its way goes on. Where the agent died of it or its disk
 * failed, the lane may be paused all the same: it is resumed in any case, and not paused again before that.
 */
async function pause(options: OperatorOptions, life: Running, lane: string): Promise<void> {
  const { witness, paused } = options;
  if (paused.has(lane)) return;
  paused.add(lane);
  const addresses = () =>
    [...life.disk.items.values()]
      .filter((item) => item.delivery.lane === lane && item.token === 0)
      .flatMap(({ delivery }) => delivery.recipients.map((one) => one.address));
  let waiting = addresses();
  witness.paused(waiting, false);
  try {
    await life.mta.pauseLane(lane, 'an operator');
    if (!life.over) {
      waiting = addresses();
      witness.paused(waiting, true);
    }
  } finally {
    later(options, async ({ mta }) => {
      witness.paused(waiting, false);
      await mta.resumeLane(lane);
      paused.delete(lane);
    });
  }
}

function later(options: OperatorOptions, call: (life: Running) => Promise<unknown>): void {
  options.clock.after(WHILE_MS, () => {
    const life = options.running();
    if (life === undefined) later(options, call);
    else
      call(life).catch(() => {
        later(options, call);
      });
  });
}
