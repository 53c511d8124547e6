/** A message on its way to another process: everything that was said of it arrives there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type QueueOptions, readQueue } from '../../src/api/hand-in.js';
import { fromHead, toHead, toRows } from '../../src/api/taking-over.js';
import type { HandInRequest } from '../../src/control/types.js';

const NOW = Date.UTC(2026, 0, 2);
const READING = { clock: { now: () => NOW }, maxRecipients: 3 };
const PLAIN: QueueOptions = { data: 'Subject: x\r\n\r\ny', from: 'a@b.test', recipients: ['c@d.test', '"odd, one"@d.test', 'ünï@d.test'] };
const WHOLE: QueueOptions = {
  ...PLAIN,
  from: '',
  priority: 'High',
  date: NOW + 60_000,
  expires: NOW + 3_600_000,
  bounces: 'none',
  requireTls: true,
  dsn: { notify: ['failure', 'delay'], ret: 'hdrs', envid: 'q 1' },
  tags: ['one', 'two, three'],
  host: '2001:db8::1',
  port: 2525,
  username: 'näme',
  password: 'p"w\n',
  timeout: 7.5,
  ssl: 'starttls',
  idempotencyKey: 'once "upon"',
};

async function* chunks(): AsyncGenerator<Buffer> {
  yield Buffer.from('Subject: x\r\n\r\n');
  yield Buffer.from('y');
}

/** As it comes out of the other end of a socket. */
function sent(head: HandInRequest): HandInRequest {
  return JSON.parse(JSON.stringify(head)) as HandInRequest;
}

for (const [what, options] of Object.entries({ plain: PLAIN, whole: WHOLE, implicit: { ...PLAIN, host: 'mx.test', ssl: true } }))
  test(`nothing of a message is lost on the way to another process: ${what}`, async () => {
    const handed = readQueue(options, READING);
    const arrived = fromHead(
      sent(toHead({ ...handed, content: { ...handed.content, chance: ['drawn'] } })),
      { content: chunks() },
      undefined,
      READING,
    );
    assert.deepEqual(arrived.envelope, handed.envelope);
    assert.deepEqual([arrived.key, arrived.content.chance], [handed.key, ['drawn']]);
    const read: Buffer[] = [];
    for await (const chunk of arrived.content.chunks()) read.push(chunk);
    assert.equal(Buffer.concat(read).toString(), PLAIN.data);
  });

test('a merge goes over whole: values for all, recipients by name, and each row', async () => {
  const rows: [string, Record<string, string | { raw: string }>][] = [
    ['c@d.test', { name: 'Cay', link: { raw: '<b>' } }],
    ['Eve <e@f.test>', {}],
  ];
  const merge: QueueOptions = {
    data: 'Subject: #name#\r\n\r\ny',
    from: 'a@b.test',
    recipients: ['"Comma, \\"Ann" <c@d.test>', 'e@f.test'],
    tokens: { name: 'you' },
    dsn: { notify: 'never' },
    merge: rows,
  };
  const handed = readQueue(merge, READING);
  const lines: unknown[] = [];
  for await (const row of toRows(handed)!) lines.push(JSON.parse(JSON.stringify(row)));
  async function* each() {
    yield* lines;
  }
  const arrived = fromHead(sent(toHead(handed)), { content: chunks(), rows: each() }, undefined, READING);
  const { rows: mine, ...rest } = handed.merge!;
  const { rows: theirs, ...others } = arrived.merge!;
  assert.deepEqual(others, rest);
  assert.deepEqual(others.recipients![0], { address: 'c@d.test', name: 'Comma, "Ann' });
  const read = async (all: AsyncIterable<unknown>) => {
    const found: unknown[] = [];
    for await (const row of all) found.push(row);
    return found;
  };
  assert.deepEqual(await read(theirs(undefined)), await read(mine(undefined)));
});

test('nobody is believed: what comes over is read as if it were said here', () => {
  const wrong = {
    options: { from: 'no address', recipients: 'a@b.test, c@d.test, e@f.test, g@h.test', data: 'mine', path: '/etc/passwd' },
  };
  assert.throws(
    () => fromHead(wrong, { content: chunks() }, undefined, READING),
    (error: { issues: { path: string }[] }) => {
      assert.deepEqual(error.issues.map(({ path }) => path).sort(), ['from', 'path', 'recipients']);
      return true;
    },
  );
});
