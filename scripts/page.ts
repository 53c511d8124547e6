/** Makes the web page: compiles `src/page` for browsers and puts what else it needs beside it. */
import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'src', 'page');
/** What a browser is served besides the code. */
const ASSETS = new Set(['.html', '.css', '.svg']);

/** Into `folder`, which is made; false where the compiler found fault, and told so. */
export function makePage(folder: string): boolean {
  const compiled = `${folder}.compiled`;
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status } = spawnSync(process.execPath, [compiler, '-p', source, '--outDir', compiled], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status === 0) {
    // The types that it shares with the agent were compiled along, to nothing; only its own modules go to browsers.
    cpSync(join(compiled, 'page'), folder, { recursive: true });
    for (const name of readdirSync(source)) if (ASSETS.has(extname(name))) cpSync(join(source, name), join(folder, name));
  }
  rmSync(compiled, { recursive: true, force: true });
  return status === 0;
}
