/** Events as something to read on from. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FollowedEvent, MailAgent } from '../../src/index.js';
import { destination, temporaryFolder } from '../support/agent.js';
import { agentTo, ended, LETTER } from './agent.js';

/** Reads until so many ends have come. */
async function ends(events: AsyncIterableIterator<FollowedEvent>, count: number): Promise<FollowedEvent[]> {
  const found: FollowedEvent[] = [];
  for await (const event of events) {
    if (event.type === 'delivered' || event.type === 'bounced') found.push(event);
    if (found.length === count) break;
  }
  return found;
}

const recipients = (events: readonly FollowedEvent[]) => events.map((event) => ('recipient' in event ? event.recipient : '')).sort();

test('events are told from when they are asked for, of every kind', { timeout: 120_000 }, async (t) => {
  const mta = await agentTo(t, await destination(t));
  await mta.idle();
  const events = mta.events();
  const { id } = await mta.send({ ...LETTER, to: ['a@dest.test', 'fail-550@dest.test'] });
  await ended(mta, id);
  const kinds: string[] = [];
  for await (const event of events) {
    if ('id' in event && event.id === id) kinds.push(event.type);
    if (kinds.length === 3) break;
  }
  assert.deepEqual(kinds.sort(), ['accepted', 'bounced', 'delivered']);
});

test('what ended while nobody read is told from its cursor on, over a restart, and then what happens now', {
  timeout: 120_000,
}, async (t) => {
  const sink = await destination(t);
  const spool = await temporaryFolder(t);
  const first = await agentTo(t, sink, { spool });
  const send = (mta: MailAgent, to: string) => mta.send({ ...LETTER, returnPath: '', to }).then(({ id }) => ended(mta, id));
  const seen = ends(first.events(), 1);
  await send(first, 'one@dest.test');
  const [last] = await seen;
  await send(first, 'two@dest.test');
  await send(first, 'fail-550@dest.test');
  await first.close();
  const second = await agentTo(t, sink, { spool });
  const events = second.events({ after: last!.cursor });
  await send(second, 'three@dest.test');
  const told = await ends(events, 4);
  const wanted = ['fail-550@dest.test', 'one@dest.test', 'three@dest.test', 'two@dest.test'];
  assert.deepEqual(
    recipients(told).filter((one, i, all) => all.indexOf(one) === i),
    wanted,
  );
  assert.deepEqual(recipients(await ends(second.events({ after: new Date(0) }), 4)), wanted);
});

test('reading ends with its signal and with the agent, and wrong options are named', { timeout: 120_000 }, async (t) => {
  const mta = await agentTo(t, await destination(t));
  const over = new AbortController();
  const drained = ends(mta.events({ signal: over.signal }), 1);
  const closed = ends(mta.events(), 1);
  setImmediate(() => over.abort());
  assert.deepEqual(await drained, []);
  await mta.close();
  assert.deepEqual(await closed, []);
  assert.throws(() => mta.events(), { code: 'SPOOL_CLOSED' });
  const other = await agentTo(t, await destination(t));
  assert.throws(
    () => other.events({ after: 'soon', signal: 1, since: 2 } as never),
    (error: { issues: { path: string }[] }) => {
      assert.deepEqual(error.issues.map(({ path }) => path).sort(), ['after', 'signal', 'since']);
      return true;
    },
  );
});
