/** Many messages, few commits. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { Sent } from '../../src/index.js';
import { destination, temporaryFolder } from '../support/agent.js';
import { agentTo, LETTER } from './agent.js';

test('a batch resolves with what its block returns when all of it is durable, and each message arrives', async (t) => {
  const sink = await destination(t);
  const spool = await temporaryFolder(t);
  const mta = await agentTo(t, sink, { spool });
  const sent = await mta.batch(async () => {
    const staged: Sent[] = [];
    for (let i = 0; i < 300; i++) staged.push(await mta.send({ ...LETTER, subject: `letter ${i}`, date: Date.now() + 3_600_000 }));
    staged.push(await mta.queue({ data: Readable.from(['Subject: raw\n\n']), from: '', recipients: 'joe@dest.test' }));
    return staged;
  });
  const statuses = await Promise.all(sent.map(({ id }) => mta.status(id)));
  assert.ok(statuses.every((status) => status !== 'unknown'));
  await mta.close();
  const next = await agentTo(t, sink, { spool });
  let queued = 0;
  for await (const { message } of next.list({ state: 'waiting' })) queued += sent.some(({ id }) => id === message.id) ? 1 : 0;
  assert.equal(queued, 300);
  assert.equal(new Set(sent.map(({ id }) => id)).size, 301);
});

test('inside the block nothing waits for the disk, outside of it everything does', async (t) => {
  const mta = await agentTo(t, await destination(t));
  let unknown = 0;
  const later = { date: Date.now() + 3_600_000 };
  await mta.batch(async () => {
    for (let i = 0; i < 50; i++) if ((await mta.status((await mta.send({ ...LETTER, ...later })).id)) === 'unknown') unknown++;
  });
  assert.ok(unknown > 0, 'each was durable when it was staged');
  let after: Promise<Sent> | undefined;
  let release = () => {};
  const late = new Promise<void>((resolve) => {
    release = resolve;
  });
  await mta.batch(async () => {
    after = late.then(() => mta.send({ ...LETTER, ...later }));
  });
  release();
  assert.equal(await mta.status((await after!).id), 'queued', 'what is called after the end of its batch is durable when it resolves');
  let open = () => {};
  const held = mta.batch(
    () =>
      new Promise<void>((resolve) => {
        open = resolve;
      }),
  );
  assert.equal(await mta.status((await mta.send({ ...LETTER, ...later })).id), 'queued', 'what is called beside a batch is not part of it');
  open();
  await held;
});

test('a listener that hands in mail is not part of the batch that it hears of', async (t) => {
  const mta = await agentTo(t, await destination(t));
  const copies: Promise<unknown>[] = [];
  mta.on('accepted', ({ sender }) => {
    if (sender !== 'copies@example.test')
      copies.push(mta.send({ ...LETTER, delay: 3600, from: 'copies@example.test' }).then(({ id }) => mta.status(id)));
  });
  await mta.batch(async () => {
    for (let i = 0; i < 20; i++) await mta.send({ ...LETTER, delay: 3600 });
    while (copies.length < 20) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(await Promise.all(copies), Array(20).fill('queued'));
  });
});

test('where the block throws, what it queued stays queued, durable by then, and its error is passed on', async (t) => {
  const mta = await agentTo(t, await destination(t));
  const ids: string[] = [];
  const mine = new Error('mine');
  const batch = mta.batch(async () => {
    for (let i = 0; i < 20; i++) ids.push((await mta.send({ ...LETTER, date: Date.now() + 3_600_000 })).id);
    throw mine;
  });
  await assert.rejects(batch, (error) => error === mine);
  for (const id of ids) assert.equal(await mta.status(id), 'queued');
  await assert.rejects(mta.batch(7 as never), { code: 'INVALID_OPTIONS' });
});

test('a batch waits for what its block did not wait for, and a wrong message in it is its own affair', async (t) => {
  const mta = await agentTo(t, await destination(t));
  const ids: string[] = [];
  let refused: unknown;
  await mta.batch(() => {
    for (let i = 0; i < 20; i++) void mta.send({ ...LETTER, date: Date.now() + 3_600_000 }).then(({ id }) => ids.push(id));
    mta.send({ ...LETTER, to: '@' }).catch((error) => {
      refused = error;
    });
  });
  assert.equal(ids.length, 20);
  for (const id of ids) assert.equal(await mta.status(id), 'queued');
  assert.equal((refused as { code: string }).code, 'INVALID_ADDRESS');
});

test('only so much is staged: a batch larger than memory should hold goes through', async (t) => {
  const sink = await destination(t, { keep: 0 });
  const mta = await agentTo(t, sink);
  const body = `${'x'.repeat(70)}\n`.repeat(10_000);
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  await mta.batch(async () => {
    for (let i = 0; i < 60; i++) {
      await mta.send({ ...LETTER, body });
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
  });
  await sink.received(60);
  assert.ok(most < 120 * 1024 * 1024, `${most} octets`);
});

test('mail in a batch leaves before the batch has ended', { timeout: 120_000 }, async (t) => {
  const sink = await destination(t);
  const mta = await agentTo(t, sink);
  await mta.batch(async () => {
    await mta.send(LETTER);
    await sink.received(1);
  });
});
