/**
 * The store: the little that the spool asks of LevelDB, and the only file that knows the library. Keys are text;
 * values are text, but for bodies.
 *
 * It promises nothing about what is in the values: checksums are the codec's. It must not try again: a failed write
 * poisons LevelDB's handle, and what to do then is the spool's decision (`recovery.ts`).
 * Tests hand in a store of their own to make writes fail.
 */
import { ClassicLevel, type Snapshot } from 'classic-level';

export interface StoreBatch {
  put(key: string, value: string): void;
  /** The bytes are copied at once. */
  putBytes(key: string, value: Buffer): void;
  del(key: string): void;
  /** Synced: resolves when it would survive power loss. All of it or nothing. */
  write(): Promise<void>;
}

export interface Range {
  readonly gte: string;
  readonly lt: string;
  readonly limit: number;
  readonly reverse?: boolean;
}

export interface Store {
  batch(): StoreBatch;
  get(key: string): Promise<string | undefined>;
  getSync(key: string): string | undefined;
  getMany(keys: string[]): Promise<(string | undefined)[]>;
  getBytes(key: string): Promise<Buffer | undefined>;
  entries(range: Range): Promise<[string, string][]>;
  keys(range: Range): Promise<string[]>;
  /** Roughly what a range takes on disk, without what is still in the log. */
  sizeOf(gte: string, lt: string): Promise<number>;
  /** Gives back the space of what was deleted in a range. */
  compact(gte: string, lt: string): Promise<void>;
  /** Everything as it is at the moment of this call, while reading and writing go on. */
  freeze(): Frozen;
  /** Idempotent. */
  close(): Promise<void>;
}

/** A store as it was at one moment. Let go of it before the store is closed. */
export interface Frozen {
  /** Into a new store, synced. `see` is shown each entry. */
  copyTo(path: string, see: (key: string, value: Buffer) => void): Promise<void>;
  release(): Promise<void>;
}

export type OpenStore = (path: string) => Promise<Store>;

const MIB = 1024 * 1024;
/** `maxOpenFiles`: mapped tables count as resident memory; 1000 of them cost 600 MB. */
const OPTIONS = { writeBufferSize: 16 * MIB, cacheSize: 8 * MIB, maxOpenFiles: 64, compression: true } as const;
const SYNCED = { sync: true } as const;
const BYTES = { valueEncoding: 'buffer' } as const;

/** Rejects with the library's error: code `LEVEL_LOCKED` in its `cause` where another process has it. */
export const openLevelStore: OpenStore = async (path) => {
  const db = new ClassicLevel<string, string>(path, OPTIONS);
  await db.open();
  return {
    batch() {
      // The chained form costs a fifth of `db.batch([…])`.
      const batch = db.batch();
      return {
        put: (key, value) => void batch.put(key, value),
        putBytes: (key, value) => void batch.put(key, value, BYTES),
        del: (key) => void batch.del(key),
        write: () => batch.write(SYNCED),
      };
    },
    get: (key) => db.get(key),
    getSync: (key) => db.getSync(key),
    getMany: (keys) => db.getMany(keys),
    getBytes: (key) => db.get<string, Buffer>(key, BYTES),
    entries: (range) => readAll(db.iterator(range), range.limit),
    keys: (range) => readAll(db.keys(range), range.limit),
    sizeOf: (gte, lt) => db.approximateSize(gte, lt),
    compact: (gte, lt) => db.compactRange(gte, lt),
    freeze() {
      const snapshot = db.snapshot();
      return { copyTo: (to, see) => copyStore(db, snapshot, to, see), release: () => snapshot.close() };
    },
    close: () => db.close(),
  };
};

/** Octets and entries read and written at once. */
const COPY_BYTES = MIB;
const COPY_ENTRIES = 2000;

async function copyStore(
  db: ClassicLevel<string, string>,
  snapshot: Snapshot,
  to: string,
  see: (key: string, value: Buffer) => void,
): Promise<void> {
  const iterator = db.iterator<string, Buffer>({ ...BYTES, snapshot, highWaterMarkBytes: COPY_BYTES });
  const copy = new ClassicLevel<string, string>(to, { ...OPTIONS, errorIfExists: true });
  try {
    await copy.open();
    for (;;) {
      const page = await iterator.nextv(COPY_ENTRIES);
      if (page.length === 0) return;
      const batch = copy.batch();
      for (const [key, value] of page) {
        see(key, value);
        batch.put(key, value, BYTES);
      }
      await batch.write(SYNCED);
    }
  } finally {
    await iterator.close();
    await copy.close();
  }
}

/**
 * LevelDB's own repair, of a store that it does not open, or that it cannot read through: what is left of its files is put in order,
 * what is damaged is left out. Changes the store: give it a copy.
 */
export function repairLevelStore(path: string): Promise<void> {
  return ClassicLevel.repair(path);
}

/** One crossing into the library for the whole page, instead of one per entry. */
async function readAll<T>(iterator: { nextv(size: number): Promise<T[]>; close(): Promise<void> }, limit: number): Promise<T[]> {
  try {
    const all = await iterator.nextv(limit);
    while (all.length < limit) {
      const more = await iterator.nextv(limit - all.length);
      if (more.length === 0) break;
      for (const item of more) all.push(item);
    }
    return all;
  } finally {
    await iterator.close();
  }
}
