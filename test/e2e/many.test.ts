/** Much mail for many domains over a few servers, some of which are down: the limits hold, and everything arrives once, where it belongs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTransport } from 'nodemailer';
import type { DnsName } from '../../src/dev/dns-server.js';
import type { Sink } from '../../src/dev/sink.js';
import { type Dialer, systemDialer } from '../../src/platform/dialer.js';
import { destination, madeUpDns, message, startAgent, subjectOf } from '../support/agent.js';
import { loopbackAddress } from '../support/loopback.js';
import type { Scope } from '../support/scope.js';

const SERVERS = 8;
const DOMAINS = 40;
const MESSAGES = 2_000;
const PER_SERVER = 5;
const IN_ALL = 20;
const PER_CONNECTION = 100;

/** What is open now and was at most, by server and in all, as this side has it. */
class Count {
  readonly open = new Map<string, number>();
  readonly most = new Map<string, number>();

  readonly dialer: Dialer = {
    ...systemDialer,
    connect: async (target, signal) => {
      for (const key of [target.address, 'all']) this.#add(key, 1);
      const over = () => {
        for (const key of [target.address, 'all']) this.#add(key, -1);
      };
      try {
        const stream = await systemDialer.connect(target, signal);
        stream.once('close', over);
        return stream;
      } catch (error) {
        over();
        throw error;
      }
    },
  };

  #add(key: string, change: number): void {
    const now = (this.open.get(key) ?? 0) + change;
    this.open.set(key, now);
    this.most.set(key, Math.max(this.most.get(key) ?? 0, now));
  }
}

/** Destinations on addresses of their own, all on one port. */
async function servers(scope: Scope): Promise<Map<string, Sink>> {
  const sinks = new Map<string, Sink>();
  let port = 0;
  while (sinks.size < SERVERS) {
    const host = loopbackAddress();
    const sink = await destination(scope, { host, port });
    port = sink.port;
    sinks.set(host, sink);
  }
  return sinks;
}

/** Elsewhere only 127.0.0.1 is there. */
const skip = process.platform === 'linux' ? false : 'addresses of loopback are there for the taking on Linux only';

test('thousands of messages from many clients to many domains', { skip }, async (t) => {
  const sinks = await servers(t);
  const addresses = [...sinks.keys()];
  const zones: Record<string, DnsName> = { 'down.test': { a: [loopbackAddress()] } };
  addresses.forEach((address, at) => {
    zones[`mx${at}.test`] = { a: [address] };
  });
  /** Two equal servers each, and often a better one that is down; every server serves several domains. */
  const serving = (domain: number) => [domain % SERVERS, (domain * 3 + 1) % SERVERS];
  for (let domain = 0; domain < DOMAINS; domain++) {
    const down: [number, string][] = domain % 3 === 0 ? [[5, 'down.test']] : [];
    zones[`domain${domain}.test`] = { mx: [...down, ...serving(domain).map((at): [number, string] => [10, `mx${at}.test`])] };
  }
  const dns = await madeUpDns(t, zones);
  const count = new Count();
  const agent = await startAgent(
    t,
    {
      dns: { servers: [dns.address] },
      delivery: { connectionsPerServer: PER_SERVER, maxConnections: IN_ALL, messagesPerConnection: PER_CONNECTION },
    },
    { mxPort: sinks.get(addresses[0]!)!.port, dialer: count.dialer },
  );
  const transport = createTransport({ host: '127.0.0.1', port: agent.port, pool: true, maxConnections: 30, ignoreTLS: true });
  await Promise.all(
    Array.from({ length: MESSAGES }, (_, number) =>
      transport.sendMail({
        envelope: { from: 'ann@example.test', to: `user@domain${(number * 7) % DOMAINS}.test` },
        raw: message(`${(number * 7) % DOMAINS}/${number}`),
      }),
    ),
  );
  transport.close();
  await agent.mta.idle(AbortSignal.timeout(60_000));

  const arrived = addresses.flatMap((address, server) =>
    sinks.get(address)!.messages.map((one) => ({ ...one, server, subject: subjectOf(one.bytes) })),
  );
  assert.equal(arrived.length, MESSAGES);
  assert.equal(new Set(arrived.map(({ subject }) => subject)).size, MESSAGES);
  for (const { subject, recipients, server, number } of arrived) {
    const domain = Number.parseInt(subject, 10);
    assert.deepEqual(recipients, [`user@domain${domain}.test`]);
    assert.ok(serving(domain).includes(server), `domain ${domain} at server ${server}`);
    assert.ok(number <= PER_CONNECTION);
  }
  assert.ok(count.most.get('all')! <= IN_ALL, `${count.most.get('all')} connections at one time`);
  for (const [address, most] of count.most)
    if (address !== 'all') assert.ok(most <= PER_SERVER, `${most} connections at one time to ${address}`);
  for (const address of addresses) assert.ok(count.most.get(address)! > 1, 'work was shared out');
  for (const sink of sinks.values()) assert.deepEqual(sink.violations, []);
  // Far fewer connections than messages: an open one takes what is due for its server, of whatever domain.
  const connections = [...sinks.values()].reduce((sum, { counts }) => sum + counts.connections, 0);
  assert.ok(connections < MESSAGES / 10, `${connections} connections`);
  await agent.close();
  assert.equal(count.open.get('all'), 0);
});
