/**
 * CRC-32 (IEEE 802.3), the checksum of all that is stored (G9). Guards against damage, not against anybody's intent.
 * Node's own where it has one (from 20.15 on), else ours, four octets at a step; both give the same numbers.
 */
import zlib from 'node:zlib';

/** Goes on from `seed`, the checksum of what came before, so that pieces add up to the whole. */
export type Crc32 = (bytes: Uint8Array, seed?: number) => number;

const native: Crc32 | undefined = zlib.crc32;

/** Table k holds the effect of an octet that k further octets follow. Made on first use: few need it. */
let tables: readonly Uint32Array[] | undefined;

function makeTables(): readonly Uint32Array[] {
  const made = [0, 1, 2, 3].map(() => new Uint32Array(256));
  for (let octet = 0; octet < 256; octet++) {
    let crc = octet;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    for (const table of made) {
      table[octet] = crc;
      // One more octet of zeros behind it.
      for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    }
  }
  return made;
}

export const tableCrc32: Crc32 = (bytes, seed = 0) => {
  const [t0, t1, t2, t3] = (tables ??= makeTables()) as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  let crc = ~seed;
  let at = 0;
  for (const end = bytes.length - 3; at < end; at += 4) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    crc = t3[crc & 255]! ^ t2[(crc >>> 8) & 255]! ^ t1[(crc >>> 16) & 255]! ^ t0[crc >>> 24]!;
  }
  for (; at < bytes.length; at++) crc = t0[(crc ^ bytes[at]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
};

export const crc32: Crc32 = native ?? tableCrc32;
