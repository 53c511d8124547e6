import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { readEvents } from '../../src/control/sse.js';
import type { MailEvent } from '../../src/core/event.js';
import { fakeDelivery, fakeMessage, NOW } from './fake-agent.js';
import { from, serveAndConnect, serveControl } from './served.js';

const RESUMED: MailEvent = { type: 'resumed', at: NOW, lane: 'mx:x.test' };

function past(agent: Awaited<ReturnType<typeof serveControl>>['agent']) {
  const message = fakeMessage();
  const last = { at: NOW - 500, status: '2.0.0', text: '250 Ok\nid: 7\n\ndata: {}' };
  agent.add(message, [
    fakeDelivery(message, 0, [{ address: 'a@x.test', state: 'delivered', last }], { state: 'done', settledAt: NOW - 400 }),
  ]);
  return message;
}

test('events come over the socket, the past first, and whatever a remote said stays within its event', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const message = past(agent);
  const over = new AbortController();
  const seen: unknown[] = [];
  for await (const { event, cursor } of client.events(NOW - 1000, over.signal)) {
    if (event.type === 'delivered') {
      assert.deepEqual([event.id, event.text, cursor], [message.id, '250 Ok\nid: 7\n\ndata: {}', NOW - 500]);
      // Live events are passed over until the history has been read to its end.
      const telling = setInterval(() => {
        for (const tell of agent.listeners) tell(RESUMED);
      }, 5);
      over.signal.addEventListener('abort', () => clearInterval(telling));
    } else {
      seen.push(event);
      over.abort();
    }
  }
  assert.deepEqual(seen, [RESUMED]);
  while (agent.listeners.size > 0) await new Promise(setImmediate);
});

test('a reader goes on from Last-Event-ID, and closing the server ends its stream at once', async (t) => {
  const { agent, server, socketPath } = await serveControl(t);
  past(agent);
  const response = await new Promise<http.IncomingMessage>((resolve) =>
    http.get({ socketPath, path: '/v1/events', headers: { 'last-event-id': String(NOW - 1000) } }, resolve),
  );
  assert.equal(response.headers['content-type'], 'text/event-stream');
  let text = '';
  for await (const chunk of response) {
    text += chunk;
    if (text.includes('event: delivered')) void server.close(60_000);
  }
  assert.match(text, /^retry: \d+\n\nid: \d+\nevent: delivered\ndata: \{.*\}\n\n$/);
});

test('events are read however they are cut', async () => {
  const text =
    'retry: 2000\n\n:\n\nid: 5\nevent: resumed\ndata: {"at":1,"lane":"mx:ü.test"}\n\nid: 6\nevent: resumed\ndata: {"at":2,"lane":"b"}\n\nid: 7';
  const bytes = [...Buffer.from(text)].map((octet) => Buffer.of(octet));
  const read: unknown[] = [];
  for await (const told of readEvents(from(...bytes))) read.push(told);
  assert.deepEqual(read, [
    { event: { type: 'resumed', at: 1, lane: 'mx:ü.test' }, cursor: 5 },
    { event: { type: 'resumed', at: 2, lane: 'b' }, cursor: 6 },
  ]);
});
