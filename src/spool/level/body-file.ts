/**
 * What a body file is, and reading it.
 *
 * A file is: a magic word; the envelope as JSON with length and checksum, so that a file without a record can be told from
 * rubbish (G9); blocks of at most 64 KiB, each after its checksum and length; an empty block as the end. A block's checksum
 * takes in the id and the block's number, so that blocks cannot change places.
 *
 * Promises: each block is verified before it is handed out, and `SPOOL_DAMAGED` thrown before the end where something does not hold; memory
 * is two regions of four blocks, whatever the size.
 */
import type * as fsp from 'node:fs/promises';
import { MtaError } from '../../core/errors.js';
import type { MessageId } from '../../core/message.js';
import { createBlockPool } from '../../platform/blocks.js';
import { crcOf } from './codec.js';

/** What of the file system the spool uses; tests hand in one that fails. */
export type SpoolFs = Pick<typeof fsp, 'open' | 'rename' | 'unlink' | 'mkdir' | 'readdir' | 'rmdir' | 'stat' | 'statfs'>;

export interface BodyEnvelope {
  readonly id: MessageId;
  readonly sender: string;
  readonly recipients: readonly string[];
}

const MAGIC = Buffer.from('riatabd1');
export const BLOCK = 64 * 1024;
export const BLOCK_HEAD = 8;
/** What the head of nearly every file fits in. */
const USUAL_HEAD = 1024;

export function headOf(envelope: BodyEnvelope): Buffer {
  const json = Buffer.from(JSON.stringify(envelope));
  const head = Buffer.alloc(MAGIC.length + BLOCK_HEAD);
  MAGIC.copy(head);
  head.writeUInt32LE(crcOf(json), MAGIC.length);
  head.writeUInt32LE(json.length, MAGIC.length + 4);
  return Buffer.concat([head, json]);
}

export function blockCrc(seed: number, number: number, payload: Uint8Array): number {
  return crcOf(payload, (seed + number) >>> 0);
}

function damaged(file: string, why: string): MtaError {
  return new MtaError('SPOOL_DAMAGED', `the body file ${file} is damaged: ${why}`);
}

/** The envelope of a body file, or undefined where that cannot be read. */
export async function readEnvelope(handle: fsp.FileHandle): Promise<{ envelope: BodyEnvelope; bytes: number } | undefined> {
  const first = Buffer.allocUnsafe(USUAL_HEAD);
  const { bytesRead } = await handle.read(first, 0, first.length, 0);
  const start = MAGIC.length + BLOCK_HEAD;
  if (bytesRead < start || !first.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const length = first.readUInt32LE(MAGIC.length + 4);
  if (length > 64 * 1024 * 1024) return undefined;
  let json = first.subarray(start, start + length);
  if (start + length > bytesRead) {
    json = Buffer.alloc(length);
    if (!(await readExactly(handle, json, start))) return undefined;
  }
  if (crcOf(json) !== first.readUInt32LE(MAGIC.length)) return undefined;
  return { envelope: JSON.parse(json.toString()) as BodyEnvelope, bytes: start + length };
}

async function readExactly(handle: fsp.FileHandle, into: Buffer, position: number): Promise<boolean> {
  let done = 0;
  while (done < into.length) {
    const { bytesRead } = await handle.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}

/**
 * Verified blocks in order. Throws `SPOOL_DAMAGED` before a bad block, and before the end if the size is not as recorded. With `reuse` a
 * block is good only until the next one is asked for.
 */
export async function* readBodyFile(fs: SpoolFs, file: string, sizeBytes: number, reuse = false): AsyncGenerator<Buffer> {
  let handle: fsp.FileHandle;
  try {
    handle = await fs.open(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw damaged(file, 'it is missing');
    throw new MtaError('SPOOL_FAILED', `the body file ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  const regions = reuse ? REGIONS : FRESH_REGIONS;
  const taken = new Set<Buffer>();
  const take = () => {
    const region = regions.take();
    taken.add(region);
    return region;
  };
  let reading: Promise<Buffer> | undefined;
  try {
    const head = await readEnvelope(handle);
    if (!head) throw damaged(file, 'its head is broken');
    const reader = new BlockReader(file, handle, head, sizeBytes);
    reading = reader.read(take());
    // One block is held back, so that a wrong size at the end is told before the last octet is out.
    let held: Buffer | undefined;
    let spare: Buffer | undefined;
    while (reading !== undefined) {
      const region: Buffer = await reading;
      const payloads = reader.verify(region);
      if (held) yield held;
      // What was held was the last of the region before: that is free now. The next one is read while this one goes out.
      reading = reader.ended ? undefined : reader.read(reuse && spare ? spare : take());
      for (let i = 0; i < payloads.length - 1; i++) yield payloads[i]!;
      held = payloads.at(-1);
      spare = region;
    }
    if (held) yield held;
  } finally {
    // Whoever stops early must not leave a read into memory that is somebody else's by then.
    await reading?.catch(() => {});
    await handle.close();
    if (reuse) for (const region of taken) regions.give(region);
  }
}

/** Blocks that are read together, with room for the end, which comes along with the last of them. */
const BLOCKS_A_REGION = 4;
const REGION = BLOCKS_A_REGION * (BLOCK_HEAD + BLOCK) + BLOCK_HEAD;
const REGIONS = createBlockPool(REGION, 32);
/** For those who keep what they read. */
const FRESH_REGIONS = createBlockPool(REGION, 0);

/** Where in a file reading stands, and what is to come there. */
class BlockReader {
  ended = false;
  readonly #file: string;
  readonly #handle: fsp.FileHandle;
  readonly #seed: number;
  #position: number;
  #left: number;
  #number = 0;
  /** Octets of the region read last. */
  #got = 0;

  constructor(file: string, handle: fsp.FileHandle, head: { envelope: BodyEnvelope; bytes: number }, sizeBytes: number) {
    this.#file = file;
    this.#handle = handle;
    this.#seed = crcOf(head.envelope.id) || 1;
    this.#position = head.bytes;
    this.#left = sizeBytes;
  }

  async read(region: Buffer): Promise<Buffer> {
    this.#got = 0;
    while (this.#got < region.length) {
      const { bytesRead } = await this.#handle.read(region, this.#got, region.length - this.#got, this.#position + this.#got);
      if (bytesRead === 0) break;
      this.#got += bytesRead;
    }
    return region;
  }

  /** The contents of the blocks in a region that was read. */
  verify(region: Buffer): Buffer[] {
    const payloads: Buffer[] = [];
    let at = 0;
    while (!this.ended && (payloads.length < BLOCKS_A_REGION || this.#left === 0)) {
      const expected = Math.min(BLOCK, this.#left);
      const end = at + BLOCK_HEAD + expected;
      if (end > this.#got) throw damaged(this.#file, `it ends in block ${this.#number}`);
      const payload = region.subarray(at + BLOCK_HEAD, end);
      if (region.readUInt32LE(at + 4) !== expected || blockCrc(this.#seed, this.#number, payload) !== region.readUInt32LE(at))
        throw damaged(this.#file, `block ${this.#number} does not match its checksum`);
      this.#number++;
      this.#left -= expected;
      at = end;
      if (expected === 0) this.ended = true;
      else payloads.push(payload);
    }
    this.#position += at;
    return payloads;
  }
}
