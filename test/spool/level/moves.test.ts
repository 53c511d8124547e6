import assert from 'node:assert/strict';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { silentLog } from '../../../src/platform/log.js';
import { checkSpool } from '../../../src/spool/level/check.js';
import { sealNumbers } from '../../../src/spool/level/codec.js';
import { partialKey } from '../../../src/spool/level/keys.js';
import { exportSpool, importSpool } from '../../../src/spool/level/moves.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import { openLevelSpoolForReading } from '../../../src/spool/level/reading.js';
import { openLevelStore } from '../../../src/spool/level/store.js';
import type { Loss, MovedCounts } from '../../../src/spool/moving.js';
import type { DeliveryView, Spool } from '../../../src/spool/spool.js';
import { INLINE_LIMIT } from '../../contract/spool.js';
import { acceptance, delivered } from '../../support/mail.js';
import { createVirtualClock, type VirtualClock } from '../../support/virtual-clock.js';
import { fillSpool } from './filled.js';
import { levelOptions, temporaryFolder } from './support.js';

type Shown = Awaited<ReturnType<Spool['list']>>['items'][number] & { readonly content?: string };

describe('moving a spool', () => {
  let folders: Awaited<ReturnType<typeof temporaryFolder>>[];
  let clock: VirtualClock;
  let losses: Loss[];
  let known: string[];

  beforeEach(() => {
    folders = [];
    clock = createVirtualClock();
    losses = [];
    known = [];
  });
  afterEach(async () => {
    for (const folder of folders) await folder.remove();
  });

  const place = async (): Promise<string> => {
    const folder = await temporaryFolder();
    folders.push(folder);
    return folder.path;
  };
  const moveOptions = () => ({ clock, lost: (loss: Loss) => void losses.push(loss), progress: () => {} });
  const exported = async (from: string): Promise<Buffer[]> => {
    const octets: Buffer[] = [];
    for await (const chunk of exportSpool(from, moveOptions())) octets.push(chunk);
    return octets;
  };
  const imported = (to: string, octets: Iterable<Buffer>, more: { inlineLimitBytes?: number } = {}): Promise<MovedCounts> => {
    const source = async function* () {
      yield* octets;
    };
    return importSpool(to, source(), {
      ...moveOptions(),
      inlineLimitBytes: INLINE_LIMIT,
      known: (id) => void known.push(id),
      log: silentLog,
      ...more,
    });
  };
  const sound = async (folder: string) => assert.deepEqual((await checkSpool(folder)).problems, []);
  /** What an agent, or an operator, sees of it, contents included; after a start, so that the journal is heeded. */
  const seen = async (folder: string) => {
    const spool = await openLevelSpool(levelOptions(folder, clock));
    const queue: Shown[] = [];
    for (const item of (await spool.list({}, { limit: 1000 })).items) {
      const body = await spool.readBody(item.message.id);
      const chunks = body?.kind === 'stream' ? body.open() : body ? [body.bytes] : [];
      let content = '';
      for await (const chunk of chunks) content += chunk.toString();
      queue.push({ ...item, content });
    }
    const past = (await spool.history({ since: 0, limit: 1000 })).items;
    const pauses = [...spool.pauses()];
    const once = await spool.once('order 7');
    const server = spool.server('host:own.test:465:o1');
    const views = await Promise.all(queue.map(({ message }) => spool.inspect(message.id)));
    const copies = await Promise.all(queue.map(({ delivery }) => spool.copy(delivery.key)));
    await spool.close();
    const sorted = [...past].sort((a, b) => (a.delivery.key < b.delivery.key ? -1 : 1));
    return { queue, past: sorted, pauses, once, server, views, copies };
  };

  test('takes every message along with ids, dates, states, attempts and content, and the history', async () => {
    const [from, to] = [await place(), await place()];
    await fillSpool(from, clock);
    const octets = await exported(from);
    const counts = await imported(to, octets);
    await sound(to);
    const [before, after] = [await seen(from), await seen(to)];
    assert.deepEqual(after, before);
    assert.deepEqual(new Set(after.queue.map(({ delivery }) => delivery.state)), new Set(['ready', 'waiting', 'held']));
    assert.equal(after.past.length, 4);
    assert.deepEqual([after.pauses.length, after.once?.unknownTokens, after.server], [1, { name: 1 }, '1.sealed']);
    assert.deepEqual(after.copies.filter(Boolean), [{ values: { number: '0' }, name: 'Recipient 0' }]);
    assert.ok(after.views.some((view) => view?.tally?.delivered === 1));
    assert.deepEqual([counts.messages, counts.deliveries, counts.history, counts.pauses, counts.keys], [9, 10, 4, 1, 1]);
    assert.deepEqual([losses, known], [[], []]);
  });

  test('what only the journal knows to be delivered is not sent again from the other machine', async () => {
    const [from, to] = [await place(), await place()];
    await fillSpool(from, clock);
    await imported(to, await exported(from));
    const reading = await openLevelSpoolForReading(to, clock);
    const { items } = await reading.history({ since: 0, limit: 100 });
    await reading.close();
    const noted = items.find(({ delivery }) => delivery.lane === 'mx:journal.test');
    assert.deepEqual(
      noted?.delivery.recipients.map(({ state, last }) => [state, last?.server]),
      [['delivered', 'mx.journal.test[192.0.2.2]:25']],
    );
  });

  test('an export changes nothing', async () => {
    const from = await place();
    await fillSpool(from, clock);
    const first = Buffer.concat(await exported(from));
    assert.deepEqual(Buffer.concat(await exported(from)), first);
  });

  test('what was moved is sent, and ids go on above those that came', async () => {
    const [from, to] = [await place(), await place()];
    const spool = await openLevelSpool(levelOptions(from, clock));
    const mail = acceptance({ acceptedAt: clock.now() }, ['mx:a.test', 'mx:b.test']);
    await spool.accept(mail);
    await spool.close();
    await imported(to, await exported(from));
    const other = await openLevelSpool(levelOptions(to, clock));
    assert.equal(other.lastId(), mail.message.id);
    for (const lane of ['mx:a.test', 'mx:b.test']) {
      let lease = other.pull(lane);
      while (lease === undefined) {
        await new Promise((resolve) => setImmediate(resolve));
        lease = other.pull(lane);
      }
      assert.ok(await other.settle(lease, delivered(lease.delivery, clock.now())));
    }
    assert.equal(other.counts().messages, 0);
    await other.close();
    await sound(to);
  });

  test('a second import of the same archive adds nothing', async () => {
    const [from, to] = [await place(), await place()];
    await fillSpool(from, clock);
    const octets = await exported(from);
    await imported(to, octets);
    const before = await seen(to);
    const again = await imported(to, octets);
    assert.deepEqual([again.messages, again.history], [0, 0]);
    assert.equal(known.length, 13);
    assert.deepEqual(await seen(to), before);
    await sound(to);
  });

  test('two spools become one', async () => {
    const [one, two] = [await place(), await place()];
    await fillSpool(one, clock);
    await fillSpool(two, clock);
    const [first, second] = [await seen(one), await seen(two)];
    await imported(two, await exported(one));
    const both = await seen(two);
    assert.equal(both.queue.length, first.queue.length + second.queue.length);
    assert.equal(both.past.length, first.past.length + second.past.length);
    await sound(two);
  });

  test('an archive that ends early leaves whole messages, and the same import later takes the rest', async () => {
    const [from, to] = [await place(), await place()];
    await fillSpool(from, clock);
    const octets = Buffer.concat(await exported(from));
    const wholes = [...octets.toString('latin1').matchAll(/\{"whole":true\}\n/g)];
    const cut = wholes[2]!.index + wholes[2]![0].length + 30;
    await assert.rejects(imported(to, [octets.subarray(0, cut)]), { code: 'SPOOL_DAMAGED' });
    await sound(to);
    assert.equal((await checkSpool(to)).messages, 3);
    await imported(to, [octets]);
    assert.deepEqual(known.length, 3);
    assert.deepEqual(await seen(to), await seen(from));
    await sound(to);
  });

  test('content over the limit of this machine goes to a file, below it into the store', async () => {
    const [from, inFiles, inStore] = [await place(), await place(), await place()];
    await fillSpool(from, clock);
    const octets = await exported(from);
    await imported(inFiles, octets, { inlineLimitBytes: 2 });
    await imported(inStore, octets, { inlineLimitBytes: 1_000_000 });
    assert.equal((await checkSpool(inFiles)).bodyFiles, 9);
    assert.equal((await checkSpool(inStore)).bodyFiles, 0);
    const want = await seen(from);
    for (const to of [inFiles, inStore]) {
      assert.deepEqual(await seen(to), want);
      await sound(to);
    }
  });

  test('a message to very many comes whole, each of its deliveries in its state', async () => {
    const [from, to] = [await place(), await place()];
    const spool = await openLevelSpool(levelOptions(from, clock));
    const lanes = Array.from({ length: 600 }, (_, n) => `mx:d${n}.test`);
    await spool.accept(acceptance({ acceptedAt: clock.now() }, lanes));
    while (spool.counts().ready < 600) await new Promise((resolve) => setImmediate(resolve));
    const { items } = await spool.list({}, { limit: 600 });
    // Gaps in the numbers, and something of every state.
    for (const { delivery } of items.slice(0, 300).filter((_, n) => n % 2 === 0)) await spool.change(delivery.key, { kind: 'remove' });
    await spool.change(items[301]!.delivery.key, { kind: 'hold' });
    await spool.change(items[302]!.delivery.key, { kind: 'reschedule', due: clock.now() + 60_000 });
    await spool.close();
    await imported(to, await exported(from));
    await sound(to);
    const states = (list: Shown[]) => list.map(({ delivery }: { delivery: DeliveryView }) => `${delivery.key} ${delivery.state}`);
    const [before, after] = [await seen(from), await seen(to)];
    assert.deepEqual(states(after.queue), states(before.queue));
    assert.deepEqual(after.past, before.past);
  });

  test('a message of which a part was written when an import died is taken back, and then taken whole', async () => {
    const [from, to] = [await place(), await place()];
    const spool = await openLevelSpool(levelOptions(from, clock));
    const mail = acceptance({ acceptedAt: clock.now() }, ['mx:a.test', 'mx:b.test']);
    await spool.accept(mail);
    await spool.close();
    const { id } = mail.message;
    await (await openLevelSpool(levelOptions(to, clock))).close();
    const store = await openLevelStore(path.join(to, 'store'));
    const other = await openLevelStore(path.join(from, 'store'));
    const batch = store.batch();
    batch.put(partialKey(id), sealNumbers(partialKey(id), [0]));
    batch.put(`d/${id}/0001`, (await other.get(`d/${id}/0001`))!);
    await batch.write();
    await store.close();
    await other.close();
    assert.equal((await imported(to, await exported(from))).deliveries, 2);
    await sound(to);
    assert.deepEqual(await seen(to), await seen(from));
  });

  test('a damaged message is left out and told with those whom it concerns, the others come', async () => {
    const [from, to] = [await place(), await place()];
    await fillSpool(from, clock);
    const [epoch] = await fsp.readdir(path.join(from, 'bodies'));
    const [name] = await fsp.readdir(path.join(from, 'bodies', epoch!));
    const file = path.join(from, 'bodies', epoch!, name!);
    const bytes = await fsp.readFile(file);
    bytes[2000]! ^= 1;
    await fsp.writeFile(file, bytes);
    const octets = await exported(from);
    assert.deepEqual(
      losses.map(({ id, recipients }) => [id, recipients]),
      [[name, ['user@large.test']]],
    );
    assert.equal((await imported(to, octets)).messages, 8);
    await sound(to);
  });

  test('neither is done while an agent has the spool, and an import into a damaged one is refused', async () => {
    const [from, to] = [await place(), await place()];
    await fillSpool(from, clock);
    const octets = await exported(from);
    const running = await openLevelSpool(levelOptions(to, clock));
    await assert.rejects(exported(to), { code: 'SPOOL_LOCKED' });
    await assert.rejects(imported(to, octets), { code: 'SPOOL_LOCKED' });
    await running.close();
    const mark = Buffer.alloc(16);
    mark.writeDoubleLE(1000, 0);
    mark.writeDoubleLE(-1000, 8);
    await fsp.writeFile(path.join(to, 'high-water'), mark);
    await assert.rejects(imported(to, octets), { code: 'SPOOL_DAMAGED', message: /spool repair/ });
  });
});
