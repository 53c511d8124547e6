/**
 * A copy of a spool as it is at one moment, also while an agent works on it: the store through LevelDB's snapshot, the files of
 * contents by links where the file system can (they never change), the journal as it stands. The copy appears under its name when it is
 * whole and durable.
 *
 * It is a copy: what is queued in both is sent by both, if an agent is started on each.
 */
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { MtaError } from '../../core/errors.js';
import type { SnapshotReport } from '../spool.js';
import type { Bodies } from './bodies.js';
import { unsealJson } from './codec.js';
import { JOURNAL_FILES } from './journal.js';
import { syncFolder } from './owner.js';
import type { Store } from './store.js';

/** Of the key that seals logins, where it is kept in the spool: without it the copy could not send what brought its server along. */
const KEY_FILE = 'key';

export interface SnapshotParts {
  readonly store: Store;
  /** The spool's. */
  readonly folder: string;
  readonly bodies: Bodies;
}

/** Rejects with `INVALID_OPTIONS` where `target` is there already and not empty, or cannot be made; nothing is left of it then. */
export async function snapshotSpool({ store, folder, bodies }: SnapshotParts, target: string): Promise<SnapshotReport> {
  const part = `${target}.part`;
  // All in one turn: what the journal knows and the store does not is what was settled since; and no file of the store's goes.
  const frozen = store.freeze();
  const files = readFiles(folder, [...JOURNAL_FILES, KEY_FILE]);
  const release = bodies.keepAll();
  let prepared = false;
  try {
    await prepareTarget(target, part);
    prepared = true;
    const places = new Set<string>();
    let entries = 0;
    await frozen.copyTo(path.join(part, 'store'), (key, value) => {
      entries++;
      const place = placeIn(key, value);
      if (place !== undefined) places.add(place);
    });
    for (const { name, bytes } of files) await fsp.writeFile(path.join(part, name), bytes, { mode: 0o600, flush: true });
    let bodyBytes = 0;
    for (const place of places) bodyBytes += await copyBody(bodies.pathOf(place), path.join(part, 'bodies', place));
    await syncAll(part);
    await fsp.rename(part, target);
    await syncFolder(path.dirname(target));
    return { folder: target, entries, bodyFiles: places.size, bodyBytes };
  } catch (error) {
    if (prepared) await fsp.rm(part, { recursive: true, force: true });
    throw error;
  } finally {
    release();
    await frozen.release();
  }
}

async function prepareTarget(target: string, part: string): Promise<void> {
  try {
    const names = await fsp.readdir(target).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    if (names.length > 0) throw new Error('it is there already, and not empty');
    // What an attempt before this one left behind.
    await fsp.rm(part, { recursive: true, force: true });
    await fsp.mkdir(path.join(part, 'bodies'), { recursive: true, mode: 0o700 });
    await fsp.chmod(part, 0o700);
  } catch (cause) {
    const message = `the folder ${target} cannot take the copy: ${(cause as Error).message}`;
    throw new MtaError('INVALID_OPTIONS', message, { cause, issues: [{ path: 'folder', code: 'UNUSABLE_FOLDER', message }] });
  }
}

/** The file that an entry of the store names. */
function placeIn(key: string, value: Buffer): string | undefined {
  if ((!key.startsWith('d/') && !key.startsWith('m/')) || !value.includes('"f":"')) return undefined;
  return unsealJson<{ readonly f?: string }>(key, value.toString())?.f;
}

function readFiles(folder: string, names: readonly string[]): { readonly name: string; readonly bytes: Buffer }[] {
  return names.flatMap((name) => {
    try {
      return [{ name, bytes: fs.readFileSync(path.join(folder, name)) }];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  });
}

/** Returns its size. One that is missing is missing in the copy, too: `riata spool check` tells of it there. */
async function copyBody(from: string, to: string): Promise<number> {
  await fsp.mkdir(path.dirname(to), { recursive: true, mode: 0o700 });
  try {
    await fsp.link(from, to).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') throw error;
      await fsp.copyFile(from, to);
      const handle = await fsp.open(to, 'r');
      await handle.datasync().finally(() => handle.close());
    });
    return (await fsp.stat(to)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

async function syncAll(part: string): Promise<void> {
  const bodies = path.join(part, 'bodies');
  for (const epoch of await fsp.readdir(bodies)) await syncFolder(path.join(bodies, epoch));
  for (const folder of [bodies, path.join(part, 'store'), part]) await syncFolder(folder);
}
