/** When mail leaves, and in what order: never before its time, the urgent first, again when it was said. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SinkScript } from '../../src/dev/sink.js';
import { destination, madeUpDns, message, relayTo, startAgent, subjectOf, submit } from '../support/agent.js';
import { spawnAgent } from '../support/agent-process.js';
import { until } from '../support/scope.js';

/** However busy the machine is: later than this is too late. */
const SLACK_MS = 60_000;

test('mail with a date leaves at that date, not before, also when the agent is killed and started in between', async (t) => {
  const sink = await destination(t);
  const toml = `[[route]]\nhost = "127.0.0.1"\nport = ${sink.port}\n`;
  const first = await spawnAgent(t, { toml });
  const start = Date.now();
  const send = async (subject: string, ...more: string[]) => {
    const stdin = `Subject: ${subject}\n\nHello.\n`;
    const { code, out, err } = await first.riata(['send', '--from', 'ann@example.test', 'bob@dest.test', ...more], { stdin });
    assert.deepEqual([code, /^[0-9A-Z]{26}\n$/.test(out), err], [0, true, '']);
    return out.trim();
  };
  const now = await send('now');
  // Killed before it is settled, it might come twice (G3), and that is another test's matter.
  await until('the first to be settled', async () => (await first.verbs.status(now)).status === 'sent');
  // Time enough for the next one to be sent and for the kill, as fast as the machine is today.
  const lead = 1_500 + 4 * (Date.now() - start);
  const dates = [0, 300, 600].map((ms) => Date.now() + lead + ms);
  const [date, ...others] = dates as [number, ...number[]];
  for (const notBefore of others) await submit(first.verbs, { to: 'bob@dest.test', content: message(String(notBefore)), notBefore });
  await send(String(date), '--date', new Date(date).toISOString());
  await first.kill();
  const second = await spawnAgent(t, { toml, folder: first.folder });
  const ready = Date.now();
  await until('all to arrive', () => sink.counts.messages === 4);
  assert.deepEqual(sink.messages.map(({ bytes }) => subjectOf(bytes)).sort(), [...dates.map(String), 'now']);
  for (const { bytes, at } of sink.messages) {
    const wanted = Number(subjectOf(bytes)) || start;
    assert.ok(at >= wanted && at < Math.max(wanted, ready) + SLACK_MS, `${subjectOf(bytes)} came ${at - wanted} ms after its time`);
  }
  assert.equal((await second.stop()).code, 0);
});

test('what is more urgent leaves first on the one connection there is, across domains with the same servers', async (t) => {
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  let blocked = () => {};
  const isBlocked = new Promise<void>((resolve) => (blocked = resolve));
  /** The first message is answered when everything else is waiting. */
  const script: SinkScript = ({ verb }, { messages }) => {
    if (verb !== 'DOT' || messages > 0) return undefined;
    blocked();
    return released.then(() => undefined);
  };
  const sink = await destination(t, { script });
  const dns = await madeUpDns(t, {
    'a.test': { mx: [[10, 'mx.test']] },
    'b.test': { mx: [[10, 'mx.test']] },
    'mx.test': { a: ['127.0.0.1'] },
  });
  const agent = await startAgent(t, { dns: { servers: [dns.address] }, delivery: { connectionsPerServer: 1 } }, { mxPort: sink.port });
  await agent.submit({ to: 'bob@a.test', content: message('first') });
  await isBlocked;
  for (const round of [1, 2, 3]) {
    for (const priority of ['low', 'medium', 'high'] as const) {
      for (const domain of ['a.test', 'b.test'])
        await agent.submit({ to: `bob@${domain}`, priority, content: message(`${priority} ${domain} ${round}`) });
    }
  }
  assert.equal(sink.counts.connections, 1);
  release();
  await sink.received(19);
  const order = sink.messages.map(({ bytes }) => subjectOf(bytes));
  assert.deepEqual(
    order.map((subject) => subject.split(' ')[0]),
    ['first', ...Array(6).fill('high'), ...Array(6).fill('medium'), ...Array(6).fill('low')],
  );
  // Of one domain and priority in the order in which it came.
  for (const kind of ['high a', 'high b', 'medium a', 'medium b', 'low a', 'low b']) {
    assert.deepEqual(
      order.filter((subject) => subject.startsWith(kind)).map((subject) => subject.at(-1)),
      ['1', '2', '3'],
    );
  }
  assert.equal(sink.counts.connections, 1);
});

test('what was deferred is tried again when it was said, not before, and at last returned to its sender', async (t) => {
  const sink = await destination(t);
  const agent = await startAgent(t, { route: [relayTo(sink)], retry: { firstDelay: 400, factor: 1.5, maxDelay: 1000, expiry: 4_000 } });
  const once = await agent.submit({ to: ['once-450@dest.test', 'ok@dest.test'] });
  const never = await agent.submit({ from: 'ann@example.test', to: 'defer-451@dest.test' });
  await agent.settled(once);
  const deferred = await agent.event('deferred', ({ id }) => id === once);
  const arrivals = sink.messages.filter(({ recipients }) => recipients.some((recipient) => recipient !== 'ann@example.test'));
  assert.deepEqual(
    arrivals.map(({ recipients }) => recipients),
    [['ok@dest.test'], ['once-450@dest.test']],
  );
  const again = arrivals[1]!;
  assert.ok(
    again.at >= deferred.nextAttemptAt && again.at < deferred.nextAttemptAt + SLACK_MS,
    `${again.at - deferred.nextAttemptAt} ms after its time`,
  );
  assert.ok(deferred.nextAttemptAt - deferred.at >= 360 && deferred.nextAttemptAt - deferred.at <= 440);

  const report = await agent.settled(never);
  assert.deepEqual([report.status, report.recipients[0]!.state], ['error', 'expired']);
  const expired = await agent.event('expired');
  assert.ok(expired.delayMs >= 4_000 && expired.delayMs < 4_000 + SLACK_MS);
  const bounce = await until('the bounce', () => sink.messages.find(({ sender }) => sender === ''));
  assert.deepEqual(bounce.recipients, ['ann@example.test']);
  assert.match(bounce.bytes.toString(), /Action: failed\r\nStatus: [45]\.0\.0\r\n/);
  // Every attempt came when the one before had said.
  const tries = agent.events.filter((event) => event.type === 'deferred' && event.id === never);
  assert.ok(tries.length >= 3, `${tries.length} attempts`);
});
