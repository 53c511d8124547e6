/** Attacks through every field of every method, over the whole agent, judged by what servers were told and by what arrived. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { compose, MtaError, type QueueOptions, raw, type SendOptions } from '../../src/index.js';
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
  bounces: (text) => ({ bounces: `none${text}` }),
  expires: (text) => ({ expires: `2040-01-01T00:00:00Z${text}` }),
  notify: (text) => ({ dsn: { notify: [`failure${text}`] } }),
  ret: (text) => ({ dsn: { ret: `hdrs${text}` } }),
  dsnName: (text) => ({ dsn: { [`ret${text}`]: 'hdrs' } }),
  host: (text) => ({ host: `smtp.x.example${text}` }),
  hostLiteral: (text) => ({ host: `[2001:db8::1${text}]` }),
  port: (text) => ({ host: 'smtp.x.example', port: `25${text}` }),
  timeout: (text) => ({ host: 'smtp.x.example', timeout: `5${text}` }),
  ssl: (text) => ({ host: 'smtp.x.example', ssl: `starttls${text}` }),
  envelopeCc: (text) => ({ envelope: { to: 'a@x.example', cc: `b@x.example${text}` } }),
  envelopeBcc: (text) => ({ envelope: { bcc: [{ address: `b@x.example${text}` }] } }),
  envelopeName: (text) => ({ envelope: { [`to${text}`]: 'a@x.example' } }),
  tokenName: (text) => ({ tokens: { [`a${text}`]: 'x' } }),
  tokenInSubject: (text) => ({ subject: '#a#', tokens: { a: `v${text}` } }),
  rawTokenInSubject: (text) => ({ subject: '#a#', tokens: { a: raw(`v${text}`) } }),
  tokenInHeader: (text) => ({ extraMIMEHeaders: { 'X-A': '#a#' }, tokens: { a: `v${text}` } }),
  mergeAddress: (text) => ({ to: undefined, merge: { [`a@x.example${text}`]: {} } }),
  mergeAddressName: (text) => ({ to: undefined, merge: [[`N${text} <a@x.example>`, {}]] }),
  mergeName: (text) => ({ merge: { 'joe@y.example': { [`a${text}`]: 'x' } } }),
  mergeInSubject: (text) => ({ subject: 'to #a#', merge: { 'joe@y.example': { a: `v${text}` } } }),
  mergeOfNobody: (text) => ({
    to: undefined,
    merge: new Map([
      ['a@x.example', {}],
      [`b@x.example${text}`, {}],
    ]),
  }),
};
const OF_QUEUEING: Readonly<Record<string, (text: string) => object>> = {
  queueFrom: (text) => ({ from: `a@x.example${text}` }),
  queueTo: (text) => ({ recipients: [`a@x.example${text}`] }),
  queueToObject: (text) => ({ recipients: [{ address: `a@x.example${text}` }] }),
  queueEnvid: (text) => ({ dsn: { envid: `e${text}` } }),
  queueTag: (text) => ({ tags: `t${text}` }),
  queueKey: (text) => ({ idempotencyKey: `k${text}` }),
  queueHost: (text) => ({ host: `smtp.x.example${text}` }),
  queueTokenInSubject: (text) => ({ data: 'From: a@x.example\nSubject: #a#\n\nraw\n', tokens: { a: `v${text}` } }),
  queueTokenInHeader: (text) => ({ data: 'From: a@x.example\nX-A: #a#\nSubject: raw\n\nraw\n', tokens: { a: `v${text}` } }),
  queueMergeAddress: (text) => ({ recipients: undefined, merge: { [`a@x.example${text}`]: {} } }),
};
/** What is sent at once takes the same way, but for the queue. */
const AT_ONCE: Readonly<Record<string, (text: string) => object>> = {
  nowFrom: (text) => ({ from: `a@x.example${text}` }),
  nowTo: (text) => ({ to: [`a@x.example${text}`] }),
  nowHost: (text) => ({ host: `smtp.x.example${text}` }),
  nowTokenInSubject: (text) => ({ subject: '#a#', tokens: { a: `v${text}` } }),
  nowMergeAddress: (text) => ({ to: undefined, merge: { [`a@x.example${text}`]: {} } }),
};

/** Names that there are not are told, on one line. */
const OF_NAMES = /^(?:dsnName|envelopeName|tokenName|mergeName)$/;

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
    for (const [field, options] of Object.entries(AT_ONCE))
      add(field, text, () => mta.immediate({ ...LETTER, ...options(text) } as SendOptions));
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
  for (const { name, field, hand } of all) {
    await assert.rejects(
      hand(),
      (error) => {
        assert.ok(error instanceof MtaError && error.issues.length > 0, `${name}: ${error}`);
        if (!OF_NAMES.test(field)) assert.doesNotMatch(error.message, /evil/, `${name} is repeated`);
        assert.doesNotMatch(error.issues.map((issue) => issue.path + issue.message).join(), /[\p{Cc}\p{Zl}\p{Zp}]/u, name);
        return true;
      },
      name,
    );
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
    await mta.send({ ...LETTER, body: '#t#', html: '<p>#t#', ...transfer, tokens: { t: text } });
    await mta.send({ ...LETTER, body: '#t#', merge: { 'joe@y.example': { t: raw(text) } } });
    await mta.immediate({ ...LETTER, body: '#t#', tokens: { t: text } });
    await mta.settle();
    assert.equal(mta.outbox.length, 10, JSON.stringify(text));
    for (const { sender, recipients } of mta.outbox) assert.deepEqual([sender, recipients], ['ann@x.example', ['joe@y.example']]);
    const [plain] = readByPython(mta.outbox.map(({ bytes }) => bytes)) as readonly [ForeignEntity];
    assert.deepEqual([defects(plain), plain.text], [[], `${text.replace(/\r\n|\r|\n/g, '\r\n')}${/[\r\n]$/.test(text) ? '' : '\r\n'}`]);
  }
});

test('a login is octets for the server that asks for it, whatever it is made of, and no line of its own', async (t) => {
  const mta = await agent(t);
  const own = { host: 'smtp.x.example', ssl: 'starttls' } as const;
  for (const control of BREAKS) {
    for (const tail of TAILS) {
      const text = `ann${control}${tail}`;
      const names = JSON.stringify(text);
      for (const login of [
        { username: text, password: 'secret' },
        { username: 'ann', password: text },
      ]) {
        const sending = mta.send({ ...LETTER, ...own, ...login });
        // NUL is what divides name and password (RFC 4616).
        if (control === '\0') {
          await assert.rejects(sending, { code: 'INVALID_OPTIONS' }, names);
          continue;
        }
        mta.reset();
        const { id } = await sending;
        await mta.settle();
        assert.deepEqual(
          mta.outbox.map(({ sender, recipients, server }) => [sender, recipients, server]),
          [['ann@x.example', ['joe@y.example'], 'smtp.x.example']],
          names,
        );
        const said = (await mta.inspect(id))!.deliveries[0]!.log[0]!.transcript!;
        const commands = Array.from(said.matchAll(/^\d+ C: (\w+)/gm), ([, verb]) => verb).filter(
          (verb) => verb !== 'EHLO' && verb !== 'QUIT',
        );
        assert.deepEqual(
          commands.filter((verb) => verb === 'RCPT' || verb === 'MAIL' || verb === 'AUTH').sort(),
          ['AUTH', 'MAIL', 'RCPT'],
          `${names}\n${said}`,
        );
        assert.doesNotMatch(said, /evil/, names);
      }
    }
  }
});
