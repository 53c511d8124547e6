/**
 * The agent compiled into a folder of its own, its web page included, as `npm run build` makes it: starts several times faster than
 * from the sources, and is what it was when the test began, whatever is built or changed beside it.
 */
import { copyFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makePage } from '../../scripts/page.js';
import { temporaryFolder } from './agent.js';
import { succeed } from './commands.js';
import type { Scope } from './scope.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The arguments for node that run `riata`. */
export async function compileRiata(scope: Scope): Promise<readonly string[]> {
  const folder = await temporaryFolder(scope, 'riata-compiled-');
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  // Types are checked elsewhere.
  await succeed(process.execPath, [compiler, '-p', join(ROOT, 'tsconfig.build.json'), '--noCheck', '--outDir', join(folder, 'dist')]);
  if (!makePage(join(folder, 'dist/page'))) throw new Error('the page does not compile');
  copyFileSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return [join(folder, 'dist/cli/main.js')];
}
