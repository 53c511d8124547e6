/**
 * Where the control socket is, and how it is taken. It lies in the spool; where that makes its path longer than
 * the system allows, in the owner's runtime folder, under a name made from the spool's path.
 *
 * Promises: the socket appears under its name complete, with mode 0600, in a folder that is its owner's alone;
 * one that somebody alive answers on is never replaced, nor is anything that is no socket.
 */
import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, realpath, rename, stat, unlink } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { MtaError } from '../core/errors.js';

/** `sun_path` has 104 octets on BSD and macOS, 108 on Linux, with a final NUL; ours need a suffix while they are made. */
const MAX_PATH = 100;
const UNFINISHED = '~';

export interface SocketSurroundings {
  /** The spool's folder without symbolic links, where it exists. */
  readonly realPath?: string;
  /** Owner of the spool. */
  readonly uid: number;
  /** Folders for what lives as long as a process, the best first; never empty. */
  readonly runtimeFolders: readonly [string, ...string[]];
}

/** Where the socket of a spool may be; the agent makes the first. `socket`: the setting `control.socket`, relative to the spool. */
export function controlSocketPaths(spoolPath: string, socket: string, around: SocketSurroundings): readonly [string, ...string[]] {
  const wanted = path.resolve(around.realPath ?? spoolPath, socket);
  if (Buffer.byteLength(wanted) <= MAX_PATH) return [wanted];
  const digest = createHash('sha256').update(wanted).digest('hex').slice(0, 16);
  const within = (folder: string) => path.join(folder, `riata-${around.uid}-${digest}`, 'control.sock');
  const [first, ...others] = around.runtimeFolders;
  return [within(first), ...others.map(within)];
}

/**
 * The surroundings of a spool as they are now. One that does not exist yet will be ours. Root looking for a user's socket
 * has another `XDG_RUNTIME_DIR` than that user, so the usual place of that one is looked at too.
 */
export async function surroundings(spoolPath: string, env: NodeJS.ProcessEnv = process.env): Promise<SocketSurroundings> {
  const us = process.getuid?.() ?? 0;
  const realPath = await realpath(spoolPath).catch(() => undefined);
  const uid = realPath === undefined ? us : (await stat(realPath)).uid;
  const told = env['XDG_RUNTIME_DIR'];
  const [first = os.tmpdir(), ...others] = [
    ...(told !== undefined && path.isAbsolute(told) ? [told] : []),
    ...(uid === us ? [] : [`/run/user/${uid}`]),
    os.tmpdir(),
  ];
  return { uid, runtimeFolders: [first, ...others], ...(realPath === undefined ? {} : { realPath }) };
}

export interface BoundSocket {
  /** Takes the name away, if it is still ours. */
  remove(): Promise<void>;
}

export async function bindSocket(server: net.Server, socketPath: string): Promise<BoundSocket> {
  if (Buffer.byteLength(socketPath) > MAX_PATH) {
    throw new MtaError('ADDRESS_IN_USE', `the path of the control socket is longer than ${MAX_PATH} octets: ${socketPath}`);
  }
  await ownFolder(path.dirname(socketPath));
  await clear(socketPath);
  const unfinished = socketPath + UNFINISHED;
  await unlink(unfinished).catch(() => {});
  await new Promise<void>((resolve, reject) => {
    const failed = (cause: Error) =>
      reject(new MtaError('ADDRESS_IN_USE', `the control socket ${socketPath} cannot be made: ${cause.message}`, { cause }));
    server.once('error', failed);
    server.listen(unfinished, () => {
      server.removeListener('error', failed);
      resolve();
    });
  });
  await chmod(unfinished, 0o600);
  const made = await lstat(unfinished);
  await rename(unfinished, socketPath);
  return {
    async remove() {
      const there = await lstat(socketPath).catch(() => undefined);
      if (there?.ino === made.ino && there.dev === made.dev) await unlink(socketPath).catch(() => {});
    },
  };
}

/** A folder made by us is ours alone. One that stood there before must belong to us, and nobody else may write to it. */
async function ownFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const there = await stat(folder);
  const us = process.getuid?.();
  if (us === undefined) return;
  const foreign = there.uid !== us && there.uid !== 0;
  // Sticky folders (as /tmp) let everybody make files, but nobody take away another's.
  const open = (there.mode & 0o022) !== 0 && (there.mode & 0o1000) === 0;
  if (foreign || open) {
    throw new MtaError(
      'ADDRESS_IN_USE',
      `the folder of the control socket, ${folder}, ${foreign ? 'belongs to another user' : 'can be written to by others'}`,
    );
  }
}

/** Makes way for a new socket: takes a dead one away, leaves everything else alone. */
async function clear(socketPath: string): Promise<void> {
  const there = await lstat(socketPath).catch(() => undefined);
  if (there === undefined) return;
  if (!there.isSocket()) throw new MtaError('ADDRESS_IN_USE', `${socketPath} stands in the way of the control socket, and is none`);
  if (await answers(socketPath)) throw new MtaError('ADDRESS_IN_USE', `another process answers on the control socket ${socketPath}`);
}

/** Whether somebody accepts connections there. */
export function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path: socketPath });
    const end = (alive: boolean) => {
      probe.destroy();
      resolve(alive);
    };
    probe.once('connect', () => end(true));
    probe.once('error', () => end(false));
  });
}
