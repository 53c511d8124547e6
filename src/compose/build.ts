/**
 * From a plan to the MIME entity it describes: text, page, both (alternative), page with images (related), all with attachments (mixed).
 *
 * Promises: everything that can be wrong is found before any stream is begun, and told at once: files that cannot be read, characters
 * that do not fit the character set, content that does not fit the transfer encoding. Of files, only texts are read here.
 */
import { readFile } from 'node:fs/promises';
import { type Attached, type AttachedFile, type AttachedImage, type AttachedPart, NESTED, type Nested } from './attachments.js';
import { type Charset, nameCharacters, UTF_8 } from './charset.js';
import { type Issues, put } from './checks.js';
import type { Entity, Leaf, Multipart } from './entity.js';
import { parameterField, wordsField } from './fields.js';
import type { Form } from './form.js';
import { type MediaType, OCTET_STREAM } from './media-type.js';
import { examine } from './origin.js';
import type { Piece, TextSource } from './pieces.js';
import { encodeAs, factsOf, suitableEncoding, type TransferEncoding, unfitFor, withCrlf } from './transfer.js';

/** One building, of a message with all that it contains. */
export interface BuildJob {
  readonly issues: Issues;
  /** Files are looked at as if for the first time. */
  readonly afresh: boolean;
  /** What is being built now, from the outside in: none of it can be part of itself. */
  readonly within: ReadonlySet<Nested>;
}

/** What of a plan makes the entity. `fields` go to its outermost part. */
export interface BuildPlan {
  readonly form: Form;
  readonly pieces: readonly Piece[];
  readonly fields: string;
}

/** Undefined where there is no content, or an issue was put. */
export async function buildEntity(plan: BuildPlan, job: BuildJob): Promise<Entity | undefined> {
  const before = job.issues.length;
  const builder = new Builder(plan.form, job);
  const inner: Entity[] = [];
  const around: Entity[] = [];
  const seen = new Set<Piece['kind']>();
  for (const piece of plan.pieces) {
    const first = !seen.has(piece.kind);
    seen.add(piece.kind);
    const entity = await builder.piece(piece, first);
    if (entity === undefined) continue;
    if (first && (piece.kind === 'text' || piece.kind === 'html' || piece.kind === 'calendar')) inner.push(entity);
    else around.push(entity);
  }
  if (job.issues.length > before) return undefined;
  return outermost(plan, inner.length > 1 ? [multipart('alternative', byRank(inner, plan.pieces))] : inner, around);
}

/** Plain first, then the page, then the invitation, whichever was added first (RFC 2046 §5.1.4: the richest last). */
function byRank(entities: readonly Entity[], pieces: readonly Piece[]): Entity[] {
  const order = ['text', 'html', 'calendar'] as const;
  const kinds = [...new Set(pieces.map((piece) => piece.kind))].filter((kind) => order.some((one) => one === kind));
  return order.flatMap((kind) => (kinds.includes(kind) ? [entities[kinds.indexOf(kind)]!] : []));
}

function outermost({ form, fields }: BuildPlan, inner: readonly Entity[], around: readonly Entity[]): Entity | undefined {
  const children = [...inner, ...around];
  const only = children[0];
  if (only === undefined) return undefined;
  const disposition = form.disposition ? parameterField('Content-Disposition', form.disposition.type, form.disposition.parameters) : '';
  const plain = around.length === 0 ? only : multipart('mixed', children);
  const root =
    form.multipart === undefined ? plain : { ...(plain.kind === 'multipart' ? plain : multipart('mixed', [plain])), media: form.multipart };
  const more = disposition + fields;
  if (more === '') return root;
  return root.kind === 'leaf' || root.kind === 'multipart'
    ? { ...root, fields: root.fields + more }
    : { ...multipart('mixed', [root]), fields: more };
}

function multipart(subtype: string, children: readonly Entity[], parameters: MediaType['parameters'] = []): Multipart {
  return { kind: 'multipart', media: { type: `multipart/${subtype}`, parameters }, fields: '', children };
}

/** Parts within parts. */
const MOST_NESTED = 30;
/** Messages up to this size are enclosed as such when they come from a file; larger ones are files like others. */
const LARGEST_ENCLOSED = 1024 * 1024;

class Builder {
  readonly #form: Form;
  readonly #job: BuildJob;
  /** The type that was asked for is that of the first text. */
  #textType: MediaType | undefined;

  constructor(form: Form, job: BuildJob) {
    this.#form = form;
    this.#job = job;
    this.#textType = form.textType;
  }

  piece(piece: Piece, first: boolean): Promise<Entity | undefined> {
    switch (piece.kind) {
      case 'text':
        return this.#text(piece.source, this.#typeOf('text/plain', first), piece.at);
      case 'html':
        return this.#page(piece.source, piece.images, this.#typeOf('text/html', first), piece.at);
      case 'calendar':
        return Promise.resolve(this.#calendar(piece.text, piece.method, piece.at));
      case 'attached':
        return this.#attached(piece.attached);
      case 'raw':
        return Promise.resolve({ kind: 'formatted', octets: piece.octets });
    }
  }

  #typeOf(type: string, first: boolean): MediaType {
    const asked = first ? this.#textType : undefined;
    if (asked) this.#textType = undefined;
    return asked ?? { type, parameters: [] };
  }

  async #text(source: TextSource, media: MediaType, at: string): Promise<Leaf | undefined> {
    const text = await this.#textOf(source, at);
    const { charset, transferEncoding, showCharset } = this.#form;
    return text === undefined ? undefined : this.#textLeaf(text, media, charset, transferEncoding, showCharset, at);
  }

  #textLeaf(
    text: string,
    media: MediaType,
    charset: Charset,
    asked: TransferEncoding | undefined,
    showCharset: boolean,
    at: string,
  ): Leaf | undefined {
    const written = withCrlf(text);
    const lost = charset.unencodable(written);
    if (lost.length > 0) return put(this.#job.issues, at, 'UNENCODABLE', `${charset.label} has no ${nameCharacters(lost)}`);
    const octets = charset.encode(written);
    const facts = factsOf(octets);
    const encoding = asked ?? (charset.hasLines ? suitableEncoding(facts, octets.length) : 'base64');
    const unfit = charset.hasLines || encoding === 'base64' ? unfitFor(encoding, facts) : `${charset.label} needs base64`;
    if (unfit !== undefined) return put(this.#job.issues, at, 'UNENCODABLE', `${encoding} cannot carry this: ${unfit}`);
    const parameters = showCharset ? [...media.parameters, ['charset', charset.label] as const] : media.parameters;
    return {
      kind: 'leaf',
      fields: `${parameterField('Content-Type', media.type, parameters)}Content-Transfer-Encoding: ${encoding}\r\n`,
      content: { kind: 'octets', octets: encodeAs(encoding, octets) },
    };
  }

  async #textOf(source: TextSource, at: string): Promise<string | undefined> {
    if (source.kind === 'text') return source.text;
    const { origin } = source;
    if (origin.kind !== 'file' || (await this.#examined(origin, at)) === undefined) return undefined;
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(origin.path));
    } catch {
      return put(this.#job.issues, at, 'UNREADABLE', 'the file cannot be read as UTF-8');
    }
  }

  async #page(
    source: TextSource,
    images: readonly (AttachedImage | AttachedPart)[],
    media: MediaType,
    at: string,
  ): Promise<Entity | undefined> {
    const page = await this.#textOf(source, at);
    if (page === undefined) return undefined;
    const { charset, transferEncoding, showCharset } = this.#form;
    const named = new Map<string, string>();
    for (const image of images) if (image.kind === 'file') for (const name of image.sources) named.set(name, `cid:${image.cid}`);
    const rewritten = images.length === 0 ? page : await this.#withSources(page, named);
    const leaf = this.#textLeaf(rewritten, media, charset, transferEncoding, showCharset, at);
    const parts: Entity[] = [];
    for (const image of images) {
      const entity =
        image.kind === 'part' ? await this.#part(image) : await this.#file(image, 'inline', wordsField('Content-ID', [`<${image.cid}>`]));
      if (entity) parts.push(entity);
    }
    if (leaf === undefined || images.length === 0) return leaf;
    return multipart('related', [leaf, ...parts], [['type', media.type]]);
  }

  /** What reads pages is loaded when there is one with images. */
  async #withSources(page: string, named: ReadonlyMap<string, string>): Promise<string> {
    const { withImageSources } = await import('./images.js');
    return withImageSources(page, (name) => named.get(name));
  }

  /** RFC 5545 §3.1.4: in UTF-8, whatever the rest is in. */
  #calendar(text: string, method: string | undefined, at: string): Leaf | undefined {
    const media: MediaType = { type: 'text/calendar', parameters: method === undefined ? [] : [['method', method]] };
    return this.#textLeaf(text, media, UTF_8, undefined, true, at);
  }

  #attached(attached: Attached): Promise<Entity | undefined> {
    return attached.kind === 'part' ? this.#part(attached) : this.#file(attached, 'attachment', '');
  }

  #part({ part, at }: AttachedPart): Promise<Entity | undefined> {
    if (this.#job.within.size > MOST_NESTED) return Promise.resolve(put(this.#job.issues, at, 'OUT_OF_RANGE', 'parts are nested too deep'));
    if (this.#job.within.has(part)) return Promise.resolve(put(this.#job.issues, at, 'CONFLICT', 'a part cannot contain itself'));
    return part[NESTED].entity(this.#job, at);
  }

  async #file(file: AttachedFile, disposition: string, fields: string): Promise<Entity | undefined> {
    const size = await this.#examined(file.origin, file.at);
    if (size === undefined && file.origin.kind === 'file') return undefined;
    const enclosed = file.media.type.startsWith('message/') ? await this.#asMessage(file, size) : undefined;
    if (enclosed === undefined && file.typed && file.media.type === 'message/rfc822')
      return put(this.#job.issues, file.at, 'UNENCODABLE', 'this cannot be sent as message/rfc822: lines too long, NULs, or too large');
    const isMessage = file.media.type.startsWith('message/') && enclosed === undefined;
    const media = isMessage ? OCTET_STREAM : file.media;
    const text = file.origin.kind === 'octets' && file.origin.text && media.type.startsWith('text/');
    const charset = text && !media.parameters.some(([name]) => name === 'charset') ? [['charset', 'utf-8'] as const] : [];
    const parameters = [...media.parameters.filter(([name]) => name !== 'name'), ...charset, ['name', file.name] as const];
    const encoding = enclosed === undefined ? 'base64' : factsOf(enclosed).eightBit ? '8bit' : '7bit';
    return {
      kind: 'leaf',
      fields: [
        parameterField('Content-Type', media.type, parameters),
        `Content-Transfer-Encoding: ${encoding}\r\n`,
        fields,
        parameterField('Content-Disposition', disposition, [['filename', file.name]]),
      ].join(''),
      content: enclosed === undefined ? { kind: 'base64', origin: file.origin, size } : { kind: 'octets', octets: enclosed },
    };
  }

  /** RFC 2046 §5.2.1 lets no encoding stand around a message: its octets, where it can go as it is. */
  async #asMessage({ origin }: AttachedFile, size: number | undefined): Promise<Buffer | undefined> {
    if (size === undefined || (origin.kind === 'file' && size > LARGEST_ENCLOSED) || origin.kind === 'stream') return undefined;
    const octets = origin.kind === 'file' ? await readFile(origin.path) : origin.octets;
    const lines = Buffer.from(withCrlf(octets.toString('latin1')), 'latin1');
    const facts = factsOf(lines);
    return unfitFor('8bit', facts) === undefined && /^[!-9;-~]+[ \t]*:/.test(lines.toString('latin1', 0, 200)) ? lines : undefined;
  }

  async #examined(origin: AttachedFile['origin'], at: string): Promise<number | undefined> {
    if (this.#job.afresh && origin.kind === 'file') delete origin.seen;
    return examine(origin, at, this.#job.issues);
  }
}
