/** What README.md tells a newcomer to type for a first mail, typed as it stands there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../support/agent.js';
import { riata, startRiata } from '../support/agent-process.js';
import { execute } from '../support/commands.js';
import { lacks } from '../support/programs.js';
import { until } from '../support/scope.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

test('each of the first mails arrives, and its status can be asked for', { skip: lacks('curl', 'swaks') }, async (t) => {
  const section = /^## The first mail$[^]*?(?=^## )/m.exec(readFileSync(join(ROOT, 'README.md'), 'utf8'))![0];
  const commands = [...section.matchAll(/^```sh\n(.*)\n```$/gm)]
    .map(([, command]) => command!)
    .filter((command) => command.includes('2587'));
  assert.deepEqual(
    commands.map((command) => /curl|swaks|nodemailer/.exec(command)?.[0]),
    ['curl', 'swaks', 'nodemailer'],
  );

  const folder = await temporaryFolder(t);
  const dev = await startRiata(t, ['dev', '--port', '0', '--json'], { cwd: folder });
  const lines = () =>
    dev
      .out()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const started = await until('the agent to be there', () => lines().find(({ type }) => type === 'started'));
  const { port } = started['listening'] as { port: number };

  const sent = await Promise.all(
    commands.map((command) => execute('sh', ['-c', `cd '${ROOT}' && ${command.replaceAll('2587', String(port))}`])),
  );
  for (const { code, err } of sent) assert.equal(code, 0, err);
  await until(
    () => `three deliveries in\n${dev.out()}`,
    () => lines().filter(({ type }) => type === 'delivered').length === 3,
  );
  assert.equal(lines().filter(({ type, recipients }) => type === 'arrived' && String(recipients) === 'ok@dev.test').length, 3);
  // swaks and nodemailer show the reply, which names the message.
  const ids = sent.flatMap(({ out }) => /250 2\.0\.0 queued as ([0-9A-Z]{26})/.exec(out)?.[1] ?? []);
  assert.equal(ids.length, 2);
  for (const id of ids) {
    const status = await riata(t, ['status', id, '--spool', String(started['spool'])], { cwd: folder });
    assert.deepEqual([status.code, /: sent\n {2}ok@dev\.test/.test(status.out)], [0, true], status.out + status.err);
  }
  dev.signal('SIGTERM');
  assert.equal((await dev.ended).code, 0);
});
