/** A spool that moves house, and one that is copied under load: with agents in processes of their own. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { destination, message, subjectOf, submit, temporaryFolder } from '../support/agent.js';
import { riata, spawnAgent } from '../support/agent-process.js';
import { until } from '../support/scope.js';

const route = (port: number) => `[[route]]\nhost = "127.0.0.1"\nport = ${port}\n`;

test('a queue is exported, imported on another machine and sent from there, once', { timeout: 120_000 }, async (t) => {
  const sink = await destination(t);
  const first = await spawnAgent(t, { toml: route(sink.port) });
  const later = Date.now() + 3_600_000;
  for (let number = 0; number < 20; number++)
    await submit(first.verbs, { to: 'bob@dest.test', content: message(`mail ${number}`), notBefore: later });
  const { items } = await first.verbs.list({}, { limit: 100 });
  assert.equal((await first.stop()).code, 0);
  const archive = join(await temporaryFolder(t), 'archive');
  const out = await first.riata(['spool', 'export', archive]);
  assert.equal(out.code, 0, out.err);
  const folder = await temporaryFolder(t);
  const into = await riata(t, ['spool', 'import', archive, '--spool', join(folder, 'spool')]);
  assert.equal(into.code, 0, into.err);
  const second = await spawnAgent(t, { folder, toml: route(sink.port) });
  assert.deepEqual((await second.verbs.list({}, { limit: 100 })).items, items);
  await second.verbs.change({ action: 'retry', selector: { all: true } });
  await until('all to arrive', () => sink.counts.messages === 20);
  assert.equal(new Set(sink.messages.map(({ bytes }) => subjectOf(bytes))).size, 20);
  assert.equal((await second.stop()).code, 0);
});

test('a snapshot under load holds whole what was acknowledged before, and an agent starts on it', { timeout: 120_000 }, async (t) => {
  const sink = await destination(t);
  const agent = await spawnAgent(t, { toml: route(sink.port) });
  const later = Date.now() + 3_600_000;
  const ids: string[] = [];
  for (let number = 0; number < 50; number++)
    ids.push(await submit(agent.verbs, { to: 'bob@dest.test', content: message(`kept ${number}`), notBefore: later }));
  let going = true;
  const load = (async () => {
    for (let number = 0; going; number++) await submit(agent.verbs, { to: 'bob@dest.test', content: message(`passing ${number}`) });
  })();
  const folder = await temporaryFolder(t);
  const copy = join(folder, 'spool');
  const made = await agent.riata(['spool', 'snapshot', copy]);
  going = false;
  await load;
  assert.equal(made.code, 0, made.err);
  const checked = await riata(t, ['spool', 'check', '--spool', copy, '--json']);
  assert.equal(checked.code, 0, checked.out);
  const second = await spawnAgent(t, { folder, toml: route(sink.port) });
  const { items } = await second.verbs.list({ state: 'waiting' }, { limit: 100 });
  assert.deepEqual(items.map(({ message: { id } }) => id).sort(), ids.sort());
  assert.equal((await second.stop()).code, 0);
  const compacted = await agent.riata(['spool', 'compact', '--json']);
  assert.equal(compacted.code, 0, compacted.err);
  assert.ok((JSON.parse(compacted.out) as { after: number }).after > 0);
  assert.equal((await agent.stop()).code, 0);
});
