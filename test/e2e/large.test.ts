/** A message of any allowed size passes in memory that does not depend on it (G8). */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { destination } from '../support/agent.js';
import { spawnAgent } from '../support/agent-process.js';
import { until } from '../support/scope.js';
import { talk } from '../support/talk.js';

const MIB = 1 << 20;
const SIZE = 96 * MIB;
/** Buffers, and what the collector of garbage leaves lying about: some 36. */
const ALLOWED_BYTES = 64 * MIB;

/** The most memory that a process ever had, in octets. */
function peak(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) * 1024;
}

test('a message of 96 MiB passes, byte for byte, in a fraction of that', {
  skip: existsSync('/proc/self/status') ? false : 'there is no /proc here',
}, async (t) => {
  const sink = await destination(t, { maxBytes: 2 * SIZE });
  const agent = await spawnAgent(t, { toml: `spool.maxMessageSize = "100MiB"\n[[route]]\nhost = "127.0.0.1"\nport = ${sink.port}\n` });
  const line = await talk(agent.port);
  await line.reply();
  await line.say('EHLO client.test');
  await line.say('MAIL FROM:<ann@example.test> BODY=8BITMIME');
  await line.say('RCPT TO:<bob@dest.test>');
  const before = peak(agent.pid);
  await line.say('DATA');
  const header = 'Date: Sun, 22 Nov 2026 09:00:00 +0000\r\nFrom: ann@example.test\r\nMessage-ID: <1@example.test>\r\n\r\n';
  const block = Buffer.from('0123456789abcdef'.repeat(63) + 'a line of 1 KiB\r\n'.slice(-16));
  assert.equal(block.length, 1024);
  const blocks = Buffer.concat(Array(1024).fill(block));
  const sent = createHash('sha256').update(header);
  line.write(header);
  for (let written = 0; written < SIZE; written += blocks.length) {
    sent.update(blocks);
    if (!line.socket.write(blocks)) await once(line.socket, 'drain');
  }
  assert.match(await line.say('.'), /^250 /);
  line.end();
  await until('it to arrive', () => sink.counts.messages === 1, 60_000);
  const { bytes } = sink.messages[0]!;
  const arrived = bytes.subarray(bytes.indexOf(header.slice(0, 20)));
  assert.equal(arrived.length, header.length + SIZE);
  assert.equal(createHash('sha256').update(arrived).digest('hex'), sent.digest('hex'));
  const used = peak(agent.pid) - before;
  t.diagnostic(`${Math.round(used / MIB)} MiB more than before`);
  assert.ok(used < ALLOWED_BYTES, `${Math.round(used / MIB)} MiB more than before`);
  assert.equal((await agent.stop()).code, 0);
});
