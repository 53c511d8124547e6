/**
 * The log as lines: JSON for machines, text for people.
 *
 * Promises: one line an event, whatever stands in its fields, and nothing in it that steers a terminal; in JSON always
 * `time`, `level`, `event` first, the fields in the order given, `msg` last. Cheap enough for a few lines a message.
 * Must not decide where lines go: `line-writer.ts` does.
 */
import { printable } from '../core/printable.js';
import type { Clock } from './clock.js';
import { LOG_LEVELS, type Log, type LogFields, type LogLevel } from './log.js';

export interface LogOptions {
  readonly format: 'json' | 'text';
  /** Anything less is not even formatted. */
  readonly level: LogLevel;
  readonly clock: Pick<Clock, 'now'>;
  /** Takes a line without its line end. */
  readonly write: (line: string) => void;
  /** Colours for a terminal; text only. */
  readonly color?: boolean;
}

type Format = (at: number, level: LogLevel, event: string, fields: LogFields | undefined, message: string | undefined) => string;

/** Longest value of a field, in characters. A remote's words are longer than they are worth soon. */
const MAX_VALUE = 4096;

export function createLog({ format, level, clock, write, color = false }: LogOptions): Log {
  const line = format === 'json' ? jsonLines() : textLines(color);
  const at = (own: LogLevel): Log[LogLevel] =>
    LOG_LEVELS.indexOf(own) < LOG_LEVELS.indexOf(level)
      ? () => {}
      : (event, fields, message) => write(line(clock.now(), own, event, fields, message));
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

// — JSON —

/** JSON lets these stand, but they end lines or steer terminals. */
const UNQUOTED = /[\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
/** Strings that are JSON as they are, between quotes: most. */
const PLAIN = /^[ !#-[\]-~]*$/;
const MAX_KEYS = 1000;

function jsonLines(): Format {
  const time = timestamps();
  const keys = new Map<string, string>();
  const key = (name: string): string => {
    const known = keys.get(name);
    if (known !== undefined) return known;
    // What stands in every line is not to be overwritten by a field.
    const made = `,${quote(['time', 'level', 'event', 'msg'].includes(name) ? `${name}_` : name)}:`;
    if (keys.size < MAX_KEYS) keys.set(name, made);
    return made;
  };
  return (at, level, event, fields, message) => {
    let line = `{"time":"${time(at)}","level":"${level}","event":${quote(event)}`;
    for (const name in fields) {
      const value = fields[name];
      if (value === undefined) continue;
      line += key(name);
      line += typeof value === 'string' ? quote(value) : typeof value === 'number' && !Number.isFinite(value) ? 'null' : value;
    }
    return message === undefined ? `${line}}` : `${line},"msg":${quote(message)}}`;
  };
}

function quote(text: string): string {
  const kept = text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
  if (PLAIN.test(kept)) return `"${kept}"`;
  return JSON.stringify(kept).replace(UNQUOTED, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

// — text —

const COLORS: Readonly<Record<LogLevel, string>> = { debug: '\x1b[2m', info: '\x1b[36m', warn: '\x1b[33m', error: '\x1b[31m' };
const FAINT = '\x1b[2m';
const PLAIN_COLOR = '\x1b[0m';
const EVENT_WIDTH = 20;
/** What needs no quotes: plain ASCII without blank, quote and equals sign. */
const BARE = /^[!#-<>-~]+$/;

/** `2026-11-22T10:21:49.123Z info  mail.delivered       words for people  id=… text="2.0.0 Ok"` */
function textLines(color: boolean): Format {
  const time = timestamps();
  const paint = (code: string, text: string) => (color ? `${code}${text}${PLAIN_COLOR}` : text);
  return (at, level, event, fields, message) => {
    const pairs: string[] = [];
    for (const name in fields) {
      const value = fields[name];
      if (value !== undefined) pairs.push(`${paint(FAINT, `${printable(name)}=`)}${typeof value === 'string' ? shown(value) : value}`);
    }
    const words = message === undefined ? '' : ` ${printable(message.replace(/\n/g, ' '))} `;
    const head = `${paint(FAINT, time(at))} ${paint(COLORS[level], level.padEnd(5))} ${printable(event).padEnd(EVENT_WIDTH)}`;
    return `${head}${words} ${pairs.join(' ')}`.trimEnd();
  };
}

function shown(value: string): string {
  if (BARE.test(value) && value.length <= MAX_VALUE) return value;
  const kept = value.length > MAX_VALUE ? `${value.slice(0, MAX_VALUE)}…` : value;
  return `"${printable(kept.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n'))}"`;
}

/** ISO 8601 in UTC. Most lines fall into the second of the one before. */
function timestamps(): (at: number) => string {
  let second = Number.NaN;
  let text = '';
  return (at) => {
    const now = Math.floor(at / 1000);
    if (now !== second) {
      second = now;
      text = new Date(now * 1000).toISOString().slice(0, 20);
    }
    const ms = Math.floor(at) - now * 1000;
    return `${text}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`;
  };
}
