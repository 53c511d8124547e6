/**
 * Programs that end-to-end tests talk to: Postfix, curl, swaks and the like. `scripts/test-all` installs them where it can;
 * a test that needs a missing one is skipped with its name, but in CI (`CI=true`) that is an error.
 *
 *   test('swaks hands in mail', { skip: lacks('swaks') }, async () => { … });
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Where mail programs live that are not in everybody's path. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/sbin'];

/** Its full path, or undefined. */
export function findProgram(name: string, path = process.env['PATH'] ?? ''): string | undefined {
  return [...path.split(delimiter), ...SYSTEM_FOLDERS]
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What is missing, as a reason to skip, or false. Throws in CI. */
export function lacks(...programs: readonly string[]): string | false {
  const missing = programs.filter((name) => findProgram(name) === undefined);
  return missing.length === 0
    ? false
    : skipOrFail(`not installed: ${missing.join(', ')} (scripts/test-all installs them as root on Debian)`);
}

/** A reason to skip a test, which no test has in CI. */
export function skipOrFail(reason: string): string {
  if (process.env['CI'] === 'true') throw new Error(`in CI no test may be skipped: ${reason}`);
  return reason;
}
