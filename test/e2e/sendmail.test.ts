/** Programs that call `sendmail`, each as it does: through a link of that name, to an agent in a process of its own. */
import assert from 'node:assert/strict';
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { destination, temporaryFolder } from '../support/agent.js';
import { spawnAgent } from '../support/agent-process.js';
import { execute, succeed } from '../support/commands.js';
import { compileRiata } from '../support/compiled.js';
import { lacks } from '../support/programs.js';
import { type Scope, until } from '../support/scope.js';

/** As `/usr/sbin` would be: `sendmail` and `mailq`, links to riata. */
async function installed(scope: Scope) {
  const sink = await destination(scope);
  const agent = await spawnAgent(scope, { toml: `[[route]]\nhost = "127.0.0.1"\nport = ${sink.port}\n` });
  const [main] = await compileRiata(scope);
  const folder = await temporaryFolder(scope);
  chmodSync(main!, 0o755);
  for (const name of ['sendmail', 'mailq']) symlinkSync(main!, join(folder, name));
  // Programs that call sendmail pass no flags of ours: the agent is found through its configuration.
  const wrapped = join(folder, 'wrapped');
  writeFileSync(wrapped, `#!/bin/sh\nRIATA_CONFIG='${agent.configFile}' exec '${folder}/'"$@"\n`);
  chmodSync(wrapped, 0o755);
  const arrived = (count: number) => until(`${count} messages`, () => sink.messages.length >= count && sink.messages);
  return { sink, agent, wrapped, arrived };
}

test('a shell, Python and swaks hand in mail through sendmail, and mailq shows what waits', async (t) => {
  const { agent, wrapped, arrived } = await installed(t);

  await t.test('as PHP and cron do: a shell, the message on standard input', async () => {
    const mail = 'To: Ann <ann@dest.test>\nBcc: hidden@dest.test\nSubject: by sendmail\n\nHi.\n.\nStill the same message.\n';
    await succeed('/bin/sh', ['-c', `${wrapped} sendmail -t -i -fnews@example.test`], mail);
    const [message] = await arrived(1);
    assert.deepEqual([message!.sender, message!.recipients], ['news@example.test', ['ann@dest.test', 'hidden@dest.test']]);
    const text = message!.bytes.toString();
    assert.match(text, /\r\n\r\nHi\.\r\n\.\r\nStill the same message\.\r\n$/);
    assert.doesNotMatch(text, /hidden/);
    assert.equal((await execute('/bin/sh', ['-c', `${wrapped} sendmail -FCronDaemon -i -B8BITMIME -oem ann@dest.test`], 'x')).code, 0);
    assert.match((await arrived(2))[1]!.bytes.toString(), /^From: "CronDaemon" <\S+@riata\.test>\r$/m);
  });

  await t.test('a Python program', { skip: lacks('python3') }, async () => {
    const program = `
import subprocess
from email.message import EmailMessage
mail = EmailMessage()
mail['From'], mail['To'], mail['Subject'] = 'ann@example.test', 'bob@dest.test', 'Grüße'
mail.set_content('Grüße\\n.\\n')
subprocess.run(['${wrapped}', 'sendmail', '-t', '-oi'], input=mail.as_bytes(), check=True)
`;
    await succeed('python3', ['-c', program]);
    const [, , message] = await arrived(3);
    assert.deepEqual(message!.recipients, ['bob@dest.test']);
    assert.match(message!.bytes.toString(), /Subject: =\?utf-8\?/);
  });

  await t.test('swaks, over a pipe to sendmail -bs', { skip: lacks('swaks') }, async () => {
    await succeed('swaks', ['--pipe', `${wrapped} sendmail -bs`, '--from', 'ann@example.test', '--to', 'bob@dest.test', '--body', 'piped']);
    const [, , , message] = await arrived(4);
    assert.match(message!.bytes.toString(), /piped/);
  });

  await t.test('mailq', async () => {
    await succeed(wrapped, ['sendmail', 'defer-450@dest.test'], 'Subject: later\n\n');
    const shown = await until('it in mailq', async () => {
      const text = await succeed(wrapped, ['mailq']);
      return text.includes('450') && text;
    });
    assert.match(shown, /^[0-9A-Z]{26} {2,}\d+ .*\n +\(.*450.*\)\n +defer-450@dest\.test\n\n-- 1 Kbytes in 1 Request\.\n$/m);
  });

  await t.test('without an agent: 75, so that the caller keeps the message', async () => {
    await agent.stop();
    const { code, err } = await execute(wrapped, ['sendmail', 'bob@dest.test'], 'x');
    assert.equal(code, 75);
    assert.match(err, /^sendmail: no agent runs on .*; and no agent takes mail on/);
  });
});
