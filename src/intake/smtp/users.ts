/**
 * Who may log in: the users of `submission.usersFile`, read again when it has changed, which is looked for at each login.
 *
 * Promises: a name that does not exist is answered no sooner than a wrong password. A password that was right is remembered as long as
 * the file stays as it is (a digest under a key of this process): programs that open a connection for each message do not pay for the
 * slow hash each time. A file that cannot be read any more leaves those there were, and is told once.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { MtaError } from '../../core/errors.js';
import { parseUsers, type UserRecord } from '../../core/users.js';
import type { Log } from '../../platform/log.js';
import { NOBODY, verifyPassword } from '../../platform/password.js';
import { matchSenders, type SenderCheck } from './senders.js';

export interface User {
  readonly name: string;
  /** Undefined: may send as anybody. */
  readonly allowsSender: SenderCheck | undefined;
}

export interface Users {
  /** The user, or undefined: wrong name, wrong password, which of both is not told. */
  login(name: string, password: string): Promise<User | undefined>;
}

const SETTING = 'submission.usersFile';
/** Nobody types so much, and hashing it would take its time. */
const LONGEST_PASSWORD = 1024;

interface Loaded {
  readonly state: string;
  readonly users: ReadonlyMap<string, { readonly hash: string; readonly user: User }>;
  /** By name, digests of passwords that were right. */
  readonly right: Map<string, Buffer>;
}

/** Throws `INVALID_OPTIONS` where the file cannot be read, or not all of it. */
export function openUsers(path: string, log: Log): Users {
  let loaded = load(path, stateOf(path), log);
  const key = randomBytes(32);
  const refresh = () => {
    let state = 'gone';
    try {
      state = stateOf(path);
      if (state === loaded.state) return;
      loaded = load(path, state, log);
      log.info('smtp.usersRead', { file: path, users: loaded.users.size });
    } catch (error) {
      if (state === loaded.state) return;
      loaded = { ...loaded, state };
      log.error('smtp.usersNotRead', { file: path }, `${(error as Error).message}; those there were may go on logging in`);
    }
  };
  return {
    async login(name, password) {
      refresh();
      const now = loaded;
      if (password.length > LONGEST_PASSWORD) return undefined;
      const known = now.users.get(name);
      const digest = createHmac('sha256', key).update(`${name}\0${password}`).digest();
      const before = now.right.get(name);
      if (known !== undefined && before !== undefined && timingSafeEqual(before, digest)) return known.user;
      const right = await verifyPassword(password, known?.hash ?? NOBODY);
      if (known === undefined || !right) return undefined;
      now.right.set(name, digest);
      return known.user;
    },
  };
}

function stateOf(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch (cause) {
    throw unusable(`${path} cannot be read: ${(cause as Error).message}`, 'UNREADABLE', cause);
  }
}

function load(path: string, state: string, log: Log): Loaded {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw unusable(`${path} cannot be read: ${(cause as Error).message}`, 'UNREADABLE', cause);
  }
  const { users, faults } = parseUsers(text);
  if (faults.length > 0) throw unusable(`${path}: ${faults.join('; ')}`, 'UNUSABLE');
  if ((statSync(path).mode & 0o004) !== 0)
    log.warn(
      'smtp.usersExposed',
      { file: path },
      `${path} can be read by everybody on this machine, who may guess passwords from it: chmod 600`,
    );
  return {
    state,
    right: new Map(),
    users: new Map(Array.from(users, ([name, record]) => [name, { hash: record.hash, user: userOf(record) }])),
  };
}

function userOf({ name, senders }: UserRecord): User {
  return { name, allowsSender: matchSenders(senders) };
}

function unusable(text: string, code: string, cause?: unknown): MtaError {
  const message = `${SETTING}: ${text}`;
  return new MtaError('INVALID_OPTIONS', message, { cause, issues: [{ path: SETTING, code, message }] });
}
