/** `compose` for whoever has no agent at hand: with the machine's clock, randomness and name. */
import { hostname } from 'node:os';
import { type Compose, type Composer, createComposer } from '../compose/compose.js';
import type { ComposeOptions } from '../compose/options.js';
import { systemClock } from '../platform/clock.js';
import { systemRandom } from '../platform/random.js';

let composer: Composer | undefined;

/**
 * A message, or without `to`, `from` and `subject` a part of one. Throws `MtaError` with an issue for each option that is wrong.
 * Nothing is read before its content is asked for, and nothing is sent.
 */
export function compose(options: ComposeOptions): Compose {
  composer ??= createComposer({ now: systemClock.now, random: systemRandom, hostname: hostname() });
  return composer.compose(options);
}
