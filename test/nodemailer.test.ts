/** nodemailer on top of an agent: what its users write arrives, once it is durable. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { expectTypeOf } from 'expect-type';
import nodemailer from 'nodemailer';
import { type RiataSentInfo, riataTransport } from '../src/nodemailer.js';
import { agentTo } from './api/agent.js';
import { defects, header, noPython, readByPython, shape } from './compose/foreign-reader.js';
import { destination, temporaryFolder } from './support/agent.js';

const LETTER = { from: 'Ann <ann@example.test>', to: 'Joe <joe@dest.test>', subject: 'Grüße', text: 'Hello.' };

test('what sendMail is given arrives as nodemailer composed it, to whom its envelope says', { skip: noPython }, async (t) => {
  const sink = await destination(t, { extensions: ['PIPELINING', '8BITMIME', 'DSN', 'SMTPUTF8'] });
  const mta = await agentTo(t, sink);
  const transporter = nodemailer.createTransport(riataTransport(mta));
  const info = await transporter.sendMail({
    ...LETTER,
    cc: '"Smith, Kim" <kim@dest.test>',
    bcc: 'hidden@dest.test',
    html: '<p>Hello <img src="cid:a">',
    attachments: [
      { filename: 'dot.gif', content: Buffer.from('GIF89a'), cid: 'a' },
      { filename: 'b.txt', content: Readable.from(['from a ', 'stream']) },
    ],
    priority: 'high',
    dsn: { id: 'order 7', return: 'headers', notify: ['failure', 'delay'] },
  });
  expectTypeOf(info.id).toEqualTypeOf<string>();
  assert.deepEqual(info.envelope, { from: 'ann@example.test', to: ['joe@dest.test', 'kim@dest.test', 'hidden@dest.test'] });
  assert.deepEqual([info.accepted, info.rejected, info.pending], [info.envelope.to, [], []]);
  assert.match(info.response, new RegExp(`^250 2\\.0\\.0 .*${info.id}$`));
  await mta.idle({ timeout: 60 });
  assert.equal(await mta.status(info.id), 'sent');
  const [arrived] = sink.messages;
  assert.deepEqual([...arrived!.recipients].sort(), ['hidden@dest.test', 'joe@dest.test', 'kim@dest.test']);
  assert.ok(arrived!.parameters.includes('RET=HDRS') && arrived!.parameters.includes('ENVID=order+207'), String(arrived!.parameters));
  assert.match(String(arrived!.recipientParameters), /NOTIFY=FAILURE,DELAY/);
  assert.doesNotMatch(arrived!.bytes.toString('latin1'), /hidden|^bcc:/im);
  const [message] = readByPython([arrived!.bytes]);
  assert.equal(shape(message!), 'multipart/mixed(multipart/alternative(text/plain, multipart/related(text/html, image/gif)), text/plain)');
  assert.deepEqual([defects(message!), header(message!, 'Message-ID'), header(message!, 'Subject')], [[], info.messageId, 'Grüße']);
  const view = await mta.inspect(info.id);
  assert.equal(view?.message.priority, 'high');
});

test('defaults of the transport and options of a message reach the queue, those of the message first', async (t) => {
  const mta = await agentTo(t, await destination(t));
  const transporter = nodemailer.createTransport(riataTransport(mta, { tags: 'shop', delay: 3600 }));
  const options = { ...LETTER, riata: { tags: ['invoice'], idempotencyKey: 'order 7', bounces: 'none' } };
  const first = (await transporter.sendMail(options)) as RiataSentInfo;
  const second = (await transporter.sendMail(LETTER)) as RiataSentInfo;
  const found = async (tag: string) => {
    const ids: string[] = [];
    for await (const { message, delivery } of mta.list({ tag, state: 'waiting' })) if (delivery.due > Date.now()) ids.push(message.id);
    return ids;
  };
  assert.deepEqual([await found('invoice'), await found('shop')], [[first.id], [second.id]]);
  await assert.rejects(transporter.sendMail({ ...LETTER, riata: { tag: 'x' } } as never), { code: 'INVALID_OPTIONS', message: /tag/ });
  await assert.rejects(transporter.sendMail({ ...LETTER, dsn: { notify: 'sometimes' as 'never' } }), { code: 'INVALID_OPTIONS' });
});

test('an envelope of its own counts, the null sender too, and each address stands for one mailbox', async (t) => {
  const sink = await destination(t);
  const mta = await agentTo(t, sink);
  const transporter = nodemailer.createTransport(riataTransport(mta));
  await transporter.sendMail({ ...LETTER, envelope: { from: false, to: ['a@dest.test', '"b, evil"@dest.test'] } });
  await mta.idle({ timeout: 60 });
  assert.deepEqual([sink.messages[0]!.sender, ...[...sink.messages[0]!.recipients].sort()], ['', '"b, evil"@dest.test', 'a@dest.test']);
  // nodemailer mends such addresses before any transport sees them; ours does not rely on that.
  for (const to of ['x@dest.test>\r\nRCPT TO:<evil@dest.test', 'a@dest.test\0', 'a@dest.test, b@dest.test', '']) {
    const message = {
      getEnvelope: () => ({ from: 'a@b.test', to: [to] }),
      messageId: () => '<1@b.test>',
      createReadStream: () => Readable.from(['Subject: x\n\n']),
    };
    const sending = new Promise((resolve, reject) =>
      riataTransport(mta).send({ data: {}, message }, (error, info) => (error ? reject(error) : resolve(info))),
    );
    await assert.rejects(sending, { name: 'MtaError', code: /^(INVALID_ADDRESS|HEADER_INJECTION)$/ }, JSON.stringify(to));
  }
  assert.equal(sink.counts.messages, 1);
});

test('errors, signals, callbacks and verify are as nodemailer has them', async (t) => {
  const mta = await agentTo(t, await destination(t), {
    spool: { path: await temporaryFolder(t), maxMessageSize: 2048 },
  });
  const transporter = nodemailer.createTransport(riataTransport(mta));
  assert.equal(transporter.isIdle(), true);
  assert.equal(await transporter.verify(), true);
  await new Promise<void>((resolve, reject) => transporter.verify((error: Error | null) => (error ? reject(error) : resolve())));
  await assert.rejects(transporter.sendMail({ ...LETTER, text: 'x'.repeat(5000) }), { code: 'MESSAGE_TOO_LARGE' });
  const broken = new Readable({
    read() {
      this.destroy(new Error('gone'));
    },
  });
  await assert.rejects(transporter.sendMail({ ...LETTER, text: broken }), { message: /gone/ });
  const over = new AbortController();
  const stuck = transporter.sendMail({ ...LETTER, text: new Readable({ read: () => over.abort() }), signal: over.signal });
  await assert.rejects(stuck, { code: /ABORT/ });
  const sent = await new Promise<string>((resolve, reject) =>
    transporter.sendMail(LETTER, (error, info) => (error ? reject(error) : resolve(info.id as string))),
  );
  assert.notEqual(await mta.status(sent), 'unknown');
  await mta.close();
  await assert.rejects(transporter.sendMail(LETTER), { code: 'SPOOL_CLOSED' });
  await assert.rejects(transporter.verify(), { code: 'SPOOL_CLOSED' });
});
