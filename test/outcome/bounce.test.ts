import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simpleParser } from 'mailparser';
import type { Recipient } from '../../src/core/delivery.js';
import type { Message } from '../../src/core/message.js';
import type { RecipientOutcome } from '../../src/core/outcome.js';
import {
  dueReports,
  MAX_RETURNED_HEADER,
  MAX_RETURNED_MESSAGE,
  originalOf,
  readOriginal,
  reportAcceptance,
  returnsWhole,
} from '../../src/outcome/bounce.js';
import { decide } from '../../src/outcome/decide.js';
import { DEFAULT_RETRY_POLICY } from '../../src/outcome/retry.js';
import { DAY, delivery, HOUR, ID, later, message, never, ok, queued, T0, transaction } from './samples.js';

/** Who is told of what, as `kind: address address`. */
function told(
  recipients: readonly [Recipient, RecipientOutcome][],
  about: { readonly message?: Partial<Message>; readonly now?: number } = {},
): string[] {
  const of = delivery(
    recipients.map(([recipient]) => recipient),
    { message: message(about.message) },
  );
  const decision = decide(of, transaction(recipients.map(([, outcome]) => outcome)), DEFAULT_RETRY_POLICY, about.now ?? T0 + HOUR);
  return dueReports(of.message, decision).map((due) => `${due.kind}: ${due.recipients.map((recipient) => recipient.address).join(' ')}`);
}

const asked = (...notify: NonNullable<Recipient['notify']>) => queued(`${notify.join('-')}@x.example`, { notify });

test('without NOTIFY the sender hears of failure, and of nothing that goes well', () => {
  assert.deepEqual(
    told([
      [queued('a@x.example'), never],
      [queued('b@x.example'), ok],
      [queued('c@x.example'), later],
      [queued('d@x.example'), never],
    ]),
    ['failed: a@x.example d@x.example'],
  );
  assert.deepEqual(told([[queued('a@x.example'), ok]]), []);
});

test('what expires is reported as failed, with those that were refused, in one report', () => {
  assert.deepEqual(
    told(
      [
        [queued('a@x.example'), never],
        [queued('b@x.example'), later],
      ],
      { now: T0 + 5 * DAY },
    ),
    ['failed: a@x.example b@x.example'],
  );
});

test('NOTIFY is honoured recipient by recipient', () => {
  assert.deepEqual(
    told([
      [asked('never'), never],
      [asked('success'), never],
      [asked('delay'), never],
      [asked('failure'), never],
    ]),
    ['failed: failure@x.example'],
  );
  assert.deepEqual(
    told([
      [asked('never'), ok],
      [asked('success', 'failure'), ok],
      [asked('failure'), ok],
    ]),
    ['relayed: success-failure@x.example'],
  );
});

test('a server that was told to report success is left to do it', () => {
  const of = delivery([asked('success')]);
  const due = (dsnPassedOn: boolean) =>
    dueReports(of.message, decide(of, transaction([ok], { dsnPassedOn }), DEFAULT_RETRY_POLICY, T0 + HOUR)).map(({ kind }) => kind);
  assert.deepEqual([due(false), due(true)], [['relayed'], []]);
});

test('a delay notice goes to who is owed one, and names only those still waiting', () => {
  const rows: [Recipient, RecipientOutcome][] = [
    [queued('a@x.example'), later],
    [asked('delay'), later],
    [asked('failure'), later],
    [asked('never'), later],
    [queued('e@x.example'), ok],
  ];
  assert.deepEqual(told(rows, { now: T0 + 4 * HOUR }), ['delayed: a@x.example delay@x.example']);
  assert.deepEqual(told(rows, { now: T0 + 4 * HOUR - 1 }), []);
  assert.deepEqual(told([[asked('failure'), later]], { now: T0 + 4 * HOUR }), []);
});

test('failure, success and delay of one attempt are three reports', () => {
  assert.deepEqual(
    told(
      [
        [asked('success'), ok],
        [queued('b@x.example'), never],
        [queued('c@x.example'), later],
      ],
      { now: T0 + 4 * HOUR },
    ),
    ['failed: b@x.example', 'relayed: success@x.example', 'delayed: c@x.example'],
  );
});

test('nobody is told about mail from the null sender, about a report, or where bounces are not wanted', () => {
  for (const changes of [{ sender: '' }, { origin: { kind: 'report', of: ID } as const }, { bounces: 'none' as const }]) {
    assert.deepEqual(
      told(
        [
          [queued('a@x.example'), never],
          [asked('success'), ok],
          [asked('delay'), later],
        ],
        { message: changes, now: T0 + 4 * HOUR },
      ),
      [],
    );
  }
});

test('only the header is taken from an original, without what follows its empty line', async () => {
  const bytes = Buffer.from('Subject: x\r\nA: b\r\n\r\nbody\r\n\r\nmore');
  assert.equal(originalOf(bytes, false).header?.toString(), 'Subject: x\r\nA: b');
  assert.equal(originalOf(bytes, false).message, undefined);
  assert.equal(originalOf(bytes, true).message, bytes);
  assert.equal(originalOf(Buffer.from('\r\nbody\r\n\r\n'), false).header?.length, 0);
  assert.equal(originalOf(Buffer.from('Subject: x\r\n'), false).header?.toString(), 'Subject: x\r\n');
});

test('an endless header is cut where a field ends', () => {
  const field = `X-Filler: ${'y'.repeat(80)}\r\n\tfolded\r\n`;
  const bytes = Buffer.from(`${field.repeat(1000)}\r\nbody`);
  const { header } = originalOf(bytes, false);
  assert.ok(header!.length <= MAX_RETURNED_HEADER && header!.length > MAX_RETURNED_HEADER - 2 * field.length);
  assert.equal(`${header!.toString()}\r\n`, field.repeat(Math.floor((header!.length + 2) / field.length)));
  assert.equal(originalOf(Buffer.alloc(MAX_RETURNED_HEADER + 1, 'x'), false).header?.length, 0, 'one endless line is no header');
});

test('a stored body is read no further than its header, wherever the chunks are cut', async () => {
  let read = 0;
  async function* chunks(): AsyncGenerator<Buffer> {
    for (const text of ['Subj', 'ect: x\r', '\n\r\nbody\r\n\r\n', 'more']) {
      read++;
      yield Buffer.from(text);
    }
    for (;;) {
      read++;
      yield Buffer.alloc(16 * 1024, 'z');
    }
  }
  const original = await readOriginal({ kind: 'stream', sizeBytes: 1e9, open: chunks }, false);
  assert.equal(original.header?.toString(), 'Subject: x');
  assert.equal(read, 3);
  const whole = await readOriginal({ kind: 'stream', sizeBytes: 1e9, open: chunks }, true);
  assert.equal(whole.message, undefined, 'larger than it said');
  assert.equal(whole.header?.toString(), 'Subject: x');
});

test('RET=FULL is obeyed for failures of small messages', () => {
  const failed = [{ kind: 'failed', recipients: [] }] as const;
  assert.equal(returnsWhole(message({ dsn: { ret: 'full' } }), failed), true);
  assert.equal(returnsWhole(message({ dsn: { ret: 'hdrs' } }), failed), false);
  assert.equal(returnsWhole(message(), failed), false);
  assert.equal(returnsWhole(message({ dsn: { ret: 'full' } }), [{ kind: 'delayed', recipients: [] }]), false);
  assert.equal(returnsWhole(message({ dsn: { ret: 'full' }, sizeBytes: MAX_RETURNED_MESSAGE + 1 }), failed), false);
});

test('a report is mail of its own: from nobody, to the sender, never reported on, as secret as the original', async () => {
  const of = message({ requireTls: true, dsn: { ret: 'full' } });
  const bytes = Buffer.from('Subject: x\r\n\r\nhello\r\n');
  const recipients: Recipient[] = [{ address: 'bob@example.net', state: 'bounced', last: { at: T0, status: '5.1.1', text: '550 no' } }];
  const make = (kind: 'failed' | 'delayed') =>
    reportAcceptance({
      id: '01KAN4S41G00000000000000B2',
      due: { kind, recipients },
      of,
      original: originalOf(bytes, true),
      lane: 'mx:example.com',
      hostname: 'mail.example.com',
      now: T0 + 5,
      expiryMs: DAY,
    });
  const { message: report, deliveries, body } = make('failed');
  assert.ok(Buffer.isBuffer(body));
  assert.deepEqual(report, {
    id: '01KAN4S41G00000000000000B2',
    acceptedAt: T0 + 5,
    sender: '',
    sizeBytes: body.length,
    content: { eightBit: false, dotted: false, utf8Headers: false },
    smtpUtf8: false,
    requireTls: true,
    priority: 'medium',
    notBefore: 0,
    expiresAt: T0 + 5 + DAY,
    origin: { kind: 'report', of: ID },
    messageId: '<01KAN4S41G00000000000000B2@mail.example.com>',
    bounces: 'none',
  });
  assert.deepEqual(deliveries, [{ lane: 'mx:example.com', recipients: [{ address: 'alice@example.com', state: 'queued' }] }]);
  assert.equal((await simpleParser(body)).messageId, report.messageId);
  assert.ok(body.includes(bytes));
  const notice = make('delayed').body;
  assert.ok(Buffer.isBuffer(notice) && !notice.includes('hello'), 'RET speaks of failures only');
});
