import assert from 'node:assert/strict';
import { lstat, readdir, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createTransport } from 'nodemailer';
import { type Sink, type SinkScript, startSink } from '../../src/dev/sink.js';
import { systemClock } from '../../src/platform/clock.js';
import { silentLog } from '../../src/platform/log.js';
import { openLevelSpool } from '../../src/spool/level/open.js';
import { type Process, riata, temporaryFolder } from './process.js';

interface Agent {
  readonly folder: string;
  readonly config: string;
  readonly sink: Sink;
  serve(): Process;
}

/** An agent that relays all to a sink, as a process: what a service manager sees. */
async function agent(t: TestContext, script?: SinkScript): Promise<Agent> {
  const folder = await temporaryFolder(t);
  const sink = await startSink(script === undefined ? {} : { script });
  t.after(() => sink.close());
  const config = path.join(folder, 'riata.toml');
  await writeFile(
    config,
    `hostname = "mail.example.test"
[spool]
path = "${folder}/spool"
[submission]
listen = ["127.0.0.1:0"]
[[route]]
host = "127.0.0.1"
port = ${sink.port}
tls = "off"
`,
  );
  return { folder, sink, config, serve: () => riata(t, ['serve', '--config', config], { cwd: folder }) };
}

interface Line {
  readonly event: string;
  readonly level: string;
  readonly listen: string;
  readonly socket: string;
}

const lines = (out: string): Line[] =>
  out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);

function portOf(process: Process): number {
  const started = lines(process.out).find((line) => line.event === 'agent.started');
  return Number(started!.listen.split(':').at(-1));
}

const STARTED = '"agent.started"';

test('serve takes mail, delivers it, answers the other commands, and drains on SIGTERM', { timeout: 120_000 }, async (t) => {
  const { folder, sink, config, serve } = await agent(t);
  const served = serve();
  await served.says(STARTED);
  const { socket } = lines(served.out).find((line) => line.event === 'agent.started')!;
  assert.equal(socket, path.join(folder, 'spool', 'control.sock'));
  assert.equal((await lstat(socket)).mode & 0o777, 0o600);

  const transport = createTransport({ host: '127.0.0.1', port: portOf(served), secure: false, ignoreTLS: true });
  const { response } = (await transport.sendMail({
    from: 'a@example.com',
    to: 'ok@dev.test, defer-450@dev.test',
    subject: 'one',
    text: 'hello',
  })) as { response: string };
  transport.close();
  const id = /[0-9A-HJKMNP-TV-Z]{26}/.exec(response)![0];
  await sink.received(1);
  const send = riata(t, ['send', '--config', config, '--wait', 'ok@dev.test'], { stdin: 'From: b@example.com\nSubject: two\n\nhello\n' });
  assert.equal(await send.ended, 0, send.err);
  assert.match(send.out, /: sent\n/);
  assert.equal(sink.counts.messages, 2);

  await served.says('"mail.deferred"');
  const status = riata(t, ['status', id, '--config', config]);
  const second = riata(t, ['serve', '--config', config], { cwd: folder });
  assert.deepEqual([await status.ended, status.out.split('\n')[0]], [0, `${id}: queued`]);
  assert.equal(await second.ended, 75, 'a second agent on the same spool');
  assert.match(second.err, new RegExp(`owned by process ${served.child.pid}`));

  served.child.kill('SIGTERM');
  assert.equal(await served.ended, 0);
  assert.equal(lines(served.out).at(-1)?.event, 'agent.stopped');
  assert.equal(served.err, '');
  await assert.rejects(lstat(socket), { code: 'ENOENT' });
  assert.deepEqual(
    lines(served.out)
      .filter((line) => line.event.startsWith('mail.'))
      .map((line) => line.event)
      .sort(),
    ['mail.accepted', 'mail.accepted', 'mail.deferred', 'mail.delivered', 'mail.delivered'],
  );
});

test('SIGTERM waits for the answer to a dot that was sent, a second signal waits for nothing', { timeout: 120_000 }, async (t) => {
  let dots = 0;
  const hold = { release: () => {} };
  const gate = new Promise<void>((resolve) => {
    hold.release = resolve;
  });
  const { serve, config } = await agent(t, async ({ verb }) => {
    if (verb !== 'DOT') return undefined;
    dots++;
    await gate;
    return undefined;
  });
  const served = serve();
  await served.says(STARTED);
  const send = riata(t, ['send', '--config', config, 'x@dev.test'], { stdin: 'From: b@example.com\n\nhello\n' });
  assert.equal(await send.ended, 0, send.err);
  while (dots === 0) await new Promise((resolve) => setImmediate(resolve));
  served.child.kill('SIGTERM');
  await served.says('"agent.stopping"');
  served.child.kill('SIGINT');
  assert.equal(await served.ended, 130);
  // What it did not wait for is in the spool, and goes again.
  const again = serve();
  await again.says(STARTED);
  while (dots < 2) await new Promise((resolve) => setImmediate(resolve));
  again.child.kill('SIGTERM');
  await again.says('"agent.stopping"');
  hold.release();
  assert.equal(await again.ended, 0);
  assert.ok(
    lines(again.out).some((line) => line.event === 'mail.delivered'),
    'the answer was heard',
  );
});

test('what keeps the agent from starting is one clear line with the way out, and leaves nothing behind', {
  timeout: 120_000,
}, async (t) => {
  const { folder, config } = await agent(t);
  const taken = net.createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as net.AddressInfo;
  const inUse = riata(t, ['serve', '--config', config, '--submission-listen', `127.0.0.1:${port}`]);
  const wrong = riata(t, ['serve', '--config', config, '--retry-factor', 'often']);
  await writeFile(path.join(folder, 'file'), '');
  const noFolder = riata(t, ['serve', '--config', config, '--spool', path.join(folder, 'file')]);
  assert.equal(await inUse.ended, 69, inUse.err);
  assert.match(inUse.err, new RegExp(`^riata: .*${port}.*\n$`));
  assert.deepEqual(
    await readdir(path.join(folder, 'spool')).then((names) => names.filter((name) => name === 'owner' || name.startsWith('control'))),
    [],
  );
  assert.equal(await wrong.ended, 78);
  assert.match(wrong.err, /--retry-factor: .*often/);
  assert.equal(await noFolder.ended, 78, noFolder.err);
  assert.match(noFolder.err, /^riata: the spool folder .*\n$/);
});

test('a spool that is only looked at is waited for', { timeout: 120_000 }, async (t) => {
  const { folder, serve } = await agent(t);
  const spoolPath = path.join(folder, 'spool');
  const looking = await openLevelSpool({
    path: spoolPath,
    clock: systemClock,
    log: silentLog,
    inlineLimitBytes: 1024,
    minFreeBytes: 0,
    historyRetentionMs: 0,
    historyMaxBytes: 0,
    promoteAfterMs: 1000,
  });
  const served = serve();
  await served.says('"agent.waiting"');
  await looking.close();
  await served.says(STARTED);
  served.child.kill('SIGTERM');
  assert.equal(await served.ended, 0);
});

test('dev shows mail go its way, and takes everything with it when it ends', { timeout: 120_000 }, async (t) => {
  const dev = riata(t, ['dev', '--port', '0']);
  await dev.says('Control-C ends it.');
  const spool = /--spool (\S+)/.exec(dev.out)![1]!;
  const address = /(http:\S+) in a browser/.exec(dev.out)![1]!;
  assert.equal((await fetch(`${address}v1/agent`)).status, 200);
  const send = riata(t, ['send', '--spool', spool, '--wait', 'ok@dev.test', 'any@backup.test', 'none@null.test', '-f', 'me@dev.test'], {
    stdin: 'Subject: Hello\n\nx\n',
  });
  assert.equal(await send.ended, 69, send.err);
  assert.match(send.out, /none@null\.test +bounced/);
  assert.match(send.out, /any@backup\.test +delivered/);
  await dev.says(/arrived .*→ me@dev\.test/);
  assert.match(dev.out, /arrived +me@dev\.test → ok@dev\.test “Hello”/);
  dev.child.kill('SIGINT');
  assert.equal(await dev.ended, 0, dev.err);
  await assert.rejects(lstat(spool), { code: 'ENOENT' });
});

test('a reader that goes away ends the command quietly', { timeout: 120_000 }, async (t) => {
  const help = riata(t, ['serve', '--help']);
  help.child.stdout!.destroy();
  assert.equal(await help.ended, 0);
  assert.equal(help.err, '');
});

test('serve and health without any option, as a container calls them, are what they are with options', async (t) => {
  const folder = await temporaryFolder(t);
  const env = { RIATA_SPOOL_PATH: path.join(folder, 'spool'), RIATA_SUBMISSION_LISTEN: '127.0.0.1:0' };
  const none = riata(t, ['health'], { env });
  assert.equal(await none.ended, 69);
  assert.match(none.err, /^riata: no agent runs on the spool .*spool/);
  const wrong = riata(t, ['serve'], { env: { ...env, RIATA_RETRY_FACTOR: 'often' } });
  assert.equal(await wrong.ended, 78);
  assert.match(wrong.err, /^riata: one setting is wrong:\n {2}RIATA_RETRY_FACTOR: retry\.factor is "often"/);
  const serve = riata(t, ['serve'], { env });
  await serve.says('"agent.started"');
  const [plain, json] = [riata(t, ['health'], { env }), riata(t, ['health', '--json'], { env })];
  assert.deepEqual([await plain.ended, plain.out, plain.err], [0, 'alive\n', '']);
  assert.equal(await json.ended, 0);
  assert.equal(typeof JSON.parse(json.out), 'object');
  serve.child.kill('SIGTERM');
  assert.equal(await serve.ended, 0);
});
