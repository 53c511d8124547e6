/** TLS and login, as they are demanded, offered, refused and broken. Certificates are made by openssl. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { afterEach, before, describe, it } from 'node:test';
import type { ChannelPolicy } from '../../src/delivery/contract.js';
import { type Sink, type SinkOptions, startSink } from '../../src/dev/sink.js';
import { systemDialer } from '../../src/platform/dialer.js';
import { createCertificate, type TestCertificate } from '../support/certificate.js';
import { makeJob, open, POLICY, Work } from './session-rig.js';

let good: TestCertificate;
let wrong: TestCertificate;
let expired: TestCertificate;
before(() => {
  good = createCertificate(['localhost']);
  wrong = createCertificate(['other.test']);
  expired = createCertificate(['localhost'], { expired: true });
});

const USERS = { ann: 'päss word' };
const ANN = { username: 'ann', password: 'päss word' };

/** As seen by the session, a server that is not on loopback. */
const faraway = (port: number) => ({
  target: { host: 'sink.test', address: '192.0.2.1', port },
  dialer: { ...systemDialer, connect: (_: unknown, signal: AbortSignal) => systemDialer.connect({ address: '127.0.0.1', port }, signal) },
});

describe('opening a session', () => {
  const sinks: Sink[] = [];
  afterEach(() => Promise.all(sinks.splice(0).map((sink) => sink.close())));

  async function start(options: SinkOptions = {}): Promise<Sink> {
    const sink = await startSink(options);
    sinks.push(sink);
    return sink;
  }

  const policy = (more: Partial<ChannelPolicy>): { policy: ChannelPolicy } => ({ policy: { ...POLICY, ...more } });

  /** Opens, sends one message, and says how it went. */
  async function deliver(port: number, more: Partial<ChannelPolicy>, far = false) {
    const answer = await open(port, { ...policy(more), ...(far ? faraway(port) : {}) });
    if (answer.kind === 'trouble') return answer;
    const work = new Work(makeJob());
    await answer.session.run(work);
    await answer.session.quit();
    return { kind: 'sent', outcomes: work.outcomes(0), tls: answer.session.tls, result: work.results[0]! } as const;
  }

  const troubleOf = (answer: Awaited<ReturnType<typeof deliver>>) => {
    assert.ok(answer.kind === 'trouble', 'it should not have worked');
    assert.equal(answer.trouble.lasting, 'temporary');
    return answer.trouble;
  };

  it('STARTTLS, demanded, verified and given; what was learnt in the clear is forgotten', async () => {
    const verbs: string[] = [];
    const { port, messages, violations } = await start({ tls: good, script: ({ verb }) => void verbs.push(verb) });
    const sent = await deliver(port, { tls: 'starttls', ca: good.ca });
    assert.ok(sent.kind === 'sent');
    assert.deepEqual(sent.outcomes, ['delivered']);
    assert.match(sent.tls!, /^TLSv1\.[23] TLS_/);
    assert.equal(sent.result.tls, sent.tls);
    assert.ok(messages[0]!.tls);
    assert.deepEqual(verbs, ['CONNECT', 'EHLO', 'STARTTLS', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'DOT', 'QUIT']);
    assert.deepEqual(violations, []);
  });

  it('extensions offered in the clear do not count under TLS', async () => {
    let hellos = 0;
    const { port, messages, violations } = await start({
      tls: good,
      extensions: ['PIPELINING'],
      script: ({ verb }) => (verb === 'EHLO' && ++hellos === 1 ? '250-sink\r\n250-SIZE 10\r\n250-8BITMIME\r\n250 STARTTLS' : undefined),
    });
    const sent = await deliver(port, { tls: 'opportunistic' });
    assert.ok(sent.kind === 'sent');
    assert.deepEqual(sent.outcomes, ['delivered']);
    assert.deepEqual(messages[0]!.parameters, []);
    assert.deepEqual(violations, []);
  });

  it('TLS from the first octet', async () => {
    const { port } = await start({ tls: { ...good, implicit: true } });
    const sent = await deliver(port, { tls: 'implicit', ca: good.ca });
    assert.ok(sent.kind === 'sent');
    assert.ok(sent.tls);
  });

  for (const mode of ['starttls', 'implicit'] as const) {
    it(`${mode}: a certificate of another name, of an unknown authority or out of date is not accepted`, async () => {
      for (const [certificate, ca] of [
        [wrong, wrong.ca],
        [good, undefined],
        [expired, expired.ca],
      ] as const) {
        const { port, counts } = await start({ tls: { ...certificate, implicit: mode === 'implicit' } });
        const trouble = troubleOf(await deliver(port, { tls: mode, ...(ca ? { ca } : {}) }));
        assert.equal(trouble.stage, 'starttls');
        assert.equal(trouble.reason, 'tls');
        assert.equal(trouble.status, '4.7.5');
        assert.equal(counts.connections, 1, 'nothing is tried without TLS');
        assert.equal(counts.messages, 0);
      }
    });
  }

  it('demanded and not offered, refused or broken, TLS is not done without', async () => {
    const cases: SinkOptions[] = [
      {},
      { tls: good, script: ({ verb }) => (verb === 'STARTTLS' ? '454 4.7.0 not now' : undefined) },
      { tls: good, script: ({ verb }) => (verb === 'STARTTLS' ? '502 5.5.1 no' : undefined) },
      { tls: good, script: ({ verb }) => (verb === 'STARTTLS' ? [{ raw: '220 go\r\n' }, { drop: 'end' }] : undefined) },
    ];
    for (const options of cases) {
      const { port, counts } = await start(options);
      const trouble = troubleOf(await deliver(port, { tls: 'starttls', ca: good.ca }));
      assert.equal(trouble.stage, 'starttls');
      assert.equal(counts.messages, 0);
      assert.equal(counts.connections, 1);
    }
  });

  it('opportunistic: encrypts to whoever is there', async () => {
    for (const certificate of [wrong, expired]) {
      const { port, counts } = await start({ tls: certificate });
      const sent = await deliver(port, { tls: 'opportunistic' });
      assert.ok(sent.kind === 'sent');
      assert.ok(sent.tls);
      assert.equal(counts.connections, 1);
    }
  });

  it('opportunistic: not offered or refused, goes on in the clear on the same connection', async () => {
    for (const options of [
      {},
      { tls: good, script: ({ verb }: { verb: string }) => (verb === 'STARTTLS' ? '454 4.7.0 not now' : undefined) },
    ]) {
      const { port, counts } = await start(options);
      const sent = await deliver(port, { tls: 'opportunistic' });
      assert.ok(sent.kind === 'sent');
      assert.equal(sent.tls, undefined);
      assert.deepEqual(sent.outcomes, ['delivered']);
      assert.equal(counts.connections, 1);
    }
  });

  it('opportunistic: a handshake that fails or a connection that ends is tried once more, in the clear', async () => {
    let hellos = 0;
    const cases: SinkOptions[] = [
      { tls: { ...good, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' } },
      { tls: good, script: ({ verb }) => (verb === 'STARTTLS' ? [{ raw: '220 go\r\n' }, { drop: 'end' }] : undefined) },
      { tls: good, script: ({ verb }) => (verb === 'STARTTLS' ? { drop: 'end' } : undefined) },
      {
        tls: good,
        script: ({ verb }, { connection }) => (verb === 'EHLO' && connection === 1 && ++hellos === 2 ? { drop: 'end' } : undefined),
      },
    ];
    for (const options of cases) {
      const { port, counts, idle } = await start(options);
      const sent = await deliver(port, { tls: 'opportunistic' });
      assert.ok(sent.kind === 'sent', JSON.stringify(sent));
      assert.equal(sent.tls, undefined);
      assert.equal(counts.connections, 2);
      await idle();
    }
  });

  it('what a stranger puts behind the 220 to STARTTLS is not taken for the server, and not fled from into the clear', async () => {
    for (const tls of ['starttls', 'opportunistic'] as const) {
      for (const raw of ['220 go\r\n250 injected\r\n', '220 go\r\n2']) {
        const { port, counts } = await start({ tls: good, script: ({ verb }) => (verb === 'STARTTLS' ? { raw } : undefined) });
        const trouble = troubleOf(await deliver(port, { tls, ca: good.ca }));
        assert.equal(trouble.reason, 'garbage');
        assert.equal(trouble.stage, 'starttls');
        assert.equal(counts.connections, 1);
        assert.equal(counts.messages, 0);
      }
    }
  });

  it('a handshake without an end has one', async () => {
    const server = net.createServer((socket) => socket.on('data', () => {}).on('error', () => {}));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    try {
      const timeouts = { connect: 1000, greeting: 1000, command: 30, data: 1000, finalDot: 1000 };
      const answer = await open(port, { ...policy({ tls: 'implicit' }), timeouts });
      assert.ok(answer.kind === 'trouble');
      assert.equal(answer.trouble.reason, 'tls');
    } finally {
      server.close();
    }
  });

  describe('login', () => {
    for (const mechanism of ['PLAIN', 'LOGIN']) {
      it(`${mechanism}, under verified TLS`, async () => {
        const { port, messages } = await start({
          tls: good,
          users: USERS,
          script: ({ verb }, { tls }) =>
            verb === 'EHLO' && tls && mechanism === 'LOGIN' ? '250-sink\r\n250 AUTH CRAM-MD5 LOGIN' : undefined,
        });
        const sent = await deliver(port, { tls: 'starttls', ca: good.ca, credentials: ANN }, true);
        assert.ok(sent.kind === 'sent', JSON.stringify(sent));
        assert.equal(messages[0]!.user, 'ann');
      });
    }

    it('in the clear only on loopback, or where it is allowed', async () => {
      const { port, messages, counts } = await start({ users: USERS });
      const refused = troubleOf(await deliver(port, { credentials: ANN }, true));
      assert.equal(refused.stage, 'auth');
      assert.equal(refused.reason, 'auth');
      assert.equal(counts.messages, 0);
      assert.equal((await deliver(port, { credentials: ANN }, false)).kind, 'sent');
      assert.equal((await deliver(port, { credentials: ANN, allowInsecureAuth: true }, true)).kind, 'sent');
      assert.deepEqual(
        messages.map(({ user }) => user),
        ['ann', 'ann'],
      );
    });

    it('not under TLS that was not verified', async () => {
      const commands: string[] = [];
      const { port } = await start({ tls: wrong, users: USERS, script: ({ verb }) => void commands.push(verb) });
      const trouble = troubleOf(await deliver(port, { tls: 'opportunistic', ca: good.ca, credentials: ANN }, true));
      assert.equal(trouble.reason, 'auth');
      assert.ok(!commands.includes('AUTH'));
    });

    it('refused, is trouble of the site that an operator must look at, and holds no password', async () => {
      const { port } = await start({ users: USERS });
      const trouble = troubleOf(await deliver(port, { credentials: { username: 'ann', password: 'secret' } }));
      assert.equal(trouble.stage, 'auth');
      assert.equal(trouble.reason, 'auth');
      assert.equal(trouble.code, 535);
      assert.match(trouble.status, /^4\.7\./);
      const text = JSON.stringify(trouble);
      assert.ok(!text.includes('secret') && !text.includes(Buffer.from('\0ann\0secret').toString('base64')));
    });

    it('put off, is only a bad moment', async () => {
      const { port } = await start({
        users: USERS,
        script: ({ verb }) => (verb === 'AUTH' ? '454 4.7.0 try again in 30 seconds' : undefined),
      });
      const trouble = troubleOf(await deliver(port, { credentials: ANN }));
      assert.equal(trouble.reason, undefined);
      assert.equal(trouble.retryAfterMs, 30_000);
    });

    it('not offered in a way that we know, is said so', async () => {
      for (const offer of ['250 sink', '250-sink\r\n250 AUTH CRAM-MD5 XOAUTH2']) {
        const { port } = await start({ script: ({ verb }) => (verb === 'EHLO' ? offer : undefined) });
        const trouble = troubleOf(await deliver(port, { credentials: ANN }));
        assert.equal(trouble.reason, 'auth');
        assert.match(trouble.text, /PLAIN and LOGIN/);
      }
    });

    it('answered oddly, is garbage and never success', async () => {
      for (const act of ['250 fine', '334 ', '220 go', '354 go']) {
        const { port, counts } = await start({
          users: USERS,
          script: ({ verb }) => (verb === 'AUTH' ? [{ raw: `${act}\r\n` }] : undefined),
        });
        const trouble = troubleOf(await deliver(port, { credentials: ANN }));
        assert.equal(trouble.reason, 'garbage');
        assert.equal(counts.messages, 0);
      }
    });
  });
});
