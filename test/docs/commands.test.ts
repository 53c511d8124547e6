/** Every command of `riata` that a document names is one that there is, with the options that it is given there. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../cli/run.js';

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

test('commands in the documents exist, and have the options that are shown with them', async () => {
  const all = named();
  assert.ok(all.length > 20, 'they are found');
  const help = new Map<string, string>();
  const helpOf = async (words: readonly string[]): Promise<string> => {
    const key = words.join(' ');
    const known = help.get(key) ?? (await run([...words, '--help'])).out;
    help.set(key, known);
    return known;
  };
  const wrong: string[] = [];
  for (const { document, words, options } of all) {
    const [command = '', second] = words;
    const text = await helpOf([command]);
    const top = new RegExp(`^ *(?:riata|sendmail|mailq)\\b.*\\b${command}\\b|^riata ${command}\\b`, 'm').test(text);
    const group = /^Commands:/m.test(text);
    const found = !group || second === undefined ? text : await helpOf([command, second]);
    if (!top || (group && second !== undefined && !found.includes(`riata ${command} ${second}`)))
      wrong.push(`${document}: riata ${words.join(' ')}`);
    for (const option of options) if (!found.includes(`--${option}`)) wrong.push(`${document}: riata ${words.join(' ')} --${option}`);
  }
  assert.deepEqual(wrong, []);
});
