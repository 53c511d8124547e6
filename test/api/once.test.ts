/** Idempotency keys: what is handed in twice under one is taken once. */
import assert from 'node:assert/strict';
import { createReadStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { compose, type SendOptions } from '../../src/index.js';
import { destination, temporaryFolder } from '../support/agent.js';
import { agentTo, LETTER } from './agent.js';

const KEYED = { ...LETTER, idempotencyKey: 'invoice 2026-17' };

test('the same letter under the same key is stored once, and each caller is told of the first, also after a restart', async (t) => {
  const sink = await destination(t);
  const spool = await temporaryFolder(t);
  const mta = await agentTo(t, sink, { spool });
  const first = await mta.send(KEYED);
  assert.deepEqual(await mta.send(KEYED), first);
  assert.notEqual((await mta.send({ ...KEYED, idempotencyKey: 'another' })).id, first.id);
  assert.notEqual((await mta.send(LETTER)).id, first.id);
  await mta.close();
  const next = await agentTo(t, sink, { spool });
  assert.deepEqual(await next.send(KEYED), first);
  await next.idle({ timeout: 60 });
  assert.equal(sink.counts.messages, 3);
});

test('those who come at once with one key wait for the first, and all are told of it', async (t) => {
  const sink = await destination(t);
  const mta = await agentTo(t, sink);
  const raw = { data: 'Subject: raw\n\nraw\n', from: 'a@b.test', recipients: 'joe@dest.test', idempotencyKey: 'raw' };
  const letters = await Promise.all(Array.from({ length: 20 }, () => mta.send(KEYED)));
  const raws = await Promise.all(Array.from({ length: 20 }, () => mta.queue({ ...raw, data: Readable.from([raw.data]) })));
  assert.equal(new Set([...letters, ...raws].map(({ id }) => id)).size, 2);
  await mta.idle({ timeout: 60 });
  assert.equal(sink.counts.messages, 2);
});

test('if the first one fails, the next one goes', async (t) => {
  const mta = await agentTo(t, await destination(t));
  const broken = new Readable({
    read() {
      setImmediate(() => this.destroy(new Error('gone')));
    },
  });
  const failing = mta.send({ ...KEYED, attachments: [{ name: 'a', data: broken }] });
  const waiting = mta.send(KEYED);
  await assert.rejects(failing, { message: /gone/ });
  assert.equal(await mta.status((await waiting).id).then((status) => status !== 'unknown'), true);
});

test('what was drawn for a message does not make it another one, what was said does', async (t) => {
  const mta = await agentTo(t, await destination(t));
  const file = join(await temporaryFolder(t), 'a.txt');
  writeFileSync(file, 'the same');
  const inner = () => compose({ ...LETTER, subject: 'enclosed', html: '<p>within' });
  const make = (): SendOptions => ({
    ...KEYED,
    html: '<p>Hello.',
    delay: 3600,
    attachments: [file, { name: 'b', data: createReadStream(file) }, inner()],
  });
  const first = await mta.send(make());
  assert.deepEqual(await mta.send(make()), first);
  const others: Partial<SendOptions>[] = [
    { subject: 'Another' },
    { to: 'ann@dest.test' },
    { bcc: 'ann@dest.test' },
    { messageId: 'x@y.test' },
    { attachments: [file, { name: 'b', data: 'the same' }, compose({ ...LETTER, subject: 'another', html: '<p>within' })] },
  ];
  for (const other of others) {
    const conflict = mta.send({ ...make(), ...other });
    await assert.rejects(conflict, { code: 'IDEMPOTENCY_CONFLICT', message: new RegExp(first.id) }, JSON.stringify(other));
  }
  writeFileSync(file, 'no more');
  await assert.rejects(mta.send(make()), { code: 'IDEMPOTENCY_CONFLICT' });
  const stored: string[] = [];
  for await (const { message } of mta.list()) stored.push(message.id);
  assert.deepEqual(stored, [first.id]);
});

test('the same letter by another server, or as somebody else, is another one; with a new password it is the same', async (t) => {
  const mta = await agentTo(t, await destination(t));
  const own = { host: 'smtp.x.test', port: 587, ssl: 'starttls', username: 'ann', password: 'old' } as const;
  const letter: SendOptions = { ...KEYED, delay: 3600 };
  const merge: SendOptions = { ...letter, idempotencyKey: 'merge', to: undefined, merge: { 'a@dest.test': {} } };
  const nobody = { username: undefined, password: undefined };
  const others = [{ host: 'other.x.test' }, { port: 588 }, { ssl: false }, { username: 'joe' }, nobody].map((one) => ({ ...own, ...one }));
  for (const base of [letter, merge]) {
    const first = await mta.send({ ...base, ...own });
    assert.deepEqual(await mta.send({ ...base, ...own, host: 'SMTP.x.test', password: 'new' }), first);
    for (const other of [...others, {}])
      await assert.rejects(mta.send({ ...base, ...other }), { code: 'IDEMPOTENCY_CONFLICT' }, JSON.stringify(other));
  }
});

test('of a merge the first answer is given again whole, also after a restart', async (t) => {
  const sink = await destination(t);
  const spool = await temporaryFolder(t);
  const mta = await agentTo(t, sink, { spool });
  const merge: SendOptions = {
    ...KEYED,
    to: undefined,
    body: '#name# #nick# #town#',
    merge: { 'a@dest.test': { name: 'A' }, 'b@dest.test': { name: 'B', town: 'X' } },
  };
  const first = await mta.send(merge);
  assert.deepEqual(first.unknownTokens, { nick: 2, town: 1 });
  assert.deepEqual(await mta.send(merge), first);
  await mta.close();
  assert.deepEqual(await (await agentTo(t, sink, { spool })).send(merge), first);
});

test('a key that is none is named with all else that is wrong', async (t) => {
  const mta = await agentTo(t, await destination(t));
  for (const idempotencyKey of ['', 'a\nb', 'ü', 'x'.repeat(256), 7]) {
    await assert.rejects(mta.send({ ...LETTER, subject: 7, idempotencyKey } as never), (error: { issues: { path: string }[] }) => {
      assert.deepEqual(error.issues.map(({ path }) => path).sort(), ['idempotencyKey', 'subject']);
      return true;
    });
  }
});

test('handing in is given up with its signal: nothing is stored, and its key is free', { timeout: 120_000 }, async (t) => {
  const mta = await agentTo(t, await destination(t));
  const silent = new Readable({ read: () => {} });
  const over = new AbortController();
  const stuck = mta.queue({ data: silent, from: '', recipients: LETTER.to, idempotencyKey: 'k', signal: over.signal });
  const behind = new AbortController();
  const waiting = mta.send({ ...LETTER, idempotencyKey: 'k', signal: behind.signal });
  behind.abort();
  await assert.rejects(waiting, { code: 'ABORTED' });
  over.abort(new Error('enough'));
  await assert.rejects(stuck, { code: 'ABORTED' });
  assert.equal(silent.destroyed, true);
  await mta.send({ ...LETTER, idempotencyKey: 'k' });
  for await (const { message } of mta.list()) assert.equal(message.sender, 'ann@example.test');
  await assert.rejects(mta.send({ ...LETTER, signal: AbortSignal.abort() }), { code: 'ABORTED' });
  await assert.rejects(mta.send({ ...LETTER, signal: 1 as never }), { code: 'INVALID_OPTIONS' });
});
