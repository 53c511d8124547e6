/**
 * Content made 7-bit for a server without 8BITMIME (RFC 6152 §3): leaves that hold octets above 127 become quoted-printable (text)
 * or base64 (all else), with their header adjusted. Everything else stays octet for octet.
 *
 * Two walks: `surveyed` finds the leaves that must be converted, and whether that may be done at all; `downgraded` does it. Memory
 * is a number per such leaf.
 *
 * What may not be done is thrown as `Undowngradable`: anything under multipart/signed, for it would no longer verify; octets above
 * 127 where no encoding may stand (preambles, parts that say they are encoded already, message/partial); raw octets in the
 * header of a part, which only SMTPUTF8 could carry.
 */
import { isAscii } from 'node:buffer';
import { type Entity, fieldName, MimeTooHard, type MimeVisitor, MimeWalk } from './mime-walk.js';
import { Base64, type Encoder, QuotedPrintable } from './transfer-encoding.js';

export class Undowngradable extends Error {
  override readonly name = 'Undowngradable';
  /** RFC 3463. */
  readonly status: '5.6.3' | '5.6.7';

  constructor(status: '5.6.3' | '5.6.7', why: string) {
    super(`the server does not offer ${status === '5.6.7' ? 'SMTPUTF8' : '8BITMIME'}, and the message cannot be made 7-bit: ${why}`);
    this.status = status;
  }
}

type Source = AsyncIterable<Buffer> | Iterable<Buffer>;

/** Indexes of the leaves that must be converted. */
export type Survey = ReadonlySet<number>;

export async function surveyed(source: Source): Promise<Survey> {
  const found = new Set<number>();
  const walk = new MimeWalk(new Surveyor(found));
  try {
    for await (const block of source) walk.push(block);
    walk.end();
  } catch (error) {
    if (error instanceof MimeTooHard) throw new Undowngradable('5.6.3', error.message);
    throw error;
  }
  return found;
}

export async function* downgraded(source: Source, survey: Survey): AsyncGenerator<Buffer> {
  const converter = new Converter(survey);
  const walk = new MimeWalk(converter);
  for await (const block of source) {
    walk.push(block);
    yield converter.take();
  }
  walk.end();
  yield converter.take();
}

class Surveyor implements MimeVisitor {
  readonly #found: Set<number>;
  #leaf: Entity | undefined;

  constructor(found: Set<number>) {
    this.#found = found;
  }

  entity(entity: Entity): void {
    if (!entity.header.every((field) => isAscii(field))) throw new Undowngradable('5.6.7', 'a header has octets above 127');
    this.#leaf = entity;
  }

  body(octets: Buffer): void {
    const leaf = this.#leaf!;
    if (this.#found.has(leaf.index) || isAscii(octets)) return;
    if (leaf.signed) throw new Undowngradable('5.6.3', 'signed content must not be altered');
    if (!isIdentity(leaf.encoding)) throw new Undowngradable('5.6.3', `a part in ${leaf.encoding} has octets above 127`);
    if (/^(?:multipart\/|message\/(?:partial|external-body)$)/.test(leaf.type))
      throw new Undowngradable('5.6.3', `a part of type ${leaf.type} cannot be encoded`);
    this.#found.add(leaf.index);
  }

  bodyEnd(): void {}

  between(octets: Buffer): void {
    if (!isAscii(octets)) throw new Undowngradable('5.6.3', 'there are octets above 127 outside of all parts');
  }
}

class Converter implements MimeVisitor {
  readonly #survey: Survey;
  #encoder: Encoder | undefined;
  #out: Buffer[] = [];

  constructor(survey: Survey) {
    this.#survey = survey;
  }

  /** What came out since the last time. */
  take(): Buffer {
    const out = Buffer.concat(this.#out);
    this.#out = [];
    return out;
  }

  entity(entity: Entity): void {
    if (this.#survey.has(entity.index)) {
      const text = /^(?:text|message)\//.test(entity.type);
      this.#encoder = text ? new QuotedPrintable() : new Base64();
      this.#out.push(...relabelled(entity, text ? 'quoted-printable' : 'base64'));
    } else if (entity.container && !entity.signed && entity.encoding !== '7bit') {
      // What it holds is 7-bit now.
      this.#out.push(...relabelled(entity, '7bit'));
    } else {
      this.#out.push(...entity.header);
    }
  }

  body(octets: Buffer): void {
    this.#out.push(this.#encoder ? this.#encoder.push(octets) : octets);
  }

  bodyEnd(): void {
    if (this.#encoder) this.#out.push(this.#encoder.end());
    this.#encoder = undefined;
  }

  between(octets: Buffer): void {
    this.#out.push(octets);
  }
}

function isIdentity(encoding: string): boolean {
  return encoding === '7bit' || encoding === '8bit' || encoding === 'binary';
}

/** The header with this Content-Transfer-Encoding, in the place of the old one, else at its end. */
function relabelled(entity: Entity, encoding: string): Buffer[] {
  const label = Buffer.from(`Content-Transfer-Encoding: ${encoding}\r\n`, 'latin1');
  const fields: Buffer[] = [];
  let placed = false;
  for (const field of entity.header) {
    if (fieldName(field) !== 'content-transfer-encoding') fields.push(field);
    else if (!placed) placed = fields.push(label) > 0;
  }
  const mime = entity.index > 0 || fields.some((field) => fieldName(field) === 'mime-version');
  const missing = [...(mime ? [] : [Buffer.from('MIME-Version: 1.0\r\n', 'latin1')]), ...(placed ? [] : [label])];
  const emptyLine = fields.at(-1)?.length === 2 ? fields.length - 1 : fields.length;
  fields.splice(emptyLine, 0, ...missing);
  return fields;
}
