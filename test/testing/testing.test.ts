/** `riata/testing`, as a program's own tests use it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestMta, type TestMta, type TestMtaOptions } from '../../src/testing/index.js';
import { atEnd, type Scope } from '../support/scope.js';

const LETTER = { from: 'Shop <shop@example.com>', to: 'joe@example.net', subject: 'Your order ✓', body: 'It is on its way.\n' } as const;
const MINUTE = 60_000;

async function testMta(scope: Scope, options?: TestMtaOptions): Promise<TestMta> {
  const mta = await createTestMta(options);
  atEnd(scope, () => mta.close());
  return mta;
}

test('what is sent is in the outbox, octet for octet and taken apart', async (t) => {
  const mta = await testMta(t);
  const { id, messageId } = await mta.send({
    ...LETTER,
    html: '<p>It is on its way <img src="cid:a.gif">.',
    htmlImages: [{ name: 'a.gif', data: 'GIF89a' }],
    attachments: [{ name: 'Rechnung ü.pdf', data: '%PDF' }],
    bcc: 'audit@example.org',
  });
  await mta.settle();
  assert.equal(await mta.status(id), 'sent');
  const [first, second] = [...mta.outbox].sort((a, b) => a.server.localeCompare(b.server));
  assert.deepEqual([first!.server, first!.recipients, first!.sender], ['example.net', ['joe@example.net'], 'shop@example.com']);
  assert.deepEqual([second!.server, second!.recipients], ['example.org', ['audit@example.org']]);
  assert.deepEqual([first!.header('message-id'), first!.header('Bcc'), first!.header('X-None')], [messageId, undefined, undefined]);
  assert.ok(first!.bytes.equals(second!.bytes));
  const read = await first!.read();
  assert.deepEqual([read.subject, read.text.trim()], ['Your order ✓', 'It is on its way.']);
  assert.match(read.html, /cid:a\.gif/);
  assert.deepEqual(
    read.attachments.map(({ name, type, cid, data }) => [name, type, cid, data.toString()]),
    [
      ['a.gif', 'image/gif', 'a.gif', 'GIF89a'],
      ['Rechnung ü.pdf', 'application/pdf', '', '%PDF'],
    ],
  );
});

test('fates happen one after the other, at their times', async (t) => {
  const mta = await testMta(t, { start: '2030-01-01T00:00:00Z', fates: { 'joe@example.net': ['450 4.2.1 Come back later', 'accept'] } });
  const told: string[] = [];
  mta.on('deferred', ({ text, nextAttemptAt, at }) => told.push(`${text} ${(nextAttemptAt - at) / MINUTE}`));
  const { id } = await mta.send({ ...LETTER, to: 'joe@example.net, ann@example.net' });
  await mta.settle();
  assert.deepEqual(
    mta.outbox.map(({ recipients }) => recipients),
    [['ann@example.net']],
  );
  assert.deepEqual(told, ['450 4.2.1 Come back later 5']);
  await mta.advance('4m59s');
  assert.equal(mta.outbox.length, 1);
  await mta.advance(1);
  assert.deepEqual([mta.outbox[1]?.recipients, mta.outbox[1]?.at.toISOString()], [['joe@example.net'], '2030-01-01T00:05:00.000Z']);
  assert.equal(await mta.status(id), 'sent');
});

test('what fails comes back as a bounce, which is in the outbox as well', async (t) => {
  const mta = await testMta(t);
  mta.fate('joe@example.net', '550 5.1.1 Nobody here');
  const { id } = await mta.send(LETTER);
  await mta.settle();
  assert.equal(await mta.status(id), 'error');
  const [bounce] = mta.outbox;
  assert.deepEqual([bounce?.sender, bounce?.recipients], ['', ['shop@example.com']]);
  assert.match((await bounce!.read()).text, /Nobody here/);
  mta.reset();
  assert.equal(mta.outbox.length, 0);
  await mta.send(LETTER);
  await mta.settle();
  assert.deepEqual(mta.outbox[0]?.recipients, ['joe@example.net'], 'its fate is forgotten, too');
});

test('each fate does what it says', async (t) => {
  const mta = await testMta(t);
  const errors: [Parameters<TestMta['fate']>[1], RegExp, string][] = [
    ['refuse', /refused/i, 'queued'],
    ['unreachable', /no way to the server/, 'queued'],
    ['dnsFails', /SERVFAIL/, 'queued'],
    ['noDomain', /5\.1\.2|no such domain|does not exist/i, 'error'],
    ['nullMx', /5\.1\.10|takes no mail|accepts no mail|null MX/i, 'error'],
    ['drop', /connection|lost|closed|ECONNRESET/i, 'queued'],
    [{ at: 'rcpt', reply: '450 4.2.0 at rcpt' }, /at rcpt/, 'queued'],
    [{ at: 'data', reply: '451 4.3.0 at data' }, /at data/, 'queued'],
    [{ at: 'dot', reply: '554 5.6.0 at the dot' }, /at the dot/, 'error'],
  ];
  for (const [i, [fate, text, status]] of errors.entries()) {
    mta.fate(`@fate${i}.test`, fate, 'accept');
    const { id } = await mta.send({ ...LETTER, to: `joe@fate${i}.test`, bounces: 'none' });
    await mta.advance('1m');
    const [delivery] = (await mta.inspect(id))!.deliveries;
    const heard = `${delivery!.log.at(-1)?.trouble?.text} ${delivery!.log.at(-1)?.trouble?.status} ${delivery!.recipients[0]?.last?.text}`;
    assert.match(heard, text, JSON.stringify(fate));
    assert.equal(await mta.status(id), status, JSON.stringify(fate));
    await mta.advance('2h');
    assert.equal(await mta.status(id), status === 'queued' ? 'sent' : 'error', JSON.stringify(fate));
  }
  mta.fate('*', 'hang', 'accept');
  const { id } = await mta.send({ ...LETTER, to: 'joe@silent.test' });
  await mta.advance('4m');
  assert.equal(await mta.status(id), 'queued');
  await mta.advance('1h');
  assert.equal(await mta.status(id), 'sent');
});

test('mail for later waits for its time, and what nobody takes is given up in the end', async (t) => {
  const mta = await testMta(t, { retry: { expiry: '2d' } });
  const later = await mta.send({ ...LETTER, date: new Date(mta.now() + 90 * MINUTE) });
  await mta.advance('89m');
  assert.deepEqual([mta.outbox.length, await mta.status(later.id)], [0, 'queued']);
  await mta.advance('1m');
  assert.deepEqual([mta.outbox.length, await mta.status(later.id)], [1, 'sent']);
  mta.fate('@example.net', 'refuse');
  const never = await mta.send(LETTER);
  await mta.advance('3d');
  assert.equal(await mta.status(never.id), 'error');
  assert.equal(mta.outbox.at(-1)?.sender, '');
});

test('mail with a server of its own, a login and TLS goes through that', async (t) => {
  const mta = await testMta(t);
  for (const ssl of [false, 'starttls', true] as const) {
    const { id } = await mta.send({ ...LETTER, host: 'smtp.relay.test', username: 'shop', password: 'secret', ssl, requireTls: true });
    await mta.settle();
    assert.equal(await mta.status(id), 'sent', String(ssl));
    assert.equal(mta.outbox.at(-1)?.server, 'smtp.relay.test');
  }
  await mta.send({ ...LETTER, merge: { 'joe@example.net': {}, 'ann@example.net': {} }, to: undefined as never });
  await mta.settle();
  assert.equal(mta.outbox.length, 5);
});

test('idle and close take the time that they need, and options that are wrong are named', async (t) => {
  const mta = await testMta(t);
  for (let i = 0; i < 30; i++) await mta.send({ ...LETTER, to: `r${i}@d${i % 3}.test` });
  await mta.idle();
  assert.equal(mta.outbox.length, 30);
  await assert.rejects(createTestMta({ start: 'soon' }), { code: 'INVALID_OPTIONS' });
  await assert.rejects(createTestMta({ retry: { expire: '1d' } } as never), { code: 'INVALID_OPTIONS', message: /expire/ });
  await assert.rejects(mta.advance('soon'), { code: 'INVALID_OPTIONS' });
  for (const wrong of [
    ['joe', 'accept'],
    ['@', 'accept'],
    ['joe@x.test', 'refuse'],
    ['*', '250 fine'],
    ['*', { at: 'mail', reply: '450 x' }],
    ['*'],
  ])
    assert.throws(() => mta.fate(...(wrong as ['*', 'accept'])), { name: 'MtaError' }, JSON.stringify(wrong));
  await mta.close();
  await assert.rejects(mta.send(LETTER), { code: 'SPOOL_CLOSED' });
});

test('a test agent ends with its block', async () => {
  let mta: TestMta;
  {
    await using own = await createTestMta();
    mta = own;
    await own.send(LETTER);
  }
  await assert.rejects(mta.send(LETTER), { code: 'SPOOL_CLOSED' });
});
