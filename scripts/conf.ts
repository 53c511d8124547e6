/** Writes `conf/riata.toml` and `conf/REFERENCE.md` from the table of options. Run by `npm run conf`. */
import { writeFileSync } from 'node:fs';
import { exampleFile, referencePage } from '../src/config/documents.js';

writeFileSync(new URL('../conf/riata.toml', import.meta.url), exampleFile());
writeFileSync(new URL('../conf/REFERENCE.md', import.meta.url), referencePage());
