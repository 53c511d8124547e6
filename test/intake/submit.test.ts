import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MtaError } from '../../src/core/errors.js';
import type { SubmissionEnvelope } from '../../src/intake/submission.js';
import fc from '../support/properties.js';
import { ENVELOPE, EPOCH, FakeSpool, HEADER, openIntake, until, write } from './support.js';

const ADDED_DATE = 'Date: Sun, 22 Nov 2026 09:05:07 +0000\r\n';
const ADDED_FROM = 'From: a@example.org\r\n';
const ADDED_ID = 'Message-ID: <01HZZZZZZZZZZZZZZZZZZZ0001@mx.test>\r\n';

/** What is stored of `content`, handed in whole and octet by octet: both must be the same. */
async function stored(content: string | Buffer, envelope: Partial<SubmissionEnvelope> = {}) {
  const results = [];
  for (const size of [Number.POSITIVE_INFINITY, 1, 7]) {
    const { intake, spool } = openIntake();
    const submission = intake.begin({ ...ENVELOPE, ...envelope });
    await write(submission, content, size);
    const submitted = await submission.finish();
    const { entry, text, bytes } = spool.stored[0]!;
    assert.equal(entry.message.sizeBytes, bytes.length);
    assert.equal(submitted.sizeBytes, bytes.length);
    results.push({ text, message: entry.message, deliveries: entry.deliveries });
  }
  assert.deepEqual(results[1], results[0]);
  assert.deepEqual(results[2], results[0]);
  return results[0]!;
}

async function refused(content: string, size?: number): Promise<MtaError> {
  const { intake, spool, events } = openIntake();
  const submission = intake.begin(ENVELOPE);
  await write(submission, content, size);
  const error = await submission.finish().then(
    () => assert.fail('was accepted'),
    (reason: MtaError) => reason,
  );
  assert.deepEqual([spool.stored.length, spool.open, events.length], [0, 0, 0]);
  return error;
}

test('content that lacks nothing is stored as it came, under the trace line', async () => {
  const content = `${HEADER}Subject: x\r\n\tfolded\r\n\r\n..body\r\n.\r\n`;
  const { text } = await stored(content, { received: (id, date) => `Received: id ${id}; ${date}\r\n` });
  assert.equal(text, `Received: id 01HZZZZZZZZZZZZZZZZZZZ0001; Sun, 22 Nov 2026 09:05:07 +0000\r\n${content}`);
  assert.equal((await stored(content, { received: 'Received: x\r\n' })).text, `Received: x\r\n${content}`);
});

test('Date, From and Message-ID are put at the end of the header where they are missing', async () => {
  assert.equal((await stored('Subject: x\r\n\r\nbody\r\n')).text, `Subject: x\r\n${ADDED_DATE}${ADDED_FROM}${ADDED_ID}\r\nbody\r\n`);
  for (const [missing, added] of [
    ['Date', ADDED_DATE],
    ['From', ADDED_FROM],
    ['Message-ID', ADDED_ID],
  ] as const) {
    const header = HEADER.split(/(?<=\n)/)
      .filter((line) => !line.startsWith(missing))
      .join('');
    assert.equal((await stored(`${header}\r\nbody\r\n`)).text, `${header}${added}\r\nbody\r\n`);
  }
});

test('names of fields are known in any case, and with spaces before the colon', async () => {
  const content = 'dAtE : x\r\nFROM\t: y\r\nmessage-id:<2@x>\r\n\r\n';
  const { text, message } = await stored(content);
  assert.equal(text, content);
  assert.equal(message.messageId, '<2@x>');
});

test('names that only begin or end like a field are other fields', async () => {
  const content = 'X-Date: x\r\nFrom-: y\r\nMessage-IDs: z\r\nDat: e\r\nXBcc: kept\r\nBccs: kept\r\nBcd: kept\r\n\r\n';
  assert.equal((await stored(content)).text, `${content.slice(0, -2)}${ADDED_DATE}${ADDED_FROM}${ADDED_ID}\r\n`);
});

test('the sender of a mail with the null sender and no From is the mailer daemon here', async () => {
  const { text } = await stored('Date: x\r\nMessage-ID: <1@x>\r\n\r\n', { sender: '' });
  assert.equal(text, 'Date: x\r\nMessage-ID: <1@x>\r\nFrom: MAILER-DAEMON@mx.test\r\n\r\n');
});

test('Bcc and Resent-Bcc are taken out in every form, with all their lines', async () => {
  const forms = [
    'Bcc: c@x\r\n',
    'bcc:c@x\r\n',
    'BCC : c@x\r\n',
    'Bcc\t : c@x,\r\n d@x,\r\n\te@x\r\n',
    'Bcc:\r\n c@x\r\n',
    'Bcc:\r\n',
    'Resent-Bcc: c@x\r\n',
    'RESENT-BCC:c@x,\r\n  d@x\r\n',
    'Bcc: c@x\r\nBcc: d@x\r\n',
    'Bcc: c@x\n d@x\n',
    'Bcc: c@x\r d@x\r',
  ];
  for (const form of forms) {
    for (const [before, after] of [
      ['', HEADER],
      ['Date: x\r\nFrom: a\r\n', 'Message-ID: <1@x>\r\nTo: b\r\n c\r\n'],
      [HEADER, ''],
    ]) {
      assert.equal(
        (await stored(`${before}${form}${after}\r\nBcc: body\r\n`)).text,
        `${before}${after}\r\nBcc: body\r\n`,
        JSON.stringify(form),
      );
    }
  }
});

test('a header without a body gets no blank line, but what it lacks', async () => {
  assert.equal((await stored(HEADER)).text, HEADER);
  assert.equal((await stored('Subject: x\r\n')).text, `Subject: x\r\n${ADDED_DATE}${ADDED_FROM}${ADDED_ID}`);
  assert.equal((await stored('Subject: x')).text, `Subject: x\r\n${ADDED_DATE}${ADDED_FROM}${ADDED_ID}`);
  assert.equal((await stored(`${HEADER}Bcc: x`)).text, HEADER);
});

test('empty content becomes a header', async () => {
  assert.equal((await stored('')).text, `${ADDED_DATE}${ADDED_FROM}${ADDED_ID}`);
  assert.equal((await stored('\r\n')).text, `${ADDED_DATE}${ADDED_FROM}${ADDED_ID}\r\n`);
});

test('a line that is no field ends the header, behind a blank line that was never written', async () => {
  const added = `${ADDED_DATE}${ADDED_FROM}${ADDED_ID}`;
  assert.equal((await stored('Hello,\r\nDate: tomorrow\r\n')).text, `${added}\r\nHello,\r\nDate: tomorrow\r\n`);
  assert.equal((await stored(' Date: x\r\n')).text, `${added}\r\n Date: x\r\n`);
  assert.equal((await stored(`${HEADER}no field here\r\n\r\nb\r\n`)).text, `${HEADER}\r\nno field here\r\n\r\nb\r\n`);
  assert.equal((await stored(`${HEADER}: nameless\r\n`)).text, `${HEADER}\r\n: nameless\r\n`);
  assert.equal((await stored(`${HEADER}n\u00e4me: x\r\n`)).text, `${HEADER}\r\nn\u00e4me: x\r\n`);
  assert.equal((await stored('Hello')).text, `${added}\r\nHello\r\n`);
  assert.equal((await stored(`${'x'.repeat(2000)}: y\r\n`)).text, `${added}\r\n${'x'.repeat(2000)}: y\r\n`);
});

test('the first line of a mailbox file does not make the header a body', async () => {
  assert.equal(
    (await stored(`From a@example.org Sun Nov 22 2026\r\n${HEADER}\r\n`)).text,
    `X-Mailbox-Line: From a@example.org Sun Nov 22 2026\r\n${HEADER}\r\n`,
  );
  assert.equal((await stored(`>From x\r\n${HEADER}\r\n`)).text, `X-Mailbox-Line: >From x\r\n${HEADER}\r\n`);
  assert.equal((await stored(`${HEADER}From x y\r\n`)).text, `${HEADER}\r\nFrom x y\r\n`);
});

test('all line ends become CRLF, and the last line gets one', async () => {
  assert.equal((await stored(`${HEADER.replaceAll('\r\n', '\n')}\na\rb\n\rc`)).text, `${HEADER}\r\na\r\nb\r\n\r\nc\r\n`);
});

test('a line that only looks blank after its line end was mended ends the header', async () => {
  // A reader that takes the bare LF for nothing sees a Bcc in the body, one that takes it for a line sees what is stored.
  assert.equal((await stored(`${HEADER}\n\nBcc: x\r\n`)).text, `${HEADER}\r\n\r\nBcc: x\r\n`);
});

test('what the wire must know is found, whatever the chunks', async () => {
  const facts = async (content: string) => (await stored(content)).message.content;
  const plain = { eightBit: false, dotted: false, utf8Headers: false };
  assert.deepEqual(await facts(`${HEADER}\r\na.b\r\n`), plain);
  assert.deepEqual(await facts(`${HEADER}\r\n.a\r\n`), { ...plain, dotted: true });
  assert.deepEqual(await facts(`${HEADER}\r\na\r\n.\r\n`), { ...plain, dotted: true });
  assert.deepEqual(await facts(`${HEADER}\r\na\n.b\r\n`), { ...plain, dotted: true });
  assert.deepEqual(await facts(`.x: y\r\n${HEADER}\r\n`), { ...plain, dotted: true });
  assert.deepEqual(await facts(`${HEADER}\r\n\xe4\r\n`), { ...plain, eightBit: true });
  assert.deepEqual(await facts(`${HEADER}X: \xc3\xa4\r\n\r\n`), { ...plain, eightBit: true, utf8Headers: true });
  assert.deepEqual(await facts(`${HEADER}Bcc: \xc3\xa4\r\n.b: c\r\n\r\n`), { ...plain, dotted: true });
  assert.deepEqual(await facts(`${HEADER}Bcc: \xc3\xa4\r\nX: y\r\n\r\nbody\r\n`), plain);
});

test('an added From that is not ASCII counts as a header that is not', async () => {
  const { text, message } = await stored('Date: x\r\nMessage-ID: <1@x>\r\n\r\n', { sender: 'j\u00fcrgen@example.org' });
  assert.equal(Buffer.from(text, 'latin1').toString('utf8'), 'Date: x\r\nMessage-ID: <1@x>\r\nFrom: j\u00fcrgen@example.org\r\n\r\n');
  assert.deepEqual([message.content, message.smtpUtf8], [{ eightBit: true, dotted: false, utf8Headers: true }, true]);
});

test('the Message-ID is told with its brackets, and never with what could break a log', async () => {
  const id = async (line: string) => (await stored(`Date: x\r\nFrom: y\r\n${line}\r\n\r\n`)).message.messageId;
  assert.equal(await id('Message-ID: <a.b@c>'), '<a.b@c>');
  assert.equal(await id('Message-ID:\r\n <a@c>\r\n\t(comment)'), '<a@c>');
  assert.equal(await id('Message-ID: <a@c>\r\nMessage-ID: <b@c>'), '<a@c>');
  assert.equal(await id('Message-ID: no brackets'), '');
  assert.equal(await id('Message-ID: <a\x1b[2J@c>'), '');
  assert.equal(await id(`Message-ID: <${'a'.repeat(400)}@c>`), '');
});

test('more than fifty Received fields are a loop', async () => {
  const received = (n: number) => 'Received: x\r\n'.repeat(n);
  assert.equal((await stored(`${received(50)}${HEADER}\r\n`)).text, `${received(50)}${HEADER}\r\n`);
  const error = await refused(`${received(51)}${HEADER}\r\n`);
  assert.deepEqual([error.code, error.issues[0]?.code], ['MESSAGE_REFUSED', 'LOOP']);
  assert.equal((await stored(`${HEADER}\r\n${received(60)}`)).message.sizeBytes, HEADER.length + 2 + 60 * 13);
});

test('a NUL octet anywhere is refused', async () => {
  for (const content of [`\0${HEADER}\r\n`, `${HEADER}X: \0\r\n\r\n`, `${HEADER}\r\nbody\0`]) {
    for (const size of [1, 1000]) {
      const error = await refused(content, size);
      assert.deepEqual([error.code, error.issues[0]?.code], ['MESSAGE_REFUSED', 'NUL']);
    }
  }
});

test('a header is refused where it is larger than 256 KiB, and not where it is that large', async () => {
  const limit = 256 * 1024;
  const padded = (length: number) => `${HEADER}X: ${'x'.repeat(length - HEADER.length - 5)}\r\n`;
  const { intake, spool } = openIntake();
  const submission = intake.begin(ENVELOPE);
  await write(submission, `${padded(limit)}\r\nbody\r\n`, 1000);
  await submission.finish();
  assert.equal(spool.stored[0]!.bytes.length, limit + 8);
  for (const size of [1000, 65536]) {
    const error = await refused(`${padded(limit + 1)}\r\nbody\r\n`, size);
    assert.deepEqual([error.code, error.issues[0]?.code], ['MESSAGE_REFUSED', 'HEADER_TOO_LARGE']);
  }
  assert.equal((await refused(`${HEADER}Bcc: ${'x'.repeat(limit)}\r\n`, 1000)).issues[0]?.code, 'HEADER_TOO_LARGE');
});

test('the size of a header is counted, too, where every chunk ends within a name', async () => {
  const line = (length: number) => `X-Padding: ${'x'.repeat(length - 13)}\r\n`;
  assert.equal((await refused(`${line(997)}${line(1000).repeat(270)}`, 1000)).issues[0]?.code, 'HEADER_TOO_LARGE');
});

test('a line without end is no field, and goes on to the spool as it comes', async () => {
  const { intake, spool } = openIntake();
  const submission = intake.begin(ENVELOPE);
  await write(submission, 'x'.repeat(300_000), 100);
  assert.ok(spool.writes.reduce((sum, octets) => sum + octets, 0) > 290_000);
  await submission.finish();
  assert.equal(spool.stored.length, 1);
});

test('the size that counts is what the client sent, to the octet', async () => {
  const content = `${HEADER}\r\n${'x'.repeat(100)}\n`;
  const exact = openIntake({ maxMessageSizeBytes: content.length });
  const submission = exact.intake.begin({ ...ENVELOPE, received: `Received: ${'x'.repeat(60)}\r\n` });
  await write(submission, content, 10);
  await submission.finish();
  assert.equal(exact.spool.stored.length, 1);
  const less = openIntake({ maxMessageSizeBytes: content.length - 1 });
  const other = less.intake.begin(ENVELOPE);
  await write(other, content, 10);
  await assert.rejects(other.finish(), { code: 'MESSAGE_TOO_LARGE' });
  assert.deepEqual([less.spool.stored.length, less.spool.open], [0, 0]);
});

test('what comes after a refusal costs nothing, and the file that was begun is given up', async () => {
  const { intake, spool } = openIntake({ maxMessageSizeBytes: 20_000 });
  const submission = intake.begin(ENVELOPE);
  await write(submission, `${HEADER}\r\n${'x'.repeat(16_000)}`);
  assert.equal(spool.open, 1);
  await write(submission, Buffer.alloc(8_000, 0x78));
  assert.equal(spool.open, 0);
  const written = spool.writes.length;
  for (let i = 0; i < 100; i++) assert.equal(submission.write(Buffer.alloc(65_536, 0x78)), true);
  assert.equal(spool.writes.length, written);
  await assert.rejects(submission.finish(), { code: 'MESSAGE_TOO_LARGE' });
});

test('a small message reaches the spool in one piece, in memory of its own', async () => {
  const { intake, spool } = openIntake();
  const chunk = Buffer.from(`${HEADER}\r\n${'x'.repeat(1000)}\r\n`);
  const submission = intake.begin({ ...ENVELOPE, received: 'Received: x\r\n' });
  assert.equal(submission.write(chunk), true);
  await submission.finish();
  assert.deepEqual(spool.writes, [chunk.length + 13]);
  chunk.fill(0);
  assert.ok(spool.stored[0]!.text.includes('example.org'));
});

test('octets that come one by one are handed on in pieces', async () => {
  const { intake, spool } = openIntake();
  const submission = intake.begin(ENVELOPE);
  await write(submission, `${HEADER}\r\n${'x'.repeat(40_000)}\r\n`, 1);
  await submission.finish();
  assert.ok(spool.writes.length <= 12, String(spool.writes.length));
  assert.ok(Math.max(...spool.writes) <= 4096);
});

test('a slow spool is waited for', async () => {
  const { intake, spool } = openIntake();
  let open = () => {};
  spool.writeGate = new Promise((resolve) => {
    open = resolve;
  });
  const submission = intake.begin(ENVELOPE);
  const taken = submission.write(Buffer.from(`${HEADER}\r\n${'x'.repeat(10_000)}\r\n`));
  assert.ok(taken !== true);
  let done = false;
  void taken.then(() => {
    done = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(done, false);
  open();
  await taken;
  spool.writeGate = undefined;
  assert.equal(submission.write(Buffer.from('y\r\n')), true);
  await submission.finish();
});

test('every write is waited for, not only the first', async () => {
  const { intake, spool } = openIntake();
  const submission = intake.begin(ENVELOPE);
  const opens: (() => void)[] = [];
  const piece = Buffer.from(`${HEADER}\r\n${'x'.repeat(10_000)}\r\n`);
  for (let i = 0; i < 2; i++) {
    spool.writeGate = new Promise((resolve) => opens.push(resolve));
    assert.ok(submission.write(Buffer.from(piece)) !== true);
  }
  spool.writeGate = undefined;
  opens[0]!();
  await new Promise((resolve) => setImmediate(resolve));
  const taken = submission.write(Buffer.from('x\r\n'));
  assert.ok(taken !== true);
  opens[1]!();
  await taken;
  assert.equal(submission.write(Buffer.from('x\r\n')), true);
});

test('a write that fails ends the wait, and is told by finish', async () => {
  const { intake, spool } = openIntake();
  spool.writeGate = Promise.reject(new Error('disk'));
  spool.writeGate.catch(() => {});
  spool.finishError = new Error('disk');
  const submission = intake.begin(ENVELOPE);
  await submission.write(Buffer.from(`${HEADER}\r\n${'x'.repeat(10_000)}\r\n`));
  await assert.rejects(submission.finish(), /disk/);
});

test('nothing is told before the spool has it, and then once', async () => {
  const { intake, spool, events } = openIntake();
  let open = () => {};
  spool.gate = new Promise((resolve) => {
    open = resolve;
  });
  const submission = intake.begin({ ...ENVELOPE, origin: { kind: 'smtp', client: '127.0.0.1', helo: 'h' } });
  await write(submission, `${HEADER}\r\n`);
  const finished = submission.finish();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(events.length, 0);
  open();
  assert.deepEqual(await finished, { id: submission.id, messageId: '<1@example.org>', sizeBytes: HEADER.length + 2 });
  assert.deepEqual(events, [
    {
      type: 'accepted',
      at: EPOCH,
      id: submission.id,
      sender: 'a@example.org',
      recipients: 1,
      sizeBytes: HEADER.length + 2,
      messageId: '<1@example.org>',
      origin: 'smtp:127.0.0.1',
      helo: 'h',
    },
  ]);
});

test('a spool that refuses is told to the caller, and to nobody else', async () => {
  const { intake, spool, events, lines } = openIntake();
  spool.acceptError = new Error('no');
  const submission = intake.begin(ENVELOPE);
  await write(submission, `${HEADER}\r\n`);
  await assert.rejects(submission.finish(), /no/);
  assert.deepEqual([events, lines], [[], []]);
});

test('an aborted submission leaves nothing', async () => {
  const { intake, spool } = openIntake();
  const submission = intake.begin(ENVELOPE);
  await write(submission, `${HEADER}\r\n${'x'.repeat(10_000)}`);
  assert.equal(spool.open, 1);
  submission.abort();
  assert.deepEqual([spool.open, spool.stored.length], [0, 0]);
  const early = intake.begin(ENVELOPE);
  early.abort();
  assert.equal(spool.opened, 1);
});

test('recipients are grouped into lanes in their order, and each mailbox is kept once', async () => {
  const addresses = ['a@one.test', 'b@two.test', 'A@one.test', 'a@one.test', '"a"@one.test', 'c@two.test', 'b@two.test'];
  const { deliveries } = await stored(`${HEADER}\r\n`, { recipients: addresses.map((address) => ({ address })) });
  assert.deepEqual(
    deliveries.map(({ lane, recipients }) => [lane, ...recipients.map(({ address, state }) => `${address} ${state}`)]),
    [
      ['mx:one.test', 'a@one.test queued', 'A@one.test queued'],
      ['mx:two.test', 'b@two.test queued', 'c@two.test queued'],
    ],
  );
});

test('what the caller says of a recipient stays with it', async () => {
  const { deliveries } = await stored(`${HEADER}\r\n`, { recipients: [{ address: 'a@one.test', notify: ['never'], orcpt: 'rfc822;a' }] });
  assert.deepEqual(deliveries, [
    { lane: 'mx:one.test', recipients: [{ address: 'a@one.test', notify: ['never'], orcpt: 'rfc822;a', state: 'queued' }] },
  ]);
});

test('a message expires five days after it was accepted, or after it may first be sent', async () => {
  const day = 86_400_000;
  const expiresAt = async (envelope: Partial<SubmissionEnvelope>) => (await stored(`${HEADER}\r\n`, envelope)).message.expiresAt;
  assert.equal(await expiresAt({}), EPOCH + 5 * day);
  assert.equal(await expiresAt({ notBefore: EPOCH + 10 * day }), EPOCH + 15 * day);
  assert.equal(await expiresAt({ expiresAt: EPOCH + 1 }), EPOCH + 1);
});

test('the envelope is in the message', async () => {
  const dsn = { ret: 'hdrs', envid: 'e' } as const;
  const origin = { kind: 'api', user: 'u' } as const;
  const { message } = await stored(`${HEADER}\r\n`, {
    priority: 'high',
    requireTls: true,
    notBefore: 7,
    bounces: 'none',
    smtpUtf8: true,
    dsn,
    origin,
  });
  const { priority, requireTls, notBefore, bounces, smtpUtf8, sender, acceptedAt } = message;
  assert.deepEqual(
    { priority, requireTls, notBefore, bounces, smtpUtf8, sender, acceptedAt, dsn: message.dsn, origin: message.origin },
    {
      priority: 'high',
      requireTls: true,
      notBefore: 7,
      bounces: 'none',
      smtpUtf8: true,
      sender: 'a@example.org',
      acceptedAt: EPOCH,
      dsn,
      origin,
    },
  );
});

test('an address that only SMTPUTF8 can carry says so', async () => {
  assert.equal(
    (await stored(`${HEADER}\r\n`, { recipients: [{ address: 'x@one.test' }, { address: '\u00e4@one.test' }] })).message.smtpUtf8,
    true,
  );
  assert.equal((await stored(`${HEADER}\r\n`, {})).message.smtpUtf8, false);
});

test('whatever the octets and the chunks, what is stored is their normal form', async () => {
  const character = fc.constantFrom('\r', '\n', '\r\n', '.', ' ', ':', 'a', '\xe4', 'Bcc: x', '\r\n.\r\n', 'From: y');
  await fc.assert(
    fc.asyncProperty(fc.array(character, { maxLength: 40 }), fc.integer({ min: 1, max: 9 }), async (pieces, size) => {
      const { intake, spool } = openIntake();
      const body = pieces.join('');
      const submission = intake.begin(ENVELOPE);
      await write(submission, `${HEADER}\r\n${body}`, size);
      await submission.finish();
      const lines = body.replace(/\r\n|\r|\n/g, '\r\n');
      const { text, entry } = spool.stored[0]!;
      assert.equal(text, `${HEADER}\r\n${lines}${lines === '' || lines.endsWith('\r\n') ? '' : '\r\n'}`);
      assert.equal(entry.message.content.dotted, /(^|\n)\./.test(text));
      assert.equal(entry.message.content.eightBit, text.includes('\xe4'));
    }),
    { numRuns: 300 },
  );
});

test('a spool closed to new mail says why', () => {
  const { intake, spool } = openIntake();
  assert.equal(intake.closedFor(5), undefined);
  spool.closed = 'SPOOL_FULL';
  assert.equal(intake.closedFor(6), 'SPOOL_FULL');
  assert.deepEqual(spool.closedAsked, [5, 6]);
});

test('a large message does not stay in memory', async () => {
  const { intake, spool } = openIntake({ maxMessageSizeBytes: 1024 ** 3 });
  spool.keep = false;
  const submission = intake.begin(ENVELOPE);
  await write(submission, `${HEADER}\r\n`);
  const before = process.memoryUsage().arrayBuffers;
  let peak = 0;
  for (let i = 0; i < 2000; i++) {
    const taken = submission.write(Buffer.allocUnsafe(65_536).fill(`${'x'.repeat(76)}\r\n`));
    if (taken !== true) await taken;
    if (i % 100 === 0) {
      await until(() => true);
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
    }
  }
  assert.ok(spool instanceof FakeSpool && peak < 100 * 1024 * 1024, String(peak));
});
