/**
 * The journal: what remotes answered to final dots, in plain writes that survive the process, so that its death cannot double
 * mail (G3). Two files beside the store, written in turns; a file is emptied only when nothing in it is still unsettled.
 *
 * Promises: what was noted before `flush` returned is found by `readJournal` after a SIGKILL. A torn end is left out without
 * a word. It must not sync: against loss of power the settlement itself is the protection.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { DeliveryKey } from '../../core/delivery.js';
import type { RecipientOutcome } from '../../core/outcome.js';
import { type Noted, type NotedOutcome, notedOutcome } from '../versions.js';
import { crcOf } from './codec.js';
import { CHECKSUM_DIGITS, checksum32, parse32 } from './keys.js';

export interface Note extends Noted {
  readonly key: DeliveryKey;
  /** Version of the delivery that was tried. */
  readonly version: number;
}

export const JOURNAL_FILES = ['journal-0', 'journal-1'] as const;
/** A file this large is left for the other one, if that is free. */
const TURN_BYTES = 1024 * 1024;

/** One of the two files. `open`: notes in it that are not settled yet. */
export interface JournalFile {
  readonly fd: number;
  bytes: number;
  open: number;
}

export class Journal {
  readonly #files: readonly [JournalFile, JournalFile];
  #current: JournalFile;
  #lines = '';

  constructor(files: readonly [JournalFile, JournalFile]) {
    this.#files = files;
    this.#current = files[0];
  }

  /** Remembers it for the next `flush`. What it returns counts it as open: lower that when it is settled. */
  note(key: DeliveryKey, version: number, at: number, outcomes: readonly RecipientOutcome[]): JournalFile {
    const text = `${key} ${version} ${at} ${JSON.stringify(outcomes.map(notedOutcome))}`;
    this.#lines += `${checksum32(crcOf(text))}${text}\n`;
    this.#current.open++;
    return this.#current;
  }

  /** Writes what was noted. Throws what the system says. */
  flush(): void {
    if (this.#lines === '') return;
    const file = this.#current;
    const lines = Buffer.from(this.#lines);
    let done = 0;
    while (done < lines.length) done += fs.writeSync(file.fd, lines, done, lines.length - done, file.bytes + done);
    this.#lines = '';
    file.bytes += lines.length;
    if (file.bytes >= TURN_BYTES) this.#turn();
  }

  /** Nothing is unsettled. */
  get clear(): boolean {
    return this.#files[0].open <= 0 && this.#files[1].open <= 0;
  }

  #turn(): void {
    const other = this.#files[this.#current === this.#files[0] ? 1 : 0];
    for (const file of [this.#current, other]) {
      if (file.open > 0 || file.bytes === 0) continue;
      fs.ftruncateSync(file.fd, 0);
      file.bytes = 0;
    }
    if (other.bytes === 0) this.#current = other;
  }

  /** What is unsettled stays for the next start. */
  close(): void {
    this.flush();
    if (this.clear) for (const file of this.#files) fs.ftruncateSync(file.fd, 0);
    for (const file of this.#files) fs.closeSync(file.fd);
  }
}

/** Opens both files, emptied: call it when what they said is settled. */
export function openJournal(folder: string): Journal {
  const open = (name: string): JournalFile => ({ fd: fs.openSync(path.join(folder, name), 'w', 0o600), bytes: 0, open: 0 });
  return new Journal([open(JOURNAL_FILES[0]), open(JOURNAL_FILES[1])]);
}

/** All notes that are whole. */
export function readJournal(folder: string): Note[] {
  const notes: Note[] = [];
  for (const name of JOURNAL_FILES) {
    let text: string;
    try {
      text = fs.readFileSync(path.join(folder, name), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw error;
    }
    for (const line of text.split('\n')) {
      const note = parseLine(line);
      if (note) notes.push(note);
    }
  }
  return notes;
}

function parseLine(line: string): Note | undefined {
  const text = line.slice(CHECKSUM_DIGITS);
  if (text === '' || crcOf(text) !== parse32(line.slice(0, CHECKSUM_DIGITS))) return undefined;
  const [key, version, at] = text.split(' ', 3) as [string, string, string];
  const outcomes = JSON.parse(text.slice(key.length + version.length + at.length + 3)) as NotedOutcome[];
  return { key, version: Number(version), at: Number(at), outcomes };
}
