/** What goes wrong at a server, and when: drawn once from a seed, so that it is the same whoever asks and however often. */
import type { Random } from '../../src/platform/random.js';

/** Where in a conversation something can go wrong. `knock` is before it: the connection does not come about. */
export const STAGES = ['knock', 'greeting', 'ehlo', 'starttls', 'mail', 'rcpt', 'data', 'dot', 'quit'] as const;
export type Stage = (typeof STAGES)[number];

export type Act =
  | { readonly kind: 'usual' }
  | { readonly kind: 'say'; readonly text: string }
  /** As usual, but late. */
  | { readonly kind: 'late'; readonly ms: number }
  | { readonly kind: 'hang' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'end' }
  /** At a dot: takes the message, and does not come to say so. */
  | { readonly kind: 'takeAnd'; readonly thenTo: 'hang' | 'reset' | 'end' }
  /** At a knock. */
  | { readonly kind: 'refuse' | 'unreachable' };

interface Spell {
  readonly from: number;
  readonly until: number;
  readonly stage: Stage;
  readonly act: Act;
  /** How often it strikes while it lasts. */
  readonly share: number;
}

export interface Weather {
  actAt(stage: Stage): Act;
}

export interface Season {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** From then on all is well. */
  readonly healsAt: number;
  /** Spells of trouble before that. */
  readonly spells: number;
  /** And besides, a share of everything goes wrong. */
  readonly share: number;
}

const USUAL: Act = { kind: 'usual' };

export function drawWeather(random: Random, { now, healsAt, spells, share }: Season): Weather {
  const drawn = Array.from({ length: spells }, () => drawSpell(random, healsAt));
  return {
    actAt(stage) {
      const at = now();
      if (at >= healsAt) return USUAL;
      for (const spell of drawn) {
        if (spell.stage === stage && spell.from <= at && at < spell.until && random.unit() < spell.share) return spell.act;
      }
      return random.unit() < share ? drawAct(random, stage) : USUAL;
    },
  };
}

function drawSpell(random: Random, healsAt: number): Spell {
  const stage = pick(random, STAGES);
  const from = random.unit() * healsAt;
  const until = from + (random.unit() < 0.2 ? healsAt : random.unit() * 30 * 60_000);
  return { from, until, stage, act: drawAct(random, stage), share: pick(random, [1, 1, 0.7, 0.3]) };
}

const TEMPORARY = ['421 4.3.2 closing', '450 4.2.0 not now', '451 4.3.0 come back in 90 seconds', '452 4.3.1 no room'];
const PERMANENT = ['550 5.7.1 no', '554 5.0.0 never', '552 5.2.2 full'];

function drawAct(random: Random, stage: Stage): Act {
  const chance = random.unit();
  if (stage === 'knock') return pick(random, [{ kind: 'refuse' }, { kind: 'unreachable' }, { kind: 'hang' }] as const);
  if (chance < 0.3) return { kind: 'say', text: pick(random, TEMPORARY) };
  if (chance < 0.42) return { kind: 'say', text: pick(random, PERMANENT) };
  if (chance < 0.47) return { kind: 'say', text: pick(random, ['what?', '999 nonsense', '220 hello again', '250-never\r\n450 ended so']) };
  if (chance < 0.6) return { kind: 'late', ms: Math.floor(random.unit() * 120_000) };
  if (chance < 0.7) return { kind: 'hang' };
  if (stage === 'dot' && chance < 0.8) return { kind: 'takeAnd', thenTo: pick(random, ['hang', 'reset', 'end'] as const) };
  return { kind: pick(random, ['reset', 'end'] as const) };
}

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random.unit() * from.length)]!;
}
