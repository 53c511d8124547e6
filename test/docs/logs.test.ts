import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Names of events with the levels at which the code tells of them. */
function told(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const name of readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    for (const [, level, event] of readFileSync(join(ROOT, 'src', name), 'utf8').matchAll(
      /\blog\.(debug|info|warn|error)\(\s*'([\w.]+)'/gi,
    ))
      found.set(event!, (found.get(event!) ?? new Set()).add(level!));
  }
  return found;
}

test('docs/logs.md has every event that the code tells of, with its level, and no other', () => {
  const page = readFileSync(join(ROOT, 'docs/logs.md'), 'utf8');
  const documented = new Map<string, Set<string>>();
  for (const [, names, levels] of page.matchAll(/^\| (`[^|]+`) \| ([a-z, ]+) \|/gm)) {
    for (const [, event] of names!.matchAll(/`([\w.]+)`/g)) {
      if (event!.includes('.') || event === 'fault') documented.set(event!, new Set(levels!.split(', ')));
    }
  }
  const missing = [...told()].filter(([event, levels]) => ![...levels].every((level) => documented.get(event)?.has(level)));
  assert.deepEqual(
    missing.map(([event, levels]) => `${event} (${[...levels].join(', ')})`),
    [],
    'not in docs/logs.md',
  );
  const mail = /^mail\./;
  assert.deepEqual(
    [...documented.keys()].filter((event) => !mail.test(event) && !told().has(event)),
    [],
    'in docs/logs.md only',
  );
});
