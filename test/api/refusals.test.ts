/** What is refused, how it is told, and that nothing is left of it. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { compose, createMta, type MailAgent, type MtaError, type QueueOptions, type SendOptions } from '../../src/index.js';
import { destination, temporaryFolder } from '../support/agent.js';
import { agentTo, ended, LETTER } from './agent.js';

async function refused(work: Promise<unknown>): Promise<MtaError> {
  const error = await work.then(
    () => assert.fail('it was not refused'),
    (error: unknown) => error as MtaError,
  );
  assert.equal(error.name, 'MtaError', String(error));
  return error;
}

const paths = ({ issues }: MtaError) => issues.map(({ path }) => path);

async function assertEmpty(mta: MailAgent): Promise<void> {
  for await (const { message } of mta.list()) assert.fail(`${message.id} was stored`);
}

test('one error names everything that is wrong with a message, and nothing is stored', async (t) => {
  const sink = await destination(t);
  const mta = await agentTo(t, sink);
  const told: string[] = [];
  mta.on('accepted', ({ id }) => told.push(id));
  const wrong: [unknown, readonly string[]][] = [
    [{}, ['from', 'subject', 'to', 'body']],
    [
      { ...LETTER, to: 'joe@', cc: 'a@b.test, @', subject: 'a\r\nBcc: evil@x.test', priority: 'urgent', bounces: 'some', requireTls: 1 },
      ['to', 'cc', 'subject', 'priority', 'bounces', 'requireTls'],
    ],
    [{ ...LETTER, date: '2026-12-01T09:00:00', delay: 1, expires: 'soon' }, ['date', 'delay', 'expires']],
    [{ ...LETTER, delay: 3600, expires: new Date(Date.now() + 60_000) }, ['expires']],
    [
      { ...LETTER, dsn: { notify: ['never', 'delay'], ret: 'all', envid: 'ü', orcpt: 'x' } },
      ['dsn.orcpt', 'dsn.notify', 'dsn.ret', 'dsn.envid'],
    ],
    [{ ...LETTER, attachements: [] }, ['attachements']],
    [
      { ...LETTER, host: 'a b', port: 0, username: '', password: 'a\0b', timeout: -1, ssl: 'yes' },
      ['host', 'port', 'username', 'password', 'timeout', 'ssl'],
    ],
    [{ ...LETTER, username: 'ann' }, ['host', 'password']],
    [{ ...LETTER, host: 'mx.test', password: 'secret' }, ['username']],
    [{ ...LETTER, ssl: true }, ['host']],
    [{ ...LETTER, tags: ['a', '', 7, 'a\u2028b', 'x'.repeat(101)] }, ['tags[1]', 'tags[2]', 'tags[3]', 'tags[4]']],
    [{ ...LETTER, tags: Array.from({ length: 21 }, (_, i) => `tag ${i}`) }, ['tags']],
    [{ ...LETTER, attachments: ['/no/such/file', { name: 'a', data: 7 }] }, ['attachments[0]', 'attachments[1].data']],
    [{ ...LETTER, attachments: ['/no/such/file', '/nor/this/one'] }, ['attachments[0]', 'attachments[1]']],
    [{ ...LETTER, characterSet: 'iso-8859-1', body: '→', subject: '↑' }, ['body']],
    [undefined, ['options']],
  ];
  for (const [options, expected] of wrong) {
    const error = await refused(mta.send(options as SendOptions));
    assert.deepEqual(paths(error).sort(), [...expected].sort(), error.message);
    for (const path of expected) assert.ok(error.message.includes(`${path}: `), error.message);
  }
  assert.equal((await refused(mta.send({ ...LETTER, to: 'joe@' }))).code, 'INVALID_ADDRESS');
  assert.equal((await refused(mta.send({ ...LETTER, subject: 'a\nb' }))).code, 'HEADER_INJECTION');
  await assertEmpty(mta);
  assert.deepEqual([told, sink.counts.messages], [[], 0]);
});

test('queue refuses what it cannot send, by name, and nothing is stored', async (t) => {
  const sink = await destination(t);
  const mta = await agentTo(t, sink);
  const data = 'Subject: x\n\ny\n';
  const to = { from: 'a@b.test', recipients: 'c@dest.test' };
  const used = Readable.from(['x']).resume();
  await new Promise((resolve) => used.once('end', resolve));
  const wrong: [unknown, readonly string[]][] = [
    [{}, ['data', 'from', 'recipients']],
    [{ data: 7, from: 'a', recipients: ['b', 'c@d.test'], hostt: 'smtp.x.test' }, ['hostt', 'data', 'from', 'recipients[0]']],
    [{ ...to, data: used }, ['data']],
    [{ ...to, data: compose({ body: 'a part' }) }, ['data']],
    [{ ...to, data, date: 'tomorrow', priority: 1 }, ['date', 'priority']],
  ];
  for (const [options, expected] of wrong) {
    const error = await refused(mta.queue(options as QueueOptions));
    assert.deepEqual(paths(error).sort(), [...expected].sort(), error.message);
  }
  assert.equal((await refused(mta.queue({ ...to, data: used }))).code, 'STREAM_CONSUMED');
  assert.equal((await refused(mta.queue({ ...to, data: '' }))).code, 'MESSAGE_REFUSED');
  assert.equal((await refused(mta.queue({ ...to, data: 'Subject: a\n\n\0\n' }))).code, 'MESSAGE_REFUSED');
  const broken = new Readable({
    read() {
      this.push(data);
      this.destroy(new Error('the disk is gone'));
    },
  });
  const error = await refused(mta.queue({ ...to, data: broken }));
  assert.match(error.message, /the disk is gone/);
  assert.equal((error.cause as Error).message, 'the disk is gone');
  await assertEmpty(mta);
});

test('a message over the limit is refused with both sizes, also where a stream hides its size, and nothing is stored', async (t) => {
  const sink = await destination(t);
  const path = await temporaryFolder(t);
  const mta = await agentTo(t, sink, { spool: { path, maxMessageSize: 200_000 } });
  const large = { name: 'large.bin', data: Buffer.alloc(160_000) };
  const size = await compose({ ...LETTER, attachment: large }).size();
  const error = await refused(mta.send({ ...LETTER, attachment: large }));
  assert.equal(error.code, 'MESSAGE_TOO_LARGE');
  const told = /^the message has (\d+) octets, and spool\.maxMessageSize allows 200000$/.exec(error.message);
  assert.ok(Math.abs(Number(told?.[1]) - size!) < 100, error.message);
  const streamed = await refused(mta.send({ ...LETTER, attachment: { name: 'a', data: Readable.from([Buffer.alloc(160_000)]) } }));
  assert.deepEqual([streamed.code, /more than 200000 octets/.test(streamed.message)], ['MESSAGE_TOO_LARGE', true]);
  const raw = await refused(mta.queue({ data: Buffer.alloc(200_001, 'a'), from: '', recipients: 'c@dest.test' }));
  assert.match(raw.message, /has 200001 octets, and spool\.maxMessageSize allows 200000/);
  await assertEmpty(mta);
  const fits = await mta.queue({ data: `Subject: x\r\n\r\n${'a'.repeat(199_984)}\r\n`, from: '', recipients: 'c@dest.test' });
  assert.equal(await ended(mta, fits.id), 'sent');
  await mta.close();
  const left = readdirSync(join(path, 'bodies'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  assert.deepEqual(left, []);
});

test('more recipients than a message may have are refused, counted without duplicates', async (t) => {
  const sink = await destination(t);
  const mta = await agentTo(t, sink, { submission: { maxRecipients: 3 } });
  const to = ['a@dest.test', 'b@dest.test', 'a@dest.test'];
  const error = await refused(mta.send({ ...LETTER, to, bcc: 'c@dest.test, d@dest.test' }));
  assert.match(error.message, /^to: there are 4 recipients, and submission\.maxRecipients allows 3$/);
  assert.deepEqual(paths(await refused(mta.queue({ data: 'a: b\n\n', from: '', recipients: [...to, 'c@x.test', 'd@x.test'] }))), [
    'recipients',
  ]);
  assert.equal((await mta.send({ ...LETTER, to, cc: 'c@dest.test' })).recipients, 3);
});

test('wrong settings are named all at once, also those that an agent within a program has not', async (t) => {
  const spool = { path: await temporaryFolder(t), maxMessageSize: 'much' };
  const options = { spool, control: { http: '127.0.0.1:0' }, log: { level: 'info' }, relay: 'x', delivery: { maxConnections: -1 } };
  const error = await refused(createMta(options as unknown as Parameters<typeof createMta>[0]));
  assert.deepEqual(paths(error).sort(), ['control', 'delivery.maxConnections', 'log', 'relay', 'spool.maxMessageSize']);
  const shape = await refused(createMta({ spool: 7, route: { host: 'x' }, retry: 'never' } as never));
  assert.deepEqual(shape.issues.map(({ message }) => message).sort(), [
    'retry is "never", but must be an object with options',
    'route is an object, but must be an array of objects',
    'spool is 7, but must be a path, or an object with options',
  ]);
});

test('a spool has one owner, and an agent that was closed says so', async (t) => {
  const path = await temporaryFolder(t);
  const sink = await destination(t);
  const first = await agentTo(t, sink, { spool: path });
  const error = await refused(agentTo(t, sink, { spool: path }));
  assert.equal(error.code, 'SPOOL_LOCKED');
  assert.ok(error.message.includes(path), error.message);
  const last = first.send(LETTER);
  await Promise.all([first.close(), first.close()]);
  assert.equal((await refused(first.send(LETTER))).code, 'SPOOL_CLOSED');
  assert.equal((await refused(first.status((await last).id))).code, 'SPOOL_CLOSED');
  const second = await agentTo(t, sink, { spool: path });
  assert.equal(await ended(second, (await last).id), 'sent');
  assert.equal(sink.counts.messages, 1);
});

test('an empty selection changes nothing and is an error; a wrong one names what is wrong', async (t) => {
  const mta = await agentTo(t, await destination(t));
  for (const change of [mta.hold, mta.release, mta.retryNow, mta.remove].map((each) => each.bind(mta))) {
    assert.equal((await refused(change({}))).code, 'INVALID_OPTIONS');
    assert.equal((await refused(change({ all: true, domain: 'dest.test' }))).code, 'INVALID_OPTIONS');
    assert.equal((await change({ all: true })).matched, 0);
  }
  const wrong = { id: 'x', state: 'lost', domain: 'a b', sender: '@', olderThan: 'long', tag: '' };
  assert.deepEqual(paths(await refused(mta.remove(wrong as never))).sort(), ['domain', 'id', 'olderThan', 'sender', 'state', 'tag']);
  assert.throws(() => mta.list({ tags: 'a' } as never), { code: 'INVALID_OPTIONS' });
});
