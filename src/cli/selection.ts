/** Which deliveries a command is about: ids from the command line or standard input, and filters. */
import type { Readable } from 'node:stream';
import { parseDuration } from '../config/values.js';
import { readId } from '../control/reading.js';
import { readDomain } from '../control/route.js';
import type { MessageId } from '../core/message.js';
import type { Query } from '../spool/spool.js';
import { type Cli, STDIN } from './command.js';
import type { FilterArgs } from './commands/queue.js';
import { CliError, EXIT } from './exit.js';

export interface SelectionArgs extends FilterArgs {
  readonly id: readonly string[] | undefined;
}

/** Ids from standard input are as many as fit in memory, and no more than this. */
const MOST_INPUT = 64 * 1024 * 1024;

export async function selection(args: SelectionArgs, cli: Cli): Promise<Query> {
  const ids = args.id && args.id.length > 0 ? await readIds(args.id, cli.stdin) : undefined;
  return {
    ...(ids === undefined ? {} : { ids }),
    ...(args.state === undefined ? {} : { state: args.state }),
    ...(args.lane === undefined ? {} : { lane: args.lane }),
    ...(args.domain === undefined ? {} : { domain: readDomain(args.domain) }),
    ...(args.sender === undefined ? {} : { sender: args.sender }),
    ...(args.recipient === undefined ? {} : { recipient: args.recipient }),
    ...(args.tag === undefined ? {} : { tag: args.tag }),
    ...(args.older === undefined ? {} : { acceptedBefore: cli.clock.now() - span('--older', args.older) }),
    ...(args.error === undefined ? {} : { error: args.error }),
  };
}

/** Whether it is not by id: such a selection may hold more than one thinks. */
export function isBroad(query: Query): boolean {
  return query.ids === undefined;
}

export function span(option: string, text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined)
    throw new CliError(EXIT.usage, `${option}: ${JSON.stringify(text)} is not a duration such as "30s", "5m", "2h" or "3d"`);
  return ms;
}

export function wholeNumber(option: string, text: string, most = 1_000_000_000): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= most)) throw new CliError(EXIT.usage, `${option}: ${JSON.stringify(text)} is not a whole number from 0 to ${most}`);
  return value;
}

async function readIds(given: readonly string[], stdin: Readable): Promise<readonly MessageId[]> {
  const ids = new Set<MessageId>();
  for (const text of given) {
    if (text === STDIN) for (const line of (await readAll(stdin)).split('\n')) addLine(ids, line.trim());
    else ids.add(readId(text));
  }
  // `-` with nothing behind it: an empty list, which selects nothing rather than everything.
  if (ids.size === 0) throw new CliError(EXIT.noInput, 'no ids on standard input');
  return [...ids];
}

/** One id at the beginning of a line, or a JSON line of `queue list --json`. */
function addLine(ids: Set<MessageId>, line: string): void {
  if (line === '') return;
  ids.add(readId(line.startsWith('{') ? queueId(line) : line.split(/\s/, 1)[0]!));
}

function queueId(line: string): string {
  try {
    const { queue_id: id } = JSON.parse(line) as { queue_id?: unknown };
    if (typeof id === 'string') return id;
  } catch {
    // Told below.
  }
  throw new CliError(EXIT.data, `standard input has a line without "queue_id": ${line.slice(0, 60)}`);
}

async function readAll(stdin: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk as Buffer | string);
    size += bytes.length;
    if (size > MOST_INPUT) throw new CliError(EXIT.data, 'too much on standard input');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString();
}
