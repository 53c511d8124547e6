/** The configuration in force, for people: `riata config show`, and the line at start that says what was set. */
import { CONFIG_VARIABLE, ENTRIES, RELAY_ENTRIES, ROUTE_ENTRIES, valueAt } from './catalogue.js';
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

export interface DescribedVariable extends DescribedOption {
  /** `RIATA_SPOOL_PATH`. With `_FILE` behind it, it names a file with the value, where `file` is true. */
  readonly variable: string;
  readonly file: boolean;
}

/** Every variable of the environment, with the value that its option has now, wherever that comes from; `''` for a relay where none is set. */
export function describeVariables(loaded: LoadedConfig, configFile: string): DescribedVariable[] {
  const described = new Map(describeConfig(loaded, { secrets: false }).map((option) => [option.path, option]));
  const last = loaded.config.route.length - 1;
  const entries = [
    ...ENTRIES.map((entry) => ({ ...entry, at: entry.path })),
    ...RELAY_ENTRIES.map((entry) => ({ ...entry, at: `route[${last}].${entry.path}` })),
  ];
  const variables = entries.map(({ variable, option, at, path }): DescribedVariable => {
    const relay = at !== path;
    const found = described.get(at);
    // Another route's settings are none of the environment's relay.
    const shown = found !== undefined && (!relay || found.source.startsWith(variable)) ? found : { value: '', source: 'default' };
    return { variable, file: option.file === true, path: relay ? `route.${path}` : path, value: shown.value, source: shown.source };
  });
  const file = {
    path: 'the file',
    value: configFile === '' ? '' : JSON.stringify(configFile),
    source: configFile === '' ? 'default' : CONFIG_VARIABLE,
  };
  return [{ variable: CONFIG_VARIABLE, file: false, ...file }, ...variables];
}
