/** Templates and their lists on the way in. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RawRow } from '../../src/compose/merge/rows.js';
import { domainOf } from '../../src/core/address.js';
import type { MtaError } from '../../src/core/errors.js';
import type { MailEvent } from '../../src/core/event.js';
import { createMergeIntake } from '../../src/intake/merge.js';
import type { MergeEnvelope } from '../../src/intake/submission.js';
import { createMemorySpool } from '../../src/spool/memory.js';
import { nextId } from '../support/mail.js';
import { createVirtualClock } from '../support/virtual-clock.js';

const TEMPLATE = 'Subject: Hi #name#\r\nBcc: eve@example.test\r\n\r\n#text# and #more#\r\n';
const MIB = 1024 * 1024;

async function open(maxMessageSizeBytes = MIB) {
  const clock = createVirtualClock();
  const spool = await createMemorySpool({ clock, promoteAfterMs: 1, historyRetentionMs: 1, inlineLimitBytes: 16 * 1024 });
  const events: MailEvent[] = [];
  let full = false;
  const intake = createMergeIntake({
    spool: {
      closedFor: () => (full ? 'SPOOL_FULL' : undefined),
      writeBody: (about) => spool.writeBody(about),
      accept: (entry) => spool.accept(entry),
      acceptMerge: (entry) => spool.acceptMerge(entry),
    },
    clock,
    newId: nextId,
    hostname: 'mx.test',
    maxMessageSizeBytes,
    maxReceived: 50,
    expiryMs: 86_400_000,
    laneOf: (recipient) => `mx:${domainOf(recipient)}`,
    ownServer: ({ host, port }) => ({ lane: `host:${host}:${port}:o1`, about: 'sealed' }),
    emit: (event) => void events.push(event),
  });
  const fill = () => {
    full = true;
  };
  const deliveries = async () => (await spool.list({}, { limit: 5000 })).items;
  return { spool, intake, events, fill, deliveries };
}

const ENVELOPE: MergeEnvelope = {
  sender: 'ann@example.test',
  smtpUtf8: false,
  requireTls: false,
  origin: { kind: 'api' },
  priority: 'low',
  notBefore: 0,
  bounces: 'mail',
  received: '',
  defaults: {},
};

async function* list(count: number, each: (i: number) => void = () => {}): AsyncGenerator<RawRow> {
  for (let i = 0; i < count; i++) {
    each(i);
    yield { to: `user${i}@dest${i % 3}.test`, values: { name: `Nr. ${i}`, unused: 'x'.repeat(100) } };
  }
}

function isRefused(code: string, what: RegExp) {
  return (error: MtaError) => error.code === code && what.test(error.message);
}

describe('a merge on its way in', () => {
  test('is one message: trace, Date and Message-ID are put in, Bcc is taken out, and what has no use is not kept', async () => {
    const { intake, spool, events, deliveries } = await open();
    const submission = intake.beginMerge({
      ...ENVELOPE,
      defaults: { text: 'Hello', nothing: 'of use' },
      tags: ['spring'],
      notify: ['failure'],
    });
    await submission.write(Buffer.from(TEMPLATE));
    const merged = await submission.finish(list(3));
    assert.deepEqual([merged.recipients, merged.unknownTokens], [3, { more: 3 }]);
    const { items } = await spool.list({}, { limit: 10 });
    assert.equal(spool.counts().messages, 1);
    assert.deepEqual((await spool.inspect(merged.id))?.message.merge, { defaults: { text: 'Hello' } });
    assert.deepEqual(
      items.map(({ delivery }) => delivery.recipients),
      [
        [{ address: 'user0@dest0.test', state: 'queued', notify: ['failure'] }],
        [{ address: 'user1@dest1.test', state: 'queued', notify: ['failure'] }],
        [{ address: 'user2@dest2.test', state: 'queued', notify: ['failure'] }],
      ],
    );
    assert.deepEqual(await spool.copy(`${merged.id}.1`), { values: { name: 'Nr. 1' } });
    const body = await spool.readBody(merged.id);
    assert.ok(body?.kind === 'bytes');
    assert.match(
      body.bytes.toString(),
      /^Subject: Hi #name#\r\nDate: [^\r]+\r\nFrom: ann@example\.test\r\nMessage-ID: <[^>]+@mx\.test>\r\n\r\n/,
    );
    assert.equal(merged.sizeBytes, body.bytes.length);
    assert.deepEqual((await deliveries())[0]?.message.tags, ['spring']);
    const told = events.map((event) => event.type === 'accepted' && [event.id, event.recipients, event.origin]);
    assert.deepEqual(told, [[merged.id, 3, 'api']]);
  });

  test('goes by the server that it brought along, every copy of it', async () => {
    const { intake, spool, deliveries } = await open();
    const submission = intake.beginMerge({ ...ENVELOPE, server: { host: 'mx.own.test', port: 25, tls: 'opportunistic' } });
    await submission.write(Buffer.from(TEMPLATE));
    await submission.finish(list(4));
    assert.deepEqual([...new Set((await deliveries()).map(({ delivery }) => delivery.lane))], ['host:mx.own.test:25:o1']);
    assert.equal(spool.server('host:mx.own.test:25:o1'), 'sealed');
  });

  test('is given up where the disk fills while its list comes in', async () => {
    const { intake, events, fill, deliveries } = await open();
    const submission = intake.beginMerge(ENVELOPE);
    await submission.write(Buffer.from(TEMPLATE));
    let read = 0;
    const rows = list(100_000, (i) => {
      read = i;
      if (i === 2500) fill();
    });
    await assert.rejects(submission.finish(rows), { code: 'SPOOL_FULL' });
    assert.ok(read < 4000, `${read} rows were read`);
    assert.deepEqual([await deliveries(), events], [[], []]);
  });

  test('whose template is refused does not read the list', async () => {
    const { intake, deliveries } = await open();
    const rows = list(1, () => assert.fail('it was read'));
    const withNul = intake.beginMerge(ENVELOPE);
    await withNul.write(Buffer.from('Subject: x\r\n\r\n\0\r\n'));
    await assert.rejects(withNul.finish(rows), isRefused('MESSAGE_REFUSED', /NUL/));
    const large = intake.beginMerge(ENVELOPE);
    for (let i = 0; i < 3; i++) await large.write(Buffer.alloc(MIB, 'x\r\n'));
    await assert.rejects(large.finish(rows), isRefused('MESSAGE_TOO_LARGE', /larger than/));
    assert.deepEqual(await deliveries(), []);
  });

  test('has a template that fits into memory, whatever else is taken in', async () => {
    const { intake } = await open(1024 * MIB);
    const submission = intake.beginMerge(ENVELOPE);
    for (let i = 0; i < 33; i++) await submission.write(Buffer.alloc(MIB, 'x\r\n'));
    await assert.rejects(submission.finish(list(1)), isRefused('MESSAGE_TOO_LARGE', /33554432 octets/));
  });

  test('is held to limits that were renewed since it began', async () => {
    const { intake } = await open();
    intake.renew({ maxMessageSizeBytes: 500, expiryMs: 1000 });
    const submission = intake.beginMerge(ENVELOPE);
    await submission.write(Buffer.from(TEMPLATE));
    const long = (async function* (): AsyncGenerator<RawRow> {
      yield { to: 'a@b.test', values: { text: 'x'.repeat(600) } };
    })();
    await assert.rejects(submission.finish(long), isRefused('MESSAGE_TOO_LARGE', /merge\[a@b\.test\]\.size/));
  });
});
