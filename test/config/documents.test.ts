import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CHAPTERS, ENTRIES, ROUTE_ENTRIES, VARIABLES } from '../../src/config/catalogue.js';
import { exampleFile, referencePage } from '../../src/config/documents.js';
import { load } from './support.js';

const inRepository = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const uncommented = exampleFile().replace(/^#(?=\S)/gm, '');

test('conf/riata.toml and conf/REFERENCE.md are those of the table (if not: npm run conf)', () => {
  assert.equal(inRepository('conf/riata.toml'), exampleFile());
  assert.equal(inRepository('conf/REFERENCE.md'), referencePage());
});

test('the example file sets nothing', () => {
  const { config, sources } = load({ text: exampleFile() });
  assert.deepEqual(config, load().config);
  assert.equal(sources.size, 0);
});

test('with every comment sign removed the example file sets every option, to its default', () => {
  const { config, sources, warnings } = load({ text: uncommented });
  const { route, ...rest } = config;
  const { route: none, ...standard } = load().config;
  assert.deepEqual(rest, standard);
  assert.deepEqual(none, []);
  assert.deepEqual(
    ENTRIES.filter(({ path }) => !sources.has(path)),
    [],
  );
  assert.equal(route.length, 3);
  assert.deepEqual(warnings, [], 'the examples of routes are good ones');
});

test('every example in the table is allowed', () => {
  for (const { path, option } of ENTRIES) {
    if (option.example === undefined) continue;
    const at = path.lastIndexOf('.');
    const partner = path.endsWith('certFile') ? 'keyFile = "x"' : path.endsWith('tls.keyFile') ? 'certFile = "x"' : '';
    const tls = path === 'submission.listenTls' ? 'tls = { certFile = "x", keyFile = "x" }' : '';
    const token = path === 'control.http' ? 'token = "0123456789abcdef"' : '';
    const text = `${at < 0 ? '' : `[${path.slice(0, at)}]`}\n${path.slice(at + 1)} = ${option.example}\n${partner}${tls}${token}`;
    assert.ok(load({ text }).sources.has(path), path);
  }
});

test('every option stands in both documents, with its names', () => {
  const page = referencePage();
  for (const { path, variable, flag } of ENTRIES) {
    assert.ok(page.includes(`### ${path}\n`), path);
    assert.ok(page.includes(`\`${variable}\``), variable);
    if (flag !== undefined) assert.ok(page.includes(`\`--${flag}\``), flag);
  }
  for (const { path } of ROUTE_ENTRIES) assert.ok(page.includes(`### route.${path}\n`), path);
  for (const variable of VARIABLES) assert.ok(page.includes(variable), variable);
  for (const { path } of CHAPTERS) assert.ok(path === '' || exampleFile().includes(`\n[${path}]\n`), path);
});

test('names are unique and say no more than their path', () => {
  const names = ENTRIES.flatMap(({ variable, flag }) => [variable, ...(flag === undefined ? [] : [flag])]);
  assert.equal(new Set(names).size, names.length);
  assert.ok(names.every((name) => !name.startsWith('RIATA_') || VARIABLES.includes(name)));
  assert.ok(VARIABLES.includes('RIATA_SPOOL_MAX_MESSAGE_SIZE'));
  assert.ok(VARIABLES.includes('RIATA_HOSTNAME'));
  assert.ok(VARIABLES.includes('RIATA_RELAY_PASSWORD_FILE'));
  assert.ok(!VARIABLES.includes('RIATA_RELAY_DOMAIN'));
  for (const { option, flag } of [...ENTRIES, ...ROUTE_ENTRIES])
    assert.ok(!option.secret || flag === undefined, 'no secret on the command line');
});

test('every doc is made of sentences of which the first is short, and the lines of the example file fit a terminal', () => {
  for (const { path, option } of [...ENTRIES, ...ROUTE_ENTRIES]) {
    assert.match(option.doc, /\.$/, path);
    assert.match(option.doc, /^[A-Z"].{10,159}?\.( |$)/, `${path} in --help`);
  }
  for (const line of exampleFile().split('\n')) assert.ok([...line].length <= 100, line);
});
