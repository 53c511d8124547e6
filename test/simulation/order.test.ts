/**
 * Who goes first when there are few connections and much to send (G4): whenever the agent begins a message, nothing more urgent is
 * waiting for that server, in whichever lane, and waiting makes urgent.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configFromOptions } from '../../src/config/load.js';
import { PRIORITIES } from '../../src/core/message.js';
import { startMta } from '../../src/mta.js';
import { MemoryDisk } from '../../src/spool/memory.js';
import { createSeededRandom } from '../support/seeded-random.js';
import { createVirtualClock, settle } from '../support/virtual-clock.js';
import { openSpool, PROMOTE_AFTER_MS } from './disk.js';
import { createDns } from './dns.js';
import { Network } from './network.js';
import { Server } from './server.js';
import { pick } from './weather.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const MAILS = 200;
/** Mail comes in for so long, several times as fast as it can go out. */
const RUSH_MS = 15 * MINUTE;
const DOT_MS = 15 * SECOND;
/** The age of what waits is looked at this often at least (the scheduler's sweep). */
const SLACK_MS = 11 * SECOND;

/** Returns what was sent before its turn, and the place in the order of each mail. */
async function rush(seed: number): Promise<{ wrong: string[]; order: { rank: number; waitedMs: number }[] }> {
  const random = createSeededRandom(seed);
  const clock = createVirtualClock(Date.UTC(2026, 0, 1), () => settle(1));
  /** By sender: what was handed in and has not been begun. */
  const waiting = new Map<string, { readonly rank: number; readonly since: number }>();
  const wrong: string[] = [];
  const order: { rank: number; waitedMs: number }[] = [];
  const violation = (text: string) => void wrong.push(text);
  const nothing = () => {};
  const server = new Server({
    clock,
    limits: { connections: 2, messages: 100 },
    habits: {
      name: 'mx.test',
      latencyMs: 5,
      extensions: ['PIPELINING', '8BITMIME'],
      old: false,
      tls: 'none',
      mostConnections: 100,
      mostRecipients: 100,
      greylistMs: 0,
    },
    weather: { actAt: (stage) => (stage === 'dot' ? { kind: 'late', ms: DOT_MS } : { kind: 'usual' }) },
    watch: { taken: nothing, answered: nothing, refused: nothing, dot: nothing, violation },
  });
  const network = new Network(clock, new Map([['10.0.0.1:25', server]]), {
    opened: nothing,
    wrote: (_server, chunk) => {
      for (const [, sender] of chunk.toString('latin1').matchAll(/MAIL FROM:<([^>]+)>/g)) {
        const { rank, since } = waiting.get(sender!)!;
        waiting.delete(sender!);
        const now = clock.now();
        order.push({ rank, waitedMs: now - since });
        const level = levelAt(rank, now - since);
        for (const [other, one] of waiting) {
          const sure = levelAt(one.rank, now - SLACK_MS - one.since);
          if (now - one.since > SECOND && sure < level)
            wrong.push(`${other} (${PRIORITIES[sure]}) had to wait for ${sender} (${PRIORITIES[level]})`);
        }
      }
    },
  });
  const domains = ['a.test', 'b.test', 'c.test', 'd.test'];
  const { spool } = await openSpool({
    clock,
    disk: new MemoryDisk(),
    latencyMs: () => 5,
    watch: { writing: nothing, written: nothing, settled: nothing },
  });
  const { config } = configFromOptions(
    { hostname: 'riata.test', spool: { path: '/nowhere' }, delivery: { allowPrivateAddresses: true, connectionsPerServer: 2 } },
    { machineName: 'riata.test' },
  );
  const mta = await startMta(config, {
    clock,
    random,
    dialer: network.uplink(),
    resolver: createDns({ random, clock, servers: [{ host: 'mx.test', address: '10.0.0.1' }], domains, healsAt: 0 }),
    openSpool: async () => spool,
  });
  const submit = async (number: number) => {
    const rank = Math.floor(random.unit() * PRIORITIES.length);
    const notBefore = random.unit() < 0.2 ? clock.now() + Math.floor(random.unit() * RUSH_MS) : 0;
    const sender = `s${number}@home.test`;
    const submission = mta.submit({
      sender,
      recipients: [{ address: `r${number}@${pick(random, domains)}` }],
      smtpUtf8: false,
      requireTls: false,
      origin: { kind: 'api' },
      priority: PRIORITIES[rank]!,
      notBefore,
      bounces: 'mail',
      received: '',
    });
    waiting.set(sender, { rank, since: Math.max(clock.now(), notBefore) });
    await submission.write(Buffer.from(`Subject: ${number}\r\n\r\nHello.\r\n`));
    await submission.finish();
  };
  for (let number = 0; number < MAILS; number++) clock.after(random.unit() * RUSH_MS, () => void submit(number));
  await clock.advance(2 * RUSH_MS + (MAILS * DOT_MS) / 2);
  if (waiting.size > 0) wrong.push(`${waiting.size} are waiting yet`);
  const closed = mta.close();
  await clock.advance(MINUTE);
  await closed;
  return { wrong, order };
}

function levelAt(rank: number, waitedMs: number): number {
  return Math.max(0, rank - Math.max(0, Math.floor(waitedMs / PROMOTE_AFTER_MS)));
}

test('nothing is begun while something more urgent waits for the same server, and nothing starves', async (t) => {
  const waits = { high: 0, low: 0, raised: 0 };
  for (let seed = 1; seed <= 10; seed++) {
    const { wrong, order } = await rush(seed);
    assert.equal(wrong.length, 0, `seed ${seed}: ${wrong.slice(0, 5).join('; ')}`);
    assert.equal(order.length, MAILS);
    for (const { rank, waitedMs } of order) {
      if (rank === 0) waits.high = Math.max(waits.high, waitedMs);
      if (rank === 2) waits.low = Math.max(waits.low, waitedMs);
      if (rank > 0 && waitedMs > PROMOTE_AFTER_MS) waits.raised++;
    }
  }
  t.diagnostic(JSON.stringify(waits));
  assert.ok(waits.raised > 0, 'nobody waited long enough to be raised');
});
