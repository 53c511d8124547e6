import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readArchive, writeArchive } from '../../src/spool/archive.js';
import type { MovedDelivery, Piece } from '../../src/spool/moving.js';
import { message, recipient } from '../support/mail.js';

const delivery: MovedDelivery = {
  n: 3,
  version: 2,
  lane: 'mx:one.test',
  priority: 'low',
  state: 'waiting',
  due: 5,
  recipients: [recipient('jürgen@one.test')],
  attempts: 1,
  log: [],
  delayNoticed: true,
};

const one = message({ acceptedAt: 1 });
const PIECES: readonly Piece[] = [
  { kind: 'pause', lane: 'mx:one.test', pause: { at: 3, reason: 'asked to' } },
  { kind: 'message', message: one },
  { kind: 'delivery', delivery },
  // Nothing in it may be taken for the end of a line, or of itself.
  { kind: 'content', bytes: Buffer.from([10, 0, 255, 13, 10, 123, 125, 10]) },
  { kind: 'whole' },
  { kind: 'message', message: one },
  { kind: 'void' },
  { kind: 'server', lane: 'host:own.test:465:o1', about: '1.sealed' },
  {
    kind: 'key',
    key: { hash: 'ab'.repeat(32), accepted: { id: one.id, messageId: '', recipients: 1, size: 5, digest: 'd' }, until: 9 },
  },
  { kind: 'past', message: one, delivery: { n: 0, lane: 'mx:a.test', priority: 'high', recipients: [], attempts: 1, log: [], at: 7 } },
];

async function* each<T>(values: Iterable<T>): AsyncGenerator<T> {
  yield* values;
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

async function archiveOf(given: readonly Piece[]): Promise<Buffer> {
  return Buffer.concat(await all(writeArchive(each(given))));
}

function read(octets: Buffer, chunk = octets.length): Promise<Piece[]> {
  const chunks: Buffer[] = [];
  for (let at = 0; at < octets.length; at += chunk) chunks.push(octets.subarray(at, at + chunk));
  return all(readArchive(each(chunks)));
}

describe('an archive of a spool', () => {
  test('gives back what was written, in whatever chunks it comes', async () => {
    const octets = await archiveOf(PIECES);
    for (const chunk of [1, 7, 100, octets.length]) assert.deepEqual(await read(octets, chunk), PIECES);
  });

  test('says what it is in its first line', async () => {
    assert.equal((await archiveOf([])).toString().split('\n')[0], 'RIATA-SPOOL 1');
  });

  test('large content is cut into pieces, so that nobody needs it in memory', async () => {
    const bytes = Buffer.alloc(1_000_000, 'x\n');
    const back = await read(await archiveOf([{ kind: 'message', message: one }, { kind: 'content', bytes }, { kind: 'whole' }]));
    const contents = back.flatMap((piece) => (piece.kind === 'content' ? [piece.bytes] : []));
    assert.ok(contents.length > 1 && contents.every((part) => part.length <= 262_144));
    assert.deepEqual(Buffer.concat(contents), bytes);
  });

  test('whatever octet is flipped, it is found, and nothing behind that is believed', async () => {
    const octets = await archiveOf(PIECES);
    for (let at = 0; at < octets.length; at++) {
      const wrong = Buffer.from(octets);
      wrong[at]! ^= 1;
      await assert.rejects(read(wrong), { code: /^SPOOL_(?:DAMAGED|VERSION)$/ }, `octet ${at}`);
    }
  });

  test('whatever its length, one that was cut is not taken for whole', async () => {
    const octets = await archiveOf(PIECES);
    for (let length = 0; length < octets.length; length++)
      await assert.rejects(read(octets.subarray(0, length)), { code: 'SPOOL_DAMAGED' }, `${length} octets`);
  });

  test('a line that is missing, doubled or in another place is found', async () => {
    const lines = (await archiveOf(PIECES.filter(({ kind }) => kind !== 'content'))).toString().split('\n');
    const wrong = [
      [...lines.slice(0, 2), ...lines.slice(3)],
      [...lines.slice(0, 3), lines[2], ...lines.slice(3)],
      [lines[0], lines[2], lines[1], ...lines.slice(3)],
    ];
    for (const one of wrong) await assert.rejects(read(Buffer.from(one.join('\n'))), { code: 'SPOOL_DAMAGED' });
  });

  test('one from a newer release is told from a damaged one', async () => {
    await assert.rejects(read(Buffer.from('RIATA-SPOOL 2\n')), { code: 'SPOOL_VERSION' });
    await assert.rejects(read(Buffer.from('From MAILER-DAEMON\n')), { code: 'SPOOL_DAMAGED', message: /does not begin with/ });
  });

  test('ids, numbers and priorities that could not be are refused, though their checksums hold', async () => {
    const refused: Piece[] = [
      { kind: 'message', message: { ...one, id: '../../etc/passwd' } },
      { kind: 'message', message: { ...one, priority: 'urgent' as 'high' } },
      { kind: 'delivery', delivery: { ...delivery, n: -1 } },
      { kind: 'delivery', delivery: { ...delivery, lane: '' } },
      { kind: 'delivery', delivery: { ...delivery, due: Number.NaN } },
    ];
    for (const piece of refused) await assert.rejects(read(await archiveOf([piece])), { code: 'SPOOL_DAMAGED' }, JSON.stringify(piece));
  });

  test('its source is let go when nobody reads on', async () => {
    const octets = await archiveOf(PIECES);
    let ended = false;
    const source = async function* () {
      try {
        for (const octet of octets) yield Buffer.of(octet);
      } finally {
        ended = true;
      }
    };
    for await (const piece of readArchive(source())) if (piece.kind === 'delivery') break;
    assert.ok(ended);
  });
});
