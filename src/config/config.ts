/**
 * The configuration as the rest of the agent sees it: plain, complete, read-only data, under the names of the table.
 * Units: durations are milliseconds, sizes octets. Empty strings and lists mean what their option says of them.
 *
 * Types only, all of them derived from the table in `options.ts`.
 */
import type { Issue } from '../core/errors.js';
import type { Givens, OPTIONS, ROUTE, Values } from './options.js';

export type RouteConfig = Values<typeof ROUTE.options>;
export type Config = Values<typeof OPTIONS> & {
  /** In the order in which they are tried. */
  readonly route: readonly RouteConfig[];
};

/** Options of the in-process API: the same table as an object. */
export type ConfigOptions = Omit<Givens<typeof OPTIONS>, 'spool'> & {
  /** The spool's folder, or its whole section. */
  readonly spool?: string | Givens<(typeof OPTIONS)['spool']['options']> | undefined;
  readonly route?: readonly (Givens<typeof ROUTE.options> & { readonly passwordFile?: string; readonly caFile?: string })[] | undefined;
};

/** Where a value was set. */
export type Source =
  | { readonly kind: 'flag'; readonly name: string }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'file'; readonly file: string; readonly line?: number }
  /** The object handed to the in-process API. */
  | { readonly kind: 'object' };

export interface LoadedConfig {
  readonly config: Config;
  /** By path (`spool.path`, `route[0].host`), of what was set; a path that is absent has its default. */
  readonly sources: ReadonlyMap<string, Source>;
  /** Files that were read, or ought to have been. */
  readonly files: readonly string[];
  /** What is allowed, and yet rarely meant: to be logged at start and shown by `config check`. */
  readonly warnings: readonly Issue[];
}
