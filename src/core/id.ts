/**
 * Message ids: ULID layout, 48 bits of milliseconds and 80 bits of randomness in 26 characters of Crockford base 32.
 *
 * Promises: every id of a source is greater than the one before, also within a millisecond, when the clock goes back, and
 * after a restart that hands in the last id issued. Ids therefore sort by time wherever they are used as keys.
 * Must not be taken for a secret: ids of one millisecond follow each other by one.
 */
import type { MessageId } from './message.js';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const LENGTH = 26;
const TIME_LENGTH = 10;
const RANDOM_LENGTH = LENGTH - TIME_LENGTH;
/** Randomness is drawn for this many ids at once: one call into the system costs more than an id. */
const DRAWS = 64;

const SHAPE = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** Character codes by digit, and digits by character code. */
const CODES = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0));
const DIGITS = new Uint8Array(128);
CODES.forEach((code, digit) => {
  DIGITS[code] = digit;
});

export function isMessageId(text: string): boolean {
  return text.length === LENGTH && SHAPE.test(text);
}

/** When it was issued, epoch milliseconds. Throws a `RangeError` on what is not an id. */
export function idTime(id: MessageId): number {
  if (!isMessageId(id)) throw new RangeError(`not a message id: ${JSON.stringify(id.slice(0, 40))}`);
  let time = 0;
  for (let i = 0; i < TIME_LENGTH; i++) time = time * 32 + DIGITS[id.charCodeAt(i)]!;
  return time;
}

/** `last`: the greatest id issued before; nothing at or below it is issued again. */
export function createIdSource(clock: { now(): number }, random: { fill(bytes: Uint8Array): void }, last?: MessageId): () => MessageId {
  const id = Buffer.alloc(LENGTH, '0', 'latin1');
  const pool = new Uint8Array(RANDOM_LENGTH * DRAWS);
  let drawn = pool.length;
  let time = -1;
  if (last !== undefined) {
    time = idTime(last);
    id.write(last, 'latin1');
  }

  /** The 26 digits are one number, so the overflow of the random part is the next millisecond. */
  const increment = () => {
    let at = LENGTH - 1;
    for (; at >= 0; at--) {
      const next = DIGITS[id[at]!]! + 1;
      if (next < 32) {
        id[at] = CODES[next]!;
        break;
      }
      id[at] = CODES[0]!;
    }
    if (at < TIME_LENGTH) {
      time++;
      if (at < 0 || DIGITS[id[0]!]! > 7) throw new RangeError('message ids are used up');
    }
  };

  const draw = () => {
    if (drawn === pool.length) {
      random.fill(pool);
      drawn = 0;
    }
    // 256 is a multiple of 32: the low five bits of a random octet are as even as the octet.
    for (let at = TIME_LENGTH; at < LENGTH; at++) id[at] = CODES[pool[drawn++]! & 31]!;
  };

  return () => {
    const now = Math.floor(clock.now());
    if (now > time) {
      time = now;
      for (let at = TIME_LENGTH - 1, left = now; at >= 0; at--, left = Math.floor(left / 32)) id[at] = CODES[left % 32]!;
      draw();
    } else {
      increment();
    }
    return id.toString('latin1');
  };
}
