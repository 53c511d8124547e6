/**
 * A MIME entity ready to be written (RFC 2045, RFC 2046): leaves, multiparts, enclosed messages, parts formatted elsewhere.
 *
 * Promises: written in one pass, large content as it is read; the same entity gives the same octets. No boundary occurs in what
 * it bounds: all hold `=_`, which neither encoding can produce, and text as it is, is searched. All are equally long, so none is
 * the beginning of another.
 */
import { createHash } from 'node:crypto';
import { isAscii } from './charset.js';
import { parameterField } from './fields.js';
import type { MediaType } from './media-type.js';
import { type Origin, octetsOf } from './origin.js';
import { BASE64_OCTETS, base64Lines, base64Size } from './transfer.js';

export type Entity = Leaf | Multipart | Enclosed | Formatted;

export interface Leaf {
  readonly kind: 'leaf';
  /** Complete lines. */
  readonly fields: string;
  readonly content: Content;
}

export type Content =
  /** Encoded already, or as it is. */
  | { readonly kind: 'octets'; readonly octets: Buffer }
  /** To be encoded as it is read. */
  | { readonly kind: 'base64'; readonly origin: Origin; readonly size: number | undefined };

export interface Multipart {
  readonly kind: 'multipart';
  readonly media: MediaType;
  /** Besides those of its type and encoding. */
  readonly fields: string;
  readonly children: readonly Entity[];
}

/** A message within a message: message/rfc822. */
export interface Enclosed {
  readonly kind: 'enclosed';
  readonly header: string;
  readonly child: Entity | undefined;
}

/** Header and body in one, as they were given. */
export interface Formatted {
  readonly kind: 'formatted';
  readonly octets: Buffer;
}

/** What is written: fields of a message in front (`''` for a part), then the entity's own, an empty line, its body. */
export interface Whole {
  readonly header: string;
  /** Undefined: a header alone. */
  readonly entity: Entity | undefined;
}

const CRLF = Buffer.from('\r\n', 'latin1');

/** One way to write it: boundaries for each multipart of it. */
export class EntityWriter {
  readonly #whole: Whole;
  readonly #boundaries = new Map<Multipart, string>();

  /** `seed`: 24 letters and digits that nobody can foresee. */
  constructor(whole: Whole, seed: string) {
    this.#whole = whole;
    const texts: Buffer[] = [];
    const multiparts: Multipart[] = [];
    if (whole.entity) collect(whole.entity, texts, multiparts);
    let fresh = seed;
    while (texts.some((text) => text.includes(`=_${fresh}`))) fresh = createHash('sha256').update(fresh).digest('hex').slice(0, 24);
    multiparts.forEach((multipart, i) => this.#boundaries.set(multipart, `=_${fresh}_${String(i).padStart(5, '0')}`));
  }

  /** The header with the empty line. */
  header(): Buffer {
    const { header, entity } = this.#whole;
    return Buffer.from(`${header}${entity ? this.#fields(entity) : ''}\r\n`, 'utf8');
  }

  /** Ends with a line end, unless it is empty. */
  async *body(): AsyncGenerator<Buffer> {
    const { entity } = this.#whole;
    if (entity === undefined) return;
    let last = 0;
    for await (const chunk of this.#body(entity)) {
      if (chunk.length === 0) continue;
      last = chunk[chunk.length - 1]!;
      yield chunk;
    }
    if (last !== 0x0a && last !== 0) yield CRLF;
  }

  /** Octets of header and body, or undefined if a stream is part of it. */
  size(): number | undefined {
    const { entity } = this.#whole;
    const header = this.header().length;
    if (entity === undefined) return header;
    const body = this.#bodySize(entity);
    return body === undefined ? undefined : header + body + (body === 0 || endsLine(entity) ? 0 : 2);
  }

  #fields(entity: Leaf | Multipart | Enclosed | Formatted): string {
    switch (entity.kind) {
      case 'leaf':
        return entity.fields;
      case 'multipart': {
        const type = parameterField('Content-Type', entity.media.type, [
          ...entity.media.parameters,
          ['boundary', this.#boundaries.get(entity)!],
        ]);
        return `${type}${isEightBit(entity) ? 'Content-Transfer-Encoding: 8bit\r\n' : ''}${entity.fields}`;
      }
      case 'enclosed':
        return `Content-Type: message/rfc822\r\n${isEightBit(entity) ? 'Content-Transfer-Encoding: 8bit\r\n' : ''}`;
      case 'formatted':
        return '';
    }
  }

  async *#body(entity: Entity): AsyncGenerator<Buffer> {
    switch (entity.kind) {
      case 'leaf':
        if (entity.content.kind === 'octets') yield entity.content.octets;
        else yield* asBase64(octetsOf(entity.content.origin));
        return;
      case 'multipart':
        for (const child of entity.children) {
          yield Buffer.from(this.#opening(entity, child), 'utf8');
          yield* this.#body(child);
          yield CRLF;
        }
        yield Buffer.from(`--${this.#boundaries.get(entity)!}--`, 'latin1');
        return;
      case 'enclosed':
        yield Buffer.from(this.#enclosedHeader(entity), 'utf8');
        if (entity.child) yield* this.#body(entity.child);
        return;
      case 'formatted':
        yield entity.octets;
    }
  }

  #bodySize(entity: Entity): number | undefined {
    switch (entity.kind) {
      case 'leaf': {
        const { content } = entity;
        if (content.kind === 'octets') return content.octets.length;
        return content.size === undefined ? undefined : base64Size(content.size);
      }
      case 'multipart': {
        let size = this.#boundaries.get(entity)!.length + 4;
        for (const child of entity.children) {
          const body = this.#bodySize(child);
          if (body === undefined) return undefined;
          size += Buffer.byteLength(this.#opening(entity, child)) + body + 2;
        }
        return size;
      }
      case 'enclosed': {
        const body = entity.child === undefined ? 0 : this.#bodySize(entity.child);
        return body === undefined ? undefined : Buffer.byteLength(this.#enclosedHeader(entity)) + body;
      }
      case 'formatted':
        return entity.octets.length;
    }
  }

  /** Boundary and header of a child. */
  #opening(multipart: Multipart, child: Entity): string {
    const header = child.kind === 'formatted' ? '' : `${this.#fields(child)}\r\n`;
    return `--${this.#boundaries.get(multipart)!}\r\n${header}`;
  }

  #enclosedHeader(entity: Enclosed): string {
    return `${entity.header}${entity.child ? this.#fields(entity.child) : ''}\r\n`;
  }
}

/** What could hold a boundary, and what needs one. */
function collect(entity: Entity, texts: Buffer[], multiparts: Multipart[]): void {
  switch (entity.kind) {
    case 'leaf':
      if (entity.content.kind === 'octets') texts.push(entity.content.octets);
      return;
    case 'multipart':
      multiparts.push(entity);
      for (const child of entity.children) collect(child, texts, multiparts);
      return;
    case 'enclosed':
      if (entity.child) collect(entity.child, texts, multiparts);
      return;
    case 'formatted':
      texts.push(entity.octets);
  }
}

function isEightBit(entity: Entity): boolean {
  switch (entity.kind) {
    case 'leaf':
      return entity.content.kind === 'octets' && !isAscii(entity.content.octets);
    case 'multipart':
      return entity.children.some(isEightBit);
    case 'enclosed':
      return !isAscii(Buffer.from(entity.header)) || (entity.child !== undefined && isEightBit(entity.child));
    case 'formatted':
      return !isAscii(entity.octets);
  }
}

/** Of an entity whose body is not empty. */
function endsLine(entity: Entity): boolean {
  switch (entity.kind) {
    case 'leaf':
      return entity.content.kind === 'octets' && entity.content.octets.at(-1) === 0x0a;
    case 'multipart':
      return false;
    case 'enclosed':
      return entity.child === undefined || endsLine(entity.child) || bodyIsEmpty(entity.child);
    case 'formatted':
      return entity.octets.at(-1) === 0x0a;
  }
}

function bodyIsEmpty(entity: Entity): boolean {
  return entity.kind === 'leaf' && (entity.content.kind === 'octets' ? entity.content.octets.length : entity.content.size) === 0;
}

/** A multiple of a line. */
const ENCODED_AT_ONCE = BASE64_OCTETS * 1024;

function* pieces(line: Buffer, octets: Buffer): Generator<Buffer> {
  if (line.length > 0) yield line;
  for (let at = 0; at < octets.length; at += ENCODED_AT_ONCE) yield octets.subarray(at, at + ENCODED_AT_ONCE);
}

/** Whole lines at a time; what is left over waits for the next chunk. */
async function* asBase64(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  let begun = false;
  for await (const chunk of source) {
    // Only the line that both begin and end is put together, not the whole chunk.
    const missing = rest.length === 0 ? 0 : Math.min(BASE64_OCTETS - rest.length, chunk.length);
    const first = missing === 0 ? rest : Buffer.concat([rest, chunk.subarray(0, missing)]);
    const whole = missing + Math.floor((chunk.length - missing) / BASE64_OCTETS) * BASE64_OCTETS;
    if (first.length > 0 && first.length < BASE64_OCTETS) {
      rest = first;
      continue;
    }
    rest = Buffer.from(chunk.subarray(whole));
    // Nobody knows how large the chunks of a stream are: a large one is not encoded at once.
    for (const piece of pieces(first, chunk.subarray(missing, whole))) {
      if (begun) yield CRLF;
      begun = true;
      yield base64Lines(piece);
    }
  }
  if (rest.length === 0) return;
  if (begun) yield CRLF;
  yield base64Lines(rest);
}
