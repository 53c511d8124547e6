/** Brings the tables of `docs/api.md` up to what the sources say. Run by `npm run docs`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { filled } from './docs/page.js';

const page = new URL('../docs/api.md', import.meta.url);
writeFileSync(page, filled(readFileSync(page, 'utf8')));
