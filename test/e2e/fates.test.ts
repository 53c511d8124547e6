/** Everything that a destination can do to a message, to a whole agent at once: each ends as it must, and takes no other with it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecipientEvent } from '../../src/core/event.js';
import { FATES } from '../../src/dev/fates.js';
import { type Dialer, systemDialer } from '../../src/platform/dialer.js';
import { destination, madeUpDns, message, relayTo, startAgent, subjectOf } from '../support/agent.js';
import { until } from '../support/scope.js';

type End = 'delivered' | 'deferred' | 'bounced';

/** What first becomes of a message, by the fate that its recipient (or sender) chose. */
const ENDS: Readonly<Record<string, readonly [end: End, status: RegExp, text: RegExp]>> = {
  ok: ['delivered', /^2\.0\.0$/, /Ok/],
  'defer-4xx': ['deferred', /^4\.2\.0$/, /450 4\.2\.0 not now/],
  'fail-5xx': ['bounced', /^5\.1\.1$/, /550 5\.1\.1 no such luck/],
  'once-4xx': ['deferred', /^4\.2\.0$/, /450 4\.2\.0 not now/],
  'too-many': ['delivered', /^2\.0\.0$/, /Ok/],
  garbage: ['deferred', /^4\.5\.0$/, /./],
  hang: ['deferred', /^4\.4\.2$/, /./],
  'drop-at-rcpt': ['deferred', /^4\.4\.2$/, /./],
  'defer-at-data': ['deferred', /^4\.3\.0$/, /451 4\.3\.0 not now/],
  'reject-at-data': ['bounced', /^5\.7\.1$/, /554 5\.7\.1 no message wanted/],
  'drop-at-data': ['deferred', /^4\.4\.2$/, /./],
  'defer-at-dot': ['deferred', /^4\.3\.0$/, /451 4\.3\.0 not now/],
  'fail-at-dot': ['bounced', /^5\.6\.0$/, /554 5\.6\.0 not this message/],
  slow: ['delivered', /^2\.0\.0$/, /at last/],
  'hang-at-dot': ['deferred', /^4\.4\.2$/, /./],
  'garbage-at-dot': ['deferred', /^4\.5\.0$/, /./],
  'drop-at-dot': ['deferred', /^4\.4\.2$/, /./],
  'drop-after-dot': ['deferred', /^4\.4\.2$/, /./],
  'defer-at-mail': ['deferred', /^4\.3\.0$/, /451 4\.3\.0 not now/],
  'fail-at-mail': ['bounced', /^5\.7\.1$/, /550 5\.7\.1 not from you/],
  'drop-at-mail': ['deferred', /^4\.4\.2$/, /./],
};

/** Connections from the dial to the very end, as this side has them (G5). */
function counting(): { readonly dialer: Dialer; readonly most: () => number } {
  let open = 0;
  let most = 0;
  const connect: Dialer['connect'] = async (...parameters) => {
    most = Math.max(most, ++open);
    try {
      const stream = await systemDialer.connect(...parameters);
      stream.once('close', () => open--);
      return stream;
    } catch (error) {
      open--;
      throw error;
    }
  };
  return { dialer: { ...systemDialer, connect }, most: () => most };
}

/** A code where the name asks for one. */
const example = (name: string) => name.replace('4xx', '450').replace('5xx', '550');

for (const [peer, extensions] of [
  ['that pipelines', ['PIPELINING', '8BITMIME', 'SIZE', 'ENHANCEDSTATUSCODES']],
  ['that knows no extension', []],
] as const) {
  test(`every fate at a server ${peer}, with other mail between`, async (t) => {
    const sink = await destination(t, { extensions, slowMs: 300, ...(extensions.length === 0 ? { heloOnly: true } : {}) });
    const { dialer, most } = counting();
    const agent = await startAgent(
      t,
      { route: [relayTo(sink)], delivery: { timeouts: { command: 3_000, finalDot: 3_000 } }, retry: { firstDelay: '1h' } },
      { dialer },
    );
    assert.deepEqual(Object.keys(ENDS).sort(), FATES.map(({ name }) => name).sort());
    const fates = new Map<string, string>();
    const others: string[] = [];
    for (const { name, stage } of FATES) {
      const address = `${example(name)}@dest.test`;
      const envelope = stage === 'mail' ? { from: address, to: 'bob@dest.test' } : { from: '', to: address };
      fates.set(await agent.submit({ ...envelope, content: message(name) }), name);
      for (const number of [1, 2])
        others.push(await agent.submit({ from: '', to: 'bob@dest.test', content: message(`between ${name} ${number}`) }));
    }
    const first = (id: string): RecipientEvent | undefined =>
      agent.events.filter((event) => 'recipient' in event).find((event) => event.id === id);
    await until(
      () => `an outcome for ${[...fates].filter(([id]) => first(id) === undefined).map(([, name]) => name)}`,
      () => [...fates.keys(), ...others].every((id) => first(id) !== undefined),
    );
    for (const [id, name] of fates) {
      const [end, status, text] = ENDS[name]!;
      const event = first(id)!;
      assert.equal(event.type, end, `${name}: ${event.text}`);
      assert.match(event.status, status, `${name}: ${event.text}`);
      if (extensions.length > 0 || !/timeout|\./.test(text.source)) assert.match(event.text, text, name);
    }
    // What others did cost nobody anything.
    for (const id of others) assert.equal(first(id)!.type, 'delivered', first(id)!.text);
    const arrived = sink.messages.map(({ bytes }) => subjectOf(bytes));
    assert.equal(arrived.filter((subject) => subject.startsWith('between')).length, others.length);
    assert.equal(new Set(arrived).size, arrived.length, 'no message twice');
    assert.equal(most(), 5);
    assert.deepEqual(sink.violations, []);
  });
}

test('recipients of one message have each their own end, and what one server has too many of goes on at once', async (t) => {
  const sink = await destination(t);
  const dns = await madeUpDns(t, { '*.test': { a: ['127.0.0.1'] } });
  const agent = await startAgent(t, { dns: { servers: [dns.address] }, retry: { firstDelay: '1h' } }, { mxPort: sink.port });
  const crowd = Array.from({ length: 250 }, (_, at) => `user-${at}@dest.test`);
  const id = await agent.submit({
    from: 'ann@back.test',
    to: [
      'fail-551@dest.test',
      'defer-421@other.test',
      'too-many@dest.test',
      'too-many-2@dest.test',
      ...crowd,
      'fail-550@third.test',
      'ok@third.test',
    ],
  });
  await until('every recipient to be heard of', async () =>
    (await agent.verbs.status(id)).recipients.every(({ last }) => last !== undefined),
  );
  const { recipients, status } = await agent.verbs.status(id);
  const states = new Map(recipients.map(({ address, state }) => [address, state]));
  assert.equal(status, 'queued');
  assert.deepEqual(
    [
      'fail-551@dest.test',
      'fail-550@third.test',
      'ok@third.test',
      'defer-421@other.test',
      'too-many@dest.test',
      'too-many-2@dest.test',
    ].map((address) => states.get(address)),
    ['bounced', 'bounced', 'delivered', 'queued', 'delivered', 'delivered'],
  );
  assert.deepEqual([...new Set(crowd.map((address) => states.get(address)))], ['delivered']);
  const to = sink.messages.filter(({ sender }) => sender === 'ann@back.test').flatMap((message) => message.recipients);
  assert.deepEqual([...to].sort(), [...crowd, 'too-many@dest.test', 'too-many-2@dest.test', 'ok@third.test'].sort());
  for (const message of sink.messages) assert.ok(message.recipients.length <= 100);
  const reports = await until('both reports', () => {
    const found = sink.messages.filter(({ sender }) => sender === '');
    return found.length === 2 && found;
  });
  const failed = reports.map(({ bytes }) => bytes.toString().match(/^Final-Recipient: rfc822; (.*)\r$/gm)!.length);
  assert.deepEqual(failed, [1, 1]);
  assert.deepEqual(sink.violations, []);
});

test('with no history nothing is known of mail that has its end, and its content is gone', async (t) => {
  const sink = await destination(t);
  const agent = await startAgent(t, { route: [relayTo(sink)], spool: { historyRetention: '0s' } });
  const id = await agent.submit({ to: 'ok@dest.test' });
  await agent.event('delivered');
  await until('it to be forgotten', async () => (await agent.verbs.status(id)).status === 'unknown');
  assert.deepEqual((await agent.verbs.history({ since: 0, limit: 10 })).items, []);
  await assert.rejects(agent.verbs.raw(id), { code: 'NOT_FOUND' });
  await assert.rejects(agent.verbs.show(id), { code: 'NOT_FOUND' });
});
