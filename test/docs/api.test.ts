/** The reference of the API says what the sources say, and leaves nothing out. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { LASSO } from '../../scripts/docs/lasso.js';
import { membersOf } from '../../scripts/docs/members.js';
import { filled } from '../../scripts/docs/page.js';
import { QUEUE_OPTIONS, SEND_OPTIONS } from '../../src/api/hand-in.js';
import { ERROR_CODES } from '../../src/core/errors.js';

const page = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');

/** The text between a mark and its end. */
function tables(group: string): string {
  return Array.from(page.matchAll(new RegExp(`^<!-- options ${group}:[^]*?^<!-- end -->$`, 'gm')), ([block]) => block).join('\n');
}

test('docs/api.md is what the sources say (if not: npm run docs)', () => {
  assert.equal(page, filled(page));
});

test('every option of send and queue is there, and each says what it is or does', () => {
  const table = tables('send');
  for (const name of SEND_OPTIONS) assert.match(table, new RegExp(`^\\| \`${name}\``, 'm'));
  for (const name of QUEUE_OPTIONS) assert.match(page, new RegExp(`\`${name}\``), name);
  const rows = tables('\\w+').match(/^\| `\w+`.*\|$/gm) ?? [];
  assert.ok(rows.length > 60, String(rows.length));
  const bare = rows.filter((row) =>
    row
      .replaceAll('\\|', '')
      .split('|')
      .slice(3)
      .every((cell) => cell.trim() === ''),
  );
  assert.deepEqual(bare, []);
});

test('every method is there with a word about it, and every error', () => {
  const methods = membersOf('src/api/mail-agent.ts', 'MailAgent');
  for (const { name } of methods) {
    assert.ok(page.includes(`### \`mta.${name}(`), name);
    const said = methods.some((one) => one.name === name && one.doc.length > 20);
    assert.ok(said, `${name} has no comment`);
  }
  for (const code of Object.keys(ERROR_CODES)) assert.ok(page.includes(`| \`${code}\` |`), code);
});

test('names of the source are those of options and methods that there are', () => {
  const options = new Set<string>(SEND_OPTIONS);
  const methods = new Set(membersOf('src/api/mail-agent.ts', 'MailAgent').map(({ name }) => name));
  for (const name of Object.keys(LASSO)) {
    const [group, member] = name.split('.') as [string, string];
    if (group === 'send') assert.ok(options.has(member), name);
    if (group === 'mta') assert.ok(methods.has(member), name);
    if (group === 'compose') assert.ok(page.includes(`\`${member}(`), name);
  }
});
