/** `riata queue reschedule|fail|pause|resume`: what is asked of the agent, and what is said about it. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { startControlServer } from '../../src/control/server.js';
import { systemClock } from '../../src/platform/clock.js';
import { silentLog } from '../../src/platform/log.js';
import { fakeDelivery, fakeMessage, NOW } from '../control/fake-agent.js';
import { serveControl } from '../control/served.js';
import { destination, relayTo, startAgent, submit, temporaryFolder } from '../support/agent.js';
import { run, type Surroundings } from './run.js';

async function served(t: TestContext) {
  const { agent, socketPath } = await serveControl(t);
  const riata = (argv: readonly string[], around?: Surroundings) => run(['queue', ...argv, '--socket', socketPath], around);
  const mails = ['one.test', 'two.test'].map((domain) => {
    const mail = fakeMessage({ tags: [domain.slice(0, 3)] });
    agent.add(mail, [fakeDelivery(mail, 0, [`a@${domain}`], { state: 'waiting', due: NOW + 60_000 })], Buffer.from('x'));
    return mail;
  });
  return { agent, riata, mails };
}

test('reschedule takes a span or a moment, and says until when', async (t) => {
  const { agent, riata, mails } = await served(t);
  const due = () => agent.entries.map(({ deliveries }) => deliveries[0]!.due - NOW);
  const done = await riata(['reschedule', mails[0]!.id, '--in', '2h']);
  assert.match(done.out, /^Rescheduled 1 delivery of 1 message, to \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}\.\n$/);
  assert.deepEqual(due(), [7_200_000, 60_000]);
  assert.equal((await riata(['reschedule', '--tag', 'two', '--at', new Date(NOW + 3_600_000).toISOString()])).code, 0);
  assert.deepEqual(due(), [7_200_000, 3_600_000]);
  assert.equal((await riata(['reschedule', '--all', '--at', '+1m', '--dry-run'])).out.slice(0, 18), 'Would reschedule 2');
  assert.deepEqual(due(), [7_200_000, 3_600_000]);
});

test('reschedule without a moment, with two, or with one that has no zone changes nothing', async (t) => {
  const { agent, riata } = await served(t);
  for (const wrong of [[], ['--in', 'soon'], ['--at', '2026-12-01T09:00'], ['--in', '1h', '--at', '+1h']])
    assert.equal((await riata(['reschedule', '--all', ...wrong])).code, 64, wrong.join(' '));
  assert.ok(agent.entries.every(({ deliveries }) => deliveries[0]!.due === NOW + 60_000));
});

test('release means what is held, and counts nothing else', async (t) => {
  const { agent, riata } = await served(t);
  await riata(['hold', '--tag', 'two']);
  assert.equal((await riata(['release', '--all'])).out, 'Released 1 delivery of 1 message.\n');
  assert.deepEqual(
    agent.entries.map(({ deliveries }) => deliveries[0]!.state),
    ['waiting', 'ready'],
  );
  assert.equal((await riata(['release', '--domain', 'one.test'])).out, 'Nothing in the queue matches.\n');
});

test('fail asks before a broad selection, and one id needs no question', async (t) => {
  const { riata } = await served(t);
  const asked: string[] = [];
  const refused = await riata(['fail', '--domain', 'one.test'], { answer: 'n', asked });
  assert.deepEqual([refused.code, asked], [0, ['Fail 1 delivery of 1 message for good, and tell the senders? [y/N] ']]);
  const blind = await riata(['fail', '--all']);
  assert.equal(blind.code, 64);
  assert.match(blind.err, /^riata: this fails 2 deliveries of 2 messages for good: say --yes/);
  assert.match((await riata(['fail', '--all', '--dry-run'])).out, /^Would fail 2 /);
});

test('on a real agent: fail bounces with the reason, a paused lane keeps its mail until it is resumed', async (t) => {
  const sink = await destination(t);
  const agent = await startAgent(t, { route: [relayTo(sink)] });
  const socket = path.join(await temporaryFolder(t), 'control.sock');
  const server = await startControlServer({ verbs: agent.verbs, path: socket, log: silentLog });
  t.after(() => server.close(0));
  const queue = (...argv: string[]) => run(['queue', ...argv, '--socket', socket], { clock: systemClock });
  const id = await submit(agent.verbs, { to: 'defer-450@dest.test' });
  await agent.event('deferred');
  assert.match((await queue('fail', id, '--reason', 'the office has closed')).out, /^Failed 1 delivery of 1 message\.\n$/);
  const { text } = await agent.event('bounced', (event) => event.id === id);
  assert.match(text, /the office has closed/);

  const lane = (await agent.verbs.show(id)).deliveries[0]!.lane;
  const byDomain = await queue('pause', 'dest.test');
  assert.deepEqual([byDomain.code, /name that lane/.test(byDomain.err)], [64, true], 'a relay carries the mail of others, too');
  assert.equal((await queue('pause', lane, '--reason', 'they asked')).out, `Paused ${lane}.\n`);
  const kept = await submit(agent.verbs, { to: 'ok@dest.test' });
  const stats = await queue('stats');
  assert.match(stats.out, new RegExp(`^${lane.slice(0, 20)}.*\\n {4}paused .*: they asked$`, 'm'));
  assert.equal((await agent.verbs.status(kept)).status, 'queued');
  assert.equal((await queue('resume', '--all')).out, `Resumed ${lane}.\n`);
  await agent.settled(kept);
  assert.equal((await queue('resume', '--all')).out, 'Nothing there is paused.\n');
  assert.equal((await queue('resume')).code, 64);
});
