/**
 * What a deep queue costs: start, new mail passing it, memory. The queue is filled through the spool itself with messages that
 * are due in a week, then the agent is started on it as a user would.
 *
 *   npm run bench:depth -- [--messages 100000] [--lanes 1000] [--rounds 3] [--seconds 6] [--json]
 *
 * Start is from the birth of the process to the first `250` for a message. Rates are taken in turn on the deep spool and on an
 * empty one, so that their ratio does not depend on the hour.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createIdSource } from '../../src/core/id.js';
import { systemClock } from '../../src/platform/clock.js';
import { silentLog } from '../../src/platform/log.js';
import { systemRandom } from '../../src/platform/random.js';
import { openLevelSpool } from '../../src/spool/level/open.js';
import { load, needLoadGenerator, spread, startSink } from './load.js';
import { startRiata } from './peers.js';
import { residentBytes } from './process.js';

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '100000' },
    lanes: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '6' },
    ports: { type: 'string', default: '2525,2626' },
    json: { type: 'boolean', default: false },
  },
});
const MESSAGES = Number(values.messages);
const LANES = Number(values.lanes);
const [agentPort, sinkPort] = values.ports.split(',').map(Number) as [number, number];
const ports = { agent: agentPort, sink: sinkPort };
const CELL = '1k/reuse';
const WEEK_MS = 7 * 86_400_000;
const AT_ONCE = 1_000;

async function fill(path: string): Promise<void> {
  const spool = await openLevelSpool({
    path,
    clock: systemClock,
    log: silentLog,
    inlineLimitBytes: 16_384,
    minFreeBytes: 0,
    historyRetentionMs: WEEK_MS,
    historyMaxBytes: 2 ** 30,
    promoteAfterMs: 900_000,
  });
  const newId = createIdSource(systemClock, systemRandom);
  const now = Date.now();
  const body = Buffer.from(`Subject: deep\r\n\r\n${`${'X'.repeat(78)}\r\n`.repeat(12)}`);
  const accept = (n: number) => {
    const domain = `d${n % LANES}.example`;
    return spool.accept({
      message: {
        id: newId(),
        acceptedAt: now,
        sender: 'sender@example.org',
        sizeBytes: body.length,
        content: { eightBit: false, dotted: false, utf8Headers: false },
        smtpUtf8: false,
        requireTls: false,
        priority: 'medium',
        notBefore: now + WEEK_MS + n,
        expiresAt: now + 2 * WEEK_MS,
        origin: { kind: 'smtp', client: '127.0.0.1', helo: 'bench' },
        messageId: `<${n}@example.org>`,
        bounces: 'mail',
      },
      deliveries: [{ lane: `mx:${domain}`, recipients: [{ address: `user@${domain}`, state: 'queued' }] }],
      body,
    });
  };
  for (let n = 0; n < MESSAGES; n += AT_ONCE) {
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, MESSAGES - n) }, (_, i) => accept(n + i)));
    if (process.stderr.isTTY) process.stderr.write(`\rfilled ${n + AT_ONCE} of ${MESSAGES}`);
  }
  await spool.close();
}

/** One message over a bare connection; resolves at its `250`. */
function handIn(port: number): Promise<void> {
  const steps = ['EHLO b\r\n', 'MAIL FROM:<a@example.org>\r\n', 'RCPT TO:<b@example.net>\r\n', 'DATA\r\n', 'Subject: x\r\n\r\n.\r\n'];
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1').setEncoding('latin1');
    socket.once('error', reject);
    socket.on('data', (text) => {
      if (/^\d{3}-/m.test(String(text)) && !/^\d{3} /m.test(String(text))) return;
      const step = steps.shift();
      if (step !== undefined) socket.write(step);
      else {
        socket.destroy();
        resolve();
      }
    });
  });
}

/** Milliseconds from the birth of the process to the first durable accept. */
async function start(folder: string) {
  const began = performance.now();
  const peer = await startRiata(folder, ports);
  await handIn(ports.agent);
  return { peer, startMs: performance.now() - began };
}

needLoadGenerator();
const deep = mkdtempSync(join(tmpdir(), 'bench-deep-'));
const empty = mkdtempSync(join(tmpdir(), 'bench-empty-'));
const sink = await startSink(ports.sink, false);
try {
  const filledAt = performance.now();
  await fill(join(deep, 'spool'));
  const fillSeconds = (performance.now() - filledAt) / 1000;
  const rows: {
    round: number;
    clean: number;
    killed: number;
    emptyStart: number;
    rate: number;
    emptyRate: number;
    idleMB: number;
    peakMB: number;
  }[] = [];
  for (let round = 1; round <= Number(values.rounds); round++) {
    const first = await start(deep);
    process.kill(first.peer.pid, 'SIGKILL');
    await first.peer.ended;
    const second = await start(deep);
    const idleMB = residentBytes(second.peer.pid) / 1e6;
    const trial = await load(second.peer, sink, ports, CELL, 2_000);
    const run = await load(second.peer, sink, ports, CELL, Math.round(trial.rate * Number(values.seconds)));
    await second.peer.stop();
    const bare = await start(empty);
    await load(bare.peer, sink, ports, CELL, 2_000);
    const bareRun = await load(bare.peer, sink, ports, CELL, run.messages);
    await bare.peer.stop();
    const row = {
      round,
      clean: first.startMs,
      killed: second.startMs,
      emptyStart: bare.startMs,
      rate: run.rate,
      emptyRate: bareRun.rate,
      idleMB,
      peakMB: run.peakMB,
    };
    rows.push(row);
    if (values.json) console.log(JSON.stringify(row));
  }
  const column = (pick: (row: (typeof rows)[number]) => number, digits = 0) => spread(rows.map(pick), digits);
  if (!values.json) {
    console.log(`${MESSAGES} deferred messages over ${LANES} domains, filled at ${Math.round(MESSAGES / fillSeconds)}/s

| what | median (least–most) |
|---|---|
| start to first durable accept, clean stop before, ms | ${column((row) => row.clean)} |
| the same after kill -9, ms | ${column((row) => row.killed)} |
| the same on an empty spool, ms | ${column((row) => row.emptyStart)} |
| relay beside it, messages/s | ${column((row) => row.rate)} |
| relay on an empty spool, messages/s | ${column((row) => row.emptyRate)} |
| ratio | ${column((row) => row.rate / row.emptyRate, 2)} |
| resident idle / under load, MB | ${column((row) => row.idleMB)} / ${column((row) => row.peakMB)} |`);
  }
} finally {
  await sink.stop();
  for (const folder of [deep, empty]) rmSync(folder, { recursive: true, force: true });
}
