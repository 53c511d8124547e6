/** The header of a message on its way in: read ahead for the addresses in it, and passed on with the rest as it was. */
import { type AddressObject, type EmailAddress, simpleParser } from 'mailparser';
import { CliError, EXIT } from './exit.js';

/** A header larger than this is no header: the rest of a message without one would be read into memory looking for its end. */
const MAX_HEADER = 1024 * 1024;

export interface SplitMessage {
  /** Up to the empty line; all that was read where there is none. */
  readonly header: Buffer;
  /** The whole message, header included. To be read once. */
  readonly content: AsyncIterable<Buffer>;
}

export async function splitHeader(input: AsyncIterable<Buffer | string>): Promise<SplitMessage> {
  const chunks: Buffer[] = [];
  const rest = bytes(input);
  let size = 0;
  let end = -1;
  while (end < 0 && size <= MAX_HEADER) {
    const { done, value } = await rest.next();
    if (done) break;
    chunks.push(value);
    size += value.length;
    end = headerEnd(chunks);
  }
  const read = Buffer.concat(chunks);
  return { header: end < 0 ? read : read.subarray(0, end), content: whole(read, rest) };
}

/** Where the empty line begins, or -1. Joins the chunks, which are few: a header comes in one or two. */
function headerEnd(chunks: Buffer[]): number {
  const joined = Buffer.concat(chunks);
  chunks.splice(0, chunks.length, joined);
  const lf = joined.indexOf('\n\n');
  const crlf = joined.indexOf('\n\r\n');
  return lf < 0 ? crlf : crlf < 0 ? lf : Math.min(lf, crlf);
}

async function* whole(read: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  if (read.length > 0) yield read;
  yield* rest;
}

async function* bytes(input: AsyncIterable<Buffer | string>): AsyncGenerator<Buffer> {
  for await (const chunk of input) yield Buffer.from(chunk);
}

export interface HeaderAddresses {
  /** Of From; where there are several, of Sender (RFC 5322 §3.6.2). */
  readonly from?: string;
  /** Of To, Cc and Bcc, groups laid open. */
  readonly to: readonly string[];
}

export async function readAddresses(header: Buffer): Promise<HeaderAddresses> {
  if (header.length > MAX_HEADER) throw new CliError(EXIT.data, 'the header does not end: is this a message?');
  const parsed = await simpleParser(Buffer.concat([header, Buffer.from('\r\n\r\n')]), {
    skipHtmlToText: true,
    skipTextToHtml: true,
    skipImageLinks: true,
  });
  const sender = parsed.headers.get('sender');
  const authors = addresses(parsed.from);
  const named = authors.length > 1 && isAddresses(sender) ? addresses(sender) : authors;
  return { ...(named[0] === undefined ? {} : { from: named[0] }), to: [parsed.to, parsed.cc, parsed.bcc].flatMap(addresses) };
}

/** The addresses of a list as programs write it; a name without a domain is one of `host`. Anything else without an address is passed over. */
export async function readAddressList(list: string, host: string): Promise<readonly string[]> {
  if (list.length > MAX_HEADER) throw new CliError(EXIT.data, 'the list of addresses is too long');
  const field = Buffer.from(`To: ${list.replace(/\r?\n(?=[ \t])/g, '').replace(/[\r\n\0]/g, ' ')}\r\n\r\n`);
  const { to } = await simpleParser(field, { skipHtmlToText: true, skipTextToHtml: true, skipImageLinks: true });
  const qualified = ({ address, name, group }: EmailAddress): string[] => {
    if (group !== undefined) return group.flatMap(qualified);
    const word = address || (LOCAL_NAME.test(name) ? name : '');
    return word === '' ? [] : [word.includes('@') ? word : `${word}@${host}`];
  };
  return [to ?? []].flat().flatMap((each: AddressObject) => each.value.flatMap(qualified));
}

/** RFC 5322 §3.2.3, dot-atom: `root`, `www-data`. */
const LOCAL_NAME = /^[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*$/;

/** The Subject of a whole message as it stands there, unfolded, for one line about it. Encoded words are left encoded. */
export function readSubject(message: Buffer): string {
  const end = message.indexOf('\r\n\r\n');
  const header = message.toString('utf8', 0, Math.min(end < 0 ? message.length : end, MAX_HEADER));
  return (/^subject:(.*(?:\r?\n[ \t].*)*)/im.exec(header)?.[1] ?? '').replace(/\r?\n/g, '').trim();
}

function isAddresses(value: unknown): value is AddressObject {
  return typeof value === 'object' && value !== null && 'value' in value && Array.isArray(value.value);
}

function addresses(field: AddressObject | readonly AddressObject[] | undefined): string[] {
  if (field === undefined) return [];
  return [field].flat().flatMap((each: AddressObject) => each.value.flatMap(flat));
}

function flat({ address, group }: EmailAddress): string[] {
  if (group !== undefined) return group.flatMap(flat);
  return address ? [address] : [];
}
