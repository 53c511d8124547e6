import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simpleParser } from 'mailparser';
import type { Recipient } from '../../src/core/delivery.js';
import { composeReport, contentFacts, type ReportRequest } from '../../src/outcome/report.js';
import fc from '../support/properties.js';
import { type ForeignReport, noPython, readByPython } from './foreign-parser.js';
import { DAY, HOUR, LABEL, message, T0 } from './samples.js';

const HEADER = Buffer.from('Received: from x\r\n\tby y; now\r\nSubject: A meeting\r\nFrom: alice@example.com\r\nTo: bob@example.net');
const BOB: Recipient = {
  address: 'bob@example.net',
  state: 'bounced',
  last: { at: T0 + HOUR, status: '5.1.1', text: '550 5.1.1 No such user here', server: LABEL },
};
const EVE: Recipient = {
  address: 'eve@example.net',
  state: 'expired',
  last: { at: T0 + 5 * DAY, status: '4.4.1', text: 'could not connect: refused' },
};

function request(changes: Partial<ReportRequest> = {}): ReportRequest {
  return {
    kind: 'failed',
    hostname: 'mail.example.com',
    original: message(),
    originalHeader: HEADER,
    recipients: [BOB],
    now: T0 + HOUR,
    reportId: '01KAN4S41G00000000000000B2',
    boundarySeed: 'seed',
    ...changes,
  };
}

function one(changes: Partial<ReportRequest> = {}): ForeignReport {
  const bytes = composeReport(request(changes));
  assertWellFormed(bytes);
  return readByPython([bytes])[0]!;
}

/** CRLF only, no line over 998 octets, no NUL. */
function assertWellFormed(bytes: Buffer): void {
  const text = bytes.toString('latin1');
  assert.ok(!/\r(?!\n)|(?<!\r)\n|\0/.test(text), 'a bare CR, LF or NUL');
  for (const line of text.split('\r\n')) assert.ok(line.length <= 998, `a line of ${line.length} octets`);
  assert.ok(text.endsWith('--\r\n'));
}

const foreign = { skip: noPython };
const TOP = ['Date', 'From', 'To', 'Subject', 'Message-ID', 'In-Reply-To', 'References', 'Auto-Submitted', 'MIME-Version', 'Content-Type'];

test('a failure report has the three parts of RFC 3464 and the headers that keep machines from answering', foreign, () => {
  const report = one({ recipients: [BOB, EVE] });
  assert.deepEqual(report.defects, []);
  assert.deepEqual([report.type, report.reportType], ['multipart/report', 'delivery-status']);
  assert.deepEqual(
    report.headers.map(([name]) => name),
    TOP,
  );
  const header = Object.fromEntries(report.headers);
  assert.equal(header['From'], 'Mail Delivery System <mailer-daemon@mail.example.com>');
  assert.equal(header['To'], '<alice@example.com>');
  assert.equal(header['Auto-Submitted'], 'auto-replied');
  assert.equal(header['Date'], 'Sun, 22 Nov 2026 11:00:00 +0000');
  assert.equal(header['Message-ID'], '<01KAN4S41G00000000000000B2@mail.example.com>');
  assert.equal(header['In-Reply-To'], '<original@example.com>');
  assert.deepEqual(
    report.parts.map(({ type, encoding }) => [type, encoding]),
    [
      ['text/plain', '7bit'],
      ['message/delivery-status', '7bit'],
      ['text/rfc822-headers', '7bit'],
    ],
  );
  assert.equal(report.parts[2]!.text.replaceAll('\r\n', '\n').trimEnd(), HEADER.toString().replaceAll('\r\n', '\n'));
});

test('the fields for machines name the message, and each recipient with status, server, words and time', foreign, () => {
  const original = message({ dsn: { envid: 'order 4711' } });
  const report = one({ original, recipients: [{ ...BOB, orcpt: 'rfc822;robert@example.org' }, EVE] });
  assert.deepEqual(report.parts[1]!.blocks, [
    [
      ['Reporting-MTA', 'dns; mail.example.com'],
      ['Original-Envelope-Id', 'order 4711'],
      ['Arrival-Date', 'Sun, 22 Nov 2026 10:00:00 +0000'],
    ],
    [
      ['Original-Recipient', 'rfc822;robert@example.org'],
      ['Final-Recipient', 'rfc822; bob@example.net'],
      ['Action', 'failed'],
      ['Status', '5.1.1'],
      ['Remote-MTA', 'dns; mx.example.net'],
      ['Diagnostic-Code', 'smtp; 550 5.1.1 No such user here'],
      ['Last-Attempt-Date', 'Sun, 22 Nov 2026 11:00:00 +0000'],
    ],
    [
      ['Final-Recipient', 'rfc822; eve@example.net'],
      ['Action', 'failed'],
      ['Status', '4.4.1'],
      ['Diagnostic-Code', 'x-riata; could not connect: refused'],
      ['Last-Attempt-Date', 'Fri, 27 Nov 2026 10:00:00 +0000'],
    ],
  ]);
});

test('a delay notice says how long it will be tried, and a relayed report who took it', foreign, () => {
  const delayed = one({ kind: 'delayed', recipients: [{ ...EVE, state: 'queued' }] });
  assert.ok(delayed.parts[1]!.blocks![1]!.some(([name, value]) => name === 'Action' && value === 'delayed'));
  assert.ok(
    delayed.parts[1]!.blocks![1]!.some(([name, value]) => name === 'Will-Retry-Until' && value === 'Fri, 27 Nov 2026 10:00:00 +0000'),
  );
  assert.match(delayed.parts[0]!.text, /need not do\s+anything/);
  const relayed = one({
    kind: 'relayed',
    recipients: [{ address: 'bob@example.net', state: 'delivered', last: { at: T0, status: '2.6.0', text: 'ok', server: LABEL } }],
  });
  assert.deepEqual(
    relayed.parts[1]!.blocks![1]!.map(([name, value]) => `${name}: ${value}`),
    [
      'Final-Recipient: rfc822; bob@example.net',
      'Action: relayed',
      'Status: 2.6.0',
      'Remote-MTA: dns; mx.example.net',
      'Last-Attempt-Date: Sun, 22 Nov 2026 10:00:00 +0000',
    ],
  );
  assert.match(relayed.parts[0]!.text, /Accepted by mx\.example\.net\[192\.0\.2\.25\]/);
});

test('mailparser reads the same report: the text for people, the fields, the headers', async () => {
  const original = message({ messageId: '<a b@c>' });
  const header = Buffer.from('Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =?UTF-8?B?IMOkw7bDvA==?=\r\n from afar\r\nX: y');
  const bytes = composeReport(request({ original, originalHeader: header, recipients: [BOB, EVE] }));
  const parsed = await simpleParser(bytes, { keepDeliveryStatus: true });
  assert.equal(parsed.subject, 'Your mail could not be delivered');
  assert.equal(parsed.from?.text, '"Mail Delivery System" <mailer-daemon@mail.example.com>');
  assert.equal(parsed.inReplyTo, undefined, 'what is no message id is not referred to');
  const text = parsed.text ?? '';
  assert.match(text, /Subject: Grüße äöü from afar/);
  assert.match(text, /<bob@example\.net>\n {4}No such mailbox\. Please check/);
  assert.match(text, /The server mx\.example\.net\[192\.0\.2\.25\] said:\n {8}550 5\.1\.1 No such user here\n/);
  assert.match(text, /<eve@example\.net>\n {4}The server did not answer\./);
  const status = parsed.attachments.find((attachment) => attachment.contentType === 'message/delivery-status');
  assert.match(status!.content.toString(), /Final-Recipient: rfc822; bob@example\.net\r?\nAction: failed\r?\nStatus: 5\.1\.1/);
});

test('lines that remote servers send cannot become fields, headers or parts', foreign, () => {
  const evil =
    '550 5.1.1 no\r\nAction: delivered\r\n\r\nFinal-Recipient: rfc822; victim@example.net\n\n--=_seed_0\nContent-Type: text/html\r\rX\u2028Y\u0085Z\0';
  const original = message({
    sender: 'alice@example.com\r\nBcc: victim@example.net',
    messageId: '<x@y>\r\nBcc: victim@example.net',
    dsn: { envid: 'id\r\nStatus: 2.0.0\r\n\r\nX: y' },
  });
  const recipient: Recipient = {
    address: 'bob@example.net>\r\nAction: delivered',
    state: 'bounced',
    orcpt: 'rfc822;a\r\n\r\nStatus: 2.0.0',
    last: { at: T0, status: '5.1.1\r\nAction: x', text: evil, server: 'mx\r\nAction: delivered[1.2.3.4]:25' },
  };
  const report = one({ original, recipients: [recipient] });
  assert.deepEqual(report.defects, []);
  assert.deepEqual(
    report.headers.map(([name]) => name),
    TOP.filter((name) => name !== 'In-Reply-To' && name !== 'References'),
  );
  assert.equal(report.parts.length, 3);
  const blocks = report.parts[1]!.blocks!;
  assert.deepEqual(
    blocks.map((block) => block.map(([name]) => name)),
    [
      ['Reporting-MTA', 'Original-Envelope-Id', 'Arrival-Date'],
      ['Original-Recipient', 'Final-Recipient', 'Action', 'Status', 'Remote-MTA', 'Diagnostic-Code', 'Last-Attempt-Date'],
    ],
  );
  assert.equal(blocks[1]![2]![1], 'failed');
  assert.equal(blocks[1]![3]![1], '5.0.0');
});

test('an original that holds the boundary, or whole reports, stays inside its part', foreign, () => {
  const inner = composeReport(request());
  const header = Buffer.from('Subject: x\r\n--=_seed_0\r\n--=_seed_1\r\nContent-Type: text/html\r\n--=_seed_0--\r\nX: y');
  const report = one({ originalHeader: header });
  assert.deepEqual(
    report.parts.map(({ type }) => type),
    ['text/plain', 'message/delivery-status', 'text/rfc822-headers'],
  );
  assert.ok(report.parts[2]!.text.includes('X: y'));
  const whole = one({ originalMessage: inner });
  assert.deepEqual(
    whole.parts.map(({ type }) => type),
    ['text/plain', 'message/delivery-status', 'message/rfc822'],
  );
  assert.match(whole.parts[0]!.text, /A report for machines and your mail are attached/);
});

test('an original returned whole is the original, octet for octet, unless it cannot travel so', () => {
  const original = Buffer.from('Subject: x\r\n\r\n.dot\r\nüml\r\nend\r\n');
  const bytes = composeReport(request({ originalMessage: original }));
  assert.ok(bytes.includes(Buffer.concat([Buffer.from('8bit\r\n\r\n'), original, Buffer.from('\r\n--')])));
  assert.deepEqual(contentFacts(bytes), { eightBit: true, dotted: true, utf8Headers: false });
  const long = composeReport(request({ originalMessage: Buffer.from(`Subject: x\r\n\r\n${'y'.repeat(999)}\r\n`) }));
  assertWellFormed(long);
  assert.ok(long.includes('text/rfc822-headers') && !long.includes('message/rfc822'));
});

test('without the original there is no third part, and the text says so', foreign, () => {
  const report = one({ originalHeader: undefined });
  assert.deepEqual(
    report.parts.map(({ type }) => type),
    ['text/plain', 'message/delivery-status'],
  );
  assert.match(report.parts[0]!.text, /could not be\s+read any more/);
  assert.equal(one({ originalHeader: Buffer.alloc(0) }).parts.length, 2);
});

test('everything stays in seven bits while the addresses do, whatever remotes and originals say', foreign, () => {
  const loud: Recipient = { ...BOB, last: { ...BOB.last!, text: '550 5.1.1 Empfänger unbekannt – 不明' } };
  const original = Buffer.from('Subject: Grüße\r\nX-Raw: \xe9', 'latin1');
  const bytes = composeReport(request({ recipients: [loud], originalHeader: original }));
  assert.deepEqual(contentFacts(bytes), { eightBit: false, dotted: false, utf8Headers: false });
  const report = readByPython([bytes])[0]!;
  assert.ok(report.parts[0]!.text.includes('Empfänger unbekannt – 不明'), 'people read it as it was');
  assert.deepEqual(report.parts[1]!.blocks![1]![4], [
    'Diagnostic-Code',
    'smtp; 550 5.1.1 Empf\\x{E4}nger unbekannt \\x{2013} \\x{4E0D}\\x{660E}',
  ]);
  assert.deepEqual([report.parts[2]!.type, report.parts[2]!.encoding], ['text/rfc822-headers', 'quoted-printable']);
  assert.ok(report.parts[2]!.text.includes('X-Raw: é'), 'octets come back as they were');
});

test('addresses outside ASCII are reported in UTF-8, in the forms of RFC 6533', foreign, () => {
  const original = message({ sender: 'älice@example.com', smtpUtf8: true });
  const recipient: Recipient = { ...BOB, address: '用户@example.net', orcpt: 'utf-8;用户@example.net' };
  const bytes = composeReport(
    request({ original, recipients: [recipient, EVE], originalHeader: Buffer.from('Subject: Grüße\r\nFrom: älice@example.com') }),
  );
  assertWellFormed(bytes);
  assert.deepEqual(contentFacts(bytes), { eightBit: true, dotted: false, utf8Headers: true });
  const report = readByPython([bytes])[0]!;
  assert.deepEqual(
    report.parts.map(({ type, encoding }) => [type, encoding]),
    [
      ['text/plain', 'quoted-printable'],
      ['message/global-delivery-status', '8bit'],
      ['message/global-headers', '8bit'],
    ],
  );
  assert.ok(bytes.includes('To: <älice@example.com>\r\n'));
  assert.ok(bytes.includes('Original-Recipient: utf-8;用户@example.net\r\nFinal-Recipient: utf-8; 用户@example.net\r\n'));
  assert.ok(bytes.includes('Final-Recipient: rfc822; eve@example.net\r\n'));
  assert.ok(report.parts[0]!.text.includes('<用户@example.net>'));
});

test('endless texts, many recipients and header lines without end stay bounded', foreign, () => {
  const text = `550 ${'word '.repeat(300)}${'x'.repeat(5000)}`;
  const recipients = Array.from(
    { length: 1000 },
    (_, i): Recipient => ({ ...BOB, address: `r${i}@example.net`, last: { ...BOB.last!, text } }),
  );
  const header = Buffer.from(
    `Subject: ${'s'.repeat(20_000)}\r\nX-Long: ${'word '.repeat(5000)}\r\nX-Blank:${' '.repeat(3000)}\r\nX-End: y`,
  );
  const bytes = composeReport(request({ recipients, originalHeader: header }));
  assertWellFormed(bytes);
  assert.ok(bytes.length < 1024 * 1024, `${bytes.length} octets`);
  const report = readByPython([bytes])[0]!;
  assert.deepEqual(report.defects, []);
  assert.equal(report.parts[1]!.blocks!.length, 1001);
  assert.match(report.parts[0]!.text, /and 950 more/);
  const returned = report.parts[2]!.text;
  assert.ok(returned.includes('\nX-End: y'));
  assert.equal(returned.replace(/\s/g, ''), header.toString().replace(/\s/g, ''), 'folding adds white space and nothing else');
});

const nasty = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200, size: 'max' }),
  fc.string({
    unit: fc.constantFrom('\r', '\n', '\r\n', '\0', ' ', '\t', '-', '=', '_', 'é', '不', '\ud800', ':', 'a', '--=_seed_0', '.', '\u2028'),
    maxLength: 200,
    size: 'max',
  }),
);

test('whatever comes from outside, a report has its parts, its fields and its headers, and no others', foreign, () => {
  const reports: Buffer[] = [];
  const wanted: number[] = [];
  const record = fc.record({
    sender: nasty,
    messageId: nasty,
    envid: nasty,
    header: nasty,
    rows: fc.array(fc.record({ address: nasty, orcpt: nasty, status: nasty, text: nasty, server: nasty }), { minLength: 1, maxLength: 3 }),
  });
  fc.assert(
    fc.property(record, fc.constantFrom('failed', 'delayed', 'relayed'), ({ sender, messageId, envid, header, rows }, kind) => {
      const recipients = rows.map(
        ({ address, orcpt, ...told }): Recipient => ({ address, orcpt, state: 'bounced', last: { at: T0, ...told } }),
      );
      // Intake lets no NUL, bare CR or bare LF into a message.
      const originalHeader = Buffer.from(header.replace(/\0|\r\n|\r|\n/g, '\r\n').replace(/(\r\n)+/g, '\r\n'));
      const changes = { kind, original: message({ sender, messageId, dsn: { envid } }), originalHeader, recipients } as const;
      const bytes = composeReport(request(changes));
      assertWellFormed(bytes);
      assert.deepEqual(composeReport(request(changes)), bytes, 'the same request, the same report');
      reports.push(bytes);
      wanted.push(rows.length);
    }),
    { numRuns: 150 },
  );
  readByPython(reports).forEach((report, i) => {
    for (const [name] of report.headers) assert.ok([...TOP, 'Content-Transfer-Encoding'].includes(name), name);
    assert.ok(report.parts.length === 2 || report.parts.length === 3);
    if (report.parts[1]!.type === 'message/delivery-status') {
      assert.equal(report.parts[1]!.blocks!.length, wanted[i]! + 1);
      for (const block of report.parts[1]!.blocks!) {
        const names = block.map(([name]) => name);
        assert.equal(new Set(names).size, names.length, names.join(' '));
      }
    }
  });
});
