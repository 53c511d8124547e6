/**
 * How a command gets at the queue: through the control socket of the agent that runs, else, where it only
 * reads, by opening the spool itself.
 */
import path from 'node:path';
import { connectControl, findControlSocket } from '../control/client.js';
import type { ControlVerbs, ReadingVerbs } from '../control/types.js';
import { MtaError } from '../core/errors.js';
import { waitAlive } from '../platform/alive.js';
import type { Cli, Globals } from './command.js';
import { systemCode } from './exit.js';
import { settings } from './settings.js';

/** Rejects with `NOT_RUNNING` and the way out. */
export async function withAgent<T>(args: Globals, cli: Cli, use: (verbs: ControlVerbs) => Promise<T>): Promise<T> {
  let verbs: ControlVerbs;
  try {
    verbs = await connectAgent(args, cli);
  } catch (error) {
    if (!isNotRunning(error)) throw error;
    throw new MtaError('NOT_RUNNING', `${error.message}; start one with "riata serve", or name its socket with --socket`, { cause: error });
  }
  try {
    return await use(verbs);
  } finally {
    await verbs.close();
  }
}

/** Like `withAgent` where one runs; else on the spool at rest. */
export async function withQueue<T>(args: Globals, cli: Cli, use: (verbs: ReadingVerbs) => Promise<T>): Promise<T> {
  const verbs = await reader(args, cli);
  try {
    return await use(verbs);
  } finally {
    await verbs.close();
  }
}

const PATIENCE_MS = 5_000;
const LOOK_AGAIN_MS = 50;

/** A spool that is locked and whose agent does not answer has another reader, or an agent on its way: that is waited for. */
async function reader(args: Globals, cli: Cli): Promise<ReadingVerbs> {
  const until = cli.clock.monotonic() + PATIENCE_MS;
  for (;;) {
    try {
      return await connectAgent(args, cli);
    } catch (error) {
      if (args.socket !== undefined || !isNotRunning(error)) throw error;
    }
    try {
      const { openAtRest } = await import('../control/offline.js');
      return await openAtRest(path.resolve(cli.cwd, settings(args, cli).config.spool.path));
    } catch (error) {
      if (!(error instanceof MtaError) || error.code !== 'SPOOL_LOCKED' || cli.clock.monotonic() > until) throw error;
    }
    await waitAlive(LOOK_AGAIN_MS);
  }
}

/** Rejects with `NOT_RUNNING` as the client does; close it. */
export async function connectAgent(args: Globals, cli: Cli): Promise<ControlVerbs> {
  if (args.socket !== undefined) return connectControl(path.resolve(cli.cwd, args.socket));
  const { spool, control } = settings(args, cli).config;
  return connectControl(await findControlSocket(path.resolve(cli.cwd, spool.path), control.socket, cli.env));
}

/** Nobody there; a socket that is not for us is another matter. */
export function isNotRunning(error: unknown): error is MtaError {
  return error instanceof MtaError && error.code === 'NOT_RUNNING' && systemCode(error) !== 'EACCES' && systemCode(error) !== 'EPERM';
}
