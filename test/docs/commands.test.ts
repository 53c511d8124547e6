/** Every command of `riata` that a document names is one that there is, with the options that it is given there. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { COMMAND_LINE } from '../../src/cli/commands/all.js';
import { outline } from '../../src/cli/outline.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DOCUMENTS = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

interface Named {
  readonly document: string;
  readonly words: readonly string[];
  readonly options: readonly string[];
}

/** `riata queue retry --domain x` anywhere in code. */
function named(): Named[] {
  return DOCUMENTS.flatMap((document) => {
    const text = readFileSync(join(ROOT, document), 'utf8');
    const code = [...text.matchAll(/```sh\n([^]*?)```|`([^`\n]+)`/g)].map(([, block, span]) => block ?? span!);
    return code.flatMap((piece) =>
      [...piece.matchAll(/(?:^|[\s;&|(])(?:npx |riata )?riata ((?:[a-z]+ ?)(?:[a-z]+ ?)?)([^\n|;&]*)/gm)].map(([, words, rest]) => ({
        document,
        words: words!.trim().split(' '),
        options: [...rest!.matchAll(/(?:^|\s)--([a-z-]+)/g)].map(([, name]) => name!),
      })),
    );
  });
}

test('commands in the documents exist, and have the options that are shown with them', () => {
  const all = named();
  assert.ok(all.length > 20, 'they are found');
  const root = outline(COMMAND_LINE);
  const wrong: string[] = [];
  for (const { document, words, options } of all) {
    const [command = '', second] = words;
    const first = root.commands.find(({ path }) => path[0] === command);
    const isGroup = (first?.commands.length ?? 0) > 0;
    const found = isGroup && second !== undefined ? first?.commands.find(({ path }) => path[1] === second) : first;
    if (found === undefined) wrong.push(`${document}: riata ${words.join(' ')}`);
    const known = new Set([...(found?.options ?? []), ...root.options].flatMap(({ name }) => [name, `no-${name}`]));
    for (const option of options) if (!known.has(option)) wrong.push(`${document}: riata ${words.join(' ')} --${option}`);
  }
  assert.deepEqual(wrong, []);
});
