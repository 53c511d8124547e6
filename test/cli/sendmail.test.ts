/** `riata sendmail`: flags as programs pass them, and what of the message and its envelope comes of them. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { calledAs } from '../../src/cli/called-as.js';
import { untilLoneDot } from '../../src/cli/sendmail-content.js';
import { parseSendmail } from '../../src/cli/sendmail-flags.js';
import { fakeDelivery, fakeMessage } from '../control/fake-agent.js';
import { collect, from, serveControl } from '../control/served.js';
import { message, startAgent, temporaryFolder } from '../support/agent.js';
import fc from '../support/properties.js';
import { run, type Surroundings } from './run.js';

async function served(t: TestContext) {
  const { agent, socketPath } = await serveControl(t);
  const sendmail = (argv: readonly string[], stdin: Surroundings['stdin'] = 'Subject: x\n\nHello.\n') =>
    run(['sendmail', '--socket', socketPath, ...argv], { stdin });
  return { agent, sendmail };
}

const MAIL = 'From: Ann <ann@example.com>\nTo: Bob <bob@x.test>, root\nCc: "C, D" <cd@x.test>\nBcc: hidden@x.test,\n\tmore@x.test\n\nHi.\n';

test('a message is handed in for the recipients named, from whoever runs it on this host', async (t) => {
  const { agent, sendmail } = await served(t);
  const done = await sendmail(['joe@example.net', 'root', 'a@x.test,b@x.test']);
  assert.deepEqual(done, { code: 0, out: '', err: '' });
  const { envelope, content } = agent.submissions[0]!;
  assert.equal(envelope.sender, 'somebody@mail.example.test');
  assert.deepEqual(
    envelope.recipients.map(({ address }) => address),
    ['joe@example.net', 'root@mail.example.test', 'a@x.test', 'b@x.test'],
  );
  assert.equal(content.toString(), 'Subject: x\n\nHello.\n');
});

test('-t takes the recipients of To, Cc and Bcc, with those named', async (t) => {
  const { agent, sendmail } = await served(t);
  for (const flags of [['-t', '-i'], ['-ti'], ['-it', 'joe@x.test'], ['-oi', '-t', '--', 'joe@x.test']]) {
    assert.equal((await sendmail(['-fann@example.com', ...flags], MAIL)).err, '');
    const { envelope } = agent.submissions.at(-1)!;
    const named = flags.includes('joe@x.test') ? ['joe@x.test'] : [];
    assert.deepEqual(
      envelope.recipients.map(({ address }) => address),
      [...named, 'bob@x.test', 'root@mail.example.test', 'cd@x.test', 'hidden@x.test', 'more@x.test'],
    );
    assert.equal(envelope.sender, 'ann@example.com');
  }
});

test('-t on a message sent on takes the recipients of the Resent fields alone', async (t) => {
  const { agent, sendmail } = await served(t);
  await sendmail(['-t', '-f', 'ann@example.com'], `Resent-From: Ann <ann@example.com>\nResent-To: new@x.test\n${MAIL}`);
  assert.deepEqual(agent.submissions[0]!.envelope.recipients, [{ address: 'new@x.test' }]);
});

test('-t with nobody in the headers, or no recipient at all, hands in nothing', async (t) => {
  const { agent, sendmail } = await served(t);
  const none = await sendmail(['-t'], 'To: undisclosed-recipients:;\n\nHi.\n');
  assert.deepEqual([none.code, none.err], [65, 'sendmail: the To, Cc and Bcc headers name nobody\n']);
  assert.equal((await sendmail([])).code, 64);
  assert.equal(agent.submissions.length, 0);
});

test('-f gives the sender in any spelling, <> is the null sender, and a bare name is one of this host', async (t) => {
  const { agent, sendmail } = await served(t);
  const spelled = [
    ['-f', 'ann@example.com'],
    ['-fann@example.com'],
    ['-r', 'Ann <ann@example.com>'],
    ['-f', 'root'],
    ['-f', '<>'],
    ['-f', ''],
  ];
  for (const flags of spelled) assert.equal((await sendmail([...flags, 'bob@x.test'])).code, 0);
  assert.deepEqual(
    agent.submissions.map(({ envelope }) => envelope.sender),
    ['ann@example.com', 'ann@example.com', 'ann@example.com', 'root@mail.example.test', '', ''],
  );
  assert.equal((await sendmail(['-f', 'a@x.test, b@x.test', 'bob@x.test'])).code, 65);
});

test('-F names the author of a message that has none, and cannot bring in a line', async (t) => {
  const { agent, sendmail } = await served(t);
  await sendmail(
    ['-F', 'Ann "A" Öst\r\nBcc: evil@x.test', '-f', 'ann@example.com', 'bob@x.test'],
    'From mbox Sun Nov 22\nSubject: x\n\nHi\n',
  );
  assert.equal(
    agent.submissions[0]!.content.toString(),
    'From mbox Sun Nov 22\nFrom: "Ann \\"A\\" Öst Bcc: evil@x.test" <ann@example.com>\r\nSubject: x\n\nHi\n',
  );
  await sendmail(['-F', 'Ann', 'bob@x.test'], MAIL);
  assert.equal(agent.submissions[1]!.content.toString(), MAIL);
});

test('a lone dot ends the message, but with -i or -oi', async (t) => {
  const { agent, sendmail } = await served(t);
  const typed = 'Subject: x\n\nHi.\n.\nmore\n';
  for (const flags of [[], ['-i'], ['-oi'], ['-ti']]) await sendmail([...flags, 'bob@x.test'], `To: a@x.test\n${typed}`);
  const short = 'To: a@x.test\nSubject: x\n\nHi.\n';
  assert.deepEqual(
    agent.submissions.map(({ content }) => content.toString()),
    [short, ...Array<string>(3).fill(`To: a@x.test\n${typed}`)],
  );
});

test('wherever a message is cut into chunks, it ends at the same dot', async () => {
  const whole = async (chunks: readonly string[]) => (await collect(untilLoneDot(from(...chunks)))).toString();
  const texts = fc.array(fc.constantFrom('.', '\n', '\r\n', 'a', '..'), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(texts, async (parts) => {
      const text = parts.join('');
      const end = /(?<=^|\n)\.(?:\r?\n|\r?$(?![\s\S]))/.exec(text);
      assert.equal(await whole([...text]), end === null ? text : text.slice(0, end.index));
      assert.equal(await whole([text]), end === null ? text : text.slice(0, end.index));
    }),
    { numRuns: 500 },
  );
});

test('an empty message is one', async (t) => {
  const { agent, sendmail } = await served(t);
  assert.equal((await sendmail(['bob@x.test'], '')).code, 0);
  assert.equal(agent.submissions[0]!.content.toString(), '\n');
});

test('-N, -R and -V ask for reports', async (t) => {
  const { agent, sendmail } = await served(t);
  await sendmail(['-N', 'success,delay', '-Rhdrs', '-V', 'id 7', 'bob@x.test']);
  const { recipients, dsn } = agent.submissions[0]!.envelope;
  assert.deepEqual(recipients, [{ address: 'bob@x.test', notify: ['success', 'delay'] }]);
  assert.deepEqual(dsn, { ret: 'hdrs', envid: 'id 7' });
  for (const wrong of [['-N', 'never,success'], ['-N', 'often'], ['-R', 'some'], ['-V'], ['-V', 'Łódź']])
    assert.equal((await sendmail(wrong)).code, 64);
});

test('flags of other mail systems are passed over; those that ask for what will not happen are refused', () => {
  const of = (line: string) => parseSendmail(line.split(' '));
  const usual = of('-FCronDaemon -i -B8BITMIME -oem root');
  assert.deepEqual([usual.fullName, usual.dotsAreContent, usual.recipients], ['CronDaemon', true, ['root']]);
  const others = of(
    '-Ac -bm -C /etc/mail -G -h 3 -L tag -n -O DeliveryMode=b -oA /etc/aliases -o7 -om -U -x -X /dev/null -em -p smtp -- -x@x.test',
  );
  assert.deepEqual([others.mode, others.recipients], ['message', ['-x@x.test']]);
  assert.deepEqual(of('joe@x.test -bp -f ann@x.test').recipients, ['joe@x.test', '-bp', '-f', 'ann@x.test']);
  for (const wrong of ['-bd', '-bD', '-bv', '-bt', '-Z', '--nothing', '-f', '-qX']) assert.throws(() => of(wrong), { exit: 64 }, wrong);
  assert.deepEqual(
    ['-bp', '-bs', '-bi', '-I', '-q', '-q15m'].map((line) => of(line).mode),
    ['list', 'smtp', 'nothing', 'nothing', 'flush', 'message'],
  );
});

test('-v tells the id; anything that may pass ends with 75, what cannot with 65', async (t) => {
  const { agent, sendmail } = await served(t);
  assert.match((await sendmail(['-v', 'bob@x.test'])).err, /^queued as [0-9A-Z]{26}\n$/);
  agent.closed = 'SPOOL_FULL';
  assert.equal((await sendmail(['bob@x.test'])).code, 75);
  agent.closed = undefined;
  assert.equal((await sendmail(['a b@@x'])).code, 65);
  const nobody = await run(['sendmail', '--socket', '/nonexistent/socket', 'bob@x.test'], { stdin: 'x' });
  assert.equal(nobody.code, 75);
  assert.match(nobody.err, /^sendmail: no agent answers on \/nonexistent\/socket/);
});

test('-q tries what was put off, -qI one message, -qR one domain', async (t) => {
  const { agent, sendmail } = await served(t);
  const last = { at: 1, status: '4.0.0', text: 'later' };
  const states = () => agent.entries.flatMap(({ deliveries }) => deliveries.map(({ state }) => state));
  const fill = () => {
    agent.entries.length = 0;
    for (const domain of ['one.test', 'two.test', 'dated.test']) {
      const mail = fakeMessage();
      const late = domain !== 'dated.test';
      agent.add(
        mail,
        [fakeDelivery(mail, 0, [{ address: `a@${domain}`, state: 'queued', ...(late && { last }) }], { state: 'waiting' })],
        Buffer.from('x'),
      );
    }
    return agent.entries[1]!.message.id;
  };
  fill();
  assert.equal((await sendmail(['-q'])).code, 0);
  assert.deepEqual([states(), agent.flushes > 0], [['ready', 'ready', 'waiting'], true]);
  const second = fill();
  await sendmail(['-qI', second]);
  assert.deepEqual(states(), ['waiting', 'ready', 'waiting']);
  fill();
  await sendmail(['-qRone.test']);
  assert.deepEqual(states(), ['ready', 'waiting', 'waiting']);
});

test('who may not open the control socket hands in over the port where the agent takes mail', async (t) => {
  const agent = await startAgent(t, { hostname: 'mx.example.test', route: [{ host: '127.0.0.1', port: 1 }] });
  const folder = await temporaryFolder(t);
  const config = path.join(folder, 'riata.toml');
  await writeFile(config, `spool.path = "${folder}/elsewhere"\nsubmission.listen = ["127.0.0.1:${agent.port}"]\n`);
  const content = `${message('by smtp')}.dot\n..\nlast`.replaceAll('\r\n', '\n');
  const chunks = Readable.from([...content].map((each) => Buffer.from(each)));
  const done = await run(['sendmail', '--config', config, '-i', '-v', '-f', 'root', 'bob', 'joe@x.test'], { stdin: chunks });
  assert.equal(done.code, 0, done.err);
  const { id, sender } = await agent.event('accepted');
  assert.equal(sender, 'root@mx.example.test');
  assert.match(done.err, new RegExp(`queued as ${id}`));
  const stored = await agent.mta.spool.readBody(id);
  assert.ok(stored?.kind === 'bytes');
  assert.ok(stored.bytes.toString().endsWith('Hello.\r\n.dot\r\n..\r\nlast\r\n'), stored.bytes.toString());
  assert.deepEqual(
    (await agent.mta.spool.inspect(id))!.deliveries.flatMap(({ recipients }) => recipients.map(({ address }) => address)),
    ['bob@mx.example.test', 'joe@x.test'],
  );
  const asked = await run(['sendmail', '--config', config, '-Nsuccess', '-R', 'hdrs', '-V', 'order +7=', 'bob@x.test'], { stdin: 'x' });
  assert.equal(asked.code, 0, asked.err);
  const [told] = (await agent.mta.spool.list({ recipient: 'bob@x.test' }, { limit: 1 })).items;
  assert.deepEqual(told!.message.dsn, { ret: 'hdrs', envid: 'order +7=' });
  assert.deepEqual(told!.delivery.recipients[0]!.notify, ['success']);
  const refused = await run(['sendmail', '--config', config, 'bob@x..test'], { stdin: 'x' });
  assert.deepEqual([refused.code, /the agent answered 501 5\.1\.3/.test(refused.err)], [65, true], refused.err);
  await agent.close();
  const gone = await run(['sendmail', '--config', config, 'bob@x.test'], { stdin: 'x' });
  assert.deepEqual([gone.code, /and no agent takes mail on 127\.0\.0\.1:\d+\n$/.test(gone.err)], [75, true], gone.err);
});

test('-bs speaks SMTP with the agent', async (t) => {
  const agent = await startAgent(t, { route: [{ host: '127.0.0.1', port: 1 }] });
  const folder = await temporaryFolder(t);
  const config = path.join(folder, 'riata.toml');
  await writeFile(config, `spool.path = "${folder}/elsewhere"\nsubmission.listen = ["127.0.0.1:${agent.port}"]\n`);
  const stdin = 'EHLO pine.test\r\nMAIL FROM:<ann@x.test>\r\nRCPT TO:<bob@x.test>\r\nDATA\r\nSubject: x\r\n\r\nHi\r\n.\r\nQUIT\r\n';
  const done = await run(['sendmail', '-bs', '--config', config], { stdin });
  assert.equal(done.code, 0, done.err);
  const { id } = await agent.event('accepted');
  assert.match(done.out, new RegExp(`^220 .*\\r\\n[^]*354 [^]*queued as ${id}\\r\\n221 `));
});

test('a link by the name of sendmail, mailq or newaliases does what those do', () => {
  assert.deepEqual(['/usr/sbin/sendmail', '/usr/bin/mailq', '/usr/bin/newaliases', '/usr/bin/riata', ''].map(calledAs), [
    ['sendmail'],
    ['mailq'],
    ['sendmail', '-bi'],
    [],
    [],
  ]);
});
