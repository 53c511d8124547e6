import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMail, parseRcpt } from '../../../src/intake/smtp/commands.js';
import fc from '../../support/properties.js';

const limits = { maxMessageSizeBytes: 1000 };
const utf8 = (text: string) => Buffer.from(text).toString('latin1');
const mail = (line: string) => parseMail(utf8(line), limits);
const rcpt = (line: string, smtpUtf8 = false) => parseRcpt(utf8(line), { smtpUtf8, postmasterDomain: 'mx.test' });
const status = (result: ReturnType<typeof mail> | ReturnType<typeof rcpt>) =>
  result.kind === 'refused' ? result.reply.slice(0, 9) : result.kind;

test('MAIL gives the sender, its domain in lower case', () => {
  const plain = { kind: 'mail', sizeBytes: 0, smtpUtf8: false };
  assert.deepEqual(mail('MAIL FROM:<Ann@Example.ORG>'), { ...plain, sender: 'Ann@example.org' });
  assert.deepEqual(mail('mail from:<a@b.test>'), { ...plain, sender: 'a@b.test' });
  assert.deepEqual(mail('MAIL FROM: <a@b.test>'), { ...plain, sender: 'a@b.test' });
  assert.deepEqual(mail('MAIL FROM:<@x.test,@y.test:a@b.test>'), { ...plain, sender: 'a@b.test' });
  assert.deepEqual(mail('MAIL FROM:<>'), { ...plain, sender: '' });
  assert.deepEqual(mail('MAIL FROM:<"a b"@[192.0.2.1]>'), { ...plain, sender: '"a b"@[192.0.2.1]' });
});

test('parameters of MAIL are read in any order and case', () => {
  assert.deepEqual(mail('MAIL FROM:<a@b.test> SIZE=1000 BODY=8BITMIME'), {
    kind: 'mail',
    sender: 'a@b.test',
    sizeBytes: 1000,
    smtpUtf8: false,
  });
  assert.deepEqual(mail('MAIL FROM:<> smtputf8  body=7bit size=0 '), { kind: 'mail', sender: '', sizeBytes: 0, smtpUtf8: true });
});

test('wrong parameters are refused with what is wrong', () => {
  const cases: [string, string][] = [
    ['SIZE=1001', '552 5.3.4'],
    ['SIZE=99999999999999999999', '552 5.3.4'],
    ['SIZE=', '501 5.5.4'],
    ['SIZE', '501 5.5.4'],
    ['SIZE=1k', '501 5.5.4'],
    ['SIZE=-1', '501 5.5.4'],
    ['SIZE=1 SIZE=1', '501 5.5.4'],
    ['BODY=BINARYMIME', '501 5.5.4'],
    ['BODY', '501 5.5.4'],
    ['SMTPUTF8=1', '501 5.5.4'],
    ['RET=ALL', '501 5.5.4'],
    ['RET', '501 5.5.4'],
    ['RET=FULL RET=FULL', '501 5.5.4'],
    ['ENVID=a=b', '501 5.5.4'],
    ['ENVID=+0D+0A', '501 5.5.4'],
    ['ENVID=+C3+A4', '501 5.5.4'],
    ['ENVID=+4', '501 5.5.4'],
    [`ENVID=${'x'.repeat(101)}`, '501 5.5.4'],
    ['AUTH=<>', '555 5.5.4'],
    ['REQUIRETLS', '555 5.5.4'],
    ['X=a=b', '501 5.5.4'],
    ['=x', '501 5.5.4'],
    ['SIZE=1\r', '501 5.5.4'],
    ['SIZE=1\0', '501 5.5.4'],
    ['\x0b', '501 5.5.4'],
  ];
  for (const [parameters, expected] of cases) assert.equal(status(mail(`MAIL FROM:<a@b.test> ${parameters}`)), expected, parameters);
  for (const [parameters, expected] of [
    ['NOTIFY=NEVER,DELAY', '501 5.5.4'],
    ['NOTIFY=OFTEN', '501 5.5.4'],
    ['NOTIFY=DELAY,DELAY', '501 5.5.4'],
    ['NOTIFY', '501 5.5.4'],
    ['ORCPT=a@b.test', '501 5.5.4'],
    ['ORCPT=rfc822;', '501 5.5.4'],
    ['ORCPT=rfc822;a+0Ab', '501 5.5.4'],
    [`ORCPT=rfc822;${'x'.repeat(494)}`, '501 5.5.4'],
    ['NOTIFY=NEVER RRVS=2026', '555 5.5.4'],
    ['RET=FULL', '555 5.5.4'],
  ] as const)
    assert.equal(status(rcpt(`RCPT TO:<a@b.test> ${parameters}`)), expected, parameters);
  assert.equal(status(rcpt('RCPT TO:<a@b.test> =')), '501 5.5.4');
});

test('what a client wants to be told of is read, xtext decoded (RFC 3461)', () => {
  assert.deepEqual(mail('MAIL FROM:<a@b.test> RET=hdrs ENVID=id+2B7+20x SIZE=5'), {
    kind: 'mail',
    sender: 'a@b.test',
    sizeBytes: 5,
    smtpUtf8: false,
    dsn: { ret: 'hdrs', envid: 'id+7 x' },
  });
  const one = { kind: 'rcpt', recipient: 'a@b.test' };
  assert.deepEqual(rcpt('RCPT TO:<a@b.test> NOTIFY=SUCCESS,failure ORCPT=rfc822;a+2Bx@b.test'), {
    ...one,
    notify: ['success', 'failure'],
    orcpt: 'rfc822;a+x@b.test',
  });
  assert.deepEqual(rcpt('RCPT TO:<a@b.test> NOTIFY=NEVER'), { ...one, notify: ['never'] });
  assert.deepEqual(rcpt('RCPT TO:<a@b.test> ORCPT=utf-8;\\x{E4}@b.test'), { ...one, orcpt: 'utf-8;\\x{E4}@b.test' });
  assert.deepEqual(rcpt('RCPT TO:<a@b.test>'), one);
});

test('addresses that are none are refused', () => {
  for (const path of [
    'a@b.test',
    '<a@b.test',
    '<a>',
    '<a@>',
    '<@b.test>',
    '<a b@c.test>',
    '<a@b.test>x',
    '<a@b.test><c@d.test>',
    '< a@b.test>',
    '<a@b..test>',
  ]) {
    assert.match(status(mail(`MAIL FROM:${path}`)), /^501 5\.(1\.7|5\.4)$/, path);
    assert.match(status(rcpt(`RCPT TO:${path}`)), /^501 5\.(1\.3|5\.4)$/, path);
  }
  assert.equal(status(rcpt('RCPT TO:<>')), '501 5.1.3');
  assert.equal(status(mail('MAIL FROM:<postmaster>')), '501 5.1.7');
  assert.equal(status(mail('MAIL <a@b.test>')), '501 5.5.4');
  assert.equal(status(rcpt('RCPT FROM:<a@b.test>')), '501 5.5.4');
});

test('what would be a second line, header or recipient gets nowhere', () => {
  const tricks = ['\r', '\n', '\r\nRCPT TO:<x@y.test>', '\0', '\x7f', '\x85', '\u2028', '\u202e', '<', '>', ' ', ',c@d.test'];
  for (const trick of tricks) {
    for (const path of [`a${trick}@b.test`, `a@b${trick}.test`, `a@b.test${trick}`]) {
      for (const smtpUtf8 of [false, true]) {
        assert.equal(rcpt(`RCPT TO:<${path}>`, smtpUtf8).kind, 'refused', JSON.stringify(path));
        assert.equal(mail(`MAIL FROM:<${path}>${smtpUtf8 ? ' SMTPUTF8' : ''}`).kind, 'refused', JSON.stringify(path));
      }
    }
  }
});

test('the postmaster of nowhere is the one here', () => {
  assert.deepEqual(rcpt('RCPT TO:<PostMaster>'), { kind: 'rcpt', recipient: 'PostMaster@mx.test' });
  assert.equal(status(parseRcpt('RCPT TO:<postmaster>', { smtpUtf8: false, postmasterDomain: '..' })), '550 5.1.2');
});

test('an address that is not ASCII needs SMTPUTF8, and its domain becomes A-labels', () => {
  assert.equal(status(mail('MAIL FROM:<jürgen@b.test>')), '553 5.6.7');
  assert.equal(status(mail('MAIL FROM:<a@bücher.test>')), '553 5.6.7');
  assert.equal(status(rcpt('RCPT TO:<a@bücher.test>')), '553 5.6.7');
  assert.deepEqual(mail('MAIL FROM:<jürgen@bücher.test> SMTPUTF8'), {
    kind: 'mail',
    sender: 'jürgen@xn--bcher-kva.test',
    sizeBytes: 0,
    smtpUtf8: true,
  });
  assert.deepEqual(rcpt('RCPT TO:<a@bücher.test>', true), { kind: 'rcpt', recipient: 'a@xn--bcher-kva.test' });
  assert.equal(status(parseMail('MAIL FROM:<\xfc@b.test> SMTPUTF8', limits)), '501 5.5.4');
});

test('no line makes them throw, and no reply repeats it', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'MAIL FROM:<',
      'RCPT TO:<',
      'a@b.test',
      '>',
      ' SIZE=5',
      ' SMTPUTF8',
      ' BODY=8BITMIME',
      '@',
      '"',
      '\\',
      '[',
      ']',
      '[IPv6:',
      ',',
    ),
    fc.string({ maxLength: 8 }),
    fc.string({ unit: 'binary', maxLength: 8 }),
  );
  fc.assert(
    fc.property(fc.constantFrom('MAIL FROM:<', 'RCPT TO:<', ''), fc.array(piece, { maxLength: 8 }), (start, pieces) => {
      const line = Buffer.from(start + pieces.join('')).toString('latin1');
      for (const result of [parseMail(line, limits), parseRcpt(line, { smtpUtf8: true, postmasterDomain: 'mx.test' })]) {
        if (result.kind === 'refused') assert.match(result.reply, /^\d{3} \d\.\d\.\d [ -~]+$/);
        else assert.match(result.kind === 'mail' ? result.sender : result.recipient, /^[^\p{Cc}]*$/u);
      }
    }),
    { numRuns: 2000 },
  );
});
