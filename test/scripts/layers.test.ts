import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { checkLayers } from '../../scripts/layers/check.js';
import { codeOnly, importsOf } from '../../scripts/layers/code.js';

/** What is wrong with a tree of these files, as `file:line rule`. */
function offences(t: TestContext, files: Readonly<Record<string, string>>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'riata-layers-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return checkLayers(root).map(({ file, line, rule }) => `${file}:${line} ${rule}`);
}

const LISTENERS = 'src/platform, src/dev, src/intake/smtp, src/control';

test('an import that the table does not allow is an offence, whatever its form', (t) => {
  const core = { 'src/platform/clock.ts': 'export const a = 1;' };
  for (const statement of [
    "import { a } from '../platform/clock.js';",
    "import type { a } from '../platform/clock.js';",
    "import * as clock from '../platform/clock.js';",
    "import {\n  a,\n  type b,\n} from '../platform/clock.js';",
    "export { a } from '../platform/clock.js';",
    "export * from '../platform/clock.js';",
    "import '../platform/clock.js';",
    "const clock = await import('../platform/clock.js');",
    'import { a } from "../platform/clock.js";',
    "/* why */ import /* not */ { a } from '../platform/clock.js';",
  ]) {
    const line = statement.split('\n').length + 1;
    assert.deepEqual(
      offences(t, { ...core, 'src/core/lane.ts': `// first\n${statement}\n` }),
      [`src/core/lane.ts:${line} core may import nothing; not platform (../platform/clock.js)`],
      statement,
    );
  }
});

test('what the table allows is none', (t) => {
  assert.deepEqual(
    offences(t, {
      'src/core/a.ts': "import type { B } from './b.js';\nexport const a = 1;",
      'src/core/b.ts': 'export const b = 1;',
      'src/platform/c.ts': "import { a } from '../core/a.js';",
      'src/delivery/d.ts': "import { a } from '../core/a.js';\nimport { c } from '../platform/c.js';",
      'src/cli/commands/e.ts': "import { start } from '../../mta.js';",
      'src/mta.ts': "import { d } from './delivery/d.js';",
      'src/index.ts': "export { start } from './mta.js';",
    }),
    [],
  );
});

test('each row of the table that matters most is held', (t) => {
  const files = {
    'src/spool/s.ts': '',
    'src/delivery/d.ts': '',
    'src/intake/i.ts': '',
    'src/outcome/o.ts': '',
    'src/scheduler/c.ts': '',
    'src/config/f.ts': '',
    'src/mta.ts': '',
  };
  for (const [from, to] of [
    ['delivery/x', 'spool/s'],
    ['delivery/x', 'scheduler/c'],
    ['scheduler/x', 'delivery/d'],
    ['outcome/x', 'intake/i'],
    ['intake/x', 'config/f'],
    ['control/x', 'mta'],
    ['dev/x', 'delivery/d'],
  ] as const) {
    const found = offences(t, { ...files, [`src/${from}.ts`]: `import { x } from '../${to}.js';` });
    assert.equal(found.length, 1, `${from} → ${to}`);
    assert.match(found[0]!, new RegExp(`^src/${from}\\.ts:1 .*; not ${to.split('/')[0]} `));
  }
});

test('of some layers only types may be imported', (t) => {
  const scheduler = { 'src/scheduler/s.ts': '' };
  const control = (statement: string) => offences(t, { ...scheduler, 'src/control/c.ts': statement });
  assert.deepEqual(control("import type { S } from '../scheduler/s.js';"), []);
  assert.deepEqual(control("import { type S, type T } from '../scheduler/s.js';"), []);
  assert.deepEqual(control("import { type S, start } from '../scheduler/s.js';"), [
    'src/control/c.ts:1 control may import only types of scheduler (../scheduler/s.js)',
  ]);
});

test('a folder without a row, and an import that leaves src, are offences', (t) => {
  assert.deepEqual(
    offences(t, { 'src/utils/a.ts': "import { b } from '../core/b.js';", 'src/core/b.ts': "import x from '../../package.json';" }),
    [
      'src/core/b.ts:1 ../../package.json is outside src',
      'src/utils/a.ts:1 there is no layer utils: give it a row in scripts/layers/rules.ts',
    ],
  );
});

test('imports that go in a circle are an offence, told once with the way', (t) => {
  assert.deepEqual(
    offences(t, {
      'src/core/a.ts': "import { b } from './b.js';",
      'src/core/b.ts': "import { x } from './x.js';\nimport { c } from './c.js';",
      'src/core/c.ts': "const a = import('./a.js');",
      'src/core/x.ts': '',
    }),
    ['src/core/a.ts:1 imports go in a circle: src/core/a.ts → src/core/b.ts → src/core/c.ts → src/core/a.ts'],
  );
  assert.deepEqual(offences(t, { 'src/core/a.ts': "import { a } from './a.js';" }), [
    'src/core/a.ts:1 imports go in a circle: src/core/a.ts → src/core/a.ts',
  ]);
});

test('types in a circle are none: nothing of them is left at run time', (t) => {
  assert.deepEqual(
    offences(t, { 'src/core/a.ts': "import { b } from './b.js';", 'src/core/b.ts': "import type { A } from './a.js';" }),
    [],
  );
});

test('time and chance are offences outside the folders that may have them', (t) => {
  const calls = [
    ['Date.now()', 'Date.now'],
    ['globalThis.Date.now()', 'Date.now'],
    ['new Date()', 'new Date()'],
    ['new Date', 'new Date()'],
    ['Date()', 'Date()'],
    ['setTimeout(f, 5)', 'setTimeout'],
    ['globalThis.setTimeout(f, 5)', 'setTimeout'],
    ['setInterval(f, 5)', 'setInterval'],
    ['Math.random()', 'Math.random'],
    ['performance.now()', 'performance.now'],
    ['process.hrtime.bigint()', 'process.hrtime'],
    [`\`at \${Date.now()}\``, 'Date.now'],
  ] as const;
  for (const [call, name] of calls) {
    assert.deepEqual(
      offences(t, { 'src/scheduler/s.ts': `\n  x = ${call};\n` }),
      [`src/scheduler/s.ts:2 ${name} belongs in ${LISTENERS}: take a clock or a source of chance as an option`],
      call,
    );
    for (const folder of ['platform', 'dev', 'intake/smtp', 'control'])
      assert.deepEqual(offences(t, { [`src/${folder}/s.ts`]: call }), [], call);
    assert.equal(offences(t, { 'src/intake/s.ts': call }).length, 1, call);
  }
});

test('what only looks like time or chance is none', (t) => {
  const text = `// Date.now() setTimeout
/* Math.random() */
const a = new Date(0), b = new Date( at ), c = 'Date.now()', d = "setTimeout", e = \`Math.random() \${a} new Date()\`;
const f = /Date.now/.test(c) || socket.setTimeout(5) || x.Date(), g = clock.setInterval, h = "\\"" + 'setInterval';
const i = 1 / 2, j = "x" / 3; // setInterval
`;
  assert.deepEqual(offences(t, { 'src/core/a.ts': text }), []);
});

test('sockets, names and timers of Node are offences outside their folders; pure functions and types are free', (t) => {
  const found = (folder: string, statement: string) => offences(t, { [`src/${folder}/a.ts`]: statement });
  for (const name of ['net', 'tls', 'dns', 'dns/promises', 'dgram', 'http', 'https', 'timers', 'timers/promises']) {
    for (const statement of [`import x from 'node:${name}';`, `import { x } from '${name}';`, `await import('node:${name}');`]) {
      assert.match(found('delivery', statement)[0] ?? '', new RegExp(`^src/delivery/a.ts:1 node:${name} belongs in`), statement);
    }
    assert.deepEqual(found('delivery', `import type { X } from 'node:${name}';`), []);
  }
  assert.deepEqual(found('delivery', "import { BlockList, isIP } from 'node:net';"), []);
  assert.equal(found('delivery', "import { connect, isIP } from 'node:net';").length, 1);
  assert.equal(found('delivery', "import net, { isIP } from 'node:net';").length, 1);
  assert.deepEqual(found('platform', "import dns from 'node:dns/promises';"), []);
  assert.deepEqual(found('control', "import http from 'node:http';"), []);
  assert.equal(found('control', "import dns from 'node:dns';").length, 1);
  assert.deepEqual(found('control', "import tls from 'node:tls';"), []);
  assert.deepEqual(found('core', "import { createHash } from 'node:crypto';"), []);
});

test('packages that one folder adapts are offences elsewhere', (t) => {
  assert.deepEqual(offences(t, { 'src/intake/a.ts': "import { SMTPServer } from 'smtp-server/lib/smtp-connection.js';" }), [
    'src/intake/a.ts:1 smtp-server belongs in src/intake/smtp',
  ]);
  assert.deepEqual(offences(t, { 'src/intake/smtp/a.ts': "import { SMTPServer } from 'smtp-server';" }), []);
  assert.equal(offences(t, { 'src/spool/memory.ts': "import { ClassicLevel } from 'classic-level';" }).length, 1);
});

test('imports are found behind everything that could hide them', () => {
  const source = `const a = 'it\\'s'; const b = /['"\`]/; const c = \`\${\`}\` + '}'} import x from 'no'\`; // '
import { d } from './d.js';
const e = x / y; export const f = 'import { g } from "./g.js"';
`;
  assert.deepEqual(
    importsOf(source, codeOnly(source)).map(({ specifier, names }) => [specifier, names]),
    [['./d.js', ['d']]],
  );
  assert.equal(codeOnly(source).length, source.length);
});
