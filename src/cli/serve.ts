/** `riata serve`: the agent as a service, in the foreground. */
import { showHostPort } from '../config/addresses.js';
import type { LoadedConfig } from '../config/config.js';
import { version } from '../version.js';
import type { Cli, Command, Globals } from './command.js';
import { chooseListen } from './listen.js';
import { createLog, gathered, type LogFormat, logMail } from './log.js';
import { startAgent, untilSignal } from './running.js';
import { settings } from './settings.js';

export const serve: Command<Globals> = async (args, cli) => {
  const loaded = settings(args, cli);
  const { config, moved } = await chooseListen(loaded);
  const lines = gathered((text) => void cli.screen.write(text));
  cli.atExit(lines.flush);
  const log = createLog({
    ...config.log,
    format: logFormat(loaded, cli),
    clock: cli.clock,
    write: lines.write,
    hostname: config.hostname,
    pid: process.pid,
  });
  try {
    for (const { path, code, message } of loaded.warnings) log.warn('config.warning', { path, code }, message);
    const { mta, socket, close } = await startAgent(config, { log, onEvent: logMail(log) }, cli);
    const listen = mta.listening().map(showHostPort).join(', ');
    const fields = { version: version(), pid: process.pid, spool: config.spool.path, socket, listen };
    const where = moved === undefined ? listen : `${listen} (${moved})`;
    log.info('agent.started', fields, listen === '' ? 'running, and listening nowhere' : `taking mail on ${where}`);
    return await untilSignal(close, config.shutdown.timeout, log, cli);
  } finally {
    lines.flush();
  }
};

/** JSON unless told, but people get text. */
function logFormat({ config, sources }: LoadedConfig, cli: Cli): LogFormat {
  return !sources.has('log.format') && cli.screen.terminal ? 'text' : config.log.format;
}
