import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SubmitRequest } from '../../src/control/types.js';
import type { Recipient } from '../../src/core/delivery.js';
import { type ErrorCode, MtaError } from '../../src/core/errors.js';
import { QUIET } from '../../src/scheduler/lane-now.js';
import { fakeDelivery, fakeMessage, NOW } from './fake-agent.js';
import { collect, from, LIMIT, serveAndConnect } from './served.js';

/** Every verb is tested through the client and a real socket: what holds here holds for server, wire and client. */

const mta = (code: ErrorCode) => (error: unknown) => error instanceof MtaError && error.code === code;
const CONTENT = Buffer.from('Subject: x\r\n\r\nhello\r\n');

function three(agent: Awaited<ReturnType<typeof serveAndConnect>>['agent']) {
  const first = fakeMessage({ sender: 'one@example.com' });
  const second = fakeMessage({ sender: 'two@example.com', acceptedAt: NOW - 60_000 });
  const third = fakeMessage({ sender: '', tags: ['news'] });
  const late: Recipient = {
    address: 'c@slow.test',
    state: 'queued',
    last: { at: NOW - 5, status: '4.2.0', text: '450 Greylisted', server: 'mx.slow.test[192.0.2.9]:25' },
  };
  agent.add(
    first,
    [fakeDelivery(first, 0, ['a@fast.test']), fakeDelivery(first, 1, [late], { state: 'waiting', due: NOW + 300_000, attempts: 1 })],
    CONTENT,
  );
  agent.add(second, [fakeDelivery(second, 0, ['b@fast.test'], { state: 'held' })], CONTENT);
  agent.add(third, [fakeDelivery(third, 0, ['d@slow.test'])], CONTENT);
  return { first, second, third };
}

test('the list is the spool’s own, page by page, until there is no next', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  three(agent);
  const keys: string[] = [];
  let after: string | undefined;
  let pages = 0;
  do {
    const page = await client.list({}, { limit: 2, ...(after === undefined ? {} : { after }) });
    keys.push(...page.items.map(({ delivery }) => delivery.key));
    after = page.next;
    pages++;
  } while (after !== undefined);
  assert.equal(pages, 2);
  assert.deepEqual(
    keys,
    agent.entries.flatMap((entry) => entry.deliveries.map((each) => each.key)),
  );
  const [item] = (await client.list({}, { limit: 1 })).items;
  assert.deepEqual(item, JSON.parse(JSON.stringify({ message: agent.entries[0]!.message, delivery: agent.entries[0]!.deliveries[0] })));
});

test('every filter reaches the spool, in the spelling in which the spool compares', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const { first, second, third } = three(agent);
  const ids = async (query: Parameters<typeof client.list>[0]) =>
    (await client.list(query, { limit: 100 })).items.map(({ delivery }) => delivery.key);
  assert.deepEqual(await ids({ ids: [second.id, third.id] }), [`${second.id}.0`, `${third.id}.0`]);
  assert.deepEqual(await ids({ lane: 'mx:slow.test' }), [`${first.id}.1`, `${third.id}.0`]);
  assert.deepEqual(await ids({ state: 'held' }), [`${second.id}.0`]);
  assert.deepEqual(await ids({ domain: 'SLOW.test' }), [`${first.id}.1`, `${third.id}.0`]);
  assert.deepEqual(await ids({ sender: 'two@EXAMPLE.com' }), [`${second.id}.0`]);
  assert.deepEqual(await ids({ sender: '<>' }), [`${third.id}.0`]);
  assert.deepEqual(await ids({ sender: '' }), [`${third.id}.0`]);
  assert.deepEqual(await ids({ recipient: 'd@Slow.Test' }), [`${third.id}.0`]);
  assert.deepEqual(await ids({ tag: 'news' }), [`${third.id}.0`]);
  assert.deepEqual(await ids({ acceptedBefore: NOW - 60_000 }), [`${first.id}.0`, `${first.id}.1`, `${third.id}.0`]);
  assert.deepEqual(await ids({ error: 'grey' }), [`${first.id}.1`]);
  assert.deepEqual(await ids({ domain: 'slow.test', sender: 'one@example.com' }), [`${first.id}.1`]);
});

test('show gives everything about a message, and NOT_FOUND for one that never was', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const { first } = three(agent);
  const view = await client.show(first.id);
  assert.equal(view.message.sender, 'one@example.com');
  assert.deepEqual(
    view.deliveries.map((each) => each.state),
    ['ready', 'waiting'],
  );
  await assert.rejects(client.show(fakeMessage().id), mta('NOT_FOUND'));
  await assert.rejects(client.show('../../etc/passwd'), mta('INVALID_OPTIONS'));
});

test('an id may be written in small letters, and with the letters that look like digits', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const { first } = three(agent);
  const misread = first.id.toLowerCase().replaceAll('1', 'l').replaceAll('0', 'o');
  assert.equal((await client.show(misread)).message.id, first.id);
});

test('raw gives the content octet for octet, small or streamed', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const { first } = three(agent);
  const raw = await client.raw(first.id);
  assert.equal(raw.sizeBytes, CONTENT.length);
  assert.deepEqual(await collect(raw.chunks), CONTENT);
  const large = Buffer.alloc(3_000_000, 'octets \x00\xff\r\n', 'latin1');
  const message = fakeMessage();
  agent.add(message, [fakeDelivery(message, 0, ['x@y.test'])], {
    kind: 'stream',
    sizeBytes: large.length,
    open: () => from(large.subarray(0, 1_000_000), large.subarray(1_000_000)),
  });
  assert.ok((await collect((await client.raw(message.id)).chunks)).equals(large));
});

test('raw of a message whose content is gone is NOT_FOUND', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const message = fakeMessage();
  agent.add(message, [fakeDelivery(message, 0, ['x@y.test'], { state: 'done' })]);
  await assert.rejects(client.raw(message.id), mta('NOT_FOUND'));
});

test('content that proves damaged on the way ends as an error, never as a shorter message', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const message = fakeMessage();
  agent.add(message, [fakeDelivery(message, 0, ['x@y.test'])], {
    kind: 'stream',
    sizeBytes: 1000,
    open: async function* () {
      yield Buffer.alloc(500);
      throw new MtaError('SPOOL_DAMAGED', 'a block does not match');
    },
  });
  const { chunks } = await client.raw(message.id);
  await assert.rejects(collect(chunks), mta('SPOOL_FAILED'));
});

test('status is queued while any recipient is open, then sent only if all were delivered', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const done = (address: string, state: Recipient['state']): Recipient => ({
    address,
    state,
    last: { at: NOW, status: '2.0.0', text: 'ok' },
  });
  const make = (...states: Recipient['state'][]) => {
    const message = fakeMessage();
    agent.add(
      message,
      states.map((state, n) =>
        fakeDelivery(message, n, [done(`r${n}@x.test`, state)], { state: state === 'queued' ? 'waiting' : 'done', due: NOW + 1000 }),
      ),
    );
    return message.id;
  };
  assert.equal((await client.status(make('delivered', 'queued', 'bounced'))).status, 'queued');
  assert.equal((await client.status(make('delivered', 'delivered'))).status, 'sent');
  for (const state of ['bounced', 'expired', 'removed'] as const)
    assert.equal((await client.status(make('delivered', state))).status, 'error');
  const unknown = fakeMessage().id;
  assert.deepEqual(await client.status(unknown), { id: unknown, status: 'unknown', acceptedAt: 0, recipients: [] });
  const report = await client.status(make('delivered', 'queued'));
  assert.deepEqual(
    report.recipients.map(({ address, due }) => [address, due]),
    [
      ['r0@x.test', 0],
      ['r1@x.test', NOW + 1000],
    ],
  );
});

test('remove, hold, release and retry change exactly what was selected', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const { first, second, third } = three(agent);
  const states = () => agent.entries.flatMap((entry) => entry.deliveries.map((each) => each.state));
  const held = await client.change({ action: 'hold', selector: { domain: 'slow.test' } });
  assert.deepEqual([held.messages, held.matched, held.changed], [2, 2, 2]);
  assert.deepEqual(states(), ['ready', 'held', 'held', 'held']);
  await client.change({ action: 'release', selector: { ids: [second.id] } });
  assert.deepEqual(states(), ['ready', 'held', 'ready', 'held']);
  assert.equal(agent.flushes, 0);
  await client.change({ action: 'retry', selector: { ids: [first.id] } });
  assert.deepEqual(states(), ['ready', 'ready', 'ready', 'held']);
  assert.equal(agent.flushes, 1, 'a site that backs off is asked as well');
  const removed = await client.change({ action: 'remove', selector: { ids: [third.id] } });
  assert.equal(removed.changed, 1);
  assert.deepEqual(states(), ['ready', 'ready', 'ready', 'done']);
});

test('reschedule takes a time, fail a reason in one line; neither means anything elsewhere', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const { first, second } = three(agent);
  const ids = [first.id];
  const report = await client.change({ action: 'reschedule', selector: { ids }, at: NOW + 9000 });
  assert.deepEqual([report.action, report.changed], ['reschedule', 2]);
  assert.deepEqual(
    agent.entries[0]!.deliveries.map(({ state, due }) => [state, due]),
    [
      ['waiting', NOW + 9000],
      ['waiting', NOW + 9000],
    ],
  );
  await client.change({ action: 'fail', selector: { ids: [second.id] }, reason: ' gone\r\nBcc: x@y.test\u001b[31m ' });
  assert.equal(agent.givenUp[0]!.key, `${second.id}.0`);
  assert.match(agent.givenUp[0]!.reason, /^gone Bcc: x@y\.test[^\u001b]*\[31m$/);
  await assert.rejects(client.change({ action: 'reschedule', selector: { ids } }), mta('INVALID_OPTIONS'));
  await assert.rejects(client.change({ action: 'hold', selector: { ids }, at: NOW }), mta('INVALID_OPTIONS'));
  await assert.rejects(client.change({ action: 'remove', selector: { ids }, reason: 'x' }), mta('INVALID_OPTIONS'));
  await assert.rejects(client.change({ action: 'fail', selector: { ids }, reason: 'x'.repeat(501) }), mta('INVALID_OPTIONS'));
});

test('lanes are paused by key, or by a domain that has lanes of its own, and resumed', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const { lanes } = await client.pause({ domain: 'SMALL.test', reason: 'they  are\nmoving' });
  assert.deepEqual(lanes, ['mx:small.test']);
  assert.deepEqual([...agent.pauses], [['mx:small.test', { at: NOW, reason: 'they are moving' }]]);
  assert.deepEqual(await client.pause({ domain: 'empty.test' }), { lanes: ['mx:empty.test'] });
  assert.deepEqual(await client.pause({ lane: 'host:relay.test:587:0' }), { lanes: ['host:relay.test:587:0'] });
  const listed = await client.lanes({ paused: true }, { limit: 2 });
  assert.deepEqual(
    listed.items.map(({ lane, ready, paused }) => [lane, ready, paused?.reason]),
    [
      ['host:relay.test:587:0', 0, ''],
      ['mx:empty.test', 0, ''],
    ],
  );
  assert.equal(listed.next, 'mx:empty.test');
  const searched = await client.lanes({ search: 'MALL' }, { limit: 10 });
  assert.deepEqual([searched.items.length, searched.next], [1, undefined]);
  assert.equal((await client.lanes({ paused: false }, { limit: 10 })).items.length, 2);
  assert.deepEqual(await client.resume({ domain: 'small.test' }), { lanes: ['mx:small.test'] });
  assert.deepEqual(await client.resume({ domain: 'small.test' }), { lanes: [] });
  assert.deepEqual(await client.resume({ all: true }), { lanes: ['mx:empty.test', 'host:relay.test:587:0'] });
  assert.equal(agent.pauses.size, 0);
});

test('a domain whose mail leaves with that of others, a lane that is none, and nothing at all cannot be paused', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  await assert.rejects(
    client.pause({ domain: 'relayed.test' }),
    (error) => error instanceof MtaError && error.code === 'INVALID_OPTIONS' && error.message.includes('host:relay.test:587:0'),
  );
  for (const request of [{}, { lane: 'mx:' }, { lane: 'x' }, { lane: 'mx:a.test', domain: 'a.test' }, { domain: 'not a domain' }])
    await assert.rejects(client.pause(request), mta('INVALID_OPTIONS'), JSON.stringify(request));
  await assert.rejects(client.resume({}), mta('INVALID_OPTIONS'));
  await assert.rejects(client.resume({ all: true, lane: 'mx:a.test' }), mta('INVALID_OPTIONS'));
  assert.equal(agent.pauses.size, 0);
});

test('a dry run counts and changes nothing', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  three(agent);
  const report = await client.change({ action: 'remove', selector: { all: true }, dryRun: true });
  assert.deepEqual([report.messages, report.matched, report.changed], [3, 4, 0]);
  assert.ok(agent.entries.every((entry) => entry.deliveries.every((each) => each.state !== 'done')));
});

test('nothing selected is an error, as is all together with a selection', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const { first } = three(agent);
  await assert.rejects(client.change({ action: 'remove', selector: {} }), mta('INVALID_OPTIONS'));
  await assert.rejects(client.change({ action: 'remove', selector: { all: true, ids: [first.id] } }), mta('INVALID_OPTIONS'));
  assert.ok(agent.entries.every((entry) => entry.deliveries.every((each) => each.state !== 'done')));
});

test('a change over many pages reaches all of them, also while it takes them out of the list', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  for (let i = 0; i < 700; i++) {
    const message = fakeMessage();
    agent.add(message, [fakeDelivery(message, 0, [`r${i}@x.test`])]);
  }
  const report = await client.change({ action: 'remove', selector: { all: true } });
  assert.deepEqual([report.messages, report.changed], [700, 700]);
});

test('more ids than fit into one request are sent in several, and those not in the queue are named', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const ids: string[] = [];
  for (let i = 0; i < 1500; i++) {
    const message = fakeMessage();
    ids.push(message.id);
    if (i % 2 === 0) agent.add(message, [fakeDelivery(message, 0, [`r${i}@x.test`])]);
  }
  const report = await client.change({ action: 'hold', selector: { ids } });
  assert.equal(report.changed, 750);
  assert.deepEqual(
    report.unknown,
    ids.filter((_, i) => i % 2 === 1),
  );
});

test('what is being sent is left alone and counted', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const { first } = three(agent);
  agent.inFlight.add(`${first.id}.0`);
  const report = await client.change({ action: 'remove', selector: { ids: [first.id] } });
  assert.deepEqual([report.matched, report.changed, report.inFlight, report.gone], [2, 1, 1, 0]);
});

test('stats name the deepest lanes first, and no more than asked for', async (t) => {
  const { client } = await serveAndConnect(t);
  const report = await client.stats({ lanes: 2 });
  assert.deepEqual(
    report.lanes.map((lane) => lane.lane),
    ['mx:deep.test', 'mx:middle.test'],
  );
  assert.deepEqual(report.connections, [{ server: 'mx.example.net[192.0.2.1]:25', open: 2, busy: 1 }]);
  assert.deepEqual(report.metrics, { accepted: 7, acceptedPerMinute: 3, acceptedPerMinuteOverHour: 0.05, delivered: 5, 'deferred.4.7': 2 });
  assert.equal(report.uptimeMs, 60_000);
  assert.equal((await client.stats()).lanes.length, 3);
});

test('a lane tells of the trouble that keeps its mail from going, whatever the name of its servers', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const trouble = { reason: 'connect', lasting: 'temporary', stage: 'connect', status: '4.4.1', text: 'connection refused' } as const;
  agent.lanesNow.set('mx:middle.test', { ...QUIET, rest: { until: NOW + 60_000, failures: 2, trouble } });
  const { items } = await client.lanes({ search: 'd' }, { limit: 10 });
  assert.deepEqual(
    items.map(({ lane, resting }) => [lane, resting]),
    [
      ['mx:deep.test', undefined],
      ['mx:middle.test', { until: NOW + 60_000, trouble: 'connection refused' }],
    ],
  );
  const { lanes } = await client.stats({ lanes: 2 });
  assert.deepEqual(lanes[1]!.resting, items[1]!.resting);
});

test('why tells what an agent knows of a lane: its pause, its servers, what stands before it', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const { first, second } = three(agent);
  agent.lanesNow.set('mx:fast.test', { ...QUIET, servers: ['mx.example.net[192.0.2.1]:25', 'idle.test[192.0.2.2]:25'] });
  const { deliveries, agentRuns } = await client.why(first.id);
  assert.equal(agentRuns, true);
  assert.deepEqual(deliveries[0]!.waits, [{ kind: 'turn', text: '3 deliveries are before it in its lane' }]);
  assert.deepEqual(deliveries[0]!.connections, [
    { server: 'mx.example.net[192.0.2.1]:25', open: 2, busy: 1 },
    { server: 'idle.test[192.0.2.2]:25', open: 0, busy: 0 },
  ]);
  assert.equal(deliveries[0]!.description, 'the servers of mx:fast.test');
  await client.pause({ lane: 'mx:fast.test', reason: 'full' });
  assert.deepEqual(
    (await client.why(second.id)).deliveries[0]!.waits.map(({ kind }) => kind),
    ['held', 'paused'],
  );
  await assert.rejects(client.why(fakeMessage().id), mta('NOT_FOUND'));
});

test('history gives what has ended since a moment', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const message = fakeMessage();
  agent.add(message, [
    fakeDelivery(message, 0, ['a@x.test'], { state: 'done', settledAt: 1000 }),
    fakeDelivery(message, 1, ['b@x.test'], { state: 'done', settledAt: 2000 }),
  ]);
  assert.deepEqual(
    (await client.history({ since: 1500, limit: 10 })).items.map(({ delivery }) => delivery.key),
    [`${message.id}.1`],
  );
});

test('mx asks for the domain in A-labels, and for a fresh answer only where told', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  agent.mx = {
    domain: '',
    lane: 'mx:x',
    description: 'the MX of x',
    via: 'mx',
    tls: 'opportunistic',
    hasPassword: false,
    heloName: 'h',
    servers: [],
    ttlMs: 1000,
  };
  assert.equal((await client.mx('BÜCHER.example')).domain, 'xn--bcher-kva.example');
  await client.mx('example.net', { refresh: true });
  assert.deepEqual(
    agent.lookups.map(({ refresh }) => refresh ?? false),
    [false, true],
  );
  await assert.rejects(client.mx('no domain'), mta('INVALID_OPTIONS'));
});

test('agent says who answers; flush reaches it', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  assert.deepEqual(await client.agent(), {
    hostname: 'mail.example.test',
    version: '1.2.3',
    pid: 4321,
    startedAt: NOW - 60_000,
    driver: 'fake',
    listening: [{ host: '127.0.0.1', port: 2587 }],
    limits: { maxMessageSize: LIMIT, maxRecipients: 1000, connectMs: 30_000 },
  });
  await client.flush();
  assert.equal(agent.flushes, 1);
});

const request: SubmitRequest = { from: 'alice@EXAMPLE.com', to: ['bob@example.net', 'Carol@example.NET'] };

test('a submitted message arrives octet for octet with its envelope normalised', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const content = Buffer.alloc(1_500_000, 'Octets: \x01\xfe\r\n.\r\n', 'latin1');
  const report = await client.submit(
    {
      ...request,
      priority: 'high',
      notBefore: NOW + 1000,
      expiresAt: NOW + 5000,
      requireTls: true,
      bounces: 'none',
      tags: ['a', 'b', 'a'],
    },
    from(content.subarray(0, 10), content.subarray(10, 700_000), content.subarray(700_000)),
  );
  const [kept] = agent.submissions;
  assert.equal(kept?.end, 'finished');
  assert.ok(kept.content.equals(content));
  assert.deepEqual(kept.envelope, {
    sender: 'alice@example.com',
    recipients: [{ address: 'bob@example.net' }, { address: 'Carol@example.net' }],
    smtpUtf8: false,
    requireTls: true,
    origin: { kind: 'api' },
    priority: 'high',
    notBefore: NOW + 1000,
    expiresAt: NOW + 5000,
    bounces: 'none',
    tags: ['a', 'b'],
    received: '',
  });
  assert.deepEqual([report.sizeBytes, report.messageId, report.recipients], [content.length, '<made@up>', 2]);
});

test('what comes twice under one key is taken once, and other content under it is a conflict', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const keyed = { ...request, idempotencyKey: 'order 7' };
  const [first, twin] = await Promise.all([client.submit(keyed, from(CONTENT)), client.submit(keyed, from(CONTENT))]);
  assert.deepEqual(twin, first);
  assert.deepEqual(await client.submit(keyed, from(CONTENT)), first);
  assert.equal(agent.submissions.length, 1);
  await assert.rejects(client.submit(keyed, from(Buffer.from('Subject: other\n\n'))), mta('IDEMPOTENCY_CONFLICT'));
  await assert.rejects(client.submit({ ...keyed, to: ['other@x.test'] }, from(CONTENT)), mta('IDEMPOTENCY_CONFLICT'));
  await assert.rejects(client.submit({ ...request, idempotencyKey: 'ü' }, from(CONTENT)), mta('INVALID_OPTIONS'));
  assert.notEqual((await client.submit({ ...request, idempotencyKey: 'order 8' }, from(CONTENT))).id, first.id);
});

test('a thousand long recipients fit into one request, and so do the null sender and a local part beyond ASCII', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const to = Array.from({ length: 1000 }, (_, i) => `${String(i).padStart(60, 'x')}@${'long-label-in-a-domain.'.repeat(7)}test`);
  await client.submit({ from: '', to }, from(CONTENT));
  assert.equal(agent.submissions[0]?.envelope.recipients.length, 1000);
  assert.equal(agent.submissions[0]?.envelope.sender, '');
  await client.submit({ from: 'a@x.test', to: ['jürgen@bücher.example'] }, from(CONTENT));
  assert.equal(agent.submissions[1]?.envelope.smtpUtf8, true);
  assert.equal(agent.submissions[1]?.envelope.recipients[0]?.address, 'jürgen@xn--bcher-kva.example');
});

test('all that is wrong with an envelope is told at once, and nothing is begun', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const given = client.submit({ from: 'nobody', to: ['a@b..c', 'ok@x.test', '<>', 'c@d>\r\nRCPT TO:<e@f.test'] }, from(CONTENT));
  await assert.rejects(given, (error) => {
    assert.ok(error instanceof MtaError && error.code === 'INVALID_ADDRESS');
    assert.deepEqual(
      error.issues.map((issue) => issue.path),
      ['from', 'to[0]', 'to[2]', 'to[3]'],
    );
    return true;
  });
  await assert.rejects(
    client.submit({ ...request, to: Array.from({ length: 1001 }, (_, i) => `r${i}@x.test`) }, from(CONTENT)),
    mta('INVALID_OPTIONS'),
  );
  await assert.rejects(client.submit({ ...request, expiresAt: NOW - 1 }, from(CONTENT)), mta('INVALID_OPTIONS'));
  assert.equal(agent.submissions.length, 0);
});

test('too large a message is refused as soon as it is, not at its end', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  let given = 0;
  const endless = (async function* () {
    for (;;) {
      given += 65_536;
      yield Buffer.alloc(65_536);
    }
  })();
  await assert.rejects(client.submit(request, endless), mta('MESSAGE_TOO_LARGE'));
  assert.equal(agent.submissions[0]?.end, 'aborted');
  assert.ok(given < LIMIT * 8, `${given} octets were taken from the source`);
  assert.equal((await client.agent()).pid, 4321, 'the client is of use afterwards');
});

test('what intake has against the content comes back under its own code', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  await assert.rejects(client.submit(request, from('a\0b')), mta('MESSAGE_REFUSED'));
  await assert.rejects(client.submit(request, from()), mta('MESSAGE_REFUSED'));
  agent.closed = 'SPOOL_FULL';
  await assert.rejects(client.submit(request, from(CONTENT)), mta('SPOOL_FULL'));
});

test('a refusal does not wait for a source that has nothing to give', async (t) => {
  const { client, server } = await serveAndConnect(t);
  const stuck = (async function* () {
    yield Buffer.alloc(LIMIT + 1);
    await new Promise(() => {});
  })();
  await assert.rejects(client.submit(request, stuck), mta('MESSAGE_TOO_LARGE'));
  const before = performance.now();
  await server.close(60_000);
  assert.ok(performance.now() - before < 30_000, 'its connection is gone');
});

test('a source that fails half-way leaves nothing behind', async (t) => {
  const { agent, client } = await serveAndConnect(t);
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const broken = (async function* () {
    yield CONTENT;
    while (agent.submissions.length === 0) await turn();
    throw new Error('the disk is gone');
  })();
  await assert.rejects(client.submit(request, broken), /the disk is gone/);
  while (agent.submissions[0]?.end === 'open') await turn();
  assert.equal(agent.submissions[0]?.end, 'aborted');
});
