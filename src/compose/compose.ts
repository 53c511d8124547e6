/**
 * Composing: options and pieces become a message, or a part of one.
 *
 * Promises
 *  - All that is wrong is told in one error, before anything is read; nothing is sent or stored here.
 *  - The same object gives the same octets however often it is asked: Message-ID, date and boundaries are drawn once. Files must not
 *    change meanwhile (`force` looks at them anew); a stream is used up by the first reading, and a second is `STREAM_CONSUMED`.
 *  - Bcc is in the envelope and nowhere else.
 *  - `stream` reads attachments as it goes; only texts are in memory. `data` keeps what it made, unless a stream is part of it.
 *
 * Must not: know queues, servers or merging. The world (now, randomness, the host's name) comes in from outside.
 */
import { Readable } from 'node:stream';
import { normalizeDomain } from '../core/address.js';
import type { Issue } from '../core/errors.js';
import {
  type Attached,
  type AttachedImage,
  type AttachedPart,
  checkContentIds,
  type Images,
  NESTED,
  type Nested,
  type NestedEntity,
  type NestedState,
  readAttachment,
} from './attachments.js';
import { type BuildJob, buildEntity } from './build.js';
import { errorOf, type Issues, isObject, onlyKnown, put } from './checks.js';
import { type Entity, EntityWriter } from './entity.js';
import { extraFields, messageFields } from './headers.js';
import { COMPOSE_OPTIONS, type ComposeOptions, type Demands, type Envelope, type Plan, readPlan } from './options.js';
import type { AttachmentData } from './origin.js';
import { type PartInput, type Piece, readHtmlPart, readPart, readTextPart, type TextInput } from './pieces.js';

export interface ComposeWorld {
  /** Epoch milliseconds. */
  now(): number;
  readonly random: { fill(bytes: Uint8Array): void };
  /** For Message-IDs. */
  readonly hostname: string;
}

export interface AttachmentInput {
  readonly data?: AttachmentData | undefined;
  /** Default: that of the file. */
  readonly name?: string | undefined;
  readonly path?: string | undefined;
  /** Media type. Default: by the name's extension. */
  readonly type?: string | undefined;
}

export interface HtmlInput extends TextInput {
  readonly images?: Images | undefined;
}

export interface DataOptions {
  /** With the header. Default: true. */
  readonly prefix?: boolean | undefined;
  /** Compose again, with files as they are now. */
  readonly force?: boolean | undefined;
}

export interface Composer {
  /** Throws `MtaError` with an issue for each option that is wrong. */
  compose(options: ComposeOptions): Compose;
  /**
   * For callers with options of their own: puts issues instead of throwing; if there are any, what it returns is good for nothing but
   * `examine`. Does not look for unknown names: `COMPOSE_OPTIONS` are the known ones.
   */
  read(options: Readonly<Record<string, unknown>>, demands: Demands, issues: Issue[]): Compose;
}

export function createComposer(world: ComposeWorld): Composer {
  const host = normalizeDomain(world.hostname) ?? 'localhost';
  const draw = createDraw(world.random);
  const newMessageId = () => `<${draw(16)}@${host}>`;
  const read: Composer['read'] = (options, demands, issues) =>
    new Compose(readPlan(options, { now: world.now(), newMessageId }, demands, issues), draw(12));
  return {
    read,
    compose(options) {
      const issues: Issues = [];
      if (!isObject(options)) {
        put(issues, 'options', 'WRONG_TYPE', 'must be an object');
        throw errorOf(issues);
      }
      onlyKnown(options, COMPOSE_OPTIONS, '', issues);
      const composed = read(options, {}, issues);
      if (issues.length > 0) throw errorOf(issues);
      return composed;
    },
  };
}

/** Randomness is drawn for this many octets at once: one call into the system costs more than composing a header. */
const DRAWN = 1024;

/** So many random octets, in hexadecimal. */
function createDraw(random: ComposeWorld['random']): (octets: number) => string {
  const pool = Buffer.alloc(DRAWN);
  let used = DRAWN;
  return (octets) => {
    if (used + octets > DRAWN) {
      random.fill(pool);
      used = 0;
    }
    used += octets;
    return pool.toString('hex', used - octets, used);
  };
}

/** A message or a part under construction. Made by `compose`. */
export class Compose implements Nested {
  readonly [NESTED]: NestedEntity;
  readonly #plan: Plan;
  readonly #seed: string;
  readonly #pieces: Piece[];
  #additions = 0;
  /** What `data` made, of which version. */
  #made: { readonly version: number; readonly octets: Promise<Composed> } | undefined;

  /** `seed`: 24 random letters and digits, for boundaries. */
  constructor(plan: Plan, seed: string) {
    this.#plan = plan;
    this.#seed = seed;
    this.#pieces = [...plan.pieces];
    this[NESTED] = {
      entity: (job, at) => this.#asPart(job, at),
      state: (seen) => this.#state(seen),
      chance: (seen) => this.#chance(seen),
      chunks: () => this.#chunks(true, false),
    };
  }

  /** Always in base64; the type follows from the name unless it is given. */
  addAttachment(attachment: AttachmentInput): this {
    return this.#add((issues) => {
      const { type, ...rest } = isObject(attachment) ? attachment : {};
      if (!isObject(attachment)) return put(issues, 'attachment', 'WRONG_TYPE', 'must be an object with data or path');
      const attached = readAttachment(type === undefined ? rest : { ...rest, contentType: type }, 'attachment', issues);
      return attached && { kind: 'attached', attached };
    });
  }

  /** The page, or a further one if there is one already. */
  addHTMLPart(part: HtmlInput): this {
    return this.#add((issues) => readHtmlPart(part, 'html', issues));
  }

  /** The text, or a further one if there is one already. */
  addTextPart(part: TextInput): this {
    return this.#add((issues) => readTextPart(part, 'text', issues));
  }

  /** Taken as MIME that is formatted already: header fields, an empty line, a body. Nothing is encoded. */
  addPart(part: { readonly data: PartInput }): this {
    return this.#add((issues) => readPart(part, 'part', issues));
  }

  /** The whole in memory. Do not write to it: it is what the next call returns. */
  async data(options: DataOptions = {}): Promise<Buffer> {
    const { prefix = true, force = false } = options;
    const { version, streamed } = this.#state(new Set());
    let made = this.#made;
    if (made === undefined || made.version !== version || force || streamed) {
      made = { version, octets: this.#compose(force) };
      this.#made = streamed ? undefined : made;
      made.octets.catch(() => {
        if (this.#made === made) this.#made = undefined;
      });
    }
    const { octets, headerSize } = await made.octets;
    return prefix ? octets : octets.subarray(headerSize);
  }

  /** The same octets as they are read and encoded. What is wrong with the content is an `error` of the stream. */
  stream(options: { readonly prefix?: boolean | undefined } = {}): Readable {
    return Readable.from(this.#chunks(options.prefix ?? true, false), { objectMode: false, highWaterMark: 64 * 1024 });
  }

  /** The message without To and Cc, as `prepareTemplate` wants it: each recipient is given a To of their own. */
  template(): Readable {
    return Readable.from(this.#chunks(true, true), { objectMode: false, highWaterMark: 64 * 1024 });
  }

  /** Octets of the whole; undefined if a stream is part of it. Rejects with what is wrong with the content. */
  async size(): Promise<number | undefined> {
    return (await this.#writer(false, false)).size();
  }

  /** Puts what is wrong with the content, as far as that shows before a stream is begun. */
  async examine(issues: Issues): Promise<void> {
    await buildEntity(this.#buildPlan(), { issues, afresh: false, within: new Set([this]) });
  }

  /** Address of the author: the first in From. `''` for a part. */
  from(): string {
    return this.#plan.header?.from[0]?.address ?? '';
  }

  /** Addresses of To, Cc and Bcc (or of `envelope`), each once. */
  recipients(): string[] {
    return [...this.#plan.envelope.to];
  }

  /** Sender and recipients as SMTP is told them. */
  envelope(): Envelope {
    return this.#plan.envelope;
  }

  /** With its brackets; `''` for a part. */
  get messageId(): string {
    return this.#plan.header?.messageId ?? '';
  }

  /** As its Date field says, epoch milliseconds; 0 for a part. */
  get date(): number {
    return this.#plan.header?.date ?? 0;
  }

  /** Epoch milliseconds before which it was asked not to be sent; 0 where nothing was said. */
  get notBefore(): number {
    return this.#plan.header?.notBefore ?? 0;
  }

  /** Of those in To and Cc who have one: from address to name. */
  names(): ReadonlyMap<string, string> {
    const { to = [], cc = [] } = this.#plan.header ?? {};
    return new Map([...cc, ...to].filter(({ name }) => name !== '').map(({ address, name }) => [address, name]));
  }

  #add(read: (issues: Issues) => Piece | undefined): this {
    const issues: Issues = [];
    if (this.#plan.simpleForm) put(issues, 'simpleForm', 'CONFLICT', 'the message was asked to be a header without content');
    const piece = read(issues);
    if (piece?.kind === 'html') checkContentIds([...this.#pieces, piece].flatMap(imagesOf), issues);
    if (piece === undefined || issues.length > 0) throw errorOf(issues);
    this.#pieces.push(piece);
    this.#additions++;
    return this;
  }

  async #compose(afresh: boolean): Promise<Composed> {
    const writer = await this.#writer(afresh, false);
    const header = writer.header();
    const chunks = [header];
    for await (const chunk of writer.body()) chunks.push(chunk);
    return { octets: Buffer.concat(chunks), headerSize: header.length };
  }

  async *#chunks(prefix: boolean, open: boolean): AsyncGenerator<Buffer> {
    const writer = await this.#writer(false, open);
    if (prefix) yield writer.header();
    yield* writer.body();
  }

  async #writer(afresh: boolean, open: boolean): Promise<EntityWriter> {
    const job: BuildJob = { issues: [], afresh, within: new Set([this]) };
    const { header, extra, simpleForm } = this.#plan;
    const entity = await buildEntity(this.#buildPlan(), job);
    if (entity === undefined && !simpleForm && job.issues.length === 0) put(job.issues, 'body', 'MISSING_FIELD', 'there is no content');
    if (job.issues.length > 0) throw errorOf(job.issues);
    const fields = header === undefined ? '' : messageFields(header, open) + extraFields(extra) + (entity ? MIME_VERSION : '');
    return new EntityWriter({ header: fields, entity }, this.#seed);
  }

  /** As it stands in another one: a part as it is, a message enclosed. */
  async #asPart(outer: BuildJob, at: string): Promise<Entity | undefined> {
    const issues: Issues = [];
    const { header, extra, simpleForm } = this.#plan;
    const child = await buildEntity(this.#buildPlan(), { issues, afresh: outer.afresh, within: new Set([...outer.within, this]) });
    if (child === undefined && !simpleForm && issues.length === 0) put(issues, 'body', 'MISSING_FIELD', 'there is no content');
    for (const issue of issues) outer.issues.push({ ...issue, path: `${at}.${issue.path}` });
    if (header === undefined || issues.length > 0) return child;
    return { kind: 'enclosed', header: messageFields(header, false) + extraFields(extra) + (child ? MIME_VERSION : ''), child };
  }

  #buildPlan() {
    const { header, extra, form } = this.#plan;
    return { form, pieces: this.#pieces, fields: header === undefined ? extraFields(extra) : '' };
  }

  #chance(seen: Set<Nested>): readonly string[] {
    if (seen.has(this)) return [];
    seen.add(this);
    const within = this.#pieces.flatMap(filesOf).flatMap((file) => (file.kind === 'part' ? file.part[NESTED].chance(seen) : []));
    return [this.#seed, ...(this.#plan.header?.chance ?? []), ...within];
  }

  /** Of all that this is made of; what was seen before is passed over. */
  #state(seen: Set<Nested>): NestedState {
    if (seen.has(this)) return { version: 0, streamed: false };
    seen.add(this);
    let version = this.#additions;
    let streamed = false;
    for (const file of this.#pieces.flatMap(filesOf)) {
      const state = file.kind === 'part' ? file.part[NESTED].state(seen) : { version: 0, streamed: file.origin.kind === 'stream' };
      version += state.version;
      streamed ||= state.streamed;
    }
    return { version, streamed };
  }
}

/** The words of a message that were drawn for it: another one with the same content has others, of the same length, in their place. */
export function chanceOf(composed: Compose): readonly string[] {
  return composed[NESTED].chance(new Set());
}

/** What `stream` gives, without what a stream costs. */
export function chunksOf(composed: Compose): AsyncGenerator<Buffer> {
  return composed[NESTED].chunks();
}

interface Composed {
  readonly octets: Buffer;
  readonly headerSize: number;
}

const MIME_VERSION = 'MIME-Version: 1.0\r\n';

function imagesOf(piece: Piece): readonly (AttachedImage | AttachedPart)[] {
  return piece.kind === 'html' ? piece.images : [];
}

function filesOf(piece: Piece): readonly Attached[] {
  return piece.kind === 'attached' ? [piece.attached] : imagesOf(piece);
}
