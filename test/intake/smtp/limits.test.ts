import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { Patience } from '../../../src/intake/smtp/patience.js';
import { MAX_COMMAND_LINE } from '../../../src/intake/smtp/wire.js';
import { Client, HEADER, ManualClock, openListener, until } from '../support.js';

const limit = { timeout: 120_000 };

test('a message that says it is too large is refused at MAIL', limit, async (t) => {
  const { port } = await openListener(t, { maxMessageSizeBytes: 5_000 }, { maxMessageSizeBytes: 5_000 });
  const client = await Client.ready(port);
  assert.match(await client.ask('MAIL FROM:<a@b.test> SIZE=5001'), /^552 5\.3\.4 /);
  assert.match(await client.ask('MAIL FROM:<a@b.test> SIZE=5000'), /^250/);
});

test('a message that turns out too large is read to its end, refused, and the session goes on', limit, async (t) => {
  const { port, spool, lines } = await openListener(t, {}, { maxMessageSizeBytes: 50_000 });
  const client = await Client.ready(port);
  const message = (octets: number) => {
    const start = `${HEADER}\r\n`;
    return `${start}${'x'.repeat(octets - start.length - 2)}\r\n`;
  };
  await client.begin();
  client.send(`${message(50_001)}.\r\nNOOP\r\n`);
  assert.match(await client.reply(), /^552 5\.3\.4 /);
  assert.equal(await client.reply(), '250 2.0.0 OK');
  assert.deepEqual([spool.stored.length, spool.open], [0, 0]);
  assert.equal(lines.find(({ event }) => event === 'smtp.refused')?.level, 'warn');
  await client.begin();
  client.send(`${message(50_000)}.\r\n`);
  assert.match(await client.reply(), /^250/);
  // Dots that were stuffed do not count.
  await client.begin();
  client.send(`${HEADER}\r\n${'..\r\n'.repeat((50_000 - HEADER.length - 2) / 3)}`.concat('.\r\n'));
  assert.match(await client.reply(), /^250/);
});

test('recipients over the limit are put off, and the rest goes through', limit, async (t) => {
  const { port, spool } = await openListener(t, { maxRecipients: 3, maxErrors: 2 });
  const client = await Client.ready(port);
  client.send(`MAIL FROM:<a@b.test>\r\n${Array.from({ length: 30 }, (_, i) => `RCPT TO:<r${i}@d.test>\r\n`).join('')}DATA\r\n`);
  const replies = await client.replies(32);
  assert.deepEqual(
    replies.map((reply) => reply.slice(0, 9)),
    ['250 2.1.0', ...Array(3).fill('250 2.1.5'), ...Array(27).fill('452 4.5.3'), '354 End d'],
  );
  assert.match(await client.ask(`${HEADER}\r\n.`), /^250/);
  assert.equal(spool.stored[0]!.entry.deliveries[0]!.recipients.length, 3);
});

test('who is wrong too often is sent away, and nothing behind that is obeyed', limit, async (t) => {
  const { port, spool } = await openListener(t, { maxErrors: 5 });
  const client = await Client.ready(port);
  client.send(`${'FOO\r\n'.repeat(8)}MAIL FROM:<a@b.test>\r\n`);
  const text = await client.rest();
  assert.equal(text, `${'500 5.5.2 Error: command not recognized\r\n'.repeat(6)}421 4.7.0 Too many errors\r\n`);
  assert.equal(spool.closedAsked.length, 0);
});

test('errors are forgotten when a message was accepted', limit, async (t) => {
  const { port } = await openListener(t, { maxErrors: 3 });
  const client = await Client.ready(port);
  for (let i = 0; i < 5; i++) {
    for (let n = 0; n < 3; n++) assert.match(await client.ask('RCPT TO:<bad>'), /^503/);
    client.send('NOOP\r\n'.repeat(60));
    assert.ok((await client.replies(60)).every((reply) => reply.startsWith('250')));
    await client.begin();
    assert.match(await client.ask(`${HEADER}\r\n.`), /^250/);
  }
});

test('a client that only passes the time is sent away in the end', limit, async (t) => {
  const { port } = await openListener(t, { maxErrors: 5 });
  const client = await Client.ready(port);
  client.send('NOOP\r\n'.repeat(500));
  const replies = (await client.rest()).split('\r\n');
  assert.equal(replies.at(-2), '421 4.7.0 Too many errors');
  assert.ok(replies.length > 100 && replies.length < 115, String(replies.length));
});

test('a command line that is too long is dropped and refused, whole or in pieces', limit, async (t) => {
  const { port } = await openListener(t);
  const client = await Client.ready(port);
  const noop = (length: number) => `NOOP ${'x'.repeat(length - 5)}`;
  assert.match(await client.ask(noop(MAX_COMMAND_LINE - 1)), /^250/);
  assert.match(await client.ask(noop(MAX_COMMAND_LINE + 1)), /^500 5\.5\.2 /);
  assert.match(await client.ask('NOOP'), /^250/);
  for (let i = 0; i < 50; i++) {
    client.send('x'.repeat(1000));
    await new Promise((resolve) => setImmediate(resolve));
  }
  client.send('\r\nNOOP\r\n');
  assert.deepEqual(
    (await client.replies(2)).map((reply) => reply.slice(0, 9)),
    ['500 5.5.2', '250 2.0.0'],
  );
});

test('connections over the limit are told so and closed, and the place of one that leaves is free', limit, async (t) => {
  const { listener, port, lines } = await openListener(t, { maxConnections: 2 });
  const one = await Client.ready(port);
  const two = await Client.ready(port);
  const three = await Client.dial(port);
  assert.match(await three.reply(), /^421 4\.7\.0 /);
  assert.equal(await three.rest(), '');
  assert.equal(listener.connections(), 2);
  assert.equal(lines.at(-1)?.event, 'smtp.tooManyConnections');
  one.close();
  await until(() => listener.connections() === 1);
  const four = await Client.ready(port);
  assert.match(await four.ask('NOOP'), /^250/);
  assert.match(await two.ask('NOOP'), /^250/);
});

test('a silent client is sent away after the idle timeout', limit, async (t) => {
  const clock = new ManualClock();
  const { listener, port } = await openListener(t, { clock, idleTimeoutMs: 60_000 });
  const silent = await Client.ready(port);
  const busy = await Client.ready(port);
  for (let i = 0; i < 5; i++) {
    clock.advance(11_000);
    assert.match(await busy.ask('NOOP'), /^250/);
  }
  clock.advance(12_000);
  assert.match(await silent.reply(), /^421 4\.4\.2 /);
  assert.equal(await silent.rest(), '');
  assert.match(await busy.ask('NOOP'), /^250/);
  silent.close();
  await until(() => listener.connections() === 1);
});

test('a client that sends a command octet by octet is silent', limit, async (t) => {
  const clock = new ManualClock();
  const { port } = await openListener(t, { clock, idleTimeoutMs: 60_000 });
  const client = await Client.ready(port);
  const other = await Client.ready(port);
  for (let i = 0; i < 7; i++) {
    client.send('N');
    await other.ask('NOOP');
    clock.advance(10_000);
  }
  assert.match(await client.reply(), /^421 4\.4\.2 /);
});

test('content that dribbles is cut off, and leaves nothing', limit, async (t) => {
  const clock = new ManualClock();
  const { port, spool } = await openListener(t, { clock, idleTimeoutMs: 60_000, leastBytesPerSecond: 100 });
  const client = await Client.ready(port);
  const other = await Client.ready(port);
  await client.begin();
  client.send(`${HEADER}\r\n${'x'.repeat(10_000)}`);
  await until(() => spool.open === 1);
  let cut = false;
  void client.reply().then((reply) => {
    assert.match(reply, /^421 4\.4\.2 The content/);
    cut = true;
  });
  // 10,000 octets are worth 100 seconds, besides the first 60.
  for (let second = 0; second < 150; second += 5) {
    client.send('x');
    await other.ask('NOOP').then(() => other.ask('RSET'));
    clock.advance(5_000);
    assert.equal(cut, false, `after ${second} s`);
    if (second % 50 === 0) {
      await other.begin();
      await other.ask(`${HEADER}\r\n.`);
    }
  }
  for (let i = 0; i < 5; i++) {
    client.send('x');
    await other.ask('NOOP');
    clock.advance(5_000);
  }
  await until(() => cut);
  assert.deepEqual([spool.open, spool.stored.length], [0, 3]);
});

test('time that the spool takes does not count against the client', limit, async (t) => {
  const clock = new ManualClock();
  const { port, spool } = await openListener(t, { clock, idleTimeoutMs: 60_000 });
  let open = () => {};
  spool.gate = new Promise((resolve) => {
    open = resolve;
  });
  const client = await Client.ready(port);
  await client.begin();
  client.send(`${HEADER}\r\n.\r\n`);
  await until(() => spool.opened === 1);
  for (let i = 0; i < 100; i++) clock.advance(10_000);
  open();
  assert.match(await client.reply(), /^250/);
  assert.match(await client.ask('NOOP'), /^250/);
});

test('nor does the time that it takes to write what has come', limit, async (t) => {
  const clock = new ManualClock();
  const { port, spool } = await openListener(t, { clock, idleTimeoutMs: 60_000 });
  let open = () => {};
  spool.writeGate = new Promise((resolve) => {
    open = resolve;
  });
  const client = await Client.ready(port);
  await client.begin();
  client.send(`${HEADER}\r\n${'x'.repeat(10_000)}`);
  await until(() => spool.writes.length > 0);
  for (let i = 0; i < 100; i++) clock.advance(10_000);
  spool.writeGate = undefined;
  open();
  client.send('\r\n.\r\n');
  assert.match(await client.reply(), /^250/);
});

test('patience ends as its limits say', () => {
  const limits = { idleTimeoutMs: 1000, leastBytesPerSecond: 10 };
  const look = (patience: Patience, now: number, inContent: boolean, ours = false) => patience.look(now, { inContent, ours }, limits);
  const idle = new Patience(0);
  assert.equal(look(idle, 999, false), 'well');
  assert.equal(look(idle, 1000, false), 'idle');
  const ours = new Patience(0);
  assert.equal(look(ours, 5000, false, true), 'well');
  assert.equal(look(ours, 5999, false), 'well');
  assert.equal(look(ours, 6000, false), 'idle');
  const content = new Patience(0);
  content.contentBegins();
  for (let now = 0; now <= 2000; now += 100) {
    content.content(1);
    // Allowed are 1,000 ms and 100 for each octet: what comes at 10 a second stays.
    assert.equal(look(content, now, true), 'well');
  }
  const slow = new Patience(0);
  slow.contentBegins();
  let found = '';
  let now = 0;
  for (; found !== 'slow'; now += 200) {
    slow.content(1);
    found = look(slow, now, true);
  }
  assert.ok(now > 2000 && now <= 2600, String(now));
});

test('patience counts each content anew, and none of our own time', () => {
  const limits = { idleTimeoutMs: 1000, leastBytesPerSecond: 10 };
  const patience = new Patience(0);
  patience.contentBegins();
  patience.content(1_000_000);
  assert.equal(patience.look(0, { inContent: true, ours: false }, limits), 'well');
  patience.contentBegins();
  // Nothing is left of the million: one octet for each look is worth 100 ms.
  let now = 0;
  for (; now <= 1000; now += 250) {
    patience.content(1);
    assert.equal(patience.look(now, { inContent: true, ours: false }, limits), 'well');
  }
  // A minute of ours, looked at several times, changes nothing.
  for (; now <= 60_000; now += 10_000) assert.equal(patience.look(now, { inContent: true, ours: true }, limits), 'well');
  const last = now - 10_000;
  patience.content(1);
  assert.equal(patience.look(last + 250, { inContent: true, ours: false }, limits), 'well');
  patience.content(1);
  assert.equal(patience.look(last + 950, { inContent: true, ours: false }, limits), 'slow');
});

test('silence is counted from the last sign of life, less our own time', () => {
  const limits = { idleTimeoutMs: 1000, leastBytesPerSecond: 10 };
  const idle = { inContent: false, ours: false };
  const patience = new Patience(0);
  patience.command();
  assert.equal(patience.look(500, idle, limits), 'well');
  assert.equal(patience.look(1400, idle, limits), 'well');
  assert.equal(patience.look(1450, { inContent: false, ours: true }, limits), 'well');
  assert.equal(patience.look(1549, idle, limits), 'well');
  assert.equal(patience.look(1550, idle, limits), 'idle');
});

test('a client that does not read its replies is not read from either, and is sent away', limit, async (t) => {
  const clock = new ManualClock();
  const { listener, port } = await openListener(t, { clock, maxErrors: 1e9, maxRecipients: 1e9 });
  const client = await Client.dial(port);
  await client.reply();
  client.socket.pause();
  (client.socket as Socket).removeAllListeners('data');
  client.send('EHLO c\r\nMAIL FROM:<a@b.test>\r\n');
  // More than the system's buffers hold between the two.
  const commands = Buffer.from('RCPT TO:<b@c.test> X\r\n'.repeat(50_000));
  for (let i = 0; i < 20; i++) client.send(commands);
  const left = () => client.socket.writableLength;
  for (let before = 0; before !== left(); ) {
    before = left();
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assert.ok(left() > 0, 'the server went on reading');
  for (let i = 0; i < 4; i++) clock.advance(30_000);
  client.close();
  await until(() => listener.connections() === 0);
});
