import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { checkSpool } from '../../../src/spool/level/check.js';
import type { LevelSpool } from '../../../src/spool/level/level-spool.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import type { Lease } from '../../../src/spool/spool.js';
import { bytesOf, pattern, until } from '../../contract/spool.js';
import { acceptance, deferred, delivered, idOf, message, recipient } from '../../support/mail.js';
import { createVirtualClock, type VirtualClock } from '../../support/virtual-clock.js';
import { type Faults, faultyStore, levelOptions, temporaryFolder } from './support.js';

describe('a spool whose writes fail', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let clock: VirtualClock;
  let faults: Faults;
  let spool: LevelSpool;
  let told: string[];
  let ready: string[];

  beforeEach(async () => {
    folder = await temporaryFolder();
    clock = createVirtualClock();
    const faulty = faultyStore();
    faults = faulty.faults;
    spool = await openLevelSpool(levelOptions(folder.path, clock, { openStore: faulty.openStore }));
    told = [];
    ready = [];
    spool.listen({ onReady: (lane) => ready.push(lane), onWaiting: () => {}, onFault: (fault) => told.push(fault.code) });
  });

  afterEach(async () => {
    await spool.close();
    const report = await checkSpool(folder.path);
    await folder.remove();
    assert.deepEqual(report.problems, []);
  });

  const now = () => clock.now();
  const well = () => until(() => spool.closedFor(0) === undefined);
  const take = async (lane: string): Promise<Lease> => {
    let lease: Lease | undefined;
    await until(() => (lease = spool.pull(lane)) !== undefined);
    return lease!;
  };

  for (const fate of ['lost', 'landed'] as const) {
    test(`an accept whose batch failed (${fate}) is refused, and is not there afterwards`, async () => {
      faults.writes.push(fate);
      const mail = acceptance({ acceptedAt: now() }, ['mx:one.test', 'mx:two.test']);
      const single = acceptance({ acceptedAt: now() });
      const once = { key: 'order 7', digest: 'd', until: now() + 86_400_000 };
      const results = await Promise.allSettled([spool.accept(mail), spool.accept({ ...single, once })]);
      assert.deepEqual(
        results.map((one) => (one.status === 'rejected' ? one.reason.code : one.status)),
        ['SPOOL_FAILED', 'SPOOL_FAILED'],
      );
      assert.equal(spool.closedFor(0), 'SPOOL_FAILED');
      await assert.rejects(spool.accept(acceptance({ acceptedAt: now() })), { code: 'SPOOL_FAILED' });
      await well();
      assert.deepEqual(told, ['SPOOL_FAILED']);
      assert.deepEqual([...spool.lanes()], []);
      assert.equal(await spool.inspect(mail.message.id), undefined);
      assert.equal(await spool.readBody(single.message.id), undefined);
      assert.equal(spool.counts().messages, 0);
      assert.equal(await spool.once('order 7'), undefined, 'its key is free for the next try');
      const after = acceptance({ acceptedAt: now() });
      await spool.accept(after);
      assert.equal(idOf(await take('mx:one.test')), after.message.id);
    });

    test(`a settlement whose batch failed (${fate}) is written when the store is back, once`, async () => {
      const mail = acceptance({ acceptedAt: now() });
      await spool.accept(mail);
      const lease = await take('mx:one.test');
      faults.writes.push(fate);
      const report = acceptance({ acceptedAt: now(), sender: '' }, ['mx:back.test'], Buffer.from('sorry'));
      const settled = await spool.settle(lease, { ...delivered(lease.delivery, now()), reports: [report] });
      assert.equal(settled, true);
      await well();
      assert.equal(spool.counts().messages, 1);
      assert.equal((await spool.inspect(mail.message.id))?.deliveries[0]?.state, 'done');
      assert.equal((await spool.history({ since: 0, limit: 10 })).items.length, 1);
      const bounce = await take('mx:back.test');
      assert.equal(idOf(bounce), report.message.id);
      assert.equal((await bytesOf(await spool.body(bounce))).toString(), 'sorry');
    });

    test(`a retry whose batch failed (${fate}) waits for its time, and comes once`, async () => {
      await spool.accept(acceptance({ acceptedAt: now() }));
      const lease = await take('mx:one.test');
      faults.writes.push(fate);
      const due = now() + 1000;
      assert.equal(await spool.settle(lease, deferred(lease.delivery, now(), due)), true);
      await well();
      assert.equal(await spool.promote(), due);
      assert.deepEqual([...spool.laneCounts()], [{ lane: 'mx:one.test', ready: 0, waiting: 1, held: 0 }]);
      await clock.advance(1000);
      await spool.promote();
      const again = await take('mx:one.test');
      assert.equal(again.delivery.attempts, 1);
      assert.equal(spool.pull('mx:one.test'), undefined);
    });

    test(`the rest of a delivery whose batch failed (${fate}) comes at once, and once`, async () => {
      await spool.accept(acceptance({ acceptedAt: now() }));
      const lease = await take('mx:one.test');
      faults.writes.push(fate);
      assert.equal(await spool.settle(lease, deferred(lease.delivery, now())), true);
      await well();
      const again = await take('mx:one.test');
      assert.equal(again.delivery.attempts, 1);
      await until(() => ![...spool.lanes()].includes('mx:one.test'));
      assert.equal(spool.pull('mx:one.test'), undefined);
    });

    test(`a pause whose batch failed (${fate}) is told as failed, and holds where the store has it`, async () => {
      await spool.pauseLane('mx:two.test', { at: now(), reason: '' });
      faults.writes.push(fate);
      await assert.rejects(spool.pauseLane('mx:one.test', { at: now(), reason: '' }), { code: 'SPOOL_FAILED' });
      await well();
      const expected = fate === 'lost' ? ['mx:two.test'] : ['mx:one.test', 'mx:two.test'];
      assert.deepEqual([...spool.pauses().keys()], expected);
      await spool.accept(acceptance({ acceptedAt: now() }));
      assert.equal(spool.pull('mx:one.test') === undefined, fate === 'landed');
    });

    test(`what was taken in a batch that failed (${fate}) is free again`, async () => {
      const mail = acceptance({ acceptedAt: now() });
      await spool.accept(mail);
      faults.writes.push(fate);
      await assert.rejects(spool.take(`${mail.message.id}.0`), { code: 'SPOOL_FAILED' });
      await well();
      assert.equal(spool.counts().sending, 0);
      assert.equal(idOf(await take('mx:one.test')), mail.message.id);
    });

    test(`a change whose batch failed (${fate}) is told as failed, and its delivery is where the store says`, async () => {
      const mail = acceptance({ acceptedAt: now() });
      await spool.accept(mail);
      faults.writes.push(fate);
      await assert.rejects(spool.change(`${mail.message.id}.0`, { kind: 'hold' }), { code: 'SPOOL_FAILED' });
      await well();
      assert.equal((await spool.inspect(mail.message.id))?.deliveries[0]?.state, fate === 'lost' ? 'ready' : 'held');
    });

    for (const [which, before] of [
      ['first', 0],
      ['last', 3],
    ] as const) {
      test(`a large message whose ${which} batch failed (${fate}) is refused, and is not there afterwards`, async () => {
        const lanes = Array.from({ length: 600 }, (_, i) => `mx:lane${i}.test`);
        const mail = acceptance({ acceptedAt: now() }, lanes);
        for (let i = 0; i < before; i++) faults.writes.push('good');
        faults.writes.push(fate);
        const once = { key: 'order 7', digest: 'd', until: now() + 86_400_000 };
        await assert.rejects(spool.accept({ ...mail, once }), { code: 'SPOOL_FAILED' });
        await well();
        await until(() => spool.counts().lanes === 0 && spool.counts().messages === 0);
        // Counted when a batch is built, gone when it is written.
        await until(async () => (await spool.inspect(mail.message.id)) === undefined);
        await until(() => faults.writes.length === 0);
        assert.equal(await spool.once('order 7'), undefined);
        assert.equal(await spool.readBody(mail.message.id), undefined);
      });
    }

    test(`a large message goes on into its lanes where the store failed (${fate}) while it did`, async () => {
      const lanes = Array.from({ length: 600 }, (_, i) => `mx:lane${i}.test`);
      const mail = acceptance({ acceptedAt: now() }, lanes);
      for (let i = 0; i < 5; i++) faults.writes.push('good');
      faults.writes.push(fate);
      await spool.accept(mail);
      await until(() => told.length > 0);
      await well();
      await until(() => [...spool.lanes()].length === 600);
      for (const lane of lanes) {
        const lease = await take(lane);
        assert.equal(await spool.settle(lease, delivered(lease.delivery, now())), true);
      }
      assert.equal(spool.counts().messages, 0);
    });
  }

  test('while it is failing no dot may be sent, and leases stay good', async () => {
    await spool.accept(acceptance({ acceptedAt: now() }));
    await spool.accept(acceptance({ acceptedAt: now() }));
    const lease = await take('mx:one.test');
    let release: () => void = () => {};
    faults.hold = new Promise((resolve) => {
      release = resolve;
    });
    faults.writes.push('lost');
    const refused = spool.accept(acceptance({ acceptedAt: now() }));
    refused.catch(() => {});
    await until(() => spool.counts().messages === 3);
    assert.equal(spool.mayFinish(), true);
    faults.openings = 2;
    faults.hold = undefined;
    release();
    await assert.rejects(refused, { code: 'SPOOL_FAILED' });
    const gate = spool.mayFinish();
    assert.notEqual(gate, true);
    assert.equal(spool.pull('mx:one.test'), undefined);
    await until(() => clock.pending > 0);
    await clock.advance(100);
    await until(() => clock.pending > 0);
    await clock.advance(200);
    await gate;
    await well();
    assert.equal(faults.opened, 2);
    assert.equal(spool.mayFinish(), true);
    assert.equal(await spool.settle(lease, delivered(lease.delivery, now())), true);
    const other = await take('mx:one.test');
    assert.notEqual(idOf(other), idOf(lease));
    assert.equal(spool.counts().messages, 1);
  });

  test('for how long it has been failing is told, and that it is well again; what a write took is measured', async () => {
    await spool.accept(acceptance({ acceptedAt: now() }));
    const { commitMs, commitOperations } = spool.commits();
    assert.deepEqual([commitMs.count, commitOperations.count, commitOperations.sum, spool.failingFor()], [1, 1, 1, 0]);
    faults.openings = 1;
    faults.writes.push('lost');
    await assert.rejects(spool.accept(acceptance({ acceptedAt: now() })), { code: 'SPOOL_FAILED' });
    await clock.advance(40);
    assert.ok(spool.failingFor() >= 40, `${spool.failingFor()}`);
    await until(async () => {
      await clock.advance(100);
      return spool.closedFor(0) === undefined;
    });
    assert.equal(spool.failingFor(), 0);
  });

  test('what is given back while it is failing is pulled again afterwards, once', async () => {
    await spool.accept(acceptance({ acceptedAt: now() }));
    const lease = await take('mx:one.test');
    faults.writes.push('lost');
    await assert.rejects(spool.accept(acceptance({ acceptedAt: now() })));
    spool.giveBack(lease);
    await well();
    assert.equal(idOf(await take('mx:one.test')), idOf(lease));
    await until(() => ![...spool.lanes()].includes('mx:one.test'));
  });

  test('what was promoted is there again, and counted once', async () => {
    await spool.accept(acceptance({ acceptedAt: now(), notBefore: now() + 10 }));
    await spool.accept(acceptance({ acceptedAt: now(), notBefore: now() + 10 }));
    await clock.advance(10);
    await spool.promote();
    const lease = await take('mx:one.test');
    faults.writes.push('landed');
    await assert.rejects(spool.accept(acceptance({ acceptedAt: now() })));
    await well();
    await spool.promote();
    assert.deepEqual([...spool.laneCounts()], [{ lane: 'mx:one.test', ready: 2, waiting: 0, held: 0 }]);
    const other = await take('mx:one.test');
    assert.notEqual(idOf(other), idOf(lease));
    for (const one of [lease, other]) assert.equal(await spool.settle(one, delivered(one.delivery, now())), true);
    assert.deepEqual([...spool.laneCounts()], []);
  });

  test('a body file of a refused message is deleted', async () => {
    const body = pattern(100_000);
    const about = message({ acceptedAt: now(), sizeBytes: body.length });
    const writer = spool.writeBody({ id: about.id, sender: about.sender, recipients: ['user@one.test'] });
    await writer.write(body);
    const stored = await writer.finish();
    faults.writes.push('landed');
    await assert.rejects(
      spool.accept({ message: about, deliveries: [{ lane: 'mx:one.test', recipients: [recipient('user@one.test')] }], body: stored }),
    );
    await well();
    assert.equal(await spool.readBody(about.id), undefined);
    assert.deepEqual([...spool.lanes()], []);
  });

  test('a second failure while it recovers is survived as well', async () => {
    const mail = acceptance({ acceptedAt: now() });
    await spool.accept(mail);
    const lease = await take('mx:one.test');
    faults.writes.push('landed', 'lost', 'landed');
    const [refused, settled] = await Promise.allSettled([
      spool.accept(acceptance({ acceptedAt: now() })),
      spool.settle(lease, delivered(lease.delivery, now())),
    ]);
    assert.equal(refused.status, 'rejected');
    assert.deepEqual(settled, { status: 'fulfilled', value: true });
    await well();
    assert.deepEqual(told, ['SPOOL_FAILED']);
    assert.equal(spool.counts().messages, 0);
    assert.equal((await spool.history({ since: 0, limit: 10 })).items.length, 1);
  });

  test('closing while it is failing does not wait, and what was noted is settled at the next start', async () => {
    const mail = acceptance({ acceptedAt: now() });
    await spool.accept(mail);
    const lease = await take('mx:one.test');
    spool.note(lease, [{ kind: 'delivered', status: '2.0.0', text: 'Ok', server: { host: 'mx.test', address: '192.0.2.1', port: 25 } }]);
    assert.equal(spool.mayFinish(), true);
    faults.writes.push('lost');
    faults.openings = 1000;
    const settled = spool.settle(lease, delivered(lease.delivery, now()));
    settled.catch(() => {});
    await until(() => spool.closedFor(0) === 'SPOOL_FAILED' && clock.pending > 0);
    await spool.close();
    await assert.rejects(settled, { code: 'SPOOL_CLOSED' });
    spool = await openLevelSpool(levelOptions(folder.path, clock));
    assert.equal((await spool.inspect(mail.message.id))?.deliveries[0]?.state, 'done');
  });
});
