/**
 * The journal, applied at the start: recipients that a remote is known to have taken are settled as delivered, durably, before
 * anything is scheduled (G3). A note for another version of its delivery is old news and left out.
 */
import { splitDeliveryKey } from '../../core/delivery.js';
import { notedVersion } from '../versions.js';
import { Batch } from './batch.js';
import { readEntry } from './change.js';
import type { Entry } from './entry.js';
import { type Note, readJournal } from './journal.js';
import { garbageKey, ordinal } from './keys.js';
import type { Ledger } from './ledger.js';
import { buildEnd, buildNext, unindex } from './settle.js';

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
      const to = entry && notedVersion(entry.delivery, note);
      if (entry === undefined || to === undefined) continue;
      some = true;
      applied++;
      unindex(ledger, batch, entry);
      const place = to.next.kind === 'done' ? buildEnd(ledger, batch, entry, to) : undefined;
      if (to.next.kind !== 'done') buildNext(ledger, batch, entry, to);
      if (place !== undefined) places.push(place);
    }
    if (!some) continue;
    ledger.batches = batch.number;
    await batch.finish(ledger);
    for (const place of places) {
      await removeBody(place);
      ledger.rubbish.push(garbageKey(place));
    }
  }
  return applied;
}

/** A delivery that a lease noted twice: what was delivered in either. */
export function mergeNotes(notes: readonly Note[]): Note[] {
  const merged = new Map<string, Note>();
  for (const note of notes) {
    const name = `${note.key} ${note.version}`;
    const before = merged.get(name);
    merged.set(name, before ? { ...note, outcomes: note.outcomes.map((one, i) => (one === 0 ? (before.outcomes[i] ?? 0) : one)) } : note);
  }
  return [...merged.values()];
}

function entryOf(ledger: Ledger, batch: Batch, note: Note): Entry | undefined {
  const { id, n } = splitDeliveryKey(note.key);
  const found = readEntry(ledger, batch, note.key, ordinal(id, n));
  if (found instanceof Error) ledger.fault({ code: 'SPOOL_DAMAGED', text: found.message, id });
  return found === undefined || found instanceof Error || found.version !== note.version ? undefined : found;
}
