/** Attacks through every field of every method, over the whole agent, judged by what servers were told and by what arrived. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { compose, MtaError, type QueueOptions, type SendOptions } from '../../src/index.js';
import { riataTransport } from '../../src/nodemailer.js';
import { createTestMta } from '../../src/testing/index.js';
import { BREAKS, DISGUISES, FIELDS, OF_ADDRESSES, TAILS } from '../compose/attacks.js';
import { defects, type ForeignEntity, noPython, readByPython } from '../compose/foreign-reader.js';
import { atEnd, type Scope } from '../support/scope.js';

const LETTER: SendOptions = { from: 'Ann <ann@x.example>', to: 'joe@y.example', subject: 'A letter', body: 'Hello.\n' };
const RAW = 'From: a@x.example\nSubject: raw\n\nraw\n';
const ENVELOPE = { data: RAW, from: 'ann@x.example', recipients: 'joe@y.example' };

/** What only `send` has, besides all that composing has. */
const OF_SENDING: Readonly<Record<string, (text: string) => object>> = {
  envid: (text) => ({ dsn: { envid: `e${text}` } }),
  tag: (text) => ({ tags: [`t${text}`] }),
  key: (text) => ({ idempotencyKey: `k${text}` }),
  priority: (text) => ({ priority: `high${text}` }),
};
const OF_QUEUEING: Readonly<Record<string, (text: string) => object>> = {
  queueFrom: (text) => ({ from: `a@x.example${text}` }),
  queueTo: (text) => ({ recipients: [`a@x.example${text}`] }),
  queueToObject: (text) => ({ recipients: [{ address: `a@x.example${text}` }] }),
  queueEnvid: (text) => ({ dsn: { envid: `e${text}` } }),
};

interface Attempt {
  readonly name: string;
  readonly field: string;
  readonly hand: () => Promise<{ readonly id: string }>;
}

async function agent(scope: Scope) {
  const mta = await createTestMta();
  atEnd(scope, () => mta.close());
  return mta;
}

function attempts(mta: Awaited<ReturnType<typeof agent>>, texts: readonly string[]): Attempt[] {
  const all: Attempt[] = [];
  const add = (field: string, text: string, hand: Attempt['hand']) => all.push({ name: `${field} ${JSON.stringify(text)}`, field, hand });
  for (const text of texts) {
    for (const [field, options] of Object.entries({ ...FIELDS, ...OF_SENDING }))
      add(field, text, () => mta.send({ ...LETTER, ...options(text) } as SendOptions));
    for (const [field, options] of Object.entries(OF_QUEUEING))
      add(field, text, () => mta.queue({ ...ENVELOPE, ...options(text) } as QueueOptions));
    for (const [part, to] of [
      ['nodemailerTo', `a@x.example${text}`],
      ['nodemailerFrom', 'joe@y.example'],
    ] as const) {
      const message = {
        getEnvelope: () => ({ from: part === 'nodemailerFrom' ? `a@x.example${text}` : 'ann@x.example', to: [to] }),
        messageId: () => '<1@x.example>',
        createReadStream: () => Readable.from([RAW]),
      };
      add(
        part,
        text,
        () =>
          new Promise((resolve, reject) =>
            riataTransport(mta).send({ data: {}, message }, (error, info) => (error ? reject(error) : resolve(info))),
          ),
      );
    }
  }
  return all;
}

test('no control character gets past any door, and nothing of what was tried is stored', async (t) => {
  const mta = await agent(t);
  const all = attempts(
    mta,
    BREAKS.flatMap((control) => TAILS.map((tail) => control + tail)),
  );
  for (const { name, hand } of all) {
    await assert.rejects(hand(), (error) => {
      assert.ok(error instanceof MtaError && error.issues.length > 0, `${name}: ${error}`);
      assert.doesNotMatch(error.message, /evil/, 'what was tried is not repeated');
      return true;
    });
  }
  t.diagnostic(`${all.length} attempts`);
  assert.ok(all.length > 2000);
  await mta.settle();
  assert.equal(mta.outbox.length, 0);
  for await (const { message } of mta.list()) assert.fail(`${message.id} was stored`);
});

test('what is disguised is refused or says what it says: no server is told of a recipient, and no message has a field, that was not asked for', {
  skip: noPython,
}, async (t) => {
  const mta = await agent(t);
  let taken = 0;
  let refused = 0;
  const arrived: { readonly name: string; readonly field: string; readonly bytes: Buffer }[] = [];
  const all = attempts(mta, DISGUISES);
  for (const { name, field, hand } of all) {
    mta.reset();
    try {
      await hand();
    } catch (error) {
      assert.ok(error instanceof MtaError, `${name}: ${error}`);
      refused++;
      continue;
    }
    taken++;
    await mta.settle();
    assert.ok(mta.outbox.length > 0, name);
    for (const { sender, recipients, bytes } of mta.outbox) {
      if (!OF_ADDRESSES.test(field) && !field.startsWith('queueTo'))
        for (const address of [sender, ...recipients]) assert.doesNotMatch(address, /@evil\.example$/, name);
      arrived.push({ name, field, bytes });
    }
  }
  t.diagnostic(`${taken} taken, ${refused} refused`);
  assert.ok(taken > 100 && refused > 100);
  const allowed =
    /^(?:received|date|from|to|cc|sender|reply-to|subject|message-id|in-reply-to|references|list-unsubscribe|list-unsubscribe-post|x-a|resent-to|mime-version|content-.*)$/;
  readByPython(arrived.map(({ bytes }) => bytes)).forEach((entity, i) => {
    const { name, field, bytes } = arrived[i]!;
    const fields = entity.headers.map(([one]) => one.toLowerCase());
    for (const one of fields) assert.match(one, allowed, name);
    assert.equal(new Set(fields).size, fields.length, `${name} doubled a field`);
    if (!OF_ADDRESSES.test(field))
      for (const { address } of Object.values(entity.mailboxes).flat()) assert.doesNotMatch(address, /@evil\.example$/, name);
    assert.doesNotMatch(bytes.toString('latin1'), /^(?:bcc|rcpt|evil)/im, name);
  });
});

test('content is content: commands, dots and headers in it reach nobody as such', { skip: noPython }, async (t) => {
  const mta = await agent(t);
  const smuggled = [
    '\r\n.\r\nMAIL FROM:<evil@evil.example>\r\nRCPT TO:<evil@evil.example>\r\nDATA\r\nSubject: second\r\n\r\nevil\r\n.\r\n',
    '\n.\nRCPT TO:<evil@evil.example>\n',
    '\r.\rRCPT TO:<evil@evil.example>\r',
    '\n\r.\r\nQUIT\r\n',
    '..\r\n.\r\n...\r\n',
    '\r\n\r\nBcc: evil@evil.example\r\n',
  ];
  for (const text of smuggled) {
    mta.reset();
    const transfer = { transferEncoding: 'quoted-printable' } as const;
    await mta.send({ ...LETTER, body: text });
    await mta.send({ ...LETTER, ...transfer, body: text });
    await mta.send({ ...LETTER, html: `<p>${text}` });
    await mta.send({ ...LETTER, attachments: [{ name: 'a.eml', data: `Subject: within\r\n\r\n${text}` }] });
    await mta.send({ ...LETTER, parts: [`Content-Type: text/plain\r\n\r\n${text}`] });
    await mta.queue({ ...ENVELOPE, data: `${RAW}${text}` });
    await mta.queue({ data: compose({ ...LETTER, body: text }) });
    await mta.settle();
    assert.equal(mta.outbox.length, 7, JSON.stringify(text));
    for (const { sender, recipients } of mta.outbox) assert.deepEqual([sender, recipients], ['ann@x.example', ['joe@y.example']]);
    const [plain] = readByPython(mta.outbox.map(({ bytes }) => bytes)) as readonly [ForeignEntity];
    assert.deepEqual([defects(plain), plain.text], [[], `${text.replace(/\r\n|\r|\n/g, '\r\n')}${/[\r\n]$/.test(text) ? '' : '\r\n'}`]);
  }
});
