/**
 * An agent with its control socket, from start to end: what `serve` and `dev` share.
 *
 *   running ──signal──► draining ──► ended
 *                          └─second signal──► ended at once (128 + number of the signal)
 */
import path from 'node:path';
import type { Mta, StartOptions } from '../agent.js';
import { verbsOf } from '../api/home.js';
import { showHostPort } from '../config/addresses.js';
import type { Changes } from '../config/changes.js';
import type { Config } from '../config/config.js';
import { checkCertificate } from '../control/http/listening.js';
import { type HttpControlSettings, startHttpControl } from '../control/http/server.js';
import { createRecent } from '../control/recent.js';
import { startControlServer } from '../control/server.js';
import { answers, controlSocketPaths, surroundings } from '../control/socket.js';
import { MtaError } from '../core/errors.js';
import type { MailEvent } from '../core/event.js';
import { startMta } from '../mta.js';
import { readCertificate } from '../parts.js';
import { waitAlive } from '../platform/alive.js';
import type { Log } from '../platform/log.js';
import { systemRandom } from '../platform/random.js';
import type { Cli } from './command.js';
import { CliError, EXIT, exitCode } from './exit.js';

export interface Running {
  readonly mta: Mta;
  /** Path of the control socket. */
  readonly socket: string;
  /** URLs of the page, as bound; empty where `control.http` is. */
  pages(): readonly string[];
  /** As `Mta.reload`, for the doors beside it as well. */
  reload(wanted: Config): Promise<Changes>;
  /** Finishes what is on its way, within the time that the configuration gives. */
  close(): Promise<void>;
}

/**
 * Rejects with what starting has against it; nothing is left running then. A spool that is looked at by a command at this
 * moment, or left by an agent that is just ending, is waited for.
 */
export async function startAgent(config: Config, options: StartOptions & { readonly log: Log }, cli: Cli): Promise<Running> {
  const spoolPath = path.resolve(cli.cwd, config.spool.path);
  const recent = createRecent(cli.clock);
  const onEvent = (event: MailEvent) => {
    recent.observe(event);
    options.onEvent?.(event);
  };
  const mta = await startPatiently(config, { ...options, onEvent }, spoolPath, cli);
  const undo = [() => mta.close()];
  try {
    const [socket] = controlSocketPaths(spoolPath, config.control.socket, await surroundings(spoolPath, cli.env));
    const verbs = verbsOf(mta, { clock: cli.clock, log: options.log, recent });
    recent.watch(mta);
    undo.push(async () => recent.stop());
    const control = await startControlServer({ verbs, path: socket, log: options.log });
    undo.push(() => control.close(0));
    const web = await startHttpControl({
      verbs,
      listen: config.control.http,
      ...settingsOf(config),
      log: options.log,
      clock: cli.clock,
      random: systemRandom,
    });
    const close = async () => {
      recent.stop();
      // The socket's name goes at once, so that whoever takes the spool over finds it free.
      await Promise.all([control.close(), web.close(), mta.close()]);
    };
    const reload = async (wanted: Config) => {
      // What cannot be used is found before anything changes.
      checkCertificate(settingsOf(wanted).tls);
      const changes = await mta.reload(wanted);
      await web.renew(settingsOf(changes.config));
      return changes;
    };
    return {
      mta,
      socket,
      pages: () => web.addresses.map((address) => `${web.secure ? 'https' : 'http'}://${showHostPort(address)}/`),
      reload,
      close,
    };
  } catch (error) {
    for (const end of undo.reverse()) await end();
    if (error instanceof MtaError && error.code === 'INVALID_OPTIONS') throw asConfigFault(error);
    throw error;
  }
}

/** Throws `INVALID_OPTIONS` where the certificate cannot be read. */
function settingsOf(config: Config): HttpControlSettings {
  const { hostname, control } = config;
  return {
    token: control.token,
    trustLoopback: control.trustLoopback,
    names: [hostname, ...control.hosts],
    tls: readCertificate(config, 'control'),
  };
}

const PATIENCE_MS = 10_000;
const LOOK_AGAIN_MS = 100;

async function startPatiently(config: Config, options: StartOptions & { readonly log: Log }, spoolPath: string, cli: Cli): Promise<Mta> {
  const until = cli.clock.monotonic() + PATIENCE_MS;
  for (let told = false; ; told = true) {
    try {
      return await startMta(config, options);
    } catch (error) {
      if (!(error instanceof MtaError)) throw error;
      if (error.code === 'INVALID_OPTIONS') throw asConfigFault(error);
      if (error.code !== 'SPOOL_LOCKED' || cli.clock.monotonic() > until || (await agentAnswers(config, spoolPath, cli))) throw error;
      if (!told) options.log.info('agent.waiting', { spool: spoolPath }, `${error.message}; waiting for it to be left`);
      await waitAlive(LOOK_AGAIN_MS);
    }
  }
}

/** A running agent will not go away by itself; a command that reads, or an agent on its way out, answers nothing. */
async function agentAnswers(config: Config, spoolPath: string, cli: Cli): Promise<boolean> {
  const [socket] = controlSocketPaths(spoolPath, config.control.socket, await surroundings(spoolPath, cli.env));
  return answers(socket);
}

/** What a setting names cannot be used: to whoever starts the agent that is a fault of the configuration. */
function asConfigFault(error: MtaError): Error {
  const code = exitCode(error);
  return new CliError(code === EXIT.noPermission ? code : EXIT.config, error.message, { cause: error });
}

/** Beyond its own timeout the agent is given this long to close its files. */
const GRACE_MS = 5_000;

/** Resolves with the exit code once a signal came and `close` is done. `timeoutNow`: the milliseconds that `close` allows itself. */
export function untilSignal(close: () => Promise<void>, timeoutNow: () => number, log: Log, cli: Cli): Promise<number> {
  return new Promise((resolve, reject) => {
    let draining = false;
    cli.onSignal((signal) => {
      if (draining) return resolve(128 + signal);
      draining = true;
      const timeoutMs = timeoutNow();
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
