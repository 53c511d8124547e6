/**
 * A message's content made readable: header fields, its MIME structure as a tree, its text, its parts. For somebody who
 * looks at mail: nothing of a message's inside is parsed where mail is accepted or sent.
 *
 * Promises: memory does not grow with the message beyond what is looked at of it; what cannot be parsed is told, never thrown; nothing is altered.
 */
import type { Readable } from 'node:stream';
import type { AttachmentStream, MailParser, MessageText } from 'mailparser';
import type { RawMessage } from './types.js';

export interface HeaderField {
  readonly name: string;
  /** Unfolded, encoded words as they stand. */
  readonly value: string;
}

export interface PartView {
  /** `1.2`: the place in the tree, as IMAP counts; `''` for the message itself. */
  readonly path: string;
  readonly type: string;
  readonly charset?: string;
  /** Content-Transfer-Encoding, where one is given. */
  readonly encoding?: string;
  readonly disposition?: string;
  readonly filename?: string;
  readonly parts: readonly PartView[];
  /** Octets once decoded; absent for what only holds other parts. */
  readonly sizeBytes?: number;
}

export interface ContentView {
  readonly headers: readonly HeaderField[];
  readonly structure?: PartView;
  /** Why the structure is not complete: too large, or not to be parsed. */
  readonly incomplete?: string;
}

/** Content looked at for its structure; the rest is told to be left out. */
const MAX_PARSED = 64 * 1024 * 1024;

/** What mailparser keeps of a part: its own tree, which it does not document. `content.test.ts` holds it to this. */
interface ParsedNode {
  readonly contentType?: string | false;
  readonly charset?: string;
  readonly isAttachment?: boolean;
  readonly textContent?: string;
  readonly headers: ReadonlyMap<string, unknown>;
  readonly node: { readonly filename?: string | false; readonly disposition?: string | false; readonly messageNode?: boolean | object };
  readonly children: readonly ParsedNode[];
}

export async function readContent(raw: RawMessage): Promise<ContentView> {
  return viewOf(await parse(raw, MAX_PARSED));
}

/** What somebody who looks at a message wants to see first. */
export interface ContentLook extends ContentView {
  /** Decoded; absent where there is none. */
  readonly subject?: string;
  /** The first part that is plain text to be read; `cut` where it goes on. */
  readonly text?: { readonly path: string; readonly content: string; readonly cut: boolean };
  /** Path of the first part that is HTML to be read. */
  readonly html?: string;
}

/** Looked at within the agent, so less of it: what people read stands in the beginning. */
const MAX_LOOKED_AT = 16 * 1024 * 1024;
const MAX_TEXT = 256 * 1024;
const MAX_PAGE = 2 * 1024 * 1024;

export async function lookInto(raw: RawMessage): Promise<ContentLook> {
  const parsed = await parse(raw, MAX_LOOKED_AT);
  const leaves = parsed.root ? [...leavesOf(parsed.root)] : [];
  const text = leaves.find(({ node }) => node.contentType === 'text/plain' && isRead(node));
  const html = leaves.find(({ node }) => node.contentType === 'text/html' && isRead(node));
  const content = text?.node.textContent ?? '';
  return {
    ...viewOf(parsed),
    ...(parsed.subject === undefined ? {} : { subject: parsed.subject }),
    ...(text === undefined ? {} : { text: { path: text.path, content: content.slice(0, MAX_TEXT), cut: content.length > MAX_TEXT } }),
    ...(html === undefined ? {} : { html: html.path }),
  };
}

/**
 * Elements that lead somewhere or open something. A browser connects to where a frame leads before it asks its policy whether it may
 * (Chromium 156 does), and to where a link leads when it is pressed: that alone would tell a sender that the mail is looked at. With
 * another name they are elements that nobody knows. A tag's name follows its `<` at once (HTML §13.2.5.6), so this finds them all.
 */
const LEADING = /<(\/?)(a|area|base|embed|fencedframe|form|frame|frameset|iframe|object|portal)(?=[\t\n\f\r />])/gi;

/**
 * The first HTML part as it stands, but that images of the message itself are put in place of their `cid:`, and that nothing in it leads
 * anywhere. It is hostile all the same: whoever shows it must let it run nothing and load nothing. Undefined where there is none.
 */
export async function readPage(raw: RawMessage): Promise<string | undefined> {
  const images = new Images();
  const { root } = await parse(raw, MAX_LOOKED_AT, (part) => images.take(part));
  const html = root && [...leavesOf(root)].find(({ node }) => node.contentType === 'text/html' && isRead(node));
  return html && images.place((html.node.textContent ?? '').slice(0, MAX_PAGE).replace(LEADING, '<$1mail-$2'));
}

export interface PartContent {
  readonly filename: string;
  readonly chunks: AsyncIterable<Buffer>;
}

/**
 * One part, decoded; text comes as UTF-8. `open` is called twice: to find it, and to read it. Undefined where there is no such part, or it
 * only holds others.
 */
export async function readPart(open: () => Promise<RawMessage>, path: string): Promise<PartContent | undefined> {
  const { root } = await parse(await open(), MAX_PARSED);
  const leaves = root ? [...leavesOf(root)] : [];
  const found = leaves.find((leaf) => leaf.path === path);
  if (found === undefined) return undefined;
  const { node } = found;
  const filename = node.node.filename || `part-${path || '0'}${node.isAttachment ? '' : '.txt'}`;
  if (!node.isAttachment) return { filename, chunks: once(Buffer.from(node.textContent ?? '')) };
  const nth = leaves.filter((leaf) => leaf.node.isAttachment).indexOf(found);
  return { filename, chunks: attachment(await open(), nth) };
}

interface Parsed {
  readonly headers: readonly HeaderField[];
  readonly subject: string | undefined;
  readonly root: ParsedNode | undefined;
  /** In the order in which they stand, their sizes known. */
  readonly attachments: readonly AttachmentStream[];
  readonly incomplete?: string;
}

/** mailparser is 20 MB of memory, and loaded when somebody looks at mail for the first time. */
async function newParser(): Promise<MailParser> {
  const { MailParser } = await import('mailparser');
  return new MailParser({
    keepDeliveryStatus: true,
    skipHtmlToText: true,
    skipTextToHtml: true,
    skipTextLinks: true,
    skipImageLinks: true,
  });
}

/** `most` octets are looked at; `onAttachment` may read what it is given, and what it does not is passed over. */
async function parse(raw: RawMessage, most: number, onAttachment?: (part: AttachmentStream) => void): Promise<Parsed> {
  const parser = await newParser();
  let headers: readonly HeaderField[] = [];
  let subject: string | undefined;
  const attachments: AttachmentStream[] = [];
  parser.on('headers', (fields) => {
    const given: unknown = fields.get('subject');
    if (typeof given === 'string') subject = given;
  });
  parser.on('headerLines', (lines) => {
    headers = lines.map(({ line }) => field(line));
  });
  parser.on('data', (part: AttachmentStream | MessageText) => {
    if (part.type !== 'attachment') return;
    attachments.push(part);
    onAttachment?.(part);
    passOver(part);
  });
  let incomplete: string | undefined;
  const parsed = new Promise<void>((resolve) => {
    parser.on('end', resolve);
    parser.on('error', (error: Error) => {
      incomplete ??= `it cannot be parsed: ${error.message}`;
      resolve();
    });
  });
  if (await feed(parser, raw, most)) incomplete = `only the first ${most / 1024 / 1024} MiB were looked at`;
  await parsed;
  const root = (parser as unknown as { readonly tree: ParsedNode | false }).tree;
  return { headers, subject, root: root || undefined, attachments, ...(incomplete === undefined ? {} : { incomplete }) };
}

function passOver(part: AttachmentStream): void {
  part.content.on('error', () => {});
  part.content.on('end', () => part.release());
  part.content.on('data', () => {});
}

function viewOf({ headers, root, attachments, incomplete }: Parsed): ContentView {
  return {
    headers,
    ...(root ? { structure: partView(root, '', attachments[Symbol.iterator]()) } : {}),
    ...(incomplete === undefined ? {} : { incomplete }),
  };
}

/** Parts that hold no others, in order, with the paths that `partView` gives them. */
function* leavesOf(node: ParsedNode, path = ''): Generator<{ readonly node: ParsedNode; readonly path: string }> {
  if (node.children.length === 0 && !node.node.messageNode) yield { node, path };
  for (const [i, child] of node.children.entries()) yield* leavesOf(child, path === '' ? String(i + 1) : `${path}.${i + 1}`);
}

/** Text that a mail reader shows, not one that it offers to save. */
function isRead(node: ParsedNode): boolean {
  return !node.isAttachment && node.textContent !== undefined;
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

async function* attachment(raw: RawMessage, nth: number): AsyncGenerator<Buffer> {
  const parser = await newParser();
  let failure: unknown;
  let seen = 0;
  const found = new Promise<AttachmentStream | undefined>((resolve) => {
    parser.on('data', (part: AttachmentStream | MessageText) => {
      if (part.type !== 'attachment') return;
      if (seen++ === nth) resolve(part);
      else passOver(part);
    });
    for (const event of ['end', 'error', 'close']) parser.on(event, () => resolve(undefined));
  });
  const fed = feed(parser, raw, MAX_PARSED).catch((error: unknown) => {
    failure = error;
    parser.destroy();
  });
  try {
    const part = await found;
    if (part === undefined) throw failure ?? new Error('the part is not there any more');
    part.content.on('end', () => part.release());
    for await (const chunk of part.content as Readable) yield chunk as Buffer;
  } finally {
    parser.destroy();
    await fed;
  }
}

/** Images of a message, small ones, by what its pages call them. */
class Images {
  static readonly #TYPES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);
  static readonly #MOST = 4 * 1024 * 1024;
  readonly #byId = new Map<string, { readonly type: string; readonly chunks: Buffer[] }>();
  #size = 0;

  take(part: AttachmentStream): void {
    const id = part.cid;
    if (id === undefined || id === '' || !Images.#TYPES.has(part.contentType) || this.#byId.has(id)) return;
    const chunks: Buffer[] = [];
    this.#byId.set(id, { type: part.contentType, chunks });
    part.content.on('data', (chunk: Buffer) => {
      this.#size += chunk.length;
      if (this.#size <= Images.#MOST) chunks.push(chunk);
      else this.#byId.delete(id);
    });
  }

  place(html: string): string {
    let placed = html;
    for (const [id, { type, chunks }] of this.#byId) {
      placed = placed.replaceAll(`cid:${id}`, () => `data:${type};base64,${Buffer.concat(chunks).toString('base64')}`);
    }
    return placed;
  }
}

/** Resolves with whether something was left out. */
async function feed(parser: MailParser, raw: RawMessage, most: number): Promise<boolean> {
  let left = most;
  let cut = false;
  for await (const chunk of raw.chunks) {
    if (chunk.length > left) cut = true;
    const some = chunk.subarray(0, left);
    left -= some.length;
    if (some.length > 0 && !parser.destroyed && !parser.write(some)) await room(parser);
    if (cut || parser.destroyed) break;
  }
  parser.end();
  return cut;
}

function room(parser: MailParser): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      for (const event of ['drain', 'error', 'close']) parser.removeListener(event, go);
      resolve();
    };
    for (const event of ['drain', 'error', 'close']) parser.once(event, go);
  });
}

function field(line: string): HeaderField {
  // mailparser gives the octets of a line as Latin-1.
  const text = Buffer.from(line, 'latin1').toString();
  const colon = text.indexOf(':');
  return {
    name: text.slice(0, Math.max(colon, 0)).trim(),
    value: text
      .slice(colon + 1)
      .replace(/\r?\n[ \t]*/g, ' ')
      .trim(),
  };
}

function partView(part: ParsedNode, path: string, attached: Iterator<AttachmentStream>): PartView {
  const { node } = part;
  const holder = part.children.length > 0 || node.messageNode;
  const sizeBytes = holder ? undefined : part.isAttachment ? attached.next().value?.size : Buffer.byteLength(part.textContent ?? '');
  const encoding = part.headers.get('content-transfer-encoding');
  const within = part.children.map((child, i) => partView(child, path === '' ? String(i + 1) : `${path}.${i + 1}`, attached));
  return {
    path,
    type: part.contentType || 'text/plain',
    ...(part.charset ? { charset: part.charset } : {}),
    ...(typeof encoding === 'string' ? { encoding: encoding.toLowerCase() } : {}),
    ...(node.disposition ? { disposition: node.disposition } : {}),
    ...(node.filename ? { filename: node.filename } : {}),
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
    parts: within,
  };
}
