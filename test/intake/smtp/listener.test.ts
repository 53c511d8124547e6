import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { type TestContext, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { freePlace } from '../../support/loopback.js';
import { Client, HEADER, openListener, until } from '../support.js';

const limit = { timeout: 120_000 };
const at = (port: number, host = '127.0.0.1') => ({ host, port, implicitTls: false });

/** Fails rather than waits when the listener does come up. */
async function refused(t: TestContext, listen: ReturnType<typeof at>[]): Promise<{ code: string; message: string }> {
  return openListener(t, { listen }).then(
    () => assert.fail('it listens'),
    (error: { code: string; message: string }) => error,
  );
}

test('a port in use is one error that names it and the way out, and nothing else is left listening', limit, async (t) => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await once(taken, 'listening');
  const { port } = taken.address() as net.AddressInfo;
  const free = freePlace();
  const error = await refused(t, [at(free.port, free.host), at(port)]);
  assert.equal(error.code, 'ADDRESS_IN_USE');
  assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}.*another program.*submission\\.listen`));
  await assert.rejects(Client.dial(free.port, free.host), { code: 'ECONNREFUSED' });
});

test('an address that this machine has not is an error that says so', limit, async (t) => {
  const error = await refused(t, [at(0, '192.0.2.1')]);
  assert.equal(error.code, 'ADDRESS_IN_USE');
  assert.match(error.message, /192\.0\.2\.1:0.*no such address/);
});

test('every address is listened on, and limits are those of all together', limit, async (t) => {
  const { listener } = await openListener(t, { listen: [at(0), at(0)], maxConnections: 2 });
  assert.equal(listener.addresses.length, 2);
  const clients = [];
  for (const { port } of listener.addresses) clients.push(await Client.ready(port));
  assert.equal(listener.connections(), 2);
  assert.match(await (await Client.dial(listener.addresses[0]!.port)).reply(), /^421 4\.7\.0 /);
});

test('IPv6 clients are named by their literal', limit, async (t) => {
  let opened: Awaited<ReturnType<typeof openListener>>;
  try {
    opened = await openListener(t, { listen: [at(0, '::1')], trustedNetworks: ['::1'] });
  } catch {
    return t.skip('no IPv6 here');
  }
  const socket = net.connect(opened.port, '::1');
  await once(socket, 'connect');
  const client = new Client(socket);
  await client.reply();
  await client.ask('EHLO c');
  await client.begin();
  assert.match(await client.ask(`${HEADER}\r\n.`), /^250/);
  assert.match(opened.spool.stored[0]!.text, /^Received: from c \(\[IPv6:::1\]\)/);
});

test('closing tells clients that wait, and takes no new ones', limit, async (t) => {
  const { listener, port } = await openListener(t);
  const idle = await Client.ready(port);
  const inTransaction = await Client.ready(port);
  await inTransaction.ask('MAIL FROM:<a@b.test>');
  const greeted = await Client.dial(port);
  await greeted.reply();
  const closed = listener.close();
  for (const client of [idle, inTransaction, greeted]) {
    assert.match(await client.reply(), /^421 4\.3\.2 /);
    assert.equal(await client.rest(), '');
    client.close();
  }
  await closed;
  assert.equal(listener.connections(), 0);
  await assert.rejects(Client.dial(port), { code: 'ECONNREFUSED' });
});

test('a message whose content is on its way is taken before the end', limit, async (t) => {
  const { listener, port, spool } = await openListener(t);
  const client = await Client.ready(port);
  await client.begin();
  client.send(`${HEADER}\r\nfirst `);
  await until(() => spool.closedAsked.length === 1);
  const closed = listener.close();
  client.send('and last\r\n.\r\nNOOP\r\n');
  assert.match(await client.reply(), /^250 2\.0\.0 queued/);
  assert.match(await client.reply(), /^421 4\.3\.2 /);
  assert.equal(await client.rest(), '');
  client.close();
  await closed;
  assert.ok(spool.stored[0]!.text.endsWith('first and last\r\n'));
});

test('a message that is refused at that time is told so, too', limit, async (t) => {
  const { listener, port } = await openListener(t, { bareNewlines: 'refuse' });
  const client = await Client.ready(port);
  await client.begin();
  const closed = listener.close();
  client.send(`${HEADER}\r\na\nb\r\n.\r\n`);
  assert.match(await client.reply(), /^550 5\.6\.0 /);
  assert.match(await client.reply(), /^421 4\.3\.2 /);
  client.close();
  await closed;
});

test('when the time for that is over, sessions are ended and their messages dropped', limit, async (t) => {
  const { listener, port, spool } = await openListener(t);
  const client = await Client.ready(port);
  await client.begin();
  client.send(`${HEADER}\r\n${'x'.repeat(10_000)}`);
  await until(() => spool.open === 1);
  const time = new AbortController();
  const closed = listener.close(time.signal);
  time.abort();
  await closed;
  await client.rest();
  assert.deepEqual([spool.open, spool.stored.length, listener.connections()], [0, 0, 0]);
});

test('without new sessions those there are go on', limit, async (t) => {
  const { listener, port } = await openListener(t);
  const client = await Client.ready(port);
  listener.stopAccepting();
  await assert.rejects(Client.dial(port), { code: 'ECONNREFUSED' });
  await client.begin();
  assert.match(await client.ask(`${HEADER}\r\n.`), /^250/);
});

test('closing twice is closing once', limit, async (t) => {
  const { listener } = await openListener(t);
  await Promise.all([listener.close(), listener.close()]);
  await listener.close(AbortSignal.abort());
});

test('an idle session costs at most 16 KiB', { timeout: 120_000 }, async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const { port } = await openListener(t, { maxConnections: 5_000 });
  const sockets: net.Socket[] = [];
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  const measure = () => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  let greeted = 0;
  const dial = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('error', () => {});
      sockets.push(socket);
      socket.once('data', () => {
        socket.write('EHLO c\r\n');
        socket.once('data', () => greeted++);
      });
    }
    await until(() => greeted === sockets.length);
  };
  await dial(100);
  const before = measure();
  await dial(1000);
  // Our own ends of the connections are in it, too.
  const each = (measure() - before) / 1000;
  t.diagnostic(`${Math.round(each)} octets, the client's end included`);
  assert.ok(each < 16 * 1024, String(each));
});
