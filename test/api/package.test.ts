/** The package as others get it: installed into a program, imported, required, and used as README.md shows. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { defects, header, noPython, readByPython, shape } from '../compose/foreign-reader.js';
import { destination, temporaryFolder } from '../support/agent.js';
import { execute } from '../support/commands.js';
import { compileRiata } from '../support/compiled.js';
import type { Scope } from '../support/scope.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A folder of a program that has the package, its compiler and nothing else. */
async function program(scope: Scope): Promise<string> {
  const [main] = await compileRiata(scope);
  const folder = await temporaryFolder(scope, 'riata-program-');
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(dirname(dirname(dirname(main!))), join(folder, 'node_modules/riata'));
  symlinkSync(join(ROOT, 'node_modules/@types'), join(folder, 'node_modules/@types'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  return folder;
}

const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
const requires = major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19);

test('the package is imported and required, its types are found, and the program of README.md compiles and runs', {
  skip: noPython,
}, async (t) => {
  const folder = await program(t);
  const node = (...args: string[]) => execute(process.execPath, args, '', folder);
  const show = "console.log(Object.entries(riata).map(([name, value]) => name + ':' + typeof value).sort().join())";
  const names =
    'ERROR_CODES:object,MtaError:function,compose:function,connectMta:function,createMta:function,merge:function,parseAddressList:function,raw:function,token:function';

  await t.test('import and require give the same', async () => {
    writeFileSync(join(folder, 'a.mjs'), `import * as riata from 'riata';\n${show}`);
    writeFileSync(join(folder, 'a.cjs'), `const riata = require('riata');\n${show}`);
    assert.equal((await node('a.mjs')).out.trim(), names);
    if (!requires) return;
    const required = await node('a.cjs');
    assert.deepEqual([required.code, required.out.trim().replace(/__esModule:\w+,?/, '')], [0, names], required.err);
  });

  const code = /^## From your own process$[^]*?^```js\n([^]*?)^```$/m.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))![1]!;

  await t.test('the snippet compiles, for import and for require', async () => {
    writeFileSync(join(folder, 'snippet.mts'), code);
    writeFileSync(
      join(folder, 'required.cts'),
      "import riata = require('riata');\nexport const made: Promise<riata.MailAgent> = riata.createMta({ spool: 'x' });\n",
    );
    const compilerOptions = { module: 'nodenext', target: 'es2022', strict: true, noEmit: true, types: ['node'] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['snippet.mts', 'required.cts'] }));
    const compiled = await node(join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder);
    assert.deepEqual([compiled.code, compiled.out], [0, '']);
  });

  await t.test('the snippet runs, ends by itself, and what it sends arrives', async () => {
    const sink = await destination(t);
    writeFileSync(join(folder, 'invoice.pdf'), '%PDF-1.7 invoice');
    const route = "host: 'smtp.example.net', port: 587";
    assert.ok(code.includes(route));
    writeFileSync(join(folder, 'snippet.mjs'), code.replace(route, `host: '127.0.0.1', port: ${sink.port}`));
    const run = await node('snippet.mjs');
    assert.deepEqual([run.code, run.err], [0, '']);
    assert.match(run.out, /^(queued|sent)\n$/);
    // What it did not get done before its end is done by the next start.
    writeFileSync(
      join(folder, 'next.mjs'),
      code
        .replace(route, `host: '127.0.0.1', port: ${sink.port}`)
        .replace(/^const \{ id \}[^]*/m, 'await mta.idle();\nawait mta.close();\n'),
    );
    assert.equal((await node('next.mjs')).code, 0);
    assert.equal(sink.counts.messages, 1);
    const [message] = readByPython([sink.messages[0]!.bytes]);
    assert.deepEqual([shape(message!), defects(message!)], ['multipart/mixed(text/plain, application/pdf)', []]);
    assert.equal(header(message!, 'To'), 'Ann Smith <ann@example.net>');
  });
});
