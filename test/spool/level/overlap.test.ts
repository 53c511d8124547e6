/** Readers of the LevelDB driver that overlap: whatever one of them leaves to another, somebody brings into memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import { type OpenStore, openLevelStore } from '../../../src/spool/level/store.js';
import type { Lease } from '../../../src/spool/spool.js';
import { until } from '../../contract/spool.js';
import { acceptance, deferred, delivered, idOf, recipient } from '../../support/mail.js';
import { createVirtualClock } from '../../support/virtual-clock.js';
import { faultyStore, levelOptions, temporaryFolder } from './support.js';

const LANE = 'mx:one.test';
const OTHER = 'mx:other.test';

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

/** What a store has written, readers can see before the writer is told. */
test('what is durable and not told of yet is left alone by readers, and comes once', async (t) => {
  const clock = createVirtualClock();
  const folder = await temporaryFolder();
  const { faults, openStore } = faultyStore();
  const spool = await openLevelSpool(levelOptions(folder.path, clock, { openStore }));
  t.after(async () => {
    await spool.close();
    await folder.remove();
  });
  /** Writes something, and sweeps before that is told of; then takes all there is. */
  const sweepBeforeTold = async (write: () => Promise<unknown>): Promise<string[]> => {
    const before = faults.written;
    let tell = () => {};
    faults.untold = new Promise((resolve) => (tell = resolve));
    const written = write();
    await until(() => faults.written > before);
    const taken: Lease[] = [];
    const take = (lease: Lease) => void taken.push(lease);
    await spool.sweepReady(() => true, take);
    faults.untold = undefined;
    tell();
    await written;
    // A large message is put into its indexes after it was accepted.
    await until(() => spool.counts().ready > 0);
    for (const lane of [LANE, OTHER]) for (let lease = spool.pull(lane); lease; lease = spool.pull(lane)) take(lease);
    assert.equal(spool.counts().sending, taken.length);
    for (const lease of taken) assert.equal(await spool.settle(lease, delivered(lease.delivery, clock.now())), true);
    assert.deepEqual(spool.counts().messages, 0);
    return taken.map(({ delivery }) => delivery.key);
  };

  const mail = acceptance({ acceptedAt: clock.now() });
  assert.deepEqual(await sweepBeforeTold(() => spool.accept(mail)), [`${mail.message.id}.0`], 'an acceptance');

  const both = acceptance({ acceptedAt: clock.now() });
  const recipients = [recipient('user@one.test'), recipient('user@other.test')];
  await spool.accept({ ...both, deliveries: [{ lane: 'mx:old.test', recipients }] });
  const laneOf = (address: string) => (address === 'user@one.test' ? LANE : OTHER);
  const split = () => spool.change(`${both.message.id}.0`, { kind: 'reroute', laneOf });
  assert.deepEqual(
    (await sweepBeforeTold(split)).sort(),
    [`${both.message.id}.0`, `${both.message.id}.1`],
    'the parts of one that was split',
  );
});
