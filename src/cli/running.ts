/**
 * An agent with its control socket, from start to end: what `serve` and `dev` share.
 *
 *   running ──signal──► draining ──► ended
 *                          └─second signal──► ended at once (128 + number of the signal)
 */
import path from 'node:path';
import type { Config } from '../config/config.js';
import { startControlServer } from '../control/server.js';
import { controlSocketPaths, surroundings } from '../control/socket.js';
import { controlVerbs } from '../control/verbs.js';
import { type Mta, type StartOptions, startMta } from '../mta.js';
import type { Log } from '../platform/log.js';
import { version } from '../version.js';
import type { Cli } from './command.js';
import { EXIT } from './exit.js';

export interface Running {
  readonly mta: Mta;
  /** Path of the control socket. */
  readonly socket: string;
  /** Finishes what is on its way, within the time that the configuration gives. */
  close(): Promise<void>;
}

/** Rejects with what starting has against it; nothing is left running then. */
export async function startAgent(config: Config, options: StartOptions & { readonly log: Log }, cli: Cli): Promise<Running> {
  const mta = await startMta(config, options);
  try {
    const spoolPath = path.resolve(cli.cwd, config.spool.path);
    const [socket] = controlSocketPaths(spoolPath, config.control.socket, await surroundings(spoolPath, cli.env));
    const verbs = controlVerbs(mta, {
      clock: cli.clock,
      version: version(),
      pid: process.pid,
      maxMessageSize: config.spool.maxMessageSize,
      maxRecipients: config.submission.maxRecipients,
      log: options.log,
    });
    const control = await startControlServer({ verbs, path: socket, log: options.log });
    const close = async () => {
      // The socket's name goes at once, so that whoever takes the spool over finds it free.
      await Promise.all([control.close(), mta.close()]);
    };
    return { mta, socket, close };
  } catch (error) {
    await mta.close();
    throw error;
  }
}

/** Beyond its own timeout the agent is given this long to close its files. */
const GRACE_MS = 5_000;

/** Resolves with the exit code once a signal came and `close` is done. `timeoutMs`: what `close` allows itself. */
export function untilSignal(close: () => Promise<void>, timeoutMs: number, log: Log, cli: Cli): Promise<number> {
  return new Promise((resolve, reject) => {
    let draining = false;
    cli.onSignal((signal) => {
      if (draining) return resolve(128 + signal);
      draining = true;
      log.info('agent.stopping', { timeoutMs }, 'stopping: what is on its way is finished; a second signal ends it at once');
      const late = cli.clock.after(timeoutMs + GRACE_MS, () => {
        log.error('agent.stuck', {}, 'it does not stop: ended as it is, which the spool survives');
        resolve(EXIT.tryLater);
      });
      close().then(
        () => {
          late.cancel();
          log.info('agent.stopped', {}, 'stopped');
          resolve(EXIT.ok);
        },
        (error: unknown) => reject(error),
      );
    });
  });
}
