/** A message's whole life as the API tells it, and the agent's own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compose, type IdleOptions, type Log, type MailEvent, type MtaOptions } from '../../src/index.js';
import { destination, message, relayTo, temporaryFolder } from '../support/agent.js';
import { until } from '../support/scope.js';
import { talk } from '../support/talk.js';
import { agentTo, ended, everywhere, LETTER } from './agent.js';

everywhere('status, inspection and events tell the same of every fate', async (t, agentTo) => {
  const sink = await destination(t);
  const mta = await agentTo(t, sink);
  const events: MailEvent[] = [];
  for (const type of ['accepted', 'delivered', 'deferred', 'bounced', 'removed'] as const) mta.on(type, (event) => events.push(event));
  const sent = await mta.send({ ...LETTER, to: 'ok@dest.test' });
  const failed = await mta.send({ ...LETTER, to: 'ok@dest.test', cc: 'fail-550@dest.test', bounces: 'none' });
  const deferred = await mta.send({ ...LETTER, to: 'defer-450@dest.test' });
  assert.deepEqual([await ended(mta, sent.id), await ended(mta, failed.id)], ['sent', 'error']);
  const waiting = await until('the deferral', async () => {
    const view = await mta.inspect(deferred.id);
    return view!.deliveries[0]!.attempts === 1 && view;
  });
  assert.equal(await mta.status(deferred.id.toLowerCase()), 'queued');
  const [delivery] = waiting.deliveries;
  assert.equal(delivery!.state, 'waiting');
  assert.ok(delivery!.due > Date.now());
  assert.equal(delivery!.recipients[0]!.last!.text, '450 4.2.0 not now, as the recipient asked for');
  assert.equal(delivery!.log[0]!.trouble!.text, '4.2.0 not now, as the recipient asked for');
  assert.deepEqual(
    (await mta.inspect(failed.id))!.deliveries.flatMap(({ recipients }) => recipients.map(({ address, state }) => [address, state])),
    [
      ['ok@dest.test', 'delivered'],
      ['fail-550@dest.test', 'bounced'],
    ],
  );
  assert.deepEqual([await mta.status('01ARZ3NDEKTSV4RRFFQ69G5FAV'), await mta.status('nonsense')], ['unknown', 'unknown']);
  assert.equal(await mta.inspect('01ARZ3NDEKTSV4RRFFQ69G5FAV'), undefined);
  assert.equal((await mta.remove({ id: deferred.id })).changed, 1);
  assert.equal(await mta.status(deferred.id), 'error');
  const of = (id: string) => events.filter((event) => 'id' in event && event.id === id).map(({ type }) => type);
  assert.deepEqual(of(sent.id), ['accepted', 'delivered']);
  assert.deepEqual(of(failed.id), ['accepted', 'delivered', 'bounced']);
  assert.deepEqual(of(deferred.id), ['accepted', 'deferred', 'removed']);
  assert.equal(sink.counts.messages, 2);
});

test('a listener that throws or rejects hurts neither the agent nor other listeners, and the log tells of it', async (t) => {
  const errors: string[] = [];
  const log: Log = { debug() {}, info() {}, warn() {}, error: (event, _fields, text) => errors.push(`${event}: ${text}`) };
  const mta = await agentTo(t, await destination(t), { log });
  const heard: string[] = [];
  const gone = () => assert.fail('it was taken off');
  mta
    .on('accepted', () => {
      throw new Error('first');
    })
    .on('accepted', async () => {
      throw new Error('second');
    })
    .on('accepted', ({ id }) => heard.push(id))
    .on('accepted', gone)
    .off('accepted', gone);
  const { id } = await mta.send(LETTER);
  assert.equal(await ended(mta, id), 'sent');
  assert.deepEqual(heard, [id]);
  assert.deepEqual(errors, [
    'listener.failed: a listener to "accepted" failed: first',
    'listener.failed: a listener to "accepted" failed: second',
  ]);
});

everywhere(
  'what has a date waits for it, by the wall clock, and its Date field is that date; a past one goes at once',
  async (t, agentTo) => {
    const sink = await destination(t);
    const mta = await agentTo(t, sink);
    const at = Date.now() + 1_200;
    await mta.send({ ...LETTER, subject: 'dated', date: new Date(at) });
    await mta.send({ ...LETTER, subject: 'delayed', delay: 1.3 });
    await mta.queue({ data: message('queued'), from: '', recipients: 'joe@dest.test', date: new Date(at).toISOString() });
    await mta.send({ ...LETTER, subject: 'past', date: '2001-01-01T00:00:00+01:00' });
    await mta.queue({ data: compose({ ...LETTER, subject: 'composed', date: at }) });
    await sink.received(5);
    const due: Readonly<Record<string, number>> = { dated: at, delayed: at, queued: at, composed: at };
    for (const { bytes, at: arrived } of sink.messages) {
      const subject = /^Subject: (.*)\r$/m.exec(bytes.toString())![1]!;
      assert.ok(arrived >= (due[subject] ?? 0), `${subject} came ${due[subject]! - arrived} ms early`);
      const date = /^Date: (.*)\r$/m.exec(bytes.toString())![1]!;
      if (subject === 'dated') assert.equal(Date.parse(date), Math.floor(at / 1000) * 1000);
      if (subject === 'past') assert.equal(Date.parse(date), Date.UTC(2000, 11, 31, 23));
    }
  },
);

everywhere('terms hold: given up when it expires, and failed where the way is not what it must be', async (t, agentTo) => {
  const mta = await agentTo(t, await destination(t), { retry: { firstDelay: '1s' } });
  const expired: string[] = [];
  const reports: string[] = [];
  mta.on('expired', ({ id }) => expired.push(id));
  mta.on('accepted', ({ id, origin }) => origin === 'report' && reports.push(id));
  const late = await mta.send({ ...LETTER, to: 'defer-450@dest.test', expires: Date.now() + 2_500, bounces: 'none' });
  const bare = await mta.send({ ...LETTER, requireTls: true, bounces: 'none' });
  const told = await mta.send({ ...LETTER, to: 'fail-550@dest.test', returnPath: 'desk@dest.test' });
  assert.deepEqual([await ended(mta, late.id), await ended(mta, bare.id), await ended(mta, told.id)], ['error', 'error', 'error']);
  assert.deepEqual(expired, [late.id]);
  assert.equal(reports.length, 1, 'only one was not told to send none');
  assert.equal((await mta.inspect(bare.id))!.deliveries[0]!.recipients[0]!.last!.status, '5.7.30');
  assert.equal((await mta.inspect(bare.id))!.message.bounces, 'none');
});

everywhere('what waits for one connection leaves in order of priority', async (t, agentTo) => {
  const sink = await destination(t, { keep: 100 });
  const mta = await agentTo(t, sink, { delivery: { maxConnections: 1, connectionsPerServer: 1 } });
  const { id } = await mta.send({ ...LETTER, delay: 3600 });
  const { lane } = (await mta.inspect(id))!.deliveries[0]!;
  // None leaves before all of them are there.
  await mta.pause({ lane });
  const order = ['LOW', 'medium', undefined, 'High'] as const;
  for (const priority of order) await mta.send({ ...LETTER, subject: priority ?? 'none', priority });
  await mta.resume({ lane });
  await sink.received(4);
  const subjects = sink.messages.map(({ bytes }) => /^Subject: (.*)\r$/m.exec(bytes.toString())![1]!);
  assert.deepEqual([subjects[0], subjects[3]], ['High', 'LOW']);
});

everywhere('a queue is listed, held, released and removed by selection, and outlives the agent', async (t, agentTo) => {
  const sink = await destination(t);
  const path = await temporaryFolder(t);
  const first = await agentTo(t, sink, { spool: path });
  const date = Date.now() + 3_600_000;
  const ids: string[] = [];
  for (const to of ['a@one.test', 'b@one.test', 'c@two.test'])
    ids.push((await first.send({ ...LETTER, to, date, tags: to === 'a@one.test' ? 'first' : ['later', 'any', 'later'] })).id);
  const listed = async (mta: typeof first, selection?: Parameters<typeof first.list>[0]) => {
    const found: string[] = [];
    for await (const { message } of mta.list(selection)) found.push(message.id);
    return found;
  };
  assert.deepEqual(await listed(first), ids);
  assert.deepEqual(await listed(first, { domain: 'ONE.test', state: 'waiting' }), ids.slice(0, 2));
  assert.deepEqual(await listed(first, { recipient: 'c@TWO.test', sender: 'ann@example.test' }), ids.slice(2));
  assert.deepEqual([await listed(first, { tag: 'any' }), await listed(first, { tag: 'an' })], [ids.slice(1), []]);
  assert.deepEqual((await first.inspect(ids[1]!))?.message.tags, ['later', 'any']);
  assert.deepEqual([await listed(first, { olderThan: '1h' }), (await listed(first, { olderThan: 0 })).length > 0], [[], true]);
  await first.close();

  const second = await agentTo(t, sink, { spool: path });
  assert.deepEqual(await listed(second), ids);
  assert.deepEqual(await second.hold({ domain: 'one.test' }), {
    action: 'hold',
    messages: 2,
    matched: 2,
    changed: 2,
    inFlight: 0,
    gone: 0,
    unknown: [],
  });
  assert.deepEqual(await listed(second, { state: 'held' }), ids.slice(0, 2));
  assert.equal((await second.release({ id: ids[0]! })).changed, 1);
  assert.equal((await second.remove({ id: [ids[1]!] })).changed, 1);
  assert.equal((await second.retryNow({ all: true })).changed, 2);
  await sink.received(2);
  await second.idle({ timeout: 60 });
  assert.deepEqual(await listed(second), []);
  assert.deepEqual(sink.messages.flatMap(({ recipients }) => recipients).sort(), ['a@one.test', 'c@two.test']);
});

everywhere('what is put off waits for its new time, and what is failed is over, with a word to the sender', async (t, agentTo) => {
  const sink = await destination(t);
  const mta = await agentTo(t, sink);
  const changes: string[] = [];
  mta.on('changed', ({ change, due }) => changes.push(`${change} ${due}`));
  const later = await mta.send({ ...LETTER, delay: 3600 });
  const failed = await mta.send({ ...LETTER, delay: 3600 });
  const at = new Date(Date.now() + 7_200_000);
  assert.equal((await mta.reschedule({ id: later.id }, at)).changed, 1);
  assert.equal((await mta.inspect(later.id))!.deliveries[0]!.due, at.getTime());
  assert.deepEqual(changes, [`reschedule ${at.getTime()}`]);
  assert.equal((await mta.fail({ id: failed.id }, { reason: 'moved away' })).changed, 1);
  assert.equal(await mta.status(failed.id), 'error');
  await sink.received(1);
  assert.match(sink.messages[0]!.bytes.toString(), /given up by an operator: moved away/);
  await mta.reschedule({ all: true }, new Date());
  await sink.received(2);
  await assert.rejects(mta.reschedule({ all: true }, 'tomorrow'), { code: 'INVALID_OPTIONS' });
  await assert.rejects(mta.fail({ all: true }, { reason: 'a\nb' }));
});

everywhere('a paused lane keeps its mail, over the end of the agent too, until it is resumed', async (t, agentTo) => {
  const sink = await destination(t);
  const path = await temporaryFolder(t);
  const first = await agentTo(t, sink, { spool: path });
  const { id } = await first.send({ ...LETTER, delay: 3600 });
  const { lane } = (await first.inspect(id))!.deliveries[0]!;
  assert.deepEqual(await first.pause({ lane, reason: 'their maintenance' }), { lanes: [lane] });
  await first.retryNow({ id });
  await first.idle({ timeout: 60 });
  await first.close();
  const second = await agentTo(t, sink, { spool: path });
  const [paused] = await second.pauses();
  assert.deepEqual([paused!.lane, paused!.reason], [lane, 'their maintenance']);
  await second.idle({ timeout: 60 });
  assert.equal(sink.messages.length, 0);
  await assert.rejects(second.pause({ domain: 'dest.test' }), { code: 'INVALID_OPTIONS' });
  assert.deepEqual(await second.resume({ all: true }), { lanes: [lane] });
  await sink.received(1);
});

everywhere('a listing goes on behind its first page, and so does a change', async (t, agentTo) => {
  const mta = await agentTo(t, await destination(t));
  const sent = await Promise.all(Array.from({ length: 600 }, () => mta.send({ ...LETTER, delay: 3600 })));
  const found: string[] = [];
  for await (const { message } of mta.list()) found.push(message.id);
  assert.deepEqual(found, sent.map(({ id }) => id).sort());
  assert.equal((await mta.remove({ all: true })).changed, 600);
});

everywhere('idle waits for what is on its way, and gives up after its timeout or with its signal', async (t, agentTo) => {
  let answer = () => {};
  const held = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const sink = await destination(t, { script: ({ verb }) => (verb === 'DOT' ? held.then(() => undefined) : undefined) });
  const mta = await agentTo(t, sink);
  await mta.idle();
  const { id } = await mta.send(LETTER);
  await assert.rejects(mta.idle({ timeout: 0.05 }), { code: 'ABORTED' });
  const reason = new Error('enough');
  await assert.rejects(mta.idle({ signal: AbortSignal.abort(reason) }), (error: Error) => error.cause === reason);
  for (const wrong of [{ timeout: 'long' }, { timeout: -1 }, { signal: 'stop' }, { within: 3 }, null])
    await assert.rejects(mta.idle(wrong as IdleOptions), { code: 'INVALID_OPTIONS' });
  answer();
  await mta.idle();
  assert.equal(await mta.status(id), 'sent');
});

everywhere('why tells what a message waits for and what happens next, and what was said to the server is kept', async (t, agentTo) => {
  const mta = await agentTo(t, await destination(t));
  const later = Date.now() + 3_600_000;
  const waiting = await mta.send({ ...LETTER, date: later });
  const [first] = (await mta.why(waiting.id))!.deliveries;
  assert.deepEqual([first?.state, first?.waits.map(({ kind, until }) => [kind, until])], ['waiting', [['date', later]]]);
  assert.deepEqual(first?.next, { text: 'attempt 1', at: later });
  const deferred = await mta.send({ ...LETTER, to: 'defer-450@dest.test' });
  await until('the first attempt', async () => (await mta.inspect(deferred.id))?.deliveries[0]?.attempts);
  const report = await mta.why(deferred.id.toLowerCase());
  assert.deepEqual([report?.status, report?.agentRuns, report?.deliveries[0]?.waits[0]?.kind], ['queued', true, 'retry']);
  assert.match(report!.deliveries[0]!.waits[0]!.text, /^attempt 1 did not succeed: .*not now/);
  const [attempt] = (await mta.inspect(deferred.id))!.deliveries[0]!.log;
  assert.match(attempt!.transcript!, /^\d+ C: RCPT TO:<defer-450@dest\.test>$[^]*^\d+ S: 450/m);
  assert.deepEqual([await mta.why('no id'), await mta.why('01ARZ3NDEKTSV4RRFFQ69G5FAV')], [undefined, undefined]);
});

everywhere('idle waits for what has just come due', async (t, agentTo) => {
  const sink = await destination(t);
  const mta = await agentTo(t, sink);
  for (let round = 1; round <= 5; round++) {
    const { id } = await mta.send({ ...LETTER, delay: 3600 });
    await mta.reschedule({ id }, new Date());
    await mta.idle({ timeout: 60 });
    assert.deepEqual([await mta.status(id), sink.counts.messages], ['sent', round]);
  }
});

everywhere('it listens where it is asked to, and nowhere else', async (t, agentTo) => {
  const sink = await destination(t);
  const listening = await agentTo(t, sink, { submission: { listen: ['127.0.0.1:0'] } });
  const [address] = listening.listening();
  assert.equal(address!.host, '127.0.0.1');
  const client = await talk(address!.port);
  assert.match(await client.reply(), /^220 riata\.test/);
  client.end();
  assert.deepEqual((await agentTo(t, sink)).listening(), []);
});

everywhere('where mail would go is told with the preferred server in front', async (t, agentTo) => {
  const sink = await destination(t);
  const relay: MtaOptions['route'] = [relayTo(sink, { username: 'user', password: 'secret', allowInsecureAuth: true })];
  const mta = await agentTo(t, sink, { route: relay });
  const found = await mta.mxLookup('Dest.test', { refresh: true });
  const { domain, host, port, username, hasPassword, timeout, via, all } = found;
  assert.deepEqual(
    { domain, host, port, username, hasPassword, timeout, via },
    { domain: 'dest.test', host: '127.0.0.1', port: sink.port, username: 'user', hasPassword: true, timeout: 30, via: 'relay' },
  );
  assert.equal(all.length, 1);
  assert.doesNotMatch(JSON.stringify(found), /secret/);
  await assert.rejects(
    mta.mxLookup('a b', { host: '127.0.0.1' } as never),
    (error: { issues?: { path: string }[] }) => error.issues?.length === 2,
  );
});
