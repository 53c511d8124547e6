import assert from 'node:assert/strict';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { checkSpool } from '../../../src/spool/level/check.js';
import { sealNumbers } from '../../../src/spool/level/codec.js';
import type { LevelSpool } from '../../../src/spool/level/level-spool.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import { copies, mergeOf } from '../../contract/merge.js';
import { bytesOf, pattern, RETENTION_MS, until } from '../../contract/spool.js';
import { acceptance, delivered, nextId } from '../../support/mail.js';
import { createVirtualClock, type VirtualClock } from '../../support/virtual-clock.js';
import { type Faults, faultyStore, levelOptions, temporaryFolder } from './support.js';

describe('merges on LevelDB', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let clock: VirtualClock;
  let faults: Faults;
  let spool: LevelSpool;
  let told: string[];

  const open = async () => {
    const faulty = faultyStore();
    faults = faulty.faults;
    spool = await openLevelSpool(levelOptions(folder.path, clock, { openStore: faulty.openStore }));
    told = [];
    spool.listen({ onReady: () => {}, onWaiting: () => {}, onFault: (fault) => told.push(fault.text) });
  };
  const now = () => clock.now();
  const well = () => until(() => spool.closedFor(0) === undefined);
  const keys = async (letter: string): Promise<string[]> => {
    const db = new ClassicLevel<string, string>(path.join(folder.path, 'store'));
    await db.open();
    const found = await db.keys({ gte: `${letter}/`, lt: `${letter}0` }).all();
    await db.close();
    return found;
  };
  const bodyFiles = async () => {
    const folders = await fsp.readdir(path.join(folder.path, 'bodies'));
    return (await Promise.all(folders.map((name) => fsp.readdir(path.join(folder.path, 'bodies', name))))).flat();
  };
  const problems = async () => (await checkSpool(folder.path)).problems.map(({ code, text }) => `${code}: ${text}`);

  beforeEach(async () => {
    folder = await temporaryFolder();
    clock = createVirtualClock();
    await open();
  });
  afterEach(async () => {
    await spool.close();
    await folder.remove();
  });

  for (const fate of ['lost', 'landed'] as const) {
    for (const good of [0, 1, 2]) {
      test(`a write that fails (${fate}) after ${good} parts refuses the whole merge, and nothing of it is left`, async () => {
        for (let i = 0; i < good; i++) faults.writes.push('good');
        faults.writes.push(fate);
        const merge = mergeOf(500, now());
        await assert.rejects(spool.acceptMerge(merge), { code: 'SPOOL_FAILED' });
        await well();
        // Behind what is being removed.
        await spool.accept(acceptance({ acceptedAt: now() }));
        await until(() => spool.counts().messages === 1);
        assert.equal(await spool.inspect(merge.message.id), undefined);
        await until(() => spool.counts().ready === 1);
        await spool.close();
        await open();
        await until(() => spool.counts().ready === 1);
        // Until it is removed it is said to be in flight.
        while ((await spool.change(`${merge.message.id}.3`, { kind: 'hold' })) !== 'gone') await new Promise((r) => setImmediate(r));
        await spool.close();
        assert.deepEqual(await keys('v'), []);
        assert.deepEqual(await keys('p'), []);
        assert.equal((await keys('d')).length, 1);
        assert.deepEqual(await problems(), []);
      });
    }
  }

  for (const good of [0, 1, 2]) {
    test(`a merge that was refused and is in the store all the same is removed, though a write fails after ${good} parts of that`, async () => {
      // Two parts and what completes them; the word that all is well again; then the removal.
      faults.writes.push('good', 'good', 'landed', 'good', ...new Array<'good'>(good).fill('good'), 'lost');
      const merge = mergeOf(500, now());
      await assert.rejects(spool.acceptMerge(merge), { code: 'SPOOL_FAILED' });
      await until(() => faults.writes.length === 0);
      await well();
      await until(() => spool.counts().messages === 0);
      assert.equal(spool.counts().ready, 0);
      assert.deepEqual([...spool.lanes()], []);
      await spool.close();
      assert.deepEqual([...(await keys('d')), ...(await keys('m')), ...(await keys('p'))], []);
      assert.deepEqual(await problems(), []);
    });
  }

  test('a merge that is half removed when the agent dies is removed at the next start, and sent to nobody', async () => {
    faults.writes.push('good', 'good', 'landed', 'good', 'good', 'lost');
    await assert.rejects(spool.acceptMerge(mergeOf(500, now())), { code: 'SPOOL_FAILED' });
    // It dies in the midst of the second removal: no opening works any more.
    await until(() => faults.writes.length <= 1);
    faults.openings = Number.POSITIVE_INFINITY;
    await until(() => faults.writes.length === 0);
    await spool.close();
    await open();
    await until(() => spool.counts().messages === 0);
    assert.deepEqual([...spool.lanes()], []);
    await spool.close();
    assert.deepEqual(await keys('d'), []);
    assert.deepEqual(await problems(), []);
  });

  test('a large message that cannot be finished is told of, and does not keep the others from being sent', async () => {
    const broken = nextId();
    // Accepted, and dead before any of it stands in an index.
    faults.writes.push('good', 'good', 'good', 'lost');
    await spool.acceptMerge(mergeOf(500, now()));
    faults.openings = Number.POSITIVE_INFINITY;
    await until(() => faults.writes.length === 0);
    await spool.close();
    const db = new ClassicLevel<string, string>(path.join(folder.path, 'store'));
    await db.open();
    await db.put(`p/${broken}`, sealNumbers(`p/${broken}`, [1]));
    await db.close();
    await open();
    await until(() => spool.counts().ready === 500);
    assert.equal(told.length, 1);
    assert.match(told[0]!, new RegExp(`${broken}.*missing`));
  });

  test('the file of a template goes where the word that completes the merge is lost', async () => {
    const template = pattern(100_000);
    const merge = mergeOf(300, now(), { sizeBytes: template.length });
    const writer = spool.writeBody({ id: merge.message.id, sender: '', recipients: [] });
    await writer.write(template);
    faults.writes.push('good', 'good', 'lost');
    await assert.rejects(spool.acceptMerge({ ...merge, body: await writer.finish() }), { code: 'SPOOL_FAILED' });
    await well();
    await until(async () => (await bodyFiles()).length === 0);
  });

  test('a merge of which nothing was written leaves nothing behind: servers of messages are forgotten as ever', async () => {
    faults.writes.push('lost');
    await assert.rejects(spool.acceptMerge(mergeOf(500, now())), { code: 'SPOOL_FAILED' });
    await well();
    const lane = 'mx:one.test';
    await spool.accept({ ...acceptance({ acceptedAt: now() }, [lane]), server: { lane, about: 'sealed' } });
    const lease = spool.pull(lane)!;
    await spool.settle(lease, delivered(lease.delivery, now()));
    await spool.tidy();
    assert.equal(spool.server(lane), undefined);
  });

  test('a store that was reopened while copies came in takes no more of them: what came before is being removed', async () => {
    const merge = mergeOf(0, now());
    let goOn = () => {};
    const paused = new Promise<void>((resolve) => (goOn = resolve));
    let reached = false;
    const deliveries = (async function* () {
      yield* copies(600);
      reached = true;
      await paused;
      yield* copies(600, 600);
    })();
    const accepted = assert.rejects(spool.acceptMerge({ ...merge, deliveries }), { code: 'SPOOL_FAILED' });
    await until(() => reached);
    faults.writes.push('lost');
    await assert.rejects(spool.accept(acceptance({ acceptedAt: now() })), { code: 'SPOOL_FAILED' });
    await well();
    goOn();
    await accepted;
    assert.equal(await spool.inspect(merge.message.id), undefined);
    await spool.close();
    await open();
    await spool.close();
    assert.deepEqual(await problems(), []);
  });

  test('a template in a file is there once, is read back, and goes with the last copy or with the failure', async () => {
    const template = pattern(100_000);
    const write = async (id: string) => {
      const writer = spool.writeBody({ id, sender: '', recipients: [] });
      await writer.write(template);
      return writer.finish();
    };
    const merge = mergeOf(300, now(), { sizeBytes: template.length });
    await spool.acceptMerge({ ...merge, body: await write(merge.message.id) });
    await until(() => spool.counts().ready === 300);
    assert.deepEqual(await bodyFiles(), [merge.message.id]);
    const lease = spool.pull('mx:lane1.test')!;
    assert.deepEqual(await bytesOf(await spool.body(lease)), template);
    spool.giveBack(lease);
    for (let n = 0; n < 300; n++) await spool.change(`${merge.message.id}.${n}`, { kind: 'remove' });
    await until(() => spool.counts().messages === 0);
    const failing = mergeOf(0, now(), { sizeBytes: template.length });
    const body = await write(failing.message.id);
    const deliveries = (async function* () {
      yield* copies(300);
      throw new Error('no');
    })();
    await assert.rejects(spool.acceptMerge({ ...failing, body, deliveries }), /no/);
    const deadline = performance.now() + 60_000;
    while ((await bodyFiles()).length > 0) assert.ok(performance.now() < deadline, 'the files of the templates stay');
  });

  test('what a copy needs is verified: damage is told, and found by the check', async () => {
    const merge = mergeOf(2, now());
    await spool.acceptMerge(merge);
    const { id } = merge.message;
    await spool.close();
    const db = new ClassicLevel<string, string>(path.join(folder.path, 'store'));
    await db.open();
    const key = `v/${id}/0000`;
    await db.put(key, (await db.get(key))!.replace('Nr. 0', 'Nr. 9'));
    await db.del(`v/${id}/0001`);
    await db.put(`v/${id}/0007`, 'x');
    await db.close();
    assert.deepEqual(await problems(), [
      `missing: what the template needs for delivery ${id}.1 is missing`,
      `checksum: what the template needs for delivery ${id}.0 does not match its checksum`,
      `checksum: what the template needs for delivery ${id}.7 does not match its checksum`,
      `orphan: there is no delivery ${id}.7 for what a template needs`,
    ]);
    await open();
    await assert.rejects(spool.copy(`${id}.0`), { code: 'SPOOL_DAMAGED' });
    await assert.rejects(spool.copy(`${id}.1`), { code: 'SPOOL_DAMAGED' });
    assert.equal(await spool.copy(`${id}.5`), undefined);
  });

  test('values that are long are written in parts by their size, not by their number', async () => {
    const long = 'x'.repeat(60_000);
    const deliveries = (async function* () {
      for await (const one of copies(100)) yield { ...one, copy: { values: { text: long } } };
    })();
    const merge = mergeOf(0, now());
    await spool.acceptMerge({ ...merge, deliveries });
    await until(() => spool.counts().ready === 100);
    assert.equal((await spool.copy(`${merge.message.id}.99`))?.values['text'], long);
    await spool.close();
    assert.deepEqual(await problems(), []);
  });

  test('a tally goes when the last of the history has gone, and not before', async () => {
    const merge = mergeOf(2, now());
    await spool.acceptMerge(merge);
    for (const lane of ['mx:lane0.test', 'mx:lane1.test']) {
      const lease = spool.pull(lane)!;
      await spool.settle(lease, delivered(lease.delivery, now()));
      await clock.advance(3_600_000);
    }
    await clock.advance(RETENTION_MS - 5_000_000);
    await spool.tidy();
    assert.deepEqual((await spool.inspect(merge.message.id))?.tally?.delivered, 2);
    await clock.advance(5_000_000);
    await spool.tidy();
    assert.equal(await spool.inspect(merge.message.id), undefined);
    await spool.accept(acceptance({ acceptedAt: now() }));
    await spool.close();
    assert.deepEqual(await keys('n'), []);
    assert.deepEqual(told, []);
  });
});
