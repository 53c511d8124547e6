/** `riata serve` under a service manager: settings taken anew on SIGHUP and when files change, sockets that were opened for it, what it tells. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { destination, temporaryFolder } from '../support/agent.js';
import { type AgentProcess, spawnAgent } from '../support/agent-process.js';
import { createCertificate } from '../support/certificate.js';
import { execute, startProgram } from '../support/commands.js';
import { lacks } from '../support/programs.js';
import { until } from '../support/scope.js';
import { talk } from '../support/talk.js';

type Line = Readonly<Record<string, unknown>>;

function logged(agent: Pick<AgentProcess, 'out'>, event: string): Line[] {
  return agent
    .out()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line)
    .filter((line) => line['event'] === event);
}

const said = (agent: AgentProcess, event: string, count = 1) =>
  until(
    () => `${event} in\n${agent.out()}`,
    () => logged(agent, event).length >= count && logged(agent, event).at(-1),
  );

function edit({ configFile }: AgentProcess, change: (text: string) => string): void {
  writeFileSync(configFile, change(readFileSync(configFile, 'utf8')));
}

test('SIGHUP takes the settings anew, and what is wrong with them leaves those in force', async (t) => {
  const sink = await destination(t);
  const agent = await spawnAgent(t, { toml: '[retry]\nfirstDelay = "1h"\n' });
  const toSink = `[[route]]\nhost = "127.0.0.1"\nport = ${sink.port}\n`;
  edit(agent, (text) => `${text}${toSink}`);
  agent.signal('SIGHUP');
  const reloaded = await said(agent, 'config.reloaded');
  assert.deepEqual([reloaded['why'], reloaded['changed'], reloaded['level']], ['SIGHUP', 'route', 'info']);
  const sent = await agent.riata(['send', '--from', 'ann@example.test', 'bob@dest.test'], { stdin: 'Subject: Hello\n\nHello.\n' });
  assert.equal(sent.code, 0, sent.err);
  await sink.received(1);

  edit(agent, (text) => text.replace('firstDelay = "1h"', 'firstDelay = "soon"'));
  agent.signal('SIGHUP');
  const refused = await said(agent, 'config.notReloaded');
  assert.match(String(refused['msg']), /riata\.toml:\d+: retry\.firstDelay is "soon", but must be .*; the configuration in force stays$/s);
  assert.equal(refused['level'], 'error');

  edit(agent, (text) =>
    text.replace('firstDelay = "soon"', 'firstDelay = "2h"').replace('hostname = "riata.test"', 'hostname = "other.test"'),
  );
  agent.signal('SIGHUP');
  const later = await said(agent, 'config.atNextStart');
  assert.deepEqual([later['options'], later['level']], ['hostname, delivery.heloName', 'warn']);
  assert.equal(logged(agent, 'config.reloaded').at(-1)!['changed'], 'retry.firstDelay');

  edit(agent, (text) => `log = { format = "text", level = "warn" }\n${text}`);
  agent.signal('SIGHUP');
  await until('the log to be quiet', async () => {
    const before = agent.out();
    await agent.riata(['send', '--from', 'ann@example.test', 'bob@dest.test'], { stdin: 'Subject: Hello\n\nHello.\n' });
    return agent.out() === before;
  });
  await sink.received(2);
  assert.equal((await agent.stop()).code, 0);
});

test('a changed file is noticed without a signal: the settings, and a secret that is mounted as Kubernetes does it', async (t) => {
  const sink = await destination(t, { users: { riata: 'new' } });
  const folder = await temporaryFolder(t);
  // ..data is a link to the folder of today, and changes as a whole.
  const mounted = join(folder, 'secrets');
  const version = (name: string, password: string) => {
    mkdirSync(join(mounted, name), { recursive: true });
    writeFileSync(join(mounted, name, 'password'), password);
    symlinkSync(name, join(mounted, '..new'));
    renameSync(join(mounted, '..new'), join(mounted, '..data'));
  };
  version('..1', 'old');
  symlinkSync('..data/password', join(mounted, 'password'));
  const toml = `[[route]]\nhost = "127.0.0.1"\nport = ${sink.port}\nusername = "riata"\npasswordFile = "${join(mounted, 'password')}"\ntls = "off"\n`;
  const agent = await spawnAgent(t, { folder, toml });
  version('..2', 'new');
  assert.deepEqual((await said(agent, 'config.reloaded'))['changed'], 'route');
  await agent.riata(['send', '--from', 'ann@example.test', 'bob@dest.test'], { stdin: 'Subject: Hello\n\nHello.\n' });
  await sink.received(1);

  edit(agent, (text) => text.replace('submission.listen', 'submission.maxRecipients = 7\nsubmission.listen'));
  assert.deepEqual((await said(agent, 'config.reloaded', 2))['changed'], 'submission.maxRecipients');
  assert.equal((await agent.stop()).code, 0);
});

test('the page moves to HTTPS where a certificate is set, and shows a renewed one without a signal', { skip: lacks('curl') }, async (t) => {
  const folder = await temporaryFolder(t);
  const at = (name: string) => join(folder, name);
  const write = () => {
    const { ca, cert, key } = createCertificate();
    writeFileSync(at('key.pem'), key);
    writeFileSync(at('cert.pem'), cert);
    writeFileSync(at('ca.pem'), ca);
  };
  write();
  const toml = `[control]\nhttp = "127.0.0.1:0"\ntoken = "0123456789abcdef"\n`;
  const agent = await spawnAgent(t, { folder, toml });
  const started = await said(agent, 'agent.started');
  const page = String((started as Line)['page']);
  assert.match(page, /^http:\/\/127\.0\.0\.1:\d+\/$/);
  const livez = async (url: string) => (await execute('curl', ['-sS', '--max-time', '60', '--cacert', at('ca.pem'), `${url}livez`])).code;
  assert.equal(await livez(page), 0);
  edit(agent, (text) => `${text}tls = { certFile = "${at('cert.pem')}", keyFile = "${at('key.pem')}" }\n`);
  const taken = await said(agent, 'config.reloaded');
  assert.equal((taken as Line)['changed'], 'control.tls.certFile, control.tls.keyFile');
  const secure = page.replace('http:', 'https:');
  assert.equal(await livez(secure), 0);
  write();
  await until('the renewed certificate', async () => (await livez(secure)) === 0);
  assert.equal((await agent.riata(['health'])).code, 0, 'which needs neither');
  assert.equal((await agent.stop()).code, 0);
});

/** Opens a socket as systemd does, and becomes the program behind it. */
const ACTIVATE = `
import os, socket, sys
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(64)
open(sys.argv[1], 'w').write(str(s.getsockname()[1]))
os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES='submission')
os.execvp(sys.argv[2], sys.argv[2:])
`;

/** Writes down every datagram that comes to the socket of the service manager, a line each. */
const RECORD = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1])
print('listening', flush=True)
while True: print(s.recv(4096).decode().replace(chr(10), ' '), flush=True)
`;

test('systemd hands it its socket, and hears when it is ready, reloads, lives and stops', {
  skip: lacks('python3', 'systemd-notify'),
}, async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'notify');
  const recorder = await startProgram(t, 'python3', ['-c', RECORD, path]);
  await until('the recorder', () => recorder().includes('listening'));
  const heard = (what: string, count = 1) =>
    until(
      () => `${what} in\n${recorder()}`,
      () => recorder().split(what).length > count,
    );
  const portFile = join(folder, 'port');
  const agent = await spawnAgent(t, {
    folder,
    toml: 'submission.maxRecipients = 9\n',
    env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: '400000' },
    through: ['python3', '-c', ACTIVATE, portFile],
  });
  const port = Number(readFileSync(portFile, 'utf8'));
  assert.ok((await agent.verbs.agent()).listening.some((at) => at.port === port));
  const line = await talk(port);
  assert.match(await line.reply(), /^220 riata\.test /);
  await heard(`READY=1 STATUS=taking mail on 127.0.0.1:${port}`);
  await heard('WATCHDOG=1', 2);
  edit(agent, (text) => text.replace('maxRecipients = 9', 'maxRecipients = 1'));
  agent.signal('SIGHUP');
  await heard('RELOADING=1 MONOTONIC_USEC=');
  await heard('READY=1', 2);
  await line.say('EHLO client.test');
  await line.say('MAIL FROM:<ann@example.test>');
  await line.say('RCPT TO:<bob@dest.test>');
  assert.match(await line.say('RCPT TO:<eve@dest.test>'), /^452 /, 'the session goes on, under the new settings');
  const ended = agent.stop();
  await heard('STOPPING=1');
  assert.equal((await ended).code, 0);
});
