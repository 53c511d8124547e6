import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { feed, type Told } from '../../src/control/feed.js';
import type { Emit, MailEvent } from '../../src/core/event.js';
import { createMemorySpool } from '../../src/spool/memory.js';
import { acceptance, deferred, delivered, recipient } from '../support/mail.js';
import { createVirtualClock, settle } from '../support/virtual-clock.js';

async function rig(t: TestContext) {
  const clock = createVirtualClock();
  const spool = await createMemorySpool({ clock, promoteAfterMs: 900_000, historyRetentionMs: 3_600_000, inlineLimitBytes: 16_384 });
  const listeners = new Set<Emit>();
  const subscribe = (listener: Emit) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  const emit = (event: MailEvent) => {
    for (const listener of listeners) listener(event);
  };
  const over = new AbortController();
  t.after(() => over.abort());
  /** Delivers one message to `name@one.test`; `heard`: it is told live as well. */
  const deliver = async (name: string, heard: boolean) => {
    const mail = acceptance({ acceptedAt: clock.now() });
    await spool.accept({ ...mail, deliveries: [{ lane: 'mx:one.test', recipients: [recipient(`${name}@one.test`)] }] });
    const lease = spool.pull('mx:one.test')!;
    await spool.settle(lease, delivered(lease.delivery, clock.now()));
    if (heard) emit(end(mail.message.id, name));
    await clock.advance(1);
  };
  const end = (id: string, name: string, n = 0): MailEvent => ({
    type: 'delivered',
    at: clock.now(),
    id,
    delivery: `${id}.${n}`,
    lane: 'mx:one.test',
    sender: 'sender@example.com',
    recipient: `${name}@one.test`,
    server: '',
    delayMs: 0,
    status: '2.0.0',
    text: '',
  });
  const read = (after?: number) => feed({ spool, clock, subscribe }, after, over.signal);
  return { clock, spool, emit, end, deliver, read, over, listeners };
}

const who = ({ event }: Told) => ('recipient' in event ? event.recipient.split('@')[0]! : event.type);

async function take(events: AsyncGenerator<Told>, count: number): Promise<Told[]> {
  const taken: Told[] = [];
  while (taken.length < count) {
    const next = await events.next();
    assert.ok(!next.done, 'it ended');
    taken.push(next.value);
  }
  return taken;
}

test('without a moment, what happens from now on is told', async (t) => {
  const { deliver, read, listeners, over, emit } = await rig(t);
  await deliver('before', true);
  const events = read();
  const first = take(events, 2);
  await settle();
  emit({ type: 'resumed', at: 1, lane: 'mx:x.test' });
  await deliver('now', true);
  assert.deepEqual((await first).map(who), ['resumed', 'now']);
  const last = events.next();
  over.abort();
  assert.equal((await last).done, true);
  assert.equal(listeners.size, 0);
});

test('from a moment on, the history comes first, and every end once where nothing was missed', async (t) => {
  const { deliver, read, clock } = await rig(t);
  await deliver('long ago', true);
  const since = clock.now();
  for (const name of ['a', 'b', 'c']) await deliver(name, true);
  const events = read(since);
  const past = await take(events, 3);
  assert.deepEqual(past.map(who), ['a', 'b', 'c']);
  const { event, cursor } = past[2]!;
  assert.ok(event.type === 'delivered');
  assert.deepEqual([event.sender, event.status, event.text, cursor], ['sender@example.com', '2.0.0', 'Ok', event.at]);
  const next = take(events, 2);
  await settle();
  await deliver('d', true);
  await deliver('e', true);
  assert.deepEqual((await next).map(who), ['d', 'e']);
});

test('what ends while the history is read is told', async (t) => {
  const { deliver, read, clock } = await rig(t);
  const since = clock.now();
  await deliver('a', false);
  const events = read(since);
  await take(events, 1);
  // Too late for the page that was read, and not listened to yet.
  await deliver('b', true);
  assert.deepEqual((await take(events, 1)).map(who), ['b']);
});

test('whoever goes on from a cursor misses no end', async (t) => {
  const { deliver, read, clock } = await rig(t);
  const since = clock.now();
  for (const name of ['a', 'b', 'c', 'd']) await deliver(name, false);
  const events = read(since);
  const [, second] = await take(events, 2);
  await events.return();
  assert.deepEqual((await take(read(second!.cursor), 3)).map(who), ['b', 'c', 'd']);
});

test('a reader who is far too slow is told every end all the same', async (t) => {
  const { deliver, read, emit, end } = await rig(t);
  const events = read();
  const first = take(events, 1);
  await settle();
  await deliver('first', true);
  await first;
  for (let i = 0; i < 5_000; i++) emit(end('01TESTX', `lost${i}`));
  await deliver('a', true);
  await deliver('b', true);
  const names = new Set<string>();
  while (!names.has('b')) names.add(who((await take(events, 1))[0]!));
  assert.ok(names.has('a'));
  const after = take(events, 1);
  await settle();
  await deliver('c', true);
  assert.deepEqual((await after).map(who), ['c']);
});

test('who had ended while nobody listened, in a delivery that went on, is told with its next end', async (t) => {
  const { spool, clock, read, emit, end } = await rig(t);
  const since = clock.now();
  const mail = acceptance({ acceptedAt: since });
  const recipients = [recipient('a@one.test'), recipient('b@one.test')];
  await spool.accept({ ...mail, deliveries: [{ lane: 'mx:one.test', recipients }] });
  const lease = spool.pull('mx:one.test')!;
  const last = { at: clock.now(), status: '2.0.0', text: 'Ok' };
  const part = deferred(lease.delivery, clock.now());
  await spool.settle(lease, { ...part, recipients: [{ ...recipients[0]!, state: 'delivered', last }, recipients[1]!] });
  await clock.advance(1000);
  const told = take(read(since), 2);
  await settle();
  await clock.advance(1000);
  const rest = spool.pull('mx:one.test')!;
  await spool.settle(rest, delivered(rest.delivery, clock.now()));
  emit(end(mail.message.id, 'b'));
  assert.deepEqual((await told).map(who), ['a', 'b']);
});
