import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeDelivery, fakeMessage } from '../fake-agent.js';
import { type Serving, serveHttp } from './serving.js';

function add({ agent }: Serving, content: string): string {
  const message = fakeMessage();
  agent.add(message, [fakeDelivery(message, 0, ['a@x.test'])], Buffer.from(content.replaceAll('\n', '\r\n')));
  return `/v1/messages/${message.id}`;
}

const HOSTILE = `Subject: x
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: text/html

<script>parent.postMessage(1)</script>
--b
Content-Type: text/html
Content-Disposition: attachment; filename*=utf-8''..%2F..%2Fa%22%0D%0AX-Evil%3A%201%20%E2%80%AE%E6%97%A5.html

<script>alert(1)</script>
--b--
`;

test('the HTML of a message comes in a sandbox without scripts, requests or forms, to be framed by the page alone', async (t) => {
  const serving = await serveHttp(t);
  const at = add(serving, HOSTILE);
  const { status, headers, body } = await serving.ask('GET', `${at}/page`);
  assert.deepEqual([status, headers['content-type']], [200, 'text/html; charset=utf-8']);
  assert.match(body, /<script>/, 'nothing is taken out: the sandbox holds');
  const policy = String(headers['content-security-policy']).split('; ');
  for (const needed of ['sandbox', "default-src 'none'", 'img-src data: cid:', "form-action 'none'", "frame-ancestors 'self'"])
    assert.ok(policy.includes(needed), needed);
  assert.doesNotMatch(policy.join(), /allow-|script-src|connect-src/);
  assert.equal(headers['x-frame-options'], 'SAMEORIGIN');
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal((await serving.ask('GET', `${add(serving, 'Subject: x\n\ntext\n')}/page`)).status, 404);
});

test('a part comes as a file to be saved, of no type that a browser runs, under a harmless name', async (t) => {
  const serving = await serveHttp(t);
  const { status, headers, body } = await serving.ask('GET', `${add(serving, HOSTILE)}/parts/2`);
  assert.deepEqual([status, headers['content-type'], body], [200, 'application/octet-stream', '<script>alert(1)</script>']);
  const name = /^attachment; filename\*=UTF-8''([\w.%~!-]+)$/.exec(String(headers['content-disposition']))![1]!;
  assert.equal(headers['x-evil'], undefined);
  assert.match(decodeURIComponent(name), /日\.html$/);
  assert.doesNotMatch(decodeURIComponent(name), /[/\\"\r\n\u202e]/);
  assert.match(String(headers['content-security-policy']), /^sandbox; default-src 'none'/);
  assert.equal((await serving.ask('GET', `${add(serving, HOSTILE)}/parts/7`)).status, 404);
});

test('the source comes as a file named after the message', async (t) => {
  const serving = await serveHttp(t);
  const at = add(serving, 'Subject: x\n\ntext\n');
  const { headers, body } = await serving.ask('GET', `${at}/content`);
  assert.equal(headers['content-disposition'], `attachment; filename="${at.slice('/v1/messages/'.length)}.eml"`);
  assert.equal(body, 'Subject: x\r\n\r\ntext\r\n');
});

test('to look at a message is to get its fields, structure and text at once', async (t) => {
  const serving = await serveHttp(t);
  const { body } = await serving.ask('GET', `${add(serving, 'Subject: hi\n\ntext\n')}/look`);
  const look = JSON.parse(body) as { headers: unknown; text: { content: string }; structure: { type: string } };
  assert.deepEqual([look.headers, look.text.content, look.structure.type], [[{ name: 'Subject', value: 'hi' }], 'text\n', 'text/plain']);
});
