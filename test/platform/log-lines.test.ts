import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog, type LogOptions } from '../../src/platform/log-lines.js';
import fc from '../support/properties.js';

const AT = Date.UTC(2026, 10, 22, 10, 21, 49, 7);

function logging(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  let now = AT;
  const log = createLog({ format: 'json', level: 'debug', clock: { now: () => now }, write: (line) => void lines.push(line), ...options });
  return { log, lines, pass: (ms: number) => void (now += ms) };
}

test('a JSON line has time, level and event first, fields in their order, and the words last', () => {
  const { log, lines } = logging();
  log.info('delivery.sent', { id: 'X', n: 3, ok: true, gone: undefined, big: 1e21 }, 'sent it');
  log.error('bare');
  assert.deepEqual(lines, [
    '{"time":"2026-11-22T10:21:49.007Z","level":"info","event":"delivery.sent","id":"X","n":3,"ok":true,"big":1e+21,"msg":"sent it"}',
    '{"time":"2026-11-22T10:21:49.007Z","level":"error","event":"bare"}',
  ]);
});

test('time goes on from line to line, over the second, and back', () => {
  const { log, lines, pass } = logging();
  for (const ms of [92, 900, 1, 60_000, -120_000]) {
    pass(ms);
    log.info('x');
  }
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).time.slice(14)),
    ['21:49.099Z', '21:49.999Z', '21:50.000Z', '22:50.000Z', '20:50.000Z'],
  );
});

test('less than the level is not written', () => {
  const { log, lines } = logging({ level: 'warn' });
  for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level](level);
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).event),
    ['warn', 'error'],
  );
});

test('fields do not overwrite what stands in every line, and numbers that JSON does not know are null', () => {
  const { log, lines } = logging();
  log.info('x', { level: 'fake', time: 1, msg: 'y', n: Number.NaN, i: Number.POSITIVE_INFINITY }, 'z');
  assert.deepEqual(JSON.parse(lines[0]!), {
    time: '2026-11-22T10:21:49.007Z',
    level: 'info',
    event: 'x',
    level_: 'fake',
    time_: 1,
    msg_: 'y',
    n: null,
    i: null,
    msg: 'z',
  });
});

test('whatever stands in a field, a JSON line is one line of JSON that says it, without a control character', () => {
  const { log, lines } = logging();
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary', minLength: 1 }), (value, name) => {
      lines.length = 0;
      log.info('x', { [`f${name}`]: value }, value);
      assert.equal(lines.length, 1);
      assert.doesNotMatch(lines[0]!, /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/u);
      const { [`f${name}`]: got, msg } = JSON.parse(lines[0]!);
      assert.deepEqual([got, msg], [value, value]);
    }),
  );
});

test('whatever stands in a field, a text line is one line without a control character', () => {
  const { log, lines } = logging({ format: 'text' });
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      lines.length = 0;
      log.info(value, { [value]: value }, value);
      assert.equal(lines.length, 1);
      assert.doesNotMatch(lines[0]!, /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}]/u);
    }),
  );
});

test('very long values are cut', () => {
  for (const format of ['json', 'text'] as const) {
    const { log, lines } = logging({ format });
    log.info('x', { text: 'y'.repeat(1e6) });
    assert.ok(lines[0]!.length < 5000);
    assert.ok(lines[0]!.includes('…'));
  }
});

test('a text line says when, how bad, what, and the rest', () => {
  const { log, lines } = logging({ format: 'text' });
  log.warn(
    'site.trouble',
    { host: 'mx.test', text: 'a "b" c', empty: '', n: 1, none: undefined, esc: '\x1b[31m', lines: 'a\nb' },
    'it\nfails',
  );
  log.info('x');
  assert.deepEqual(lines, [
    '2026-11-22T10:21:49.007Z warn  site.trouble         it fails  host=mx.test text="a \\"b\\" c" empty="" n=1 esc="\\x1b[31m" lines="a\\nb"',
    '2026-11-22T10:21:49.007Z info  x',
  ]);
});

test('colours only when asked for', () => {
  const { log, lines } = logging({ format: 'text', color: true });
  log.error('x', { a: 1 });
  assert.ok(lines[0]!.includes('\x1b[31merror'));
  assert.equal(lines[0]!.replace(/\x1b\[\d+m/g, ''), '2026-11-22T10:21:49.007Z error x                    a=1');
});
