/**
 * Text that came from outside (mail, remote servers), made fit for a terminal: no control character gets through
 * (`printable`), and its width in columns is known. Everything the command line prints of a mail passes here.
 *
 * Must not: change what is plain text, or be used for what goes to a file or a pipe as data.
 */
import { printable } from '../core/printable.js';

const PLAIN = /^[\x20-\x7e]*$/;

/** On one line: runs of white space, line ends included, become one space. */
export function oneLine(text: string): string {
  return printable(text.replace(/\s+/g, ' ').trim());
}

/** Line by line: keeps LF, drops the CR of a CRLF. For showing a whole text. */
export function visibleLines(text: string): string {
  return text
    .split('\n')
    .map((line) => printable((line.endsWith('\r') ? line.slice(0, -1) : line).replaceAll('\t', '    ')))
    .join('\n');
}

/** What JSON leaves bare and a terminal obeys. */
const UNSAFE = /[\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** One line of JSON that is safe on a terminal too: what JSON itself leaves bare and a terminal obeys is escaped. */
export function jsonLine(value: unknown): string {
  const line = JSON.stringify(value);
  if (PLAIN.test(line)) return line;
  return line.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** East Asian Wide and Fullwidth blocks, first and last code point (Unicode Annex 11), without the emoji. */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2329, 0x232a],
  [0x2e80, 0x303e],
  [0x3041, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18dff],
  [0x1b000, 0x1b2ff],
  [0x1f200, 0x1f2ff],
  [0x20000, 0x3fffd],
];
const NO_WIDTH = /^[\p{M}\p{Cf}]/u;
const EMOJI = /^\p{Emoji_Presentation}|^\p{Regional_Indicator}|\ufe0f/u;

/** Made when first needed: it costs more than the rest of a short command. */
let segmenter: Intl.Segmenter | undefined;

function graphemes(text: string): Iterable<{ readonly segment: string }> {
  segmenter ??= new Intl.Segmenter('en', { granularity: 'grapheme' });
  return segmenter.segment(text);
}

function graphemeWidth(grapheme: string): number {
  const code = grapheme.codePointAt(0)!;
  if (code < 0x300) return 1;
  if (NO_WIDTH.test(grapheme)) return 0;
  if (EMOJI.test(grapheme)) return 2;
  return WIDE.some(([first, last]) => code >= first && code <= last) ? 2 : 1;
}

/** Columns that `text` takes on a terminal. Expects text that is printable already. */
export function width(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let columns = 0;
  for (const { segment } of graphemes(text)) columns += graphemeWidth(segment);
  return columns;
}

/** `text` if it fits into `columns`, else as much of it as does, with `…` at the end. */
export function fit(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  if (columns <= 0) return '';
  let out = '';
  let used = 0;
  for (const { segment } of graphemes(text)) {
    const wide = graphemeWidth(segment);
    if (used + wide > columns - 1) break;
    out += segment;
    used += wide;
  }
  return `${out}…`;
}
