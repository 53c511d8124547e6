/** Writes `man/riata.1` from the declarations of the commands. Run by `npm run man` and by every build. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { manPage } from '../src/cli/man.js';

/** The day of the build; that of SOURCE_DATE_EPOCH where builds are to be the same. */
const epoch = process.env['SOURCE_DATE_EPOCH'];
const day = (epoch === undefined ? new Date() : new Date(Number(epoch) * 1000)).toISOString().slice(0, 10);
mkdirSync(new URL('../man', import.meta.url), { recursive: true });
writeFileSync(new URL('../man/riata.1', import.meta.url), manPage(day));
