/** `riata top`: the frame, and a terminal that is made up. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { type TestContext, test } from 'node:test';
import { createScreen } from '../../src/cli/screen.js';
import { type Look, topFrame } from '../../src/cli/top-frame.js';
import { width } from '../../src/cli/visible.js';
import { NOW } from '../control/fake-agent.js';
import { serveControl } from '../control/served.js';
import { until } from '../support/scope.js';
import { run, Sink } from './run.js';

const { paint } = createScreen(new Sink(false, 80), new Sink(false, 80), {}, false);

function look(
  more: { at?: number; metrics?: Record<string, number>; stats?: Partial<Look['stats']>; troubles?: Look['recent']['troubles'] } = {},
): Look {
  const sample = { at: NOW, ready: 0, waiting: 0, held: 0, sending: 0, connections: 0, accepted: 0, deferred: 0, failed: 0 };
  return {
    at: more.at ?? NOW,
    agent: {
      hostname: 'mail.example.test',
      version: '1.2.3',
      pid: 1,
      startedAt: NOW,
      driver: 'level',
      listening: [],
      limits: {},
    } as unknown as Look['agent'],
    stats: {
      counts: { messages: 12_345, ready: 1, waiting: 2, held: 3, sending: 4, lanes: 2 },
      lanes: [
        { lane: 'mx:one.test', ready: 5, waiting: 1, held: 0 },
        { lane: 'mx:two.test', ready: 0, waiting: 1, held: 0, paused: { at: NOW - 60_000, reason: 'they asked \x1b[31m' } },
      ],
      connections: [
        { server: 'idle.test[192.0.2.1]:25', open: 2, busy: 0 },
        { server: 'busy.test[192.0.2.2]:25', open: 1, busy: 1 },
      ],
      sites: [
        { site: 'mx.down.test:25', lanes: ['mx:down.test'], laneCount: 1, backingOffUntil: NOW + 90_000, trouble: 'no route to host' },
      ],
      metrics: { accepted: 100, delivered: 90, deliveredPerMinute: 120, acceptedPerMinute: 3, ...more.metrics },
      uptimeMs: 3_600_000,
      ...more.stats,
    },
    recent: { everyMs: 10_000, samples: [0, 10, 40, 80].map((delivered) => ({ ...sample, delivered })), troubles: more.troubles ?? [] },
  };
}

const troubles = Array.from({ length: 40 }, (_, i) => ({
  type: 'deferred' as const,
  at: NOW - (40 - i) * 1000,
  id: 'x',
  lane: 'mx:a.test',
  recipient: `r${i}@a.test`,
  status: '4.2.0',
  text: `450 4.2.0 Greylisted \x1b]0;evil\x07 ${'long '.repeat(40)}`,
  server: '',
}));

test('rates are those between two looks; of a single one, those of the last minute', () => {
  const first = look();
  const later = look({ at: NOW + 2000, metrics: { accepted: 120, delivered: 90, bounced: 1 } });
  const rates = (frame: readonly string[]) => frame.find((line) => line.startsWith('A second'))!;
  const options = { columns: 100, rows: undefined, paint };
  assert.match(rates(topFrame(later, first, options)), /^A second +10 accepted, 0 delivered, 0 deferred, 0\.5 bounced, 0 expired$/);
  assert.match(rates(topFrame(first, undefined, options)), /^A second +0\.1 accepted, 2\.0 delivered,/);
  // A new process counts from nothing.
  assert.match(
    rates(topFrame(look({ at: NOW + 2000, metrics: { accepted: 1, delivered: 0 } }), first, options)),
    /0 accepted, 0 delivered/,
  );
});

test('lanes, servers, sites and troubles are all told, the newest trouble first, and nothing of it steers the terminal', () => {
  const text = topFrame(look({ troubles }), undefined, { columns: 120, rows: undefined, paint }).join('\n');
  assert.match(text, /^mail\.example\.test riata 1\.2\.3, up 1 h +\d\d:\d\d:\d\d$/m);
  assert.match(text, /^Queue +12,345 messages: 1 ready, 4 being sent, 2 waiting, 3 held$/m);
  assert.match(text, /^mx:two\.test \(paused 1m ago: they asked .* 0 +1 +0$/m);
  assert.match(text, /busy\.test.* 1 +1\nidle\.test.* 2 +0$/m);
  assert.match(text, /^mx\.down\.test:25 +1m +no route to host$/m);
  assert.match(text, /TROUBLE.*\n +1s {2}deferred {2}r39@a\.test {2}450 4\.2\.0 Greylisted/);
  assert.match(text, /^Delivered +▁▂▄█ ≤ 8\.0 a second$/m);
  assert.doesNotMatch(text, /\x1b|\x07/);
});

test('a frame has exactly as many lines as the screen, none wider, and every part keeps some room', () => {
  const deep = look({
    troubles,
    stats: {
      lanes: Array.from({ length: 60 }, (_, i) => ({ lane: `mx:${'long.'.repeat(i % 20)}d${i}.test`, ready: 1, waiting: 0, held: 0 })),
    },
  });
  for (const rows of [1, 3, 6, 10, 16, 24, 60, 300]) {
    for (const columns of [40, 60, 80, 200]) {
      const frame = topFrame(deep, undefined, { columns, rows, paint, keys: 'q quits', note: 'PAUSED' });
      assert.equal(frame.length, rows);
      assert.equal(frame.at(-1), 'q quits');
      for (const line of frame) assert.ok(width(line) <= columns, `${columns}: ${line}`);
      if (rows >= 30)
        for (const head of [/^LANE/, /^SERVER/, /^SITE/, /TROUBLE/])
          assert.ok(
            frame.some((line) => head.test(line)),
            `${rows}: ${head}`,
          );
    }
  }
});

/** A keyboard, and the screen it belongs to. */
function terminal(t: TestContext) {
  const keyboard = new EventEmitter();
  let out: Sink | undefined;
  let released = 0;
  const around = {
    terminal: true,
    rows: 20,
    output: (sink: Sink) => {
      out = sink;
    },
    keys: (call: (key: string) => void) => {
      keyboard.on('key', call);
      return () => {
        released++;
        keyboard.off('key', call);
      };
    },
  };
  t.after(() => keyboard.emit('key', 'q'));
  const text = () => Buffer.from(out?.text ?? '', 'latin1').toString();
  return {
    around,
    press: (key: string) => keyboard.emit('key', key),
    text,
    frames: () => text().split('\x1b[H').length - 1,
    resize: (columns: number, rows: number) => {
      out!.columns = columns;
      out!.rows = rows;
      out!.emit('resize');
    },
    last: () => text().split('\x1b[H').at(-1)!,
    released: () => released,
  };
}

test('on a terminal it draws in place until q, pauses, follows the size, and leaves the screen as it was', async (t) => {
  const { socketPath } = await serveControl(t);
  const it = terminal(t);
  const done = run(['top', '--interval', '200ms', '--socket', socketPath], it.around);
  await until('three frames', () => it.frames() >= 3);
  assert.ok(it.text().startsWith('\x1b[?1049h\x1b[?25l\x1b[H'));
  assert.match(it.last(), /mail\.example\.test/);
  it.press('p');
  await until('the word', () => it.last().includes('PAUSED'));
  const before = it.frames();
  it.resize(50, 10);
  assert.equal(it.frames(), before + 1);
  assert.equal(
    it
      .last()
      .replace(/\x1b\[[KJ]/g, '')
      .split('\r\n').length,
    10,
  );
  it.press('x');
  it.press('p');
  await until('more frames', () => it.frames() > before + 2);
  it.press('q');
  const { code, err } = await done;
  assert.deepEqual([code, err, it.released()], [0, '', 1]);
  assert.ok(it.text().endsWith('\x1b[?25h\x1b[?1049l'));
});

test('an agent that goes away is said so, and seen again when it is back', async (t) => {
  const served = await serveControl(t);
  const it = terminal(t);
  const done = run(['top', '--interval', '200ms', '--socket', served.socketPath], it.around);
  await until('a frame', () => it.frames() >= 2);
  await served.server.close(0);
  await until('the word', () => it.last().includes('AWAY'));
  it.press('\x03');
  assert.equal((await done).code, 0);
  assert.ok(it.text().endsWith('\x1b[?1049l'));
});

test('without a terminal, with --once or with --json it is one look', async (t) => {
  const { socketPath } = await serveControl(t);
  const plain = await run(['top', '--socket', socketPath]);
  assert.equal(plain.code, 0);
  assert.doesNotMatch(plain.out, /\x1b|q quits/);
  assert.match(plain.out, /^LANE/m);
  const it = terminal(t);
  const onceOnly = await run(['top', '--once', '--socket', socketPath], { ...it.around, colour: false });
  assert.doesNotMatch(onceOnly.out, /\x1b/);
  const json = JSON.parse((await run(['top', '--json', '--socket', socketPath])).out) as Look;
  assert.deepEqual([json.agent.hostname, json.stats.metrics['accepted']], ['mail.example.test', 7]);
  assert.equal((await run(['top', '--socket', '/nonexistent/socket'])).code, 69);
});
