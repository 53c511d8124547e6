/** Servers and names that are gone for a while: mail waits, nothing is bounced for it, and all of it leaves when they are back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { destination, madeUpDns, message, relayTo, startAgent, subjectOf } from '../support/agent.js';
import { freePlace } from '../support/loopback.js';
import { until } from '../support/scope.js';

test('mail for a server that is down waits, one charged an attempt and the others none, and all leave when it is back', async (t) => {
  const away = freePlace();
  const agent = await startAgent(t, { route: [relayTo(away, away)], retry: { firstDelay: '1h' } });
  const ids: string[] = [];
  for (let number = 0; number < 40; number++) ids.push(await agent.submit({ to: 'bob@dest.test', content: message(`number ${number}`) }));
  const { status, text } = await agent.event('deferred');
  assert.equal(status, '4.4.1');
  assert.match(text, /ECONNREFUSED/);
  const { sites, counts } = await until('the site to be in trouble', async () => {
    const stats = await agent.verbs.stats();
    return stats.sites.length > 0 && stats;
  });
  assert.equal(sites.length, 1);
  assert.match(`${sites[0]!.site} ${sites[0]!.trouble}`, new RegExp(`${away.host}:${away.port}.*ECONNREFUSED`));
  assert.equal(counts.messages, 40);
  const attempts = await Promise.all(ids.map(async (id) => (await agent.verbs.status(id)).recipients[0]!.attempts));
  assert.equal(attempts.filter((count) => count > 1).length, 0);
  assert.ok(attempts.filter((count) => count === 1).length <= 2, `${attempts}`);

  const back = await destination(t, away);
  await agent.verbs.change({ action: 'retry', selector: { all: true } });
  for (const id of ids) assert.equal((await agent.settled(id)).status, 'sent');
  assert.equal(new Set(back.messages.map(({ bytes }) => subjectOf(bytes))).size, 40);
  assert.deepEqual((await agent.verbs.stats()).sites, []);
});

test('mail for a name that the DNS has no answer for waits, and leaves when there is one', async (t) => {
  const sink = await destination(t);
  const dns = await madeUpDns(t, { 'dest.test': { trouble: 'servfail' }, 'mx.test': { a: ['127.0.0.1'] } });
  const agent = await startAgent(t, { dns: { servers: [dns.address] }, retry: { firstDelay: '1h' } }, { mxPort: sink.port });
  const ids = await Promise.all([1, 2, 3].map(() => agent.submit({ to: 'bob@dest.test' })));
  const { status, text } = await agent.event('deferred');
  assert.equal(status, '4.4.3');
  assert.match(text, /dest\.test could not be looked up/);
  assert.equal((await agent.verbs.mx('dest.test')).trouble?.status, '4.4.3');
  assert.equal((await agent.verbs.stats()).sites.length, 1);

  dns.set('dest.test', { mx: [[10, 'mx.test']] });
  await agent.verbs.change({ action: 'retry', selector: { all: true } });
  for (const id of ids) assert.equal((await agent.settled(id)).status, 'sent');
  assert.equal(sink.counts.messages, 3);
});

test('a server that says 421 to everybody and then comes to its senses gets its mail, and nobody else waits for it', async (t) => {
  let busy = true;
  const sick = await destination(t, { script: ({ verb }) => (busy && verb === 'CONNECT' ? '421 4.3.2 too busy' : undefined) });
  const well = await destination(t);
  const agent = await startAgent(t, { route: [relayTo(sick, { domain: 'sick.test' }), relayTo(well)], retry: { firstDelay: '1h' } });
  const [waits, goes] = await Promise.all([agent.submit({ to: 'bob@sick.test' }), agent.submit({ to: 'bob@well.test' })]);
  assert.equal((await agent.settled(goes)).status, 'sent');
  const { text } = await agent.event('deferred');
  assert.match(text, /421 4\.3\.2 too busy/);
  assert.equal((await agent.verbs.status(waits)).status, 'queued');
  busy = false;
  await agent.verbs.change({ action: 'retry', selector: { ids: [waits] } });
  assert.equal((await agent.settled(waits)).status, 'sent');
});
