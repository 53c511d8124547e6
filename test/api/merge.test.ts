/** Merges through the API: who gets what, as Python's email package reads what arrived, and what is refused before anything is stored. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { compose, type MailAgent, type MtaError, raw, type SendOptions, type Tokens, token } from '../../src/index.js';
import { checkSpool } from '../../src/spool/level/check.js';
import { defects, header, noPython, readByPython } from '../compose/foreign-reader.js';
import { destination, temporaryFolder } from '../support/agent.js';
import { agentTo, ended } from './agent.js';

const LETTER = { from: 'Ann <ann@example.test>', subject: 'Hello #name#', body: 'Dear #name#,\nyour number is #number#.\n' } as const;
const JOE = 'joe@dest.test';
const SUE = 'sue@other.test';

/** What each recipient got, by address. */
function arrived(messages: readonly { readonly bytes: Buffer; readonly recipients: readonly string[] }[]) {
  const read = readByPython(messages.map(({ bytes }) => bytes));
  for (const { recipients } of messages) assert.equal(recipients.length, 1);
  return new Map(messages.map(({ recipients }, i) => [recipients[0]!, read[i]!]));
}

function refused(mta: MailAgent, options: Partial<SendOptions>, expected: Record<string, string>, code = 'INVALID_OPTIONS') {
  return assert.rejects(mta.send({ ...LETTER, ...options }), (error: MtaError) => {
    assert.deepEqual(Object.fromEntries(error.issues.map((issue) => [issue.path, issue.code])), expected);
    return error.code === code;
  });
}

describe('a merge', { skip: noPython }, () => {
  test('gives each recipient a copy of their own, and no copy knows of anybody else', async (t) => {
    const sink = await destination(t);
    const mta = await agentTo(t, sink);
    const sent = await mta.send({
      ...LETTER,
      to: `Joe Jörg <${JOE}>`,
      cc: SUE,
      bcc: 'bob@dest.test',
      html: '<p>Dear #name#, #note#</p>',
      tokens: { number: '0', note: raw('<b>bye</b>') },
      merge: { [JOE]: { name: 'Jörg & Söhne', number: '17' }, [SUE]: { name: 'Sue <sue>', note: 'a < b' }, 'bob@dest.test': {} },
    });
    assert.equal(sent.recipients, 3);
    assert.deepEqual(sent.unknownTokens, { name: 1 });
    await sink.received(3);
    const mails = arrived(sink.messages);
    for (const [address, mail] of mails) {
      assert.deepEqual(defects(mail), []);
      assert.deepEqual(mail.mailboxes['to'], [{ name: address === JOE ? 'Joe Jörg' : '', address }]);
      assert.equal(header(mail, 'Cc') ?? header(mail, 'Bcc'), undefined);
    }
    const [joe, sue, bob] = [JOE, SUE, 'bob@dest.test'].map((address) => mails.get(address)!);
    assert.equal(header(joe!, 'Subject'), 'Hello Jörg & Söhne');
    assert.equal(joe!.parts[0]!.text?.replaceAll('\r\n', '\n'), 'Dear Jörg & Söhne,\nyour number is 17.\n');
    assert.match(joe!.parts[1]!.text!, /<p>Dear Jörg &amp; Söhne, <b>bye<\/b><\/p>/);
    assert.match(sue!.parts[1]!.text!, /<p>Dear Sue &lt;sue&gt;, a &lt; b<\/p>/);
    assert.match(sue!.parts[0]!.text!, /your number is 0\./);
    assert.equal(header(bob!, 'Subject'), 'Hello #name#');
    const ids = [...mails.values()].map((mail) => header(mail, 'Message-ID'));
    assert.equal(new Set(ids).size, 3);
    assert.equal(header(joe!, 'Message-ID'), `<${sent.id}.0@${sent.messageId.split('@')[1]!.slice(0, -1)}>`);
    assert.equal(await ended(mta, sent.id), 'sent');
  });

  test('takes its recipients from the list where none is given: an object, a Map, pairs, and pairs that come as they may', async (t) => {
    const sink = await destination(t);
    const mta = await agentTo(t, sink);
    const pairs: readonly (readonly [string, Tokens])[] = [
      [`Joe <${JOE}>`, { name: 'Joe', number: '1' }],
      [SUE, { name: 'Sue', number: '2' }],
    ];
    const lists = {
      object: Object.fromEntries(pairs),
      map: new Map(pairs),
      array: pairs,
      generator: (function* () {
        yield* pairs;
      })(),
      readable: Readable.from(pairs) as AsyncIterable<(typeof pairs)[number]>,
    };
    for (const merge of Object.values(lists)) assert.equal((await mta.send({ ...LETTER, merge })).recipients, 2);
    const data = 'From: ann@example.test\r\nTo: #name# <everybody@example.test>\r\nSubject: #name#\r\n\r\n#number#\r\n';
    assert.equal((await mta.queue({ data, from: 'ann@example.test', merge: pairs })).recipients, 2);
    const composed = compose({ ...LETTER, to: `Jo <${JOE}>` });
    assert.equal((await mta.queue({ data: composed, merge: { 'JOE@Dest.Test': { name: 'x', number: 'y' } } })).recipients, 1);
    await sink.received(13);
    const read = readByPython(sink.messages.map(({ bytes }) => bytes));
    const told = read.map((mail) => `${mail.mailboxes['to']![0]!.name} <${mail.mailboxes['to']![0]!.address}>: ${header(mail, 'Subject')}`);
    const five = (line: string) => Array.from(Object.keys(lists), () => line);
    const rest = [` <${SUE}>: Sue`, `Jo <${JOE}>: Hello x`, `Joe <${JOE}>: Joe`];
    assert.deepEqual(told.sort(), [...five(`Joe <${JOE}>: Hello Joe`), ...five(` <${SUE}>: Hello Sue`), ...rest].sort());
  });

  test('tokens alone are for all: every recipient has a copy of their own', async (t) => {
    const sink = await destination(t);
    const mta = await agentTo(t, sink);
    const sent = await mta.send({ ...LETTER, to: [JOE, SUE], tokens: { name: 'all', number: '3' } });
    assert.deepEqual([sent.recipients, sent.unknownTokens], [2, {}]);
    await sink.received(2);
    for (const [address, mail] of arrived(sink.messages))
      assert.deepEqual([mail.mailboxes['to']![0]!.address, header(mail, 'Subject')], [address, 'Hello all']);
  });

  test('keys are matched without letter case only where that leaves no doubt', async (t) => {
    const sink = await destination(t);
    const mta = await agentTo(t, sink);
    await mta.send({
      ...LETTER,
      to: ['Joe@dest.test', 'joe@dest.test', 'Sue@dest.test'],
      merge: { 'joe@DEST.test': { name: 'exact' }, 'sue@dest.test': { name: 'folded' } },
    });
    await sink.received(3);
    const mails = arrived(sink.messages);
    assert.deepEqual(
      ['Joe@dest.test', 'joe@dest.test', 'Sue@dest.test'].map((address) => header(mails.get(address)!, 'Subject')),
      ['Hello #name#', 'Hello exact', 'Hello folded'],
    );
    await refused(
      mta,
      { to: ['Joe@dest.test', 'joe@dest.test'], merge: { 'JOE@dest.test': {} } },
      { 'merge[JOE@dest.test]': 'INVALID_VALUE' },
    );
  });

  test('markers stand where composing puts them: extra headers, names, long subjects, files', async (t) => {
    const sink = await destination(t);
    const mta = await agentTo(t, sink);
    await mta.send({
      from: `"${token('who')}" <ann@example.test>`,
      replyTo: 'reply+#number#@example.test',
      subject: `Grüße ${'sehr lang und weit '.repeat(6)}für #name# und #other#`,
      body: 'x'.repeat(200),
      html: `<a href="https://example.test/?n=#number#">${token('name')}</a>`,
      extraMIMEHeaders: { 'X-Number': '#number#' },
      listUnsubscribe: 'https://example.test/u?n=#number#',
      attachments: [{ name: 'a.txt', data: 'not #merged#' }],
      merge: { [JOE]: { who: 'Ann & Co., "Inc"', name: 'Jürgen', other: '日本', number: '12&3' } },
    });
    await sink.received(1);
    const mail = readByPython([sink.messages[0]!.bytes])[0]!;
    assert.deepEqual(defects(mail), []);
    assert.deepEqual(mail.mailboxes['from'], [{ name: 'Ann & Co., "Inc"', address: 'ann@example.test' }]);
    assert.equal(header(mail, 'Subject'), `Grüße ${'sehr lang und weit '.repeat(6)}für Jürgen und 日本`);
    assert.equal(header(mail, 'X-Number'), '12&3');
    assert.match(header(mail, 'List-Unsubscribe')!, /n=12%263>/);
    assert.equal(Buffer.from(mail.parts.at(-1)!.body!, 'base64').toString(), 'not #merged#');
  });

  test('a value can neither add a recipient, a header, a part nor a second message', async (t) => {
    const sink = await destination(t);
    const mta = await agentTo(t, sink);
    const evil = 'x\r\nBcc: eve@evil.test\r\n\r\n.\r\nMAIL FROM:<eve@evil.test>\r\n';
    await refused(
      mta,
      { merge: { [JOE]: { name: evil, number: '1' } } },
      { [`merge[${JOE}].name`]: 'HEADER_INJECTION' },
      'HEADER_INJECTION',
    );
    await refused(mta, { merge: { [`${JOE}\r\nBcc: eve@evil.test`]: {} } }, { 'merge[0]': 'HEADER_INJECTION' }, 'HEADER_INJECTION');
    await refused(
      mta,
      { merge: { [`${JOE}, eve@evil.test`]: {} } },
      { [`merge[${JOE}, eve@evil.test]`]: 'INVALID_ADDRESS' },
      'INVALID_ADDRESS',
    );
    await mta.send({ ...LETTER, subject: 'plain', merge: { [JOE]: { name: evil, number: '\r\n.\r\n--boundary--' } } });
    await sink.received(1);
    assert.deepEqual(sink.violations, []);
    assert.equal(sink.messages.length, 1);
    const mail = readByPython([sink.messages[0]!.bytes])[0]!;
    assert.deepEqual([defects(mail), header(mail, 'Bcc')], [[], undefined]);
    assert.ok(mail.text!.includes('MAIL FROM:<eve@evil.test>'));
  });
});

describe('a merge to many', () => {
  test('stores one message and one body, and shows a page of it', async (t) => {
    const path = await temporaryFolder(t);
    const mta = await agentTo(t, { port: 1 }, { spool: { path } });
    const COUNT = 5000;
    const merge = (async function* (): AsyncGenerator<[string, Tokens]> {
      for (let i = 0; i < COUNT; i++) yield [`user${i}@dest${i % 50}.test`, { name: `Nr. ${i}`, number: String(i) }];
    })();
    const { id, recipients } = await mta.send({ ...LETTER, html: `<p>${'x'.repeat(8000)}</p>`, merge, delay: 3600 });
    assert.equal(recipients, COUNT);
    const view = await mta.inspect(id);
    assert.deepEqual([view?.deliveries.length, view?.tally?.queued], [1000, COUNT]);
    const last = await mta.inspect(id, { limit: 10, after: String(COUNT - 6) });
    assert.deepEqual([last?.deliveries.length, last?.next], [5, undefined]);
    await assert.rejects(mta.inspect(id, { limit: 1001 }), { code: 'INVALID_OPTIONS' });
    let listed = 0;
    for await (const { message } of mta.list({ id })) if (message.id === id) listed++;
    assert.equal(listed, COUNT);
    await mta.close();
    const report = await checkSpool(path);
    assert.deepEqual([report.messages, report.deliveries, report.problems], [1, COUNT, []]);
    // One body, whatever it has; not five thousand.
    assert.ok(report.bodyBytes + report.bodyFiles < 20_000, `${report.bodyBytes} octets of bodies`);
  });
});

describe('a merge that is refused', () => {
  test('names everything that is wrong, by recipient, and stores nothing', async (t) => {
    const sink = await destination(t);
    const mta = await agentTo(t, sink);
    await refused(
      mta,
      {
        characterSet: 'iso-8859-1',
        merge: {
          [JOE]: { name: 'ok', number: '日' },
          [SUE]: { name: 'a\nb' },
          nonsense: {},
          'x@y.test': { name: 5 as never },
          'y@y.test': { '1st': 'no name' },
          'z@y.test': null as never,
        },
      },
      {
        [`merge[${JOE}].number`]: 'UNENCODABLE',
        [`merge[${SUE}].name`]: 'HEADER_INJECTION',
        'merge[nonsense]': 'INVALID_ADDRESS',
        'merge[x@y.test].name': 'WRONG_TYPE',
        'merge[y@y.test].1st': 'INVALID_VALUE',
        'merge[z@y.test]': 'WRONG_TYPE',
      },
    );
    await refused(mta, { to: JOE, merge: { [SUE]: {} } }, { [`merge[${SUE}]`]: 'INVALID_VALUE' });
    await refused(
      mta,
      {
        merge: [
          [JOE, {}],
          ['JOE@dest.test', {}],
          ['joe@DEST.test', {}],
        ],
      },
      { 'merge[joe@DEST.test]': 'DUPLICATE' },
    );
    await refused(mta, { merge: {} }, { merge: 'MISSING_FIELD' });
    await refused(mta, { merge: 'joe' as never }, { merge: 'WRONG_TYPE' });
    await refused(mta, { merge: [[JOE]] as never }, { 'merge[0]': 'WRONG_TYPE' });
    await refused(mta, { tokens: { 'a b': 'x' }, to: JOE }, { 'tokens.a b': 'INVALID_VALUE' });
    await refused(mta, { tokens: { name: 'x'.repeat(1024 * 1024 + 1) }, to: JOE }, { tokens: 'OUT_OF_RANGE' });
    for await (const entry of mta.list()) assert.fail(entry.message.id);
    assert.equal(sink.messages.length, 0);
  });

  test('tells of a hundred faults and no more, and does not read on', async (t) => {
    const mta = await agentTo(t, await destination(t));
    let given = 0;
    const merge = (function* (): Generator<[string, Record<string, string>]> {
      for (;;) yield [`nobody ${given++}`, {}];
    })();
    await assert.rejects(mta.send({ ...LETTER, merge }), (error: MtaError) => error.issues.length === 100);
    assert.equal(given, 100);
  });

  test('a copy that would be too large is found before anything is stored', async (t) => {
    const mta = await agentTo(t, await destination(t), { spool: { maxMessageSize: '64KiB' } });
    const merge = { [JOE]: { name: 'Joe', number: 'x'.repeat(64 * 1024) }, [SUE]: { name: 'Sue' } };
    await refused(mta, { merge }, { [`merge[${JOE}].size`]: 'MESSAGE_TOO_LARGE' }, 'MESSAGE_TOO_LARGE');
  });

  test('what the list throws is told as its fault, and a signal gives it up', async (t) => {
    const mta = await agentTo(t, await destination(t));
    let closed = false;
    const broken = (async function* (): AsyncGenerator<[string, Record<string, string>]> {
      yield [JOE, {}];
      throw new Error('the database is away');
    })();
    await assert.rejects(mta.send({ ...LETTER, merge: broken }), { code: 'INVALID_OPTIONS', message: /the database is away/ });
    const given = new AbortController();
    const endless = (async function* (): AsyncGenerator<[string, Record<string, string>]> {
      try {
        yield [JOE, {}];
        given.abort();
        yield [SUE, {}];
      } finally {
        closed = true;
      }
    })();
    await assert.rejects(mta.send({ ...LETTER, merge: endless, signal: given.signal }), { code: 'ABORTED' });
    assert.ok(closed);
    for await (const entry of mta.list()) assert.fail(entry.message.id);
  });
});

describe('a merge under an idempotency key', () => {
  test('is taken once; another list is another message', async (t) => {
    const sink = await destination(t);
    const mta = await agentTo(t, sink);
    const options = {
      ...LETTER,
      idempotencyKey: 'spring',
      merge: { [JOE]: { name: 'Joe', number: '1' }, [SUE]: { name: 'Sue', number: '2' } },
    };
    const [one, two] = await Promise.all([mta.send(options), mta.send(options)]);
    assert.equal(one.id, two.id);
    assert.equal((await mta.send(options)).recipients, 2);
    await assert.rejects(mta.send({ ...options, merge: { [JOE]: { name: 'Joe', number: '2' }, [SUE]: { name: 'Sue', number: '2' } } }), {
      code: 'IDEMPOTENCY_CONFLICT',
    });
    await assert.rejects(mta.send({ ...options, tokens: { x: 'y' } }), { code: 'IDEMPOTENCY_CONFLICT' });
    await sink.received(2);
    assert.equal(sink.messages.length, 2);
  });
});

describe('a copy that fails', () => {
  test('is reported as the copy that it is, and each copy has a status of its own', async (t) => {
    const sink = await destination(t, {
      script: ({ verb, argument }) => (verb === 'RCPT' && argument.includes(SUE) ? '550 5.1.1 nobody' : undefined),
    });
    const mta = await agentTo(t, sink);
    const sent = await mta.send({ ...LETTER, merge: { [JOE]: { name: 'Joe', number: '1' }, [SUE]: { name: 'Sünje', number: '2' } } });
    await sink.received(2);
    const report = sink.messages.find(({ sender }) => sender === '')!.bytes.toString();
    assert.ok(report.includes(`In-Reply-To: <${sent.id}.1@`));
    assert.ok(report.includes(`Message-ID: <${sent.id}.1@`));
    assert.ok(!report.includes('#name#') && !report.includes(JOE));
    assert.match(report, /Subject: Hello =\?utf-8\?/i);
    assert.equal(await ended(mta, sent.id), 'error');
    const view = await mta.inspect(sent.id);
    assert.deepEqual(view?.tally, { queued: 0, delivered: 1, bounced: 1, expired: 0, removed: 0 });
    assert.deepEqual(
      view.deliveries.map(({ recipients }) => recipients[0]!.state),
      ['delivered', 'bounced'],
    );
  });

  test('is tried again until it arrives, also after a restart, and is the copy that it was', async (t) => {
    let dots = 0;
    const sink = await destination(t, { script: ({ verb }) => (verb === 'DOT' && ++dots <= 2 ? '451 4.3.0 later' : undefined) });
    const folder = await temporaryFolder(t);
    const first = await agentTo(t, sink, { spool: folder, retry: { firstDelay: '50ms', maxDelay: '50ms' } });
    const { id } = await first.send({ ...LETTER, html: '<p>#name#</p>', merge: { [JOE]: { name: 'Jörg', number: '1' } } });
    await first.close();
    const second = await agentTo(t, sink, { spool: folder, retry: { firstDelay: '50ms', maxDelay: '50ms' } });
    assert.equal(await ended(second, id), 'sent');
    assert.equal(sink.messages.length, 1);
    const mail = readByPython([sink.messages[0]!.bytes])[0]!;
    assert.ok(header(mail, 'Message-ID')?.startsWith(`<${id}.0@`));
    assert.deepEqual([header(mail, 'Subject'), mail.parts[1]!.text?.trim()], ['Hello Jörg', '<p>Jörg</p>']);
  });
});
