/** Contents, verified for `riata spool check`: those in the store and those in files, octet by octet, and whether anybody needs them. */
import fsp from 'node:fs/promises';
import path from 'node:path';
import { readBodyFile } from './body-file.js';
import type { ToldProblem } from './check.js';
import { type DeliveryRecord, type MessageRecord, unsealBody, unsealJson } from './codec.js';
import { AFTER_SLASH, messageKey } from './keys.js';
import type { Store } from './store.js';

const PAGE = 500;

export class BodyCheck {
  readonly #store: Store;
  readonly #folder: string;
  readonly #problem: ToldProblem;
  readonly #progress: (done: number) => void;
  readonly counts = { bodyFiles: 0, bodyBytes: 0 };

  constructor(store: Store, folder: string, problem: ToldProblem, progress: (done: number) => void) {
    this.#store = store;
    this.#folder = folder;
    this.#problem = problem;
    this.#progress = progress;
  }

  /** One that a record names. */
  async file(id: string, place: string, sizeBytes: number): Promise<void> {
    this.counts.bodyFiles++;
    try {
      for await (const block of readBodyFile(fsp, path.join(this.#folder, 'bodies', place), sizeBytes))
        this.counts.bodyBytes += block.length;
    } catch (error) {
      this.#problem('body', (error as Error).message, id);
    }
  }

  /** All that stand in the store. */
  async inline(): Promise<void> {
    let gte = 'b/';
    for (let done = 0; ; ) {
      const keys = await this.#store.keys({ gte, lt: `b${AFTER_SLASH}`, limit: PAGE });
      for (const key of keys) {
        const id = key.slice(2);
        const value = await this.#store.getBytes(key);
        const body = value && unsealBody(key, value);
        if (body === undefined) this.#problem('body', `the body of message ${id} does not match its checksum`, id);
        else this.counts.bodyBytes += body.length;
        const [first] = await this.#store.keys({ gte: `d/${id}/`, lt: `d/${id}${AFTER_SLASH}`, limit: 1 });
        if (first === undefined) this.#problem('orphan', `the body of message ${id} has no delivery`, id);
      }
      done += keys.length;
      this.#progress(done);
      if (keys.length < PAGE) return;
      gte = `${keys[keys.length - 1]!}\0`;
    }
  }

  /** Files that no record names. */
  async files(): Promise<void> {
    const root = path.join(this.#folder, 'bodies');
    for (const epoch of await fsp.readdir(root).catch(() => [])) {
      for (const name of await fsp.readdir(path.join(root, epoch))) {
        const place = `${epoch}/${name}`;
        if (name.endsWith('.tmp') || (await this.#store.get(`g/${place}`)) !== undefined) continue;
        const [first] = await this.#store.entries({ gte: `d/${name}/`, lt: `d/${name}${AFTER_SLASH}`, limit: 1 });
        const record = first && unsealJson<DeliveryRecord>(...first);
        const value = record?.m ? undefined : await this.#store.get(messageKey(name));
        const named = record?.m ? record.f : value && unsealJson<MessageRecord>(messageKey(name), value)?.f;
        if (named !== place) this.#problem('orphan', `no record names the body file ${place}; the next start moves it to lost/`, name);
      }
    }
  }
}
