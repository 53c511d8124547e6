/**
 * What the spool costs by itself: accept, pull and settle of small messages by concurrent submitters, as fast as it goes.
 * `node --import tsx scripts/bench/spool.ts [messages] [submitters] [octets] [lanes]`. Prints one line; never a test.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Message } from '../../src/core/message.js';
import { systemClock } from '../../src/platform/clock.js';
import { silentLog } from '../../src/platform/log.js';
import { openLevelSpool } from '../../src/spool/level/open.js';

const [messages = 100_000, submitters = 20, octets = 1024, lanes = 20] = process.argv.slice(2).map(Number);

const folder = mkdtempSync(path.join(process.env['BENCH_DIR'] ?? os.tmpdir(), 'riata-bench-'));
const spool = await openLevelSpool({
  path: folder,
  clock: systemClock,
  log: silentLog,
  inlineLimitBytes: 16 * 1024,
  minFreeBytes: 0,
  historyRetentionMs: 7 * 86_400_000,
  historyMaxBytes: 2 ** 30,
  promoteAfterMs: 900_000,
});

/** CPU of the main thread alone, as Linux counts it; 0 elsewhere. */
function mainThreadMs(): number {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return 0;
  }
}

const body = Buffer.alloc(octets, 'x');
let made = 0;

function nextMessage(): Message {
  const number = made++;
  const now = Date.now();
  return {
    id: `01ARZ3NDEKTSV4${number.toString(32).toUpperCase().padStart(12, '0')}`,
    acceptedAt: now,
    sender: 'someone@example.com',
    sizeBytes: octets,
    content: { eightBit: false, dotted: false, utf8Headers: false },
    smtpUtf8: false,
    requireTls: false,
    priority: 'medium',
    notBefore: 0,
    expiresAt: now + 432_000_000,
    origin: { kind: 'smtp', client: '127.0.0.1', helo: 'client.example.com' },
    messageId: `<${number}@example.com>`,
    bounces: 'mail',
  };
}

let settled = 0;
let finished: () => void = () => {};
const allSettled = new Promise<void>((resolve) => {
  finished = resolve;
});
const server = { host: 'mx.example.net', address: '127.0.0.1', port: 25 };

spool.listen({
  onReady(lane) {
    for (let lease = spool.pull(lane); lease; lease = spool.pull(lane)) {
      const at = Date.now();
      const { delivery } = lease;
      spool.note(
        lease,
        delivery.recipients.map(() => ({ kind: 'delivered', status: '2.0.0', text: '2.0.0 Ok: queued as 12345', server })),
      );
      if (spool.mayFinish() !== true) throw new Error('the spool is failing');
      void spool
        .settle(lease, {
          at,
          recipients: delivery.recipients.map((one) => ({
            ...one,
            state: 'delivered',
            last: { at, status: '2.0.0', text: '2.0.0 Ok: queued as 12345', server: 'mx.example.net[127.0.0.1]:25' },
          })),
          attempts: 1,
          log: [{ at, durationMs: 3, server: 'mx.example.net[127.0.0.1]:25', stage: 'content', delivered: 1, deferred: 0, failed: 0 }],
          delayNoticed: false,
          next: { kind: 'done' },
          reports: [],
        })
        .then(() => {
          if (++settled === messages) finished();
        });
    }
  },
  onWaiting() {},
  onFault(fault) {
    console.error(fault);
  },
});

async function submit(): Promise<void> {
  while (made < messages) {
    const message = nextMessage();
    const lane = `mx:domain${made % lanes}.example.com`;
    await spool.accept({
      message,
      deliveries: [{ lane, recipients: [{ address: `user${made}@domain${made % lanes}.example.com`, state: 'queued' }] }],
      body,
    });
  }
}

const began = performance.now();
const usage = process.cpuUsage();
const before = mainThreadMs();
await Promise.all(Array.from({ length: submitters }, submit));
await allSettled;
const ms = performance.now() - began;
const { user, system } = process.cpuUsage(usage);
const main = mainThreadMs() - before;
console.log(
  `${messages} messages of ${octets} octets, ${submitters} submitters, ${lanes} lanes: ${Math.round((messages / ms) * 1000)}/s, ` +
    `main thread ${((main * 1000) / messages).toFixed(1)} µs, all CPU ${((user + system) / messages).toFixed(1)} µs a message, rss ${Math.round(process.memoryUsage.rss() / 1e6)} MB`,
);

await spool.close();
rmSync(folder, { recursive: true });
