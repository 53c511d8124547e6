/**
 * The capabilities of the API, one by one, each judged by what arrives at a server, read by Python's email package. The numbers are those
 * of the list of capabilities that the API implements (`docs/api.md` names them). What needs more than a row has tests of its own.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { compose, type MailAgent, merge, type QueueOptions, raw, type SendOptions, SmtpClient, token } from '../../src/index.js';
import { createTestMta, type TestMta, type TestMtaOptions } from '../../src/testing/index.js';
import { defects, type ForeignEntity, header, noPython, readByPython, shape } from '../compose/foreign-reader.js';
import { destination, temporaryFolder } from '../support/agent.js';
import { atEnd, type Scope } from '../support/scope.js';
import { agentTo, LETTER } from './agent.js';

const GIF = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');

interface Wire {
  readonly mta: MailAgent;
  /** What arrived of it: one for each server transaction. */
  send(options: Partial<SendOptions>): Promise<Arrived>;
  queue(options: QueueOptions): Promise<Arrived>;
}

interface Arrived {
  readonly id: string;
  readonly entity: ForeignEntity;
  readonly sender: string;
  readonly recipients: readonly string[];
  readonly bytes: Buffer;
}

async function wire(t: Scope): Promise<Wire> {
  const sink = await destination(t);
  const mta = await agentTo(t, sink);
  const arrived = async (handing: Promise<{ readonly id: string; readonly messageId: string }>): Promise<Arrived> => {
    const { id, messageId } = await handing;
    await mta.idle({ timeout: 60 });
    // A copy of a merge has a Message-ID of its own.
    const { bytes, sender, recipients } = sink.messages.find((one) => one.bytes.includes(messageId)) ?? sink.messages.at(-1)!;
    const entity = readByPython([bytes])[0]!;
    assert.deepEqual(defects(entity), []);
    return { id, entity, sender, recipients, bytes };
  };
  return {
    mta,
    send: (options) => arrived(mta.send({ ...LETTER, ...options } as SendOptions)),
    queue: (options) => arrived(mta.queue(options)),
  };
}

const only = (given: Partial<SendOptions>) => ({ body: undefined, ...given });
const octets = ({ body }: ForeignEntity) => Buffer.from(body!, 'base64');
const plain = (text: string | null | undefined) => text?.replaceAll('\r\n', '\n');

const ROWS: Readonly<Record<number, readonly [what: string, check: (t: Scope) => Promise<void>]>> = {
  1: [
    'send names everything that is missing in one error',
    async (t) => {
      const { mta, send } = await wire(t);
      await assert.rejects(mta.send({} as SendOptions), (error: { issues: { path: string }[] }) => {
        assert.deepEqual(error.issues.map(({ path }) => path).sort(), ['body', 'from', 'subject', 'to']);
        return true;
      });
      assert.equal(header((await send({})).entity, 'Subject'), LETTER.subject);
    },
  ],
  2: [
    'to, cc and bcc take lists of every form, and Bcc stays in the envelope',
    async (t) => {
      const { send } = await wire(t);
      const { entity, recipients, bytes } = await send({
        to: ['"Smith, Ann" <ann@dest.test>, team: joe@dest.test, kim@dest.test;', { name: 'Jürgen', address: 'j@bücher.example' }],
        cc: 'joe@DEST.test, (a comment) lee@dest.test',
        bcc: ['hidden@dest.test', 'ann@dest.test'],
      });
      assert.deepEqual([...recipients].sort(), [
        'ann@dest.test',
        'hidden@dest.test',
        'j@xn--bcher-kva.example',
        'joe@dest.test',
        'kim@dest.test',
        'lee@dest.test',
      ]);
      assert.deepEqual(entity.mailboxes['to']?.[0], { name: 'Smith, Ann', address: 'ann@dest.test' });
      assert.doesNotMatch(bytes.toString('latin1'), /hidden|^bcc/im);
    },
  ],
  3: [
    'body alone is a single text/plain',
    async (t) => assert.equal(shape((await (await wire(t)).send({ body: 'b' })).entity), 'text/plain'),
  ],
  4: [
    'html alone is a single text/html',
    async (t) => assert.equal(shape((await (await wire(t)).send(only({ html: '<p>b' }))).entity), 'text/html'),
  ],
  5: [
    'both are alternatives, plain first',
    async (t) => assert.equal(shape((await (await wire(t)).send({ html: '<p>b' })).entity), 'multipart/alternative(text/plain, text/html)'),
  ],
  6: [
    'images stand within the page, and only their exact names are rewritten',
    async (t) => {
      const { send } = await wire(t);
      const path = join(await temporaryFolder(t), 'dot.gif');
      writeFileSync(path, GIF);
      const html = `<img src="${path}"><img src="${path}x"><img src="cid:dot.gif"><a href="${path}">${path}</a>`;
      for (const htmlImages of [path, [path], { [path]: GIF }, [{ name: path, data: GIF }]] as const) {
        const { entity } = await send(only({ html, htmlImages: htmlImages as SendOptions['htmlImages'] }));
        assert.equal(shape(entity), 'multipart/related(text/html, image/gif)');
        const [page, image] = entity.parts;
        assert.deepEqual([image?.cid, image?.disposition, octets(image!).equals(GIF)], ['<dot.gif>', 'inline', true]);
        assert.equal(page?.text?.trim(), html.replace(`src="${path}"`, 'src="cid:dot.gif"'));
      }
      const twice = [path, { name: 'other/dot.gif', data: GIF }];
      await assert.rejects(send(only({ html, htmlImages: twice })), { code: 'INVALID_OPTIONS', message: /dot\.gif|same/ });
    },
  ],
  7: [
    'attachments of every kind arrive octet for octet, under their names',
    async (t) => {
      const { send } = await wire(t);
      const path = join(await temporaryFolder(t), 'a.csv');
      writeFileSync(path, '1,2\n');
      const { entity } = await send({
        attachments: [
          path,
          { name: 'Grüße 😀.pdf', data: Buffer.from([0, 1, 255]) },
          { name: 'u.bin', data: new Uint8Array([1, 2]) },
          { name: 's.txt', data: 'text' },
          { name: 'r.txt', data: Readable.from(['a', 'b']), contentType: 'text/x-log' },
        ],
        attachment: { name: 'one.txt', data: 'one' },
      });
      assert.deepEqual(
        entity.parts.slice(1).map((part) => [part.filename, part.type, octets(part).toString('latin1'), part.encoding]),
        [
          ['one.txt', 'text/plain', 'one', 'base64'],
          ['a.csv', 'text/csv', '1,2\n', 'base64'],
          ['Grüße 😀.pdf', 'application/pdf', '\0\x01\xff', 'base64'],
          ['u.bin', 'application/octet-stream', '\x01\x02', 'base64'],
          ['s.txt', 'text/plain', 'text', 'base64'],
          ['r.txt', 'text/x-log', 'ab', 'base64'],
        ],
      );
      assert.equal(shape((await send({ attachments: { 'm.txt': 'map' } })).entity), 'multipart/mixed(text/plain, text/plain)');
    },
  ],
  8: [
    'a composed part stands wherever a part may stand',
    async (t) => {
      const { send } = await wire(t);
      const part = compose({ body: 'part' });
      const image = compose({
        parts: [`Content-Type: image/gif\r\nContent-ID: <x>\r\nContent-Transfer-Encoding: base64\r\n\r\n${GIF.toString('base64')}\r\n`],
      });
      const { entity } = await send({
        html: '<img src="cid:x">',
        attachments: [part],
        htmlImages: [image],
        parts: [compose({ html: '<i>' })],
      });
      assert.equal(
        shape(entity),
        'multipart/mixed(multipart/alternative(text/plain, multipart/related(text/html, multipart/mixed(image/gif))), text/plain, text/html)',
      );
    },
  ],
  9: [
    'tokens are defaults for every recipient',
    async (t) => {
      const { send } = await wire(t);
      const { entity } = await send({
        subject: 'Hello #name#',
        body: 'Your #thing# is here.\n',
        tokens: { name: 'Jürgen', thing: 'parcel' },
        merge: { [LETTER.to]: {} },
      });
      assert.deepEqual([header(entity, 'Subject'), plain(entity.text)], ['Hello Jürgen', 'Your parcel is here.\n']);
    },
  ],
  10: [
    'merge gives each address a copy of its own, and what is no recipient is an error',
    async (t) => {
      const mta = await testMta(t);
      const merge = { 'Joe@DEST.test': { name: 'Joe' }, 'ann@other.test': { name: 'Ann' } };
      const { id, recipients } = await mta.send({ ...LETTER, to: 'joe@dest.test', cc: 'ann@other.test', subject: 'Hello #name#', merge });
      await mta.settle();
      assert.deepEqual([recipients, await mta.status(id)], [2, 'sent']);
      const copies = readByPython(mta.outbox.map(({ bytes }) => bytes));
      const found = copies.map((copy) => [
        copy.mailboxes['to']?.map(({ address }) => address).join(),
        header(copy, 'Subject'),
        header(copy, 'Cc'),
      ]);
      assert.deepEqual(found.sort(), [
        ['ann@other.test', 'Hello Ann', undefined],
        ['joe@dest.test', 'Hello Joe', undefined],
      ]);
      await assert.rejects(mta.send({ ...LETTER, merge: { 'nobody@dest.test': {} } }), {
        name: 'MtaError',
        message: /no recipient|not a recipient|recipient/,
      });
    },
  ],
  11: [
    'tokens merge where they stand, encoded for that place',
    async (t) => {
      assert.equal(token('name'), '#name#');
      const { send } = await wire(t);
      const { entity } = await send({
        body: `${token('name')}, ${token('none')}\n`,
        html: '<p>#name# #mark#</p>',
        merge: { [LETTER.to]: { name: 'Müller & <Söhne>', mark: raw('<b>!</b>') } },
        to: undefined,
        transferEncoding: 'quoted-printable',
      });
      const [text, page] = entity.parts;
      assert.deepEqual(
        [plain(text?.text), plain(page?.text)?.trim()],
        ['Müller & <Söhne>, #none#\n', '<p>Müller &amp; &lt;Söhne&gt; <b>!</b></p>'],
      );
    },
  ],
  12: [
    'merge works on any text',
    async () => {
      assert.equal(merge('Dear #name#, #none#', { name: 'Ann' }), 'Dear Ann, #none#');
      assert.equal(merge('#a#', { a: 'ü' }, { charset: 'iso-8859-1', transferEncoding: 'quoted-printable' }), '=FC');
    },
  ],
  13: [
    'priority is read in any letter case, and the higher leaves first',
    async (t) => {
      const mta = await testMta(t);
      // One connection, so that there is an order.
      for (const priority of ['Low', 'MEDIUM', 'high'] as const)
        await mta.send({ ...LETTER, subject: priority, priority, date: new Date(mta.now() + 60_000) });
      await mta.advance('1m');
      assert.deepEqual(
        mta.outbox.map((mail) => mail.header('Subject')),
        ['high', 'MEDIUM', 'Low'],
      );
    },
  ],
  14: [
    'replyTo and sender are fields, and returnPath goes before sender in the envelope',
    async (t) => {
      const { send } = await wire(t);
      const more = { replyTo: 'Desk <desk@x.test>', sender: 'robot@x.test' };
      const first = await send(more);
      assert.deepEqual([first.entity.mailboxes['reply-to'], first.sender], [[{ name: 'Desk', address: 'desk@x.test' }], 'robot@x.test']);
      assert.equal(header(first.entity, 'Sender'), 'robot@x.test');
      assert.deepEqual(
        [
          (await send({ ...more, returnPath: 'bounces@x.test' })).sender,
          (await send({ ...more, returnPath: '' })).sender,
          (await send({})).sender,
        ],
        ['bounces@x.test', '', 'ann@example.test'],
      );
    },
  ],
  15: [
    'the transfer encoding is as asked, or refused where it cannot carry the text',
    async (t) => {
      const { send } = await wire(t);
      for (const transferEncoding of ['8bit', 'quoted-printable', 'base64']) {
        const { entity } = await send({ body: 'Grüße\n', transferEncoding });
        assert.deepEqual([entity.encoding, plain(entity.text)], [transferEncoding, 'Grüße\n']);
      }
      await assert.rejects(send({ body: 'Grüße', transferEncoding: '7bit' }), { code: 'UNENCODABLE' });
    },
  ],
  16: [
    'character sets are those asked for, and what they lack is named',
    async (t) => {
      const { send } = await wire(t);
      for (const characterSet of ['iso-8859-15', 'windows-1252', 'utf-8']) {
        const { entity } = await send({ body: 'Preis: 5 €\n', characterSet });
        assert.deepEqual([entity.charset, plain(entity.text)], [characterSet, 'Preis: 5 €\n']);
      }
      assert.equal(shape((await send({ body: 'BEGIN:VCARD', contentType: 'text/vcard' })).entity), 'text/vcard');
      await assert.rejects(send({ body: '→', characterSet: 'iso-8859-1' }), { code: 'UNENCODABLE', message: /→|U\+2192/ });
    },
  ],
  17: [
    'parts have the disposition and the kind of multipart that they are given',
    async (t) => {
      const { send } = await wire(t);
      const part = compose({ body: 'x', contentDisposition: 'attachment; filename="x.txt"' });
      const { entity } = await send({ parts: [part], headerType: 'parallel' });
      assert.deepEqual(
        [shape(entity), entity.parts[1]?.disposition, entity.parts[1]?.filename],
        ['multipart/parallel(text/plain, text/plain)', 'attachment', 'x.txt'],
      );
    },
  ],
  18: [
    'extra headers keep their order and repeats, and take no line break',
    async (t) => {
      const { send } = await wire(t);
      const given = [
        ['X-One', 'Grüße'],
        ['X-Two', 'a'],
        ['X-Two', 'b'],
      ] as const;
      const { entity } = await send({ extraMIMEHeaders: given });
      assert.deepEqual(
        entity.headers.filter(([name]) => name.startsWith('X-')),
        given,
      );
      await assert.rejects(send({ extraMIMEHeaders: { 'X-A': 'b\r\nBcc: c@d.test' } }), { code: 'HEADER_INJECTION' });
    },
  ],
  19: [
    'immediate sends now, tells each outcome, and queues nothing',
    async (t) => {
      const sink = await destination(t);
      const mta = await agentTo(t, sink);
      const { id, outcomes } = await mta.send({ ...LETTER, to: 'joe@dest.test, fail-550@dest.test', immediate: true });
      assert.deepEqual(
        outcomes.map(({ address, state }) => `${address} ${state}`),
        ['joe@dest.test delivered', 'fail-550@dest.test failed'],
      );
      assert.equal(header(readByPython([sink.messages[0]!.bytes])[0]!, 'Subject'), LETTER.subject);
      assert.equal(await mta.status(id), 'unknown');
      await assert.rejects(mta.immediate({ ...LETTER, to: 'fail-550@dest.test' }), { code: 'REMOTE_REJECTED' });
    },
  ],
  20: [
    'a message goes through its own server, by its own login',
    async (t) => {
      const own = await destination(t, { users: { ann: 'secret' } });
      const { mta } = await wire(t);
      const server = { host: '127.0.0.1', port: own.port, username: 'ann', password: 'secret', timeout: 10 };
      await mta.send({ ...LETTER, ...server });
      await own.received(1);
      assert.equal(own.messages[0]?.user, 'ann');
      assert.equal(header(readByPython([own.messages[0]!.bytes])[0]!, 'Subject'), LETTER.subject);
      for (const half of [
        { ...server, password: undefined },
        { ...server, username: undefined },
      ])
        await assert.rejects(mta.send({ ...LETTER, ...half }), { code: 'INVALID_OPTIONS' });
    },
  ],
  21: [
    'simpleForm is a header without a body',
    async (t) => {
      const { bytes, entity } = await (await wire(t)).send(only({ simpleForm: true }));
      assert.ok(bytes.toString().endsWith('\r\n\r\n'));
      assert.equal(header(entity, 'Subject'), LETTER.subject);
    },
  ],
  22: [
    'date and delay are waited for, the Date field shows them, and rescheduling leaves it',
    async (t) => {
      const mta = await testMta(t);
      const at = new Date(mta.now() + 3_600_000);
      await mta.send({ ...LETTER, subject: 'dated', date: at });
      await mta.send({ ...LETTER, subject: 'delayed', delay: 1800 });
      await mta.send({ ...LETTER, subject: 'past', date: '2020-01-01T00:00:00+01:00' });
      const { id } = await mta.send({ ...LETTER, subject: 'moved', date: at.getTime() });
      await mta.reschedule({ id }, new Date(mta.now() + 7_200_000));
      await mta.advance('29m59s');
      assert.deepEqual(subjects(mta), ['past']);
      await mta.advance('1s');
      assert.deepEqual(subjects(mta), ['past', 'delayed']);
      await mta.advance('30m');
      assert.deepEqual(subjects(mta), ['past', 'delayed', 'dated']);
      await mta.advance('1h');
      assert.deepEqual(subjects(mta), ['past', 'delayed', 'dated', 'moved']);
      const dates = readByPython(mta.outbox.map(({ bytes }) => bytes)).map((entity) => Date.parse(header(entity, 'Date')!));
      assert.equal(dates[0], Date.UTC(2019, 11, 31, 23));
      assert.equal(dates[2], Math.floor(at.getTime() / 1000) * 1000);
      assert.equal(dates[3], dates[2]);
      for (const date of ['2030-01-01T09:00:00', '2030-02-30T00:00:00Z', 'tomorrow'])
        await assert.rejects(mta.send({ ...LETTER, date }), { code: 'INVALID_OPTIONS' });
    },
  ],
  23: [
    'what is too large is refused with both sizes, at every door',
    async (t) => {
      const mta = await agentTo(t, await destination(t), { spool: { path: await temporaryFolder(t), maxMessageSize: '1MiB' } });
      const attachments = [{ name: 'a', data: Buffer.alloc(800_000) }];
      await assert.rejects(mta.send({ ...LETTER, attachments }), { code: 'MESSAGE_TOO_LARGE', message: /1[01]\d{5}.*1048576/ });
      const data = Buffer.alloc(1_048_577, 'Subject: x\n');
      await assert.rejects(mta.queue({ data, from: '', recipients: 'a@b.test' }), {
        code: 'MESSAGE_TOO_LARGE',
        message: /1048577.*1048576/,
      });
      await mta.send({ ...LETTER, attachments: [{ name: 'a', data: Buffer.alloc(700_000) }] });
    },
  ],
  24: [
    'each domain has its own server, and one message goes to several',
    async (t) => {
      const mta = await testMta(t, { '@null.test': 'nullMx' });
      await mta.send({ ...LETTER, to: 'a@one.test, b@two.test, c@one.test, d@null.test', returnPath: '' });
      await mta.settle();
      const found = mta.outbox.map(({ server, recipients }) => `${server}: ${[...recipients].sort().join(' ')}`);
      assert.deepEqual(found.sort(), ['one.test: a@one.test c@one.test', 'two.test: b@two.test']);
    },
  ],
  25: [
    'at most five connections to a server, and a hundred messages on each',
    async (t) => {
      const sink = await destination(t);
      const mta = await agentTo(t, sink);
      await Promise.all(Array.from({ length: 1200 }, () => mta.send(LETTER)));
      await sink.received(1200);
      assert.ok(sink.counts.mostOpen <= 5, `${sink.counts.mostOpen} connections`);
      assert.ok(sink.messages.every(({ number }) => number <= 100));
    },
  ],
  26: [
    'errors are stored, tried again, and cancelled in the end with a bounce, unless none is wanted',
    async (t) => {
      const mta = await testMta(t, { '@dest.test': '451 4.3.0 Not now' });
      const loud = await mta.send(LETTER);
      const silent = await mta.send({ ...LETTER, bounces: 'none' });
      await mta.advance('1h');
      const [delivery] = (await mta.inspect(loud.id))!.deliveries;
      assert.ok(delivery!.attempts >= 3);
      for (const { server, trouble, at, stage } of delivery!.log)
        assert.deepEqual(
          [server?.startsWith('mx.dest.test['), trouble?.text.includes('Not now'), at > 0, stage],
          [true, true, true, 'rcpt'],
        );
      await mta.advance('6d');
      assert.deepEqual([await mta.status(loud.id), await mta.status(silent.id)], ['error', 'error']);
      const reports = readByPython(mta.outbox.map(({ bytes }) => bytes)).filter(
        ({ parameters }) => parameters['report-type'] === 'delivery-status',
      );
      const failed = reports.filter((report) => /failed|could not be delivered|undeliver/i.test(header(report, 'Subject') ?? ''));
      assert.deepEqual(
        [failed.length, mta.outbox.every(({ sender, recipients }) => sender === '' && recipients.includes('ann@example.test'))],
        [1, true],
      );
    },
  ],
  27: [
    'send resolves with a short, sortable id, the Message-ID, recipients and size',
    async (t) => {
      const { mta } = await wire(t);
      const [first, second] = [await mta.send({ ...LETTER, cc: 'b@dest.test' }), await mta.send(LETTER)];
      assert.ok(first.id.length <= 26 && first.id < second.id);
      assert.deepEqual([first.recipients, second.recipients], [2, 1]);
      assert.match(first.messageId, /^<[^<>@]+@riata\.test>$/);
      assert.ok(first.size > 200);
    },
  ],
  28: [
    'status is one of four words, and outlives the delivery for as long as the history',
    async (t) => {
      const mta = await testMta(t, { 'no@dest.test': '550 5.1.1 Nobody' });
      const sent = await mta.send(LETTER);
      const error = await mta.send({ ...LETTER, to: 'joe@dest.test, no@dest.test' });
      const queued = await mta.send({ ...LETTER, delay: 3600 });
      await mta.settle();
      const words = () => Promise.all([sent.id, error.id, queued.id, '01M81HYPMZGEWP5DT1N7BFSEG3', 'x'].map((id) => mta.status(id)));
      assert.deepEqual(await words(), ['sent', 'error', 'queued', 'unknown', 'unknown']);
      await mta.advance('6d');
      assert.deepEqual(await words(), ['sent', 'error', 'sent', 'unknown', 'unknown']);
      const view = await mta.inspect(error.id);
      assert.deepEqual(view?.deliveries[0]?.recipients.map(({ address, state }) => [address, state]).sort(), [
        ['joe@dest.test', 'delivered'],
        ['no@dest.test', 'bounced'],
      ]);
    },
  ],
  29: [
    'compose makes a message, or a part of one',
    async (t) => {
      const { queue } = await wire(t);
      const message = compose({ ...LETTER });
      assert.equal(header((await queue({ data: message })).entity, 'Subject'), LETTER.subject);
      assert.match((await compose({ body: 'part' }).data()).toString(), /^Content-Type: text\/plain[^]*\r\n\r\npart/);
    },
  ],
  30: [
    'addAttachment takes data or a path, a name and a type',
    async (t) => {
      const { queue } = await wire(t);
      const path = join(await temporaryFolder(t), 'f.txt');
      writeFileSync(path, 'file');
      const data = compose(LETTER).addAttachment({ data: 'x', name: 'a.log', type: 'text/x-log' }).addAttachment({ path });
      const { entity } = await queue({ data });
      assert.deepEqual(
        entity.parts.slice(1).map((part) => [part.filename, part.type, octets(part).toString()]),
        [
          ['a.log', 'text/x-log', 'x'],
          ['f.txt', 'text/plain', 'file'],
        ],
      );
    },
  ],
  31: [
    'addHTMLPart takes a page and its images',
    async (t) => {
      const data = compose(LETTER).addHTMLPart({ data: '<img src="a.gif">', images: [{ name: 'a.gif', data: GIF }] });
      const { entity } = await (await wire(t)).queue({ data });
      assert.equal(shape(entity), 'multipart/alternative(text/plain, multipart/related(text/html, image/gif))');
    },
  ],
  32: [
    'addTextPart takes a text',
    async (t) => {
      const data = compose({ from: LETTER.from, to: LETTER.to, subject: 's' }).addTextPart({ data: 'Grüße' });
      const { entity } = await (await wire(t)).queue({ data });
      assert.deepEqual([shape(entity), entity.text?.trim()], ['text/plain', 'Grüße']);
    },
  ],
  33: [
    'addPart takes MIME as it is',
    async (t) => {
      const part = 'Content-Type: text/x-own\r\nX-Kept: as it is\r\n\r\nown =41\r\n';
      const { entity, bytes } = await (await wire(t)).queue({ data: compose(LETTER).addPart({ data: part }) });
      assert.equal(shape(entity), 'multipart/mixed(text/plain, text/x-own)');
      assert.ok(bytes.includes(part));
    },
  ],
  34: [
    'data and stream give the same octets each time, with and without the header',
    async (t) => {
      const message = compose({ ...LETTER, html: '<p>x' });
      const whole = await message.data();
      const chunks: Buffer[] = [];
      for await (const chunk of message.stream()) chunks.push(chunk as Buffer);
      assert.ok(whole.equals(Buffer.concat(chunks)) && whole.equals(await message.data()));
      const body = await message.data({ prefix: false });
      assert.ok(whole.subarray(whole.indexOf('\r\n\r\n') + 4).equals(body));
      const path = join(await temporaryFolder(t), 'f.txt');
      writeFileSync(path, 'one');
      const filed = compose({ ...LETTER, attachments: [path] });
      await filed.data();
      writeFileSync(path, 'two');
      assert.deepEqual(octets(readByPython([await filed.data({ force: true })])[0]!.parts[1]!).toString(), 'two');
      const streamed = compose({ ...LETTER, attachments: [{ name: 's', data: Readable.from(['x']) }] });
      await streamed.data();
      await assert.rejects(streamed.data(), { code: 'STREAM_CONSUMED' });
    },
  ],
  35: [
    'from and recipients are addresses alone, of all three fields',
    async () => {
      const message = compose({ ...LETTER, to: 'Joe <joe@x.test>', cc: 'b@x.test', bcc: 'c@x.test, joe@x.test' });
      assert.deepEqual([message.from(), message.recipients()], ['ann@example.test', ['joe@x.test', 'b@x.test', 'c@x.test']]);
    },
  ],
  36: [
    'queue takes a string, octets, a stream or what compose made, with its envelope',
    async (t) => {
      const { queue } = await wire(t);
      const raw = (id: number) => `From: a@x.test\nTo: all@x.test\nMessage-ID: <${id}@rows>\nSubject: raw\n\nGrüße\n`;
      const envelope = { from: 'bounce@x.test', recipients: ['a@dest.test', 'B <b@dest.test>'] };
      for (const data of [raw(1), Buffer.from(raw(2)), new Uint8Array(Buffer.from(raw(3))), Readable.from([raw(4)]), compose(LETTER)]) {
        const { sender, recipients, entity } = await queue({ ...envelope, data } as QueueOptions);
        assert.deepEqual([sender, [...recipients].sort()], ['bounce@x.test', ['a@dest.test', 'b@dest.test']]);
        assert.match(header(entity, 'Subject')!, /raw|letter/);
      }
    },
  ],
  37: [
    'within a batch mail is staged, and all of it is durable when the batch resolves',
    async (t) => {
      const { mta } = await wire(t);
      const ids = await mta.batch(() => Promise.all(Array.from({ length: 100 }, () => mta.send(LETTER).then(({ id }) => id))));
      for (const status of await Promise.all(ids.map((id) => mta.status(id)))) assert.notEqual(status, 'unknown');
    },
  ],
  38: [
    'a client of one\u2019s own speaks by hand, and sends whole messages',
    async (t) => {
      const sink = await destination(t);
      const smtp = new SmtpClient();
      await smtp.open({ host: '127.0.0.1', port: sink.port, timeout: 10 });
      assert.equal(await smtp.command({ send: 'NOOP', expect: 250 }), true);
      assert.equal((await smtp.command({ send: 'XYZZY', read: true })).code, 500);
      await assert.rejects(async () => smtp.command({ send: 'NOOP\r\nRSET' }), { name: 'MtaError' });
      await smtp.send({ from: 'a@x.test', recipients: 'joe@dest.test', message: 'Subject: by hand\n\nGrüße\n' });
      await smtp.close();
      const [entity] = readByPython([sink.messages[0]!.bytes]);
      assert.equal(header(entity!, 'Subject'), 'by hand');
    },
  ],
  39: [
    'where mail for a domain would go is told, the preferred server in front',
    async (t) => {
      const mta = await testMta(t, { '@null.test': 'nullMx' });
      const { domain, host, priority, port, username, hasPassword, ssl, all } = await mta.mxLookup('Bücher.example', { refresh: true });
      assert.deepEqual(
        [domain, host, priority, port, username, hasPassword, ssl],
        ['xn--bcher-kva.example', 'mx.xn--bcher-kva.example', 10, 25, '', false, false],
      );
      assert.equal(all.length, 1);
      const none = await mta.mxLookup('null.test');
      assert.deepEqual([none.host, none.trouble?.status], ['', '5.1.10']);
    },
  ],
  40: [
    'the queue is examined, searched, shown and removed from',
    async (t) => {
      const mta = await testMta(t, { 'bad@dest.test': '450 4.2.0 Full' });
      const bad = await mta.send({ ...LETTER, to: 'bad@dest.test' });
      const held = await mta.send({ ...LETTER, delay: 600, tags: 'later' });
      await mta.settle();
      const found = async (selection: Parameters<MailAgent['list']>[0]) => {
        const ids: string[] = [];
        for await (const { message } of mta.list(selection)) ids.push(message.id);
        return ids;
      };
      assert.deepEqual(await found({ recipient: 'bad@dest.test' }), [bad.id]);
      assert.deepEqual(await found({ error: 'full' }), [bad.id]);
      assert.deepEqual(await found({ tag: 'later' }), [held.id]);
      assert.match((await mta.inspect(bad.id))!.deliveries[0]!.recipients[0]!.last!.text, /Full/);
      assert.equal((await mta.remove({ id: bad.id })).changed, 1);
      await assert.rejects(mta.remove({}), { code: 'INVALID_OPTIONS' });
      assert.equal((await mta.remove({ all: true })).changed, 1);
      assert.deepEqual(await found({}), []);
    },
  ],
  41: [
    'what is due leaves at once, without waiting for a sweep',
    async (t) => {
      const mta = await testMta(t);
      await mta.send(LETTER);
      await mta.settle();
      assert.equal(mta.outbox[0]?.at.getTime(), mta.now());
      await mta.send({ ...LETTER, date: new Date(mta.now() + 12_345) });
      await mta.advance('1m');
      assert.equal(mta.outbox[1]!.at.getTime() - mta.outbox[0]!.at.getTime(), 12_345);
    },
  ],
};

async function testMta(t: Scope, fates: NonNullable<TestMtaOptions['fates']> = {}): Promise<TestMta> {
  const mta = await createTestMta({ fates, delivery: { connectionsPerServer: 1 } });
  atEnd(t, () => mta.close());
  return mta;
}

function subjects(mta: TestMta): (string | undefined)[] {
  return mta.outbox.map((mail) => mail.header('Subject'));
}

for (const [number, [what, check]] of Object.entries(ROWS)) test(`${number}: ${what}`, { skip: noPython }, check);
