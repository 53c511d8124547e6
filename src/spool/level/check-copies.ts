/** What templates need, verified for `riata spool check`: every delivery of one has its copy, every copy has its delivery, and all can be read. */
import type { MergeCopy, Message } from '../../core/message.js';
import type { ToldProblem } from './check.js';
import { type DeliveryRecord, type MessageRecord, unsealJson, unsealNumbers } from './codec.js';
import { copyKey, deliveryKeyOf, messageKey } from './keys.js';
import type { Store } from './store.js';

type Entries = readonly (readonly [string, string])[];

export class CopyCheck {
  readonly #store: Store;
  readonly #problem: ToldProblem;
  /** Read last: deliveries of a message follow each other. */
  #message: { readonly id: string; readonly message: Message | undefined } | undefined;

  constructor(store: Store, problem: ToldProblem) {
    this.#store = store;
    this.#problem = problem;
  }

  async deliveries(page: Entries): Promise<void> {
    const wanted: string[] = [];
    for (const [key, value] of page) {
      const id = key.slice(2, key.indexOf('/', 2));
      const record = unsealJson<DeliveryRecord>(key, value);
      if (record !== undefined && (record.m ?? (await this.#messageOf(id)))?.merge !== undefined) wanted.push(copyKey(key.slice(2)));
    }
    const found = await this.#store.getMany(wanted);
    for (const [i, key] of wanted.entries())
      if (found[i] === undefined)
        this.#problem('missing', `what the template needs for delivery ${deliveryKeyOf(key.slice(2))} is missing`, key.slice(2, 28));
  }

  async #messageOf(id: string): Promise<Message | undefined> {
    if (this.#message?.id === id) return this.#message.message;
    const key = messageKey(id);
    const value = await this.#store.get(key);
    const message = value === undefined ? undefined : unsealJson<MessageRecord>(key, value)?.m;
    this.#message = { id, message };
    return message;
  }

  async copies(page: Entries): Promise<void> {
    const records = await this.#store.getMany(page.map(([key]) => `d/${key.slice(2)}`));
    for (const [i, [key, value]] of page.entries()) {
      const about = key.slice(2);
      if (unsealJson<MergeCopy>(key, value) === undefined)
        this.#problem('checksum', `what the template needs for delivery ${deliveryKeyOf(about)} does not match its checksum`);
      if (records[i] === undefined) this.#problem('orphan', `there is no delivery ${deliveryKeyOf(about)} for what a template needs`);
    }
  }

  tallies(page: Entries): void {
    for (const [key, value] of page)
      if (unsealNumbers(key, value) === undefined)
        this.#problem('checksum', `the tally of message ${key.slice(2)} does not match its checksum`, key.slice(2));
  }
}
