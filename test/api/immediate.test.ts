/** Mail that is sent at once: what its sender is told, before what it goes, and that nothing of it is left. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { MailAgent, MtaError, SentNow } from '../../src/index.js';
import { destination, madeUpDns, temporaryFolder } from '../support/agent.js';
import { succeed } from '../support/commands.js';
import { NOBODY } from '../support/loopback.js';
import { type Scope, until } from '../support/scope.js';
import { agentTo, everywhere, LETTER } from './agent.js';

const states = ({ outcomes }: SentNow) => outcomes.map(({ address, state }) => `${address} ${state}`);

async function assertNothingLeft(mta: MailAgent, folder: string): Promise<void> {
  for await (const { message } of mta.list()) assert.fail(`${message.id} was stored`);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('immediate')),
    [],
  );
}

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => assert.fail('it was not refused'),
    (error: MtaError) => error,
  );

everywhere('each recipient has its outcome, and nothing is stored, retried, told or returned', async (t, agentTo) => {
  const sink = await destination(t);
  const folder = await temporaryFolder(t);
  const mta = await agentTo(t, sink, { spool: folder });
  const events: string[] = [];
  for (const type of ['accepted', 'delivered', 'deferred', 'bounced'] as const) mta.on(type, () => events.push(type));
  const sent = await mta.send({
    ...LETTER,
    to: ['ok@dest.test', 'fail-550@dest.test', 'defer-450@dest.test'],
    bcc: 'hidden@dest.test',
    immediate: true,
  });
  assert.deepEqual(states(sent), [
    'ok@dest.test delivered',
    'fail-550@dest.test failed',
    'defer-450@dest.test deferred',
    'hidden@dest.test delivered',
  ]);
  const [ok, failed] = sent.outcomes;
  assert.match(ok!.server!, /^127\.0\.0\.1\[127\.0\.0\.1\]:\d+$/);
  assert.match(ok!.transcript!, /C: MAIL FROM:<ann@example\.test>/);
  assert.match(failed!.text, /^550 5\.1\.1 /);
  assert.equal(failed!.status, '5.1.1');
  assert.equal(sent.recipients, 4);
  const arrived = sink.messages[0]!;
  assert.deepEqual(arrived.recipients, ['ok@dest.test', 'hidden@dest.test']);
  assert.ok(!/hidden|^bcc/im.test(arrived.bytes.toString()));
  assert.ok(arrived.bytes.includes(`Message-ID: ${sent.messageId}\r\n`));
  assert.equal(arrived.bytes.length, sent.size);
  assert.equal(await mta.status(sent.id), 'unknown');
  await assertNothingLeft(mta, folder);
  assert.equal(sink.counts.messages, 1);
  assert.deepEqual(events, []);
});

everywhere('it rejects only where nobody was accepted, and says why for each', async (t, agentTo) => {
  const sink = await destination(t);
  const mta = await agentTo(t, sink);
  const error = await refusal(mta.immediate({ ...LETTER, to: ['fail-550@dest.test', 'defer-450@dest.test'] }));
  assert.equal(error.code, 'REMOTE_REJECTED');
  assert.deepEqual(
    error.issues.map(({ path, code }) => [path, code]),
    [
      ['fail-550@dest.test', 'FAILED'],
      ['defer-450@dest.test', 'DEFERRED'],
    ],
  );
  assert.match(error.message, /550 5\.1\.1 .*450 4\.2\.0/);
});

test('a server that does not answer is told as it is, and the queue for it rests', async (t) => {
  const mta = await agentTo(t, NOBODY);
  const error = await refusal(mta.immediate(LETTER));
  assert.equal(error.code, 'REMOTE_REJECTED');
  assert.match(error.message, /joe@dest\.test: could not connect: .*ECONNREFUSED/);
});

test('mail for several domains goes to the servers of each, and a domain that is not there fails alone', async (t) => {
  const one = await destination(t);
  const dns = await madeUpDns(t, {
    'one.test': { mx: [[10, 'mx.one.test']] },
    'mx.one.test': { a: ['127.0.0.1'] },
  });
  const mta = await agentTo(t, one, {
    route: [{ domain: 'two.test', host: '127.0.0.1', port: one.port }],
    dns: { servers: [dns.address] },
    delivery: { allowPrivateAddresses: true },
  });
  const sent = await mta.immediate({ ...LETTER, to: ['a@two.test', 'b@nowhere.test', 'c@two.test'] });
  assert.deepEqual(states(sent).sort(), ['a@two.test delivered', 'b@nowhere.test failed', 'c@two.test delivered']);
  assert.equal(sent.outcomes.find(({ address }) => address === 'b@nowhere.test')!.status, '5.1.2');
});

test('it goes before all that is queued, on the connection that is open, and counts among the connections', async (t) => {
  let open = () => {};
  const held = new Promise<undefined>((resolve) => (open = () => resolve(undefined)));
  const sink = await destination(t, { script: ({ verb }, { messages }) => (verb === 'DOT' && messages === 0 ? held : undefined) });
  const mta = await agentTo(t, sink, { delivery: { connectionsPerServer: 1 } });
  for (let n = 1; n <= 5; n++) await mta.send({ ...LETTER, priority: 'high', subject: `queued ${n}` });
  await until('the first one to be on its way', () => sink.counts.connections === 1);
  const sending = mta.immediate({ ...LETTER, subject: 'at once' });
  await until('it to wait', async () => (await Promise.race([sending, Promise.resolve('waits')])) === 'waits');
  open();
  await sending;
  await mta.idle({ timeout: 60 });
  const subjects = sink.messages.map(({ bytes }) => /Subject: (.*)\r/.exec(bytes.toString())![1]);
  // The first was being sent, the second was pipelined behind it or not yet.
  assert.ok(subjects.indexOf('at once') <= 2, subjects.join());
  assert.equal(subjects.length, 6);
  assert.equal(sink.counts.connections, 1);
});

/** A server that never answers to the final dot. `taken`: it has had one; what is sent at once could else go first on a connection that is only open. */
async function stuck(scope: Scope) {
  let take = () => {};
  const taken = new Promise<void>((resolve) => (take = resolve));
  const sink = await destination(scope, { script: ({ verb }) => (verb === 'DOT' ? (take(), { hang: true }) : undefined) });
  return { sink, taken };
}

everywhere('for a place it waits so long as it is told to, and no longer', async (t, agentTo) => {
  const { sink, taken } = await stuck(t);
  const mta = await agentTo(t, sink, { delivery: { connectionsPerServer: 1 }, shutdown: { timeout: 100 } });
  await mta.send(LETTER);
  await taken;
  const before = performance.now();
  const error = await refusal(mta.immediate({ ...LETTER, timeout: 0.3 }));
  assert.equal(error.code, 'REMOTE_REJECTED');
  assert.match(error.message, /no place for a connection to the server within 0\.3 s/);
  assert.ok(performance.now() - before > 290);
});

everywhere('whoever gives it up while it waits is told so, and nothing is sent or left', async (t, agentTo) => {
  const { sink, taken } = await stuck(t);
  const folder = await temporaryFolder(t);
  const mta = await agentTo(t, sink, { spool: folder, delivery: { connectionsPerServer: 1 }, shutdown: { timeout: 100 } });
  const queued = await mta.send(LETTER);
  await taken;
  const control = new AbortController();
  const sending = refusal(mta.immediate({ ...LETTER, signal: control.signal }));
  control.abort();
  assert.equal((await sending).code, 'ABORTED');
  assert.equal((await refusal(mta.immediate({ ...LETTER, signal: control.signal }))).code, 'ABORTED');
  assert.equal(await mta.status(queued.id), 'queued');
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.startsWith('immediate')),
    [],
  );
});

test('an agent that closes gives up what waits for a place', async (t) => {
  const { sink, taken } = await stuck(t);
  const mta = await agentTo(t, sink, { delivery: { connectionsPerServer: 1 }, shutdown: { timeout: 200 } });
  await mta.send(LETTER);
  await taken;
  const sending = refusal(mta.immediate(LETTER));
  await mta.close();
  assert.equal((await sending).code, 'ABORTED');
});

test('more recipients than a server takes at once go in several transactions', async (t) => {
  const sink = await destination(t, {
    script: ({ verb }, { recipients }) => (verb === 'RCPT' && recipients.length >= 2 ? '452 4.5.3 too many' : undefined),
  });
  const mta = await agentTo(t, sink);
  const to = [1, 2, 3, 4, 5].map((n) => `r${n}@dest.test`);
  const sent = await mta.immediate({ ...LETTER, to });
  assert.deepEqual(
    states(sent),
    to.map((address) => `${address} delivered`),
  );
  assert.deepEqual(
    sink.messages.map(({ recipients }) => recipients.length),
    [2, 2, 1],
  );
});

everywhere('content that is large, 8-bit and read once only is made 7-bit for a server that needs it', async (t, agentTo) => {
  const sink = await destination(t, { extensions: ['PIPELINING'] });
  const mta = await agentTo(t, sink);
  const lines = Array.from({ length: 20_000 }, (_, n) => `Zeile ${n}: äöü und noch mehr davon\r\n`).join('');
  const text = `Subject: gross\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${lines}`;
  const sent = await mta.immediate({ data: Readable.from([Buffer.from(text)]), from: 'ann@example.test', recipients: 'joe@dest.test' });
  assert.deepEqual(states(sent), ['joe@dest.test delivered']);
  const arrived = sink.messages[0]!.bytes.toString('latin1');
  assert.ok(/^[\x00-\x7f]*$/.test(arrived));
  assert.match(arrived, /Content-Transfer-Encoding: (?:quoted-printable|base64)/);
});

everywhere('with values for each, everybody gets a copy of their own and has an outcome of their own', async (t, agentTo) => {
  const sink = await destination(t);
  const mta = await agentTo(t, sink);
  const people = Object.fromEntries(Array.from({ length: 80 }, (_, n) => [`p${n}@dest.test`, { name: `Nr. ${n}` }]));
  const sent = await mta.send({
    from: LETTER.from,
    subject: 'For #name#',
    body: 'Dear #name#, #nothing#\n',
    merge: { ...people, 'fail-550@dest.test': { name: 'nobody' } },
    immediate: true,
  });
  assert.equal(sent.outcomes.filter(({ state }) => state === 'delivered').length, 80);
  assert.deepEqual(
    states(sent).filter((one) => !one.endsWith('delivered')),
    ['fail-550@dest.test failed'],
  );
  assert.deepEqual(sent.unknownTokens, { nothing: 81 });
  for (const { recipients, bytes } of sink.messages) {
    const [, n] = /^p(\d+)@/.exec(recipients[0]!)!;
    assert.equal(recipients.length, 1);
    assert.ok(bytes.includes(`Subject: For Nr. ${n}\r\n`) && bytes.includes(`Dear Nr. ${n}, `), bytes.toString());
  }
});

everywhere('through a server of its own, by its own login', async (t, agentTo) => {
  const ordinary = await destination(t);
  const own = await destination(t, { users: { ann: 'correct horse' } });
  const mta = await agentTo(t, ordinary);
  const server = { host: '127.0.0.1', port: own.port, username: 'ann', password: 'correct horse' };
  for (let n = 0; n < 2; n++) assert.deepEqual(states(await mta.immediate({ ...LETTER, ...server })), ['joe@dest.test delivered']);
  assert.deepEqual(
    own.messages.map(({ user }) => user),
    ['ann', 'ann'],
  );
  const wrong = await refusal(mta.immediate({ ...LETTER, ...server, password: 'another horse' }));
  assert.match(wrong.message, /wrong name or password/);
  assert.equal(ordinary.counts.messages, 0);
});

everywhere('what belongs to the queue is refused, not passed over', async (t, agentTo) => {
  const mta = await agentTo(t, { port: 1 });
  const queued = { delay: 5, expires: new Date(Date.now() + 1e6), bounces: 'none', tags: 'a', idempotencyKey: 'k' } as const;
  const error = await refusal(mta.send({ ...LETTER, ...queued, immediate: true }));
  assert.deepEqual(
    error.issues.map(({ path, code }) => `${path} ${code}`).sort(),
    Object.keys(queued)
      .map((name) => `${name} CONFLICT`)
      .sort(),
  );
  assert.deepEqual(
    (await refusal(mta.send({ ...LETTER, immediate: 'yes' as never }))).issues.map(({ path }) => path),
    ['immediate'],
  );
});

test('an attachment of 200 MiB from a stream goes out, above every limit of the queue, and memory does not follow its size', async (t) => {
  const sink = await destination(t, { keep: 0, maxBytes: 400 * 1024 * 1024 });
  const child = fileURLToPath(new URL('immediate-child.ts', import.meta.url));
  const args = ['--import', 'tsx', child, String(sink.port), await temporaryFolder(t)];
  const out = await succeed(process.execPath, args);
  const report = JSON.parse(out.trim().split('\n').at(-1)!) as SentNow & {
    readonly before: number;
    readonly most: number;
    readonly left: readonly string[];
  };
  t.diagnostic(`from ${(report.before / 1024).toFixed(0)} to at most ${(report.most / 1024).toFixed(0)} MiB`);
  assert.deepEqual([report.outcomes[0]!.state, sink.counts.messages, report.left], ['delivered', 1, []]);
  assert.ok(report.size > 200 * 1024 * 1024 * 1.33, String(report.size));
  assert.ok(report.most - report.before < 120 * 1024, `${report.before} to ${report.most} KiB`);
});
