/** `riata serve`: the agent as a service, in the foreground. */
import { showHostPort } from '../config/addresses.js';
import type { Config, LoadedConfig } from '../config/config.js';
import { changedFiles } from '../platform/changed-files.js';
import { givenSockets, serviceManager } from '../platform/service-manager.js';
import { version } from '../version.js';
import { agentLog } from './agent-log.js';
import type { Cli, Command, Globals } from './command.js';
import { filesOf, keepCurrent } from './keep-current.js';
import { chooseListen, type Listening } from './listen.js';
import { startAgent, untilSignal } from './running.js';
import { settings } from './settings.js';
import { checkSpoolPlace } from './spool-place.js';

/** Names of sockets of systemd on which TLS begins with the first octet. */
const IMPLICIT_TLS = ['submissions', 'smtps'];

export const serve: Command<Globals> = async (args, cli) => {
  const read = () => settings(args, cli);
  const loaded = read();
  const sockets = givenSockets(cli.env).map(({ fd, name }) => ({ fd, implicitTls: IMPLICIT_TLS.includes(name) }));
  const listening = chooser(sockets.length > 0);
  const { config, moved } = await listening(loaded);
  const files = changedFiles(cli.clock);
  await files.watch(filesOf(loaded));
  const lines = cli.logLines();
  const journal = agentLog(loaded, lines, cli);
  const { log, onEvent } = journal;
  const manager = serviceManager(cli.env, cli.clock, log);
  try {
    for (const { path, code, message } of loaded.warnings) log.warn('config.warning', { path, code }, message);
    checkSpoolPlace(config, log, cli);
    const { mta, socket, pages, reload, close } = await startAgent(config, { log, onEvent, sockets }, cli);
    const listen = () => mta.listening().map(showHostPort).join(', ');
    const page = pages().join(', ');
    const fields = {
      version: version(),
      pid: process.pid,
      spool: config.spool.path,
      socket,
      listen: listen(),
      ...(page === '' ? {} : { page }),
    };
    const where = moved === undefined ? listen() : `${listen()} (${moved})`;
    const doors = where === '' ? 'running, and listening nowhere' : `taking mail on ${where}`;
    log.info('agent.started', fields, page === '' ? doors : `${doors}; the queue is shown on ${page}`);
    const ready = () => manager.ready(`taking mail on ${listen() || 'no address'}`);
    ready();
    const take = async (next: LoadedConfig) => {
      const changes = await reload((await listening(next)).config);
      journal.renew({ ...next, config: { ...next.config, hostname: mta.hostname } });
      return changes;
    };
    const keeper = keepCurrent({ files, read, take, onReading: manager.reloading, onRead: ready, log });
    onHangup(cli, () => keeper.reload('SIGHUP'));
    const stop = async () => {
      keeper.stop();
      const told = manager.stopping();
      await close();
      await told;
    };
    return await untilSignal(stop, () => mta.config.shutdown.timeout, log, cli);
  } finally {
    lines.close();
  }
};

/** Where a terminal is closed there is nobody left who wanted an agent in it. */
function onHangup(cli: Cli, call: () => void): void {
  if (!cli.screen.terminal) cli.onHangup(call);
}

/** Where the settings do not say what to listen on, it stays at what was chosen first: sockets that were given, or `chooseListen`. */
function chooser(given: boolean): (loaded: LoadedConfig) => Promise<Listening> {
  let chosen: Config['submission']['listen'] | undefined = given ? [] : undefined;
  return async (loaded) => {
    if (loaded.sources.has('submission.listen')) return { config: loaded.config };
    const found: Listening = chosen === undefined ? await chooseListen(loaded) : { config: loaded.config };
    chosen ??= found.config.submission.listen;
    return { ...found, config: { ...found.config, submission: { ...found.config.submission, listen: chosen } } };
  };
}
