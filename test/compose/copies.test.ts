import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createCopies } from '../../src/compose/merge/copies.js';
import type { Body, MergeCopy, Message } from '../../src/core/message.js';
import { message, nextId, recipient } from '../support/mail.js';

const TEMPLATE =
  'From: a@example.com\r\nTo: #name# <list@example.com>\r\nMessage-ID: <all@mail.example.com>\r\nSubject: Hi #name#\r\n\r\n#text# for #name#\r\n';

function merge(defaults: Record<string, string> = {}): Message {
  return message({ acceptedAt: 0, messageId: '<all@mail.example.com>', merge: { defaults } });
}

function delivery(of: Message, n: number, address = `user${n}@example.net`) {
  return { key: `${of.id}.${n}`, message: of, recipients: [recipient(address)] };
}

function source(templates: ReadonlyMap<string, string>, copyOf: (key: string) => MergeCopy | undefined) {
  const read: string[] = [];
  return {
    read,
    async readBody(id: string): Promise<Body | undefined> {
      read.push(id);
      const text = templates.get(id);
      return text === undefined ? undefined : { kind: 'bytes', bytes: Buffer.from(text) };
    },
    copy: async (key: string) => copyOf(key),
  };
}

async function text(body: Body): Promise<string> {
  if (body.kind === 'bytes') return body.bytes.toString();
  const chunks: Buffer[] = [];
  for await (const chunk of body.open()) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('copies of a merge', () => {
  test('each is written for its recipient: values over defaults, a To and a Message-ID of its own, and facts of its own', async () => {
    const of = merge({ name: 'friend', text: 'news' });
    const copies = createCopies(
      source(new Map([[of.id, TEMPLATE]]), (key) => (key.endsWith('.1') ? { values: { name: 'Jörg' }, name: 'Jörg J.' } : { values: {} })),
    );
    const plain = await copies.body(delivery(of, 0));
    assert.equal(
      await text(plain),
      `From: a@example.com\r\nTo: user0@example.net\r\nMessage-ID: <${of.id}.0@mail.example.com>\r\nSubject: Hi friend\r\n\r\nnews for friend\r\n`,
    );
    assert.deepEqual(plain.content, { eightBit: false, dotted: false, utf8Headers: false });
    const other = await text(await copies.body(delivery(of, 1)));
    assert.match(other, /^To: =\?utf-8\?.*\?= <user1@example\.net>\r$/im);
    assert.ok(other.includes(`Message-ID: <${of.id}.1@mail.example.com>\r\n`));
    assert.equal(await text(await copies.body(delivery(of, 1))), other);
  });

  test('the template is read once for all of its copies', async () => {
    const of = merge();
    const from = source(new Map([[of.id, TEMPLATE]]), () => ({ values: {} }));
    const copies = createCopies(from);
    await Promise.all([0, 1, 2].map((n) => copies.body(delivery(of, n))));
    await copies.body(delivery(of, 3));
    assert.deepEqual(from.read, [of.id]);
  });

  test('so many octets of templates are kept and no more; what was used last stays longest', async () => {
    const all = [merge(), merge(), merge()];
    const [one, two, three] = all as [Message, Message, Message];
    const from = source(new Map(all.map(({ id }) => [id, TEMPLATE])), () => ({ values: {} }));
    const copies = createCopies(from, TEMPLATE.length * 2);
    for (const of of [one, two, one, three, one, two]) await copies.body(delivery(of, 0));
    assert.deepEqual(from.read, [one.id, two.id, three.id, two.id]);
  });

  test('a template that is larger than all that is kept is kept while it is used alone', async () => {
    const of = merge();
    const from = source(new Map([[of.id, TEMPLATE]]), () => ({ values: {} }));
    const copies = createCopies(from, 10);
    await copies.body(delivery(of, 0));
    await copies.body(delivery(of, 1));
    assert.deepEqual(from.read, [of.id]);
  });

  test('a template that could not be read is read again', async () => {
    const of = merge();
    let broken = true;
    const from = source(new Map([[of.id, TEMPLATE]]), () => ({ values: {} }));
    const copies = createCopies({
      ...from,
      readBody: (id) => (broken ? Promise.reject(new Error('away')) : from.readBody(id)),
    });
    await assert.rejects(copies.body(delivery(of, 0)), /away/);
    broken = false;
    assert.match(await text(await copies.body(delivery(of, 0))), /Subject/);
  });

  test('what is done has no copy any more', async () => {
    const of = merge();
    const copies = createCopies(source(new Map([[of.id, TEMPLATE]]), () => undefined));
    await assert.rejects(copies.body(delivery(of, 0)), { code: 'NOT_FOUND' });
    const gone = message({ acceptedAt: 0, id: nextId(), merge: { defaults: {} } });
    await assert.rejects(copies.body(delivery(gone, 0)), { code: 'NOT_FOUND' });
  });
});
