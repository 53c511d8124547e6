/** What a memory spool leaves behind when it dies without another word. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemorySpool, MemoryDisk } from '../../src/spool/memory.js';
import { acceptance, delivered, idOf } from '../support/mail.js';
import { createVirtualClock } from '../support/virtual-clock.js';

const options = { clock: createVirtualClock(), promoteAfterMs: 1_000, historyRetentionMs: 1_000, inlineLimitBytes: 1_000 };
const LANE = 'mx:one.test';

test('a copy of what is there at one moment is not changed by what comes after, and can be opened beside it', async () => {
  const disk = new MemoryDisk();
  const spool = await createMemorySpool({ ...options, disk });
  const mail = acceptance({ acceptedAt: options.clock.now() });
  await spool.accept(mail);
  const before = disk.remains({ notes: true });
  const lease = spool.pull(LANE)!;
  const settled = spool.settle(lease, {
    ...delivered(lease.delivery, options.clock.now()),
    reports: [acceptance({ acceptedAt: 1 }, ['mx:two.test'])],
  });
  const during = disk.remains({ notes: true });
  await settled;
  const after = disk.remains({ notes: true });

  const counts = [];
  for (const found of [before, during, after]) {
    const other = await createMemorySpool({ ...options, disk: found });
    counts.push([other.counts().messages, idOf(other.pull(LANE)) === mail.message.id, other.pull('mx:two.test') !== undefined]);
  }
  assert.deepEqual(counts, [
    [1, true, false],
    [1, true, false],
    [1, false, true],
  ]);
});

test('what was noted is found after a death, and not after a loss of power', async () => {
  const disk = new MemoryDisk();
  const spool = await createMemorySpool({ ...options, disk });
  const mail = acceptance({ acceptedAt: options.clock.now() });
  await spool.accept(mail);
  const server = { host: 'mx.test', address: '192.0.2.1', port: 25 };
  spool.note(spool.pull(LANE)!, [{ kind: 'delivered', status: '2.0.0', text: 'Ok', server }]);
  const states = [];
  for (const notes of [true, false]) {
    const other = await createMemorySpool({ ...options, disk: disk.remains({ notes }) });
    states.push((await other.inspect(mail.message.id))!.deliveries[0]!.state);
  }
  assert.deepEqual(states, ['done', 'ready']);
});
