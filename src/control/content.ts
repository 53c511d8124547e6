/**
 * A message's content made readable: header fields, and its MIME structure as a tree. For looking at mail, in the
 * process that looks: nothing of a message's inside is parsed where mail is accepted or sent.
 *
 * Promises: memory does not grow with the message; what cannot be parsed is told, never thrown; nothing is altered.
 */
import { type AttachmentStream, MailParser, type MessageText } from 'mailparser';
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
  const parser = new MailParser({
    keepDeliveryStatus: true,
    skipHtmlToText: true,
    skipTextToHtml: true,
    skipTextLinks: true,
    skipImageLinks: true,
  });
  let headers: readonly HeaderField[] = [];
  const sizes: AttachmentStream[] = [];
  parser.on('headerLines', (lines) => {
    headers = lines.map(({ line }) => field(line));
  });
  parser.on('data', (part: AttachmentStream | MessageText) => {
    if (part.type !== 'attachment') return;
    sizes.push(part);
    part.content.on('error', () => {});
    part.content.on('end', () => part.release());
    part.content.on('data', () => {});
  });
  let incomplete: string | undefined;
  const parsed = new Promise<void>((resolve) => {
    parser.on('end', resolve);
    parser.on('error', (error: Error) => {
      incomplete ??= `it cannot be parsed: ${error.message}`;
      resolve();
    });
  });
  if (await feed(parser, raw)) incomplete = `only the first ${MAX_PARSED / 1024 / 1024} MiB were looked at`;
  await parsed;
  const root = (parser as unknown as { readonly tree: ParsedNode | false }).tree;
  const attached = sizes[Symbol.iterator]();
  return {
    headers,
    ...(root ? { structure: partView(root, '', attached) } : {}),
    ...(incomplete === undefined ? {} : { incomplete }),
  };
}

/** Resolves with whether something was left out. */
async function feed(parser: MailParser, raw: RawMessage): Promise<boolean> {
  let left = MAX_PARSED;
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
