import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ComposeOptions } from '../../src/compose/options.js';
import { MtaError } from '../../src/core/errors.js';
import { message } from './composing.js';
import { type ForeignEntity, noPython, readByPython } from './foreign-reader.js';

/** What breaks lines somewhere, and what follows it in an attack. */
const BREAKS = ['\r\n', '\n', '\r', '\0', '\u0085', '\u2028', '\u2029', '\v', '\f', '\x1b', '\x7f', '\t'];
const TAILS = [
  'Bcc: evil@evil.example',
  '\r\nevil body',
  ' <evil@evil.example>',
  ', evil@evil.example',
  '.\r\nRCPT TO:<evil@evil.example>',
];

/** Every field that holds text, with the text put into it. */
const FIELDS: Readonly<Record<string, (text: string) => ComposeOptions>> = {
  from: (text) => ({ from: `a@x.example${text}` }),
  fromName: (text) => ({ from: `"N${text}" <a@x.example>` }),
  fromObject: (text) => ({ from: { name: `N${text}`, address: 'a@x.example' } }),
  fromAddress: (text) => ({ from: { address: `a@x.example${text}` } }),
  to: (text) => ({ to: `a@x.example${text}` }),
  toList: (text) => ({ to: ['a@x.example', `N${text} <b@x.example>`] }),
  toComment: (text) => ({ to: `(c${text}) a@x.example` }),
  toGroup: (text) => ({ to: `G${text}: a@x.example;` }),
  toQuotedLocalPart: (text) => ({ to: `"q${text}"@x.example` }),
  cc: (text) => ({ cc: `a@x.example${text}` }),
  bcc: (text) => ({ bcc: `a@x.example${text}` }),
  sender: (text) => ({ sender: `a@x.example${text}` }),
  replyTo: (text) => ({ replyTo: `N${text} <a@x.example>` }),
  returnPath: (text) => ({ returnPath: `a@x.example${text}` }),
  envelopeFrom: (text) => ({ envelope: { from: `a@x.example${text}` } }),
  envelopeTo: (text) => ({ envelope: { to: `a@x.example${text}` } }),
  subject: (text) => ({ subject: `s${text}` }),
  messageId: (text) => ({ messageId: `<a@x.example>${text}` }),
  inReplyTo: (text) => ({ inReplyTo: `<a@x.example>${text}` }),
  references: (text) => ({ references: ['<a@x.example>', `<b@x.example${text}>`] }),
  listUnsubscribe: (text) => ({ listUnsubscribe: `https://x.example/${text}` }),
  listMailto: (text) => ({ listUnsubscribe: { mailto: `a@x.example${text}` } }),
  headerName: (text) => ({ extraMIMEHeaders: [[`X-A${text}`, 'v']] }),
  headerValue: (text) => ({ extraMIMEHeaders: [['X-A', `v${text}`]] }),
  headerMap: (text) => ({ extraMIMEHeaders: { 'X-A': `v${text}` } }),
  headerMailboxes: (text) => ({ extraMIMEHeaders: { 'Resent-To': `a@x.example${text}` } }),
  contentType: (text) => ({ contentType: `text/plain${text}` }),
  contentTypeParameter: (text) => ({ contentType: `text/plain; a="b${text}"` }),
  characterSet: (text) => ({ characterSet: `utf-8${text}` }),
  transferEncoding: (text) => ({ transferEncoding: `base64${text}` }),
  contentDisposition: (text) => ({ contentDisposition: `inline; filename="a${text}"` }),
  headerType: (text) => ({ headerType: `mixed${text}` }),
  attachmentName: (text) => ({ attachments: [{ name: `a${text}.txt`, data: 'd' }] }),
  attachmentMap: (text) => ({ attachments: { [`a${text}.txt`]: 'd' } }),
  attachmentPath: (text) => ({ attachments: [`/tmp/a${text}.txt`] }),
  attachmentType: (text) => ({ attachments: [{ name: 'a', data: 'd', contentType: `text/plain${text}` }] }),
  imageName: (text) => ({ html: 'h', htmlImages: [{ name: `a${text}.gif`, data: 'd' }] }),
  imageCid: (text) => ({ html: 'h', htmlImages: [{ name: 'a.gif', data: 'd', cid: `c${text}` }] }),
  date: (text) => ({ date: `2030-01-01T00:00:00Z${text}` }),
  calendarMethod: (text) => ({ calendar: { data: 'x', method: `REQUEST${text}` } }),
};

test('no line break or control gets through any field: each is refused, and the field named', async (t) => {
  let attempts = 0;
  for (const [field, options] of Object.entries(FIELDS)) {
    for (const control of BREAKS) {
      for (const tail of TAILS) {
        attempts++;
        assert.throws(
          () => message({ body: 'b', ...options(control + tail) }),
          (error) => {
            assert.ok(error instanceof MtaError);
            assert.match(error.issues[0]!.path, /^[a-zA-Z]/);
            const injected = error.issues.some((issue) => issue.code === 'HEADER_INJECTION');
            assert.ok(injected || ['date', 'calendarMethod'].includes(field), `${field}: ${error.message}`);
            assert.doesNotMatch(error.message, /evil/, 'what was tried is not repeated');
            return true;
          },
          `${field} ${JSON.stringify(control)}`,
        );
      }
    }
  }
  t.diagnostic(`${attempts} attempts`);
  assert.ok(attempts > 2000);
});

/** Without control characters, but made to be taken for more than they are. */
const DISGUISES = [
  '=?utf-8?Q?=0D=0ABcc:_evil@evil.example?=',
  '=?utf-8?B?DQpCY2M6IGV2aWxAZXZpbC5leGFtcGxl?=',
  '=?utf-8?q?a=40evil.example=2C?=',
  '" <evil@evil.example>, "',
  '\\" <evil@evil.example>',
  '>, <evil@evil.example',
  '\u{ff1c}evil@evil.example\u{ff1e}',
  '; evil@evil.example',
  ') evil@evil.example (',
  '%0D%0ABcc:evil@evil.example',
  '\u560a\u560dBcc: evil@evil.example',
  '--=_boundary',
  '; filename="x.exe"',
  "*=utf-8''x%0D%0Ay",
];

test('what is disguised says what it says, or is refused: no recipient, header or part that was not asked for', {
  skip: noPython,
}, async (t) => {
  const base = await message({ body: 'b' }).data();
  const composed: { octets: Buffer; name: string; recipients: string[] }[] = [];
  let refused = 0;
  for (const [field, options] of Object.entries(FIELDS)) {
    for (const disguise of DISGUISES) {
      try {
        const whole = message({ body: 'b', ...options(disguise) });
        const recipients = [...whole.recipients(), whole.envelope().from];
        composed.push({ octets: await whole.data(), name: `${field} ${disguise}`, recipients });
      } catch (error) {
        assert.ok(error instanceof MtaError, `${field} ${disguise}: ${error}`);
        refused++;
      }
    }
  }
  t.diagnostic(`${composed.length} composed, ${refused} refused`);
  assert.ok(composed.length > 100 && refused > 100);
  const known = new Set(fieldNames(readByPython([base])[0]!));
  const allowed = new Set([
    ...known,
    'cc',
    'sender',
    'reply-to',
    'in-reply-to',
    'references',
    'list-unsubscribe',
    'list-unsubscribe-post',
    'x-a',
    'resent-to',
  ]);
  readByPython(composed.map(({ octets }) => octets)).forEach((entity, i) => {
    const { name, recipients, octets } = composed[i]!;
    const names = fieldNames(entity);
    for (const one of names) assert.ok(allowed.has(one) || one.startsWith('content-'), `${name} made ${one}`);
    assert.equal(new Set(names).size, names.length, `${name} doubled a field`);
    // Only lists in which a comma and an address were written as such have it: those in the fields of addresses.
    const asked = /^(?:to|from|cc|bcc|sender|envelopeTo|replyTo|toList|fromName|toComment|toGroup|toQuotedLocalPart|headerMailboxes) /.test(
      name,
    );
    if (!asked) {
      for (const address of recipients) assert.doesNotMatch(address, /@evil\.example$/, name);
      for (const list of Object.values(entity.mailboxes))
        for (const { address } of list) assert.doesNotMatch(address, /@evil\.example$/, name);
    }
    assert.doesNotMatch(octets.toString('latin1'), /^(?:bcc|rcpt|evil)/im, name);
    assert.ok(count(entity) <= 5, `${name} made a part`);
  });
});

test('of disguises in addresses, only what stands there as an address is one', () => {
  const cases: [ComposeOptions, string[]][] = [
    [{ to: '"x\\" <evil@evil.example>" <a@x.example>' }, ['a@x.example']],
    [{ to: '=?utf-8?q?evil=40evil.example=2C?= <a@x.example>' }, ['a@x.example']],
    [{ to: '(evil@evil.example, (b@evil.example)) a@x.example' }, ['a@x.example']],
    [{ to: '"evil@evil.example, b"@x.example' }, ['"evil@evil.example, b"@x.example']],
    [{ to: { name: '" <evil@evil.example>, "', address: 'a@x.example' } }, ['a@x.example']],
    [{ to: 'G (evil@evil.example;): a@x.example;' }, ['a@x.example']],
  ];
  for (const [options, expected] of cases) assert.deepEqual(message({ body: 'b', ...options }).recipients(), expected);
  for (const to of [
    'G: H: a@x.example;;',
    'a@x.example <evil@evil.example>',
    'a@x.example\u2028,b@x.example',
    '<a@x.example>evil@evil.example',
    'a@x.example@evil.example',
  ])
    assert.throws(() => message({ body: 'b', to }), MtaError);
});

function fieldNames(entity: ForeignEntity): string[] {
  return entity.headers.map(([name]) => name.toLowerCase());
}

function count(entity: ForeignEntity): number {
  return 1 + entity.parts.reduce((sum, part) => sum + count(part), 0);
}
