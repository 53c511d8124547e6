/** What the agent stands on: disk, permissions, ports, and where in a container the spool is. */
import { constants } from 'node:fs';
import { access, open, realpath, stat, statfs, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { LoadedConfig } from '../../config/config.js';
import type { Clock } from '../../platform/clock.js';
import { fleeting, type Mounts, nearestFolder } from '../../platform/mounts.js';
import { whyRefused } from '../../platform/port.js';
import { duration, size } from '../format.js';
import { FALLBACK_PORT } from '../listen.js';
import { type Finding, fail, ok, warn } from './finding.js';

const SYNCS = 20;
const SLOW_SYNC_MS = 50;
/** No disk is so fast: the sync is not done. */
const NO_SYNC_MS = 0.01;

/** `spoolPath`: absolute. */
export async function examineDisk({ config }: LoadedConfig, spoolPath: string, clock: Clock): Promise<readonly Finding[]> {
  const folder = nearestFolder(spoolPath);
  const { bavail, bsize, files, ffree } = await statfs(folder);
  const free = bavail * bsize;
  const findings: Finding[] = [];
  const least = config.spool.minFreeSpace;
  if (free < least)
    findings.push(
      fail(
        'disk',
        `${size(free)} are free at ${folder}, and no mail is taken below ${size(least)}`,
        'make room, or lower spool.minFreeSpace',
      ),
    );
  else if (free < 4 * least)
    findings.push(warn('disk', `${size(free)} are free at ${folder}; at ${size(least)} no mail is taken any more`, 'make room'));
  else findings.push(ok('disk', `${size(free)} are free at ${folder}`));
  // Some file systems do not count inodes.
  if (files > 0 && ffree < 1000)
    findings.push(
      fail('disk', `only ${ffree} more files can be made at ${folder}`, 'delete small files: the file system is out of inodes'),
    );
  findings.push(await syncs(folder, clock));
  return findings;
}

async function syncs(folder: string, clock: Clock): Promise<Finding> {
  const file = path.join(folder, `.doctor-${process.pid}`);
  try {
    await access(folder, constants.W_OK);
    const handle = await open(file, 'wx', 0o600);
    try {
      const began = clock.monotonic();
      for (let i = 0; i < SYNCS; i++) {
        await handle.write(Buffer.alloc(4096, i), 0, 4096, i * 4096);
        await handle.datasync();
      }
      const each = (clock.monotonic() - began) / SYNCS;
      const text = `a synced write takes ${each < 10 ? `${each.toFixed(1)} ms` : duration(each)}`;
      if (each > SLOW_SYNC_MS) return warn('fsync', text, 'every message waits for one: put the spool on a faster disk');
      if (each < NO_SYNC_MS)
        return warn('fsync', `${text}: it is not really done`, 'look at the mount options: mail would be lost with the power');
      return ok('fsync', text);
    } finally {
      await handle.close();
      await unlink(file);
    }
  } catch (error) {
    return fail(
      'fsync',
      `nothing can be written to ${folder}: ${(error as Error).message}`,
      'the spool must belong to the user who runs the agent: run this as that user',
    );
  }
}

/** `files`: what was read for the configuration, and so may hold secrets; undefined owner: Windows. */
export async function examinePermissions({ config, files }: LoadedConfig, spoolPath: string): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const us = process.getuid?.();
  const spool = await stat(spoolPath).catch(() => undefined);
  if (spool === undefined) findings.push(ok('spool', `${spoolPath} is not there yet: the agent makes it`));
  else if (us !== undefined && spool.uid !== us)
    findings.push(
      fail(
        'spool',
        `${spoolPath} belongs to user ${spool.uid}, and this is user ${us}`,
        'run the agent, and this, as the user who owns the spool',
      ),
    );
  else if ((spool.mode & 0o077) !== 0) findings.push(fail('spool', `others may look into ${spoolPath}`, `chmod 700 ${spoolPath}`));
  else findings.push(ok('spool', `${spoolPath} is its owner's alone`));
  const { usersFile, tls } = config.submission;
  const secret = config.route.some(({ password }) => password !== '') || config.control.token !== '';
  // Without secrets a configuration may be read by all; what else it names holds nothing but secrets.
  const [main, ...others] = files;
  for (const file of new Set(
    [...(secret && main !== undefined ? [main] : []), ...others, usersFile, tls.keyFile].filter((name) => name !== ''),
  )) {
    const about = await stat(file).catch((error: Error) => error);
    if (about instanceof Error)
      findings.push(
        fail('secrets', `${file} cannot be read: ${about.message}`, 'see that it is there, and may be read by the user who runs the agent'),
      );
    else if ((about.mode & 0o004) !== 0) findings.push(warn('secrets', `everybody on this machine may read ${file}`, `chmod 600 ${file}`));
    else findings.push(ok('secrets', `${file} is not for everybody`));
  }
  return findings;
}

/** `running`: an agent answers on this spool, and it is its own ports that are taken. */
export async function examinePorts(
  { config, sources }: LoadedConfig,
  running: readonly { readonly host: string; readonly port: number }[] | undefined,
): Promise<readonly Finding[]> {
  const shown = ({ host, port }: { readonly host: string; readonly port: number }) => `${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (running !== undefined)
    return [
      ok('listen', running.length === 0 ? 'the agent runs, and listens nowhere' : `the agent runs, on ${running.map(shown).join(', ')}`),
    ];
  const { listen, listenTls } = config.submission;
  return Promise.all(
    [...listen, ...listenTls].map(async (address): Promise<Finding> => {
      const why = address.port === 0 ? undefined : await whyRefused(address.host, address.port);
      if (why === undefined) return ok('listen', `${shown(address)} is free`);
      const text = `${shown(address)} ${why === 'EACCES' ? 'needs a privilege' : why === 'EADDRINUSE' ? 'is taken by another program' : `is refused: ${why}`}`;
      const instead = !sources.has('submission.listen') && (why === 'EACCES' || why === 'EADDRINUSE');
      if (instead)
        return warn(
          'listen',
          `${text}: the agent will take ${FALLBACK_PORT}`,
          'give it CAP_NET_BIND_SERVICE, end the other program, or choose with submission.listen',
        );
      return fail('listen', text, 'choose another with submission.listen, end the other program, or give the agent CAP_NET_BIND_SERVICE');
    }),
  );
}

export async function examinePlace({ config }: LoadedConfig, spoolPath: string, mounts: Mounts): Promise<readonly Finding[]> {
  const found = fleeting(await realpath(nearestFolder(spoolPath)), mounts);
  if (found === undefined) return mounts.inContainer ? [ok('volume', 'the spool lies on a volume')] : [];
  const text = `the spool lies on ${found.text}, and mail in it with it`;
  if (config.spool.ephemeral === 'allow') return [ok('volume', `${text}; spool.ephemeral allows it`)];
  return [(found.kind === 'layer' ? fail : warn)('volume', text, 'mount a volume there')];
}
