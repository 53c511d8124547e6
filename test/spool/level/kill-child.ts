/**
 * A process that works on a spool as hard as it can, and writes into a file what it was told, until it is killed: `A id` accepted,
 * `N key` noted, `B key` about to be ended, `E key` ended.
 */
import fs from 'node:fs';
import { createIdSource } from '../../../src/core/id.js';
import { systemClock } from '../../../src/platform/clock.js';
import { systemRandom } from '../../../src/platform/random.js';
import { openLevelSpool } from '../../../src/spool/level/open.js';
import type { Lease } from '../../../src/spool/spool.js';
import { acceptance, deferred, delivered, message, recipient } from '../../support/mail.js';
import { bodyOf, lanesOf } from './kill-work.js';
import { levelOptions } from './support.js';

const SUBMITTERS = 8;

const spool = await openLevelSpool(levelOptions(process.argv[2]!, systemClock, { windowSize: 20, windowTotal: 60 }));
const newId = createIdSource(systemClock, systemRandom, spool.lastId());
// A file: what was written is there, whatever becomes of us, and it never says to try again.
const words = fs.openSync(process.argv[3]!, 'a');
const say = (word: string, what: string) => void fs.writeSync(words, `${word} ${what}\n`);
const now = () => systemClock.now();
const server = { host: 'mx.test', address: '192.0.2.1', port: 25 };
let made = 0;

async function submit(): Promise<void> {
  for (;;) {
    const id = newId();
    const body = bodyOf(id);
    const number = made++;
    const about = message({ id, acceptedAt: now(), sizeBytes: body.length, ...(number % 9 === 0 ? { notBefore: now() + 20 } : {}) });
    const writer = spool.writeBody({ id, sender: about.sender, recipients: ['user@one.test'] });
    const wrote = writer.write(body);
    if (wrote !== true) await wrote;
    const deliveries = lanesOf(number).map((lane) => ({ lane, recipients: [recipient('user@one.test')] }));
    await spool.accept({ message: about, deliveries, body: await writer.finish() });
    say('A', id);
    // The queue must not only grow.
    while (spool.counts().messages > 300) await new Promise((resolve) => setImmediate(resolve));
  }
}

function work(lease: Lease): void {
  const { key } = lease.delivery;
  const fate = Math.random();
  if (fate < 0.1) return spool.giveBack(lease);
  if (fate < 0.3) return void spool.settle(lease, deferred(lease.delivery, now(), now() + Math.floor(Math.random() * 50)));
  if (fate < 0.35) return void spool.settle(lease, deferred(lease.delivery, now()));
  say('B', key);
  spool.note(lease, [{ kind: 'delivered', status: '2.0.0', text: 'Ok', server }]);
  if (spool.mayFinish() !== true) return;
  say('N', key);
  const reports =
    fate < 0.4 ? [acceptance({ id: newId(), acceptedAt: now(), sender: '' }, ['mx:reports.test'], Buffer.from('report'))] : [];
  void spool.settle(lease, { ...delivered(lease.delivery, now()), reports }).then((held) => {
    if (held) say('E', key);
  });
}

const pullAll = (lane: string) => {
  for (let taken = 0; taken < 50; taken++) {
    const lease = spool.pull(lane);
    if (!lease) return;
    work(lease);
  }
};
spool.listen({ onReady: (lane) => setImmediate(pullAll, lane), onWaiting: () => {}, onFault: (fault) => say('F', fault.text) });

async function schedule(): Promise<void> {
  for (;;) {
    await spool.promote();
    for (const lane of [...spool.lanes()]) pullAll(lane);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

process.stdout.write('open\n');
await Promise.all([schedule(), ...Array.from({ length: SUBMITTERS }, submit)]);
