/**
 * Settlement: what became of a delivery, and what follows, in one batch: its end (history, body, counts), its next version, and
 * the reports it causes (G2).
 *
 * It survives a failed write: it is kept and written again, first, when the store is back. Whether the failed batch landed after
 * all is told by the version of the record.
 */
import { deliveryKey } from '../../core/delivery.js';
import { type Message, withoutDefaults } from '../../core/message.js';
import type { Settlement } from '../spool.js';
import type { NextVersion } from '../versions.js';
import { admit, buildAcceptance, hotBody, putDelivery, RECORD_WEIGHT, weightOf } from './accept.js';
import type { Batch, Operation } from './batch.js';
import { type DeliveryRecord, type HistoryRecord, sealJson, sealNumbers, unsealJson } from './codec.js';
import { Entry, MOVED } from './entry.js';
import { bodyKey, copyKey, garbageKey, historyKey, messageKey, ordinal, sequence32, timerKey } from './keys.js';
import type { Lane } from './lanes.js';
import type { Ledger } from './ledger.js';

/** Takes the entry's keys out of the store. */
export function unindex(ledger: Ledger, batch: Batch, entry: Entry): void {
  const { lane } = entry;
  batch.count(lane);
  if (entry.indexKey === '') {
    lane.held--;
    return;
  }
  // The entry of what was moved is left behind, stale: whoever reads it finds another version, or none.
  if (entry.indexKey !== MOVED) batch.del(entry.indexKey);
  if (entry.byTimer) lane.waiting--;
  else lane.ready--;
  ledger.lanes.demoted(entry);
}

/** The end of a delivery. Returns the body file to delete, if this was the message's last. */
export function buildEnd(ledger: Ledger, batch: Batch, entry: Entry, last: NextVersion): string | undefined {
  const { message } = entry.delivery;
  const about = entry.ordinal;
  batch.del(`d/${about}`);
  if (message.merge !== undefined) endCopy(ledger, batch, message, about, last);
  ledger.consumed++;
  if (ledger.keepHistory) {
    const at = ledger.nextHistoryTime(batch.now);
    const key = historyKey(at, about);
    const record: HistoryRecord = {
      m: withoutDefaults(message),
      l: entry.lane.key,
      p: entry.priority,
      r: last.recipients,
      a: last.attempts,
      g: last.log,
      t: at,
    };
    batch.put(key, sealJson(key, record));
    const pointer = `i/${about}`;
    batch.put(pointer, sealNumbers(pointer, [at]));
  }
  if (!entry.single) {
    const open = batch.openCount(message.id);
    if (open === undefined) {
      // Others may be open: the body stays. `riata spool check` tells of it.
      const text = `the number of open deliveries of message ${message.id} is missing or damaged: its body is kept`;
      ledger.faultOnce({ code: 'SPOOL_DAMAGED', text, id: message.id });
      return undefined;
    }
    batch.setOpenCount(message.id, open - 1);
    if (open > 1) return undefined;
    batch.del(messageKey(message.id));
  }
  ledger.messages--;
  if (entry.place === undefined) {
    batch.del(bodyKey(message.id));
    return undefined;
  }
  const garbage = garbageKey(entry.place);
  batch.put(garbage, sealNumbers(garbage, [batch.now]));
  return entry.place;
}

function endCopy(ledger: Ledger, batch: Batch, message: Message, about: string, last: NextVersion): void {
  batch.del(copyKey(about));
  // Who keeps no history knows nothing of what is done.
  if (ledger.keepHistory) for (const { state } of last.recipients) batch.tally(message.id, state);
}

/** Where the next version of a delivery goes, if not where it was. */
export interface Move {
  readonly lane: Lane;
  readonly n: number;
  readonly single: boolean;
}

/** Its next version: a new record, a new place in an index. */
export function buildNext(ledger: Ledger, batch: Batch, entry: Entry, to: NextVersion, { lane, n, single }: Move = entry): Entry {
  const { delivery } = entry;
  const about = ordinal(delivery.message.id, n);
  const version = entry.version + 1;
  const { next } = to;
  const sequence = ledger.nextSequence();
  const due =
    next.kind === 'retry'
      ? next.due
      : next.kind === 'ready'
        ? Math.min(delivery.due, batch.now)
        : next.kind === 'hold'
          ? next.due
          : delivery.due;
  const indexKey =
    next.kind === 'retry' ? timerKey(due, about) : next.kind === 'ready' ? lane.readyPrefix(entry.priority) + sequence32(sequence) : '';
  const fresh = new Entry(
    {
      ...delivery,
      key: deliveryKey(delivery.message.id, n),
      lane: lane.key,
      recipients: to.recipients,
      attempts: to.attempts,
      log: to.log,
      delayNoticed: to.delayNoticed,
      held: next.kind === 'hold',
      due,
    },
    lane,
    {
      priority: entry.priority,
      n,
      version,
      indexKey,
      sequence,
      gate: next.kind === 'retry' ? due : 0,
      single,
      place: entry.place,
    },
  );
  const record: DeliveryRecord = {
    v: version,
    x: next.kind === 'retry' ? 't' : next.kind === 'ready' ? 'r' + sequence32(sequence) : '',
    l: lane.key,
    p: entry.priority,
    r: to.recipients,
    a: to.attempts,
    g: to.log,
    n: to.delayNoticed,
    d: due,
    m: single ? delivery.message : undefined,
    f: single ? entry.place : undefined,
  };
  putDelivery(batch, fresh, record);
  return fresh;
}

export class SettleOperation implements Operation {
  readonly weight: number;
  readonly #ledger: Ledger;
  readonly #entry: Entry;
  readonly #to: NextVersion;
  readonly #reports: Settlement['reports'];
  readonly #ends: { resolve: (held: boolean) => void; reject: (error: Error) => void };
  #next: Entry | undefined;
  #accepted: Entry[][] = [];
  #place: string | undefined;
  #again = false;

  constructor(
    ledger: Ledger,
    entry: Entry,
    to: NextVersion,
    reports: Settlement['reports'],
    ends: { resolve: (held: boolean) => void; reject: (error: Error) => void },
  ) {
    this.#ledger = ledger;
    this.#entry = entry;
    this.#to = to;
    this.#reports = reports;
    this.#ends = ends;
    let weight = RECORD_WEIGHT;
    for (const report of reports) weight += weightOf(report);
    this.weight = weight;
  }

  build(batch: Batch): void {
    const ledger = this.#ledger;
    const entry = this.#entry;
    ledger.touch(entry.delivery.key);
    this.#next = undefined;
    this.#accepted = [];
    if (this.#again && this.#hasLanded(batch)) {
      ledger.lanes.demoted(entry);
      return;
    }
    unindex(ledger, batch, entry);
    if (this.#to.next.kind === 'done') this.#place = buildEnd(ledger, batch, entry, this.#to);
    else this.#next = buildNext(ledger, batch, entry, this.#to);
    for (const report of this.#reports) this.#accepted.push(buildAcceptance(ledger, batch, report));
  }

  /** The batch that failed may be in the store all the same. */
  #hasLanded(batch: Batch): boolean {
    const key = `d/${this.#entry.ordinal}`;
    const value = batch.current(key);
    if (value === undefined) return true;
    const record = unsealJson<DeliveryRecord>(key, value);
    return record !== undefined && record.v !== this.#entry.version;
  }

  committed(): void {
    const ledger = this.#ledger;
    const entry = this.#entry;
    ledger.unlease(entry);
    // The next version first: it takes over the bytes before the old one lets go of them.
    if (this.#next !== undefined) admit(ledger, [this.#next], entry.hot);
    ledger.forget(entry);
    for (let i = 0; i < this.#accepted.length; i++) admit(ledger, this.#accepted[i]!, hotBody(this.#reports[i]!));
    if (this.#place !== undefined) ledger.dropBody(this.#place);
    ledger.lanes.release(entry.lane);
    this.#ends.resolve(true);
  }

  failed(_error: Error, written: boolean): 'keep' {
    if (written) this.#again = true;
    return 'keep';
  }

  abandoned(error: Error): void {
    this.#ends.reject(error);
  }
}
