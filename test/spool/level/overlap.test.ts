/** Readers of the LevelDB driver that overlap: whatever one of them leaves to another, somebody brings into memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import { acceptance, deferred, idOf } from '../../support/mail.js';
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
