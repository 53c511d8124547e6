/** Readers of the LevelDB driver that overlap: whatever one of them leaves to another, somebody brings into memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import { type OpenStore, openLevelStore } from '../../../src/spool/level/store.js';
import { acceptance, deferred, delivered, idOf } from '../../support/mail.js';
import { createVirtualClock } from '../../support/virtual-clock.js';
import { levelOptions, temporaryFolder } from './support.js';

const LANE = 'mx:one.test';

test('what comes due while its lane is being read at the start is not left lying', async () => {
  const clock = createVirtualClock();
  const folder = await temporaryFolder();
  let spool = await openLevelSpool(levelOptions(folder.path, clock));
  try {
    const mails = [0, 1, 2].map(() => acceptance({ acceptedAt: clock.now() }));
    for (const mail of mails) await spool.accept(mail);
    const lease = spool.pull(LANE)!;
    await spool.settle(lease, deferred(lease.delivery, clock.now(), clock.now() + 1_000));
    await spool.close();
    await clock.advance(5_000);

    spool = await openLevelSpool(levelOptions(folder.path, clock));
    // As a scheduler with idle connections does: takes whatever there is, whenever it is told to.
    const taken = new Set<string | undefined>();
    const take = () => {
      for (let lease = spool.pull(LANE); lease; lease = spool.pull(LANE)) taken.add(idOf(lease));
    };
    spool.listen({ onReady: take, onWaiting() {}, onFault() {} });
    take();
    await spool.promote();
    while ([...spool.lanes()].includes(LANE)) {
      take();
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual([...taken].sort(), mails.map(({ message }) => message.id).sort());
  } finally {
    await spool.close();
    await folder.remove();
  }
});

test('what an operator releases while somebody reads is not left lying, and comes once', async () => {
  const clock = createVirtualClock();
  const folder = await temporaryFolder();
  let held: Promise<void> | undefined;
  /** A sweep's first page takes its time. */
  const openStore: OpenStore = async (place) => {
    const store = await openLevelStore(place);
    return {
      ...store,
      async entries(range) {
        if (range.gte === 'r/') await held;
        return store.entries(range);
      },
    };
  };
  const spool = await openLevelSpool(levelOptions(folder.path, clock, { windowSize: 3, openStore }));
  try {
    const mails = Array.from({ length: 12 }, () => acceptance({ acceptedAt: clock.now() }));
    for (const mail of mails) await spool.accept(mail);
    const change = async (kind: 'hold' | 'release') => {
      for (const { message } of mails) assert.equal(await spool.change(`${message.id}.0`, { kind }), 'done');
    };
    await change('hold');
    let go: () => void = () => {};
    held = new Promise((resolve) => {
      go = resolve;
    });
    const swept = spool.sweepReady(
      () => false,
      () => {},
    );
    await change('release');
    const taken: (string | undefined)[] = [];
    while ([...spool.lanes()].includes(LANE)) {
      const lease = spool.pull(LANE);
      if (lease) taken.push(idOf(lease));
      if (lease) await spool.settle(lease, delivered(lease.delivery, clock.now()));
      else await new Promise((resolve) => setImmediate(resolve));
    }
    go();
    await swept;
    assert.deepEqual(
      taken,
      mails.map(({ message }) => message.id),
    );
  } finally {
    await spool.close();
    await folder.remove();
  }
});
