/**
 * What was set, by whom, and what is wrong with it: filled layer by layer, weakest first, while a configuration is loaded.
 * A later layer overrides an earlier one, but a wrong value is reported wherever it stands.
 */
import type { Issue } from '../core/errors.js';
import { nearest } from '../core/nearest.js';
import type { Source } from './config.js';
import type { Option } from './options.js';
import type { Form } from './values.js';

/** `riata.toml:12`, `RIATA_SPOOL_PATH`, `--spool-path`, or `''` for an object of the API, whose path says it all. */
export function showSource(source: Source): string {
  switch (source.kind) {
    case 'flag':
      return `--${source.name}`;
    case 'variable':
      return source.name;
    case 'file':
      return source.line === undefined ? source.file : `${source.file}:${source.line}`;
    case 'object':
      return '';
  }
}

/** A wrong value, as much of it as a message can show. */
export function showFound(found: unknown): string {
  if (typeof found === 'string') return JSON.stringify(found.length > 60 ? `${found.slice(0, 57)}...` : found);
  if (Array.isArray(found)) return 'a list';
  if (found instanceof Date) return 'a date';
  if (found === null || typeof found === 'function') return found === null ? 'null' : 'a function';
  return typeof found === 'object' ? 'a table' : String(found);
}

export class Ledger {
  readonly values = new Map<string, unknown>();
  readonly sources = new Map<string, Source>();
  readonly issues: Issue[] = [];
  readonly warnings: Issue[] = [];
  readonly files = new Set<string>();
  /** Routes seen; their values stand under `route[0].…`. */
  routes = 0;
  readonly #readFile: (path: string) => string;

  constructor(readFile: (path: string) => string) {
    this.#readFile = readFile;
  }

  /** Whether nothing is known to be wrong with the value at this path, or with the file that it is read from. */
  sound(path: string): boolean {
    return !this.issues.some((issue) => issue.path === path || issue.path === `${path}File`);
  }

  wrong(path: string, code: string, source: Source | undefined, message: string): void {
    this.issues.push({ path, code, message: withSource(source, message) });
  }

  warn(path: string, code: string, message: string): void {
    this.warnings.push({ path, code, message: withSource(this.sources.get(path), message) });
  }

  unknown(what: string, name: string, source: Source, candidates: readonly string[]): void {
    const meant = nearest(name, candidates);
    this.wrong(name, 'UNKNOWN_FIELD', source, `there is no ${what} ${name}${meant === undefined ? '' : `; did you mean ${meant}?`}`);
  }

  set(path: string, option: Option<unknown>, given: unknown, source: Source, form: Form): void {
    const read = option.kind.read(given, form);
    if (read.ok) {
      this.values.set(path, read.value);
      this.sources.set(path, source);
      return;
    }
    const found = option.secret ? '' : ` is ${showFound(read.found)}, but`;
    this.wrong(path, read.code, source, `${path}${found} must be ${option.kind.allowed}`);
  }

  /** Sets an option from the file that `given` names; one line end at its end is dropped. */
  setFromFile(path: string, option: Option<unknown>, given: unknown, source: Source): void {
    const about = `${path}File`;
    if (typeof given !== 'string') return this.wrong(about, 'WRONG_TYPE', source, `${about} is ${showFound(given)}, but must be a path`);
    const content = this.read(given, about, source)?.replace(/\r?\n$/, '');
    if (content === '') this.wrong(about, 'OUT_OF_RANGE', source, `the file ${given} is empty, but must hold ${path}`);
    else if (content !== undefined) this.set(path, option, content, source, 'text');
  }

  /** Both ways at once: nobody could say which one counts. */
  twice(path: string, source: Source, one: string, other: string): void {
    this.wrong(path, 'CONFLICT', source, `${one} and ${other} are both set; keep one`);
  }

  read(file: string, path: string, source: Source | undefined): string | undefined {
    this.files.add(file);
    try {
      return this.#readFile(file);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      this.wrong(path, 'UNREADABLE_FILE', source, `the file ${file} cannot be read: ${why}`);
      return undefined;
    }
  }
}

function withSource(source: Source | undefined, message: string): string {
  const where = source && showSource(source);
  return where ? `${where}: ${message}` : message;
}
