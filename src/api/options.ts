/** The options of `createMta`: the configuration as an object, and what a program adds to it. */
import { boolean, errorOf, type Issues, isObject, put } from '../compose/checks.js';
import type { ConfigOptions, LoadedConfig } from '../config/config.js';
import { configFromOptions } from '../config/load.js';
import { MtaError } from '../core/errors.js';
import { type Log, silentLog } from '../platform/log.js';
import { readSignal } from './waiting.js';

/** The configuration as an object: durations may be bare milliseconds, sizes bare octets. */
export interface MtaOptions extends Omit<ConfigOptions, 'log' | 'control'> {
  /** Told what the agent does. Default: nobody is. */
  readonly log?: Log | undefined;
  /**
   * Other processes of the same program may open the same spool: one of them owns it, the others work through its control socket, and
   * when it ends, one of them takes its place. Default: a second one gets `SPOOL_LOCKED`.
   */
  readonly shared?: boolean | undefined;
  /** Gives up the opening, which rejects with `ABORTED`. What was opened is not touched by it. */
  readonly signal?: AbortSignal | undefined;
}

export interface ReadMtaOptions {
  readonly loaded: LoadedConfig;
  readonly log: Log;
  readonly shared: boolean;
  readonly signal: AbortSignal | undefined;
}

/** All that is wrong at once, whichever side found it. */
export function readMtaOptions(options: unknown): ReadMtaOptions {
  const issues: Issues = [];
  if (!isObject(options)) {
    put(issues, 'options', 'WRONG_TYPE', 'must be an object');
    throw errorOf(issues);
  }
  const { log, control, shared: given, signal: asked, ...settings } = options;
  const shared = given === undefined ? false : boolean(given, 'shared', issues);
  const signal = asked === undefined ? undefined : readSignal(asked, 'signal', issues);
  if (control !== undefined) put(issues, 'control', 'UNKNOWN_FIELD', 'an agent within a program has no control socket');
  if (log !== undefined && !isLog(log))
    put(issues, 'log', 'WRONG_TYPE', 'must be an object with the functions debug, info, warn and error');
  let loaded: LoadedConfig | undefined;
  try {
    loaded = configFromOptions(settings);
  } catch (error) {
    if (!(error instanceof MtaError)) throw error;
    issues.push(...error.issues);
  }
  if (loaded === undefined || issues.length > 0) throw errorOf(issues);
  return { loaded, log: isLog(log) ? log : silentLog, shared: shared === true, signal };
}

function isLog(log: unknown): log is Log {
  return isObject(log) && ['debug', 'info', 'warn', 'error'].every((level) => typeof log[level] === 'function');
}
