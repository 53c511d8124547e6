/** What is installed, read from the package itself so that there is one place to change. */
import { readFileSync } from 'node:fs';

let known: string | undefined;

export function version(): string {
  known ??= (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version;
  return known;
}
