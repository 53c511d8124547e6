/** What goes wrong on a machine: each thing is told in one clear line with the way out, and loses nothing. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import type { Sink, SinkScript } from '../../src/dev/sink.js';
import { sealNumbers } from '../../src/spool/level/codec.js';
import { FORMAT_KEY } from '../../src/spool/level/keys.js';
import { destination, message, settled, subjectOf, submit, temporaryFolder } from '../support/agent.js';
import { type AgentProcess, type Ran, riata, spawnAgent } from '../support/agent-process.js';
import { skipOrFail } from '../support/programs.js';
import { atEnd, type Scope, until } from '../support/scope.js';
import { talk } from '../support/talk.js';

const root = process.getuid?.() === 0;

/** It ended with this code and said one line of this on standard error, which names a way out. */
function assertOneLine({ code, err }: Ran, expected: number, line: RegExp): void {
  assert.match(err, /^riata: [^\n]+\n$/, err);
  assert.match(err, line);
  assert.equal(code, expected, err);
}

const relay = (port: number) => `[[route]]\nhost = "127.0.0.1"\nport = ${port}\n`;
const serve = (scope: Scope, agent: { readonly configFile: string; readonly folder: string }, ...flags: string[]) =>
  riata(scope, ['serve', '--config', agent.configFile, ...flags], { cwd: agent.folder });

/** An agent that had mail for a server that put it off, and has stopped. */
async function stoppedWithMail(scope: Scope, port: number, content = message('waiting')): Promise<{ agent: AgentProcess; id: string }> {
  const agent = await spawnAgent(scope, { toml: relay(port) });
  const id = await submit(agent.verbs, { to: 'once-450@dest.test', content });
  await until('it to be deferred', async () => (await agent.verbs.status(id)).recipients[0]!.attempts === 1);
  assert.equal((await agent.stop()).code, 0);
  return { agent, id };
}

/** Started again, its mail leaves. */
async function assertNothingLost(scope: Scope, { folder }: AgentProcess, port: number, id: string): Promise<void> {
  const again = await spawnAgent(scope, { folder, toml: relay(port) });
  await again.verbs.change({ action: 'retry', selector: { ids: [id] } });
  assert.equal((await settled(again.verbs, id)).status, 'sent');
}

test('everything that is wrong with a configuration is told at once, with its line and the nearest right name', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'riata.toml');
  writeFileSync(
    file,
    'hostnam = "x.test"\n[spool]\nmaxMessageSize = "8 bananas"\n[[route]]\nhost = "smtp.example.net"\nport = 70000\n[delivery.timeouts]\nconect = "1s"\n',
  );
  const { code, err } = await riata(t, ['serve', '--config', file]);
  assert.equal(code, 78);
  const lines = err.trimEnd().split('\n');
  for (const words of [
    /riata\.toml.*:1\b.*hostnam.*hostname/,
    /riata\.toml.*:3\b.*spool\.maxMessageSize.*8 bananas/,
    /riata\.toml.*:6\b.*route\[0\]\.port.*70000/,
    /riata\.toml.*:8\b.*conect.*connect/,
  ]) {
    assert.equal(lines.filter((line) => words.test(line)).length, 1, `${words} in\n${err}`);
  }
  assert.doesNotMatch(err, /\n\s+at /);
  assert.deepEqual(readdirSync(folder), ['riata.toml']);
  assert.equal((await riata(t, ['config', 'check', '--config', file])).code, 78);

  const one = async (path: string, words: RegExp) => {
    const ran = await riata(t, ['serve', '--config', path]);
    assert.deepEqual([ran.code, ran.err.split('\n').length], [78, 3], ran.err);
    assert.match(ran.err, words);
  };
  writeFileSync(file, 'hostname = "x.test\n');
  await one(file, /^ {2}.*riata\.toml:1: .*TOML/m);
  await one(join(folder, 'none.toml'), /none\.toml.*no such file/i);
  mkdirSync(join(folder, 'folder.toml'));
  await one(join(folder, 'folder.toml'), /folder\.toml.*directory/i);
  writeFileSync(file, 'submission.tls.certFile = "/nowhere/cert.pem"\nsubmission.tls.keyFile = "/nowhere/key.pem"\n');
  assertOneLine(await riata(t, ['serve', '--config', file], { cwd: folder }), 78, /submission\.tls\.certFile.*\/nowhere\/cert\.pem/);
});

test('a second agent on the same spool is told who has it, and the first goes on', async (t) => {
  const sink = await destination(t);
  const agent = await spawnAgent(t, { toml: relay(sink.port) });
  assertOneLine(await serve(t, agent), 75, new RegExp(`owned by process ${agent.pid} on .* since .*control\\.sock`));
  const id = await submit(agent.verbs, { to: 'bob@dest.test' });
  assert.equal((await settled(agent.verbs, id)).status, 'sent');
  assert.equal((await agent.riata(['status', id])).code, 0);
});

test('a port in use is told with the setting, and the spool is left as it was', async (t) => {
  const sink = await destination(t);
  const { agent, id } = await stoppedWithMail(t, sink.port);
  assertOneLine(
    await serve(t, agent, '--submission-listen', `127.0.0.1:${sink.port}`),
    69,
    new RegExp(`127\\.0\\.0\\.1:${sink.port}.*another program.*submission\\.listen`),
  );
  assertOneLine(
    await serve(t, agent, '--submission-listen', '192.0.2.1:2525'),
    69,
    /192\.0\.2\.1:2525.*no such address.*submission\.listen/,
  );
  assert.deepEqual(
    readdirSync(agent.spool).filter((name) => name === 'owner' || name === 'control.sock'),
    [],
  );
  await assertNothingLost(t, agent, sink.port, id);
});

test('a spool of somebody else is not touched', { skip: root ? false : skipOrFail('only root can give a folder away') }, async (t) => {
  const sink = await destination(t);
  const { agent, id } = await stoppedWithMail(t, sink.port);
  chownSync(agent.spool, 65_534, 65_534);
  const before = readdirSync(agent.spool, { recursive: true }).sort();
  assertOneLine(
    await serve(t, agent),
    78,
    /belongs to user 65534, and this process runs as user 0: run it as that user, or choose another folder/,
  );
  assertOneLine(await agent.riata(['queue', 'list']), 77, /only its owner, user 65534, may open it/);
  assert.deepEqual(readdirSync(agent.spool, { recursive: true }).sort(), before);
  chownSync(agent.spool, 0, 0);
  await assertNothingLost(t, agent, sink.port, id);
});

test('what stands where the spool should be, and is no folder, is left alone', async (t) => {
  const folder = await temporaryFolder(t);
  writeFileSync(join(folder, 'file'), 'precious');
  assertOneLine(await riata(t, ['serve', '--spool', join(folder, 'file')], { cwd: folder }), 78, /the spool folder .*file cannot be used/);
  assertOneLine(
    await riata(t, ['serve', '--spool', join(folder, 'file', 'below')], { cwd: folder }),
    78,
    /the spool folder .*below cannot be used/,
  );
  assert.equal(readFileSync(join(folder, 'file'), 'utf8'), 'precious');
});

test('a spool from a newer version is not opened', async (t) => {
  const sink = await destination(t);
  const { agent, id } = await stoppedWithMail(t, sink.port);
  const setFormat = async (format: number) => {
    const store = new ClassicLevel(join(agent.spool, 'store'));
    await store.put(FORMAT_KEY, sealNumbers(FORMAT_KEY, [format]), { sync: true });
    await store.close();
  };
  await setFormat(99);
  const newer = /has format 99, and this release reads up to \d+: run the newer release/;
  assertOneLine(await serve(t, agent), 78, newer);
  assertOneLine(await agent.riata(['queue', 'list']), 78, newer);
  assertOneLine(await agent.riata(['spool', 'check']), 78, newer);
  await setFormat(1);
  await assertNothingLost(t, agent, sink.port, id);
});

test('a store that cannot be opened is told, and left as it is', async (t) => {
  const sink = await destination(t);
  const { agent, id } = await stoppedWithMail(t, sink.port);
  const store = join(agent.spool, 'store');
  const kept = join(agent.folder, 'kept');
  cpSync(store, kept, { recursive: true });
  writeFileSync(join(store, 'CURRENT'), 'MANIFEST-999999\n');
  assertOneLine(await serve(t, agent), 75, /the spool .* cannot be opened: .*(?:MANIFEST-999999|CURRENT)/);
  rmSync(store, { recursive: true });
  cpSync(kept, store, { recursive: true });
  await assertNothingLost(t, agent, sink.port, id);
});

const LARGE = message('large', `${'large and dull '.repeat(60)}\r\n`.repeat(60));

/** The one file with a body that a spool has. */
function bodyFile(spool: string): string {
  const names = readdirSync(join(spool, 'bodies'), { recursive: true, encoding: 'utf8' }).filter((name) => /[0-9A-Z]{26}$/.test(name));
  assert.equal(names.length, 1);
  return join(spool, 'bodies', names[0]!);
}

for (const [what, spoil] of [
  [
    'that was altered',
    (file: string) => {
      const bytes = readFileSync(file);
      bytes[bytes.length >> 1]! ^= 1;
      writeFileSync(file, bytes);
    },
  ],
  ['that is gone', (file: string) => unlinkSync(file)],
  ['that was cut short', (file: string) => writeFileSync(file, readFileSync(file).subarray(0, 30_000))],
] as const) {
  test(`a message with a body file ${what} is set aside and told, never sent, and all other mail goes on`, async (t) => {
    const sink = await destination(t);
    const { agent, id } = await stoppedWithMail(t, sink.port, LARGE);
    const file = bodyFile(agent.spool);
    spoil(file);
    const check = await agent.riata(['spool', 'check']);
    assert.deepEqual([check.code, check.out.includes(id)], [65, true], check.out);

    const again = await spawnAgent(t, { folder: agent.folder, toml: relay(sink.port) });
    await again.verbs.change({ action: 'retry', selector: { ids: [id] } });
    const other = await submit(again.verbs, { to: 'bob@dest.test', content: message('other') });
    assert.equal((await settled(again.verbs, other)).status, 'sent');
    await until('it to be set aside', async () => (await again.verbs.stats()).counts.held === 1);
    const status = await again.riata(['status', id]);
    assert.equal(status.code, 0);
    assert.match(status.out, /: queued\n {2}once-450@dest\.test {2}held/);
    const show = await again.riata(['queue', 'show', id]);
    assert.deepEqual([show.code, /held/.test(show.out)], [0, true]);
    assert.notEqual((await again.riata(['queue', 'show', '--raw', id])).code, 0);
    assert.deepEqual(
      sink.messages.map(({ bytes }) => subjectOf(bytes)),
      ['other'],
    );
    assert.equal((await again.stop()).code, 0);
  });
}

/** A small file system of its own, which can be filled. */
function noSmallDisk(): string | false {
  if (!root) return skipOrFail('only root can mount a small file system');
  const probe = spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']);
  // A container that may not mount is no fault of whoever runs it.
  return probe.status === 0 ? false : 'this machine lets nobody mount a file system';
}

function smallDisk(scope: Scope, folder: string, sizeKiB: number): void {
  mkdirSync(folder, { mode: 0o700 });
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeKiB}k,mode=700`, 'tmpfs', folder]).status, 0);
  atEnd(scope, () => spawnSync('umount', ['--lazy', folder]));
}

/** Hands in messages of some 20 KB one after the other until one is refused, which is told. */
async function fill(port: number, accepted: string[], prefix: string): Promise<string> {
  const line = await talk(port);
  await line.reply();
  await line.say('EHLO client.test');
  try {
    for (let number = 0; ; number++) {
      const subject = `${prefix}-${number}`;
      for (const command of ['MAIL FROM:<ann@example.test>', 'RCPT TO:<bob@dest.test>', 'DATA']) {
        const reply = await line.say(command);
        if (!/^(?:250|354)/.test(reply)) return reply;
      }
      const reply = await line.say(`${message(subject, `${'room '.repeat(190)}\r\n`.repeat(20))}.`);
      if (!reply.startsWith('250')) return reply;
      accepted.push(subject);
    }
  } finally {
    line.end();
  }
}

const skipDisk = noSmallDisk();

/** A destination that takes nothing until it is told to. */
async function closedAtFirst(scope: Scope): Promise<{ sink: Sink; open: () => void }> {
  let taking = false;
  const script: SinkScript = ({ verb }) => (verb === 'MAIL' && !taking ? '451 4.3.0 not yet' : undefined);
  return { sink: await destination(scope, { script }), open: () => void (taking = true) };
}

/** Everything that was acknowledged, once. */
async function assertAllArrive(agent: AgentProcess, sink: Sink, accepted: readonly string[]): Promise<void> {
  await until(
    () => `all ${accepted.length} to arrive, not ${sink.counts.messages}`,
    async () => {
      await agent.verbs.change({ action: 'retry', selector: { all: true } });
      return sink.counts.messages >= accepted.length;
    },
    120_000,
  );
  await until('nothing to be left', async () => (await agent.verbs.stats()).counts.messages === 0);
  assert.deepEqual(sink.messages.map(({ bytes }) => subjectOf(bytes)).sort(), [...accepted].sort());
}

test('below the mark of free space mail is refused for the time being, what is there is delivered, and intake opens again', {
  skip: skipDisk,
}, async (t) => {
  const { sink, open } = await closedAtFirst(t);
  const folder = await temporaryFolder(t);
  smallDisk(t, join(folder, 'spool'), 12 * 1024);
  const agent = await spawnAgent(t, { folder, toml: `spool.minFreeSpace = "4MiB"\n${relay(sink.port)}` });
  const filler = join(folder, 'spool', 'somebody-elses');
  writeFileSync(filler, Buffer.alloc(5 << 20));
  const accepted: string[] = [];
  assert.match(await fill(agent.port, accepted, 'first'), /^452 4\.3\.1 /);
  const refused = await agent.riata(['send', '--from', '<>', 'bob@dest.test'], { stdin: message() });
  assertOneLine(refused, 75, /spool\.minFreeSpace\. Make room there/);
  open();
  await assertAllArrive(agent, sink, accepted);
  unlinkSync(filler);
  await until('mail to be taken again', () => takes(agent.port));
  assert.equal((await agent.stop()).code, 0);
});

test('a disk that is full to the last octet loses nothing that was acknowledged, and intake opens again', { skip: skipDisk }, async (t) => {
  const { sink, open } = await closedAtFirst(t);
  const folder = await temporaryFolder(t);
  smallDisk(t, join(folder, 'spool'), 6 * 1024);
  const agent = await spawnAgent(t, { folder, toml: `spool.minFreeSpace = "0B"\n${relay(sink.port)}` });
  const filler = join(folder, 'spool', 'somebody-elses');
  writeFileSync(filler, Buffer.alloc(2 << 20));
  const accepted: string[] = [];
  assert.match(await fill(agent.port, accepted, 'full'), /^4\d\d 4\.3\.\d /);
  assert.ok(accepted.length > 10, `only ${accepted.length} fitted`);
  unlinkSync(filler);
  await until('mail to be taken again', () => takes(agent.port));
  open();
  await assertAllArrive(agent, sink, accepted);
  assert.equal((await agent.stop()).code, 0);
  const check = await agent.riata(['spool', 'check']);
  assert.equal(check.code, 0, check.out + check.err);
});

async function takes(port: number): Promise<boolean> {
  const line = await talk(port);
  await line.reply();
  await line.say('EHLO client.test');
  const reply = await line.say('MAIL FROM:<ann@example.test>');
  line.end();
  return reply.startsWith('250');
}
