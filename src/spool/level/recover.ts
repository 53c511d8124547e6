/**
 * The journal, applied at the start: recipients that a remote is known to have taken are settled as delivered, durably, before
 * anything is scheduled (G3). A note for another version of its delivery is old news and left out.
 */
import type { Attempt, Recipient } from '../../core/delivery.js';
import { MAX_ATTEMPTS_KEPT, splitDeliveryKey } from '../../core/delivery.js';
import { isFinal } from '../spool.js';
import { Batch } from './batch.js';
import { readEntry } from './change.js';
import type { Entry } from './entry.js';
import { type Note, readJournal } from './journal.js';
import { garbageKey, ordinal } from './keys.js';
import type { Ledger } from './ledger.js';
import { buildEnd, buildNext, type NextVersion, unindex } from './settle.js';

const NOTES_PER_BATCH = 200;

/** Returns how many deliveries it settled. */
export async function applyJournal(ledger: Ledger, folder: string, removeBody: (place: string) => Promise<void>): Promise<number> {
  const notes = mergeNotes(readJournal(folder));
  let applied = 0;
  for (let from = 0; from < notes.length; from += NOTES_PER_BATCH) {
    const batch = new Batch(ledger.store, ledger.batches + 1, ledger.clock.now());
    const places: string[] = [];
    let some = false;
    for (const note of notes.slice(from, from + NOTES_PER_BATCH)) {
      const entry = entryOf(ledger, batch, note);
      if (entry === undefined) continue;
      some = true;
      applied++;
      const to = nextVersion(entry, note);
      unindex(ledger, batch, entry);
      const place = to.next.kind === 'done' ? buildEnd(ledger, batch, entry, to) : undefined;
      if (to.next.kind !== 'done') buildNext(ledger, batch, entry, to);
      if (place !== undefined) places.push(place);
    }
    if (!some) continue;
    ledger.batches = batch.number;
    await batch.finish([ledger.sequence, ledger.messages, ledger.historyTime]);
    for (const place of places) {
      await removeBody(place);
      ledger.rubbish.push(garbageKey(place));
    }
  }
  return applied;
}

/** A delivery that a lease noted twice: what was delivered in either. */
function mergeNotes(notes: readonly Note[]): Note[] {
  const merged = new Map<string, Note>();
  for (const note of notes) {
    const name = `${note.key} ${note.version}`;
    const before = merged.get(name);
    merged.set(name, before ? { ...note, outcomes: note.outcomes.map((one, i) => (one === 0 ? (before.outcomes[i] ?? 0) : one)) } : note);
  }
  return [...merged.values()].filter((note) => note.outcomes.some((one) => one !== 0));
}

function entryOf(ledger: Ledger, batch: Batch, note: Note): Entry | undefined {
  const { id, n } = splitDeliveryKey(note.key);
  const found = readEntry(ledger, batch, note.key, ordinal(id, n));
  if (found instanceof Error) ledger.fault({ code: 'SPOOL_DAMAGED', text: found.message, id });
  return found === undefined || found instanceof Error || found.version !== note.version ? undefined : found;
}

function nextVersion(entry: Entry, note: Note): NextVersion {
  const { delivery } = entry;
  let at = 0;
  let delivered = 0;
  let server = '';
  // Outcomes answer for those that were queued, in order.
  const recipients = delivery.recipients.map((one): Recipient => {
    const outcome = one.state === 'queued' ? note.outcomes[at++] : 0;
    if (outcome === undefined || outcome === 0) return one;
    delivered++;
    server = outcome[2];
    return { ...one, state: 'delivered', last: { at: note.at, status: outcome[0], text: outcome[1], server: outcome[2] } };
  });
  const attempt: Attempt = { at: note.at, durationMs: 0, server, stage: 'content', delivered, deferred: 0, failed: 0 };
  const { log } = delivery;
  return {
    recipients,
    attempts: delivery.attempts + 1,
    log: log.length < MAX_ATTEMPTS_KEPT ? [...log, attempt] : [log[0]!, ...log.slice(2), attempt],
    delayNoticed: delivery.delayNoticed,
    next: recipients.every((one) => isFinal(one.state)) ? { kind: 'done' } : { kind: 'ready' },
  };
}
