/** Interfaces as the sources have them, with what their comments say: what the reference of the API is made from. */
import { readFileSync } from 'node:fs';

export interface Member {
  readonly name: string;
  readonly optional: boolean;
  /** As TypeScript has it, without `undefined` and `readonly`. */
  readonly type: string;
  /** The comment, as one line; `''` where there is none. */
  readonly doc: string;
}

const ROOT = new URL('../../', import.meta.url);

/** Members of an exported interface that stand in it, in their order. Throws where there is none of that name. */
export function membersOf(file: string, name: string): readonly Member[] {
  const text = readFileSync(new URL(file, ROOT), 'utf8');
  const start = new RegExp(`^export interface ${name}\\b[^{]*\\{\\n`, 'm').exec(text);
  if (start === null) throw new Error(`${file} has no interface ${name}`);
  const from = start.index + start[0].length;
  const block = text.slice(from, text.indexOf('\n}', from) + 1);
  // Comment, name, and a type or signature that ends at the first semicolon of the member's own level.
  const found = block.matchAll(/(?:^ {2}\/\*\*([^]*?)\*\/\n)?^ {2}(?:readonly )?(\w+)(?:<[^(]*>)?(\??)(: |\()([^]*?);$/gm);
  return Array.from(found, ([, comment = '', member, optional, opening, rest]) => ({
    name: member!,
    optional: optional === '?',
    type: plainType(opening === '(' ? `(${rest}` : rest!),
    doc: comment
      .replace(/^\s*\* ?/gm, ' ')
      .replace(/\s+/g, ' ')
      .trim(),
  }));
}

function plainType(type: string): string {
  return type
    .replace(/\s+/g, ' ')
    .replace(/\breadonly /g, '')
    .replace(/^([^(].*) \| undefined$/, '$1')
    .replace(/\(typeof (\w+)\)\[number\]/g, (_, list: string) => UNIONS[list] ?? list)
    .trim();
}

/** Lists of words that types are made from. */
const UNIONS: Readonly<Record<string, string>> = {
  BOUNCES: "'mail' | 'none'",
  RETURNS: "'full' | 'hdrs'",
  STATES: "'ready' | 'waiting' | 'held' | 'sending'",
};
