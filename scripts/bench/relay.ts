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
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { load, needLoadGenerator, type Run, spread, startSink } from './load.js';
import { PEERS, type PeerName, type Ports } from './peers.js';

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

function print(runs: readonly Run[], cells: readonly string[], peers: readonly PeerName[]): void {
  console.log('\n| cell | agent | messages/s | CPU s per 1,000 | peak MB |\n|---|---|---|---|---|');
  for (const cell of cells) {
    for (const peer of peers) {
      const of = runs.filter((run) => run.cell === cell && run.peer === peer);
      const field = (key: 'rate' | 'cpuPer1000' | 'peakMB', digits: number) =>
        spread(
          of.map((run) => run[key]),
          digits,
        );
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
needLoadGenerator();
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
      else
        console.error(
          `round ${round}  ${cell.padEnd(9)} ${peer.padEnd(8)} ${run.rate.toFixed(0).padStart(6)}/s  ${run.cpuPer1000.toFixed(3)} CPU s per 1,000  ${run.peakMB.toFixed(0)} MB`,
        );
    }
  }
}
if (!values.json) print(runs, cells, peers);
