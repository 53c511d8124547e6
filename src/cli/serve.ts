/** `riata serve`: the agent as a service, in the foreground. */
import { showHostPort } from '../config/addresses.js';
import { version } from '../version.js';
import { agentLog } from './agent-log.js';
import type { Command, Globals } from './command.js';
import { chooseListen } from './listen.js';
import { startAgent, untilSignal } from './running.js';
import { settings } from './settings.js';

export const serve: Command<Globals> = async (args, cli) => {
  const loaded = settings(args, cli);
  const { config, moved } = await chooseListen(loaded);
  const lines = cli.logLines();
  const { log, onEvent } = agentLog(loaded, lines, cli);
  try {
    for (const { path, code, message } of loaded.warnings) log.warn('config.warning', { path, code }, message);
    const { mta, socket, http, close } = await startAgent(config, { log, onEvent }, cli);
    const listen = mta.listening().map(showHostPort).join(', ');
    const page = http.map((address) => `http://${showHostPort(address)}/`).join(', ');
    const fields = { version: version(), pid: process.pid, spool: config.spool.path, socket, listen, ...(page === '' ? {} : { page }) };
    const where = moved === undefined ? listen : `${listen} (${moved})`;
    const doors = listen === '' ? 'running, and listening nowhere' : `taking mail on ${where}`;
    log.info('agent.started', fields, page === '' ? doors : `${doors}; the queue is shown on ${page}`);
    return await untilSignal(close, config.shutdown.timeout, log, cli);
  } finally {
    lines.close();
  }
};
