/** The command line as a whole: what every command must have, the manual page, and completion in the shells that there are. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { COMMAND_LINE } from '../../src/cli/commands/all.js';
import { SHELLS, type Shell } from '../../src/cli/commands/completion.js';
import { completionScript } from '../../src/cli/completion.js';
import { manPage } from '../../src/cli/man.js';
import { type CommandOutline, leaves, outline } from '../../src/cli/outline.js';
import { width } from '../../src/cli/visible.js';
import { temporaryFolder } from '../support/agent.js';
import { execute, succeed } from '../support/commands.js';
import { lacks } from '../support/programs.js';
import { run } from './run.js';

const root = outline(COMMAND_LINE);
const named = (command: CommandOutline) => ['riata', ...command.path].join(' ');

test('every command says what it does, has an example, and describes each of its options and arguments', () => {
  for (const command of leaves(root)) {
    const { describe, examples, options, positionals } = command;
    assert.match(describe, /^[A-Z].*[^.]$/, named(command));
    assert.ok(examples.length > 0, `${named(command)} has no example`);
    for (const { name, describe: about } of [...options, ...positionals])
      assert.match(about, /^["A-Z].*[^.]$/, `${named(command)}: ${name}`);
  }
});

test('examples use commands and options that there are', () => {
  for (const command of leaves(root)) {
    for (const [line] of command.examples) {
      // What stands between `riata` and the end of that part of the shell's line.
      for (const [, words = ''] of line.matchAll(/\$0 ([^|<>)]*)/g)) {
        const found = leaves(root).find(({ path }) => words === path.join(' ') || words.startsWith(`${path.join(' ')} `));
        assert.ok(found, `${line}: no such command`);
        if (found.path[0] === 'sendmail') continue;
        const known = new Set([...found.options, ...root.options].flatMap(({ name, alias }) => [`--${name}`, `-${alias}`]));
        for (const [word] of words.matchAll(/(?<= )--?[a-z][\w-]*/gi)) assert.ok(known.has(word), `${line}: ${word}`);
      }
    }
  }
});

test('the help of every command fits into 80 columns and ends with 0', async () => {
  for (const command of [root, ...root.commands, ...leaves(root)]) {
    const { code, out, err } = await run([...command.path, '--help']);
    assert.deepEqual([code, err], [0, ''], named(command));
    // An example is one line, to be copied.
    for (const line of out.split('\n'))
      assert.ok(width(line) <= 80 || line.startsWith('    riata ') || line.startsWith('    printf '), `${named(command)}: ${line}`);
  }
});

test('help is that of the command which the words name, wherever --help stands, and examples can be copied', async () => {
  const first = async (...argv: string[]) => (await run(argv)).out.split('\n')[0];
  assert.equal(await first('--help'), 'riata <command>');
  assert.equal(await first('queue', '-h'), 'riata queue <command>');
  assert.equal(await first('--help', 'queue', 'list'), 'riata queue list [options] [id...]');
  // The folder of a spool may be called like a command.
  assert.equal(await first('--spool', 'queue', 'mx', 'example.net', '--help'), 'riata mx [options] <domain>');
  assert.equal(await first('nothing', '--help'), 'riata <command>');
  assert.equal(await first('sendmail', '--help'), 'riata sendmail [recipient...]');
  for (const command of leaves(root)) {
    const { out } = await run([...command.path, '--help']);
    for (const [line] of command.examples) assert.ok(out.includes(`    ${line.replaceAll('$0', 'riata')}\n`), line);
    for (const { name, describe } of command.options) assert.ok(out.replace(/\s+/g, ' ').includes(describe), name);
  }
});

test('the manual page tells of every command and option, and mandoc finds nothing wrong with it', { skip: lacks('mandoc') }, async () => {
  const page = manPage('2026-11-30');
  for (const command of leaves(root)) {
    assert.ok(page.includes(`.SS ${named(command)}\n`), named(command));
    for (const { name } of command.options) assert.ok(page.includes(`--${name}`.replaceAll('-', '\\-')), name);
  }
  const { out, err } = await execute('mandoc', ['-T', 'lint', '-W', 'style'], page);
  // Links to other pages are looked for on this machine.
  const found = `${out}${err}`.split('\n').filter((line) => line !== '' && !/referenced manual not found/.test(line));
  assert.deepEqual(found, []);
});

async function script(t: TestContext, shell: Shell): Promise<string> {
  const file = join(await temporaryFolder(t), `riata.${shell}`);
  writeFileSync(file, completionScript(COMMAND_LINE, shell));
  return file;
}

test('completion prints the script, and knows no other shell', async () => {
  for (const shell of SHELLS) assert.equal((await run(['completion', shell])).out, completionScript(COMMAND_LINE, shell));
  assert.equal((await run(['completion', 'tcsh'])).code, 64);
});

/** What is offered for the last word. */
const CASES: readonly (readonly [words: readonly string[], offered: readonly string[]])[] = [
  [['que'], ['queue']],
  [
    ['queue', 're'],
    ['remove', 'retry', 'release', 'reschedule', 'resume'],
  ],
  [['queue', 'list', '--sta'], ['--state']],
  [
    ['queue', 'list', '--state', ''],
    ['ready', 'waiting', 'held', 'sending'],
  ],
  // The folder of a spool may be called like a command.
  [['--spool', 'queue', 'queue', 'sha'], ['shape']],
  [['send', '--priority', 'h'], ['high']],
  [['completion', 'f'], ['fish']],
  [['user', 'add', '--gen'], ['--generate']],
];

test('bash completes commands, options and choices', { skip: lacks('bash') }, async (t) => {
  const file = await script(t, 'bash');
  const complete = async (words: readonly string[]) => {
    const out = await succeed('bash', [
      '-c',
      `source '${file}'; COMP_WORDS=(riata "$@"); COMP_CWORD=$#; _riata; printf '%s\\n' "\${COMPREPLY[@]}"`,
      '-',
      ...words,
    ]);
    return out.split('\n').filter((word) => word !== '');
  };
  for (const [words, offered] of CASES) assert.deepEqual(await complete(words), offered, words.join(' '));
  // As bash cuts --priority=h.
  assert.deepEqual(await complete(['send', '--priority', '=', 'h']), ['high']);
  assert.deepEqual(await complete(['send', '--file', 'h']), []);
});

test('fish completes them, and says what each does', { skip: lacks('fish') }, async (t) => {
  const file = await script(t, 'fish');
  const complete = async (words: readonly string[]) =>
    (await succeed('fish', ['--no-config', '-c', `source '${file}'; complete -C "riata $argv"`, '--', ...words]))
      .split('\n')
      .filter((line) => line !== '');
  for (const [words, offered] of CASES) {
    const found = (await complete(words)).map((line) => line.split('\t')[0]!);
    assert.deepEqual(found.sort(), [...offered].sort(), words.join(' '));
  }
  assert.deepEqual(await complete(['queue', 'sha']), ['shape\tHow old what waits is, by domain']);
});

test('zsh completes them', { skip: lacks('zsh') }, async (t) => {
  const file = await script(t, 'zsh');
  await succeed('zsh', ['-n', file]);
  // The functions of its completion system, as far as they tell what is offered.
  const system = `compdef() { : }; _files() { : }; _message() { : }; compset() { : }; compadd() { shift; print -l -- $@ }
_describe() { [[ $1 == -o ]] && shift; for each in "\${(@P)2}"; do print -r -- "\${each%%:*}"; done }`;
  const complete = async (words: readonly string[]) => {
    const out = await succeed('zsh', [
      '-f',
      '-c',
      `${system}\nsource '${file}'\nwords=(riata "$@") CURRENT=$(( $# + 1 ))\n_riata`,
      '-',
      ...words,
    ]);
    return out.split('\n').filter((word) => word !== '' && word.startsWith(words.at(-1)!));
  };
  for (const [words, offered] of CASES) assert.deepEqual(await complete(words), offered, words.join(' '));
});

test('config env lists every variable with its value, and never a secret', async () => {
  const env = { RIATA_SPOOL_PATH: '/tmp/x', RIATA_RELAY_HOST: 'relay.test', RIATA_RELAY_USERNAME: 'me', RIATA_RELAY_PASSWORD: 'hunter2' };
  const { code, out } = await run(['config', 'env'], { env });
  assert.equal(code, 0);
  assert.doesNotMatch(out, /hunter2/);
  const lines = out.split('\n');
  const of = (name: string) =>
    lines
      .find((line) => line.split(/ +/)[0] === name)!
      .split(/ {2,}/)
      .slice(1);
  assert.deepEqual(of('RIATA_SPOOL_PATH'), ['"/tmp/x"', 'environment']);
  assert.deepEqual(of('RIATA_RELAY_HOST'), ['"relay.test"', 'environment']);
  assert.deepEqual(of('RIATA_RELAY_PASSWORD[_FILE]'), ['"********"', 'environment']);
  assert.equal(of('RIATA_RETRY_EXPIRY').at(-1), 'default');
  for (const line of lines) assert.ok(width(line) <= 80, line);
  const unset = (await run(['config', 'env', '--json'])).out
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as { variable: string; value: string; setting: string }]));
  assert.equal(unset.find(({ variable }) => variable === 'RIATA_RELAY_HOST')!.value, '');
  assert.ok(unset.length > 40);
});
