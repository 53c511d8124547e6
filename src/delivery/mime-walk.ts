/**
 * A walk over the MIME structure of content as it streams by (RFC 2045, RFC 2046): header sections whole, bodies of leaves octet for
 * octet, and everything between them. Joined in order, what the visitor is given is the content, unaltered.
 *
 * Promises: memory bounded by the longest header section (256 KiB, else `MimeTooHard`); at most 50 levels and 10,000 entities. A
 * boundary is looked for at every line, innermost first, also in headers; the CRLF before it belongs to it and not to the body.
 * What is malformed is passed on as it is: a multipart without a boundary is a leaf.
 */

/** The structure goes beyond the bounds of what is walked. */
export class MimeTooHard extends Error {
  override readonly name = 'MimeTooHard';
}

export interface Entity {
  /** Counts from 0 in order of appearance. */
  readonly index: number;
  /** `text/plain`, lower case; the default of its place where none can be read. */
  readonly type: string;
  /** Content-Transfer-Encoding, lower case; `7bit` where there is none. */
  readonly encoding: string;
  /** Within a multipart/signed, or one itself. */
  readonly signed: boolean;
  /** Holds other entities (which follow); else the body comes as `body`. */
  readonly container: boolean;
  /** Fields with their line ends, and the empty line last, where it was there. */
  readonly header: readonly Buffer[];
}

export interface MimeVisitor {
  entity(entity: Entity): void;
  /** Some of the body of the last entity, which is a leaf. */
  body(octets: Buffer): void;
  /** The body of the last entity is complete. */
  bodyEnd(): void;
  /** Boundaries with the CRLF before and behind, preambles and epilogues. */
  between(octets: Buffer): void;
}

const MAX_DEPTH = 50;
const MAX_ENTITIES = 10_000;
const MAX_HEADER_BYTES = 256 * 1024;
/** No boundary is longer; longer lines are handed on in parts. */
const LONGEST_HELD_LINE = 4096;

const CRLF = Buffer.from('\r\n', 'latin1');
const CR = 0x0d;
const HYPHEN = 0x2d;
const EMPTY = Buffer.alloc(0);

/** An open entity that holds others. */
type Container =
  | { readonly kind: 'multipart'; readonly delimiter: string; readonly childType: string; readonly signed: boolean }
  | { readonly kind: 'message'; readonly signed: boolean };

export class MimeWalk {
  readonly #visitor: MimeVisitor;
  readonly #open: Container[] = [];
  #state: 'header' | 'leaf' | 'between' = 'header';
  #childType = 'text/plain';
  #entities = 0;
  /** Lines of the header section under way. */
  #header: Buffer[] = [];
  #headerBytes = 0;
  /** A CRLF of a leaf that may turn out to belong to a boundary. */
  #heldEnd = false;
  /** The beginning of a line. */
  #rest = EMPTY;
  #midLine = false;

  constructor(visitor: MimeVisitor) {
    this.#visitor = visitor;
  }

  push(block: Buffer): void {
    const octets = this.#rest.length > 0 ? Buffer.concat([this.#rest, block]) : block;
    let at = 0;
    for (let end = octets.indexOf(CRLF); end >= 0; end = octets.indexOf(CRLF, at)) {
      this.#line(octets.subarray(at, end), true);
      at = end + 2;
    }
    let rest = octets.subarray(at);
    if (rest.length > LONGEST_HELD_LINE) {
      const whole = rest[rest.length - 1] === CR ? rest.length - 1 : rest.length;
      this.#line(rest.subarray(0, whole), false);
      rest = rest.subarray(whole);
    }
    this.#rest = rest.length > 0 ? Buffer.from(rest) : EMPTY;
  }

  end(): void {
    if (this.#rest.length > 0) this.#line(this.#rest, false);
    this.#rest = EMPTY;
    if (this.#state === 'header' && this.#headerBytes > 0) this.#headerEnd();
    if (this.#heldEnd) this.#visitor.body(CRLF);
    if (this.#state === 'leaf') this.#visitor.bodyEnd();
  }

  /** A line without its CRLF, or (`ended` false) as much of it as there is. */
  #line(line: Buffer, ended: boolean): void {
    const whole = ended && !this.#midLine;
    this.#midLine = !ended;
    if (whole && line[0] === HYPHEN && line[1] === HYPHEN && this.#boundary(line)) return;
    switch (this.#state) {
      case 'header':
        this.#keep(line, ended);
        if (whole && line.length === 0) this.#headerEnd();
        return;
      case 'leaf':
        if (this.#heldEnd) this.#visitor.body(CRLF);
        if (line.length > 0) this.#visitor.body(line);
        this.#heldEnd = ended;
        return;
      case 'between':
        this.#visitor.between(line);
        if (ended) this.#visitor.between(CRLF);
    }
  }

  /** Whether the line is a delimiter of an open multipart. */
  #boundary(line: Buffer): boolean {
    if (this.#open.length === 0 || line.length > LONGEST_HELD_LINE) return false;
    const text = line.toString('latin1').replace(/[ \t]+$/, '');
    for (let level = this.#open.length - 1; level >= 0; level--) {
      const container = this.#open[level]!;
      if (container.kind !== 'multipart' || !text.startsWith(container.delimiter)) continue;
      const tail = text.slice(container.delimiter.length);
      if (tail !== '' && tail !== '--') continue;
      this.#leave(level);
      this.#visitor.between(line);
      this.#visitor.between(CRLF);
      this.#state = tail === '' ? 'header' : 'between';
      this.#childType = container.childType;
      return true;
    }
    return false;
  }

  /** Ends whatever is open inside the container at this level. */
  #leave(level: number): void {
    if (this.#state === 'header' && this.#headerBytes > 0) this.#headerEnd();
    if (this.#state === 'leaf') this.#visitor.bodyEnd();
    if (this.#heldEnd) this.#visitor.between(CRLF);
    this.#heldEnd = false;
    this.#open.length = level + 1;
  }

  #keep(line: Buffer, ended: boolean): void {
    this.#headerBytes += line.length + 2;
    if (this.#headerBytes > MAX_HEADER_BYTES) throw new MimeTooHard('a header section is too long');
    this.#header.push(Buffer.from(line));
    if (ended) this.#header.push(CRLF);
  }

  #headerEnd(): void {
    const header = joinFields(this.#header);
    this.#header = [];
    this.#headerBytes = 0;
    if (++this.#entities > MAX_ENTITIES) throw new MimeTooHard('there are too many parts');
    if (this.#open.length > MAX_DEPTH) throw new MimeTooHard('the parts are nested too deep');
    const { type, boundary } = readContentType(field(header, 'content-type'), this.#childType);
    const encoding = /^[\w-]+/.exec(uncommented(field(header, 'content-transfer-encoding') ?? '').trim())?.[0].toLowerCase() ?? '7bit';
    const identity = encoding === '7bit' || encoding === '8bit' || encoding === 'binary';
    const signed = type === 'multipart/signed' || (this.#open.at(-1)?.signed ?? false);
    const multipart = type.startsWith('multipart/') && boundary !== undefined;
    const message = (type === 'message/rfc822' || type === 'message/global') && identity;
    this.#visitor.entity({ index: this.#entities - 1, type, encoding, signed, container: multipart || message, header });
    if (multipart) {
      this.#open.push({
        kind: 'multipart',
        delimiter: `--${boundary}`,
        childType: type === 'multipart/digest' ? 'message/rfc822' : 'text/plain',
        signed,
      });
      this.#state = 'between';
    } else if (message) {
      this.#open.push({ kind: 'message', signed });
      this.#childType = 'text/plain';
      this.#state = 'header';
    } else {
      this.#state = 'leaf';
    }
  }
}

/** Lines to fields: one that begins with a blank goes on with the field before. */
function joinFields(pieces: readonly Buffer[]): Buffer[] {
  const fields: Buffer[] = [];
  let field: Buffer[] = [];
  let lineStart = true;
  for (const piece of pieces) {
    const folded = piece[0] === 0x20 || piece[0] === 0x09;
    if (lineStart && !folded && field.length > 0) {
      fields.push(Buffer.concat(field));
      field = [];
    }
    field.push(piece);
    lineStart = piece === CRLF;
  }
  if (field.length > 0) fields.push(Buffer.concat(field));
  return fields;
}

/** Name of a field, lower case, or `''`. */
export function fieldName(field: Buffer): string {
  return /^([!-9;-~]+)[ \t]*:/.exec(field.toString('latin1', 0, 200))?.[1]?.toLowerCase() ?? '';
}

/** Value of the first field of this name, unfolded. */
function field(header: readonly Buffer[], name: string): string | undefined {
  const found = header.find((one) => fieldName(one) === name);
  return found?.toString('latin1', found.indexOf(':') + 1).replace(/\r\n/g, '');
}

function readContentType(value: string | undefined, byDefault: string): { type: string; boundary?: string } {
  const text = uncommented(value ?? '');
  const type = /^\s*([\w!#$&^.+-]{1,127}\/[\w!#$&^.+-]{1,127})\s*(?:;|$)/.exec(text)?.[1]?.toLowerCase();
  if (type === undefined) return { type: byDefault };
  const match = /;\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i.exec(text);
  const boundary = match ? (match[2] ?? match[1]!.replace(/\\(.)/g, '$1')).replace(/[ \t]+$/, '') : '';
  return boundary === '' ? { type } : { type, boundary };
}

/** Without comments (RFC 5322 §3.2.2), which may be nested and contain quotes that are none. */
function uncommented(text: string): string {
  if (!text.includes('(')) return text;
  let result = '';
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '\\') {
      if (depth === 0) result += character + (text[at + 1] ?? '');
      at++;
    } else if (character === '"' && depth === 0) {
      quoted = !quoted;
      result += character;
    } else if (character === '(' && !quoted) {
      depth++;
    } else if (character === ')' && depth > 0) {
      depth--;
    } else if (depth === 0) {
      result += character;
    }
  }
  return result;
}
