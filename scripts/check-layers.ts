/** Prints every import and call that breaks the layers, with its place, and fails if there is one. Run by `npm run layers`. */
import { fileURLToPath } from 'node:url';
import { checkLayers } from './layers/check.js';

const offences = checkLayers(fileURLToPath(new URL('..', import.meta.url)));
for (const { file, line, rule } of offences) console.log(`${file}:${line}: ${rule}`);
if (offences.length > 0) {
  console.log(`${offences.length === 1 ? 'one offence' : `${offences.length} offences`} against the layers (see ARCHITECTURE.md)`);
  process.exitCode = 1;
}
