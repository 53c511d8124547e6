/**
 * A spool as one file, or one stream: what `riata spool export` writes and `import` reads, on any machine (`docs/moving.md`).
 *
 *   RIATA-SPOOL 1
 *   <checksum> <JSON>            a piece (`moving.ts`), one a line
 *   <checksum> {"content":N}     and behind it N octets and a line feed
 *   <checksum> {"end":{…}}       how many of each there were
 *
 * The checksum, eight hexadecimal digits, is the CRC-32 of the line's JSON and its octets, going on from the checksum of the line
 * before: a line that is missing, doubled, or in another place shows, and so does an end that is missing.
 *
 * Promises: what is read is what was written, or an error with `SPOOL_DAMAGED` at the first line that is not; memory is bounded.
 */
import { crc32 } from '../core/checksum.js';
import { MtaError } from '../core/errors.js';
import type { LaneKey } from '../core/lane.js';
import { PRIORITIES } from '../core/message.js';
import { countPiece, type MovedCounts, type MovedDelivery, type MovedKey, noneMoved, type PastDelivery, type Piece } from './moving.js';
import type { Pause } from './spool.js';

/** Raised only by what a reader of the number before could not make sense of. */
export const ARCHIVE_FORMAT = 1;
const MAGIC = 'RIATA-SPOOL ';
const MIB = 1024 * 1024;
/** Content is cut into pieces of this. */
const CONTENT_BYTES = 256 * 1024;
/** A line with one delivery is far below this. */
const LONGEST_LINE = 64 * MIB;
/** Lines are gathered up to about this before they are handed on. */
const GATHERED = 64 * 1024;

// — writing —

/** The octets of the archive. */
export async function* writeArchive(pieces: AsyncIterable<Piece>): AsyncGenerator<Buffer> {
  let seed = 0;
  let gathered: Buffer[] = [Buffer.from(`${MAGIC}${ARCHIVE_FORMAT}\n`)];
  let size = 0;
  const add = (value: object, octets?: Buffer) => {
    const json = Buffer.from(JSON.stringify(value));
    seed = crc32(json, seed);
    if (octets) seed = crc32(octets, seed);
    gathered.push(Buffer.from(`${seed.toString(16).padStart(8, '0')} `), json, NEWLINE);
    if (octets) gathered.push(octets, NEWLINE);
    size += json.length + (octets?.length ?? 0);
  };
  const counts = noneMoved();
  for await (const piece of pieces) {
    countPiece(counts, piece);
    if (piece.kind === 'content')
      for (let at = 0; at < piece.bytes.length; at += CONTENT_BYTES) {
        const octets = piece.bytes.subarray(at, at + CONTENT_BYTES);
        add({ content: octets.length }, octets);
      }
    else add(lineOf(piece));
    if (size < GATHERED) continue;
    yield Buffer.concat(gathered);
    gathered = [];
    size = 0;
  }
  add({ end: counts });
  yield Buffer.concat(gathered);
}

const NEWLINE = Buffer.from('\n');

function lineOf(piece: Exclude<Piece, { kind: 'content' }>): object {
  switch (piece.kind) {
    case 'message':
      return { message: piece.message };
    case 'delivery':
      return { delivery: piece.delivery };
    case 'pause':
      return { pause: { lane: piece.lane, ...piece.pause } };
    case 'server':
      return { server: { lane: piece.lane, about: piece.about } };
    case 'key':
      return { key: piece.key };
    case 'tally':
      return { tally: { id: piece.id, ends: piece.ends } };
    case 'past':
      return { past: piece.delivery, message: piece.message };
    default:
      return { [piece.kind]: true };
  }
}

// — reading —

/** Throws `SPOOL_DAMAGED` where it is not what was written, `SPOOL_VERSION` where a newer release wrote it. */
export async function* readArchive(octets: AsyncIterable<Buffer>): AsyncGenerator<Piece> {
  const input = new Input(octets);
  try {
    yield* readPieces(input);
  } finally {
    await input.close();
  }
}

async function* readPieces(input: Input): AsyncGenerator<Piece> {
  checkMagic(await input.line());
  const counts = noneMoved();
  let seed = 0;
  for (let number = 2; ; number++) {
    const text = await input.line();
    if (text === undefined) throw damaged(`it ends early, in line ${number}`);
    const json = text.subarray(9);
    seed = crc32(json, seed);
    const line = parse(json, number);
    const bytes = line.content === undefined ? undefined : await input.octets(line.content, number);
    if (bytes) seed = crc32(bytes, seed);
    if (text[8] !== 0x20 || text.toString('latin1', 0, 8) !== seed.toString(16).padStart(8, '0'))
      throw damaged(`line ${number} does not match its checksum`);
    if (line.end !== undefined) return checkEnd(line.end, counts);
    const piece: Piece = bytes ? { kind: 'content', bytes } : pieceOf(line, number);
    countPiece(counts, piece);
    yield piece;
  }
}

interface Line {
  readonly content?: number;
  readonly end?: MovedCounts;
  readonly message?: Extract<Piece, { kind: 'message' }>['message'];
  readonly delivery?: MovedDelivery;
  readonly past?: PastDelivery;
  readonly pause?: Pause & { readonly lane: LaneKey };
  readonly server?: Omit<Extract<Piece, { kind: 'server' }>, 'kind'>;
  readonly key?: MovedKey;
  readonly tally?: Omit<Extract<Piece, { kind: 'tally' }>, 'kind'>;
  readonly whole?: true;
  readonly void?: true;
}

function checkMagic(line: Buffer | undefined): void {
  const text = line?.toString('latin1', 0, 40) ?? '';
  const format = text.startsWith(MAGIC) ? Number(text.slice(MAGIC.length)) : Number.NaN;
  if (!Number.isInteger(format) || format < 1) throw damaged(`it does not begin with "${MAGIC}${ARCHIVE_FORMAT}"`);
  if (format > ARCHIVE_FORMAT)
    throw new MtaError('SPOOL_VERSION', `the archive has format ${format}, and this release reads up to ${ARCHIVE_FORMAT}`);
}

function parse(json: Buffer, number: number): Line {
  try {
    const line = JSON.parse(json.toString()) as Line | null;
    const { content } = line as Line;
    if (content === undefined || (Number.isInteger(content) && content > 0 && content <= CONTENT_BYTES)) return line as Line;
  } catch {
    // Told below.
  }
  throw damaged(`line ${number} cannot be read`);
}

/** The checksum has told that it is what was written; that we wrote it is checked as far as keys and order of the store depend on it. */
function pieceOf({ message, delivery, past, pause, server, key, tally, whole, void: nothing }: Line, number: number): Piece {
  if (message !== undefined && !(isId(message.id) && PRIORITIES.includes(message.priority)))
    throw damaged(`line ${number} has no message that could be`);
  const one = delivery ?? past;
  if (one !== undefined && !isDelivery(one)) throw damaged(`line ${number} has no delivery that could be`);
  if (past !== undefined && message !== undefined && Number.isFinite(past.at)) return { kind: 'past', message, delivery: past };
  if (message !== undefined) return { kind: 'message', message };
  if (delivery !== undefined && Number.isFinite(delivery.due) && Number.isInteger(delivery.version)) return { kind: 'delivery', delivery };
  if (pause !== undefined && isLane(pause.lane)) return { kind: 'pause', lane: pause.lane, pause: { at: pause.at, reason: pause.reason } };
  if (server !== undefined && isLane(server.lane) && typeof server.about === 'string') return { kind: 'server', ...server };
  if (key !== undefined && /^[0-9a-f]{64}$/.test(key.hash) && Number.isFinite(key.until)) return { kind: 'key', key };
  if (tally !== undefined && isId(tally.id) && Array.isArray(tally.ends) && tally.ends.every(Number.isInteger))
    return { kind: 'tally', ...tally };
  if (whole) return { kind: 'whole' };
  if (nothing) return { kind: 'void' };
  throw damaged(`line ${number} says nothing that is known`);
}

/** Deliveries of one message are numbered with four digits of base 32. */
const MOST_DELIVERIES = 32 ** 4;

function isDelivery({ n, lane, priority, recipients }: MovedDelivery | PastDelivery): boolean {
  return (
    Number.isInteger(n) &&
    n >= 0 &&
    n < MOST_DELIVERIES &&
    isLane(lane) &&
    PRIORITIES.includes(priority) &&
    Array.isArray(recipients) &&
    recipients.every(({ address, state }) => typeof address === 'string' && typeof state === 'string')
  );
}

function isId(id: unknown): boolean {
  return typeof id === 'string' && /^[0-9A-Z]{26}$/.test(id);
}

function isLane(lane: unknown): boolean {
  return typeof lane === 'string' && lane !== '';
}

function checkEnd(end: MovedCounts, counts: MovedCounts): void {
  for (const [what, count] of Object.entries(counts))
    if (end[what as keyof MovedCounts] !== count) throw damaged(`${what} are ${count}, and should be ${end[what as keyof MovedCounts]}`);
}

function damaged(what: string): MtaError {
  return new MtaError('SPOOL_DAMAGED', `this is no whole archive of a spool: ${what}`);
}

/** Lines and octets out of chunks of any size. */
class Input {
  readonly #source: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(octets: AsyncIterable<Buffer>) {
    this.#source = octets[Symbol.asyncIterator]();
  }

  /** Nobody reads on. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  async #more(): Promise<boolean> {
    const { value, done } = await this.#source.next();
    if (done) return false;
    this.#chunk = value as Buffer;
    this.#at = 0;
    return true;
  }

  /** Without its line feed; undefined: there is no whole line any more. */
  async line(): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for (let length = 0; ; ) {
      const end = this.#chunk.indexOf(0x0a, this.#at);
      const part = this.#chunk.subarray(this.#at, end < 0 ? undefined : end);
      length += part.length;
      if (length > LONGEST_LINE) throw damaged('a line is too long');
      this.#at = end < 0 ? this.#chunk.length : end + 1;
      if (end >= 0 && parts.length === 0) return part;
      parts.push(part);
      if (end >= 0) return Buffer.concat(parts);
      if (!(await this.#more())) return undefined;
    }
  }

  async octets(count: number, number: number): Promise<Buffer> {
    const all = Buffer.allocUnsafe(count + 1);
    for (let done = 0; done <= count; ) {
      if (this.#at === this.#chunk.length && !(await this.#more())) throw damaged(`it ends early, in line ${number}`);
      const copied = this.#chunk.copy(all, done, this.#at);
      this.#at += copied;
      done += copied;
    }
    if (all[count] !== 0x0a) throw damaged(`the content of line ${number} has another length`);
    return all.subarray(0, count);
  }
}
