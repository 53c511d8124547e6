import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentLog } from '../../src/cli/agent-log.js';
import type { Cli } from '../../src/cli/command.js';
import { loadConfig } from '../../src/config/load.js';
import { systemClock } from '../../src/platform/clock.js';

const delivered = {
  type: 'delivered',
  at: Date.UTC(2026, 10, 22),
  id: 'ID',
  delivery: 'ID.0',
  lane: 'mx:x.test',
  sender: 'a@y.test',
  recipient: 'b@x.test',
  server: 'mx.x.test[192.0.2.1]:25',
  delayMs: 1250,
  status: '2.0.0',
  text: '2.0.0 Ok',
} as const;

function lines(text: string, terminal: boolean): string[] {
  const out: string[] = [];
  const write = (line: string) => void out.push(line);
  const cli = { clock: systemClock, screen: { terminal, colour: false } } as Cli;
  const { log, onEvent } = agentLog(loadConfig({ text }), { write, flush: async () => {}, close: () => {} }, cli);
  onEvent(delivered);
  onEvent({ type: 'fault', at: 0, code: 'SPOOL_DAMAGED', text: 'a record is damaged' });
  log.info('smtp.something', {}, 'words');
  return out;
}

test('a pipe gets JSON and a terminal text, unless the settings say which', () => {
  for (const [text, terminal] of [
    ['', false],
    ['log = { format = "json" }', true],
  ] as const) {
    const [first, second, third] = lines(text, terminal).map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual([first!['event'], first!['recipient'], first!['delayMs']], ['mail.delivered', 'b@x.test', 1250]);
    assert.deepEqual([second!['event'], second!['level'], second!['code']], ['fault', 'error', 'SPOOL_DAMAGED']);
    assert.equal(third!['event'], 'smtp.something');
  }
  for (const [text, terminal] of [
    ['', true],
    ['log = { format = "text" }', false],
  ] as const) {
    assert.match(lines(text, terminal)[0]!, / info +mail\.delivered .*recipient=b@x\.test/);
  }
});

test('Postfix’s words are for mail; the rest is text', () => {
  const [first, second, third] = lines('log = { format = "postfix" }', true);
  assert.match(first!, /postfix\/smtp\[\d+\]: ID: to=<b@x\.test>, relay=mx\.x\.test\[192\.0\.2\.1\]:25, .*status=sent \(2\.0\.0 Ok\)$/);
  assert.match(second!, /warning: a record is damaged$/);
  assert.match(third!, /info +smtp\.something/);
});

test('a level above info leaves out what goes well, in every format', () => {
  for (const format of ['json', 'text', 'postfix']) {
    const out = lines(`log = { format = "${format}", level = "warn" }`, false);
    assert.equal(out.length, 1, format);
    assert.match(out[0]!, /a record is damaged/);
  }
});

test('addresses are hidden in every format where the settings say so, and a renewed log has the renewed settings', () => {
  for (const format of ['json', 'text', 'postfix']) {
    const [first] = lines(`log = { format = "${format}", addresses = "domain" }`, false);
    assert.match(first!, /\*@x\.test/, format);
    assert.doesNotMatch(first!, /b@x\.test/, format);
  }
  const out: string[] = [];
  const cli = { clock: systemClock, screen: { terminal: false, colour: false } } as Cli;
  const writer = { write: (line: string) => void out.push(line), flush: async () => {}, close: () => {} };
  const { log, onEvent, renew } = agentLog(loadConfig({ text: 'log = { level = "error" }' }), writer, cli);
  log.info('one.event');
  renew(loadConfig({ text: 'log = { format = "text" }' }));
  log.info('other.event');
  onEvent(delivered);
  assert.deepEqual([out.length, /info +other\.event$/.test(out[0]!), /mail\.delivered/.test(out[1]!)], [2, true, true]);
});
