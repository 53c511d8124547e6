/** SIGTERM: what is on its way is finished, nothing is lost, nothing doubled, and nobody is left without a word. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sink, SinkScript } from '../../src/dev/sink.js';
import { destination, message, subjectOf, submit } from '../support/agent.js';
import { spawnAgent } from '../support/agent-process.js';
import { never, type Scope, until } from '../support/scope.js';
import { talk } from '../support/talk.js';

const toml = (sink: Sink) => `[[route]]\nhost = "127.0.0.1"\nport = ${sink.port}\n`;

test('SIGTERM under load loses nothing and doubles nothing', async (t) => {
  const sink = await destination(t);
  let agent = await spawnAgent(t, { toml: toml(sink) });
  const accepted: string[] = [];
  let handedIn = 0;
  for (let round = 0; round < 3; round++) {
    const clients = Array.from({ length: 8 }, () => handIn(agent.port, () => `n${++handedIn}`, accepted));
    const before = accepted.length;
    await until('some to be accepted', () => accepted.length > before + 300);
    const ended = await agent.stop();
    assert.deepEqual([ended.code, ended.err], [0, '']);
    await Promise.all(clients);
    agent = await spawnAgent(t, { toml: toml(sink), folder: agent.folder });
  }
  await until(
    () => `all ${accepted.length} to arrive, not ${sink.counts.messages}`,
    () => sink.counts.messages >= accepted.length,
  );
  assert.equal((await agent.stop()).code, 0);
  const arrived = sink.messages.map(({ bytes }) => subjectOf(bytes));
  assert.equal(new Set(arrived).size, arrived.length, 'no message twice');
  const missing = accepted.filter((subject) => !arrived.includes(subject));
  assert.deepEqual(missing, []);
  assert.deepEqual(sink.violations, []);
});

/** Hands in message after message until the connection ends. Whoever got a 250 is in `accepted`. */
async function handIn(port: number, next: () => string, accepted: string[]): Promise<void> {
  const line = await talk(port);
  try {
    await line.reply();
    await line.say('EHLO client.test');
    for (;;) {
      const subject = next();
      line.write('MAIL FROM:<ann@example.test>\r\nRCPT TO:<bob@dest.test>\r\nDATA\r\n');
      for (const code of ['250', '250', '354']) if (!(await line.reply()).startsWith(code)) return;
      if ((await line.say(`${message(subject)}.`)).startsWith('250')) accepted.push(subject);
    }
  } catch {
    // The agent has ended the connection.
  } finally {
    line.end();
  }
}

/** A destination that keeps the answer to the first final dot to itself, until it is let. */
async function holding(scope: Scope): Promise<{ sink: Sink; held: Promise<void>; answer: () => void }> {
  let answer = () => {};
  const answered = new Promise<void>((resolve) => (answer = resolve));
  let hold = () => {};
  const held = new Promise<void>((resolve) => (hold = resolve));
  let first = true;
  const script: SinkScript = ({ verb }) => {
    if (verb !== 'DOT' || !first) return undefined;
    first = false;
    hold();
    return answered.then(() => undefined);
  };
  return { sink: await destination(scope, { script }), held, answer };
}

test('an answer to a final dot is waited for, and no new mail is taken meanwhile', async (t) => {
  const { sink, held, answer } = await holding(t);
  const agent = await spawnAgent(t, { toml: toml(sink) });
  const idle = await talk(agent.port);
  await idle.reply();
  const id = await submit(agent.verbs, { to: 'bob@dest.test', content: message('held') });
  await held;
  agent.signal('SIGTERM');
  assert.match(await idle.reply(), /^421 4\.3\.2 /);
  await idle.closed();
  await until('the port to be closed', () =>
    talk(agent.port).then(
      (line) => line.end(),
      () => true,
    ),
  );
  let ended = false;
  void agent.ended.then(() => (ended = true));
  await never('it ended without the answer', () => ended);
  answer();
  assert.equal((await agent.ended).code, 0);
  assert.equal(sink.counts.messages, 1);
  const status = await agent.riata(['status', id]);
  assert.deepEqual([status.code, /: sent/.test(status.out)], [0, true]);
  const again = await spawnAgent(t, { toml: toml(sink), folder: agent.folder });
  const next = await submit(again.verbs, { to: 'bob@dest.test', content: message('next') });
  await until('the next to be sent', async () => (await again.verbs.status(next)).status === 'sent');
  assert.deepEqual(
    sink.messages.map(({ bytes }) => subjectOf(bytes)),
    ['held', 'next'],
  );
});

test('an answer that does not come is not waited for longer than shutdown.timeout, and the mail is sent again', async (t) => {
  const { sink, held } = await holding(t);
  const agent = await spawnAgent(t, { toml: `shutdown.timeout = "300ms"\n${toml(sink)}` });
  const id = await submit(agent.verbs, { to: 'bob@dest.test' });
  await held;
  assert.equal((await agent.stop()).code, 0);
  assert.equal(sink.counts.messages, 0);
  const again = await spawnAgent(t, { toml: `retry.firstDelay = "1s"\n${toml(sink)}`, folder: agent.folder });
  await again.riata(['queue', 'retry', id]);
  await until('it to be sent', async () => (await again.verbs.status(id)).status === 'sent');
  assert.equal(sink.counts.messages, 1);
});

test('a second signal ends it at once, and loses nothing', async (t) => {
  const { sink, held } = await holding(t);
  const agent = await spawnAgent(t, { toml: toml(sink) });
  const id = await submit(agent.verbs, { to: 'bob@dest.test' });
  await held;
  agent.signal('SIGTERM');
  await until('it to let go of its port', () =>
    talk(agent.port).then(
      (line) => line.end(),
      () => true,
    ),
  );
  agent.signal('SIGTERM');
  assert.equal((await agent.ended).code, 128 + 15);
  const again = await spawnAgent(t, { toml: toml(sink), folder: agent.folder });
  await until('it to be sent', async () => (await again.verbs.status(id)).status === 'sent');
  assert.equal(sink.counts.messages, 1);
});
