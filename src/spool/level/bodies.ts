/**
 * Bodies too large for the store: one file each, under `bodies/<epoch>/<id>`, written while they come in.
 *
 * Promises: `finish` resolves when file and name are durable; memory is a few blocks a body, whatever its size, and what is kept of bodies that are not large beyond measure, so that they need not be read back: so much for all that come in at one time, and no
 * more. Octets are written from where they came in, without a copy. At most two syncs at once, so that they do not fill the thread pool.
 */
import type * as fsp from 'node:fs/promises';
import path from 'node:path';
import { MtaError } from '../../core/errors.js';
import type { MessageId } from '../../core/message.js';
import type { BodyWriter, StoredBody } from '../spool.js';
import { BLOCK, BLOCK_HEAD, type BodyEnvelope, blockCrc, headOf, readBodyFile, type SpoolFs } from './body-file.js';
import { crcOf } from './codec.js';

/** Octets that may wait for the disk before a writer is asked to pause. */
const HIGH_WATER = 4 * BLOCK;
const SYNCS_AT_ONCE = 2;
/** A body larger than this is read back, whatever room there is. */
const MOST_KEPT = 4 * 1024 * 1024;

export class Bodies {
  readonly #folder: string;
  readonly #epoch: string;
  readonly #inlineLimit: number;
  readonly fs: SpoolFs;
  readonly wrote: (bytes: number) => void;
  #made: Promise<void> | undefined;
  /** Octets kept by writers. */
  #keeping = 0;
  readonly #keepBytes: number;
  #syncing = 0;
  /** The sync of names that is running, and the one that those wait for who came since it began. */
  #namesNow: Promise<void> = Promise.resolve();
  #namesNext: Promise<void> | undefined;
  #waiting: (() => void)[] = [];
  /** While files are being copied, none is removed. */
  #kept: Promise<void> = Promise.resolve();

  /** `keepBytes`: how much of what comes in may be kept in memory until it is taken over by `accept`. */
  constructor(options: {
    folder: string;
    epoch: number;
    inlineLimitBytes: number;
    fs: SpoolFs;
    keepBytes?: number;
    wrote?: (bytes: number) => void;
  }) {
    this.#folder = options.folder;
    this.#epoch = String(options.epoch);
    this.#inlineLimit = options.inlineLimitBytes;
    this.fs = options.fs;
    this.#keepBytes = options.keepBytes ?? 0;
    this.wrote = options.wrote ?? (() => {});
  }

  pathOf(place: string): string {
    return path.join(this.#folder, place);
  }

  writer(envelope: BodyEnvelope): BodyWriter {
    return new FileBodyWriter(this, envelope, this.#inlineLimit);
  }

  /** False: there is no room for so much. What was kept is let go by a negative number. */
  keep(bytes: number): boolean {
    if (this.#keeping + bytes > this.#keepBytes) return false;
    this.#keeping += bytes;
    return true;
  }

  /** Opens a fresh file for a body, in this start's folder. */
  async create(id: MessageId): Promise<{ handle: fsp.FileHandle; place: string }> {
    this.#made ??= this.#makeFolder();
    try {
      await this.#made;
    } catch (error) {
      this.#made = undefined;
      throw error;
    }
    const place = `${this.#epoch}/${id}`;
    return { handle: await this.fs.open(`${this.pathOf(place)}.tmp`, 'wx', 0o600), place };
  }

  async #makeFolder(): Promise<void> {
    await this.fs.mkdir(path.join(this.#folder, this.#epoch), { recursive: true, mode: 0o700 });
    await this.#syncFolder(this.#folder);
  }

  async #syncFolder(folder: string): Promise<void> {
    const handle = await this.fs.open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /** The file and its name survive power loss when this resolves. Closes the handle. */
  async publish(handle: fsp.FileHandle, place: string): Promise<void> {
    if (this.#syncing >= SYNCS_AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#syncing++;
    try {
      try {
        await handle.datasync();
      } finally {
        await handle.close();
      }
      await this.fs.rename(`${this.pathOf(place)}.tmp`, this.pathOf(place));
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#syncing--;
    }
    await this.#syncNames();
  }

  /** One sync of the folder for all whose names stood there before it began. */
  #syncNames(): Promise<void> {
    this.#namesNext ??= this.#namesNow.then(() => {
      this.#namesNext = undefined;
      const names = this.#syncFolder(path.join(this.#folder, this.#epoch));
      this.#namesNow = names.catch(() => {});
      return names;
    });
    return this.#namesNext;
  }

  /** Until the returned function is called, files that are removed stay a while longer. */
  keepAll(): () => void {
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    this.#kept = Promise.all([this.#kept, held]).then(() => {});
    return release;
  }

  async remove(place: string): Promise<void> {
    await this.#kept;
    try {
      await this.fs.unlink(this.pathOf(place));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  read(place: string, sizeBytes: number, reuse: boolean): AsyncIterable<Buffer> {
    return readBodyFile(this.fs, this.pathOf(place), sizeBytes, reuse);
  }
}

class FileBodyWriter implements BodyWriter {
  readonly #bodies: Bodies;
  readonly #envelope: BodyEnvelope;
  readonly #inlineLimit: number;
  #chunks: Buffer[] = [];
  #sizeBytes = 0;
  /** Blocks waiting for the disk, in order; from the moment the body is no longer small. */
  #blocks: Buffer[] = [];
  #blockedBytes = 0;
  /** Of the block that is being filled: its octets, how many, and their checksum so far. */
  #parts: Buffer[] = [];
  #filled = 0;
  #crc = 0;
  #number = 0;
  #seed = 0;
  /** All octets so far, while there is room to keep them. */
  #kept: Buffer[] | undefined = [];
  #file: { handle: fsp.FileHandle; place: string } | undefined;
  #pump: Promise<void> | undefined;
  #error: Error | undefined;
  #aborted = false;

  constructor(bodies: Bodies, envelope: BodyEnvelope, inlineLimit: number) {
    this.#bodies = bodies;
    this.#envelope = envelope;
    this.#inlineLimit = inlineLimit;
  }

  write(chunk: Buffer): true | Promise<void> {
    if (this.#error) return Promise.reject(this.#error);
    this.#sizeBytes += chunk.length;
    if (this.#sizeBytes <= this.#inlineLimit) {
      this.#chunks.push(chunk);
      return true;
    }
    if (this.#seed === 0) this.#becomeLarge();
    this.#fill(chunk);
    if (this.#blockedBytes <= HIGH_WATER) return true;
    return this.#drain();
  }

  #becomeLarge(): void {
    this.#seed = crcOf(this.#envelope.id) || 1;
    this.#blocks.push(headOf(this.#envelope));
    const chunks = this.#chunks;
    this.#chunks = [];
    for (const chunk of chunks) this.#fill(chunk);
  }

  #fill(chunk: Buffer): void {
    this.#keep(chunk);
    for (let from = 0; from < chunk.length; ) {
      const part = from === 0 && chunk.length <= BLOCK - this.#filled ? chunk : chunk.subarray(from, from + BLOCK - this.#filled);
      this.#crc = crcOf(part, this.#filled === 0 ? (this.#seed + this.#number) >>> 0 : this.#crc);
      this.#parts.push(part);
      this.#filled += part.length;
      from += part.length;
      if (this.#filled === BLOCK) this.#closeBlock();
    }
  }

  /** An empty block is the end. */
  #closeBlock(): void {
    const head = Buffer.alloc(BLOCK_HEAD);
    head.writeUInt32LE(this.#filled === 0 ? blockCrc(this.#seed, this.#number, head.subarray(0, 0)) : this.#crc, 0);
    head.writeUInt32LE(this.#filled, 4);
    this.#blocks.push(head, ...this.#parts);
    this.#blockedBytes += BLOCK_HEAD + this.#filled;
    this.#parts = [];
    this.#filled = 0;
    this.#number++;
    this.#pump ??= this.#write();
  }

  #keep(chunk: Buffer): void {
    if (this.#kept === undefined) return;
    if (this.#sizeBytes <= MOST_KEPT && this.#bodies.keep(chunk.length)) this.#kept.push(chunk);
    else this.#letGo();
  }

  #letGo(): void {
    for (const chunk of this.#kept ?? []) this.#bodies.keep(-chunk.length);
    this.#kept = undefined;
  }

  async #write(): Promise<void> {
    try {
      this.#file ??= await this.#bodies.create(this.#envelope.id);
      while (this.#blocks.length > 0 && !this.#aborted) {
        const blocks = this.#blocks;
        this.#blocks = [];
        let bytes = 0;
        for (const block of blocks) bytes += block.length;
        await writeAll(this.#file.handle, blocks, bytes);
        this.#bodies.wrote(bytes);
        this.#blockedBytes = Math.max(0, this.#blockedBytes - bytes);
      }
    } catch (error) {
      this.#error = new MtaError('SPOOL_FAILED', `the body cannot be written: ${(error as Error).message}`, { cause: error });
    }
    this.#pump = undefined;
    if (this.#error) this.abort();
  }

  async #drain(): Promise<void> {
    while (this.#pump) await this.#pump;
    if (this.#error) throw this.#error;
  }

  async finish(): Promise<Buffer | StoredBody> {
    if (this.#seed === 0) return this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks, this.#sizeBytes);
    if (this.#filled > 0) this.#closeBlock();
    this.#closeBlock();
    try {
      await this.#drain();
      const { handle, place } = this.#file!;
      await this.#bodies.publish(handle, place);
      const pieces = this.#kept;
      // From here on the message has it, and whoever holds that counts it.
      this.#letGo();
      return { sizeBytes: this.#sizeBytes, place, ...(pieces === undefined ? {} : { pieces }) };
    } catch (error) {
      this.abort();
      if (error instanceof MtaError) throw error;
      throw new MtaError('SPOOL_FAILED', `the body cannot be made durable: ${(error as Error).message}`, { cause: error });
    }
  }

  abort(): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#chunks = [];
    this.#blocks = [];
    this.#parts = [];
    this.#letGo();
    void this.#cleanUp();
  }

  async #cleanUp(): Promise<void> {
    if (this.#pump) await this.#pump;
    const file = this.#file;
    if (!file) return;
    await file.handle.close().catch(() => {});
    // Under either name: what is left over for want of permission or space is found by the sweep of the next start.
    for (const place of [`${file.place}.tmp`, file.place]) await this.#bodies.remove(place).catch(() => {});
  }
}

async function writeAll(handle: fsp.FileHandle, blocks: Buffer[], bytes: number): Promise<void> {
  const { bytesWritten } = await handle.writev(blocks);
  if (bytesWritten === bytes) return;
  // A short write: the disk is filling up. The rest in one piece, until it is done or the system says why not.
  let rest = Buffer.concat(blocks).subarray(bytesWritten);
  while (rest.length > 0) rest = rest.subarray((await handle.write(rest)).bytesWritten);
}
