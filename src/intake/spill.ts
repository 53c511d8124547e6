/**
 * Content that must be read more than once and outlives nothing: what is small stays in memory, what is not goes to a file that has no
 * name any more when the first octet is written, so that nothing is left of it, however the process ends.
 *
 * Promises: memory is a few blocks, whatever the size. What cannot be written rejects `finish` with `SPOOL_FAILED`.
 */
import fs, { type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { MtaError } from '../core/errors.js';
import type { Body } from '../core/message.js';
import type { BodyWriter, StoredBody } from '../spool/spool.js';

/** What is no larger stays in memory. */
const SMALL = 256 * 1024;
/** Written, and read back, in pieces of about this. */
const BLOCK = 128 * 1024;
/** Octets that may wait for the disk. */
const HIGH_WATER = 1024 * 1024;

export class Spill implements BodyWriter {
  readonly #folder: string;
  readonly #name: string;
  #chunks: Buffer[] = [];
  #pending = 0;
  #sizeBytes = 0;
  #handle: FileHandle | undefined;
  #pump: Promise<void> | undefined;
  #error: Error | undefined;
  #closed = false;

  /** `name`: of no other file there. */
  constructor(folder: string, name: string) {
    this.#folder = folder;
    this.#name = name;
  }

  write(chunk: Buffer): true | Promise<void> {
    if (this.#error) return Promise.reject(this.#error);
    this.#chunks.push(chunk);
    this.#pending += chunk.length;
    this.#sizeBytes += chunk.length;
    if (this.#sizeBytes <= SMALL || this.#pending < BLOCK) return true;
    this.#pump ??= this.#write();
    return this.#pending < HIGH_WATER ? true : this.#drained();
  }

  async finish(): Promise<Buffer | StoredBody> {
    if (this.#sizeBytes <= SMALL) {
      const bytes = Buffer.concat(this.#chunks);
      this.#chunks = [bytes];
      return bytes;
    }
    if (this.#pending > 0) this.#pump ??= this.#write();
    await this.#drained();
    return { sizeBytes: this.#sizeBytes, place: this.#name };
  }

  /** What was written, once it is finished; until `close`. */
  body(): Body {
    const [bytes] = this.#chunks;
    const handle = this.#handle;
    if (handle === undefined) return { kind: 'bytes', bytes: bytes ?? Buffer.alloc(0) };
    return { kind: 'stream', sizeBytes: this.#sizeBytes, open: (how) => blocks(handle, this.#sizeBytes, how?.reuse === true) };
  }

  abort(): void {
    void this.close();
  }

  /** Nothing is left of it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#chunks = [];
    await this.#pump;
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => {});
  }

  async #write(): Promise<void> {
    try {
      this.#handle ??= await this.#open();
      while (this.#chunks.length > 0 && !this.#closed) {
        const chunks = this.#chunks;
        const octets = this.#pending;
        this.#chunks = [];
        await writeAll(this.#handle, chunks, octets);
        this.#pending -= octets;
      }
    } catch (error) {
      this.#error = new MtaError('SPOOL_FAILED', `the content cannot be kept until it is sent: ${(error as Error).message}`, {
        cause: error,
      });
    }
    this.#pump = undefined;
  }

  async #drained(): Promise<void> {
    while (this.#pump) await this.#pump;
    if (this.#error) throw this.#error;
  }

  async #open(): Promise<FileHandle> {
    const file = path.join(this.#folder, this.#name);
    const handle = await fs.open(file, 'wx+', 0o600);
    await fs.unlink(file);
    return handle;
  }
}

async function writeAll(handle: FileHandle, chunks: Buffer[], octets: number): Promise<void> {
  const { bytesWritten } = await handle.writev(chunks);
  if (bytesWritten === octets) return;
  let rest = Buffer.concat(chunks).subarray(bytesWritten);
  while (rest.length > 0) rest = rest.subarray((await handle.write(rest)).bytesWritten);
}

async function* blocks(handle: FileHandle, sizeBytes: number, reuse: boolean): AsyncGenerator<Buffer> {
  let block: Buffer | undefined;
  for (let at = 0; at < sizeBytes; ) {
    if (!reuse || block === undefined) block = Buffer.allocUnsafeSlow(BLOCK);
    const { bytesRead } = await handle.read(block, 0, Math.min(BLOCK, sizeBytes - at), at);
    if (bytesRead === 0) throw new MtaError('SPOOL_FAILED', 'the content that was kept is shorter than it was');
    at += bytesRead;
    yield block.subarray(0, bytesRead);
  }
}
