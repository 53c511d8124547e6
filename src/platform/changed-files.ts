/**
 * Whether files have changed: looked at now and then, by their names, so that a link that is put in the place of another (as
 * Kubernetes does with mounted settings and secrets) is seen like any other change. No watches of the system, which see neither
 * that nor network file systems.
 *
 * Promises: a change is told once, and only when a second look finds the files at rest: whoever writes several of them, or one
 * slowly, is done by then. Files that do not exist may come to exist. The process does not live longer for it.
 */
import { stat } from 'node:fs/promises';
import type { Clock, Timer } from './clock.js';

export interface ChangedFiles {
  /** These are looked at from now on, and those that were not before, taken as they are now. */
  watch(paths: readonly string[]): Promise<void>;
  /** Takes all of them as they are now: to be called before they are read, so that no change after that is missed, and none before told. */
  asTheyAre(): Promise<void>;
  /** Begins to look. */
  start(changed: () => void): void;
  stop(): void;
}

const LOOK_MS = 2_000;

export function changedFiles(clock: Pick<Clock, 'after'>, everyMs = LOOK_MS): ChangedFiles {
  /** Each as it was when it was last told of. */
  const known = new Map<string, string>();
  let paths: readonly string[] = [];
  let before = '';
  let timer: Timer | undefined;

  const look = async (changed: () => void) => {
    const seen = await states(paths);
    const news = seen.filter(([path, state]) => (known.get(path) ?? state) !== state);
    for (const [path, state] of seen) if (!known.has(path)) known.set(path, state);
    const now = JSON.stringify(news);
    if (news.length > 0 && now === before && timer !== undefined) {
      for (const [path, state] of news) known.set(path, state);
      changed();
    }
    before = now;
  };
  return {
    async watch(wanted) {
      paths = [...new Set(wanted)];
      for (const path of known.keys()) if (!paths.includes(path)) known.delete(path);
      for (const [path, state] of await states(paths.filter((each) => !known.has(each)))) if (!known.has(path)) known.set(path, state);
    },
    async asTheyAre() {
      for (const [path, state] of await states(paths)) known.set(path, state);
    },
    start(changed) {
      const again = () => {
        void look(changed).finally(() => {
          if (timer !== undefined) timer = clock.after(everyMs, again);
        });
      };
      timer = clock.after(everyMs, again);
    },
    stop() {
      timer?.cancel();
      timer = undefined;
    },
  };
}

function states(paths: readonly string[]): Promise<(readonly [string, string])[]> {
  return Promise.all(paths.map(async (path) => [path, await state(path)] as const));
}

/** What tells one state of a file from another, without reading it. */
async function state(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeMs } = await stat(path);
    return `${dev}:${ino}:${size}:${mtimeMs}`;
  } catch {
    return '';
  }
}
