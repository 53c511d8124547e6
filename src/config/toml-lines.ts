/**
 * On which line of a TOML text each key stands: the parser gives values only, and an error without a line is half an
 * answer. Takes text that the parser has accepted, so it only has to find its way, not to judge.
 */

/** Lines (from 1) by path: `spool.path`, `route[0].host`; tables too. */
export function tomlLines(text: string): ReadonlyMap<string, number> {
  return new Walk(text).lines;
}

const BARE_KEY = /[A-Za-z0-9_-]+/y;
const BLANK = /(?:[ \t\r\n]|#[^\n]*)*/y;
const SPACE = /[ \t]*/y;
const SCALAR = /[^,\]}#\n]*/y;

class Walk {
  readonly lines = new Map<string, number>();
  readonly #text: string;
  #at = 0;
  /** The line of `#counted`; positions only grow. */
  #line = 1;
  #counted = 0;
  /** Tables so far in each array of tables, by its path. */
  readonly #tables = new Map<string, number>();

  constructor(text: string) {
    this.#text = text;
    let table = '';
    for (this.#skip(BLANK); this.#at < text.length; this.#skip(BLANK)) {
      if (text[this.#at] === '[') table = this.#header();
      else this.#pair(table);
    }
  }

  #skip(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  #note(path: string): void {
    for (; this.#counted < this.#at; this.#counted++) if (this.#text[this.#counted] === '\n') this.#line++;
    if (!this.lines.has(path)) this.lines.set(path, this.#line);
  }

  /** `[a.b]` or `[[a.b]]`: gives the path that what follows stands under. */
  #header(): string {
    const array = this.#text.startsWith('[[', this.#at);
    this.#at += array ? 2 : 1;
    const keys = this.#keys();
    let path = '';
    keys.forEach((key, i) => {
      path = join(path, key);
      const last = i === keys.length - 1;
      if (array && last) this.#tables.set(path, (this.#tables.get(path) ?? 0) + 1);
      const tables = this.#tables.get(path);
      if (tables !== undefined) path = `${path}[${tables - 1}]`;
    });
    this.#note(path);
    this.#at += array ? 2 : 1;
    return path;
  }

  #pair(table: string): void {
    let path = table;
    for (const key of this.#keys()) path = join(path, key);
    this.#note(path);
    this.#at++;
    this.#value(path);
  }

  /** A dotted key with the blanks around it. */
  #keys(): string[] {
    const keys: string[] = [];
    for (;;) {
      this.#skip(SPACE);
      const quote = this.#text[this.#at];
      keys.push(quote === '"' || quote === "'" ? this.#string(quote) : this.#skip(BARE_KEY));
      this.#skip(SPACE);
      if (this.#text[this.#at] !== '.') return keys;
      this.#at++;
    }
  }

  #value(path: string): void {
    this.#skip(SPACE);
    const first = this.#text[this.#at];
    if (first === '"' || first === "'") this.#string(first);
    else if (first === '[') this.#items(']', (i) => this.#value(`${path}[${i}]`));
    else if (first === '{') this.#items('}', () => this.#pair(path));
    else this.#skip(SCALAR);
  }

  #items(end: string, item: (index: number) => void): void {
    this.#at++;
    for (let i = 0; ; i++) {
      this.#skip(BLANK);
      if (this.#at >= this.#text.length) return;
      if (this.#text[this.#at] === end) break;
      const before = this.#at;
      item(i);
      this.#skip(BLANK);
      if (this.#text[this.#at] === ',') this.#at++;
      if (this.#at === before) return;
    }
    this.#at++;
  }

  /** Past a string of any of the four sorts; gives what is between the quotes, escapes left as they are. */
  #string(quote: string): string {
    const triple = quote.repeat(3);
    const mark = this.#text.startsWith(triple, this.#at) ? triple : quote;
    this.#at += mark.length;
    const start = this.#at;
    while (this.#at < this.#text.length && !this.#text.startsWith(mark, this.#at)) {
      this.#at += quote === '"' && this.#text[this.#at] === '\\' ? 2 : 1;
    }
    // Up to two more quotes belong to the content of a multi-line string.
    while (mark === triple && this.#text[this.#at + 3] === quote) this.#at++;
    const content = this.#text.slice(start, this.#at);
    this.#at += mark.length;
    return content;
  }
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}
