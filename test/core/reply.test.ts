import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReplyParser, isGarbage, type ReplyLimits, retryAfterMs } from '../../src/core/reply.js';
import fc from '../support/properties.js';

const parse = (text: string | Buffer, limits?: ReplyLimits) => [...createReplyParser(limits).push(Buffer.from(text as string))];

function garbage(text: string | Buffer, limits?: ReplyLimits): string {
  const replies = parse(text, limits);
  const last = replies.at(-1)!;
  assert.ok(replies.length > 0 && isGarbage(last), JSON.stringify(replies));
  return last.garbage;
}

test('a reply of one line has its code, its enhanced code, and its words', () => {
  assert.deepEqual(parse('250 2.0.0 Ok: queued as 42\r\n'), [{ code: 250, enhanced: '2.0.0', text: '2.0.0 Ok: queued as 42' }]);
  assert.deepEqual(parse('354 go ahead\r\n'), [{ code: 354, text: 'go ahead' }]);
  assert.deepEqual(parse('250\r\n250 \r\n'), [
    { code: 250, text: '' },
    { code: 250, text: '' },
  ]);
  assert.deepEqual(parse('599 x\n200 y\n'), [
    { code: 599, text: 'x' },
    { code: 200, text: 'y' },
  ]);
});

test('a reply of several lines is one reply, and replies of one chunk come in order', () => {
  assert.deepEqual(parse('250-mx.example\r\n250-SIZE 1000\r\n250 PIPELINING\r\n451-4.7.1 a\r\n451 4.7.1 b\r\n250-\r\n250\r\n220 z\r\n'), [
    { code: 250, text: 'mx.example\nSIZE 1000\nPIPELINING' },
    { code: 451, enhanced: '4.7.1', text: '4.7.1 a\n4.7.1 b' },
    { code: 250, text: '\n' },
    { code: 220, text: 'z' },
  ]);
});

test('an enhanced code counts only where it is of the class of the reply code and stands alone', () => {
  const enhanced = (text: string) => {
    const [reply] = parse(`${text}\r\n`);
    return reply && !isGarbage(reply) ? reply.enhanced : 'garbage';
  };
  assert.equal(enhanced('550 5.1.1 x'), '5.1.1');
  assert.equal(enhanced('550 5.7.999'), '5.7.999');
  assert.equal(enhanced('550-5.1.2\r\n550 x'), '5.1.2');
  for (const text of [
    '550 4.1.1 x',
    '250 5.1.1 x',
    '550 5.1 x',
    '550 5.1.1.1 x',
    '550 5.1.1x',
    '550 5.1234.1 x',
    '550 5..1 x',
    '550 x 5.1.1',
    '354 3.0.0 x',
    '550 55.1.1 x',
  ]) {
    assert.equal(enhanced(text), text.startsWith('354') ? '3.0.0' : undefined, text);
  }
});

test('what is not a reply is garbage, and nothing that follows is believed', () => {
  for (const line of [
    '',
    'hello',
    '25',
    '2500 ok',
    '25x ok',
    '250x ok',
    '250_ok',
    '199 ok',
    '600 ok',
    '000 ok',
    '\x00250 ok',
    ' 250 ok',
    '-250 ok',
    '٢٥٠ ok',
    '250\t',
    'HTTP/1.1 200 OK',
  ]) {
    const replies = parse(`${line}\r\n250 2.0.0 Ok\r\n`);
    assert.equal(replies.length, 1, JSON.stringify(line));
    assert.ok(isGarbage(replies[0]!), line);
  }
  const parser = createReplyParser();
  assert.equal(parser.push(Buffer.from('220 hi\r\nxx\r\n250 no\r\n')).length, 2);
  assert.deepEqual(parser.push(Buffer.from('250 never\r\n')), []);
  assert.equal(parser.partial, false);
});

test('two codes in one reply are garbage', () => {
  assert.match(garbage('250-a\r\n550 b\r\n'), /^250 and 550 in one reply: 550 b$/);
  garbage('250-a\r\n251-b\r\n250 c\r\n');
  garbage('550-a\r\nb\r\n550 c\r\n');
});

test('a line without end and a reply without end are garbage, not memory', () => {
  const parser = createReplyParser({ maxLineBytes: 512 });
  assert.deepEqual(parser.push(Buffer.alloc(512, '2')), []);
  assert.ok(isGarbage(parser.push(Buffer.from('2'))[0]!));
  assert.deepEqual(parser.push(Buffer.from('\r\n250 ok\r\n')), []);
  assert.equal(parse(`250 ${'x'.repeat(506)}\r\n`, { maxLineBytes: 512 }).length, 1);
  garbage(`250 ${'x'.repeat(507)}\r\n`, { maxLineBytes: 512 });
  assert.equal(parse(`${'250-x\r\n'.repeat(9)}250 x\r\n`, { maxLines: 10 }).length, 1);
  assert.ok(!isGarbage(parse(`${'250-x\r\n'.repeat(9)}250 x\r\n`, { maxLines: 10 })[0]!));
  garbage(`${'250-x\r\n'.repeat(10)}250 x\r\n`, { maxLines: 10 });
  assert.ok(garbage(`${'\u00fc'.repeat(3000)}\r\n`).length <= 200);
});

test('limits are those of one reply, not of all that came before', () => {
  const reply = `${`250-${'x'.repeat(900)}\r\n`.repeat(4)}250 end\r\n`;
  const replies = parse(reply.repeat(3), { maxLines: 6 });
  assert.equal(replies.length, 3);
  assert.deepEqual(replies[1], replies[0]);
  assert.deepEqual(replies[2], replies[0]);
});

test('text holds no control character, whatever was sent', () => {
  const [reply] = parse(Buffer.from('550-a\tb\r\r\n550 c\x00\x1b[31m\x7f\u0085\u2028\u202e\r\n'));
  assert.deepEqual(reply, { code: 550, text: 'a b\\x0d\nc\\x00\\x1b[31m\\x7f\\x85\\u2028\\u202e' });
  assert.equal(garbage('\x1b]0;title\x07\r\n'), '\\x1b]0;title\\x07');
});

test('octets above 127 are UTF-8 where they can be, and a mark where not', () => {
  assert.deepEqual(parse(Buffer.from('550 f\u00fcr alle')), []);
  assert.deepEqual(parse(Buffer.from('550 f\u00fcr alle\r\n')), [{ code: 550, text: 'f\u00fcr alle' }]);
  assert.deepEqual(parse(Buffer.from('550 f\xfcr\r\n', 'latin1')), [{ code: 550, text: 'f\ufffdr' }]);
});

test('the text of a reply is kept up to 4 KiB of octets, without half a character', () => {
  const size = (text: string) => {
    const [reply] = parse(text, { maxLineBytes: 100_000, maxLines: 1000 });
    assert.ok(reply && !isGarbage(reply));
    assert.doesNotMatch(reply.text, /\ufffd/);
    return Buffer.byteLength(reply.text);
  };
  assert.equal(size(`250 ${'x'.repeat(9000)}\r\n`), 4096);
  assert.equal(size(`250 x${'\u00fc'.repeat(5000)}\r\n`), 4095);
  assert.equal(size(`250 ${'\u{1f600}'.repeat(5000)}\r\n`), 4096);
  assert.ok(size(`250 ${'\0'.repeat(5000)}\r\n`) <= 4096);
  assert.equal(size(`${`250-${'y'.repeat(99)}\r\n`.repeat(100)}250 end\r\n`), 4096);
});

test('replies come out the same however the octets are cut', () => {
  const wire = Buffer.from('220-hi\r\n220 there\r\n250-a\n250-2\r\n250 \u00fc\u{1f600}\r\n550 5.1.1 no\r\n354\r\nrubbish\r\n250 no\r\n');
  const whole = parse(wire);
  assert.equal(whole.length, 5);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: wire.length }), { maxLength: 20 }), (cuts) => {
      const parser = createReplyParser();
      const got = [];
      let at = 0;
      for (const cut of [...cuts.sort((a, b) => a - b), wire.length]) {
        const chunk = Buffer.from(wire.subarray(at, cut));
        got.push(...parser.push(chunk));
        chunk.fill(0x39);
        at = cut;
      }
      assert.deepEqual(got, whole);
    }),
  );
});

test('a reply under way is told', () => {
  const parser = createReplyParser();
  assert.equal(parser.partial, false);
  parser.push(Buffer.from('25'));
  assert.equal(parser.partial, true);
  parser.push(Buffer.from('0-x\r\n'));
  assert.equal(parser.partial, true);
  parser.push(Buffer.from('250 x\r\n'));
  assert.equal(parser.partial, false);
});

test('no octets make a reply that is out of bounds, or an exception', () => {
  const unit = fc.oneof(
    fc.constantFrom('250', ' ', '-', '\r\n', '\n', '\r', '550 5.1.1 x\r\n', '250-x\r\n', '2'),
    fc.string({ unit: 'binary', maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 30 }), (units) => {
      for (const reply of parse(units.join(''), { maxLineBytes: 40, maxLines: 5 })) {
        const text = isGarbage(reply) ? reply.garbage : reply.text;
        assert.doesNotMatch(text, /[\0-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]/);
        if (!isGarbage(reply)) assert.ok(reply.code >= 200 && reply.code <= 599);
      }
    }),
    { numRuns: 1000 },
  );
});

test('a wait that a reply asks for is understood', () => {
  const minute = 60_000;
  for (const [text, ms] of [
    ['4.7.1 Greylisted, please try again in 300 seconds', 300_000],
    ['4.2.0 <a@b>: Recipient address rejected: Greylisted for 5 minutes', 5 * minute],
    ['Greylisting in action, please come back in 00:04:57', 297_000],
    ['try again in 5:30', 330_000],
    ['Too busy, retry in 15 min', 15 * minute],
    ['please try again in 1 hour', 60 * minute],
    ['please try again in an hour', 60 * minute],
    ['try again in 1 hour and 5 minutes', 65 * minute],
    ['try again in 1h5m', 65 * minute],
    ['Try again after 90s', 90_000],
    ['try again in 5 minutes, at most 20 messages per 1 hour', 5 * minute],
    ['Please wait 2 minutes', 2 * minute],
    ['try again 300 seconds later', 300_000],
    ['grey-listed, RETRY AFTER 10 MINUTES', 10 * minute],
    ['retry in 120', 120_000],
    ['Retry-After: 120', 120_000],
    ['try again later\ntry again in 7 minutes', 7 * minute],
    ['delayed for 600 seconds', 600_000],
    ['try again in 1 second', 5_000],
    ['try again in 0 seconds', 5_000],
    ['try again in 30 hours', 240 * minute],
    ['try again in 999999 hours', 240 * minute],
  ] as const) {
    assert.equal(retryAfterMs(text), ms, text);
  }
  for (const text of [
    '',
    'try again later',
    '4.7.1 try again',
    'mailbox full',
    '300 seconds',
    'see RFC 5321, try again',
    'try again in a few minutes',
    'retry from 10.2.3.4',
    'try again at 12:30:00',
    'again 5 messages',
    'retry in 2026-11-23',
  ]) {
    assert.equal(retryAfterMs(text), undefined, text);
  }
});

test('looking for a wait takes no long time, whatever the text', () => {
  const began = performance.now();
  for (const unit of ['again ', 'again 1', 'in 1', '1 h ', '9', 'greylist', ' ', '1:', 'an '])
    retryAfterMs(unit.repeat(1_000_000 / unit.length));
  assert.ok(performance.now() - began < 20_000);
});
