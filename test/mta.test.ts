import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../src/platform/clock.js';
import { destination, relayTo, startAgent, temporaryFolder } from './support/agent.js';

test('mail queued for a relay takes the new route when the configuration names another', async (t) => {
  const spool = await temporaryFolder(t);
  const sink = await destination(t);
  const before = await startAgent(t, { spool, route: [{ host: '127.0.0.1', port: 1, tls: 'off' }] });
  const id = await before.submit({ to: ['a@one.test', 'b@two.test'] });
  await before.event('deferred', (event) => event.id === id);
  await before.close();

  const after = await startAgent(t, { spool, route: [relayTo(sink)] });
  await after.verbs.change({ action: 'retry', selector: { ids: [id] } });
  assert.deepEqual(
    (await after.settled(id)).recipients.map(({ state }) => state),
    ['delivered', 'delivered'],
  );
  assert.equal(sink.messages.length, 1, 'both in one transaction, as before');
});

test('ids go on from the greatest of the last run, whatever the clock says now', async (t) => {
  const spool = await temporaryFolder(t);
  const sink = await destination(t);
  const ahead = { ...systemClock, now: () => Date.now() + 3_600_000 };
  const first = await startAgent(t, { spool, route: [relayTo(sink)] }, { clock: ahead });
  const last = await first.submit({ to: 'a@one.test' });
  await first.settled(last);
  await first.close();
  const second = await startAgent(t, { spool, route: [relayTo(sink)] });
  assert.ok((await second.submit({ to: 'a@one.test' })) > last);
});

test('an agent whose configuration cannot be used leaves nothing open', async (t) => {
  const spool = await temporaryFolder(t);
  const submission = { tls: { certFile: '/nowhere/cert.pem', keyFile: '/nowhere/key.pem' } };
  await assert.rejects(startAgent(t, { spool, submission }), { code: 'INVALID_OPTIONS', message: /certFile.*\/nowhere\/cert\.pem/s });
  const agent = await startAgent(t, { spool });
  await assert.rejects(startAgent(t, { spool }), { code: 'SPOOL_LOCKED' });
  await agent.close();
  await agent.close();
});
