/**
 * Very many coming due at once: `node --import tsx scripts/bench/promotion.ts [waiting] [lanes] [octets]`. Fills a spool with mail for
 * later, opens it anew, measures accepts beside it, then sets the clock forward. Prints a line for each; never a test.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createIdSource } from '../../src/core/id.js';
import type { Message } from '../../src/core/message.js';
import { type Clock, systemClock } from '../../src/platform/clock.js';
import { silentLog } from '../../src/platform/log.js';
import { systemRandom } from '../../src/platform/random.js';
import { openLevelSpool } from '../../src/spool/level/open.js';
import type { Spool } from '../../src/spool/spool.js';

const [waiting = 100_000, lanes = 10_000, octets = 1024] = process.argv.slice(2).map(Number);
const HOUR_MS = 3_600_000;

/** Set forward when all is to come due. */
let ahead = 0;
const clock: Clock = { ...systemClock, now: () => systemClock.now() + ahead };
const folder = mkdtempSync(path.join(process.env['BENCH_DIR'] ?? os.tmpdir(), 'riata-bench-'));
const newId = createIdSource(clock, systemRandom);
const body = Buffer.alloc(octets, 'x');

function open(): Promise<Spool> {
  return openLevelSpool({
    path: folder,
    clock,
    log: silentLog,
    inlineLimitBytes: 16 * 1024,
    minFreeBytes: 0,
    historyRetentionMs: 7 * 24 * HOUR_MS,
    historyMaxBytes: 2 ** 30,
    promoteAfterMs: HOUR_MS / 4,
  });
}

function accept(spool: Spool, number: number, notBefore: number): Promise<void> {
  const domain = `domain${number % lanes}.example.com`;
  const now = clock.now();
  const message: Message = {
    id: newId(),
    acceptedAt: now,
    sender: 'someone@example.com',
    sizeBytes: octets,
    content: { eightBit: false, dotted: false, utf8Headers: false },
    smtpUtf8: false,
    requireTls: false,
    priority: 'medium',
    notBefore,
    expiresAt: now + 120 * HOUR_MS,
    origin: { kind: 'smtp', client: '127.0.0.1', helo: 'client.example.com' },
    messageId: `<${number}@example.com>`,
    bounces: 'mail',
  };
  return spool.accept({
    message,
    deliveries: [{ lane: `mx:${domain}`, recipients: [{ address: `user@${domain}`, state: 'queued' }] }],
    body,
  });
}

async function acceptMany(spool: Spool, count: number, submitters: number, notBefore: number): Promise<number> {
  let made = 0;
  const began = performance.now();
  const submit = async () => {
    while (made < count) await accept(spool, made++, notBefore);
  };
  await Promise.all(Array.from({ length: submitters }, submit));
  return Math.round((count / (performance.now() - began)) * 1000);
}

/** CPU of the main thread alone, as Linux counts it; 0 elsewhere. */
function mainThreadMs(): number {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return 0;
  }
}

function memory(): string {
  const { rss, heapUsed } = process.memoryUsage();
  return `${Math.round(rss / 1e6)} MB resident, ${Math.round(heapUsed / 1e6)} MB of it objects`;
}

/** Longest time between two turns of the event loop, until the call it returns. */
function watchLoop(): () => number {
  let longest = 0;
  let last = performance.now();
  let watching = true;
  const look = () => {
    const at = performance.now();
    longest = Math.max(longest, at - last);
    last = at;
    if (watching) setImmediate(look);
  };
  look();
  return () => {
    watching = false;
    return longest;
  };
}

let spool = await open();
console.log(`${waiting} for later over ${lanes} lanes: ${await acceptMany(spool, waiting, 200, clock.now() + HOUR_MS)}/s, ${memory()}`);
await spool.close();

const began = performance.now();
spool = await open();
const opened = performance.now() - began;
await accept(spool, 0, clock.now() + 2 * HOUR_MS);
console.log(`opened in ${opened.toFixed(0)} ms, first accept durable after ${(performance.now() - began).toFixed(0)} ms, ${memory()}`);
console.log(`accepts beside it, 20 submitters: ${await acceptMany(spool, 20_000, 20, clock.now() + 2 * HOUR_MS)}/s`);

ahead = HOUR_MS + 1;
const stop = watchLoop();
const started = performance.now();
const cpu = mainThreadMs();
await spool.promote();
const took = performance.now() - started;
const each = ((mainThreadMs() - cpu) * 1000) / waiting;
console.log(
  `all came due: ${Math.round((waiting / took) * 1000)}/s, ${each.toFixed(1)} µs of the main thread each, longest stall ${stop().toFixed(0)} ms, ${spool.counts().ready} ready, ${memory()}`,
);
const tidying = performance.now();
await spool.tidy();
console.log(`tidied in ${(performance.now() - tidying).toFixed(0)} ms, ${memory()}`);
await spool.close();
rmSync(folder, { recursive: true });
