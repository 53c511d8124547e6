/** A spool with something of everything in it. */
import { openLevelSpool } from '../../../src/spool/level/open.js';
import type { Lease } from '../../../src/spool/spool.js';
import { acceptance, deferred, delivered } from '../../support/mail.js';
import type { VirtualClock } from '../../support/virtual-clock.js';
import { levelOptions } from './support.js';

const HOUR = 3_600_000;

/** At rest again when this resolves. One delivery is known to be done by the journal only. */
export async function fillSpool(folder: string, clock: VirtualClock): Promise<void> {
  const spool = await openLevelSpool(levelOptions(folder, clock, { inlineLimitBytes: 1024 }));
  const now = () => clock.now();
  const take = async (lane: string): Promise<Lease> => {
    for (;;) {
      const lease = spool.pull(lane);
      if (lease) return lease;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await spool.accept(acceptance({ acceptedAt: now() }, ['mx:ready.test']));
  await spool.accept(acceptance({ acceptedAt: now(), priority: 'high', notBefore: now() + HOUR }, ['mx:later.test']));
  await spool.accept(acceptance({ acceptedAt: now(), sender: 'jürgen@exämple.com', smtpUtf8: true }, ['mx:retry.test']));
  const retried = await take('mx:retry.test');
  await spool.settle(retried, deferred(retried.delivery, now(), now() + HOUR));
  await spool.accept(acceptance({ acceptedAt: now() }, ['mx:held.test']));
  const held = await take('mx:held.test');
  spool.giveBack(held);
  await spool.change(held.delivery.key, { kind: 'hold' });
  await spool.accept(acceptance({ acceptedAt: now() }, ['mx:half-done.test', 'host:relay.test:587:abc', 'mx:[192.0.2.1]']));
  const done = await take('mx:half-done.test');
  await spool.settle(done, delivered(done.delivery, now()));
  const large = acceptance({ acceptedAt: now() }, ['mx:large.test']);
  const { id } = large.message;
  const writer = spool.writeBody({ id, sender: 'sender@example.com', recipients: ['user@large.test'] });
  const text = Buffer.from('a line of a large message\r\n'.repeat(200));
  const taken = writer.write(text);
  if (taken !== true) await taken;
  const body = await writer.finish();
  await spool.accept({ ...large, message: { ...large.message, sizeBytes: text.length }, body });
  await spool.accept(acceptance({ acceptedAt: now() }, ['mx:past.test']));
  const past = await take('mx:past.test');
  await spool.settle(past, delivered(past.delivery, now()));
  await spool.pauseLane('mx:paused.test', { at: now(), reason: 'asked to' });
  const keyed = acceptance({ acceptedAt: now() }, ['mx:paused.test']);
  await spool.accept({ ...keyed, once: { key: 'order 7', digest: 'abc', until: now() + 24 * HOUR, unknownTokens: { name: 1 } } });
  const template = acceptance({ acceptedAt: now(), merge: { defaults: { greeting: 'Hello' } } }, ['mx:merge.test', 'mx:merged.test']);
  const deliveries = template.deliveries.map((one, n) => ({ ...one, copy: { values: { number: `${n}` }, name: `Recipient ${n}` } }));
  await spool.accept({ ...template, deliveries });
  const merged = await take('mx:merged.test');
  await spool.settle(merged, delivered(merged.delivery, now()));
  const own = acceptance({ acceptedAt: now() }, ['host:own.test:465:o1']);
  await spool.accept({ ...own, server: { lane: 'host:own.test:465:o1', about: '1.sealed' } });
  // A server has taken it, and we died before that was settled: only the journal knows.
  await spool.accept(acceptance({ acceptedAt: now() }, ['mx:journal.test']));
  const noted = await take('mx:journal.test');
  const server = { host: 'mx.journal.test', address: '192.0.2.2', port: 25 };
  spool.note(noted, [{ kind: 'delivered', status: '2.0.0', text: 'Ok', server }]);
  await spool.close();
}
