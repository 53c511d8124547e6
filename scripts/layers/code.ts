/**
 * TypeScript read just closely enough to find its imports: what is code, what is comment, and what stands in quotes.
 * No parser: regular expressions after a keyword or an operator are recognised, the rarer places for them are not.
 */

/** The source with comments, strings, template text and regular expressions blanked: same length, same lines, quotes kept. */
export function codeOnly(source: string): string {
  const out = source.split('');
  const blank = (from: number, to: number) => {
    for (let i = from; i < to; i++) if (out[i] !== '\n') out[i] = ' ';
  };
  /** For each open brace, whether it is the `${` of a template, whose text goes on behind its `}`. */
  const braces: boolean[] = [];
  let at = 0;
  while (at < source.length) {
    const char = source[at]!;
    const pair = source.slice(at, at + 2);
    let end = at + 1;
    if (pair === '//' || pair === '/*') {
      end = commentEnd(source, at);
      blank(at, end);
    } else if (char === '"' || char === "'") {
      end = quotedEnd(source, at, char);
      blank(at + 1, end - 1);
    } else if (char === '`' || (char === '}' && braces.pop() === true)) {
      end = templateEnd(source, at + 1);
      blank(at + 1, end - 1);
      if (source[end - 1] === '{') braces.push(true);
    } else if (char === '{') {
      braces.push(false);
    } else if (char === '/' && startsRegExp(out, at)) {
      end = regExpEnd(source, at);
      blank(at + 1, end - 1);
    }
    at = end;
  }
  return out.join('');
}

function commentEnd(source: string, at: number): number {
  const line = source[at + 1] === '/';
  const end = source.indexOf(line ? '\n' : '*/', at + 2);
  return end < 0 ? source.length : end + (line ? 0 : 2);
}

function quotedEnd(source: string, at: number, quote: string): number {
  let end = at + 1;
  while (end < source.length && source[end] !== quote && source[end] !== '\n') end += source[end] === '\\' ? 2 : 1;
  return Math.min(end + 1, source.length);
}

/** Behind the closing backtick, or behind the `${` that comes before it. */
function templateEnd(source: string, at: number): number {
  let end = at;
  for (; end < source.length; end++) {
    if (source[end] === '\\') end++;
    else if (source[end] === '`') return end + 1;
    else if (source[end] === '$' && source[end + 1] === '{') return end + 2;
  }
  return source.length;
}

/** Behind its closing slash. */
function regExpEnd(source: string, at: number): number {
  let inClass = false;
  for (let end = at + 1; end < source.length && source[end] !== '\n'; end++) {
    if (source[end] === '\\') end++;
    else if (source[end] === '[') inClass = true;
    else if (source[end] === ']') inClass = false;
    else if (source[end] === '/' && !inClass) return end + 1;
  }
  return at + 1;
}

/** Whether a slash begins a regular expression: not behind a value, which it would divide. */
function startsRegExp(out: readonly string[], at: number): boolean {
  let before = at - 1;
  while (before >= 0 && /\s/.test(out[before]!)) before--;
  if (before < 0 || !/[\w$)\]}'"`]/.test(out[before]!)) return true;
  const word = /[\w$]+$/.exec(out.slice(Math.max(0, before - 12), before + 1).join(''))?.[0];
  return word !== undefined && /^(return|typeof|case|in|of|do|else|void|delete|throw|new|await|yield)$/.test(word);
}

export interface Import {
  /** As it is written: `../core/lane.js`, `node:net`. */
  readonly specifier: string;
  /** Nothing of it is there at run time. */
  readonly typeOnly: boolean;
  /** Names taken from the module, undefined where that may be all of it. */
  readonly names: readonly string[] | undefined;
  readonly at: number;
}

/** Imports and re-exports of a source, `import()` included. `code` is `codeOnly(source)`. */
export function importsOf(source: string, code: string): Import[] {
  const found: Import[] = [];
  const quoted = (at: number) => source.slice(at + 1, code.indexOf(code[at]!, at + 1));
  for (const match of code.matchAll(/\b(?:import|export)\b([\w\s{},*$]*?)\bfrom\s*['"]/g)) {
    const at = match.index + match[0].length - 1;
    const clause = match[1]!.trim();
    found.push({ specifier: quoted(at), ...readClause(clause), at });
  }
  for (const match of code.matchAll(/(?<![.\w$])import\s*\(?\s*['"]/g)) {
    const at = match.index + match[0].length - 1;
    found.push({ specifier: quoted(at), typeOnly: false, names: undefined, at });
  }
  return found;
}

function readClause(clause: string): Pick<Import, 'typeOnly' | 'names'> {
  const braced = /^(?:type\s+)?\{([^}]*)\}$/.exec(clause);
  const parts = braced && splitNames(braced[1]!);
  const typeOnly = /^type\s+(?!,)/.test(clause) || (parts !== null && parts.length > 0 && parts.every((part) => /^type\s/.test(part)));
  return { typeOnly, names: parts?.map((part) => part.replace(/^type\s+/, '').replace(/\s+as\s.*$/s, '')) ?? undefined };
}

function splitNames(list: string): string[] {
  return list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

export function lineOf(source: string, at: number): number {
  let line = 1;
  for (let i = source.indexOf('\n'); i >= 0 && i < at; i = source.indexOf('\n', i + 1)) line++;
  return line;
}
