import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog, gathered, type LogFormat, logMail } from '../../src/cli/log.js';
import type { LogLevel } from '../../src/platform/log.js';

const AT = Date.UTC(2026, 10, 2, 9, 8, 7, 65);

function lines(format: LogFormat, level: LogLevel = 'info') {
  const out: string[] = [];
  const log = createLog({
    format,
    level,
    clock: { now: () => AT },
    write: (line) => void out.push(line),
    hostname: 'mail.example',
    pid: 42,
  });
  return { log, out };
}

const about = {
  at: AT,
  id: 'ID',
  delivery: 'ID.0',
  lane: 'mx:x.test',
  sender: 'a@y.test',
  recipient: 'b@x.test',
  server: 'mx.x.test[192.0.2.1]:25',
  delayMs: 1250,
  status: '2.0.0',
  text: '250 2.0.0 Ok',
};

test('JSON lines have time, level, event, fields and message', () => {
  const { log, out } = lines('json');
  log.info('smtp.accepted', { id: 'X', size: 3, user: undefined }, 'words');
  assert.deepEqual(JSON.parse(out[0]!), {
    time: '2026-11-02T09:08:07.065Z',
    level: 'info',
    event: 'smtp.accepted',
    id: 'X',
    size: 3,
    message: 'words',
  });
});

test('what is below the level is not written', () => {
  const { log, out } = lines('json', 'warn');
  log.debug('a');
  log.info('b');
  log.warn('c');
  log.error('d');
  assert.deepEqual(
    out.map((line) => (JSON.parse(line) as { event: string }).event),
    ['c', 'd'],
  );
});

test('an event is one line, whatever its fields hold', () => {
  for (const format of ['json', 'text', 'postfix'] as const) {
    const { log, out } = lines(format);
    log.warn('x', { text: 'a\r\nNov  2 forged: \x1b[31m\u2028' }, 'two\nlines');
    assert.equal(out.length, 1);
    assert.ok(!/[\0-\x1f\u2028]/.test(out[0]!), format);
  }
});

test('text says the words first, and quotes what has spaces', () => {
  const { log, out } = lines('text');
  log.warn('site.resting', { site: 'x.test', text: 'not now', n: 3 }, 'It rests');
  assert.match(out[0]!, /^\d\d:08:07\.065 warn  It rests \[site\.resting\] site=x\.test text="not now" n=3$/);
});

test('Postfix’s words for each outcome, as its log readers expect them', () => {
  const { log, out } = lines('postfix');
  const tell = logMail(log);
  tell({ type: 'accepted', at: AT, id: 'ID', sender: 'a@y.test', recipients: 2, sizeBytes: 99, messageId: '<m@y>', origin: 'smtp' });
  tell({ type: 'delivered', ...about });
  tell({ type: 'deferred', ...about, server: '', status: '4.4.1', text: 'refused', nextAttemptAt: AT, attempts: 1 });
  tell({ type: 'bounced', ...about, status: '5.1.1', text: '550 no' });
  tell({ type: 'expired', ...about, status: '4.4.7', text: 'too old' });
  const rest = out.map((line) => line.replace(/^Nov  2 \d\d:08:07 mail\.example /, ''));
  assert.deepEqual(rest, [
    'postfix/qmgr[42]: ID: from=<a@y.test>, size=99, nrcpt=2 (queue active)',
    'postfix/smtp[42]: ID: to=<b@x.test>, relay=mx.x.test[192.0.2.1]:25, delay=1.3, dsn=2.0.0, status=sent (250 2.0.0 Ok)',
    'postfix/smtp[42]: ID: to=<b@x.test>, relay=none, delay=1.3, dsn=4.4.1, status=deferred (refused)',
    'postfix/smtp[42]: ID: to=<b@x.test>, relay=mx.x.test[192.0.2.1]:25, delay=1.3, dsn=5.1.1, status=bounced (550 no)',
    'postfix/smtp[42]: ID: to=<b@x.test>, relay=mx.x.test[192.0.2.1]:25, delay=1.3, dsn=4.4.7, status=bounced (too old)',
  ]);
});

test('faults are warnings', () => {
  const { log, out } = lines('json', 'warn');
  logMail(log)({ type: 'fault', at: AT, code: 'DAMAGED', text: 'a record is damaged' });
  assert.equal((JSON.parse(out[0]!) as { code: string }).code, 'DAMAGED');
});

test('lines of one turn are one write, and flush leaves none behind', async () => {
  const writes: string[] = [];
  const { write, flush } = gathered((text) => void writes.push(text));
  write('a');
  write('b');
  assert.deepEqual(writes, []);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(writes, ['a\nb\n']);
  write('c');
  flush();
  flush();
  assert.deepEqual(writes, ['a\nb\n', 'c\n']);
});
