/** More than one message on a connection: order, ends, and what is charged to whom. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { Act } from '../../src/dev/act.js';
import { type Sink, type SinkOptions, type SinkScript, startSink } from '../../src/dev/sink.js';
import { systemDialer } from '../../src/platform/dialer.js';
import { createVirtualClock, settle } from '../support/virtual-clock.js';
import { listening, makeJob, opened, PLAIN, streamed, TIMEOUTS, Work } from './session-rig.js';

const SEQUENTIAL = ['8BITMIME', 'SIZE'];

describe('a session', () => {
  let sink: Sink | undefined;
  afterEach(() => sink?.close());

  async function start(options: SinkOptions = {}): Promise<Sink> {
    sink = await startSink(options);
    return sink;
  }

  /** The act for the n-th such verb of a connection, from 1. */
  const nth = (verb: string, n: number, act: Act): SinkScript => {
    const counts = new Map<number, number>();
    return (command, { connection }) => {
      if (command.verb !== verb) return undefined;
      const count = (counts.get(connection) ?? 0) + 1;
      counts.set(connection, count);
      return count === n ? act : undefined;
    };
  };

  it('sends the content, the dot and the commands of the next job in one write each', async () => {
    const { port } = await start();
    const { writes, dialer } = listening();
    const session = await opened(port, { dialer });
    const content = Buffer.from('Subject: x\r\n\r\nbody\r\n');
    const work = new Work(makeJob({ bytes: content }), makeJob({ bytes: content, to: ['a@sink.test', 'b@sink.test'] }));
    await session.run(work);
    assert.deepEqual(writes, [
      'EHLO client.test\r\n',
      'MAIL FROM:<from@client.test> SIZE=20\r\nRCPT TO:<to@sink.test>\r\nDATA\r\n',
      `${content}.\r\nMAIL FROM:<from@client.test> SIZE=20\r\nRCPT TO:<a@sink.test>\r\nRCPT TO:<b@sink.test>\r\nDATA\r\n`,
      `${content}.\r\n`,
    ]);
    await session.quit();
  });

  it('reports a transaction before the next dot, and asks the gate in between (G3)', async () => {
    const { port, violations } = await start();
    const session = await opened(port);
    const work = new Work(makeJob(), makeJob(), makeJob());
    await session.run(work);
    assert.deepEqual(work.events, [
      ...['next 0', 'mayFinish', 'next 1'],
      ...['done 0', 'mayFinish', 'next 2'],
      ...['done 1', 'mayFinish', 'nothing'],
      ...['done 2', 'nothing'],
    ]);
    assert.deepEqual(violations, []);
    await session.quit();
  });

  it('without PIPELINING asks for the next job only after the answer to the dot', async () => {
    const { port, violations, messages } = await start({ extensions: SEQUENTIAL });
    const session = await opened(port);
    const work = new Work(makeJob({ to: ['a@sink.test', 'b@sink.test'] }), makeJob());
    await session.run(work);
    assert.deepEqual(work.events, ['next 0', 'mayFinish', 'done 0', 'next 1', 'mayFinish', 'done 1', 'nothing']);
    assert.deepEqual(messages[0]!.recipients, ['a@sink.test', 'b@sink.test']);
    assert.deepEqual(violations, []);
    await session.quit();
  });

  for (const [kind, job] of [
    ['at hand', () => makeJob()],
    ['that streams', () => makeJob({ body: streamed([PLAIN]) })],
  ] as const) {
    it(`writes no dot while the gate is closed, and goes on when it opens (content ${kind})`, async () => {
      const { port, received } = await start();
      const { writes, dialer } = listening();
      const session = await opened(port, { dialer });
      const work = new Work(job(), makeJob());
      let open = () => {};
      work.gate = () => new Promise<void>((resolve) => (open = resolve));
      const running = session.run(work);
      await work.until('mayFinish');
      await settle(20);
      assert.doesNotMatch(writes.join(''), /\r\n\.\r\n/);
      work.gate = () => true;
      open();
      await received(2);
      assert.equal((await running).kind, 'idle');
      assert.deepEqual(work.outcomes(1), ['delivered']);
      await session.quit();
    });

    it(`is given up where the gate will not open, and the message is untried (content ${kind})`, async () => {
      const { port, counts, idle } = await start();
      const session = await opened(port);
      const work = new Work(job());
      work.gate = () => Promise.reject(new Error('closed for good'));
      assert.equal((await session.run(work)).kind, 'broken');
      assert.deepEqual(work.events, ['next 0', 'mayFinish', 'untried 0']);
      await idle();
      assert.equal(counts.messages, 0);
    });
  }

  it('gives back untried what waits at the gate when the server loses patience', async () => {
    const { port, cut } = await start();
    const session = await opened(port);
    const work = new Work(makeJob());
    work.gate = () => new Promise<void>(() => {});
    const running = session.run(work);
    await work.until('mayFinish');
    cut();
    assert.equal((await running).kind, 'broken');
    assert.deepEqual(work.events, ['next 0', 'mayFinish', 'untried 0']);
  });

  it('defers a message whose dot got no answer, and leaves the one pipelined behind it untried', async () => {
    const { port } = await start({ script: nth('DOT', 2, { drop: 'reset' }) });
    const session = await opened(port);
    const work = new Work(makeJob(), makeJob(), makeJob());
    const end = await session.run(work);
    assert.deepEqual([work.outcomes(0), work.outcomes(1)], [['delivered'], ['deferred content reset']]);
    assert.equal(work.events.at(-1), 'untried 2');
    assert.ok(end.kind === 'broken' && end.reachedMail);
  });

  it('defers a message that the server kept without saying so: a second copy is better than none', async () => {
    const { port, counts } = await start({ script: nth('DOT', 1, [{ accept: true }, { drop: 'end' }]) });
    const session = await opened(port);
    const work = new Work(makeJob(), makeJob());
    await session.run(work);
    assert.deepEqual(work.outcomes(0), ['deferred content reset']);
    assert.equal(work.events.at(-1), 'untried 1');
    assert.equal(counts.messages, 1);
  });

  for (const act of ['421 4.7.0 too many messages', { drop: 'end' }, { drop: 'reset' }] as const) {
    it(`leaves the next message untried when the server ends after some (${JSON.stringify(act)} to MAIL)`, async () => {
      for (const extensions of [undefined, SEQUENTIAL]) {
        const { port, close } = await startSink({ ...(extensions ? { extensions } : {}), script: nth('MAIL', 3, act) });
        const session = await opened(port);
        const work = new Work(makeJob(), makeJob(), makeJob());
        const end = await session.run(work);
        // With a reset, the answer to the dot before may be lost on its way.
        if (act !== '421 4.7.0 too many messages' && act.drop === 'reset' && work.outcomes(1)[0] !== 'delivered') continue;
        assert.deepEqual([work.outcomes(0), work.outcomes(1)], [['delivered'], ['delivered']]);
        assert.equal(work.events.at(-1), 'untried 2');
        assert.equal(end.kind, typeof act === 'string' ? 'worn' : 'broken');
        await close();
      }
    });
  }

  it('charges a message that breaks the connection once its MAIL was answered, also on a connection that worked before', async () => {
    const { port } = await start({ extensions: SEQUENTIAL, script: nth('RCPT', 2, { drop: 'end' }) });
    const session = await opened(port);
    const work = new Work(makeJob(), makeJob());
    const end = await session.run(work);
    assert.deepEqual(work.outcomes(1), ['deferred rcpt reset']);
    assert.ok(end.kind === 'broken' && end.reachedMail);
  });

  it('charges silence after MAIL to the message, also on a connection that worked before', async () => {
    const clock = createVirtualClock();
    let hung = () => {};
    const reached = new Promise<void>((resolve) => (hung = resolve));
    let mails = 0;
    const { port } = await start({
      script: (command) => {
        if (command.verb !== 'MAIL' || ++mails < 2) return undefined;
        hung();
        return { hang: true };
      },
    });
    const session = await opened(port, { clock });
    const work = new Work(makeJob(), makeJob());
    const running = session.run(work);
    await reached;
    await settle(20);
    await clock.advance(TIMEOUTS.command - 1);
    assert.deepEqual(work.outcomes(1), []);
    await clock.advance(1);
    await running;
    assert.deepEqual(work.outcomes(1), ['deferred mail timeout']);
  });

  it('is worn after so many messages, says QUIT, and is closed when it says so', async () => {
    const verbs: string[] = [];
    const { port, counts, idle } = await start({ script: ({ verb }) => void verbs.push(verb) });
    const session = await opened(port, { maxMessages: 100 });
    const work = new Work(...Array.from({ length: 102 }, () => makeJob()));
    const end = await session.run(work);
    assert.equal(end.kind, 'worn');
    assert.equal(session.messages, 100);
    assert.equal(counts.messages, 100);
    assert.equal(verbs.at(-1), 'QUIT');
    assert.ok(!work.events.includes('next 100'));
    await idle();
  });

  it('does not wait for ever for the server to close after QUIT', async () => {
    const clock = createVirtualClock();
    let quit = () => {};
    const reached = new Promise<void>((resolve) => (quit = resolve));
    const { port, idle } = await start({ script: ({ verb }) => (verb === 'QUIT' ? (quit(), { hang: true }) : undefined) });
    const session = await opened(port, { clock });
    const closing = session.quit();
    await reached;
    await clock.advance(10_000);
    await closing;
    await idle();
    assert.equal(clock.pending, 0);
  });

  it('rests when there is nothing, and runs again on the same connection', async () => {
    const { port, counts } = await start();
    const session = await opened(port);
    const work = new Work(makeJob());
    assert.equal((await session.run(work)).kind, 'idle');
    work.add(makeJob());
    assert.equal((await session.run(work)).kind, 'idle');
    assert.equal((await session.run(work)).kind, 'idle');
    assert.equal(counts.messages, 2);
    assert.equal(counts.connections, 1);
    assert.equal(session.messages, 2);
    await session.quit();
  });

  it('tells, once, when it is lost while it rests; a run then takes nothing', async () => {
    const { port, cut } = await start();
    const session = await opened(port);
    const work = new Work(makeJob());
    await session.run(work);
    let calls = 0;
    await new Promise<void>((resolve) => {
      session.onLost(() => {
        calls++;
        resolve();
      });
      cut();
    });
    work.add(makeJob());
    const end = await session.run(work);
    assert.ok(end.kind === 'broken' && end.reachedMail);
    assert.ok(!work.events.includes('next 1'));
    session.destroy();
    await session.quit();
    await session.drain();
    assert.equal(calls, 1);
  });

  it('takes anything said to a resting connection for its end', async () => {
    for (const raw of ['421 4.4.2 idle too long\r\n', '250 fine\r\n', 'garbage\r\n', '2']) {
      let speak = () => {};
      const { port, close } = await startSink();
      const session = await opened(port, {
        dialer: {
          ...systemDialer,
          connect: async (...parameters) => {
            const stream = await systemDialer.connect(...parameters);
            speak = () => void stream.emit('data', Buffer.from(raw));
            return stream;
          },
        },
      });
      await session.run(new Work(makeJob()));
      let lost = 0;
      session.onLost(() => lost++);
      speak();
      assert.equal(lost, 1, raw);
      await close();
    }
  });

  it('tells of a loss that came before anybody listened', async () => {
    const { port, cut, idle } = await start();
    const session = await opened(port);
    await session.run(new Work(makeJob()));
    cut();
    await idle();
    await settle(20);
    let lost = 0;
    session.onLost(() => lost++);
    assert.equal(lost, 1);
  });

  it('resets the server before the next message when the last one ended without its dot', async () => {
    for (const extensions of [undefined, SEQUENTIAL]) {
      const verbs: string[] = [];
      const { port, violations, close } = await startSink({
        ...(extensions ? { extensions } : {}),
        script: ({ verb }) => void verbs.push(verb),
      });
      const session = await opened(port);
      const work = new Work(makeJob({ to: ['fail-550@sink.test'] }), makeJob());
      await session.run(work);
      assert.deepEqual([work.outcomes(0), work.outcomes(1)], [['failed rcpt 550'], ['delivered']]);
      const data = extensions ? [] : ['DATA'];
      assert.deepEqual(verbs, ['CONNECT', 'EHLO', 'MAIL', 'RCPT', ...data, 'RSET', 'MAIL', 'RCPT', 'DATA', 'DOT']);
      assert.deepEqual(violations, []);
      await session.quit();
      await close();
    }
  });

  it('leaves a server that will not even reset, and the next message untried', async () => {
    const { port, idle } = await start({ script: ({ verb }) => (verb === 'RSET' ? '502 5.5.1 no such command' : undefined) });
    const session = await opened(port);
    const work = new Work(makeJob({ to: ['fail-550@sink.test'] }), makeJob());
    assert.equal((await session.run(work)).kind, 'worn');
    assert.equal(work.events.at(-1), 'untried 1');
    await idle();
  });

  it('destroyed, defers what waits for the answer to its dot and gives the rest back', async () => {
    const { port, received, idle } = await start({
      script: ({ verb }) => (verb === 'DOT' ? [{ accept: true }, { hang: true }] : undefined),
    });
    const session = await opened(port);
    const work = new Work(makeJob(), makeJob(), makeJob());
    const running = session.run(work);
    await received(1);
    session.destroy();
    assert.deepEqual(work.events, ['next 0', 'mayFinish', 'next 1', 'done 0', 'untried 1']);
    assert.deepEqual(work.outcomes(0), ['deferred content stopped']);
    const end = await running;
    assert.ok(end.kind === 'broken' && end.reachedMail, 'the site is not to blame');
    await idle();
  });

  it('destroyed before its dot, gives everything back untried', async () => {
    for (const verb of ['MAIL', 'RCPT', 'DATA']) {
      let reach = () => {};
      const reached = new Promise<void>((resolve) => (reach = resolve));
      const { port, close } = await startSink({ script: (command) => (command.verb === verb ? (reach(), { hang: true }) : undefined) });
      const session = await opened(port);
      const work = new Work(makeJob());
      const running = session.run(work);
      await reached;
      session.destroy();
      await running;
      assert.deepEqual(work.events, ['next 0', 'untried 0']);
      await close();
    }
  });

  it('drained, waits for the answer to its dot, and neither takes nor finishes anything else', async () => {
    let answer = (_: Act) => {};
    const { port, counts, idle } = await start({
      script: ({ verb }) => (verb === 'DOT' ? new Promise<Act>((resolve) => (answer = resolve)) : undefined),
    });
    const session = await opened(port);
    const work = new Work(makeJob(), makeJob(), makeJob());
    const running = session.run(work);
    await work.until('next 1');
    await settle(20);
    let drained = false;
    const draining = session.drain().then(() => (drained = true));
    await settle();
    assert.equal(drained, false);
    assert.equal(work.events.at(-1), 'untried 1');
    answer('250 2.0.0 fine');
    await draining;
    assert.equal((await running).kind, 'worn');
    assert.deepEqual(work.outcomes(0), ['delivered']);
    assert.equal(counts.messages, 1);
    assert.ok(!work.events.includes('next 2'));
    await idle();
  });

  it('drained before its dot, ends at once', async () => {
    let reach = () => {};
    const reached = new Promise<void>((resolve) => (reach = resolve));
    const { port, counts, idle } = await start({ script: ({ verb }) => (verb === 'DATA' ? (reach(), { hang: true }) : undefined) });
    const { writes, dialer } = listening();
    const session = await opened(port, { dialer });
    const work = new Work(makeJob());
    const running = session.run(work);
    await reached;
    await Promise.all([session.drain(), session.drain()]);
    assert.equal((await running).kind, 'worn');
    assert.deepEqual(work.events, ['next 0', 'untried 0']);
    assert.equal(counts.messages, 0);
    assert.ok(!writes.includes('QUIT\r\n'), 'in the middle of a transaction QUIT would be content');
    await idle();
  });

  it('drained while it rests, says QUIT', async () => {
    const verbs: string[] = [];
    const { port, idle } = await start({ script: ({ verb }) => void verbs.push(verb) });
    const session = await opened(port);
    await session.drain();
    await idle();
    assert.deepEqual(verbs, ['CONNECT', 'EHLO', 'QUIT']);
  });

  it('keeps one timer for all of it, and none when it is over', async () => {
    const clock = createVirtualClock();
    let set = 0;
    const counting = { ...clock, after: (ms: number, call: () => void) => (set++, clock.after(ms, call)) };
    const { port } = await start();
    const session = await opened(port, { clock: counting });
    const before = set;
    const work = new Work(...Array.from({ length: 50 }, () => makeJob()));
    await session.run(work);
    assert.ok(set - before <= 2, `${set - before} timers for 50 messages`);
    await session.quit();
    assert.equal(clock.pending, 0);
  });
});
