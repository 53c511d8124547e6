/**
 * `docs/api.md`: what people wrote stays as it is; between the marks stands what the sources say.
 *
 *   <!-- options send: src/compose/options.ts ComposeOptions, src/api/terms.ts DeliveryOptions -->
 *   …
 *   <!-- end -->
 */
import { ERROR_CODES } from '../../src/core/errors.js';
import { LASSO } from './lasso.js';
import { type Member, membersOf } from './members.js';

const BLOCK = /^<!-- (options|methods|errors)(?: (\w+))?(?:: ([^>]*?))? -->\n[^]*?^<!-- end -->$/gm;

/** The page with every block made anew. */
export function filled(page: string): string {
  return page.replace(BLOCK, (block, kind: string, group = '', sources = '') => {
    const mark = block.slice(0, block.indexOf('\n'));
    return `${mark}\n\n${table(kind, group, sources)}\n\n<!-- end -->`;
  });
}

function table(kind: string, group: string, sources: string): string {
  if (kind === 'errors')
    return rows(
      ['code', 'means'],
      Object.entries(ERROR_CODES).map(([code, means]) => [`\`${code}\``, means]),
    );
  const members = sources.split(',').flatMap((source: string) => {
    const [file, name] = source.trim().split(' ');
    return membersOf(file!, name!);
  });
  if (kind === 'methods') return methods(group, members);
  return rows(
    ['option', 'type', 'default', 'Lasso', ''],
    members.map((member) => [
      `\`${member.name}\`${member.optional ? '' : ' (needed)'}`,
      code(member.type),
      defaultOf(member),
      LASSO[`${group}.${member.name}`] === undefined ? '' : `\`${LASSO[`${group}.${member.name}`]}\``,
      withoutDefault(member.doc),
    ]),
  );
}

/** Overloads of one method stand together, under the words of the first that has any. */
function methods(group: string, members: readonly Member[]): string {
  const names = [...new Set(members.map(({ name }) => name))];
  return names
    .map((name) => {
      const overloads = members.filter((member) => member.name === name);
      const heads = overloads.map(({ type }) => `### \`${group}.${name}${type}\``).join('\n\n');
      const doc = overloads.map((one) => one.doc).find((text) => text !== '') ?? '';
      const lasso = LASSO[`${group}.${name}`];
      return `${heads}\n\n${doc}${lasso === undefined ? '' : ` Lasso: \`${lasso}\`.`}`;
    })
    .join('\n\n');
}

const DEFAULT = / ?\bDefault: ((?:`[^`]*`|[^.`])*)\.(?= |$)/;

function defaultOf({ doc }: Member): string {
  return DEFAULT.exec(doc)?.[1] ?? '';
}

function withoutDefault(doc: string): string {
  return doc.replace(DEFAULT, '').trim();
}

function code(type: string): string {
  return `\`${type}\``;
}

function rows(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');
}
