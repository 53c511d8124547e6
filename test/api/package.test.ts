/** The package as others get it: packed, installed into a program, imported, required, and used as README.md and the guides show. */
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { defects, header, noPython, readByPython, shape } from '../compose/foreign-reader.js';
import { snippetsOf } from '../docs/snippets.js';
import { destination, temporaryFolder } from '../support/agent.js';
import { execute } from '../support/commands.js';
import { compileRiata } from '../support/compiled.js';
import type { Scope } from '../support/scope.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The package, built. */
async function built(scope: Scope): Promise<string> {
  const [main] = await compileRiata(scope);
  return dirname(dirname(dirname(main!)));
}

/** A folder of a program that has the package, nodemailer, their types and nothing else. */
async function program(scope: Scope, riata: string): Promise<string> {
  const folder = await temporaryFolder(scope, 'riata-program-');
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(riata, join(folder, 'node_modules/riata'));
  symlinkSync(join(ROOT, 'node_modules/nodemailer'), join(folder, 'node_modules/nodemailer'));
  symlinkSync(join(ROOT, 'node_modules/@types'), join(folder, 'node_modules/@types'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  return folder;
}

const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
const requires = major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19);

test('the package is imported and required, its types are found, and the program of README.md compiles and runs', {
  skip: noPython,
}, async (t) => {
  const riata = await built(t);
  const folder = await program(t, riata);
  const node = (...args: string[]) => execute(process.execPath, args, '', folder);
  const entries = {
    riata:
      'ERROR_CODES:object,MtaError:function,SmtpClient:function,compose:function,connectMta:function,createMta:function,merge:function,parseAddressList:function,raw:function,token:function',
    'riata/nodemailer': 'riataTransport:function',
    'riata/testing': 'createTestMta:function',
  };

  await t.test('import and require give the same, from every entry', async () => {
    const show = "console.log(Object.entries(all).map(([name, value]) => name + ':' + typeof value).sort().join())";
    for (const [entry, names] of Object.entries(entries)) {
      writeFileSync(join(folder, 'a.mjs'), `import * as all from '${entry}';\n${show}`);
      writeFileSync(join(folder, 'a.cjs'), `const all = require('${entry}');\n${show}`);
      assert.equal((await node('a.mjs')).out.trim(), names);
      if (!requires) continue;
      const required = await node('a.cjs');
      assert.deepEqual([required.code, required.out.trim().replace(/__esModule:\w+,?/, '')], [0, names], required.err);
    }
  });

  await t.test('whoever packs it finds nothing wrong with it, nor with its types', async () => {
    for (const name of ['README.md', 'CHANGELOG.md', 'LICENSE', 'conf', 'docs'])
      cpSync(join(ROOT, name), join(riata, name), { recursive: true });
    const packed = await execute('npm', ['pack', '--offline', '--ignore-scripts', '--json', '--pack-destination', folder], '', riata);
    assert.equal(packed.code, 0, packed.err);
    const [{ filename, files }] = JSON.parse(packed.out) as [{ filename: string; files: { path: string }[] }];
    const tarball = join(folder, filename);
    for (const { path } of files) assert.match(path, /^(?:dist|conf|man|docs)\/|^(?:README|CHANGELOG)\.md$|^LICENSE$|^package\.json$/);
    const publint = await node(join(ROOT, 'node_modules/publint/src/cli.js'), 'run', tarball, '--strict');
    assert.equal(publint.code, 0, publint.out + publint.err);
    // `require` of an ES module is what we mean; older resolution knows no subpaths.
    const attw = ['--no-definitely-typed', '--profile', 'esm-only', '--format', 'ascii', '--no-emoji', '--no-color', tarball];
    const judged = await node(join(ROOT, 'node_modules/@arethetypeswrong/cli/dist/index.js'), ...attw);
    assert.equal(judged.code, 0, judged.out + judged.err);
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

  const sink = await destination(t);
  for (const page of ['api', 'from-nodemailer', 'testing']) {
    await t.test(`the programs of docs/${page}.md compile and run, and print what they say`, { timeout: 180_000 }, async (t) => {
      const snippets = snippetsOf(join(ROOT, `docs/${page}.md`), sink);
      assert.ok(snippets.length > 1);
      for (const { name, code } of snippets) writeFileSync(join(folder, `${name}.mts`), code);
      const files = snippets.map(({ name }) => `${name}.mts`);
      const compilerOptions = { module: 'nodenext', target: 'es2022', strict: true, skipLibCheck: true, types: ['node'], rootDir: '.' };
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
      const compiled = await node(join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder);
      assert.deepEqual([compiled.code, compiled.out], [0, '']);
      for (const { name, prints, code } of snippets) {
        const place = await temporaryFolder(t, 'riata-snippet-');
        symlinkSync(join(folder, 'node_modules'), join(place, 'node_modules'));
        copyFileSync(join(folder, `${name}.mjs`), join(place, 'program.mjs'));
        const run = await execute(process.execPath, ['program.mjs'], '', place);
        assert.equal(run.code, 0, `${name}\n${code}\n${run.err}`);
        if (prints !== undefined) assert.equal(run.out.trim(), prints, name);
      }
    });
  }
});
