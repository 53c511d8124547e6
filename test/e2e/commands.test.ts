/** The command line and the agent that it talks to, each in a process of its own. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readId } from '../../src/control/reading.js';
import type { StatsReport } from '../../src/control/types.js';
import { destination, message, settled, submit } from '../support/agent.js';
import { type Ran, spawnAgent } from '../support/agent-process.js';
import { assertArrived } from '../support/arrival.js';
import { until } from '../support/scope.js';

/** The id that `riata send` printed. */
function idOf({ code, out, err }: Ran): string {
  assert.deepEqual([code, err], [0, '']);
  return readId(out.trim());
}

test('a message from send to history, and every verb on the way', async (t) => {
  const sink = await destination(t);
  const agent = await spawnAgent(t, { toml: `[[route]]\nhost = "127.0.0.1"\nport = ${sink.port}\n` });
  const news = message('news', 'Grüße\r\n.\r\n').replace('\r\n', '\r\nBcc: hidden@dest.test\r\n');
  const file = join(agent.folder, 'news.eml');
  writeFileSync(file, news);

  const [byHeaders, waits, sent, failed, deferred] = await Promise.all([
    agent.riata(['send', '-t', '--file', file]),
    agent.riata(['send', '--from', '<>', 'defer-450@dest.test', 'ok@dest.test', '-'], { stdin: news }),
    agent.riata(['send', '--from', 'a@b.test', '--wait', 'ok@dest.test'], { stdin: 'Subject: waited for\n\nHello.\n' }),
    agent.riata(['send', '--from', '<>', '--wait', '--json', 'fail-550@dest.test'], { stdin: news }),
    agent.riata(['send', '--from', 'a@b.test', '--wait', 'defer-451@dest.test', '--priority', 'low'], { stdin: news }),
  ] as const);

  await t.test('send takes the recipients from the headers, or from the command line', async () => {
    await settled(agent.verbs, idOf(byHeaders));
    const arrived = sink.messages.find(({ recipients }) => recipients.length === 2)!;
    assert.deepEqual(arrived.recipients, ['you@dest.test', 'hidden@dest.test']);
    assert.equal(arrived.sender, 'sender@example.test');
    assertArrived(arrived.bytes, Buffer.from(news), { sender: 'sender@example.test', untraced: true });
    assert.notEqual(waits.code, 0, 'there is no recipient named -');
  });

  await t.test('send --immediate asks the servers at once, says what each answered, and stores nothing', async () => {
    const now = (to: readonly string[], ...more: readonly string[]) =>
      agent.riata(['send', '--immediate', '--from', 'a@b.test', ...to, ...more], { stdin: news });
    const taken = await now(['ok@dest.test']);
    assert.deepEqual([taken.code, taken.err], [0, '']);
    assert.match(taken.out, /^ok@dest\.test {2}delivered\n {2}2\.0\.0 Ok/);
    const mixed = await now(['ok@dest.test', 'fail-550@dest.test'], '--json');
    assert.equal(mixed.code, 69);
    const { id, outcomes } = JSON.parse(mixed.out) as { id: string; outcomes: { state: string }[] };
    assert.deepEqual(
      outcomes.map(({ state }) => state),
      ['delivered', 'failed'],
    );
    assert.equal((await agent.verbs.status(id)).status, 'unknown');
    const refused = await now(['fail-550@dest.test']);
    assert.deepEqual([refused.code, refused.out], [69, '']);
    assert.match(refused.err, /^riata: .*fail-550@dest\.test/s);
    const dated = await now(['ok@dest.test'], '--delay', '5m');
    assert.equal(dated.code, 64);
  });

  await t.test('send --wait says what became of it, also by its exit code', () => {
    assert.deepEqual([sent.code, sent.err], [0, '']);
    assert.match(sent.out, /^[0-9A-Z]{26}: sent\n {2}ok@dest\.test {2}delivered /);
    assert.equal(failed.code, 69);
    const report = JSON.parse(failed.out) as { status: string; recipients: { state: string; last: { status: string } }[] };
    assert.deepEqual([report.status, report.recipients[0]!.state, report.recipients[0]!.last.status], ['error', 'bounced', '5.1.1']);
    assert.equal(deferred.code, 75);
    assert.match(deferred.out, /: queued\n {2}defer-451@dest\.test {2}queued, next attempt in /);
  });

  const id = readId(deferred.out.slice(0, 26));
  const [held, removed] = await Promise.all([1, 2].map(() => submit(agent.verbs, { to: 'defer-450@dest.test', content: news })));
  await until('three to wait', async () => (await agent.verbs.stats()).counts.waiting === 3);

  await t.test('status tells by its exit code, too', async () => {
    const [queued, gone, unknown, wrong] = await Promise.all([
      agent.riata(['status', id]),
      agent.riata(['status', (JSON.parse(failed.out) as { id: string }).id, '--json']),
      agent.riata(['status', '01ARZ3NDEKTSV4RRFFQ69G5FAV']),
      agent.riata(['status', 'rubbish']),
    ] as const);
    assert.deepEqual([queued.code, gone.code, unknown.code], [0, 69, 66]);
    assert.match(queued.out, /451 4\.0\.0 not now/);
    assert.notEqual(wrong.code, 0);
    assert.match(wrong.err, /^riata: .*rubbish.*\n$/);
  });

  await t.test('queue list shows what waits and why, as a table and as JSON lines', async () => {
    const [table, json, filtered, nothing] = await Promise.all([
      agent.riata(['queue', 'list']),
      agent.riata(['queue', 'list', '--json']),
      agent.riata(['queue', 'list', '--error', '451', '--json']),
      agent.riata(['queue', 'list', '--domain', 'other.test']),
    ] as const);
    assert.equal(table.code, 0);
    for (const text of [id, held!, removed!, '450 4.2.0 not now', '3 deliveries of 3 messages'])
      assert.ok(table.out.includes(text), `${text} in\n${table.out}`);
    for (const line of table.out.trimEnd().split('\n')) assert.ok([...line].length <= 80, line);
    const lines = json.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { queue_id: string; queue_name: string });
    assert.deepEqual(lines.map(({ queue_id }) => queue_id).sort(), [id, held, removed].sort());
    assert.equal(lines[0]!.queue_name, 'deferred');
    assert.deepEqual(
      filtered.out
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { queue_id: string }).queue_id),
      [id],
    );
    assert.deepEqual([nothing.code, nothing.out], [0, 'Nothing in the queue matches.\n']);
  });

  await t.test('queue show tells everything about one message, and its content octet for octet', async () => {
    const [show, raw] = await Promise.all([agent.riata(['queue', 'show', id]), agent.riata(['queue', 'show', '--raw', id])]);
    for (const text of ['a@b.test', 'Priority', 'low', '1 attempt', '451 4.0.0 not now', 'Subject:', 'news', 'text/plain'])
      assert.ok(show.out.includes(text), `${text} in\n${show.out}`);
    assert.equal(show.code, 0);
    assertArrived(Buffer.from(raw.out), Buffer.from(news), { sender: 'a@b.test', untraced: true });
  });

  await t.test('queue hold, release, retry and remove do what they say', async () => {
    assert.match((await agent.riata(['queue', 'hold', held!])).out, /^Held 1 delivery of 1 message\.$/m);
    assert.equal((await agent.verbs.stats()).counts.held, 1);
    // What is held is not tried, whatever else is.
    const attempts = async (of: string) => (await agent.verbs.status(of)).recipients[0]!.attempts;
    assert.match((await agent.riata(['queue', 'retry', '--recipient', 'defer-451@dest.test'])).out, /^Will try now: 1 delivery/);
    await until('a second attempt', async () => (await attempts(id)) === 2);
    assert.equal(await attempts(held!), 1);
    assert.match((await agent.riata(['queue', 'release', held!])).out, /^Released 1 delivery/);
    assert.equal((await agent.verbs.stats()).counts.held, 0);

    const unasked = await agent.riata(['queue', 'remove', '--all']);
    assert.deepEqual([unasked.code, (await agent.verbs.stats()).counts.messages], [64, 3]);
    assert.match(unasked.err, /--yes/);
    assert.match(
      (await agent.riata(['queue', 'remove', removed!, '01ARZ3NDEKTSV4RRFFQ69G5FAV'])).err,
      /^01ARZ3NDEKTSV4RRFFQ69G5FAV: not in the queue$/m,
    );
    assert.deepEqual(
      (await agent.verbs.status(removed!)).recipients.map(({ state }) => state),
      ['removed'],
    );
    assert.equal((await agent.verbs.stats()).counts.messages, 2);
  });

  await t.test('queue stats counts, mx says where mail goes', async () => {
    const [stats, table, mx] = await Promise.all([
      agent.riata(['queue', 'stats', '--json']),
      agent.riata(['queue', 'stats']),
      agent.riata(['mx', 'dest.test']),
    ] as const);
    const report = JSON.parse(stats.out) as StatsReport;
    assert.deepEqual([report.counts.messages, report.counts.waiting, report.counts.held], [2, 2, 0]);
    assert.ok(report.uptimeMs > 0 && report.lanes[0]!.waiting === 2);
    assert.match(table.out, /^Messages +2$/m);
    assert.deepEqual([table.code, mx.code], [0, 0]);
    assert.match(mx.out, new RegExp(`127\\.0\\.0\\.1.*${sink.port}`, 's'));
  });

  await t.test('the spool is not checked under an agent; when that has stopped, it is sound and can still be read', async () => {
    const locked = await agent.riata(['spool', 'check']);
    assert.equal(locked.code, 75);
    assert.match(locked.err, new RegExp(`owned by process ${agent.pid}.*stop the agent first`));
    const stopped = await agent.stop();
    assert.deepEqual([stopped.code, stopped.err], [0, '']);
    const check = await agent.riata(['spool', 'check']);
    assert.deepEqual([check.code, check.err], [0, '']);
    assert.match(check.out, /^Messages +2$/m);
    assert.match(check.out, /Nothing is wrong with it\./);
    const [list, status, show, remove] = await Promise.all([
      agent.riata(['queue', 'list', '--json']),
      agent.riata(['status', removed!]),
      agent.riata(['queue', 'show', '--raw', id]),
      agent.riata(['queue', 'remove', id]),
    ] as const);
    assert.deepEqual([list.code, list.out.trimEnd().split('\n').length], [0, 2]);
    assert.deepEqual([status.code, /removed/.test(status.out)], [69, true]);
    assert.deepEqual([show.code, show.err], [0, '']);
    assertArrived(Buffer.from(show.out), Buffer.from(news), { sender: 'a@b.test', untraced: true });
    assert.deepEqual([remove.code, /no agent runs.*riata serve/.test(remove.err)], [69, true]);
  });
  assert.deepEqual(sink.violations, []);
});
