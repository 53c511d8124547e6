/**
 * The few encodings that a report needs: quoted-printable, folding, dates, encoded words, escapes into ASCII.
 *
 * Promises: lines end in CRLF and stay under the limits of RFC 5322 §2.1.1, whatever comes in. Pure.
 * Must not know what a report is. Composing of users' mail has its own, richer folder.
 */

/** Longest line of mail, without its CRLF. */
export const MAX_LINE = 998;
const QUOTED_LINE = 76;
const CR = 13;
const LF = 10;
const TAB = 9;
const SPACE = 32;
const FOLD = Buffer.from('\r\n ');

const ASCII = /^[\u0000-\u007f]*$/;

export function isAscii(text: string): boolean {
  return ASCII.test(text);
}

export function isAsciiBytes(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 127) return false;
  return true;
}

/** RFC 5322 §3.3, in UTC. */
export function mailDate(at: number): string {
  return new Date(at).toUTCString().replace('GMT', '+0000');
}

/** RFC 2045 §6.7, for text: CRLF stays a line end, every other CR and LF is encoded. */
export function quotedPrintable(bytes: Uint8Array): string {
  let out = '';
  let column = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte === CR && bytes[i + 1] === LF) {
      out += '\r\n';
      column = 0;
      i++;
      continue;
    }
    const next = bytes[i + 1];
    const atEnd = next === undefined || next === CR || next === LF;
    const plain = (byte > SPACE && byte < 127 && byte !== 0x3d) || ((byte === SPACE || byte === TAB) && !atEnd);
    const piece = plain ? String.fromCharCode(byte) : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    if (column + piece.length > QUOTED_LINE - 1) {
      out += '=\r\n';
      column = 0;
    }
    out += piece;
    column += piece.length;
  }
  return out;
}

/** Outside ASCII becomes `\x{E9}`, the form that RFC 6533 §3 gives to addresses in seven bits. */
export function escapeAscii(text: string): string {
  return isAscii(text)
    ? text
    : text.replace(/[^\u0020-\u007e]/gu, (character) => `\\x{${character.codePointAt(0)!.toString(16).toUpperCase()}}`);
}

/** An address for a field of type `utf-8` in seven bits (RFC 6533 §3, utf-8-addr-xtext). */
export function addressXtext(address: string): string {
  return escapeAscii(address.replace(/[\\+=]/g, (character) => `\\x{${character.charCodeAt(0).toString(16).toUpperCase()}}`));
}

/** Text cut at spaces into lines of at most `width` characters; a word longer than `hard` is cut as well. */
export function wrap(text: string, width: number, hard: number): string[] {
  const lines: string[] = [];
  let current = '';
  for (const whole of text.split(' ')) {
    for (let word = whole; word !== ''; ) {
      const piece = takeCharacters(word, hard);
      word = word.slice(piece.length);
      if (current !== '' && current.length + 1 + piece.length > width) {
        lines.push(current);
        current = piece;
      } else {
        current = current === '' ? piece : `${current} ${piece}`;
      }
    }
  }
  if (current !== '') lines.push(current);
  return lines;
}

/** At most `count` UTF-16 units, not between the halves of a character. */
function takeCharacters(text: string, count: number): string {
  if (text.length <= count) return text;
  const last = text.charCodeAt(count - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? count - 1 : count);
}

/** One field, folded at spaces, with its CRLF. The value must be one line already. */
export function field(name: string, value: string): string {
  // A character has at most three octets in UTF-8 per UTF-16 unit: 300 of them fit a line in any case.
  return `${name}: ${wrap(value, Math.max(76 - name.length - 2, 40), 300).join('\r\n ')}\r\n`;
}

/** One field as it is, for values that are short and where every space counts (addresses may be quoted). */
export function line(name: string, value: string): string {
  return `${name}: ${value}\r\n`;
}

/** Folds lines of a header that are longer than a line may be. All others stay as they are. */
export function foldLongLines(bytes: Buffer): Buffer {
  const pieces: Buffer[] = [];
  let kept = 0;
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf('\r\n', start, 'latin1');
    const end = found < 0 ? bytes.length : found;
    if (end - start > MAX_LINE) {
      pieces.push(bytes.subarray(kept, start), foldLine(bytes.subarray(start, end)));
      kept = end;
    }
    start = end + 2;
  }
  return pieces.length === 0 ? bytes : Buffer.concat([...pieces, bytes.subarray(kept)]);
}

/** At its last white space that fits, where there is one, else between two characters. No line comes out empty. */
function foldLine(line: Buffer): Buffer {
  const pieces: Buffer[] = [];
  let start = 0;
  while (isBlank(line[start]) && isBlank(line[start + 1])) start++;
  while (line.length - start >= MAX_LINE) {
    const room = start + MAX_LINE - 1;
    let next = room;
    while (next > start && !isBlank(line[next])) next--;
    let end = next;
    while (end > start && isBlank(line[end - 1])) end--;
    if (end === start) {
      next = room;
      while (next > start + 1 && (line[next]! & 0xc0) === 0x80) next--;
      end = next;
    }
    pieces.push(line.subarray(start, end), FOLD);
    start = next;
    while (isBlank(line[start])) start++;
  }
  // White space at the very end would be a line of its own.
  if (start < line.length) pieces.push(line.subarray(start));
  else pieces.pop();
  return Buffer.concat(pieces);
}

function isBlank(octet: number | undefined): boolean {
  return octet === SPACE || octet === TAB;
}

/** Encoded words of RFC 2047 as text; what cannot be read stays as it is. */
export function decodeWords(text: string): string {
  const joined = text.replace(/(=\?[^?\s]{1,64}\?[bBqQ]\?[^?\s]{0,300}\?=)\s+(?==\?)/g, '$1');
  return joined.replace(
    /=\?([^?\s]{1,64})\?([bBqQ])\?([^?\s]{0,300})\?=/g,
    (whole: string, charset: string, kind: string, data: string) => {
      try {
        const label = charset.split('*')[0];
        return new TextDecoder(label).decode(kind.toLowerCase() === 'b' ? Buffer.from(data, 'base64') : unquoteWord(data));
      } catch {
        return whole;
      }
    },
  );
}

function unquoteWord(data: string): Buffer {
  const text = data
    .replaceAll('_', ' ')
    .replace(/=([0-9A-Fa-f]{2})/g, (_whole: string, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(text, 'latin1');
}
