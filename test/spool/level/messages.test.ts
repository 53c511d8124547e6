import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import type { MessageQuery } from '../../../src/spool/spool.js';
import { mergeOf } from '../../contract/merge.js';
import { acceptance, delivered, recipient } from '../../support/mail.js';
import { createVirtualClock } from '../../support/virtual-clock.js';
import { levelOptions, temporaryFolder } from './support.js';

test('a page that takes too long is short and says where to go on, and all pages together miss nothing', async (t) => {
  const folder = await temporaryFolder();
  const clock = createVirtualClock();
  let slow = false;
  let ticks = 0;
  const monotonic = () => (slow ? (ticks += 30) : clock.monotonic());
  const spool = await openLevelSpool(levelOptions(folder.path, { ...clock, now: () => clock.now(), monotonic }));
  t.after(async () => {
    await spool.close();
    await folder.remove();
  });
  spool.listen({ onReady: () => {}, onWaiting: () => {}, onFault: () => {} });
  const mails = Array.from({ length: 1_200 }, (_, i) => {
    const mail = acceptance({ acceptedAt: clock.now() });
    return {
      ...mail,
      deliveries: [{ lane: i % 100 === 0 ? 'mx:sent.test' : 'mx:one.test', recipients: [recipient(`user${i}@one.test`)] }],
    };
  });
  await Promise.all(mails.map((mail) => spool.accept(mail)));
  for (let lease = spool.pull('mx:sent.test'); lease; lease = spool.pull('mx:sent.test'))
    await spool.settle(lease, delivered(lease.delivery, clock.now()));
  const ids = mails.filter((_, i) => i % 100 === 0).map(({ message }) => message.id);
  slow = true;
  const found: string[] = [];
  let pages = 0;
  let after: string | undefined;
  do {
    const page = await spool.messages({ search: 'user' }, { limit: 2_000, ...(after === undefined ? {} : { after }) });
    assert.ok(page.items.length >= 500 || page.next === undefined, 'no crumbs');
    found.push(...page.items.filter(({ status }) => status === 'sent').map(({ message }) => message.id));
    after = page.next;
    pages++;
  } while (after !== undefined);
  assert.deepEqual(found, ids.reverse());
  assert.equal(pages, 3);
});

test('a search within one large merge is cut by time as well, goes on in the middle of it, and shows it once', async (t) => {
  const folder = await temporaryFolder();
  const clock = createVirtualClock();
  let slow = false;
  let ticks = 0;
  const monotonic = () => (slow ? (ticks += 100) : clock.monotonic());
  const spool = await openLevelSpool(levelOptions(folder.path, { ...clock, now: () => clock.now(), monotonic }));
  t.after(async () => {
    await spool.close();
    await folder.remove();
  });
  spool.listen({ onReady: () => {}, onWaiting: () => {}, onFault: () => {} });
  const older = acceptance({ acceptedAt: clock.now() });
  await spool.accept(older);
  const merge = mergeOf(3_500, clock.now());
  await spool.acceptMerge(merge);
  // Every tenth has ended: its record lies elsewhere.
  for (let i = 0; i < 300; i++) {
    let lease = spool.pull('mx:lane3.test');
    for (; lease === undefined; lease = spool.pull('mx:lane3.test')) await new Promise((resolve) => setImmediate(resolve));
    await spool.settle(lease, delivered(lease.delivery, clock.now()));
  }
  const id = merge.message.id;
  const pages = async (query: MessageQuery) => {
    const found: string[][] = [];
    let after: string | undefined;
    do {
      const page = await spool.messages(query, { limit: 10, ...(after === undefined ? {} : { after }) });
      found.push(page.items.map(({ message }) => message.id));
      after = page.next;
    } while (after !== undefined);
    return found;
  };
  for (const oldestFirst of [false, true]) {
    slow = true;
    for (const search of ['user3499@', 'user0@lane0', 'user1203@', 'user1700@', id]) {
      const found = await pages({ search, oldestFirst });
      assert.deepEqual(found.flat(), [id], search);
    }
    const nowhere = await pages({ search: 'nobody@nowhere.test', oldestFirst });
    assert.deepEqual(nowhere.flat(), []);
    assert.ok(nowhere.length >= 3, `cut ${nowhere.length} times`);
    slow = false;
    assert.deepEqual((await pages({ oldestFirst })).flat(), oldestFirst ? [older.message.id, id] : [id, older.message.id]);
    assert.deepEqual((await pages({ oldestFirst, state: 'queued' })).flat().length, 2);
    assert.deepEqual((await pages({ oldestFirst, state: 'sent' })).flat(), []);
  }
});

test('what ended between the pages is shown once', async (t) => {
  const folder = await temporaryFolder();
  const clock = createVirtualClock();
  const spool = await openLevelSpool(levelOptions(folder.path, clock));
  t.after(async () => {
    await spool.close();
    await folder.remove();
  });
  spool.listen({ onReady: () => {}, onWaiting: () => {}, onFault: () => {} });
  for (let i = 0; i < 6; i++) await spool.accept(acceptance({ acceptedAt: clock.now() }));
  const first = await spool.messages({}, { limit: 3 });
  for (let lease = spool.pull('mx:one.test'); lease; lease = spool.pull('mx:one.test'))
    await spool.settle(lease, delivered(lease.delivery, clock.now()));
  const rest = await spool.messages({}, { limit: 10, after: first.next! });
  const ids = [...first.items, ...rest.items].map(({ message }) => message.id);
  assert.equal(new Set(ids).size, 6);
  assert.equal(ids.length, 6);
  assert.ok(rest.items.every(({ status }) => status === 'sent'));
});
