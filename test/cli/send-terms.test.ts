/** `riata send`: what is about delivery, and headers of one's own. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { NOW } from '../control/fake-agent.js';
import { serveControl } from '../control/served.js';
import { destination, message, relayTo, temporaryFolder } from '../support/agent.js';
import { spawnAgent } from '../support/agent-process.js';
import { run } from './run.js';

test('every term of delivery reaches the agent', async (t) => {
  const { agent, socketPath } = await serveControl(t);
  const send = (...argv: string[]) => run(['send', '--socket', socketPath, '-f', 'a@x.test', 'b@x.test', ...argv], { stdin: message() });
  const sent = await send(
    '--delay',
    '2h',
    '--expires',
    '+1d',
    '--tag',
    'news',
    '--tag',
    'may',
    '--require-tls',
    '--bounces',
    'none',
    '--priority',
    'low',
  );
  assert.equal(sent.err, '');
  const { notBefore, expiresAt, tags, requireTls, bounces, priority } = agent.submissions[0]!.envelope;
  assert.deepEqual(
    { notBefore, expiresAt, tags, requireTls, bounces, priority },
    { notBefore: NOW + 7_200_000, expiresAt: NOW + 86_400_000, tags: ['news', 'may'], requireTls: true, bounces: 'none', priority: 'low' },
  );
  for (const wrong of [
    ['--delay', '2h', '--date', '+2h'],
    ['--delay', 'soon'],
    ['--expires', 'x'],
    ['--port', '25'],
    ['--username', 'me'],
    ['--host', 'a.test', '--username', 'me'],
    ['--host', 'a.test', '--port', 'x'],
    ['--priority', 'low', '--priority', 'high'],
  ])
    assert.equal((await send(...wrong)).code, 64, wrong.join(' '));
  assert.equal(agent.submissions.length, 1);
});

test('a composed message has the headers that were asked for, and none that was not', async (t) => {
  const { agent, socketPath } = await serveControl(t);
  const compose = ['send', '--socket', socketPath, '-f', 'a@x.test', '--to', 'b@x.test', '-s', 'Hi', '--body', '-'];
  const sent = await run(
    [...compose, '--reply-to', 'Ann <ann@x.test>', '--header', 'X-Campaign: may 7', '--header', 'List-Id:<l.x.test>'],
    { stdin: 'Hi\n' },
  );
  assert.equal(sent.err, '');
  const text = agent.submissions[0]!.content.toString();
  for (const line of [/^Reply-To: Ann <ann@x\.test>\r$/m, /^X-Campaign: may 7\r$/m, /^List-Id: <l\.x\.test>\r$/m]) assert.match(text, line);
  for (const wrong of ['no colon', ': empty', 'X-A: b\r\nBcc: evil@x.test']) {
    const { code, err } = await run([...compose, '--header', wrong], { stdin: 'Hi\n' });
    assert.deepEqual([code, /--header/.test(err)], [64, true], wrong);
  }
  assert.equal((await run(['send', '--socket', socketPath, '-t', '--header', 'X: y'], { stdin: message() })).code, 64);
});

test('a message goes through the server that it brings along, with its login, which nothing shows', async (t) => {
  const routed = await destination(t);
  const own = await destination(t, { users: { me: 'hunter2 secret' } });
  const { port } = relayTo(routed);
  const agent = await spawnAgent(t, { toml: `[[route]]\nhost = "127.0.0.1"\nport = ${port}\n` });
  const secret = path.join(await temporaryFolder(t), 'secret');
  await writeFile(secret, 'hunter2 secret\n');
  const login = ['--username', 'me', '--password-file', secret];
  const sent = await agent.riata(
    ['send', '-f', 'a@x.test', 'b@x.test', '--host', '127.0.0.1', '--port', String(own.port), ...login, '--tag', 'own', '--wait'],
    { stdin: message() },
  );
  assert.equal(sent.code, 0, sent.err + sent.out);
  assert.deepEqual([own.messages.length, routed.messages.length], [1, 0]);
  const id = sent.out.split(':')[0]!;
  const shown = await agent.riata(['queue', 'show', id, '--transcript', '--json']);
  assert.match(shown.out, /"tags":\["own"\]/);
  assert.doesNotMatch(shown.out, /hunter2/);
});
