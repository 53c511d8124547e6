/**
 * Wrong passwords and tokens are answered slowly, more slowly each time, by the address they come from. While some of one address are
 * waiting for their answer, further ones of that address are not even looked at: so guessing has a rate, however many connections do it.
 *
 * Promises: a right one is never made to wait; memory and waits are bounded. A busy guesser behind the same address as somebody
 * honest can lock out both.
 */
import { isIPv6 } from 'node:net';
import type { Clock } from './clock.js';

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8_000;
/** Answers kept waiting: of one address, and of all. */
const MOST_WAITING = 4;
const MOST_WAITING_IN_ALL = 64;
/** After so long without a wrong one, an address is as good as new. */
const FORGET_MS = 15 * 60_000;
const MOST_ADDRESSES = 1_000;

interface Record {
  wrong: number;
  waiting: number;
  lastAt: number;
}

export interface Tries {
  /** Resolves with what `right` says: at once if true, late if not. `tooMany`: it was not even asked. */
  judge(address: string, right: () => boolean | Promise<boolean>): Promise<boolean | 'tooMany'>;
  /** Wrong ones since the start. */
  denied(): number;
}

/** `onWrong`: told of each wrong one, before its wait; `wrong` counts those of its address of late. */
export function createTries(clock: Pick<Clock, 'monotonic' | 'after'>, onWrong: (address: string, wrong: number) => void): Tries {
  const known = new Map<string, Record>();
  let waitingInAll = 0;
  let denied = 0;

  const recordOf = (source: string): Record => {
    const now = clock.monotonic();
    let record = known.get(source);
    if (record === undefined || (record.waiting === 0 && now - record.lastAt > FORGET_MS)) record = { wrong: 0, waiting: 0, lastAt: now };
    // To the end of the map: what stands first was seen longest ago.
    known.delete(source);
    known.set(source, record);
    if (known.size > MOST_ADDRESSES) known.delete(known.keys().next().value!);
    return record;
  };

  return {
    denied: () => denied,
    async judge(address, right) {
      const source = sourceOf(address);
      if ((known.get(source)?.waiting ?? 0) >= MOST_WAITING || waitingInAll >= MOST_WAITING_IN_ALL) return 'tooMany';
      const answer = right();
      if (answer === true || (answer !== false && (await answer))) return true;
      const record = recordOf(source);
      record.wrong++;
      record.lastAt = clock.monotonic();
      denied++;
      onWrong(address, record.wrong);
      record.waiting++;
      waitingInAll++;
      await new Promise<void>((resolve) => clock.after(Math.min(FIRST_WAIT_MS * 2 ** (record.wrong - 1), LONGEST_WAIT_MS), resolve));
      record.waiting--;
      waitingInAll--;
      return false;
    },
  };
}

/** Who is held to account: an IPv4 address, or the /64 of an IPv6 one, which is what one customer has. */
export function sourceOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.replace(/%.*$/, '').toLowerCase().split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups = [...first, ...Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0'), ...last];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
