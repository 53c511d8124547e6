import assert from 'node:assert/strict';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type Journal, type JournalFile, openJournal, readJournal } from '../../../src/spool/level/journal.js';
import { temporaryFolder } from './support.js';

const delivered = (text: string) =>
  ({ kind: 'delivered', status: '2.0.0', text, server: { host: 'mx.test', address: '192.0.2.1', port: 25 } }) as const;

describe('the journal', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let journal: Journal;
  beforeEach(async () => {
    folder = await temporaryFolder();
    journal = openJournal(folder.path);
  });
  afterEach(() => folder.remove());
  const bytes = async () =>
    Promise.all(['journal-0', 'journal-1'].map(async (name) => (await fsp.stat(path.join(folder.path, name))).size));

  test('what was flushed is read back; what was not is not there', () => {
    journal.note('id.0', 1, 1000, [delivered('Ok "1"\r\n'), { kind: 'again' }]);
    journal.flush();
    journal.note('id.1', 2, 2000, [delivered('späť')]);
    assert.deepEqual(readJournal(folder.path), [
      { key: 'id.0', version: 1, at: 1000, outcomes: [['2.0.0', 'Ok "1"\r\n', 'mx.test[192.0.2.1]:25'], 0] },
    ]);
    journal.flush();
    assert.equal(readJournal(folder.path).length, 2);
    journal.close();
  });

  test('a folder without a journal has no notes', async () => {
    journal.close();
    assert.deepEqual(readJournal(path.join(folder.path, 'nowhere')), []);
  });

  test('it turns to the other file when one is long, and empties neither while something in it is unsettled', async () => {
    const long = 'x'.repeat(400_000);
    const files: JournalFile[] = [];
    const write = (n: number) => {
      files.push(journal.note(`id.${n}`, 1, n, [delivered(long)]));
      journal.flush();
    };
    const keys = () =>
      readJournal(folder.path)
        .map((one) => one.key)
        .sort();
    write(0);
    write(1);
    write(2);
    write(3);
    assert.ok(
      (await bytes()).every((size) => size > 0),
      'the fourth is in the other file',
    );
    write(4);
    write(5);
    write(6);
    assert.deepEqual(
      keys(),
      [0, 1, 2, 3, 4, 5, 6].map((n) => `id.${n}`),
    );
    // All of the first file are settled: it is emptied at the next turn, the second one is not.
    for (const n of [0, 1, 2]) files[n]!.open--;
    write(7);
    assert.deepEqual(
      keys(),
      [3, 4, 5, 6, 7].map((n) => `id.${n}`),
    );
    write(8);
    assert.deepEqual(
      keys(),
      [3, 4, 5, 6, 7, 8].map((n) => `id.${n}`),
    );
    assert.ok((await bytes()).every((size) => size > 0));
    journal.close();
    assert.equal(readJournal(folder.path).length, 6, 'what is unsettled stays for the next start');
  });

  test('closing empties it when all is settled', async () => {
    journal.note('id.0', 1, 1, [delivered('Ok')]).open--;
    journal.close();
    assert.deepEqual(await bytes(), [0, 0]);
  });
});
