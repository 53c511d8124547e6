/** Run as a process of its own: does what its argument says, and prints how much memory it took at most, in KiB. */
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { prepareTemplate } from '../../src/compose/merge/template.js';
import { collected, message } from './composing.js';

const MIB = 1024 * 1024;
const [what = '', path = ''] = process.argv.slice(2);

async function drained(stream: AsyncIterable<Buffer>): Promise<number> {
  let octets = 0;
  for await (const chunk of stream) octets += chunk.length;
  return octets;
}

async function largeFile(size: number): Promise<void> {
  const file = await open(path, 'w');
  await file.truncate(size);
  await file.close();
}

/** In chunks as sockets give them, which no line of base64 fits. */
function* chunks(size: number): Generator<Buffer> {
  for (let given = 0; given < size; given += 64 * 1024) yield Buffer.alloc(64 * 1024, given);
}

const before = process.resourceUsage().maxRSS;
let octets = 0;
switch (what) {
  case 'file':
    await largeFile(200 * MIB);
    octets = await drained(message({ body: 'b', attachments: [path] }).stream());
    break;
  case 'stream':
    octets = await drained(message({ body: 'b', attachments: [{ name: 'a', data: Readable.from(chunks(200 * MIB)) }] }).stream());
    break;
  case 'merge': {
    const stored = await collected(message({ body: 'Dear #n#', attachments: [{ name: 'a', data: Buffer.alloc(4 * MIB) }] }).template());
    const template = prepareTemplate(stored);
    for (let i = 0; i < 10_000; i++) octets += template.render({ n: `Number ${i}` }, { to: `r${i}@x.example` }).sizeBytes;
  }
}
console.log(JSON.stringify({ octets, before, after: process.resourceUsage().maxRSS }));
