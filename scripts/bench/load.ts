/** The load and the sink of the benchmarks: smtp-source and smtp-sink of Postfix's package, and a sink of our own for large mail. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Peer, type Ports, portOpens } from './peers.js';
import { cpuSeconds, residentBytes } from './process.js';

const SIZES: Record<string, number> = { '1k': 1024, '10k': 10_240, '100k': 102_400, '1m': 1_048_576 };
const SESSIONS = 20;
const SMTP_SOURCE = '/usr/sbin/smtp-source';
const SMTP_SINK = '/usr/sbin/smtp-sink';

export interface Run {
  readonly peer: string;
  readonly cell: string;
  readonly messages: number;
  readonly rate: number;
  readonly cpuPer1000: number;
  readonly peakMB: number;
}

/** Counts what has arrived. */
export interface Sink {
  arrived(): number;
  stop(): Promise<void>;
}

export async function startSink(port: number, large: boolean): Promise<Sink> {
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

export async function load(peer: Peer, sink: Sink, ports: Ports, cell: string, messages: number): Promise<Run> {
  const [size, mode] = cell.split('/') as [string, string];
  const before = sink.arrived();
  const cpuBefore = cpuSeconds(peer.pid);
  let peak = 0;
  const sampler = setInterval(() => (peak = Math.max(peak, residentBytes(peer.pid))), 250);
  const start = performance.now();
  const args = [
    '-s',
    String(Math.min(SESSIONS, messages)),
    '-m',
    String(messages),
    '-l',
    String(SIZES[size]),
    '-f',
    'sender@example.org',
    '-t',
    'rcpt@example.net',
  ];
  const source = spawn(SMTP_SOURCE, [...args, ...(mode === 'reuse' ? ['-d'] : []), `127.0.0.1:${ports.agent}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const sourceEnded = new Promise<number | null>((resolve) => source.once('exit', resolve));
  const code = await sourceEnded;
  if (code !== 0) throw new Error(`smtp-source ended with ${code}`);
  let last = { at: performance.now(), count: sink.arrived() };
  while (sink.arrived() - before < messages) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (sink.arrived() !== last.count) last = { at: performance.now(), count: sink.arrived() };
    else if (performance.now() - last.at > 60_000)
      throw new Error(`${peer.name}: nothing arrives any more, ${sink.arrived() - before} of ${messages}`);
  }
  const seconds = (performance.now() - start) / 1000;
  clearInterval(sampler);
  peak = Math.max(peak, residentBytes(peer.pid));
  return {
    peer: peer.name,
    cell,
    messages,
    rate: messages / seconds,
    cpuPer1000: ((cpuSeconds(peer.pid) - cpuBefore) * 1000) / messages,
    peakMB: peak / 1e6,
  };
}

/** Ends the program where the load generator is missing. */
export function needLoadGenerator(): void {
  const missing = [SMTP_SOURCE, SMTP_SINK].filter((path) => !existsSync(path));
  if (missing.length === 0) return;
  console.error(`${missing.join(' and ')} not found: install the package postfix, which brings the load generator and the sink.`);
  process.exit(69);
}

/** The middle one, and from where to where. */
export function spread(values: readonly number[], digits: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)]!;
  return `${middle.toFixed(digits)} (${sorted[0]!.toFixed(digits)}–${sorted.at(-1)!.toFixed(digits)})`;
}
