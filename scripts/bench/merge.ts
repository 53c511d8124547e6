/**
 * A merge mailing: how long until it is queued, what it takes on the disk and in memory, and how fast its copies leave. The destination
 * is in a process of its own and throws away what it gets. Prints lines; never a test.
 *
 *   npm run bench:merge                    100,000 recipients over 1,000 domains, a letter of about 2 KiB
 *   npm run bench:merge -- 5000 10 100     5,000 over 10, with an attachment of 100 KiB
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import type { MailAgent, Tokens } from '../../src/index.js';

const { createMta } = (await import(new URL('../../dist/index.js', import.meta.url).href)) as typeof import('../../src/index.js');
const [recipients = 100_000, domains = 1000, attachedKiB = 0] = process.argv.slice(2).map(Number);

async function* list(): AsyncGenerator<readonly [string, Tokens]> {
  for (let i = 0; i < recipients; i++)
    yield [`customer-${i}@domain${i % domains}.test`, { name: `Jürgen ${i}`, number: String(i), note: `<b>${i}</b> & more` }];
}

const letter = {
  from: 'Shop <shop@example.test>',
  subject: 'Your order #number#, #name#',
  body: `Dear #name#,\nthank you for order #number#.\n${'It is on its way. '.repeat(40)}\n`,
  html: `<p>Dear #name#,</p><p>#note#</p><p>${'It is on its way. '.repeat(40)}</p>`,
  ...(attachedKiB === 0 ? {} : { attachments: [{ name: 'a.bin', data: Buffer.alloc(attachedKiB * 1024, 7) }] }),
};

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

/** The highest resident memory while it runs. */
async function watched<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly seconds: number; readonly peakMB: number }> {
  let peak = 0;
  const look = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 20);
  const from = performance.now();
  try {
    const result = await work();
    return { result, seconds: (performance.now() - from) / 1000, peakMB: Math.round(peak / 2 ** 20) };
  } finally {
    clearInterval(look);
  }
}

async function measure(mta: MailAgent, spool: string): Promise<void> {
  const idleMB = Math.round(process.memoryUsage.rss() / 2 ** 20);
  const queued = await watched(() => mta.send({ ...letter, merge: list() }));
  const { id, size } = queued.result;
  console.log(
    `${recipients} recipients queued in ${queued.seconds.toFixed(2)} s, ${Math.round(recipients / queued.seconds)} a second; ` +
      `resident ${idleMB} → ${queued.peakMB} MB`,
  );
  console.log(`on disk ${Math.round(sizeOf(spool) / recipients)} octets a recipient; a copy has about ${size}`);
  const from = performance.now();
  const view = await mta.inspect(id);
  console.log(`inspect: ${view?.deliveries.length} of ${recipients} deliveries in ${Math.round(performance.now() - from)} ms`);
  const sent = await watched(() => mta.idle());
  console.log(
    `all sent ${sent.seconds.toFixed(1)} s after that, ${Math.round(recipients / sent.seconds)} a second; resident ${sent.peakMB} MB`,
  );
  console.log(`tally: ${JSON.stringify((await mta.inspect(id))?.tally)}`);
}

const port = 20_000 + (process.pid % 10_000);
const sink = spawn(process.execPath, [fileURLToPath(new URL('sink.mjs', import.meta.url)), String(port)], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
await once(sink.stdout, 'data');
sink.stdout.resume();
const path = mkdtempSync(join(process.env['RIATA_BENCH_FOLDER'] ?? tmpdir(), 'riata-bench-'));
try {
  const route = [{ host: '127.0.0.1', port, tls: 'off' as const }];
  const mta = await createMta({ hostname: 'mail.bench.test', spool: { path }, route });
  await measure(mta, path);
  await mta.close();
} finally {
  sink.kill();
  rmSync(path, { recursive: true });
}
