/**
 * `riata send --merge`: a template, and a CSV file with its recipients and their values: everybody gets a copy of their own. The file is
 * read as it is sent, so it may be as long as it likes.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import type { RawRow } from '../compose/merge/rows.js';
import type { HandInReport } from '../control/types.js';
import { MtaError } from '../core/errors.js';
import { type Cli, STDIN } from './command.js';
import { readCsv } from './csv.js';
import { CliError, EXIT } from './exit.js';
import { count } from './format.js';
import { fit, oneLine } from './visible.js';

export interface MergeArgs {
  readonly merge: string | undefined;
  readonly token: readonly string[] | undefined;
}

/** What names recipients in another way. */
interface Recipients {
  readonly to: readonly string[] | undefined;
  readonly cc: readonly string[] | undefined;
  readonly bcc: readonly string[] | undefined;
  readonly recipient: readonly string[] | undefined;
  readonly headers: boolean | undefined;
}

/** Throws 64 where options do not go together. */
export function isMerge({ merge, token, to, cc, bcc, recipient, headers }: MergeArgs & Recipients): boolean {
  if (merge === undefined) {
    if (token !== undefined) throw new CliError(EXIT.usage, '--token gives values to the copies of a --merge');
    return false;
  }
  const other = to ? '--to' : cc ? '--cc' : bcc ? '--bcc' : headers ? '-t' : recipient?.length ? 'a recipient' : undefined;
  if (other === undefined) return true;
  throw new CliError(EXIT.usage, `the file of --merge says who gets it, and so does ${other}: not both`);
}

/** `--token name=value`, each as often as there are values for all. */
export function readTokens(given: readonly string[] | undefined): Readonly<Record<string, string>> {
  const tokens: Record<string, string> = {};
  for (const text of given ?? []) {
    const at = text.indexOf('=');
    if (at < 1) throw new CliError(EXIT.usage, `--token: ${JSON.stringify(text)} is not like name=value`);
    tokens[text.slice(0, at)] = text.slice(at + 1);
  }
  return tokens;
}

export interface MergeList {
  readonly rows: AsyncIterable<RawRow>;
  /** Takes away what shows how far it has come. */
  done(): void;
}

/** Opens the file at once, so that one that is not there is told before anything else. */
export async function openList(file: string, cli: Cli): Promise<MergeList> {
  const { screen } = cli;
  if (file === STDIN) return { rows: rowsOf(octetsOf(cli.stdin), 'standard input', () => {}), done: () => {} };
  const handle = await open(path.resolve(cli.cwd, file), 'r');
  const { size } = await handle.stat();
  let read = 0;
  const chunks = async function* () {
    for await (const chunk of createReadStream('', { fd: handle, highWaterMark: 64 * 1024 })) {
      read += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
  };
  const shown = (rows: number) => screen.progress(bar(rows, size === 0 ? 1 : read / size, screen.columns));
  return { rows: rowsOf(chunks(), file, shown), done: () => screen.progress('') };
}

async function* octetsOf(input: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  for await (const chunk of input) yield Buffer.from(chunk as Buffer | string);
}

const BAR = 30;

function bar(rows: number, part: number, columns: number): string {
  const full = Math.round(BAR * Math.min(part, 1));
  return fit(
    `[${'#'.repeat(full)}${'.'.repeat(BAR - full)}] ${Math.round(100 * Math.min(part, 1))} %, ${count(rows, 'recipient')}`,
    columns - 1,
  );
}

/** Rows between two looks at how far it has come. */
const ROWS_A_LOOK = 500;

async function* rowsOf(chunks: AsyncIterable<Buffer>, name: string, shown: (rows: number) => void): AsyncGenerator<RawRow> {
  let columns: readonly string[] | undefined;
  let addressAt = 0;
  let rows = 0;
  for await (const { line, fields } of readCsv(chunks, name)) {
    if (columns === undefined) {
      columns = fields.map((field) => field.trim());
      addressAt = addressColumn(columns, name);
      continue;
    }
    if (fields.length !== columns.length)
      throw new CliError(
        EXIT.data,
        `${name}, line ${line}: it has ${count(fields.length, 'field')}, and the first line has ${columns.length}`,
      );
    const values: Record<string, string> = {};
    for (const [i, column] of columns.entries()) if (i !== addressAt) values[column] = fields[i]!;
    yield { to: fields[addressAt]!.trim(), values };
    if (++rows % ROWS_A_LOOK === 0) shown(rows);
  }
  if (columns === undefined) throw new CliError(EXIT.data, `${name} is empty: its first line names the columns`);
}

/** The one that is called so, or the first. */
function addressColumn(columns: readonly string[], name: string): number {
  const named = columns.findIndex((column) => column.toLowerCase() === 'address');
  const at = Math.max(named, 0);
  for (const [i, column] of columns.entries()) {
    if (i !== at && !/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(column))
      throw new CliError(
        EXIT.data,
        `${name}: column ${i + 1} is called ${JSON.stringify(column)}, and a token begins with a letter or _, and holds letters, digits and _ . - only`,
      );
    if (columns.indexOf(column) !== i) throw new CliError(EXIT.data, `${name}: two columns are called ${JSON.stringify(column)}`);
  }
  return at;
}

/** One line for each row that is wrong. */
export function mergeFault(error: unknown): unknown {
  if (!(error instanceof MtaError) || error.issues.length === 0) return error;
  return new CliError(EXIT.data, error.issues.map(({ path: at, message }) => oneLine(`${at}: ${message}`)).join('\n'), { cause: error });
}

/** Words beside the result. */
export function tellMerged({ recipients, unknownTokens = {} }: HandInReport, { screen }: Cli): void {
  screen.say(`${count(recipients, 'copy', 'copies')} queued.`);
  for (const [name, copies] of Object.entries(unknownTokens))
    screen.say(screen.paint.warn(oneLine(`#${name}# has no value in ${count(copies, 'copy', 'copies')}, and stays as it is.`)));
}
