/** Several processes, or several agents of one, on one spool. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createMta } from '../../src/index.js';
import { readOwner } from '../../src/spool/level/owner.js';
import { destination, message, temporaryFolder } from '../support/agent.js';
import { atEnd, until } from '../support/scope.js';
import { agentTo, ended, LETTER } from './agent.js';

test('the second agent on a shared spool works through the first, and takes its place when it ends', async (t) => {
  const sink = await destination(t);
  const spool = await temporaryFolder(t);
  const first = await agentTo(t, sink, { spool, shared: true });
  const second = await agentTo(t, sink, { spool, shared: true });
  const heard: string[] = [];
  second.on('delivered', ({ id }) => heard.push(id));
  const before = await second.send(LETTER);
  assert.equal(await ended(first, before.id), 'sent');
  await until('the event to come over', async () => heard.includes(before.id));
  await first.close();
  const after = await second.queue({ data: message('after'), from: '', recipients: 'joe@dest.test' });
  assert.equal(await ended(second, after.id), 'sent');
  assert.deepEqual([await second.status(before.id), sink.counts.messages], ['sent', 2]);
  await until('the event of our own', async () => heard.includes(after.id));
});

test('mail that waits is delivered by whoever is left, though nobody asks for anything', async (t) => {
  const sink = await destination(t);
  const spool = await temporaryFolder(t);
  const first = await agentTo(t, sink, { spool, shared: true });
  const second = await agentTo(t, sink, { spool, shared: true });
  await first.send({ ...LETTER, delay: 1.5 });
  await first.close();
  await sink.received(1);
  await second.idle({ timeout: 60 });
});

test('what is asked of an agent while it ends is asked of the next one', async (t) => {
  const sink = await destination(t, { keep: 1000 });
  const spool = await temporaryFolder(t);
  const first = await agentTo(t, sink, { spool, shared: true });
  const second = await agentTo(t, sink, { spool, shared: true });
  let going = true;
  const work = async (n: number) => {
    const ids: string[] = [];
    for (let i = 0; going; i++) ids.push((await second.send({ ...LETTER, subject: `${n}-${i}` })).id);
    return ids;
  };
  const works = [0, 1, 2, 3].map(work);
  await sink.received(20);
  await first.close();
  const at = sink.counts.messages;
  await sink.received(at + 20);
  going = false;
  const ids = (await Promise.all(works)).flat();
  await second.idle({ timeout: 60 });
  const subjects = sink.messages.map(({ bytes }) => /^Subject: (.*)\r$/m.exec(bytes.toString())![1]!);
  assert.equal(new Set(ids).size, ids.length);
  assert.equal(subjects.length, ids.length, 'none twice: nobody died');
  assert.equal(new Set(subjects).size, ids.length);
});

test('a guest reads on in a message of many, page by page', async (t) => {
  const sink = await destination(t);
  const spool = await temporaryFolder(t);
  await agentTo(t, sink, { spool, shared: true });
  const guest = await agentTo(t, sink, { spool, shared: true });
  const merge = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`joe-${i}@dest.test`, { n: `${i}` }]));
  const { id } = await guest.send({ from: LETTER.from, subject: '#n#', body: '#n#', merge, delay: 3600 });
  const found: string[] = [];
  for (let after: string | undefined, more = true; more; more = after !== undefined) {
    const view = await guest.inspect(id, { limit: 3, ...(after === undefined ? {} : { after }) });
    found.push(...view!.deliveries.map(({ recipients }) => recipients[0]!.address));
    after = view!.next;
  }
  assert.deepEqual(found, Object.keys(merge));
});

test('a spool whose owner does not share it is locked, with a word of who has it', async (t) => {
  const sink = await destination(t);
  const spool = await temporaryFolder(t);
  await agentTo(t, sink, { spool });
  await assert.rejects(createMta({ spool, shared: true, shutdown: { timeout: 0 } }), { code: 'SPOOL_LOCKED' });
  await assert.rejects(createMta({ spool, shared: 'yes' } as never), { code: 'INVALID_OPTIONS' });
});

test('a stream goes over to the owner in one piece, and is not silently handed in twice', async (t) => {
  const sink = await destination(t);
  const spool = await temporaryFolder(t);
  await agentTo(t, sink, { spool, shared: true });
  const second = await agentTo(t, sink, { spool, shared: true });
  const text = message('streamed').toString();
  const { id } = await second.queue({
    data: Readable.from([text.slice(0, 30), text.slice(30)]),
    from: 'a@b.test',
    recipients: 'c@dest.test',
  });
  assert.equal(await ended(second, id), 'sent');
  const broken = Readable.from(
    (async function* () {
      yield 'Subject: half\r\n\r\n';
      throw new Error('the disk is gone');
    })(),
  );
  await assert.rejects(second.queue({ data: broken, from: 'a@b.test', recipients: 'c@dest.test' }), /the disk is gone/);
  await second.idle({ timeout: 60 });
  assert.equal(sink.counts.messages, 1);
});

interface Member {
  readonly name: string;
  readonly process: ChildProcess;
  readonly sent: string[];
  readonly ready: Promise<void>;
  readonly exited: Promise<number | null>;
}

function member(t: TestContext, name: string, spool: string, port: number): Member {
  const file = fileURLToPath(new URL('shared-member.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', file, spool, String(port), name], { stdio: ['pipe', 'pipe', 'inherit'] });
  atEnd(t, () => void child.kill('SIGKILL'));
  const sent: string[] = [];
  const lines = createInterface({ input: child.stdout! });
  const ready = new Promise<void>((resolve) => {
    lines.on('line', (line) => {
      if (line === 'ready') resolve();
      if (line.startsWith('sent ')) sent.push(line.slice(5));
    });
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { name, process: child, sent, ready, exited };
}

test('a cluster whose owner is killed under load, again and again, loses nothing that was acknowledged', async (t) => {
  const sink = await destination(t, { keep: 100_000 });
  const spool = await temporaryFolder(t);
  const members = [member(t, 'a', spool, sink.port), member(t, 'b', spool, sink.port), member(t, 'c', spool, sink.port)];
  await Promise.all(members.map(({ ready }) => ready));
  const alive = new Set(members);
  for (let kills = 0; kills < 2; kills++) {
    const counts = [...alive].map(({ sent }) => sent.length);
    await until('all of them to have sent', async () => [...alive].every(({ sent }, i) => sent.length > counts[i]! + 30));
    const owner = await until('an owner', async () => {
      const pid = (await readOwner(spool))?.pid;
      return [...alive].find(({ process: child }) => child.pid === pid);
    });
    owner.process.kill('SIGKILL');
    await owner.exited;
    alive.delete(owner);
  }
  const [last] = alive;
  const count = last!.sent.length;
  await until('the last one to go on', async () => last!.sent.length > count + 30);
  last!.process.stdin!.end();
  assert.equal(await last!.exited, 0);
  const arrived = new Map<string, number>();
  for (const { bytes } of sink.messages) {
    const subject = /^Subject: (.*)\r$/m.exec(bytes.toString())![1]!;
    arrived.set(subject, (arrived.get(subject) ?? 0) + 1);
  }
  const rest = await createMta({ spool, route: [{ host: '127.0.0.1', port: sink.port, tls: 'off' }] });
  atEnd(t, () => rest.close());
  await rest.idle({ timeout: 60 });
  for (const { bytes } of sink.messages) arrived.set(/^Subject: (.*)\r$/m.exec(bytes.toString())![1]!, 1);
  const lost = members.flatMap(({ sent }) => sent).filter((subject) => !arrived.has(subject));
  assert.deepEqual(lost, []);
  const second = sink.messages.length - arrived.size;
  assert.ok(second <= 2 * 5, `${second} second copies, and each kill may cause one for each of five connections`);
});
