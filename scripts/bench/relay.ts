/**
 * How fast mail is relayed, durably, beside Postfix: rounds of load on each agent in turn, since the speed of a machine
 * drifts over minutes and only what was measured side by side can be compared.
 *
 *   npm run bench -- [--rounds 3] [--seconds 8] [--cells 1k/reuse,1k/single,10k/reuse] [--peers riata,postfix] [--json]
 *
 * Load and sink come from Postfix's package (smtp-source, smtp-sink; our own sink for 1 MiB, where smtp-sink is itself the
 * limit): 20 sessions, `reuse` with many messages each, `single` with one message per connection. The rate is from the
 * first connect to the last message in the sink; CPU is that of all processes of the agent in that time. It measures; it judges nothing.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { PEERS, type Peer, type PeerName, portOpens, type Ports } from './peers.js';
import { cpuSeconds, residentBytes } from './process.js';

const SIZES: Record<string, number> = { '1k': 1024, '10k': 10_240, '100k': 102_400, '1m': 1_048_576 };
const SESSIONS = 20;
const SMTP_SOURCE = '/usr/sbin/smtp-source';
const SMTP_SINK = '/usr/sbin/smtp-sink';

interface Run {
  readonly peer: string;
  readonly cell: string;
  readonly messages: number;
  readonly rate: number;
  readonly cpuPer1000: number;
  readonly peakMB: number;
}

/** Counts what has arrived. */
interface Sink {
  arrived(): number;
  stop(): Promise<void>;
}

async function startSink(port: number, large: boolean): Promise<Sink> {
  const own = fileURLToPath(new URL('./sink.mjs', import.meta.url));
  const child: ChildProcess = large
    ? spawn(process.execPath, [own, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] })
    : spawn(SMTP_SINK, ['-u', 'nobody', '-c', '-m', '1000', `127.0.0.1:${port}`, '1024'], { stdio: ['ignore', 'pipe', 'ignore'] });
  let count = 0;
  let text = '';
  child.stdout!.setEncoding('latin1').on('data', (chunk: string) => {
    text = (text + chunk).slice(-200);
    const counts = text.match(large ? /\d+(?=\n)/g : /(?<=mesg=\s*)\d+(?=[^\d])/g);
    if (counts) count = Number(counts.at(-1));
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await portOpens(port);
  return {
    arrived: () => count,
    async stop() {
      child.kill();
      await ended;
    },
  };
}

async function load(peer: Peer, sink: Sink, ports: Ports, cell: string, messages: number): Promise<Run> {
  const [size, mode] = cell.split('/') as [string, string];
  const before = sink.arrived();
  const cpuBefore = cpuSeconds(peer.pid);
  let peak = 0;
  const sampler = setInterval(() => (peak = Math.max(peak, residentBytes(peer.pid))), 250);
  const start = performance.now();
  const args = ['-s', String(Math.min(SESSIONS, messages)), '-m', String(messages), '-l', String(SIZES[size]), '-f', 'sender@example.org', '-t', 'rcpt@example.net'];
  const source = spawn(SMTP_SOURCE, [...args, ...(mode === 'reuse' ? ['-d'] : []), `127.0.0.1:${ports.agent}`], { stdio: ['ignore', 'ignore', 'inherit'] });
  const sourceEnded = new Promise<number | null>((resolve) => source.once('exit', resolve));
  const code = await sourceEnded;
  if (code !== 0) throw new Error(`smtp-source ended with ${code}`);
  let last = { at: performance.now(), count: sink.arrived() };
  while (sink.arrived() - before < messages) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (sink.arrived() !== last.count) last = { at: performance.now(), count: sink.arrived() };
    else if (performance.now() - last.at > 60_000) throw new Error(`${peer.name}: nothing arrives any more, ${sink.arrived() - before} of ${messages}`);
  }
  const seconds = (performance.now() - start) / 1000;
  clearInterval(sampler);
  peak = Math.max(peak, residentBytes(peer.pid));
  return { peer: peer.name, cell, messages, rate: messages / seconds, cpuPer1000: ((cpuSeconds(peer.pid) - cpuBefore) * 1000) / messages, peakMB: peak / 1e6 };
}

/** One agent, one cell: a short run to warm up and to find out how many messages fill the time, then the one that counts. */
async function measure(name: PeerName, cell: string, seconds: number, ports: Ports): Promise<Run> {
  const folder = mkdtempSync(join(tmpdir(), `bench-${name}-`));
  const sink = await startSink(ports.sink, cell.startsWith('1m'));
  const peer = await PEERS[name](folder, ports);
  try {
    const warm = await load(peer, sink, ports, cell, cell.startsWith('1m') ? 40 : 400);
    const trial = await load(peer, sink, ports, cell, Math.max(20, Math.round(warm.rate * 1.5)));
    return await load(peer, sink, ports, cell, Math.max(20, Math.round(trial.rate * seconds)));
  } finally {
    await peer.stop();
    await sink.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const spread = (values: number[], digits: number) => {
  const middle = median(values);
  return `${middle.toFixed(digits)} (${values[0]!.toFixed(digits)}–${values.at(-1)!.toFixed(digits)})`;
};

function print(runs: readonly Run[], cells: readonly string[], peers: readonly PeerName[]): void {
  console.log('\n| cell | agent | messages/s | CPU s per 1,000 | peak MB |\n|---|---|---|---|---|');
  for (const cell of cells) {
    for (const peer of peers) {
      const of = runs.filter((run) => run.cell === cell && run.peer === peer);
      const field = (key: 'rate' | 'cpuPer1000' | 'peakMB', digits: number) => spread(of.map((run) => run[key]), digits);
      console.log(`| ${cell} | ${peer} | ${field('rate', 0)} | ${field('cpuPer1000', 3)} | ${field('peakMB', 0)} |`);
    }
    if (peers.length < 2) continue;
    const ratios = (key: 'rate' | 'cpuPer1000') => {
      const [a, b] = peers.slice(0, 2).map((peer) => runs.filter((run) => run.cell === cell && run.peer === peer).map((run) => run[key]));
      return a!.map((value, round) => value / b![round]!);
    };
    console.log(`| ${cell} | ${peers[0]} ÷ ${peers[1]} | ${spread(ratios('rate'), 2)} | ${spread(ratios('cpuPer1000'), 3)} | |`);
  }
  console.log('\nmedian (least–most) over the rounds; a ratio is taken within its round');
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '8' },
    cells: { type: 'string', default: '1k/reuse,1k/single,10k/reuse' },
    peers: { type: 'string', default: 'riata,postfix' },
    json: { type: 'boolean', default: false },
    ports: { type: 'string', default: '2525,2626' },
  },
});
const missing = [SMTP_SOURCE, SMTP_SINK].filter((path) => !existsSync(path));
if (missing.length > 0) {
  console.error(`${missing.join(' and ')} not found: install the package postfix, which brings the load generator and the sink.`);
  process.exit(69);
}
const [agent, sinkPort] = values.ports.split(',').map(Number) as [number, number];
const cells = values.cells.split(',');
const peers = values.peers.split(',') as PeerName[];
const runs: Run[] = [];
for (let round = 1; round <= Number(values.rounds); round++) {
  for (const cell of cells) {
    for (const peer of peers) {
      const run = await measure(peer, cell, Number(values.seconds), { agent, sink: sinkPort });
      runs.push(run);
      if (values.json) console.log(JSON.stringify({ round, ...run }));
      else console.error(`round ${round}  ${cell.padEnd(9)} ${peer.padEnd(8)} ${run.rate.toFixed(0).padStart(6)}/s  ${run.cpuPer1000.toFixed(3)} CPU s per 1,000  ${run.peakMB.toFixed(0)} MB`);
    }
  }
}
if (!values.json) print(runs, cells, peers);
