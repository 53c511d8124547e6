/** Any options that are wrong at the same time are named at the same time, and no others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compose, type MailAgent, MtaError, type QueueOptions, type SendOptions } from '../../src/index.js';
import { createTestMta } from '../../src/testing/index.js';
import { atEnd, type Scope } from '../support/scope.js';
import { createSeededRandom } from '../support/seeded-random.js';

type Options = Record<string, unknown>;

/** What is done to options that are right, and the paths that an error must name then. */
interface Fault {
  readonly do: (options: Options) => void;
  readonly named: readonly string[];
}

const set = (change: Options, ...named: string[]): Fault => ({ do: (options) => Object.assign(options, change), named });
const without = (name: string, ...named: string[]): Fault => ({ do: (options) => delete options[name], named });

const LETTER: Options = {
  from: 'Ann <ann@x.example>',
  to: 'Joe <joe@y.example>, sue@y.example',
  sender: 'office@x.example',
  replyTo: [{ name: 'Ann', address: 'ann@x.example' }],
  subject: 'A letter',
  body: 'Hello.\n',
  attachments: [{ name: 'a.txt', data: 'a' }],
  extraMIMEHeaders: { 'X-A': 'a' },
  messageId: '<1@x.example>',
  host: 'smtp.x.example',
  username: 'ann',
  password: 'secret',
  priority: 'high',
  date: '2030-01-01T00:00:00Z',
  expires: '2031-01-01T00:00:00Z',
  tags: ['a'],
};

/** What is said of how it is sent, by `send` and `queue` alike. Of each group at most one is done. */
const OF_DELIVERY: readonly (readonly Fault[])[] = [
  [set({ priority: 'urgent' }, 'priority'), set({ priority: 3 }, 'priority')],
  [set({ bounces: 'some' }, 'bounces')],
  [set({ requireTls: 'yes' }, 'requireTls')],
  [set({ expires: 'soon' }, 'expires'), set({ expires: '2001-01-01T00:00:00Z' }, 'expires')],
  [set({ tags: ['a', '', 7] }, 'tags[1]', 'tags[2]'), set({ tags: 7 }, 'tags')],
  [set({ dsn: 'all' }, 'dsn'), set({ dsn: { notify: 'x', ret: 'y', envid: 'ü' } }, 'dsn.notify', 'dsn.ret', 'dsn.envid')],
  [without('host', 'host'), set({ host: 'a b' }, 'host'), set({ host: 7 }, 'host')],
  [without('username', 'username'), without('password', 'password'), set({ username: '', password: 7 }, 'username', 'password')],
  [set({ port: 0 }, 'port'), set({ port: '25' }, 'port')],
  [set({ timeout: -1 }, 'timeout')],
  [set({ ssl: 'yes' }, 'ssl')],
  [set({ idempotencyKey: 7 }, 'idempotencyKey'), set({ idempotencyKey: 'ü' }, 'idempotencyKey')],
  [set({ signal: 'stop' }, 'signal')],
  [set({ immediate: 'now' }, 'immediate')],
  [set({ tokens: 'a' }, 'tokens'), set({ tokens: { a: 7 } }, 'tokens.a')],
  [set({ attachements: [] }, 'attachements')],
  [set({ mergee: 1 }, 'mergee'), set({ hosts: ['a'], retries: 3 }, 'hosts', 'retries')],
];

const OF_SENDING: readonly (readonly Fault[])[] = [
  ...OF_DELIVERY,
  [without('from', 'from'), set({ from: '' }, 'from'), set({ from: 'x' }, 'from'), set({ from: ['a@x.example', 7] }, 'from[1]')],
  // Whoever cannot be read is somebody: there is no missing recipient beside them.
  [
    without('to', 'to'),
    set({ to: 'joe@' }, 'to'),
    set({ to: [] }, 'to'),
    set({ to: null }, 'to'),
    set({ to: undefined, cc: '@' }, 'cc'),
    set({ to: 7, cc: 7, bcc: 'a\nb' }, 'to', 'cc', 'bcc'),
    set({ to: undefined, envelope: { to: 'x' } }, 'envelope.to'),
    set({ envelope: { from: 'x', to: [], too: 'y' } }, 'envelope.from', 'envelope.too'),
    set({ to: undefined, merge: 7 }, 'merge'),
    set({ merge: 7 }, 'merge'),
  ],
  [set({ sender: 'a@x.example, b@x.example' }, 'sender'), set({ sender: 7 }, 'sender')],
  [set({ replyTo: { name: 'Ann\n', address: 'ann' } }, 'replyTo.name', 'replyTo.address')],
  [set({ returnPath: 'x' }, 'returnPath')],
  [without('subject', 'subject'), set({ subject: 'a\r\nBcc: b@x.example' }, 'subject'), set({ subject: 7 }, 'subject')],
  [
    without('body', 'body'),
    set({ body: 7 }, 'body'),
    set({ body: 7, html: 7 }, 'body', 'html'),
    set({ htmlImages: ['a.png'] }, 'htmlImages'),
  ],
  [set({ simpleForm: 'yes' }, 'simpleForm')],
  [
    set({ attachments: [{ name: 'a', data: 7 }, '/no/such/file'] }, 'attachments[0].data', 'attachments[1]'),
    set({ attachments: ['/no/such/file', { path: '/nor/this/one' }] }, 'attachments[0]', 'attachments[1]'),
    set({ attachments: 7, attachment: '/no/such/file' }, 'attachments', 'attachment'),
  ],
  [set({ calendar: 7 }, 'calendar')],
  [set({ parts: [7, 'no header'] }, 'parts[0]', 'parts[1]')],
  [set({ contentType: 'text' }, 'contentType')],
  [set({ characterSet: 'klingon' }, 'characterSet')],
  [set({ transferEncoding: 'uuencode' }, 'transferEncoding')],
  [set({ contentDisposition: '' }, 'contentDisposition')],
  [set({ headerType: '?' }, 'headerType')],
  [
    set(
      { extraMIMEHeaders: [['X-A', 'a\nb'], 7, ['Bcc', 'x']] },
      'extraMIMEHeaders[0][1]',
      'extraMIMEHeaders[1]',
      'extraMIMEHeaders[2][0]',
    ),
  ],
  [set({ date: 'soon' }, 'date'), set({ delay: 1 }, 'delay')],
  [set({ messageId: 'a b' }, 'messageId')],
  [set({ inReplyTo: 7 }, 'inReplyTo')],
  [set({ references: ['<a@b>', 'x'] }, 'references[1]')],
  [set({ listUnsubscribe: {} }, 'listUnsubscribe'), set({ listUnsubscribe: { url: 'ftp://x' } }, 'listUnsubscribe.url')],
];

const RAW: Options = {
  data: 'Subject: x\n\ny\n',
  from: 'ann@x.example',
  recipients: ['joe@y.example'],
  ...Object.fromEntries(['host', 'username', 'password', 'priority', 'date', 'expires', 'tags'].map((name) => [name, LETTER[name]])),
};

const OF_QUEUEING: readonly (readonly Fault[])[] = [
  ...OF_DELIVERY,
  [without('data', 'data'), set({ data: 7 }, 'data'), set({ data: Buffer }, 'data')],
  [without('from', 'from'), set({ from: 'Ann <ann@x.example>' }, 'from')],
  [
    without('recipients', 'recipients'),
    set({ recipients: [] }, 'recipients'),
    set({ recipients: ['a', 7] }, 'recipients[0]', 'recipients[1]'),
    set({ recipients: undefined, merge: 7 }, 'merge'),
  ],
  [set({ date: 'soon' }, 'date'), set({ delay: 1 }, 'delay')],
  [set({ subject: 'x' }, 'subject')],
];

async function agent(scope: Scope): Promise<MailAgent> {
  const mta = await createTestMta();
  atEnd(scope, () => mta.close());
  return mta;
}

const SEED = 20261130;
const ROUNDS = 1500;

/** Each fault alone, each pair of neighbours, all of the first at once, and then by lot. */
function* choices(groups: readonly (readonly Fault[])[]): Generator<readonly Fault[]> {
  for (const faults of groups) for (const fault of faults) yield [fault];
  yield groups.map((faults) => faults[0]!);
  const random = createSeededRandom(SEED);
  const draw = (below: number) => {
    const bytes = Buffer.alloc(4);
    random.fill(bytes);
    return bytes.readUInt32BE() % below;
  };
  for (let round = 0; round < ROUNDS; round++) {
    const left = [...groups];
    yield Array.from({ length: 2 + draw(groups.length - 2) }, () => {
      const [faults] = left.splice(draw(left.length), 1);
      return faults![draw(faults!.length)]!;
    });
  }
}

async function checkAll(
  valid: Options,
  groups: readonly (readonly Fault[])[],
  hand: (options: Options) => Promise<unknown>,
): Promise<void> {
  for (const faults of choices(groups)) {
    const options = { ...valid };
    for (const fault of faults) fault.do(options);
    const shown = JSON.stringify(options);
    await assert.rejects(hand(options), (error) => {
      assert.ok(error instanceof MtaError, `${shown}: ${error}`);
      assert.deepEqual(
        error.issues.map(({ path }) => path).sort(),
        faults.flatMap(({ named }) => named).sort(),
        `${shown}\n${error.message}`,
      );
      return true;
    });
  }
}

test('every option of send that is wrong is named in one error, whichever they are', { timeout: 120_000 }, async (t) => {
  const mta = await agent(t);
  await mta.send(LETTER as unknown as SendOptions);
  await mta.remove({ all: true });
  await checkAll(LETTER, OF_SENDING, (options) => mta.send(options as unknown as SendOptions));
  for await (const { message } of mta.list()) assert.fail(`${message.id} was stored`);
});

test('every option of queue that is wrong is named in one error, whichever they are', { timeout: 120_000 }, async (t) => {
  const mta = await agent(t);
  await mta.queue(RAW as unknown as QueueOptions);
  await mta.remove({ all: true });
  await checkAll(RAW, OF_QUEUEING, (options) => mta.queue(options as unknown as QueueOptions));
  for await (const { message } of mta.list()) assert.fail(`${message.id} was stored`);
});

test('what shows only when texts and files are looked at is named beside what is wrong with the options', async (t) => {
  const mta = await agent(t);
  const letter = {
    from: 'a@x.example',
    to: 'b@y.example',
    subject: 'x',
    characterSet: 'iso-8859-1',
    body: '→',
    attachments: ['/no/such/file'],
  };
  const named = (work: Promise<unknown>) =>
    work.then(
      () => assert.fail('it was not refused'),
      (error: MtaError) => error.issues.map(({ path }) => path).sort(),
    );
  assert.deepEqual(await named(mta.send({ ...letter, priority: 'urgent' as 'high' })), ['attachments[0]', 'body', 'priority']);
  assert.deepEqual(await named(mta.immediate({ ...letter, timeout: -1 })), ['attachments[0]', 'body', 'timeout']);
  assert.deepEqual(await named(mta.queue({ data: compose(letter), recipients: 'b@' })), ['attachments[0]', 'body', 'recipients']);
});
