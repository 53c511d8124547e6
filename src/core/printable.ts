/**
 * Text from outside, made safe to show: no control character, line separator or turn of direction gets through as itself,
 * so nothing that a remote says can break a line of a log, a header or a terminal.
 */

/** Cc: controls; Zl, Zp: line separators; and what turns the direction of text. Halves of surrogates cannot be written at all. */
const INVISIBLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Bidi_Control}]/gu;

const PLAIN = /^[ -~]*$/;

/** A tab becomes a blank, anything else that cannot be shown becomes `\x1b` or `\u2028`. */
export function printable(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replace(INVISIBLE, (character) => {
    if (character === '\t') return ' ';
    const code = character.charCodeAt(0);
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}
