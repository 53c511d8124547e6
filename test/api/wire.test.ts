/** What arrives of what was sent, as Python's email package reads it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { compose, type SendOptions } from '../../src/index.js';
import { defects, type ForeignEntity, header, noPython, readByPython, shape } from '../compose/foreign-reader.js';
import { destination, message, temporaryFolder } from '../support/agent.js';
import { agentTo, LETTER } from './agent.js';

const GIF = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');
const skip = noPython;

test('every kind of message arrives as it was meant', { skip }, async (t) => {
  const folder = await temporaryFolder(t);
  const picture = join(folder, 'dot.gif');
  writeFileSync(picture, GIF);
  const sink = await destination(t);
  const mta = await agentTo(t, sink);
  const page = `<p>Grüße <img src="${picture}"></p>`;
  const kinds: Record<string, Partial<SendOptions>> = {
    'text/plain': { body: 'Grüße\n.\nfrom a line with a dot\n' },
    'text/html': { body: undefined, html: '<p>Grüße</p>' },
    'multipart/alternative(text/plain, text/html)': { html: '<p>Hello.</p>' },
    'multipart/related(text/html, image/gif)': { body: undefined, html: page, htmlImages: picture },
    'multipart/alternative(text/plain, multipart/related(text/html, image/gif))': { html: page, htmlImages: [picture] },
    'multipart/mixed(text/plain, image/gif, application/pdf, application/octet-stream)': {
      attachments: [
        picture,
        { name: 'Übersicht.pdf', data: Buffer.from('%PDF') },
        { name: 'from stream', data: Readable.from(['a', 'b']) },
      ],
    },
    'multipart/mixed(text/plain, text/csv)': { attachment: { name: 'a.csv', data: '1,2\n' }, attachments: [] },
    'multipart/mixed(text/plain, message/rfc822(text/plain))': { attachments: [compose({ ...LETTER, subject: 'within' })] },
  };
  await Promise.all(Object.entries(kinds).map(([subject, more]) => mta.send({ ...LETTER, subject, ...more })));
  await sink.received(Object.keys(kinds).length);
  assert.deepEqual(sink.violations, []);
  const found = new Map(readByPython(sink.messages.map(({ bytes }) => bytes)).map((each) => [header(each, 'Subject')!, each]));
  for (const kind of Object.keys(kinds)) {
    const entity = found.get(kind)!;
    assert.deepEqual([shape(entity), defects(entity)], [kind, []]);
    assert.deepEqual(entity.mailboxes['from'], [{ name: 'Ann', address: 'ann@example.test' }]);
  }
  assert.equal(found.get('text/plain')!.text?.replaceAll('\r\n', '\n'), 'Grüße\n.\nfrom a line with a dot\n');
  const [html, image] = found.get('multipart/related(text/html, image/gif)')!.parts as [ForeignEntity, ForeignEntity];
  assert.deepEqual([image.body, image.cid, image.disposition], [GIF.toString('base64'), '<dot.gif>', 'inline']);
  assert.match(html.text!, /<img src="cid:dot\.gif">/);
  const [, gif, pdf, stream] = found.get('multipart/mixed(text/plain, image/gif, application/pdf, application/octet-stream)')!.parts;
  assert.deepEqual([gif!.filename, gif!.body], ['dot.gif', GIF.toString('base64')]);
  assert.deepEqual([pdf!.filename, pdf!.encoding], ['Übersicht.pdf', 'base64']);
  assert.equal(Buffer.from(stream!.body!, 'base64').toString(), 'ab');
});

test('to, cc and bcc each get one copy, and no copy knows of bcc', { skip }, async (t) => {
  const sink = await destination(t);
  const mta = await agentTo(t, sink);
  const sent = await mta.send({
    ...LETTER,
    to: 'Joe <joe@dest.test>, "Smith, Ann" <ann@dest.test>',
    cc: ['kim@other.test', 'JOE@DEST.TEST', 'joe@DEST.test'],
    bcc: 'hidden@dest.test, ann@dest.test',
    replyTo: 'answers@example.test',
    sender: 'desk@example.test',
  });
  assert.equal(sent.recipients, 5);
  await mta.idle({ timeout: 60 });
  const recipients = sink.messages.flatMap((message) => message.recipients);
  assert.deepEqual(recipients.sort(), ['JOE@dest.test', 'ann@dest.test', 'hidden@dest.test', 'joe@dest.test', 'kim@other.test']);
  for (const { bytes, sender } of sink.messages) {
    assert.equal(sender, 'desk@example.test');
    assert.doesNotMatch(bytes.toString('latin1'), /hidden|^bcc:/im);
  }
  const [copy] = readByPython([sink.messages[0]!.bytes]);
  assert.deepEqual(copy!.mailboxes['to'], [
    { name: 'Joe', address: 'joe@dest.test' },
    { name: 'Smith, Ann', address: 'ann@dest.test' },
  ]);
  assert.deepEqual([header(copy!, 'Reply-To'), header(copy!, 'Sender')], ['answers@example.test', 'desk@example.test']);
  assert.equal(header(copy!, 'Message-ID'), sent.messageId);
});

test('the envelope carries what was asked of the way: null sender, reports, size of all', async (t) => {
  const sink = await destination(t, { extensions: ['PIPELINING', 'SIZE', '8BITMIME', 'DSN'] });
  const mta = await agentTo(t, sink);
  const sent = await mta.send({ ...LETTER, returnPath: '', dsn: { notify: ['failure', 'delay'], ret: 'hdrs', envid: 'order 7' } });
  await sink.received(1);
  const [message] = sink.messages;
  assert.equal(message!.sender, '');
  assert.ok(message!.parameters.includes('RET=HDRS') && message!.parameters.includes('ENVID=order+207'), String(message!.parameters));
  assert.match(String(message!.recipientParameters), /NOTIFY=FAILURE,DELAY/);
  assert.equal(message!.bytes.length, sent.size);
});

test('queue takes a message as it is, from memory, a stream or a composer, to whom the envelope says', async (t) => {
  const sink = await destination(t);
  const mta = await agentTo(t, sink);
  const raw =
    'From: a@example.test\nTo: b@example.test\nBcc: c@example.test\nSubject: raw\nDate: Sun, 22 Nov 2026 09:00:00 +0000\nMessage-ID: <1@x>\n\nGrüße\n';
  const wanted = Buffer.from(raw.replace('Bcc: c@example.test\n', '').replaceAll('\n', '\r\n'));
  const to = { from: '', recipients: ['Joe <joe@dest.test>', 'joe@dest.test'] };
  for (const data of [
    raw,
    Buffer.from(raw),
    new Uint8Array(Buffer.from(raw)),
    Readable.from([raw.slice(0, 30), Buffer.from(raw.slice(30))]),
  ]) {
    const sent = await mta.queue({ ...to, data });
    assert.deepEqual([sent.recipients, sent.messageId, sent.size], [1, '<1@x>', wanted.length]);
  }
  const composed = compose({ ...LETTER, bcc: 'hidden@dest.test' });
  assert.deepEqual([(await mta.queue({ data: composed })).recipients, (await mta.queue({ ...to, data: composed })).recipients], [2, 1]);
  await mta.idle({ timeout: 60 });
  const same = sink.messages.filter(({ bytes }) => bytes.equals(wanted));
  assert.deepEqual(
    same.map(({ sender, recipients }) => [sender, ...recipients]),
    Array(4).fill(['', 'joe@dest.test']),
  );
  const ours = sink.messages.filter(({ bytes }) => !bytes.equals(wanted));
  assert.deepEqual(ours.map(({ sender, recipients }) => [sender, ...recipients]).sort(), [
    ['', 'joe@dest.test'],
    ['ann@example.test', 'joe@dest.test', 'hidden@dest.test'],
  ]);
  assert.deepEqual(ours[0]!.bytes, await composed.data());
});

for (const [size, count] of Object.entries({ small: 100, large: 1500 }))
  test(`buffers that are written to after they were handed in are sent as they were (${size})`, async (t) => {
    let greet = () => {};
    const written = new Promise<void>((resolve) => {
      greet = resolve;
    });
    const sink = await destination(t, { script: ({ verb }) => (verb === 'CONNECT' ? written.then(() => undefined) : undefined) });
    const mta = await agentTo(t, sink);
    const lines = `${'a'.repeat(70)}\r\n`.repeat(count);
    const long = Buffer.from(`Subject: mine\r\n\r\n${lines}`);
    // One that lacks nothing is stored in one piece, as it came.
    const [raw, part, enclosed, streamed] = [Buffer.from(message('mine', lines)), Buffer.from(long), Buffer.from(long), Buffer.from(long)];
    await Promise.all([
      mta.queue({ data: raw, from: 'a@b.test', recipients: 'joe@dest.test' }),
      mta.queue({ data: Readable.from([streamed]), from: 'a@b.test', recipients: 'joe@dest.test' }),
      mta.send({ ...LETTER, parts: [part] }),
      mta.send({ ...LETTER, attachments: [{ name: 'a.eml', data: enclosed }] }),
    ]);
    for (const each of [raw, part, enclosed, streamed]) each.fill('x');
    greet();
    await sink.received(4);
    for (const { bytes } of sink.messages) assert.ok(bytes.includes(lines), bytes.toString().slice(0, 2000));
  });
