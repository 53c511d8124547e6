/** Run as a process of its own: sends what its arguments say to the port they name, and prints how much memory it took at most, in KiB. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createMta } from '../../src/index.js';

const MIB = 1024 * 1024;
const [what = '', port = '', folder = ''] = process.argv.slice(2);
const SIZE = 120 * MIB;

async function largeFile(): Promise<string> {
  const path = join(folder, 'large.bin');
  const file = await open(path, 'w');
  await file.truncate(SIZE);
  await file.close();
  return path;
}

function* chunks(): Generator<Buffer> {
  for (let given = 0; given < SIZE; given += 64 * 1024) yield Buffer.alloc(64 * 1024, given);
}

const mta = await createMta({
  hostname: 'riata.test',
  spool: { path: join(folder, 'spool'), maxMessageSize: '200MiB' },
  route: [{ host: '127.0.0.1', port: Number(port) }],
});
const letter = { from: 'a@b.test', to: 'joe@dest.test', subject: 'large', body: 'b' };
await mta.send(letter);
await mta.idle();
const before = process.resourceUsage().maxRSS;
const data = what === 'file' ? await largeFile() : { name: 'large.bin', data: Readable.from(chunks(), { objectMode: false }) };
const { id, size } = await mta.send({ ...letter, attachment: data });
await mta.idle();
const status = await mta.status(id);
await mta.close();
console.log(JSON.stringify({ status, size, before, after: process.resourceUsage().maxRSS }));
