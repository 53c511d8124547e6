/**
 * Handing in from within the process: small messages one after the other, each awaited, against the same in one batch. Nothing is sent:
 * all are dated in the future, so what is measured is composing, the spool and the disk.
 *
 *   npm run bench:api                  10,000 each, three rounds
 *   npm run bench:api -- 2000 1        fewer
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { MailAgent } from '../../src/index.js';

const { createMta } = (await import(new URL('../../dist/index.js', import.meta.url).href)) as typeof import('../../src/index.js');
const [count = 10_000, rounds = 3] = process.argv.slice(2).map(Number);

async function rate(work: (mta: MailAgent, count: number) => Promise<void>): Promise<number> {
  const path = mkdtempSync(join(process.env['RIATA_BENCH_FOLDER'] ?? tmpdir(), 'riata-bench-'));
  const mta = await createMta({ hostname: 'mail.bench.test', spool: { path }, route: [{ host: '127.0.0.1', port: 1, tls: 'off' }] });
  try {
    await work(mta, 200);
    const from = performance.now();
    await work(mta, count!);
    return (count! / (performance.now() - from)) * 1000;
  } finally {
    await mta.close();
    rmSync(path, { recursive: true });
  }
}

const letter = (i: number) => ({
  from: 'Shop <shop@example.test>',
  to: `customer-${i}@example.net`,
  subject: `Your order ${i}`,
  body: `Thank you for order ${i}.\n${'It is on its way. '.repeat(40)}\n`,
  delay: 86_400,
});

async function singles(mta: MailAgent, many: number): Promise<void> {
  for (let i = 0; i < many; i++) await mta.send(letter(i));
}

function batch(mta: MailAgent, many: number): Promise<void> {
  return mta.batch(() => singles(mta, many));
}

console.log(`messages of about 1 KiB a second, ${count} each`);
for (let round = 1; round <= rounds!; round++) {
  const [one, many] = [await rate(singles), await rate(batch)];
  console.log(`round ${round}: one by one ${Math.round(one)}, in a batch ${Math.round(many)}: ${(many / one).toFixed(1)} ×`);
}
