/** Mail handed in over HTTP by a program that knows nothing but HTTP, to an agent that composes and delivers it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simpleParser } from 'mailparser';
import { verbsOf } from '../../src/api/home.js';
import { startHttpControl } from '../../src/control/http/server.js';
import type { Problem } from '../../src/control/problem.js';
import type { SubmitReport } from '../../src/control/types.js';
import { systemClock } from '../../src/platform/clock.js';
import { silentLog } from '../../src/platform/log.js';
import { systemRandom } from '../../src/platform/random.js';
import { destination, relayTo, startAgent } from '../support/agent.js';
import { atEnd, type Scope } from '../support/scope.js';

const TOKEN = 'a-token-made-for-tests';
const LETTER = {
  from: 'Ann <ann@example.test>',
  to: ['Joe <joe@dest.test>'],
  subject: 'Grüße',
  body: 'Hello.',
  html: '<p>Hello.<img src="l.png">',
};

async function rig(scope: Scope) {
  const sink = await destination(scope);
  const { mta } = await startAgent(scope, { route: [relayTo(sink)] });
  const verbs = verbsOf(mta, {});
  const control = await startHttpControl({
    verbs,
    listen: [{ host: '127.0.0.1', port: 0 }],
    token: TOKEN,
    trustLoopback: false,
    names: [],
    log: silentLog,
    clock: systemClock,
    random: systemRandom,
  });
  atEnd(scope, () => control.close(0));
  const post = async (body: string, headers: Record<string, string>, query = '') => {
    const response = await fetch(`http://127.0.0.1:${control.addresses[0]!.port}/v1/messages${query}`, {
      method: 'POST',
      body,
      headers: { authorization: `Bearer ${TOKEN}`, ...headers },
    });
    return {
      status: response.status,
      location: response.headers.get('location'),
      report: (await response.json()) as SubmitReport & Problem,
    };
  };
  const letter = (options: object, headers = {}) => post(JSON.stringify(options), { 'content-type': 'application/json', ...headers });
  return { mta, sink, post, letter };
}

test('a letter of JSON is composed, with its attachment and its image, and arrives; its key makes it one', async (t) => {
  const { sink, letter } = await rig(t);
  const data = Buffer.from('octets \0\xff', 'latin1');
  const options = {
    ...LETTER,
    attachments: [{ name: 'a.bin', data: data.toString('base64') }],
    htmlImages: [{ name: 'l.png', data: data.toString('base64') }],
    tags: ['order-7'],
  };
  const first = await letter(options, { 'idempotency-key': '"order 7"' });
  assert.equal(first.status, 201, first.report.detail);
  assert.equal(first.location, `/v1/messages/${first.report.id}`);
  const again = await letter(options, { 'idempotency-key': 'order 7' });
  assert.deepEqual(again.report, first.report);
  await sink.received(1);
  const mail = await simpleParser(sink.messages[0]!.bytes);
  assert.deepEqual([mail.subject, mail.messageId, mail.text?.trim()], ['Grüße', first.report.messageId, 'Hello.']);
  assert.deepEqual(
    mail.attachments.map(({ filename, content }) => [filename, content.equals(data)]),
    [
      ['l.png', true],
      ['a.bin', true],
    ],
  );
  const other = await letter({ ...options, body: 'Other.' }, { 'idempotency-key': 'order 7' });
  assert.deepEqual([other.status, other.report.code], [409, 'IDEMPOTENCY_CONFLICT']);
  assert.equal(sink.messages.length, 1);
});

test('all that is wrong with a letter is told at once, and nothing of it is stored', async (t) => {
  const { sink, letter, post } = await rig(t);
  const { status, report } = await letter({ from: 'x', body: 7, colour: 1, attachments: ['/etc/passwd'] });
  assert.deepEqual([status, report.issues?.map(({ path }) => path)], [400, ['colour', 'attachments[0]']]);
  const second = await letter({ from: 'x', to: 'y', body: 7 });
  assert.deepEqual([second.status, second.report.issues?.map(({ path }) => path).sort()], [400, ['body', 'from', 'subject', 'to']]);
  assert.equal((await post('{}', { 'content-type': 'text/plain' })).status, 415);
  assert.equal(sink.messages.length, 0);
});

test('a formatted message is made one by the header as well', async (t) => {
  const { sink, post } = await rig(t);
  const headers = { 'content-type': 'message/rfc822', 'idempotency-key': 'k' };
  const ids = [];
  for (let i = 0; i < 2; i++)
    ids.push((await post('Subject: raw\r\n\r\nx\r\n', headers, '?from=ann@example.test&to=joe@dest.test')).report.id);
  assert.equal(ids[0], ids[1]);
  await sink.received(1);
});

test('the trace of whoever hands in over HTTP stays with the message, in either form, and what is no trace is passed over', async (t) => {
  const { mta, post, letter } = await rig(t);
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  const kept = async ({ report }: Awaited<ReturnType<typeof post>>) => (await mta.spool.inspect(report.id))!.message.trace;
  const headers = { traceparent, tracestate: 'shop=7' };
  assert.deepEqual(await kept(await letter(LETTER, headers)), headers);
  const raw = (more: Record<string, string>) =>
    post('Subject: x\r\n\r\nHi.\r\n', { 'content-type': 'message/rfc822', ...more }, '?from=ann@example.test&to=joe@dest.test');
  assert.deepEqual(await kept(await raw(headers)), headers);
  assert.equal(await kept(await raw({ traceparent: 'nonsense', tracestate: 'shop=7' })), undefined);
});
