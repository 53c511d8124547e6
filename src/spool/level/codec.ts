/**
 * What stands in the store's values, and how: every value is a CRC-32 of key and payload, one character of format, and
 * the payload: JSON for records, words for indexes, bytes for bodies. The key is in the checksum because a flipped
 * bit in a key is damage as well.
 *
 * Pure. It promises that what it reads back is what was written, or `undefined`; never something in between.
 */
import * as zlib from 'node:zlib';
import type { Attempt, Recipient } from '../../core/delivery.js';
import type { LaneKey } from '../../core/lane.js';
import type { Message } from '../../core/message.js';
import { CHECKSUM_DIGITS, checksum32, parse32 } from './keys.js';

/** Where the index entry of a delivery is: `r<sequence>`, `t` (its due time), `m` (moved: somewhere in the ready index), `` (none: held). */
export type IndexMark = string;

/** A delivery as it is stored. Short names: they are written once per message. */
export interface DeliveryRecord {
  /** Version: raised by every rewrite. */
  readonly v: number;
  readonly x: IndexMark;
  readonly l: LaneKey;
  /** Place in `PRIORITIES`. */
  readonly p: number;
  readonly r: readonly Recipient[];
  readonly a: number;
  readonly g: readonly Attempt[];
  /** A delay notice was sent. */
  readonly n: boolean;
  readonly d: number;
  /** The message, where this is its only delivery. */
  readonly m?: Message | undefined;
  /** Place of its body file. */
  readonly f?: string | undefined;
}

/** A message with several deliveries. */
export interface MessageRecord {
  readonly m: Message;
  readonly f?: string | undefined;
  /** Hash of the key under which a large one was handed in (`once.ts`), so that it can be undone. */
  readonly k?: string;
}

export interface HistoryRecord {
  readonly m: Message;
  readonly l: LaneKey;
  readonly p: number;
  readonly r: readonly Recipient[];
  readonly a: number;
  readonly g: readonly Attempt[];
  /** When it was done. */
  readonly t: number;
}

/** What an index entry says, so that sweeps need not read records. */
export interface IndexEntry {
  readonly version: number;
  readonly expiresAt: number;
  readonly acceptedAt: number;
  readonly delayNoticed: boolean;
}

const FORMAT = '1';
export const BODY_PREFIX = 5;
const BODY_FORMAT = 1;

/** Node has it in C from 20.15 on; text is taken as its UTF-8. */
export const crcOf: (data: string | Uint8Array, seed?: number) => number = typeof zlib.crc32 === 'function' ? zlib.crc32 : crcInScript;

function crcInScript(data: string | Uint8Array, seed = 0): number {
  let crc = ~seed;
  for (const byte of typeof data === 'string' ? Buffer.from(data) : data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xed_b8_83_20 : crc >>> 1;
  }
  return ~crc >>> 0;
}

export function seal(key: string, payload: string): string {
  return checksum32(crcOf(key + payload)) + FORMAT + payload;
}

/** Undefined: damaged. */
export function unseal(key: string, value: string): string | undefined {
  if (value.length <= CHECKSUM_DIGITS || value[CHECKSUM_DIGITS] !== FORMAT) return undefined;
  const payload = value.slice(CHECKSUM_DIGITS + 1);
  return crcOf(key + payload) === parse32(value.slice(0, CHECKSUM_DIGITS)) ? payload : undefined;
}

export function sealJson(key: string, record: object): string {
  return seal(key, JSON.stringify(record));
}

/** The checksum holds, so this is what we wrote: it has the shape we gave it. */
export function unsealJson<T>(key: string, value: string): T | undefined {
  const payload = unseal(key, value);
  return payload === undefined ? undefined : (JSON.parse(payload) as T);
}

/** Fills `into` (long enough) with the sealed body and returns that part of it. */
export function sealBody(key: string, body: Buffer, into: Buffer): Buffer {
  into.writeUInt32LE(crcOf(body, crcOf(key)), 0);
  into[4] = BODY_FORMAT;
  body.copy(into, BODY_PREFIX);
  return into.subarray(0, BODY_PREFIX + body.length);
}

export function unsealBody(key: string, value: Buffer): Buffer | undefined {
  if (value.length < BODY_PREFIX || value[4] !== BODY_FORMAT) return undefined;
  const body = value.subarray(BODY_PREFIX);
  return crcOf(body, crcOf(key)) === value.readUInt32LE(0) ? body : undefined;
}

function words(entry: IndexEntry): string {
  return `${entry.version} ${entry.expiresAt} ${entry.acceptedAt} ${entry.delayNoticed ? 1 : 0}`;
}

function readWords(parts: readonly string[]): IndexEntry {
  return { version: Number(parts[0]), expiresAt: Number(parts[1]), acceptedAt: Number(parts[2]), delayNoticed: parts[3] === '1' };
}

/** Value of a ready key: which delivery it is. */
export function sealReady(key: string, ordinal: string, entry: IndexEntry): string {
  return seal(key, `${words(entry)} ${ordinal}`);
}

export function unsealReady(key: string, value: string): (IndexEntry & { readonly ordinal: string }) | undefined {
  const parts = unseal(key, value)?.split(' ');
  return parts && { ...readWords(parts), ordinal: parts[4]! };
}

/** Value of a timer key: where it goes when it is due. Lanes have no spaces (escaped). */
export function sealTimer(key: string, lane: string, priority: number, entry: IndexEntry): string {
  return seal(key, `${words(entry)} ${priority} ${lane}`);
}

export interface TimerEntry {
  /** What a sweep must know, as it stands there: it goes into the ready index as it is. */
  readonly words: string;
  readonly version: number;
  /** As it stands in keys. */
  readonly lane: string;
  readonly priority: number;
}

export function unsealTimer(key: string, value: string): TimerEntry | undefined {
  const payload = unseal(key, value);
  if (payload === undefined) return undefined;
  const afterLane = payload.lastIndexOf(' ');
  const afterWords = payload.lastIndexOf(' ', afterLane - 1);
  return {
    words: payload.slice(0, afterWords),
    version: Number.parseInt(payload, 10),
    priority: payload.charCodeAt(afterWords + 1) - 0x30,
    lane: payload.slice(afterLane + 1),
  };
}

/** From the timer index to the ready index. */
export function sealMoved(key: string, ordinal: string, timer: TimerEntry): string {
  return seal(key, `${timer.words} ${ordinal}`);
}

export function sealNumbers(key: string, numbers: readonly number[]): string {
  return seal(key, numbers.join(' '));
}

export function unsealNumbers(key: string, value: string): number[] | undefined {
  return unseal(key, value)?.split(' ').map(Number);
}
