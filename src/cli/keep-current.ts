/**
 * Keeps a running agent at its settings: reads them anew on SIGHUP, and when a file that they came from has changed.
 *
 * Promises: what is wrong with new settings is told, and those in force stay; one reading at a time, and none is forgotten that was asked
 * for meanwhile. What counts from the next start only is named.
 */
import type { LoadedConfig } from '../config/config.js';
import type { ChangedFiles } from '../platform/changed-files.js';
import type { Log } from '../platform/log.js';

export interface KeepCurrent {
  /** Watches the files of the settings in force. */
  readonly files: ChangedFiles;
  /** Throws, or rejects, with what is wrong with it. */
  readonly read: () => LoadedConfig;
  /** Puts it in force, or rejects and has changed nothing. */
  readonly take: (loaded: LoadedConfig) => Promise<{ readonly taken: readonly string[]; readonly atNextStart: readonly string[] }>;
  /** A reading begins, and has ended, either way. */
  readonly onReading?: () => void;
  readonly onRead?: () => void;
  readonly log: Log;
}

export interface Keeper {
  /** Reads the settings anew, for this reason. */
  reload(why: string): void;
  stop(): void;
}

export function keepCurrent(options: KeepCurrent): Keeper {
  const { log, files } = options;
  let wanted: string | undefined;
  let reading = false;
  let stopped = false;
  files.start(() => reload('a file has changed'));

  const once = async (why: string) => {
    options.onReading?.();
    try {
      await files.asTheyAre();
      const loaded = options.read();
      // Before they are read; and also where they are the fault: once a certificate is there, it is taken.
      await files.watch(filesOf(loaded));
      const { taken, atNextStart } = await options.take(loaded);
      for (const { path, code, message } of loaded.warnings) log.warn('config.warning', { path, code }, message);
      log.info('config.reloaded', { why, changed: taken.join(', ') });
      if (atNextStart.length > 0)
        log.warn(
          'config.atNextStart',
          { options: atNextStart.join(', ') },
          'these have changed, and count from the next start of the agent only',
        );
    } catch (error) {
      log.error('config.notReloaded', { why }, `${(error as Error).message}; the configuration in force stays`);
    }
    options.onRead?.();
  };
  function reload(why: string): void {
    wanted = why;
    if (reading) return;
    reading = true;
    void (async () => {
      for (let next: string | undefined = why; next !== undefined && !stopped; next = wanted) {
        wanted = undefined;
        await once(next);
      }
      reading = false;
    })();
  }
  return {
    reload,
    stop() {
      stopped = true;
      files.stop();
    },
  };
}

/** Certificates are read by the agent, all others by the loader. */
export function filesOf({ files, config }: LoadedConfig): string[] {
  const certificates = [config.submission.tls, config.control.tls].flatMap(({ certFile, keyFile }) => [certFile, keyFile]);
  return [...files, ...certificates].filter((path) => path !== '');
}
