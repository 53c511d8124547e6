/** Run as a process of its own: sends an attachment of 200 MiB at once to the port it is given, and prints how much memory it took at most, in KiB. */
import { readdirSync } from 'node:fs';
import { Readable } from 'node:stream';
import { createMta } from '../../src/index.js';

const SIZE = 200 * 1024 * 1024;
const [port = '', folder = ''] = process.argv.slice(2);

function* chunks(): Generator<Buffer> {
  for (let given = 0; given < SIZE; given += 64 * 1024) yield Buffer.alloc(64 * 1024, given / 65_536);
}

const mta = await createMta({ hostname: 'riata.test', spool: folder, route: [{ host: '127.0.0.1', port: Number(port) }] });
const before = process.resourceUsage().maxRSS;
const data = { name: 'large.bin', data: Readable.from(chunks(), { objectMode: false }) };
const sent = await mta.send({ from: 'a@b.test', to: 'joe@dest.test', subject: 'large', body: 'b', attachment: data, immediate: true });
const left = readdirSync(folder).filter((name) => name.startsWith('immediate'));
await mta.close();
console.log(JSON.stringify({ ...sent, left, before, most: process.resourceUsage().maxRSS }));
