/** `connectMta`: the API of an agent that runs in another process. */
import path from 'node:path';
import { errorOf, type Issues, isObject, line, onlyKnown, put } from '../compose/checks.js';
import { systemClock } from '../platform/clock.js';
import { agentBehind } from './agent.js';
import type { MailAgent } from './mail-agent.js';
import { readSignal } from './waiting.js';

/** One of `socket` and `spool`. */
export interface ConnectOptions {
  /** Path of the agent's control socket. */
  readonly socket?: string | undefined;
  /** Folder of its spool, where its socket is unless `control.socket` says otherwise. */
  readonly spool?: string | undefined;
  /** Gives up connecting, which rejects with `ABORTED`. What is connected is not touched by it. */
  readonly signal?: AbortSignal | undefined;
}

const SOCKET = 'control.sock';

/**
 * The same methods, types and errors as `createMta` gives, for an agent that runs already: `riata serve`, or another process of the same
 * program. Rejects with `INVALID_OPTIONS`, or `NOT_RUNNING` where nobody answers. `close` leaves it, and does not end the agent.
 */
export async function connectMta(options: ConnectOptions): Promise<MailAgent> {
  const issues: Issues = [];
  const given: Readonly<Record<string, unknown>> = isObject(options) ? options : {};
  if (!isObject(options)) put(issues, 'options', 'WRONG_TYPE', 'must be an object');
  onlyKnown(given, ['socket', 'spool', 'signal'], '', issues);
  const signal = given['signal'] === undefined ? undefined : readSignal(given['signal'], 'signal', issues);
  const socket = given['socket'] === undefined ? undefined : line(given['socket'], 'socket', issues);
  const spool = given['spool'] === undefined ? undefined : line(given['spool'], 'spool', issues);
  if (socket !== undefined && spool !== undefined) put(issues, 'spool', 'CONFLICT', 'give socket or spool, not both');
  if (issues.length === 0 && socket === undefined && spool === undefined)
    put(issues, 'socket', 'MISSING_FIELD', 'is missing: the path of the agent\u2019s control socket; or spool, the folder of its spool');
  if (issues.length > 0) throw errorOf(issues);
  // What speaks HTTP, for those who have no agent of their own.
  const [{ findControlSocket }, { openAway }] = await Promise.all([import('../control/client.js'), import('./away.js')]);
  const found = socket === undefined ? await findControlSocket(path.resolve(spool!), SOCKET) : path.resolve(socket);
  return agentBehind(await openAway(found, systemClock, signal), {});
}
