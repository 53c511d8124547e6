/**
 * The table of options, laid flat: each with its path and the names it has elsewhere. One rule makes all names:
 * `spool.maxMessageSize` is `RIATA_SPOOL_MAX_MESSAGE_SIZE` in the environment and `--spool-max-message-size` on the
 * command line.
 */
import { OPTIONS, type Option, ROUTE, type Section } from './options.js';

/** The table, seen without the types of its values. */
export interface Table {
  readonly [key: string]: Option<unknown> | Section<Table>;
}

export interface Entry {
  readonly path: string;
  readonly option: Option<unknown>;
  /** Name in the environment; with `_FILE` behind it where `option.file` is set. */
  readonly variable: string;
  /** Name on the command line without the dashes; undefined for a secret. */
  readonly flag: string | undefined;
}

/** A section with the options that stand in it directly, in the order of the table; `path` is `''` for the top. */
export interface Chapter {
  readonly path: string;
  readonly doc: string;
  readonly entries: readonly Entry[];
}

export const TABLE: Table = OPTIONS;
export const ROUTE_TABLE: Table = ROUTE.options;

/** Names the configuration file where no `--config` does. */
export const CONFIG_VARIABLE = 'RIATA_CONFIG';
const PREFIX = 'RIATA';

export function isSection(node: Option<unknown> | Section<Table>): node is Section<Table> {
  return 'options' in node;
}

function words(path: string): string[] {
  return path
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .split(/[._]/)
    .map((word) => word.toLowerCase());
}

export function variableName(path: string): string {
  return [PREFIX, ...words(path)].join('_').toUpperCase();
}

function entry(path: string, option: Option<unknown>): Entry {
  return { path, option, variable: variableName(path), flag: option.secret ? undefined : words(path).join('-') };
}

function chapters(table: Table, path: string, doc: string): Chapter[] {
  const own: Entry[] = [];
  const below: Chapter[] = [];
  for (const [key, node] of Object.entries(table)) {
    const at = path === '' ? key : `${path}.${key}`;
    if (isSection(node)) below.push(...chapters(node.options, at, node.doc));
    else own.push(entry(at, node));
  }
  return [{ path, doc, entries: own }, ...below];
}

/** Everything but routes. */
export const CHAPTERS: readonly Chapter[] = chapters(TABLE, '', 'The whole agent.');
export const ENTRIES: readonly Entry[] = CHAPTERS.flatMap((chapter) => chapter.entries);

/** Options of a `[[route]]`; their paths are bare names, and only those marked `relay` have a place in the environment. */
export const ROUTE_ENTRIES: readonly Entry[] = Object.entries(ROUTE.options).map(([key, option]: [string, Option<unknown>]) => ({
  path: key,
  option,
  variable: variableName(`relay.${key}`),
  flag: undefined,
}));
export const RELAY_ENTRIES: readonly Entry[] = ROUTE_ENTRIES.filter((each) => each.option.relay);

/** The value at a path of the table. */
export function valueAt(values: unknown, path: string): unknown {
  return path.split('.').reduce((at, key) => (at as Readonly<Record<string, unknown>>)[key], values);
}

/** Every variable that means something to us. */
export const VARIABLES: readonly string[] = [
  CONFIG_VARIABLE,
  ...[...ENTRIES, ...RELAY_ENTRIES].flatMap(({ variable, option }) => (option.file ? [variable, `${variable}_FILE`] : [variable])),
];
