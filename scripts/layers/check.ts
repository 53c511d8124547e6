/**
 * Whether the sources under `src` keep to the layers: who may import whom, no import in a circle, and time, chance,
 * sockets and names only where `rules.ts` lets them in. Between layers types count as imports, for a layer that needs another's
 * types knows it; in a circle they do not, for nothing of them is left at run time.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { codeOnly, type Import, importsOf, lineOf } from './code.js';
import { BROWSER, GLOBALS, GLOBALS_ALLOWED, LAYERS, MODULES, PACKAGES, PURE, TYPES_ONLY } from './rules.js';

export interface Offence {
  /** From the root: `src/core/lane.ts`. */
  readonly file: string;
  readonly line: number;
  readonly rule: string;
}

interface Source {
  readonly file: string;
  readonly text: string;
  readonly code: string;
  readonly imports: readonly Import[];
}

/** `root` holds `src`. Offences in order of file and line. */
export function checkLayers(root: string): Offence[] {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .map((name) => `src/${name.replaceAll('\\', '/')}`)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
    .sort()
    .map((file) => readSource(root, file));
  return [...sources.flatMap((source) => [...importOffences(source), ...globalOffences(source)]), ...cycles(sources)].sort((a, b) =>
    a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line,
  );
}

function readSource(root: string, file: string): Source {
  const text = readFileSync(join(root, file), 'utf8');
  const code = codeOnly(text);
  return { file, text, code, imports: importsOf(text, code) };
}

function layerOf(file: string): string {
  const [, first = ''] = file.split('/');
  return first.replace(/\.ts$/, '');
}

const within = (file: string, folders: readonly string[]) => folders.some((folder) => file.startsWith(`${folder}/`));
const listed = (names: readonly string[]) => (names.length === 0 ? 'nothing' : names.join(', '));

/** The file of `src` that a relative specifier means. */
function target(file: string, specifier: string): string {
  return join(dirname(file), specifier).replace(/\.js$/, '.ts');
}

function importOffences({ file, text, imports }: Source): Offence[] {
  return imports.flatMap((each) => {
    const rule = each.specifier.startsWith('.') ? relativeRule(file, each) : moduleRule(file, each);
    return rule === undefined ? [] : [{ file, line: lineOf(text, each.at), rule }];
  });
}

/** What an import of our own breaks, if anything. */
function relativeRule(file: string, { specifier, typeOnly }: Import): string | undefined {
  const to = target(file, specifier);
  if (!to.startsWith('src/')) return `${specifier} is outside src`;
  const own = layerOf(file);
  const other = layerOf(to);
  const may = LAYERS[own];
  if (may === undefined) return `there is no layer ${own}: give it a row in scripts/layers/rules.ts`;
  if (may === 'all' || own === other || may.includes(other)) return undefined;
  const types = TYPES_ONLY[own] ?? [];
  if (types.includes(other)) return typeOnly ? undefined : `${own} may import only types of ${other} (${specifier})`;
  return `${own} may import ${listed([...may, ...types.map((each) => `types of ${each}`)])}; not ${other} (${specifier})`;
}

/** What an import of a package or of a module of Node breaks, if anything. */
function moduleRule(file: string, { specifier, typeOnly, names }: Import): string | undefined {
  const name = specifier.replace(/^node:/, '');
  const folders = Object.hasOwn(MODULES, name) ? MODULES[name]! : undefined;
  if (folders !== undefined && !typeOnly && !within(file, folders) && !names?.every((each) => PURE.includes(each))) {
    return `node:${name} belongs in ${listed(folders)}`;
  }
  const bare = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
  const home = Object.hasOwn(PACKAGES, bare) ? PACKAGES[bare]! : undefined;
  return home !== undefined && !within(file, [home]) ? `${bare} belongs in ${home}` : undefined;
}

function globalOffences({ file, text, code }: Source): Offence[] {
  if (within(file, GLOBALS_ALLOWED) || within(file, BROWSER)) return [];
  return GLOBALS.flatMap(({ name, pattern }) =>
    [...code.matchAll(pattern)].map((match) => ({
      file,
      line: lineOf(text, match.index),
      rule: `${name} belongs in ${listed(GLOBALS_ALLOWED)}: take a clock or a source of chance as an option`,
    })),
  );
}

/** One offence for each circle of imports, at the import of its first file that leads into it. */
function cycles(sources: readonly Source[]): Offence[] {
  const files = new Set(sources.map(({ file }) => file));
  const edges = new Map(
    sources.map(({ file, imports }) => {
      const lasting = imports.filter(({ typeOnly }) => !typeOnly).map(({ specifier, at }) => ({ to: target(file, specifier), at }));
      return [file, lasting.filter(({ to }) => files.has(to))];
    }),
  );
  const told = new Set<string>();
  return sources.flatMap(({ file, text }) => {
    const circle = told.has(file) ? undefined : shortestCircle(file, (from) => edges.get(from)!.map(({ to }) => to));
    if (circle === undefined) return [];
    for (const each of circle) told.add(each);
    const way = [...circle, file];
    const first = edges.get(file)!.find(({ to }) => to === way[1])!;
    return [{ file, line: lineOf(text, first.at), rule: `imports go in a circle: ${way.join(' → ')}` }];
  });
}

/** The files of a shortest way from `start` back to it, `start` first; undefined where there is none. */
function shortestCircle(start: string, edges: (file: string) => readonly string[]): string[] | undefined {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (let at = queue.shift(); at !== undefined; at = queue.shift()) {
    for (const to of edges(at)) {
      if (to === start) {
        const way = [at];
        while (way[0] !== start) way.unshift(cameFrom.get(way[0]!)!);
        return way;
      }
      if (cameFrom.has(to)) continue;
      cameFrom.set(to, at);
      queue.push(to);
    }
  }
  return undefined;
}
