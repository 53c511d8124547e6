/** Wrong tokens are answered slowly (`platform/tries.ts`), told in the log, and where there are too many, with 429. Sessions, which are not guessed, do not come here. */
import type { Clock } from '../../platform/clock.js';
import type { Log } from '../../platform/log.js';
import { createTries as triesOf } from '../../platform/tries.js';
import { HttpError } from '../problem.js';

export interface Tries {
  /** Resolves with what `right` says: at once if true, late if not. Rejects with 429 where it is not even asked. */
  judge(address: string, right: () => boolean): Promise<boolean>;
  /** Wrong tokens since the start. */
  denied(): number;
}

export function createTries(clock: Pick<Clock, 'monotonic' | 'after'>, log: Log): Tries {
  const tries = triesOf(clock, (address, wrong) =>
    log.warn('control.denied', { address, wrong }, `a wrong token from ${address}, number ${wrong} of late`),
  );
  return {
    denied: tries.denied,
    async judge(address, right) {
      const answer = await tries.judge(address, right);
      if (answer === 'tooMany') throw tooMany();
      return answer;
    },
  };
}

function tooMany(): HttpError {
  return new HttpError(429, 'Too many tries', 'too many wrong tokens are being answered: wait, and try again', {
    'retry-after': '8',
    connection: 'close',
  });
}
