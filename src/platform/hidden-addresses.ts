/**
 * A log without people in it: local parts of addresses become `*`, wherever they stand, also within the words of a server.
 * Domains, ids, servers and codes stay, so that a message can still be followed and looked up by its id.
 *
 * Promises: time linear in the text. What a server says of somebody without writing an address is hidden only where it
 * repeats a local part of that very message.
 */
import type { Emit, MailEvent } from '../core/event.js';
import type { Log, LogFields } from './log.js';

/** Where a local part that is not quoted begins: behind one of these. */
const BEFORE = /[\s<>()[\]\\,;:"'=?&/]/;
/** As it stands in texts and in query strings. */
const AT = /@|%40/gi;

/** `ann@example.com` → `*@example.com`. */
export function hideLocalParts(text: string): string {
  let out = '';
  let done = 0;
  for (const { index, 0: sign } of text.matchAll(AT)) {
    const start = startOfLocalPart(text, index, done);
    if (start === index) continue;
    out += `${text.slice(done, start)}*${sign}`;
    done = index + sign.length;
  }
  return out + text.slice(done);
}

function startOfLocalPart(text: string, end: number, from: number): number {
  if (text[end - 1] === '"') return Math.max(text.lastIndexOf('"', end - 2), from);
  let start = end;
  while (start > from && !BEFORE.test(text[start - 1]!)) start--;
  return start;
}

/** What is no address although it may look like one. */
const KEPT: readonly string[] = ['id', 'of', 'delivery', 'lane', 'messageId', 'server', 'session', 'client', 'origin'];

export function hideAddresses(log: Log): Log {
  const hidden = (level: keyof Log): Log[keyof Log] => {
    return (event, fields, message) =>
      log[level](event, fields && hideFields(fields), message === undefined ? undefined : hideLocalParts(message));
  };
  return { debug: hidden('debug'), info: hidden('info'), warn: hidden('warn'), error: hidden('error') };
}

function hideFields(fields: LogFields): LogFields {
  const hidden: Record<string, LogFields[string]> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value !== 'string' || KEPT.includes(name)) hidden[name] = value;
    else hidden[name] = name === 'user' && !value.includes('@') ? '*' : hideLocalParts(value);
  }
  return hidden;
}

/** The same for events, before they are made into lines. */
export function hideInEvents(emit: Emit): Emit {
  return (event) => emit(hideInEvent(event));
}

function hideInEvent(event: MailEvent): MailEvent {
  const hidden = hideFields(event as unknown as LogFields) as unknown as MailEvent;
  if (!('recipient' in event) || !('text' in hidden)) return hidden;
  const local = event.recipient.slice(0, event.recipient.lastIndexOf('@'));
  return { ...hidden, text: withoutWord(hidden.text, local) };
}

/** `550 bob: no such user` says as much as an address does. */
function withoutWord(text: string, word: string): string {
  if (word === '') return text;
  const quoted = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return text.replace(new RegExp(`(?<![\\p{L}\\p{N}._-])${quoted}(?![\\p{L}\\p{N}_-])`, 'giu'), '*');
}
