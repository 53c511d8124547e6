/**
 * The keys of the store: text, fixed in width where order matters, readable in a dump.
 *
 *   b/<id>                     a small body
 *   d/<id>/<n>                 a delivery: the truth about it
 *   g/<place>                  a body file to be deleted
 *   h/<time>/<id>/<n>          history: what is done, in order of its commit
 *   i/<id>/<n>                 where in the history a delivery is
 *   k/<hash>                   what was accepted under a key of its sender's
 *   l/<lane>                   how many of a lane are ready, waiting, held
 *   m/<id>                     a message with several deliveries (a single one carries its message along)
 *   n/<id>                     of a merge: how many recipients came to which end
 *   o/<id>                     how many deliveries of such a message are open
 *   p/<id>                     a large acceptance under way
 *   q/<lane>                   a lane that is paused: since when, and why
 *   r/<lane>/<priority>/<seq>  ready index
 *   s/<lane>                   what a lane's server is, where its mail brought it along: sealed
 *   t/<due>/<id>/<n>           timer index
 *   v/<id>/<n>                 what a recipient of a merge has for the template
 *   w/<until>/<hash>           when such a key is forgotten
 *   x/…                        the store's own: format, epoch, ring of batch numbers
 *
 * Numbers are base 32 (0–9a–v), which sorts as text. `/` separates; lanes are escaped so that it stays alone.
 */
import type { DeliveryKey } from '../../core/delivery.js';
import type { LaneKey } from '../../core/lane.js';
import type { MessageId } from '../../core/message.js';

/** `0` follows `/` in ASCII: the end of everything that begins with `<letter>/`. */
export const AFTER_SLASH = '0';

const TIME_DIGITS = 9;
const SEQUENCE_DIGITS = 11;
export const CHECKSUM_DIGITS = 7;
const NUMBER_DIGITS = 4;
/** Deliveries of one message, at most. */
export const MAX_DELIVERIES = 32 ** NUMBER_DIGITS;
/** Year 3084: times beyond are kept as this. */
export const LAST_TIME = 32 ** TIME_DIGITS - 1;
export const LAST_SEQUENCE = 2 ** 53 - 1;

/** One digit, and two at a time: `toString(32)` works in floating point and costs more than the rest of a key. */
const DIGITS = Array.from({ length: 32 }, (_, digit) => digit.toString(32));
const PAIRS = Array.from({ length: 1024 }, (_, pair) => pair.toString(32).padStart(2, '0'));
const TWO_20 = 2 ** 20;
const TWO_40 = 2 ** 40;

/** 20 bits, four digits. */
function four32(bits: number): string {
  return PAIRS[(bits >>> 10) & 1023]! + PAIRS[bits & 1023]!;
}

/** The lower 40 bits, eight digits. */
function eight32(value: number): string {
  const lower = value % TWO_40;
  const high = Math.floor(lower / TWO_20);
  return four32(high) + four32(lower - high * TWO_20);
}

export function time32(at: number): string {
  const time = Math.min(Math.max(Math.floor(at), 0), LAST_TIME);
  return DIGITS[Math.floor(time / TWO_40)]! + eight32(time);
}

export function sequence32(sequence: number): string {
  const top = Math.floor(sequence / TWO_40);
  return DIGITS[top >>> 10]! + PAIRS[top & 1023]! + eight32(sequence);
}

/** 32 bits, seven digits. */
export function checksum32(crc: number): string {
  return DIGITS[crc >>> 30]! + PAIRS[(crc >>> 20) & 1023]! + four32(crc);
}

export function parse32(text: string): number {
  return Number.parseInt(text, 32);
}

/** `<id>/<n>`: the part that deliveries' keys have in common. */
export function ordinal(id: MessageId, n: number): string {
  return n === 0 ? `${id}/0000` : `${id}/${n.toString(32).padStart(NUMBER_DIGITS, '0')}`;
}

/** From `<id>/<n>` to the public key `<id>.<n>`. */
export function deliveryKeyOf(ordinalText: string): DeliveryKey {
  const slash = ordinalText.indexOf('/');
  return `${ordinalText.slice(0, slash)}.${parse32(ordinalText.slice(slash + 1))}`;
}

/** What lanes are made of (`core/lane.ts`) stands for itself; anything else is `%` and its code. */
export function escapeLane(lane: LaneKey): string {
  return /^[a-z0-9:._[\]-]+$/.test(lane) ? lane : lane.replace(/[^a-z0-9:._[\]-]/gu, (char) => `%${char.codePointAt(0)!.toString(16)};`);
}

export function unescapeLane(text: string): LaneKey {
  return text.includes('%') ? text.replace(/%([0-9a-f]+);/g, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16))) : text;
}

export const bodyKey = (id: MessageId): string => `b/${id}`;
export const messageKey = (id: MessageId): string => `m/${id}`;
export const tallyKey = (id: MessageId): string => `n/${id}`;
export const copyKey = (ordinalText: string): string => `v/${ordinalText}`;
export const openCountKey = (id: MessageId): string => `o/${id}`;
export const pauseKey = (lane: LaneKey): string => `q/${escapeLane(lane)}`;
export const serverKey = (lane: LaneKey): string => `s/${escapeLane(lane)}`;
export const partialKey = (id: MessageId): string => `p/${id}`;
export const garbageKey = (place: string): string => `g/${place}`;
export const timerKey = (due: number, ordinalText: string): string => `t/${time32(due)}/${ordinalText}`;
export const onceKey = (hash: string): string => `k/${hash}`;
export const untilKey = (until: number, hash: string): string => `w/${time32(until)}/${hash}`;
export const historyKey = (at: number, ordinalText: string): string => `h/${time32(at)}/${ordinalText}`;

/** Timer, history and `w/` keys look alike: letter, time, what it is about. */
export function splitTimed(key: string): { at: number; ordinal: string } {
  return { at: parse32(key.slice(2, 2 + TIME_DIGITS)), ordinal: key.slice(3 + TIME_DIGITS) };
}
/** Ready keys end in the sequence. */
export function sequenceOf(readyKey: string): number {
  return parse32(readyKey.slice(-SEQUENCE_DIGITS));
}

export const FORMAT_KEY = 'x/format';
export const EPOCH_KEY = 'x/epoch';
/** Batch numbers kept: more than one log file holds, so that a hole in it shows. */
export const RING_SLOTS = 1024;
export const ringKey = (batch: number): string => `x/ring/${(batch % RING_SLOTS).toString(32).padStart(2, '0')}`;
