/**
 * The agent's log as lines: JSON for machines, text for people, or Postfix's words for tools that read its log.
 *
 * Promises: one line an event, whatever stands in the fields; nothing in it can steer a terminal.
 * Events about mail are called `mail.accepted`, `mail.delivered` and so on, with the fields of `core/event.ts`.
 */
import type { Emit } from '../core/event.js';
import type { Clock } from '../platform/clock.js';
import { LOG_LEVELS, type Log, type LogFields, type LogLevel } from '../platform/log.js';
import { jsonLine, oneLine } from './visible.js';

export type LogFormat = 'json' | 'text' | 'postfix';

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  readonly clock: Pick<Clock, 'now'>;
  /** Takes a line without its line end. */
  readonly write: (line: string) => void;
  /** For Postfix's format. */
  readonly hostname: string;
  readonly pid: number;
}

/** Mail's events as lines of the log; only what an operator should look at is more than `info`. */
export function logMail(log: Log): Emit {
  return (event) => {
    const { type, at: _, ...fields } = event;
    if (event.type === 'fault') log.warn('fault', fields as LogFields, event.text);
    else log.info(`mail.${type}`, fields as LogFields);
  };
}

/** Gathers the lines of one turn of the event loop into one write: a line costs less than a message then. */
export function gathered(write: (text: string) => void): { write(line: string): void; flush(): void } {
  let waiting: string[] = [];
  const flush = () => {
    if (waiting.length === 0) return;
    const text = `${waiting.join('\n')}\n`;
    waiting = [];
    write(text);
  };
  return {
    write(line) {
      if (waiting.push(line) === 1) setImmediate(flush);
    },
    flush,
  };
}

interface Entry {
  readonly at: number;
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: LogFields;
  readonly message: string | undefined;
}

export function createLog(options: LogOptions): Log {
  const least = LOG_LEVELS.indexOf(options.level);
  const format: (entry: Entry) => string | undefined =
    options.format === 'json'
      ? jsonEntry
      : options.format === 'text'
        ? textEntry
        : (entry) => postfixEntry(entry, options.hostname, options.pid);
  const write =
    (level: LogLevel) =>
    (event: string, fields: LogFields = {}, message?: string): void => {
      const line = format({ at: options.clock.now(), level, event, fields, message });
      if (line !== undefined) options.write(line);
    };
  const nothing = () => {};
  const at = (level: LogLevel) => (LOG_LEVELS.indexOf(level) < least ? nothing : write(level));
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

function jsonEntry({ at, level, event, fields, message }: Entry): string {
  return jsonLine({ time: new Date(at).toISOString(), level, event, ...fields, ...(message === undefined ? {} : { message }) });
}

/** `10:21:49.123 info  smtp.accepted  id=… size=1024`, with what people should read first. */
function textEntry({ at, level, event, fields, message }: Entry): string {
  const pairs = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${quoted(value)}`]));
  const time = new Date(at - new Date(at).getTimezoneOffset() * 60_000).toISOString().slice(11, 23);
  return [time, level.padEnd(5), message === undefined ? event : `${oneLine(message)} [${event}]`, ...pairs].join(' ');
}

function quoted(value: string | number | boolean): string {
  if (typeof value !== 'string') return String(value);
  return /^[\x21\x23-\x3c\x3e-\x7e]+$/.test(value) ? value : jsonLine(value);
}

// — Postfix's words —

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const STATUS: Readonly<Record<string, string>> = {
  'mail.delivered': 'sent',
  'mail.deferred': 'deferred',
  'mail.bounced': 'bounced',
  'mail.expired': 'bounced',
};

function postfixEntry({ at, level, event, fields, message }: Entry, hostname: string, pid: number): string | undefined {
  const stamp = (service: string) => `${syslogTime(at)} ${hostname} postfix/${service}[${pid}]:`;
  const of = (name: string) => oneLine(String(fields[name] ?? ''));
  const status = STATUS[event];
  if (status !== undefined) {
    const delay = (Number(fields['delayMs'] ?? 0) / 1000).toPrecision(2);
    const outcome = `delay=${Number(delay)}, dsn=${of('status')}, status=${status} (${of('text')})`;
    return `${stamp('smtp')} ${of('id')}: to=<${of('recipient')}>, relay=${of('server') || 'none'}, ${outcome}`;
  }
  if (event === 'mail.accepted')
    return `${stamp('qmgr')} ${of('id')}: from=<${of('sender')}>, size=${of('sizeBytes')}, nrcpt=${of('recipients')} (queue active)`;
  if (event === 'mail.removed') return `${stamp('postsuper')} ${of('id')}: removed`;
  const words = level === 'warn' ? 'warning: ' : level === 'error' ? 'error: ' : '';
  const pairs = Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${oneLine(String(value))}`]));
  return `${stamp('master')} ${words}${[message === undefined ? event : oneLine(message), ...pairs].join(' ')}`;
}

function syslogTime(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${MONTHS[date.getMonth()]} ${String(date.getDate()).padStart(2)} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
