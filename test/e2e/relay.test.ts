/** A relay that wants a login over verified TLS. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConfigOptions } from '../../src/config/config.js';
import { type Agent, destination, message, relayTo, startAgent, subjectOf, temporaryFolder } from '../support/agent.js';
import { createCertificate, type TestCertificate } from '../support/certificate.js';
import { lacks } from '../support/programs.js';

const skip = lacks('openssl');
/** Made once: keys take their time. */
const certificate = skip ? undefined : createCertificate(['localhost']);
const { ca, ...key } = certificate ?? ({} as TestCertificate);

type Route = NonNullable<ConfigOptions['route']>[number];

/** By name, so that there is one to verify. */
const login = (to: { readonly port: number }, more: Partial<Route> = {}): Route =>
  relayTo(to, { host: 'localhost', username: 'riata', password: 'right', ca, ...more });

/** It was tried, and still waits. */
async function assertWaits(agent: Agent, text: RegExp): Promise<void> {
  const { recipient, id, text: told } = await agent.event('deferred');
  assert.match(told, text);
  assert.deepEqual([recipient, (await agent.verbs.status(id)).status], ['bob@dest.test', 'queued']);
  assert.equal(agent.events.filter(({ type }) => type === 'bounced' || type === 'expired' || type === 'delivered').length, 0);
}

for (const [tls, implicit] of [
  ['starttls', false],
  ['implicit', true],
] as const) {
  test(`mail leaves with a login over verified TLS: ${tls}`, { skip }, async (t) => {
    const sink = await destination(t, { users: { riata: 'right' }, tls: { ...key, implicit } });
    const agent = await startAgent(t, { route: [login(sink, { tls })] });
    await agent.settled(await agent.submit({ to: ['bob@dest.test', 'carol@other.test'] }));
    const [arrived] = sink.messages;
    assert.deepEqual([arrived!.user, arrived!.tls, arrived!.recipients], ['riata', 'TLSv1.3', ['bob@dest.test', 'carol@other.test']]);
    assert.deepEqual(sink.violations, []);
  });
}

test('a wrong password bounces nothing, is told as a fault, and mail leaves once it is right', { skip }, async (t) => {
  const spool = await temporaryFolder(t);
  const sink = await destination(t, { users: { riata: 'right' }, tls: key });
  const wrong = await startAgent(t, { spool, route: [login(sink, { password: 'wrong' })] });
  const ids = await Promise.all([1, 2, 3].map(() => wrong.submit({ to: 'bob@dest.test' })));
  const fault = await wrong.event('fault');
  assert.equal(fault.code, 'AUTH_REFUSED');
  assert.match(fault.text, /^localhost:\d+ refuses the login: .*wrong name or password/);
  assert.doesNotMatch(JSON.stringify(wrong.events), /"wrong"|right/);
  await assertWaits(wrong, /wrong name or password/);
  // One was tried; the others wait for the site, uncharged.
  const attempts = await Promise.all(ids.map(async (id) => (await wrong.verbs.status(id)).recipients[0]!.attempts));
  assert.deepEqual(attempts.sort(), [0, 0, 1]);
  const logs = await Promise.all(ids.map(async (id) => (await wrong.verbs.show(id)).deliveries[0]!.log));
  const { transcript } = logs.flat()[0]!;
  assert.match(transcript!, /^0 connecting to localhost\[.*^\d+ TLS: TLSv1\.3 .*^\d+ C: AUTH PLAIN … \(credentials\)\n\d+ S: 535 /ms);
  assert.equal((await wrong.verbs.stats()).sites.length, 1);
  await wrong.close();
  assert.equal(sink.counts.messages, 0);

  const right = await startAgent(t, { spool, route: [login(sink)] });
  // The one that was tried has its next attempt in some minutes.
  await right.verbs.change({ action: 'retry', selector: { all: true } });
  for (const id of ids) assert.equal((await right.settled(id)).status, 'sent');
  assert.equal(sink.counts.messages, 3);
});

for (const [what, makeCertificate, trouble] of [
  ['of another name', () => createCertificate(['other.test']), /altnames|not match|other\.test/i],
  ['of an authority that nobody trusts', () => ({ ...createCertificate(['localhost']), ca: '' }), /certificate|issuer|self.signed/i],
  ['that has expired', () => createCertificate(['localhost'], { expired: true }), /expired/i],
] as const) {
  test(`no mail and no password go to a server with a certificate ${what}`, { skip }, async (t) => {
    const { ca: authority, ...server } = makeCertificate();
    const sink = await destination(t, { users: { riata: 'right' }, tls: server });
    const agent = await startAgent(t, { route: [login(sink, { ca: authority })] });
    await agent.submit({ to: 'bob@dest.test' });
    await assertWaits(agent, trouble);
    assert.equal(sink.counts.messages, 0);
  });
}

test('no mail and no password go to a server that takes STARTTLS away', { skip }, async (t) => {
  const commands: string[] = [];
  const sink = await destination(t, { users: { riata: 'right' }, script: ({ verb }) => void commands.push(verb) });
  const agent = await startAgent(t, { route: [login(sink)] });
  await agent.submit({ to: 'bob@dest.test' });
  await assertWaits(agent, /STARTTLS/);
  assert.deepEqual([...new Set(commands)].sort(), ['CONNECT', 'EHLO', 'QUIT']);
});

test('no mail leaves on the login of another route, to the same server at the same time', { skip }, async (t) => {
  const sink = await destination(t, { users: { one: '1', two: '2' }, tls: key });
  const agent = await startAgent(t, {
    route: [
      login(sink, { sender: '@one.test', username: 'one', password: '1' }),
      login(sink, { sender: '@two.test', username: 'two', password: '2' }),
      // Without a login; the server will not have it.
      login(sink, { tls: 'starttls', username: '', password: '' }),
    ],
    delivery: { connectionsPerServer: 2 },
  });
  const senders = Array.from({ length: 60 }, (_, at) => `ann@${['one', 'two', 'three'][at % 3]}.test`);
  const ids = await Promise.all(senders.map((from, at) => agent.submit({ from, to: 'bob@dest.test', content: message(`${from} ${at}`) })));
  const words = new Map<string, string[]>();
  for (const [at, id] of ids.entries()) {
    const { status } = await agent.settled(id);
    words.set(senders[at]!, [...(words.get(senders[at]!) ?? []), status]);
  }
  assert.deepEqual(
    [...words].map(([sender, all]) => [sender, [...new Set(all)]]),
    [
      ['ann@one.test', ['sent']],
      ['ann@two.test', ['sent']],
      ['ann@three.test', ['error']],
    ],
  );
  assert.equal(sink.counts.messages, 40);
  for (const { user, sender, bytes } of sink.messages) {
    assert.equal(sender, `ann@${user}.test`);
    assert.ok(subjectOf(bytes).startsWith(sender));
  }
  assert.ok(sink.counts.mostOpen <= 2);
});
