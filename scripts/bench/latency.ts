/**
 * How long a message takes from the client's final dot to its arrival at the destination, at a steady rate: the times of each
 * message, not of a crowd. Client and destination are this process, so one clock measures both.
 *
 *   npm run bench:latency -- [--rates 10,1000,2000] [--seconds 5] [--json]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startRiata } from './peers.js';

const { values } = parseArgs({
  options: {
    rates: { type: 'string', default: '10,500,1000,2000' },
    seconds: { type: 'string', default: '5' },
    ports: { type: 'string', default: '2525,2626' },
    json: { type: 'boolean', default: false },
  },
});
const [agentPort, sinkPort] = values.ports.split(',').map(Number) as [number, number];
const SESSIONS = 20;
/** Stands for the number of a message where a session has none under way. */
const IDLE = Number.MAX_SAFE_INTEGER;
const FILLER = `${'X'.repeat(78)}\r\n`.repeat(12);

/** When the dot of message n was written, when its 250 came, and when it was at the destination. */
const sent: number[] = [];
const answered: number[] = [];
const arrived: number[] = [];

/** A destination that notes when the number in a message was read. */
function startDestination(): net.Server {
  return net
    .createServer({ noDelay: true }, (socket) => {
      let text = '';
      let inContent = false;
      socket.setEncoding('latin1').on('error', () => {});
      socket.write('220 sink ESMTP\r\n');
      socket.on('data', (chunk) => {
        text += chunk;
        let replies = '';
        for (;;) {
          const at = text.indexOf(inContent ? '\r\n.\r\n' : '\r\n');
          if (at < 0) break;
          const piece = text.slice(0, at);
          text = text.slice(at + (inContent ? 5 : 2));
          if (inContent) {
            inContent = false;
            arrived[Number(/^X-Number: (\d+)/m.exec(piece)![1])] = performance.now();
            replies += '250 2.0.0 Ok\r\n';
          } else if (piece.startsWith('EHLO')) replies += '250-sink\r\n250 PIPELINING\r\n';
          else if (piece === 'DATA') {
            inContent = true;
            replies += '354 go\r\n';
          } else replies += piece === 'QUIT' ? '221 bye\r\n' : '250 2.0.0 Ok\r\n';
        }
        if (replies !== '') socket.write(replies);
      });
    })
    .listen(sinkPort, '127.0.0.1');
}

/** A session that can send one message at a time, with all commands in one write. */
function openSession(): Promise<{ send(n: number): void }> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port: agentPort, host: '127.0.0.1', noDelay: true }).setEncoding('latin1');
    let replies = 0;
    let current = -1;
    const waiting: number[] = [];
    const begin = (n: number) => {
      current = n;
      replies = 0;
      socket.write('MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n');
    };
    socket.once('error', reject);
    socket.on('data', (text) => {
      for (const line of String(text).split('\r\n')) {
        if (!/^\d{3} /.test(line)) continue;
        if (current < 0) {
          if (line.startsWith('220')) socket.write('EHLO bench\r\n');
          else resolve({ send: (n) => (current === IDLE ? begin(n) : void waiting.push(n)) });
          if (line.startsWith('250')) current = IDLE;
          continue;
        }
        replies++;
        if (replies === 3) {
          sent[current] = performance.now();
          socket.write(
            `X-Number: ${current}\r\nSubject: x\r\nFrom: a@example.org\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <${current}@x>\r\n\r\n${FILLER}.\r\n`,
          );
        } else if (replies === 4) {
          answered[current] = performance.now();
          current = IDLE;
          const next = waiting.shift();
          if (next !== undefined) begin(next);
        }
      }
    });
  });
}

const percentile = (sorted: readonly number[], part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;

const folder = mkdtempSync(join(tmpdir(), 'bench-latency-'));
const destination = startDestination();
const peer = await startRiata(folder, { agent: agentPort, sink: sinkPort });
try {
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, openSession));
  let n = 0;
  if (!values.json) console.log('| rate | to 250: median, p99 ms | to arrival: median, p99, most ms |\n|---|---|---|');
  for (const rate of values.rates.split(',').map(Number)) {
    for (const list of [sent, answered, arrived]) list.length = n = 0;
    const total = Math.max(50, Math.round(rate * Number(values.seconds)));
    const began = performance.now();
    while (n < total) {
      const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * rate));
      for (; n < due; n++) sessions[n % SESSIONS]!.send(n);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    while (Object.keys(arrived).length < total || Object.keys(answered).length < total)
      await new Promise((resolve) => setTimeout(resolve, 5));
    const toArrival = arrived.map((at, i) => at - sent[i]!).sort((a, b) => a - b);
    const toReply = answered.map((at, i) => at - sent[i]!).sort((a, b) => a - b);
    const row = {
      rate,
      replyMedian: percentile(toReply, 0.5),
      replyP99: percentile(toReply, 0.99),
      arrivalMedian: percentile(toArrival, 0.5),
      arrivalP99: percentile(toArrival, 0.99),
      arrivalMost: toArrival.at(-1)!,
    };
    if (values.json) console.log(JSON.stringify(row));
    else {
      const ms = (value: number) => value.toFixed(1);
      console.log(
        `| ${rate}/s | ${ms(row.replyMedian)}, ${ms(row.replyP99)} | ${ms(row.arrivalMedian)}, ${ms(row.arrivalP99)}, ${ms(row.arrivalMost)} |`,
      );
    }
  }
} finally {
  await peer.stop();
  destination.close();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
