/**
 * Free space: how much may still be written before intake closes, known without asking the system at every MAIL; and
 * the ballast, a small file of real blocks that is given up when the disk is full, so that deletes and settlements still work (G10).
 */
import path from 'node:path';
import type { Clock } from '../../platform/clock.js';
import type { SpoolFs } from './body-file.js';

const MIB = 1024 * 1024;
/** Of the free-space mark: so much more must be free before intake opens again. */
const REOPEN_FRACTION = 8;
const MEASURE_EVERY_MS = 10_000;
/** While closed, it is looked again this often. */
const MEASURE_CLOSED_MS = 500;

export class Space {
  readonly #folder: string;
  readonly #fs: SpoolFs;
  readonly #clock: Clock;
  readonly #minFree: number;
  readonly #told: (full: boolean) => void;
  #full = false;
  #free: number | undefined;
  #spent = 0;
  #measuredAt = 0;
  #measuring: Promise<void> | undefined;

  /** `told`: intake has closed for want of space (true), or opened again. */
  constructor(options: { folder: string; fs: SpoolFs; clock: Clock; minFreeBytes: number; told: (full: boolean) => void }) {
    this.#folder = options.folder;
    this.#fs = options.fs;
    this.#clock = options.clock;
    this.#minFree = options.minFreeBytes;
    this.#told = options.told;
  }

  /** Octets that may still come in; undefined where the system does not say. */
  get freeBytes(): number | undefined {
    return this.#free === undefined ? undefined : Math.max(0, this.#free - this.#spent - this.#minFree);
  }

  tooLittleFor(sizeBytes: number): boolean {
    const free = this.freeBytes;
    if (free === undefined) return false;
    // Once closed it stays so until there is clearly room again: it must not open and close with every message.
    const full = free === 0 || (this.#full && free < this.#minFree / REOPEN_FRACTION);
    const closed = full || free < sizeBytes;
    if (closed) this.#measureAfter(MEASURE_CLOSED_MS);
    // Where only a large message finds no room, its client alone is told.
    if (full !== this.#full) {
      this.#full = full;
      this.#told(full);
    }
    return closed;
  }

  wrote(bytes: number): void {
    this.#spent += bytes;
    const free = this.freeBytes;
    this.#measureAfter(free !== undefined && this.#spent > free / 4 ? MEASURE_CLOSED_MS : MEASURE_EVERY_MS);
  }

  #measureAfter(ms: number): void {
    if (this.#measuring === undefined && this.#clock.monotonic() - this.#measuredAt >= ms) void this.measure();
  }

  measure(): Promise<void> {
    this.#measuring ??= this.#ask().finally(() => {
      this.#measuring = undefined;
    });
    return this.#measuring;
  }

  async #ask(): Promise<void> {
    this.#measuredAt = this.#clock.monotonic();
    try {
      const stats = await this.#fs.statfs(this.#folder);
      this.#free = stats.bavail * stats.bsize;
      this.#spent = 0;
    } catch {
      // Some file systems do not say: then only the failed write tells.
      this.#free = undefined;
    }
  }

  // — ballast —

  get #ballast(): string {
    return path.join(this.#folder, 'ballast');
  }

  get #ballastBytes(): number {
    return Math.min(8 * MIB, Math.floor(this.#minFree / 4));
  }

  /** Lays it down, where there is room for it; does nothing if it lies there. */
  async layBallast(): Promise<void> {
    const bytes = this.#ballastBytes;
    if (bytes === 0) return;
    const there = await this.#fs.stat(this.#ballast).catch(() => undefined);
    if (there?.size === bytes) return;
    await this.measure();
    if (this.#free !== undefined && this.#free < this.#minFree + bytes) return;
    const handle = await this.#fs.open(this.#ballast, 'w', 0o600);
    try {
      const block = Buffer.alloc(Math.min(MIB, bytes), 'ballast ');
      for (let left = bytes; left > 0; left -= block.length) await handle.write(block, 0, Math.min(left, block.length));
    } finally {
      await handle.close();
    }
  }

  /** Gives it up. */
  async dropBallast(): Promise<void> {
    await this.#fs.unlink(this.#ballast).catch(() => {});
  }
}
