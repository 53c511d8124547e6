/**
 * Verifying a spool that no agent has open: reads everything, believes nothing. Checksums, format, batch numbers, records against
 * indexes and back, bodies against records, counters against a recount.
 *
 * Promises: changes nothing, prints nothing; memory depends on the number of lanes and of problems, not on the depth of the queue.
 */
import { MtaError } from '../../core/errors.js';
import type { Clock } from '../../platform/clock.js';
import { systemClock } from '../../platform/clock.js';
import { checkFormat, readHighWater, readRing } from './books.js';
import { BesidesCheck } from './check-besides.js';
import { BodyCheck } from './check-bodies.js';
import { CopyCheck } from './check-copies.js';
import { LaneCheck, type LaneTally } from './check-lanes.js';
import {
  type DeliveryRecord,
  type HistoryRecord,
  type MessageRecord,
  unsealJson,
  unsealNumbers,
  unsealReady,
  unsealTimer,
} from './codec.js';
import {
  AFTER_SLASH,
  bodyKey,
  deliveryKeyOf,
  escapeLane,
  historyKey,
  openCountKey,
  parse32,
  splitTimed,
  timerKey,
  unescapeLane,
} from './keys.js';
import { claimForReading } from './reading.js';
import type { Store } from './store.js';

export interface SpoolProblem {
  /**
   * `checksum`: a value is damaged. `missing`: something that must be there is not. `orphan`: something stands for nothing.
   * `counter`: a count is wrong. `batches`: durable batches are lost. `body`: a body is damaged.
   */
  readonly code: 'checksum' | 'missing' | 'orphan' | 'counter' | 'batches' | 'body';
  readonly text: string;
  /** The message it is about, where that is known. */
  readonly id?: string;
}

export type ToldProblem = (code: SpoolProblem['code'], text: string, id?: string) => void;

export interface SpoolReport {
  readonly folder: string;
  /** Of the store: raised only when something needs it. */
  readonly format: number;
  readonly messages: number;
  readonly deliveries: number;
  readonly ready: number;
  readonly waiting: number;
  readonly held: number;
  readonly lanes: number;
  readonly history: number;
  readonly bodyFiles: number;
  /** Octets of bodies verified. */
  readonly bodyBytes: number;
  /** Index entries that a crash or a change left behind: harmless, dropped when they are read. */
  readonly stale: number;
  /** The first ones; `problemCount` tells how many there are in all. Empty: the spool is sound. */
  readonly problems: readonly SpoolProblem[];
  readonly problemCount: number;
}

const PAGE = 500;
const MAX_PROBLEMS = 1000;

/** Rejects with `NOT_FOUND`, `SPOOL_LOCKED`, `SPOOL_VERSION`, and `SPOOL_DAMAGED` where the store itself cannot be read; else what is damaged is in the report. */
export async function checkSpool(
  given: string,
  options: { readonly progress?: (what: string, done: number) => void; readonly clock?: Clock } = {},
): Promise<SpoolReport> {
  const claim = await claimForReading(given, options.clock ?? systemClock);
  try {
    const check = new Check(claim.store, claim.folder, options.progress ?? (() => {}));
    return await check.run();
  } catch (error) {
    const code = (error as { readonly code?: unknown }).code;
    if (typeof code !== 'string' || !code.startsWith('LEVEL_')) throw error;
    const message = `the store in ${claim.folder} cannot be read to its end: ${(error as Error).message}: run \`riata spool repair\``;
    throw new MtaError('SPOOL_DAMAGED', message, { cause: error });
  } finally {
    await claim.release(claim.store);
  }
}

class Check {
  readonly #store: Store;
  readonly #folder: string;
  readonly #progress: (what: string, done: number) => void;
  readonly #lanes: LaneCheck;
  /** Large messages that are being written or indexed, and how many of their deliveries are indexed. */
  readonly #unfinished = new Map<string, number>();
  readonly #bodies: BodyCheck;
  readonly #copies: CopyCheck;
  readonly #besides: BesidesCheck;
  readonly #problems: SpoolProblem[] = [];
  #problemCount = 0;
  readonly #counts = { messages: 0, deliveries: 0, history: 0, stale: 0 };

  constructor(store: Store, folder: string, progress: (what: string, done: number) => void) {
    this.#store = store;
    this.#folder = folder;
    this.#progress = progress;
    const problem: ToldProblem = (code, text, id) => this.#problem(code, text, id);
    this.#lanes = new LaneCheck(problem);
    this.#bodies = new BodyCheck(store, folder, problem, (done) => progress('bodies', done));
    this.#copies = new CopyCheck(store, problem);
    this.#besides = new BesidesCheck(store, problem);
  }

  async run(): Promise<SpoolReport> {
    const { format } = await checkFormat(this.#store, this.#folder);
    await this.#batches();
    for await (const page of this.#walk('p')) {
      for (const [key, value] of page) this.#unfinished.set(key.slice(2), Math.max(0, (unsealNumbers(key, value)?.[0] ?? 0) - 1));
    }
    await this.#deliveries();
    for await (const page of this.#walk('v')) await this.#copies.copies(page);
    for await (const page of this.#walk('n')) this.#copies.tallies(page);
    await this.#messages();
    await this.#ready();
    await this.#timers();
    await this.#bodies.inline();
    await this.#history();
    for await (const page of this.#walk('k')) await this.#besides.keys(page);
    await this.#bodies.files();
    for await (const page of this.#walk('q')) this.#besides.pauses(page);
    for await (const page of this.#walk('s')) this.#besides.servers(page);
    this.#besides.serversOf(this.#lanes.names());
    for await (const page of this.#walk('l')) this.#lanes.counters(page);
    return {
      folder: this.#folder,
      format,
      ...this.#counts,
      ...this.#lanes.totals(),
      ...this.#bodies.counts,
      problems: this.#problems,
      problemCount: this.#problemCount,
    };
  }

  #problem(code: SpoolProblem['code'], text: string, id?: string): void {
    this.#problemCount++;
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(id === undefined ? { code, text } : { code, text, id });
  }

  /** Everything that begins with a letter, page by page. */
  async *#walk(letter: string): AsyncGenerator<readonly [string, string][]> {
    let gte = `${letter}/`;
    let done = 0;
    for (;;) {
      const page = await this.#store.entries({ gte, lt: `${letter}${AFTER_SLASH}`, limit: PAGE });
      done += page.length;
      this.#progress(WHAT[letter] ?? letter, done);
      yield page;
      if (page.length < PAGE) return;
      gte = `${page[page.length - 1]![0]}\0`;
    }
  }

  async #batches(): Promise<void> {
    const ring = await readRing(this.#store);
    if (ring.missing.length > 0) this.#problem('batches', `${ring.missing.length} batches before number ${ring.batch} are missing`);
    const mark = readHighWater(this.#folder);
    if (mark > ring.batch) this.#problem('batches', `the last ${mark - ring.batch} durable batches are missing`);
  }

  /** Records; which index entry each must have; which message and body. */
  async #deliveries(): Promise<void> {
    const open = new Map<string, number>();
    for await (const page of this.#walk('d')) {
      const timers: [string, DeliveryRecord][] = [];
      for (const [key, value] of page) {
        this.#counts.deliveries++;
        const about = key.slice(2);
        const id = about.slice(0, about.indexOf('/'));
        const record = unsealJson<DeliveryRecord>(key, value);
        if (record === undefined) {
          this.#problem('checksum', `the record of delivery ${deliveryKeyOf(about)} does not match its checksum`, id);
          continue;
        }
        if (!record.m) open.set(id, (open.get(id) ?? 0) + 1);
        else this.#counts.messages++;
        if (record.m && record.f !== undefined) await this.#bodies.file(id, record.f, record.m.sizeBytes);
        else if (record.m && (await this.#store.get(bodyKey(id))) === undefined) this.#problem('missing', `message ${id} has no body`, id);
        const tally = this.#lanes.of(record.l);
        if (this.#isUnindexed(id, about)) continue;
        if (record.x === '') tally.held++;
        else if (record.x.startsWith('r')) await this.#expectReady(about, record, tally);
        else if (record.x === 'm') tally.countMoved();
        else timers.push([timerKey(record.d, about), record]);
      }
      const found = await this.#store.getMany(timers.map(([key]) => key));
      for (const [i, [, record]] of timers.entries()) {
        // Without its timer, it came due and was moved to the ready index.
        if (found[i] === undefined) this.#lanes.of(record.l).countMoved();
        else this.#lanes.of(record.l).waiting++;
      }
      await this.#copies.deliveries(page);
      await this.#openCounts(open, page.length < PAGE ? undefined : page[page.length - 1]![0]);
    }
  }

  /** Of a large message that is not yet in its indexes. */
  #isUnindexed(id: string, about: string): boolean {
    const indexed = this.#unfinished.get(id);
    return indexed !== undefined && parse32(about.slice(about.indexOf('/') + 1)) >= indexed;
  }

  async #expectReady(about: string, record: DeliveryRecord, tally: LaneTally): Promise<void> {
    tally.ready++;
    const key = `r/${escapeLane(record.l)}/${record.p}/${record.x.slice(1)}`;
    const value = await this.#store.get(key);
    const entry = value === undefined ? undefined : unsealReady(key, value);
    if (value === undefined)
      this.#problem(
        'missing',
        `delivery ${deliveryKeyOf(about)} is ready and stands in no index: it would never be sent`,
        about.slice(0, about.indexOf('/')),
      );
    else if (entry !== undefined && entry.ordinal !== about)
      this.#problem('orphan', `the index entry of delivery ${deliveryKeyOf(about)} names ${deliveryKeyOf(entry.ordinal)}`);
  }

  /** Of messages with several deliveries, those that the walk has passed. */
  async #openCounts(open: Map<string, number>, upTo: string | undefined): Promise<void> {
    for (const [id, count] of open) {
      if (upTo?.startsWith(`d/${id}/`)) continue;
      open.delete(id);
      const key = openCountKey(id);
      const value = await this.#store.get(key);
      const stored = value === undefined ? undefined : unsealNumbers(key, value)?.[0];
      if (stored === undefined && this.#unfinished.has(id)) continue;
      if (stored !== count)
        this.#problem('counter', `message ${id} has ${count} open deliveries, and is said to have ${stored ?? 'none'}`, id);
    }
  }

  async #messages(): Promise<void> {
    for await (const page of this.#walk('m')) {
      for (const [key, value] of page) {
        this.#counts.messages++;
        const id = key.slice(2);
        const record = unsealJson<MessageRecord>(key, value);
        const [first] = await this.#store.keys({ gte: `d/${id}/`, lt: `d/${id}${AFTER_SLASH}`, limit: 1 });
        if (record === undefined) this.#problem('checksum', `the record of message ${id} does not match its checksum`, id);
        else if (record.f !== undefined) await this.#bodies.file(id, record.f, record.m.sizeBytes);
        else if ((await this.#store.get(bodyKey(id))) === undefined) this.#problem('missing', `message ${id} has no body`, id);
        if (first === undefined) this.#problem('orphan', `message ${id} has no deliveries`, id);
      }
    }
  }

  async #ready(): Promise<void> {
    for await (const page of this.#walk('r')) {
      const entries = page.map(([key, value]) => ({ key, entry: unsealReady(key, value) }));
      const recordKeys = entries.map(({ entry }) => `d/${entry?.ordinal ?? ''}`);
      const records = await this.#store.getMany(recordKeys);
      for (const [i, { key, entry }] of entries.entries()) {
        if (entry === undefined) {
          this.#problem('checksum', `the entry ${key} of the ready index does not match its checksum`);
          continue;
        }
        const record = records[i] === undefined ? undefined : unsealJson<DeliveryRecord>(recordKeys[i]!, records[i]!);
        if (record === undefined || record.v !== entry.version) this.#counts.stale++;
        else if (!record.x.startsWith('r')) this.#lanes.of(unescapeLane(key.slice(2, key.indexOf('/', 2)))).moved--;
      }
    }
  }

  async #timers(): Promise<void> {
    for await (const page of this.#walk('t')) {
      const recordKeys = page.map(([key]) => `d/${splitTimed(key).ordinal}`);
      const records = await this.#store.getMany(recordKeys);
      for (const [i, [key, value]] of page.entries()) {
        const entry = unsealTimer(key, value);
        const record = records[i] === undefined ? undefined : unsealJson<DeliveryRecord>(recordKeys[i]!, records[i]!);
        if (entry === undefined) this.#problem('checksum', `the entry ${key} of the timer index does not match its checksum`);
        else if (record === undefined || record.v !== entry.version) this.#counts.stale++;
      }
    }
  }

  async #history(): Promise<void> {
    for await (const page of this.#walk('h')) {
      for (const [key, value] of page) {
        this.#counts.history++;
        if (unsealJson<HistoryRecord>(key, value) === undefined)
          this.#problem('checksum', `the history of delivery ${deliveryKeyOf(splitTimed(key).ordinal)} does not match its checksum`);
      }
    }
    for await (const page of this.#walk('i')) {
      const keys = page.map(([key, value]) => historyKey(unsealNumbers(key, value)?.[0] ?? 0, key.slice(2)));
      const found = await this.#store.getMany(keys);
      for (const [i, [key]] of page.entries())
        if (found[i] === undefined) this.#problem('orphan', `the history of delivery ${deliveryKeyOf(key.slice(2))} is missing`);
    }
  }
}

const WHAT: Readonly<Record<string, string>> = {
  d: 'deliveries',
  m: 'messages',
  r: 'ready index',
  t: 'timers',
  h: 'history',
  i: 'history pointers',
  k: 'keys of senders',
  l: 'lanes',
  p: 'unfinished messages',
  v: 'copies',
  n: 'tallies',
  s: 'servers of messages',
};
