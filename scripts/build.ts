/**
 * Compiles `src` to `dist`, the web page included, and writes the manual page. With `--if-stale` only where something has changed since
 * the last time.
 *
 * `dist` is replaced whole, and only by a compilation without errors: it never holds what is left of another, and an
 * agent that runs from it is not robbed of modules that it has yet to load.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makePage } from './page.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const fresh = join(root, 'dist.new');
const SOURCES = ['src', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'];
/** What `bin` of package.json names. Every compilation writes it anew, so its time is the compilation's. */
const MAIN = join('cli', 'main.js');

/** When the newest file at or below `path` was changed, in epoch milliseconds; 0 where there is none. */
function changedAt(path: string): number {
  const about = statSync(path, { throwIfNoEntry: false });
  if (about === undefined) return 0;
  // A folder's own time tells of files that are gone.
  const below = about.isDirectory() ? readdirSync(path).map((name) => changedAt(join(path, name))) : [];
  return Math.max(about.mtimeMs, ...below);
}

function isStale(): boolean {
  const built = changedAt(join(dist, MAIN));
  return SOURCES.some((source) => changedAt(join(root, source)) > built);
}

function compile(): boolean {
  rmSync(fresh, { recursive: true, force: true });
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status } = spawnSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.build.json'), '--outDir', fresh], {
    stdio: 'inherit',
  });
  const made = status === 0 && makePage(join(fresh, 'page'));
  if (made) {
    chmodSync(join(fresh, MAIN), 0o755);
    rmSync(dist, { recursive: true, force: true });
    renameSync(fresh, dist);
  } else {
    rmSync(fresh, { recursive: true, force: true });
  }
  return made;
}

if (!process.argv.includes('--if-stale') || isStale()) {
  if (compile()) await import('./man.js');
  else process.exitCode = 1;
}
