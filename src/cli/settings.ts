/** The configuration of a command: which file it comes from, and how an error in it is told. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { LoadedConfig } from '../config/config.js';
import { loadConfig } from '../config/load.js';
import { MtaError } from '../core/errors.js';
import type { Cli, Globals } from './command.js';
import { CliError, EXIT, exitCode } from './exit.js';

/** Looked for in this order where neither `--config` nor RIATA_CONFIG names a file. */
const PLACES = ['riata.toml', '/etc/riata/riata.toml'];

/** The file that counts, or undefined where there is none and defaults and environment alone do. */
export function configFile(args: Pick<Globals, 'config'>, cli: Pick<Cli, 'env' | 'cwd'>): string | undefined {
  if (args.config !== undefined) return path.resolve(cli.cwd, args.config);
  if (cli.env['RIATA_CONFIG']) return undefined;
  return PLACES.map((place) => path.resolve(cli.cwd, place)).find((place) => existsSync(place));
}

/** `flags` by the names of the table of options (`spool-path`). Ends with 78 and every wrong setting named. */
export function settings(args: Globals, cli: Pick<Cli, 'env' | 'cwd'>): LoadedConfig {
  const file = configFile(args, cli);
  const flags: Record<string, unknown> = {
    ...args,
    ...(args.spool === undefined ? {} : { 'spool-path': path.resolve(cli.cwd, args.spool) }),
  };
  try {
    return loadConfig({ flags, env: cli.env, ...(file === undefined ? {} : { file }) });
  } catch (error) {
    if (!(error instanceof MtaError)) throw error;
    const exit = exitCode(error);
    throw new CliError(exit === EXIT.noPermission ? exit : EXIT.config, error.message, { cause: error });
  }
}
