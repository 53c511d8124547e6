/** Whether the spool lies on something that lasts: asked before the agent begins to keep mail there. */
import { realpathSync } from 'node:fs';
import path from 'node:path';
import type { Config } from '../config/config.js';
import type { Log } from '../platform/log.js';
import { fleeting, mountsHere, nearestFolder } from '../platform/mounts.js';
import type { Cli } from './command.js';
import { CliError, EXIT } from './exit.js';

/** Tells of a place that does not last, or ends the start, as `spool.ephemeral` says. */
export function checkSpoolPlace({ spool }: Config, log: Log, cli: Pick<Cli, 'cwd' | 'env'>, mounts = mountsHere(cli.env)): void {
  if (spool.ephemeral === 'allow') return;
  const folder = path.resolve(cli.cwd, spool.path);
  const found = fleeting(realpathSync(nearestFolder(folder)), mounts);
  if (found === undefined) return;
  const text = `the spool ${folder} lies on ${found.text}, and mail in it with it`;
  const ways = 'mount a volume there, or say spool.ephemeral = "allow" (RIATA_SPOOL_EPHEMERAL=allow)';
  // Memory and what goes with a pod somebody has asked for; the layer is where things land that nobody thought of.
  if (spool.ephemeral === 'refuse' && found.kind === 'layer') throw new CliError(EXIT.config, `${text}: ${ways}`);
  log.warn('spool.ephemeral', { spool: folder, on: found.kind }, `${text}; if that is not meant, ${ways.replace('or say', 'if it is,')}`);
}
