/**
 * Small words about servers and their answers, made fit to be stored, logged and written into mail.
 *
 * Promises: what comes out is bounded and has no control characters. Everything that a remote said passes through here
 * before it goes anywhere. Must not decide anything.
 */
import type { Server, Trouble } from '../core/outcome.js';

/** Octets of a remote's words that are kept with a recipient and an attempt. */
export const MAX_WORDS = 1024;

/** Control characters, line separators, marks that turn the direction of text around, and halves of characters. */
const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}\u{feff}]+/gu;
const PLAIN = /^[\u0020-\u007e]*$/;

/** One line: whatever is not seen becomes a single space. */
export function oneLine(text: string): string {
  return PLAIN.test(text) ? text : text.replace(UNSEEN, ' ').trim();
}

/** At most `octets` of UTF-8, cut between characters, with an ellipsis where something was cut. */
export function clip(text: string, octets: number): string {
  if (text.length * 3 <= octets || Buffer.byteLength(text) <= octets) return text;
  const bytes = Buffer.from(text);
  let end = Math.max(octets - 3, 0);
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return `${bytes.toString('utf8', 0, end)}…`;
}

export function words(text: string): string {
  return clip(oneLine(text), MAX_WORDS);
}

/** `host[address]:port`, as it stands in logs, events and the store. */
export function serverLabel(server: Server): string {
  return `${server.host}[${server.address}]:${server.port}`;
}

/** What went wrong, in the remote's own words with its code in front, or in ours without one. */
export function troubleWords(trouble: Trouble): string {
  const { code, text } = trouble;
  return words(code === undefined || text.startsWith(String(code)) ? text : `${code} ${text}`);
}

/** Whether `troubleWords` quoted a reply: ours never begin with a code. */
export function isReply(text: string): boolean {
  return /^[245][0-9]{2}(?:[ -]|$)/.test(text);
}
