/** What the LevelDB driver leaves behind when its process dies without another word. */
import assert from 'node:assert/strict';
import { cp } from 'node:fs/promises';
import { test } from 'node:test';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import { acceptance, delivered } from '../../support/mail.js';
import { createVirtualClock } from '../../support/virtual-clock.js';
import { levelOptions, temporaryFolder } from './support.js';

test('what was noted is in the journal at once, whether or not another dot is asked for', async () => {
  const clock = createVirtualClock();
  const [folder, copy] = [await temporaryFolder(), await temporaryFolder()];
  const spool = await openLevelSpool(levelOptions(folder.path, clock));
  try {
    const mail = acceptance({ acceptedAt: clock.now() });
    await spool.accept(mail);
    const lease = spool.pull('mx:one.test')!;
    spool.note(lease, [{ kind: 'delivered', status: '2.0.0', text: 'Ok', server: { host: 'mx.test', address: '192.0.2.1', port: 25 } }]);
    // What another process would find now.
    await cp(folder.path, copy.path, { recursive: true });
    const found = await openLevelSpool(levelOptions(copy.path, clock));
    assert.equal((await found.inspect(mail.message.id))?.deliveries[0]?.state, 'done');
    assert.equal(found.pull('mx:one.test'), undefined);
    await found.close();
    await spool.settle(lease, delivered(lease.delivery, clock.now()));
  } finally {
    await spool.close();
    await folder.remove();
    await copy.remove();
  }
});
