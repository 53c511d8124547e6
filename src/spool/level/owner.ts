/**
 * One process owns a spool (G7). LevelDB's own lock keeps other processes out; a second `open` within this process would
 * release that lock, so a list of what is open here comes first. The file `owner` names who has it, for the error that
 * the second one gets.
 */
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { MtaError } from '../../core/errors.js';
import { waitAlive } from '../../platform/alive.js';
import type { Clock } from '../../platform/clock.js';
import { type OpenStore, openLevelStore, type Store } from './store.js';

export interface Owner {
  readonly pid: number;
  readonly host: string;
  readonly since: number;
  /** Where it can be talked to. */
  readonly socket?: string;
  /** It only looks, and will be gone soon: an agent that starts meanwhile waits for it. */
  readonly reading?: boolean;
}

export interface ClaimOptions {
  readonly clock: Clock;
  readonly socket?: string;
  readonly openStore?: OpenStore;
  readonly reading?: boolean;
}

/** How long one waits for an owner that only reads, and for one that does not say: it is just coming or going. */
const READER_WAIT_MS = 10_000;
const NAMELESS_WAIT_MS = 1000;
const READER_PAUSE_MS = 50;

export interface Claim {
  /** Real path of the spool's folder. */
  readonly folder: string;
  readonly store: Store;
  /** Opens the store anew, after the one before was closed. */
  readonly reopen: () => Promise<Store>;
  /** Closes the store; the spool may be opened by others. Idempotent. */
  release(store: Store): Promise<void>;
}

const openHere = new Set<string>();

/** Makes the folder, mode 0700, and checks that it is ours to use. One plain line where it is not. */
async function prepareFolder(folder: string): Promise<string> {
  try {
    const made = await fsp.mkdir(folder, { recursive: true, mode: 0o700 });
    // A folder that is not durable would take the first mail with it.
    for (let at = folder; made !== undefined && at.length >= made.length; at = path.dirname(at)) await syncFolder(path.dirname(at));
    const stats = await fsp.stat(folder);
    if (!stats.isDirectory()) throw new Error('it is not a folder');
    const user = process.getuid?.();
    if (user !== undefined && stats.uid !== user)
      throw new Error(
        `it belongs to user ${stats.uid}, and this process runs as user ${user}: run it as that user, or choose another folder`,
      );
    await fsp.access(folder, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
    if ((stats.mode & 0o077) !== 0) await fsp.chmod(folder, 0o700);
    return await fsp.realpath(folder);
  } catch (error) {
    const message = `the spool folder ${folder} cannot be used: ${(error as Error).message}`;
    throw new MtaError('INVALID_OPTIONS', message, { cause: error, issues: [{ path: 'spool.path', code: 'UNUSABLE_FOLDER', message }] });
  }
}

export async function claimSpool(given: string, options: ClaimOptions): Promise<Claim> {
  const folder = await prepareFolder(given);
  if (openHere.has(folder)) throw new MtaError('SPOOL_LOCKED', `the spool ${folder} is already open in this process`);
  openHere.add(folder);
  const open = options.openStore ?? openLevelStore;
  const place = path.join(folder, 'store');
  let store: Store;
  try {
    await refuseHeadless(folder, place);
    store = await openPatiently(() => open(place), folder, options.clock);
  } catch (error) {
    openHere.delete(folder);
    throw isLocked(error) ? new MtaError('SPOOL_LOCKED', await lockedMessage(folder), { cause: error }) : failedToOpen(folder, error);
  }
  const { socket, reading } = options;
  await writeOwner(folder, {
    pid: process.pid,
    host: os.hostname(),
    since: options.clock.now(),
    ...(socket ? { socket } : {}),
    ...(reading ? { reading } : {}),
  });
  let released = false;
  return {
    folder,
    store,
    reopen: () => open(place),
    async release(last) {
      if (released) return;
      released = true;
      // Before the lock is let go: afterwards the file may be somebody else's.
      await fsp.unlink(path.join(folder, 'owner')).catch(() => {});
      await last.close();
      openHere.delete(folder);
    },
  };
}

/** Without the file that names its newest table of contents, LevelDB takes a store for new, and deletes what is in it. */
async function refuseHeadless(folder: string, place: string): Promise<void> {
  const names: readonly string[] = await fsp.readdir(place).catch(() => []);
  if (names.includes('CURRENT') || !names.some((name) => /\.(?:ldb|sst|log)$/.test(name))) return;
  throw new MtaError('SPOOL_DAMAGED', `the store in ${folder} has no file CURRENT: run \`riata spool repair\``);
}

/** Waits for an owner that only reads; any other one is an error at once. */
async function openPatiently(open: () => Promise<Store>, folder: string, clock: Clock): Promise<Store> {
  for (const began = clock.monotonic(); ; ) {
    try {
      return await open();
    } catch (error) {
      if (!isLocked(error)) throw error;
      const owner = await readOwner(folder);
      const patience = owner === undefined ? NAMELESS_WAIT_MS : owner.reading ? READER_WAIT_MS : 0;
      if (clock.monotonic() - began >= patience) throw error;
    }
    await waitAlive(READER_PAUSE_MS);
  }
}

/** Its entries survive power loss. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await fsp.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isLocked(error: unknown): boolean {
  return errorCodes(error).includes('LEVEL_LOCKED');
}

function errorCodes(error: unknown): string[] {
  const codes: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) codes.push(String((at as NodeJS.ErrnoException).code));
  return codes;
}

export function failedToOpen(folder: string, error: unknown): MtaError {
  if (error instanceof MtaError) return error;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : (error as Error);
  return new MtaError('SPOOL_FAILED', `the spool ${folder} cannot be opened: ${cause.message}`, { cause: error });
}

async function writeOwner(folder: string, owner: Owner): Promise<void> {
  // For people and messages only: a spool without it still works.
  await fsp.writeFile(path.join(folder, 'owner'), `${JSON.stringify(owner)}\n`, { mode: 0o600 }).catch(() => {});
}

/** Who has the spool, as far as it says. */
export async function readOwner(folder: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await fsp.readFile(path.join(folder, 'owner'), 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}

async function lockedMessage(folder: string): Promise<string> {
  const owner = await readOwner(folder);
  if (!owner) return `another process owns the spool ${folder}`;
  const socket = owner.socket ? `, control socket ${owner.socket}` : '';
  if (owner.reading) return `the spool ${folder} is being read by process ${owner.pid} on ${owner.host}; try again in a moment`;
  return `the spool ${folder} is owned by process ${owner.pid} on ${owner.host} since ${new Date(owner.since).toISOString()}${socket}`;
}
