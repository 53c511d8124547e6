/** The log of an agent in the foreground: lines on standard output, in the format of the settings; mail's events among them. */
import type { LoadedConfig } from '../config/config.js';
import type { Emit } from '../core/event.js';
import { hideAddresses, hideInEvents } from '../platform/hidden-addresses.js';
import type { LineWriter } from '../platform/line-writer.js';
import type { Log, LogFields } from '../platform/log.js';
import { createLog } from '../platform/log-lines.js';
import { postfixLine } from '../platform/postfix-line.js';
import type { Cli } from './command.js';

export interface AgentLog {
  readonly log: Log;
  /** Takes every event of the agent. */
  readonly onEvent: Emit;
  /** Other settings, from the next line on. */
  renew(loaded: LoadedConfig): void;
}

export function agentLog(loaded: LoadedConfig, lines: LineWriter, cli: Cli): AgentLog {
  let now = logOf(loaded, lines, cli);
  return {
    log: {
      debug: (...line) => now.log.debug(...line),
      info: (...line) => now.log.info(...line),
      warn: (...line) => now.log.warn(...line),
      error: (...line) => now.log.error(...line),
    },
    onEvent: (event) => now.onEvent(event),
    renew(changed) {
      now = logOf(changed, lines, cli);
    },
  };
}

/** JSON unless told, but people at a terminal get text. In Postfix's format what is not about mail is text, too. */
function logOf({ config, sources }: LoadedConfig, lines: LineWriter, cli: Cli): Omit<AgentLog, 'renew'> {
  const { level } = config.log;
  const format = !sources.has('log.format') && cli.screen.terminal ? 'text' : config.log.format;
  const log = createLog({
    format: format === 'json' ? 'json' : 'text',
    level,
    clock: cli.clock,
    write: lines.write,
    color: cli.screen.colour,
  });
  const onEvent = format === 'postfix' ? inPostfixWords(config.hostname, level, lines) : logMail(log);
  return config.log.addresses === 'full' ? { log, onEvent } : { log: hideAddresses(log), onEvent: hideInEvents(onEvent) };
}

/** `mail.accepted`, `mail.delivered` and so on, with the event's own fields. Only a fault is more than information; one of the spool, an error. */
export function logMail(log: Log): Emit {
  return (event) => {
    const { type, at: _, ...fields } = event;
    if (event.type === 'fault') log[event.code.startsWith('SPOOL_') ? 'error' : 'warn']('fault', fields as LogFields);
    else log.info(`mail.${type}`, fields as LogFields);
  };
}

function inPostfixWords(hostname: string, level: string, lines: LineWriter): Emit {
  const names = { hostname, pid: process.pid };
  const quiet = level === 'warn' || level === 'error';
  return (event) => {
    const line = quiet && event.type !== 'fault' ? undefined : postfixLine(event, names);
    if (line !== undefined) lines.write(line);
  };
}
