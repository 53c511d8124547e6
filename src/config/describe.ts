/** The configuration in force, for people: `riata config show`, and the line at start that says what was set. */
import { ENTRIES, ROUTE_ENTRIES, valueAt } from './catalogue.js';
import type { LoadedConfig } from './config.js';
import { showSource } from './ledger.js';
import type { Option } from './options.js';

export interface DescribedOption {
  /** `spool.path`, `route[0].host`. */
  readonly path: string;
  /** As TOML; a secret that is set is `"********"`. */
  readonly value: string;
  /** `default`, or where it was set: `riata.toml:12`, `RIATA_SPOOL_PATH`, `--spool-path`, `options`. */
  readonly source: string;
}

/** Every option with its value and where that comes from, in the order of the table, routes last. */
export function describeConfig(loaded: LoadedConfig, show: { readonly secrets: boolean }): DescribedOption[] {
  const describe = (path: string, option: Option<unknown>, value: unknown): DescribedOption => {
    const source = loaded.sources.get(path);
    const hidden = option.secret && !show.secrets && value !== option.default;
    return {
      path,
      value: hidden ? '"********"' : option.kind.show(value),
      source: source === undefined ? 'default' : showSource(source) || 'options',
    };
  };
  const rows = ENTRIES.map(({ path, option }) => describe(path, option, valueAt(loaded.config, path)));
  const routes = loaded.config.route.flatMap((route, i) =>
    ROUTE_ENTRIES.map(({ path, option }) => describe(`route[${i}].${path}`, option, valueAt(route, path))),
  );
  return [...rows, ...routes];
}
