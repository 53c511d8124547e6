import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { fakeDelivery, fakeMessage, NOW } from '../control/fake-agent.js';
import { serveControl } from '../control/served.js';
import { run } from './run.js';

async function folder(t: TestContext): Promise<string> {
  const made = await mkdtemp(path.join(os.tmpdir(), 'riata-cli-'));
  t.after(() => rm(made, { recursive: true, force: true }));
  return made;
}

test('wrong usage ends with 64 and says what to do, on standard error only', async () => {
  const wrong: [string[], RegExp][] = [
    [[], /Which command\?\nTry "riata --help"/],
    [['nonsense'], /there is no command "nonsense"\nTry "riata --help"/],
    [['quue'], /there is no command "quue": did you mean "queue"\?/],
    [['status', 'a', 'b'], /Unknown argument: b\nTry "riata status --help"/],
    [['queue'], /Which command\?\nTry "riata queue --help"/],
    [['queue', 'lits'], /there is no command "queue lits": did you mean "queue list"\?\nTry "riata queue --help"/],
    [['queue', 'frobnicate'], /there is no command "queue frobnicate"\n/],
    [['queue', 'list', '--colour', 'red'], /Unknown argument: colour\nTry "riata queue list --help"/],
    [['queue', 'list', '--state', 'lost'], /riata: "lost" cannot be the state: it is one of ready, waiting, held, sending\n/],
    [['queue', 'list', '--domain'], /--domain needs a value/],
    [['queue', 'list', '--domain', 'a.test', '--domain', 'b.test'], /--domain was given more than once/],
    [['queue', 'remove', '--all', '--', 'x'], /what is "x" for\?/],
    [['queue', 'list', '--limit', 'many'], /--limit: "many" is not a whole number/],
    [['queue', 'list', '--older', '5'], /--older: "5" is not a duration/],
    [['queue', 'list', '--domain', 'a b'], /"a b" is not a domain name/],
    [['status'], /something is missing\nTry "riata status --help"/],
    [['send'], /to whom\?/],
    [['send', 'a@x.test', '--date', '2026-12-01T09:00'], /--date: .*with its offset/],
    [['send', 'a@x.test', '--priority', 'urgent'], /"urgent" cannot be the priority: it is one of high, medium, low\n/],
  ];
  for (const [argv, says] of wrong) {
    const { code, out, err } = await run(argv);
    assert.deepEqual([code, out], [64, ''], argv.join(' '));
    assert.match(err, says, argv.join(' '));
  }
});

test('serve takes every option of the table as a flag', async () => {
  const { out } = await run(['serve', '--help']);
  for (const flag of ['--submission-listen', '--retry-first-delay', '--delivery-timeouts-final-dot', '--log-level'])
    assert.ok(out.includes(flag), flag);
});

test('the version is that of the package', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  for (const flag of ['--version', '-V']) assert.equal((await run([flag])).out, `${version}\n`);
});

test('where no agent runs, commands that need one end with 69 and say how to start it', async (t) => {
  const cwd = await folder(t);
  for (const argv of [
    ['queue', 'retry', '--all'],
    ['mx', 'example.net'],
    ['send', 'a@x.test'],
  ]) {
    const { code, err } = await run(argv, { cwd });
    assert.equal(code, 69, argv.join(' '));
    assert.match(err, /no agent runs on the spool .*riata serve/, argv.join(' '));
  }
  assert.equal((await run(['queue', 'list', '--socket', 'nowhere.sock'], { cwd })).code, 69);
});

test('the agent is found by the spool that flag, environment or file name, in this order', async (t) => {
  const cwd = await folder(t);
  const { agent, socketPath } = await serveControl(t);
  const spool = path.dirname(socketPath);
  const message = fakeMessage();
  agent.add(message, [fakeDelivery(message, 0, ['a@x.test'])]);
  const found = async (argv: string[], env: NodeJS.ProcessEnv = {}) =>
    (await run(['queue', 'list', ...argv], { cwd, env })).out.includes(message.id);
  assert.ok(await found(['--spool', spool]));
  assert.ok(await found([], { RIATA_SPOOL_PATH: spool }));
  await writeFile(path.join(cwd, 'other.toml'), `spool = { path = ${JSON.stringify(spool)} }\n`);
  assert.ok(await found(['--config', 'other.toml']));
  assert.ok(await found([], { RIATA_CONFIG: path.join(cwd, 'other.toml') }));
  await writeFile(path.join(cwd, 'riata.toml'), `spool = { path = ${JSON.stringify(spool)} }\n`);
  assert.ok(await found([]));
  assert.ok(await found(['--spool', spool], { RIATA_SPOOL_PATH: '/nonexistent' }), 'the flag wins');
  assert.ok(!(await found([], { RIATA_SPOOL_PATH: '/nonexistent' })), 'the environment wins over the file');
});

test('config check names everything that is wrong, with 78; all is well with 0', async (t) => {
  const cwd = await folder(t);
  await writeFile(path.join(cwd, 'riata.toml'), '[spool]\nmaxMessageSize = "lots"\npaht = "x"\n[delivery]\nmaxConnections = 0\n');
  const bad = await run(['config', 'check'], { cwd });
  assert.deepEqual([bad.code, bad.out], [78, '']);
  for (const part of ['maxMessageSize', 'paht', 'maxConnections', 'riata.toml:2'])
    assert.ok(bad.err.includes(part), `${part} in ${bad.err}`);
  await writeFile(path.join(cwd, 'riata.toml'), '[submission]\ntrustedNetworks = ["0.0.0.0/0"]\n');
  const good = await run(['config', 'check'], { cwd });
  assert.equal(good.code, 0);
  assert.match(good.out, /warning: .*0\.0\.0\.0\/0/);
  assert.match(good.out, /riata\.toml: nothing is wrong/);
  assert.equal((await run(['config', 'check', '--config', 'absent.toml'], { cwd })).code, 78);
});

test('config show tells where each setting comes from, and no secret', async (t) => {
  const cwd = await folder(t);
  await writeFile(
    path.join(cwd, 'riata.toml'),
    'hostname = "mail.example.com"\n[[route]]\nhost = "smtp.example.net"\nusername = "u"\npassword = "hunter2"\n',
  );
  const { code, out } = await run(['config', 'show'], { cwd, env: { RIATA_RETRY_EXPIRY: '2d' } });
  assert.equal(code, 0);
  assert.match(out, /hostname +"mail\.example\.com" +.*riata\.toml:1/);
  assert.match(out, /retry\.expiry +"2d" +RIATA_RETRY_EXPIRY/);
  assert.match(out, /route\[0\]\.password/);
  assert.ok(!out.includes('hunter2'));
  assert.ok(!out.includes('retry.factor'));
  assert.match((await run(['config', 'show', '--defaults'], { cwd })).out, /retry\.factor +2 +default/);
  assert.equal(
    (await run(['config', 'show', '--json'], { cwd })).out
      .split('\n')
      .map((line) => line && (JSON.parse(line) as { path: string }).path)[0],
    'hostname',
  );
});

test('mx is a table of servers in the order of trying, with what is passed by and why', async (t) => {
  const { agent, socketPath } = await serveControl(t);
  agent.mx = {
    domain: 'x',
    lane: 'mx:x',
    description: 'the MX of x',
    via: 'mx',
    tls: 'opportunistic',
    hasPassword: false,
    heloName: 'h',
    ttlMs: 300_000,
    servers: [
      {
        host: 'mx1.example.net',
        port: 25,
        preference: 10,
        addresses: ['192.0.2.1', '2001:db8::1'],
        refused: [{ address: '127.0.0.1', why: 'loopback' }],
      },
      { host: 'mx2.example.net', port: 25, preference: 20, addresses: [], refused: [], passedBy: 'it has no address' },
    ],
  };
  const { code, out } = await run(['mx', 'example.net', '--socket', socketPath]);
  assert.equal(code, 0);
  assert.deepEqual(out.split('\n'), [
    'example.net: its MX, TLS opportunistic, good for 5 min',
    'PREF  HOST             PORT  ADDRESSES',
    '  10  mx1.example.net    25  192.0.2.1',
    '      2001:db8::1',
    '      127.0.0.1: loopback',
    '  20  mx2.example.net    25  (not used)',
    '      it has no address',
    '',
  ]);
  const trouble = { lasting: 'permanent', stage: 'resolve', status: '5.1.10', text: 'takes no mail' } as const;
  agent.mx = { ...agent.mx, servers: [], trouble };
  const none = await run(['mx', 'example.net', '--socket', socketPath]);
  assert.equal(none.code, 69);
  assert.match(none.out, /No mail can go there: 5\.1\.10 takes no mail/);
  agent.mx = { ...agent.mx, trouble: { ...trouble, lasting: 'temporary' } };
  assert.equal((await run(['mx', 'example.net', '--socket', socketPath, '--json'])).code, 75);
});

test('a fault of our own ends with 70 and says where', async (t) => {
  const { socketPath } = await serveControl(t);
  const { code, err } = await run(['mx', 'example.net', '--socket', socketPath]);
  assert.equal(code, 70);
  assert.match(err, /its log says more/);
});

const LETTER =
  'From: Alice <alice@example.com>\nTo: bob@example.net, "Carol, the" <carol@example.net>\nCc: team: dave@example.net, erin@example.net;\nBcc: secret@example.org\nSubject: x\n\nhello\n';

test('send hands in standard input octet for octet and prints the id', async (t) => {
  const { agent, socketPath } = await serveControl(t);
  const sent = await run(['send', '--socket', socketPath, 'bob@example.net', '--priority', 'low', '--date', '+2h'], { stdin: LETTER });
  assert.deepEqual([sent.code, sent.err], [0, '']);
  const [kept] = agent.submissions;
  assert.match(sent.out, /^[0-9A-HJKMNP-TV-Z]{26}\n$/);
  assert.equal(kept?.content.toString(), LETTER);
  assert.equal(kept.envelope.sender, 'alice@example.com');
  assert.deepEqual(kept.envelope.recipients, [{ address: 'bob@example.net' }]);
  assert.deepEqual([kept.envelope.priority, kept.envelope.notBefore], ['low', NOW + 7_200_000]);
  assert.equal(
    (JSON.parse((await run(['send', '--socket', socketPath, 'b@x.test', '--json'], { stdin: LETTER })).out) as { recipients: number })
      .recipients,
    1,
  );
});

test('send -t takes the recipients of To, Cc and Bcc, groups and quoted names included', async (t) => {
  const { agent, socketPath } = await serveControl(t);
  assert.equal((await run(['send', '-t', '--socket', socketPath, 'also@example.net'], { stdin: LETTER })).code, 0);
  assert.deepEqual(
    agent.submissions[0]?.envelope.recipients.map((each) => each.address),
    ['also@example.net', 'bob@example.net', 'carol@example.net', 'dave@example.net', 'erin@example.net', 'secret@example.org'],
  );
});

test('a name in a header is never taken for an address', async (t) => {
  const { agent, socketPath } = await serveControl(t);
  const forged = [
    'To: "evil@evil.test" <good@example.net>',
    'To: "evil@evil.test x"@example.net',
    'To: =?utf-8?q?evil=40evil.test?= <good@example.net>',
    'To: good@example.net (evil@evil.test)',
  ];
  for (const header of forged) await run(['send', '-t', '--socket', socketPath, '-f', 'a@x.test'], { stdin: `${header}\n\nx\n` });
  const reached = agent.submissions.flatMap((each) => each.envelope.recipients.map(({ address }) => address));
  assert.ok(reached.length >= 3);
  for (const address of reached) assert.match(address, /@example\.net$/);
});

test('send takes a file, the null sender, and date with an offset', async (t) => {
  const cwd = await folder(t);
  const { agent, socketPath } = await serveControl(t);
  await writeFile(path.join(cwd, 'letter.eml'), LETTER);
  const sent = await run(
    ['send', '--socket', socketPath, '--file', 'letter.eml', '-f', '<>', 'bob@example.net', '--date', '2026-12-01T09:00+01:00'],
    { cwd },
  );
  assert.equal(sent.code, 0);
  assert.equal(agent.submissions[0]?.envelope.sender, '');
  assert.equal(agent.submissions[0]?.envelope.notBefore, Date.UTC(2026, 11, 1, 8));
  const absent = await run(['send', '--socket', socketPath, '--file', 'absent.eml', 'bob@example.net'], { cwd });
  assert.equal(absent.code, 66);
});

test('send refuses what has no sender or no recipient, and what intake refuses, with 65', async (t) => {
  const { agent, socketPath } = await serveControl(t);
  const send = (argv: string[], stdin: string) => run(['send', '--socket', socketPath, ...argv], { stdin });
  assert.match((await send(['b@x.test'], 'Subject: x\n\ny\n')).err, /from whom\?/);
  assert.equal((await send(['-t', '-f', 'a@x.test'], 'Subject: x\n\ny\n')).code, 65);
  assert.equal((await send(['-f', 'a@x.test', 'not-an-address'], LETTER)).code, 65);
  assert.equal((await send(['b@x.test'], `${LETTER}\0`)).code, 65);
  agent.closed = 'SPOOL_FULL';
  assert.equal((await send(['b@x.test'], LETTER)).code, 75);
  assert.ok(agent.submissions.every((each) => each.end !== 'open'));
});

test('send --wait tells what became of it: 0 sent, 69 failed, 75 waiting', async (t) => {
  const { agent, socketPath } = await serveControl(t);
  const spool = agent.spool;
  let looks = 0;
  const states = ['delivered', 'bounced', 'queued'] as const;
  for (const state of states) {
    looks = 0;
    spool.inspect = async (id) => {
      const message = fakeMessage({ id });
      const open = looks++ < 2;
      const last = { at: NOW, status: '4.2.0', text: 'the answer' };
      return {
        message,
        deliveries: [fakeDelivery(message, 0, [open ? 'b@x.test' : { address: 'b@x.test', state, last }], { due: NOW + 60_000 })],
      };
    };
    const { code, out } = await run(['send', '--socket', socketPath, 'b@x.test', '--wait'], { stdin: LETTER });
    assert.equal(code, { delivered: 0, bounced: 69, queued: 75 }[state], state);
    assert.match(out, /the answer/);
    assert.equal(looks, 3, 'it looked until there was an answer');
  }
  looks = -1_000_000;
  const { code } = await run(['send', '--socket', socketPath, 'b@x.test', '--wait', '--timeout', '50ms'], { stdin: LETTER });
  assert.equal(code, 75);
});
