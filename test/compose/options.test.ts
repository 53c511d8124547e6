import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ComposeOptions } from '../../src/compose/options.js';
import { compose, composer, issuesOf, message, refusal } from './composing.js';

/** Options as JavaScript callers may give them. */
const untyped = (options: Record<string, unknown>) => options as ComposeOptions;

test('every wrong option is named in one error, with its path, a code and a way out', async () => {
  const error = await refusal(() =>
    compose(
      untyped({
        from: 'no address',
        to: ['ok@example.com', 'a@x.example b@y.example', 7],
        cc: { address: 'x', nmae: 'y' },
        subject: 5,
        body: {},
        html: 1,
        htmlImages: [{ data: 'x' }, 5],
        attachments: [{ name: 'a' }, { name: 'b', data: 1 }, { name: 'c', data: 'x', path: 'y' }, {}, ''],
        attachment: { name: 'x', data: '', contentType: 'nonsense' },
        parts: 'x',
        contentType: 'text',
        characterSet: 'klingon',
        transferEncoding: '9bit',
        contentDisposition: 'a b',
        headerType: 'a/b',
        extraMIMEHeaders: [['X Y', 'v'], ['From', 'v'], 'x', ['X-Ok', 3]],
        simpleForm: 'yes',
        date: '2030-01-01',
        messageId: 'no at',
        inReplyTo: 5,
        references: ['<a@b>', 'x'],
        listUnsubscribe: 'ftp://x',
        calendar: { data: 5 },
        returnPath: 'x y',
        envelope: { from: 'bad', wrong: 1 },
        boddy: 'typo',
      }),
    ),
  );
  assert.equal(error.code, 'INVALID_OPTIONS');
  assert.deepEqual(issuesOf(error).sort(), [
    'attachment.contentType INVALID_VALUE',
    'attachments[0] MISSING_FIELD',
    'attachments[1].data WRONG_TYPE',
    'attachments[2] CONFLICT',
    'attachments[3] MISSING_FIELD',
    'attachments[3].name MISSING_FIELD',
    'attachments[4].path INVALID_VALUE',
    'boddy UNKNOWN_FIELD',
    'body WRONG_TYPE',
    'calendar.data WRONG_TYPE',
    'cc.address INVALID_ADDRESS',
    'cc.nmae UNKNOWN_FIELD',
    'characterSet UNKNOWN_CHARSET',
    'contentDisposition INVALID_VALUE',
    'contentType INVALID_VALUE',
    'date INVALID_VALUE',
    'envelope.from INVALID_ADDRESS',
    'envelope.wrong UNKNOWN_FIELD',
    'extraMIMEHeaders[0][0] INVALID_VALUE',
    'extraMIMEHeaders[1][0] CONFLICT',
    'extraMIMEHeaders[2] WRONG_TYPE',
    'extraMIMEHeaders[3][1] WRONG_TYPE',
    'from INVALID_ADDRESS',
    'headerType INVALID_VALUE',
    'html WRONG_TYPE',
    'htmlImages[0].name MISSING_FIELD',
    'htmlImages[1] WRONG_TYPE',
    'inReplyTo WRONG_TYPE',
    'listUnsubscribe.url INVALID_VALUE',
    'messageId INVALID_VALUE',
    'parts WRONG_TYPE',
    'references[1] INVALID_VALUE',
    'returnPath INVALID_ADDRESS',
    'simpleForm WRONG_TYPE',
    'subject WRONG_TYPE',
    'to[1] INVALID_ADDRESS',
    'to[2] WRONG_TYPE',
    'transferEncoding INVALID_VALUE',
  ]);
  for (const { path, message } of error.issues) assert.ok(error.message.includes(`${path}: ${message}`));
  for (const nothing of [undefined, null, 5, 'x', []])
    assert.deepEqual(issuesOf(await refusal(() => compose(nothing as never))), ['options WRONG_TYPE']);
});

test('a name that there is not is answered with the one that was meant, also where it is that of nodemailer', async () => {
  const meant = async (options: object) =>
    (await refusal(() => compose(options as ComposeOptions))).issues
      .filter(({ code }) => code === 'UNKNOWN_FIELD')
      .map(({ path, message: text }) => `${path} ${/did you mean (\w+)\?/.exec(text)?.[1]}`);
  const given = { text: 'x', html: 'y', headers: {}, attachements: [], attachments: [{ filename: 'a', content: 'b' }], list: {}, x: 1 };
  assert.deepEqual((await meant(given)).sort(), [
    'attachements attachments',
    'attachments[0].content data',
    'attachments[0].filename name',
    'headers extraMIMEHeaders',
    'list listUnsubscribe',
    'text body',
    'x undefined',
  ]);
});

test('options that are undefined count as not given', () => {
  assert.deepEqual(compose({ from: 'a@x.example', to: undefined, body: 'b', attachments: undefined, date: undefined }).recipients(), []);
});

test('what a sender demands is missed by name, and an unreadable address is not missed as well', () => {
  const read = (options: Record<string, unknown>) => {
    const issues: { path: string; code: string; message: string }[] = [];
    composer().read(options, { subject: true, recipients: true, content: true }, issues);
    return issues.map(({ path, code }) => `${path} ${code}`);
  };
  assert.deepEqual(read({}), ['body MISSING_FIELD', 'from MISSING_FIELD', 'subject MISSING_FIELD', 'to MISSING_FIELD']);
  const whole = { from: 'a@x.example', to: 'b@x.example', subject: '', body: '' };
  assert.deepEqual(read(whole), []);
  assert.deepEqual(read({ ...whole, to: '' }), ['to MISSING_FIELD']);
  assert.deepEqual(read({ ...whole, to: undefined, bcc: 'b@x.example' }), []);
  assert.deepEqual(read({ ...whole, to: undefined, envelope: { to: 'b@x.example' } }), []);
  assert.deepEqual(read({ ...whole, to: 'x' }), ['to INVALID_ADDRESS']);
  assert.deepEqual(read({ from: 'x', body: 7 }), ['body WRONG_TYPE', 'from INVALID_ADDRESS', 'subject MISSING_FIELD', 'to MISSING_FIELD']);
  assert.deepEqual(read({ ...whole, body: undefined, simpleForm: true }), []);
  assert.deepEqual(read({ ...whole, body: undefined, attachments: [{ name: 'a', data: 'b' }] }), ['body MISSING_FIELD']);
  assert.deepEqual(read({ ...whole, from: 'a@x.example, b@x.example' }), ['sender MISSING_FIELD']);
});

test('errors of one kind give the whole error their code', async () => {
  const codes = async (options: ComposeOptions) => (await refusal(() => message({ body: 'b', ...options }))).code;
  assert.equal(await codes({ to: 'x' }), 'INVALID_ADDRESS');
  assert.equal(await codes({ to: 'x', cc: 'y' }), 'INVALID_ADDRESS');
  assert.equal(await codes({ subject: 'a\nb' }), 'HEADER_INJECTION');
  assert.equal(await codes({ subject: 'a\nb', to: 'x' }), 'INVALID_OPTIONS');
});

test('what contradicts itself is refused', async () => {
  const cases: [ComposeOptions, string][] = [
    [{ date: new Date(), delay: 5 }, 'delay CONFLICT'],
    [{ returnPath: '', envelope: { from: 'a@x.example' } }, 'returnPath CONFLICT'],
    [{ contentType: 'multipart/related', headerType: 'mixed' }, 'headerType CONFLICT'],
    [{ contentType: 'text/plain; charset=utf-8', characterSet: 'latin1' }, 'characterSet CONFLICT'],
    [{ contentType: 'text/x-other', html: 'h' }, 'contentType CONFLICT'],
    [{ contentType: 'multipart/mixed; boundary=x' }, 'contentType INVALID_VALUE'],
    [{ htmlImages: 'x.gif' }, 'htmlImages CONFLICT'],
    [{ listUnsubscribe: { url: 'http://x.example/', oneClick: true } }, 'listUnsubscribe.oneClick CONFLICT'],
    [{ listUnsubscribe: 'https://x.example/', extraMIMEHeaders: { 'List-Unsubscribe': '<x>' } }, 'listUnsubscribe CONFLICT'],
    [{ attachments: untyped({ name: 'a.txt', data: 'x' }) as never }, 'attachments CONFLICT'],
    [{ calendar: { data: 'METHOD:REPLY', method: 'REQUEST' } }, 'calendar.method CONFLICT'],
  ];
  for (const [options, expected] of cases) assert.deepEqual(issuesOf(await refusal(() => message({ body: 'b', ...options }))), [expected]);
});

test('dates: with an offset, a number, a Date; nothing else', async () => {
  const at = (date: unknown) => message(untyped({ body: 'b', date })).date;
  const moment = Date.UTC(2030, 0, 31, 8, 30);
  for (const same of [
    moment,
    new Date(moment),
    '2030-01-31T08:30:00Z',
    '2030-01-31T09:30+01:00',
    '2030-01-31 03:30:00.000-0500',
    '2030-01-31t08:30z',
  ])
    assert.equal(at(same), moment, String(same));
  assert.equal(message({ body: 'b', delay: 0.5 }).date, message({ body: 'b' }).date + 500);
  for (const bad of [
    '2030-01-31',
    '2030-01-31T08:30:00',
    'tomorrow',
    '2030-02-30T00:00:00Z',
    '2030-13-01T00:00Z',
    '2030-01-01T25:00Z',
    new Date(Number.NaN),
    Number.NaN,
    -1,
    1e20,
    null,
    true,
  ])
    assert.deepEqual(
      (await refusal(() => at(bad))).issues.map(({ path }) => path),
      ['date'],
      String(bad),
    );
  for (const delay of [-1, Number.NaN, Number.POSITIVE_INFINITY, '5'])
    assert.deepEqual(
      (await refusal(() => message(untyped({ body: 'b', delay })))).issues.map(({ path }) => path),
      ['delay'],
    );
});

test('content comes at last, or its absence is told when it is asked for', async () => {
  const empty = compose({ from: 'a@x.example', to: 'b@x.example' });
  assert.deepEqual(issuesOf(await refusal(() => empty.data())), ['body MISSING_FIELD']);
  assert.ok(await empty.addTextPart({ data: '' }).data());
});
