/**
 * Housekeeping, called by the clock: history past its retention or its size, keys of senders past their time, orphaned body files,
 * space of what was deleted. In slices, so that mail goes on meanwhile.
 */
import type { Dirent } from 'node:fs';
import path from 'node:path';
import type { Batch, Operation } from './batch.js';
import type { Bodies } from './bodies.js';
import { readEnvelope } from './body-file.js';
import { type DeliveryRecord, unsealJson } from './codec.js';
import { AFTER_SLASH, messageKey, splitTimed, tallyKey, time32 } from './keys.js';
import type { Ledger } from './ledger.js';
import { forgetOnce } from './once.js';
import { forgetServers } from './own-servers.js';
import type { Space } from './space.js';

const SLICE = 500;
const HOUR_MS = 3_600_000;
/** Deliveries ended after which their ranges are compacted at the next tidying, if no more than these are still there. */
const COMPACT_AFTER = 50_000;
const ROOM_FRACTION = 10;
const ROOM_PAUSE_MS = 2000;

export interface TidyOptions {
  readonly folder: string;
  readonly epoch: number;
  readonly historyRetentionMs: number;
  readonly historyMaxBytes: number;
}

export class Tidy {
  readonly #ledger: Ledger;
  readonly #bodies: Bodies;
  readonly #space: Space;
  readonly #options: TidyOptions;
  #running: Promise<void> | undefined;
  #swept = false;

  constructor(ledger: Ledger, bodies: Bodies, space: Space, options: TidyOptions) {
    this.#ledger = ledger;
    this.#bodies = bodies;
    this.#space = space;
    this.#options = options;
  }

  run(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    await this.#space.layBallast();
    if (!this.#swept) {
      await this.#sweepBodies();
      this.#swept = true;
    }
    const ledger = this.#ledger;
    const { historyRetentionMs, historyMaxBytes } = this.#options;
    let deleted = await this.#forgetHistory(ledger.clock.now() - historyRetentionMs);
    // Sizes are estimates that leave out what is still in the log: hour by hour, until it fits.
    while ((await ledger.store.sizeOf('h/', `h${AFTER_SLASH}`)) > historyMaxBytes) {
      const [oldest] = await ledger.store.keys({ gte: 'h/', lt: `h${AFTER_SLASH}`, limit: 1 });
      if (oldest === undefined) break;
      const hour = (Math.floor(splitTimed(oldest).at / HOUR_MS) + 1) * HOUR_MS;
      const gone = await this.#forgetHistory(hour);
      deleted += gone;
      if (gone === 0) break;
      await ledger.store.compact('h/', `h/${time32(hour)}`);
    }
    await forgetOnce(ledger);
    if (deleted > 0) await this.#forgetTallies();
    await forgetServers(ledger);
    await this.#compact(deleted);
  }

  /** Of merges of which nothing is left, neither in the queue nor in the history. There is one for each merge. */
  async #forgetTallies(): Promise<void> {
    const { store } = this.#ledger;
    for (let gte = 'n/', last = false; !last; ) {
      const keys = await store.keys({ gte, lt: `n${AFTER_SLASH}`, limit: SLICE });
      for (const key of keys) {
        const id = key.slice(2);
        const [open] = await store.keys({ gte: `d/${id}/`, lt: `d/${id}${AFTER_SLASH}`, limit: 1 });
        const [past] = await store.keys({ gte: `i/${id}/`, lt: `i/${id}${AFTER_SLASH}`, limit: 1 });
        if (open === undefined && past === undefined) this.#ledger.rubbish.push(tallyKey(id));
      }
      last = keys.length < SLICE;
      gte = `${keys.at(-1)}\0`;
    }
  }

  /** Deletes what was done before `before`, with its pointers. */
  async #forgetHistory(before: number): Promise<number> {
    const ledger = this.#ledger;
    const { generation } = ledger;
    let deleted = 0;
    let gte = 'h/';
    for (;;) {
      const keys = await ledger.store.keys({ gte, lt: `h/${time32(before)}`, limit: SLICE });
      if (keys.length === 0 || generation !== ledger.generation) return deleted;
      gte = `${keys[keys.length - 1]!}\0`;
      await new Promise<void>((resolve) => ledger.submit(new ForgetOperation(keys, resolve)));
      deleted += keys.length;
    }
  }

  /** Where much was deleted, its space is given back; LevelDB does that by itself only where something new is written. */
  async #compact(historyDeleted: number): Promise<void> {
    const ledger = this.#ledger;
    if (historyDeleted > 0) await ledger.store.compact('h/', `h/${time32(ledger.clock.now())}`);
    if (historyDeleted > 0) await ledger.store.compact('i/', `i${AFTER_SLASH}`);
    if (ledger.promoted >= COMPACT_AFTER) {
      ledger.promoted = 0;
      await ledger.store.compact('t/', `t/${time32(ledger.clock.now())}`);
    }
    if (ledger.consumed >= Math.max(COMPACT_AFTER, this.#live())) await this.#giveBack();
  }

  /** Deliveries that are still there. */
  #live(): number {
    const { ready, waiting, held } = this.#ledger.lanes.totals();
    return ready + waiting + held;
  }

  async #giveBack(): Promise<void> {
    const { store } = this.#ledger;
    this.#ledger.consumed = 0;
    for (const letter of ['r', 't', 'd', 'v', 'b']) await store.compact(`${letter}/`, `${letter}${AFTER_SLASH}`);
  }

  /**
   * While intake is closed for want of space: LevelDB gives back what was deleted when something new is written, and nothing is. Where
   * what was deleted is no trifle beside what is there, it is made to.
   */
  async makeRoom(pause: (ms: number) => Promise<void>, ended: () => boolean): Promise<void> {
    while (!ended() && this.#space.tooLittleFor(0)) {
      if (this.#ledger.consumed > 0 && this.#ledger.consumed * ROOM_FRACTION >= this.#live()) {
        await this.#giveBack();
        await this.#space.measure();
      }
      await pause(ROOM_PAUSE_MS);
    }
  }

  // — orphans —

  /** Body files of earlier starts: those without a record go to `lost/` and are reported; unfinished ones are deleted. */
  async #sweepBodies(): Promise<void> {
    const { fs } = this.#bodies;
    const root = path.join(this.#options.folder, 'bodies');
    for (const epoch of await folderNames(fs, root)) {
      if (!(Number(epoch) < this.#options.epoch)) continue;
      const folder = path.join(root, epoch);
      const names = (await fs.readdir(folder, { withFileTypes: true })) as Dirent[];
      let left = 0;
      for (const { name } of names) if (!(await this.#sweepFile(epoch, name))) left++;
      if (left === 0) await fs.rmdir(folder).catch(() => {});
    }
  }

  /** True: it is gone from there. */
  async #sweepFile(epoch: string, name: string): Promise<boolean> {
    const place = `${epoch}/${name}`;
    if (name.endsWith('.tmp')) {
      await this.#bodies.remove(place);
      return true;
    }
    if (await this.#belongs(name, place)) return false;
    if ((await this.#ledger.store.get(`g/${place}`)) !== undefined) {
      await this.#bodies.remove(place);
      this.#ledger.rubbish.push(`g/${place}`);
      return true;
    }
    const { fs } = this.#bodies;
    const lost = path.join(this.#options.folder, 'lost');
    await fs.mkdir(lost, { recursive: true, mode: 0o700 });
    const handle = await fs.open(this.#bodies.pathOf(place), 'r');
    const head = await readEnvelope(handle).finally(() => handle.close());
    await fs.rename(this.#bodies.pathOf(place), path.join(lost, name));
    const who = head ? `from <${head.envelope.sender}> to ${head.envelope.recipients.length} recipients` : 'without a readable envelope';
    this.#ledger.fault({
      code: 'SPOOL_DAMAGED',
      text: `a body file ${who} has no record; most likely it was never acknowledged; it was moved to lost/${name}`,
      id: name,
    });
    return true;
  }

  async #belongs(id: string, place: string): Promise<boolean> {
    const { store } = this.#ledger;
    const key = messageKey(id);
    const value = await store.get(key);
    const [first] = await store.entries({ gte: `d/${id}/`, lt: `d/${id}${AFTER_SLASH}`, limit: 1 });
    if (first === undefined) return false;
    const record = unsealJson<DeliveryRecord>(...first);
    // Its record is damaged: it may well be its body.
    return record === undefined || value !== undefined || record.f === place;
  }
}

async function folderNames(fs: Bodies['fs'], root: string): Promise<string[]> {
  const entries = (await fs.readdir(root, { withFileTypes: true })) as Dirent[];
  return entries.filter((entry) => entry.isDirectory() && /^\d+$/.test(entry.name)).map((entry) => entry.name);
}

class ForgetOperation implements Operation {
  readonly weight: number;
  readonly #keys: readonly string[];
  readonly #resolve: () => void;

  constructor(keys: readonly string[], resolve: () => void) {
    this.#keys = keys;
    this.#resolve = resolve;
    this.weight = keys.length * 60;
  }

  build(batch: Batch): void {
    for (const key of this.#keys) {
      batch.del(key);
      batch.del(`i/${splitTimed(key).ordinal}`);
    }
  }

  committed(): void {
    this.#resolve();
  }

  failed(): 'drop' {
    this.#resolve();
    return 'drop';
  }
}
