/** `send` for those who reach an agent over its control API: the same options, read and taken in as those of a program of its own. */

import type { Mta } from '../agent.js';
import { createComposer } from '../compose/compose.js';
import type { SendLetter } from '../control/letter.js';
import type { TraceContext } from '../core/message.js';
import type { Clock } from '../platform/clock.js';
import type { Random } from '../platform/random.js';
import { createHandIn, type SendOptions } from './hand-in.js';
import { type TakingOptions, take, within } from './taking.js';

/** Options are judged as they come; what is wrong with them rejects as `send` of the API does. */
export function letterSender(mta: Mta, clock: Clock, random: Random, taking: TakingOptions): SendLetter {
  const composer = createComposer({ now: () => clock.now(), random, hostname: mta.hostname });
  const handInWithin = (trace: TraceContext | undefined) =>
    createHandIn({
      composer,
      clock,
      get maxRecipients() {
        return mta.config.submission.maxRecipients;
      },
      take: (handed) => take(within(trace, handed), taking),
    });
  return async (options, trace) => {
    const { id, messageId, recipients, size } = await handInWithin(trace).send(options as unknown as SendOptions);
    return { id, messageId, recipients, sizeBytes: size };
  };
}
